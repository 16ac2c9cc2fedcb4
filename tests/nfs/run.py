#!/usr/bin/env python3
"""trialmill on NFS, between three kernels: an NFS server and two clients, as virtual machines on this one.

    tests/nfs/run.py                            every case, about an hour
    tests/nfs/run.py --quick                    the same with fewer evaluations
    tests/nfs/run.py budget kill_host:journal   some cases, or variants of them

Needs root on Debian (it installs packages and fetches a kernel, which it does not run here but in the
guests), 2 GB of memory, and nothing of the processor: the guests are emulated. Exit code 1 when a case fails.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import cases  # noqa: E402
from lab import Lab, LabError  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help="NAME or NAME:VARIANT; all, if none is given")
    parser.add_argument("--list", action="store_true", help="the cases and their variants, and what each shows")
    parser.add_argument("--binary", type=pathlib.Path, help="the program [default: cargo build --release makes it]")
    parser.add_argument("--lab", type=pathlib.Path, help="a folder for everything, that can be used again "
                                                         "[default: trialmill-nfs in the temporary directory]")
    parser.add_argument("--runs", type=int, default=10, help="runs of `budget` for each layout [default: 10]")
    parser.add_argument("--quick", action="store_true", help="fewer evaluations, and 2 runs of `budget`")
    parser.add_argument("--kernel", default="", metavar="VERSION",
                        help="what the kernel's version begins with [default: the newest]")
    return parser.parse_args()


def choose(wanted):
    """The cases and variants that were asked for, in their own order."""
    chosen = []
    for case in cases.CASES:
        names = {variant: f"{case.name}:{variant}".rstrip(":") for variant in case.variants}
        variants = [variant for variant, name in names.items()
                    if not wanted or any(each == name or name.startswith(f"{each}:") for each in wanted)]
        if variants:
            chosen.append((case, variants))
    known = [f"{case.name}:{variant}:" for case, variants in chosen for variant in variants]
    for each in wanted:
        if not any(name.startswith(f"{each}:") for name in known):
            sys.exit(f"there is no case {each}; --list shows them")
    return chosen


def program(args):
    if args.binary:
        return args.binary.resolve(strict=True)
    subprocess.run(["cargo", "build", "--release", "--bin", "trialmill"], cwd=ROOT, check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "trialmill"


def say(text):
    print(text, flush=True)


def run(lab, chosen, options):
    failed = done = 0
    for case, variants in chosen:
        for variant, verdict in case.run(lab, variants, options):
            done += 1
            failed += bool(verdict.problems)
            name = f"{case.name}:{variant}".rstrip(":")
            say(f"{'FAIL' if verdict.problems else 'PASS'} {name} ({verdict.seconds:.0f} s) {'; '.join(verdict.facts)}")
            for problem in verdict.problems:
                say(f"     - {problem}")
    return failed, done


def main():
    args = arguments()
    if args.list:
        for case in cases.CASES:
            names = ", ".join(f"{case.name}:{variant}".rstrip(":") for variant in case.variants)
            say(f"{case.name}: {case.shows}\n    {names}")
        return 0
    if os.geteuid() != 0:
        sys.exit("root is needed: for the packages, and for files of several owners")
    chosen = choose(args.cases)
    began = time.monotonic()
    # A SIGTERM ends the guests as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    lab = None
    try:
        binary = program(args)
        lab = Lab((args.lab or pathlib.Path(tempfile.gettempdir()) / "trialmill-nfs").resolve(), binary, args.kernel)
        lab.prepare()
        lab.start()
        say(f"kernel {lab.kernel}, {binary}; the guests are up after {time.monotonic() - began:.0f} s; "
            f"outputs and the server's files: {lab.results}")
        failed, done = run(lab, chosen, cases.Options(args.runs, args.quick))
    except LabError as error:
        sys.exit(f"the lab does not work, which says nothing of trialmill: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if lab:
            lab.stop()
    say(f"{done - failed} of {done} passed, {failed} failed, {time.monotonic() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
