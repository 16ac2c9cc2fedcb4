#!/usr/bin/env python3
"""trialmill and genuine NePS on one directory, at the same time. Only the standard library is needed.

    tests/neps/live.py            the whole matrix
    tests/neps/live.py --quick    a part of it, in about two minutes
    tests/neps/live.py --kill     with one process of each side killed in the middle

TRIALMILL_NEPS=DIR uses an installation that install_neps.sh made; else it is made in the user's cache (0.7 GB).
TRIALMILL_BIN=FILE uses that program; else `cargo build --release` makes it. Exit code 1 when anything is wrong.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
VERSIONS = ("0.12.2", "0.13.0", "0.17.0")
DEADLINE_SECONDS = 240


@dataclasses.dataclass(frozen=True)
class Case:
    version: str
    creator: str  # "neps", "trialmill", or "nobody else": NePS alone, for comparison
    lock: str = "lockf"  # which system call NePS locks with (0.12 has only flock)
    kill: bool = False
    prune: bool = False  # trialmill ends those of more than four layers early

    @property
    def old(self):
        return self.version.startswith("0.12")

    @property
    def layout(self):
        series = self.version.rpartition(".")[0]
        return f"neps-{series}" if series in ("0.12", "0.13", "0.14") else "neps"

    @property
    def neps_processes(self):
        # Two of 0.12 starve each other of the lock and die, with or without trialmill.
        return (1 if self.old else 2) + (1 if self.kill else 0)

    def __str__(self):
        return f"{self.version} by {self.creator}, {self.lock}{', kill' if self.kill else ''}{', pruned' if self.prune else ''}"


@dataclasses.dataclass
class Tools:
    neps: pathlib.Path
    trialmill: str

    def python(self, case, *arguments):
        # torch takes seconds to load, and only the samplers of 0.13 and later need it.
        program = "neps-python-nt" if case.old else "neps-python"
        return [self.neps / "bin" / program, case.version, *arguments]


def neps_home(versions):
    home = os.environ.get("TRIALMILL_NEPS")
    if home:
        return pathlib.Path(home).resolve()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    home = cache / "trialmill" / "neps"
    if not all((home / f"neps-{version}").is_dir() for version in versions):
        print(f"installing NePS into {home} (once)", file=sys.stderr)
        subprocess.run([HERE / "install_neps.sh", home, *versions], check=True, stdout=sys.stderr)
    return home


def trialmill_program():
    program = os.environ.get("TRIALMILL_BIN")
    if program:
        return os.path.abspath(program)
    build = ["cargo", "build", "--release", "--bin", "trialmill", "--message-format", "json"]
    output = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    messages = (json.loads(line) for line in output.splitlines())
    return next(each["executable"] for each in messages if each.get("executable"))


# Of a step that is the number of layers, and said to those evaluations that ask.
PRUNER = ["--pruner", '{"name": "threshold", "upper": 4}']
ASKS = ["--on-prune", "ask"]


class Process:
    """A process of one side, its output kept beside the run."""

    def __init__(self, name, work, command, environment=None):
        self.name, self.work, self.ledger = name, work, work / f"{name}.ledger"
        self.stdout, self.stderr = work / f"{name}.out", work / f"{name}.err"
        with open(self.stdout, "w") as out, open(self.stderr, "w") as err:
            self.popen = subprocess.Popen(
                [str(part) for part in command], stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                env={**os.environ, **(environment or {})}, start_new_session=True,
            )
        self.killed = False

    def kill(self):
        self.killed = self.popen.poll() is None
        if self.killed:
            self.popen.send_signal(signal.SIGKILL)
        return self.killed

    def lines(self):
        return self.ledger.read_text().splitlines() if self.ledger.exists() else []

    def is_evaluating(self):
        lines = self.lines()
        return bool(lines) and '"start"' in lines[-1]

    def ended(self):
        return sum('"end"' in line for line in self.lines())

    def complaint(self):
        """What is wrong with how it ended, if anything."""
        code = self.popen.returncode
        if self.killed or code == 0:
            return None
        return f"{self.name} ended with {code}: {self.stderr.read_text().strip()[-600:]}"


def until(condition, what, processes, seconds=DEADLINE_SECONDS):
    deadline = time.monotonic() + seconds
    while not condition():
        dead = [each.complaint() for each in processes if each.popen.poll() is not None and each.complaint()]
        if dead:
            raise RuntimeError("; ".join(dead))
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what}: not within {seconds} s")
        time.sleep(0.005)


class Run:
    """One case, from an empty directory to the verdict."""

    def __init__(self, case, tools, work, args, chance):
        self.case, self.tools, self.work, self.chance = case, tools, work, chance
        self.evaluations, self.seconds, self.least_share = args.evaluations, args.seconds, args.least_share
        self.directory = work / "study"
        self.neps, self.trialmill = [], []

    def processes(self):
        return self.neps + self.trialmill

    def start_neps(self):
        name = f"neps-{len(self.neps) + 1}"
        command = self.tools.python(
            self.case, HERE / "worker.py", self.directory, "--evaluations", self.evaluations, "--seconds", self.seconds,
            "--ledger", self.work / f"{name}.ledger", "--ready", self.work / f"{name}.ready", "--go", self.work / f"{name}.go",
        )
        if self.case.prune and self.case.old:
            command.append("--no-summary")
        if self.counts_shares():
            command += ["--beside", self.work / "beside"]
        self.neps.append(Process(name, self.work, command, {"NEPS_LINUX_FILELOCK_FUNCTION": self.case.lock}))

    def go(self, process):
        (self.work / f"{process.name}.go").touch()

    def create(self):
        self.ask([self.tools.trialmill, "create", HERE / "study.yaml", "--layout", self.case.layout,
                  "--dir", self.directory, "--evaluations", self.evaluations])

    def start_trialmill(self):
        name = f"trialmill-{len(self.trialmill) + 1}"
        environment = {"EVALUATE_REPORTS_LAYERS": "1"} if self.case.prune else {}
        evaluate = ["--", HERE / "evaluate.sh", self.work / f"{name}.ledger", self.seconds or 0, "{trial_id}", "{x}", "{lr}", "{layers}"]
        # Where NePS stored the space and the budget, joining needs neither.
        if self.case.creator == "neps" and self.case.version.startswith("0.17") and not self.case.prune:
            command = ["worker", self.directory, "--wait"]
        else:
            command = ["run", HERE / "study.yaml", "--layout", self.case.layout, "--dir", self.directory, "--evaluations", self.evaluations]
            command += PRUNER if self.case.prune else []
        command += ["--workers", 4, "--quiet", *(ASKS if self.case.prune else [])]
        self.trialmill.append(Process(name, self.work, [self.tools.trialmill, *command, *evaluate], environment))

    def ask(self, command, codes=(0,)):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=DEADLINE_SECONDS)
        if done.returncode not in codes:
            raise RuntimeError(f"{' '.join(map(str, command[:3]))} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-600:]}")
        return done.stdout

    def begun_by_neps(self):
        """NePS has made the directory and its first trial, so nobody reads a state that is being made."""
        first = self.directory / ("results" if self.case.old else "configs")
        return first.is_dir() and any(each.name.startswith("config_") for each in first.iterdir())

    def begin(self):
        if self.case.creator == "trialmill":
            self.create()
        for _ in range(self.case.neps_processes):
            self.start_neps()
        until(lambda: all((self.work / f"{each.name}.ready").exists() for each in self.neps), "loading NePS", self.neps)
        self.began = time.monotonic()
        self.go(self.neps[0])
        if self.case.creator != "trialmill":
            until(self.begun_by_neps, "the first trial of NePS", self.neps)
        if self.case.creator != "nobody else":
            for _ in range(2 if self.case.kill else 1):
                self.start_trialmill()
        for each in self.neps[1:]:
            self.go(each)
        if self.counts_shares():
            # On a loaded machine NePS had done all of it before trialmill began.
            until(lambda: any(each.lines() for each in self.trialmill), "the first evaluation of trialmill", self.processes())
            (self.work / "beside").touch()

    def kill(self):
        """One process of each side. NePS inside an evaluation: a kill while it rewrites its own files stops every other NePS
        process for good, with or without trialmill. trialmill at any instant."""
        done = lambda: sum(each.ended() for each in self.processes())
        until(lambda: done() > self.evaluations * self.chance.uniform(0.2, 0.5), "the middle", self.processes())
        victims = [self.neps[-1], *self.trialmill[-1:]]
        until(lambda: victims[0].is_evaluating() or victims[0].popen.poll() is not None, "an evaluation of NePS", self.processes())
        victims[0].kill()
        time.sleep(self.chance.uniform(0, 0.1))
        for each in victims[1:]:
            each.kill()
        late = [each.name for each in victims if not each.killed]
        if late:
            raise RuntimeError(f"{' and '.join(late)} had ended before the kill: let the evaluations take longer (--seconds)")

    def finish(self):
        until(lambda: all(each.popen.poll() is not None for each in self.processes()), "the end", ())
        self.wall = time.monotonic() - self.began
        return [complaint for each in self.processes() if (complaint := each.complaint())]

    def verify(self):
        killed = lambda side: sum(each.killed for each in side)
        command = self.tools.python(
            self.case, HERE / "verify.py", self.directory, "--evaluations", self.evaluations,
            "--killed-neps", killed(self.neps), "--killed-trialmill", killed(self.trialmill),
        )
        for each in self.processes():
            command += ["--ledger", each.ledger]
        if self.case.prune:
            command += ["--pruned-beyond", 4]
        if self.case.creator != "nobody else":
            (self.work / "trials.json").write_text(self.ask([self.tools.trialmill, "trials", self.directory, "--json"]))
            command += ["--trialmill", self.work / "trials.json"]
        return json.loads(self.ask(command, codes=(0, 1)))

    def outcome(self):
        """Everything that is known of the run, with its problems."""
        result = {"case": str(self.case), **dataclasses.asdict(self.case), "problems": []}
        try:
            self.begin()
            if self.case.kill:
                self.kill()
            result["problems"] += self.finish()
            result["wall_seconds"] = round(self.wall, 2)
            verdict = self.verify()
            result["problems"] += verdict.pop("problems")
            result.update(verdict)
            if self.case.creator != "nobody else":
                self.ask([self.tools.trialmill, "check", self.directory])
                self.ask([self.tools.trialmill, "status", self.directory, "--json"])
                self.ask([self.tools.trialmill, "best", self.directory])
            self.shares(result)
        except (RuntimeError, subprocess.SubprocessError, OSError, ValueError) as error:
            result["problems"].append(str(error))
        finally:
            for each in self.processes():
                each.kill()
                each.popen.wait()
        result["restarts"] = sum(each.stderr.read_text().count("NePS could not start") for each in self.neps)
        return result

    def counts_shares(self):
        return self.case.creator != "nobody else" and not self.case.kill and not self.seconds

    def shares(self, result):
        sides = {"neps": sum(each.ended() for each in self.neps), "trialmill": sum(each.ended() for each in self.trialmill)}
        result["share_of_trialmill"] = round(sides["trialmill"] / max(1, sum(sides.values())), 3)
        if self.counts_shares():
            for side, count in sides.items():
                if count < self.least_share * self.evaluations:
                    result["problems"].append(f"{side} did {count} of {self.evaluations} evaluations: it starves")


def matrix(args):
    if args.neps_only:
        return [Case(version, "nobody else", kill=args.kill) for version in args.versions]
    cases = [
        Case(version, creator, lock, args.kill)
        for version in args.versions
        for creator in ("neps", "trialmill")
        for lock in (("flock",) if version.startswith("0.12") else ("lockf", "flock"))
    ]
    if not args.kill:
        pruned = (("0.12.2", "trialmill"), ("0.13.0", "trialmill"), ("0.17.0", "trialmill"), ("0.17.0", "neps"))
        cases += [
            Case(version, creator, "flock" if version.startswith("0.12") else "lockf", prune=True)
            for version, creator in pruned
            if version in args.versions
        ]
    if args.quick:  # both creators, both locks and every version, each once, and pruned trials in both layouts
        wanted = {("0.12.2", "trialmill", "flock"), ("0.13.0", "neps", "lockf"), ("0.17.0", "trialmill", "lockf"), ("0.17.0", "neps", "flock")}
        pruned = {("0.12.2", "trialmill"), ("0.17.0", "neps")}
        is_wanted = lambda case: (
            (case.version, case.creator) in pruned if case.prune else (case.version, case.creator, case.lock) in wanted
        )
        cases = [case for case in cases if is_wanted(case)]
    return cases


def show(result):
    states = " ".join(f"{count} {state}" for state, count in sorted(result.get("states", {}).items()))
    share = f"{result['share_of_trialmill']:.0%}" if "share_of_trialmill" in result else "-"
    verdict = "FAILED" if result["problems"] else "ok"
    print(f"{result['case']:48} {result.get('wall_seconds', 0):7.1f} s {share:>5}  {result['restarts']} restarts  {states:44} {verdict}")
    for problem in result["problems"]:
        print(f"    {problem}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="six cases of 100 evaluations")
    parser.add_argument("--kill", action="store_true", help="SIGKILL one process of each side in the middle")
    parser.add_argument("--neps-only", action="store_true", help="NePS alone, to compare with")
    parser.add_argument("--versions", nargs="+", default=VERSIONS)
    parser.add_argument("--evaluations", type=int, help="of each case [300, or 100 with --quick]")
    parser.add_argument("--seconds", type=float, help="that an evaluation takes [0, or 0.2 with --kill]")
    parser.add_argument("--least-share", type=float, default=0.1, help="of the work, for each side, when evaluations take no time")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="of the instants of the kills")
    parser.add_argument("--keep", action="store_true", help="leave the directories; those of a failure stay anyway")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    args.evaluations = args.evaluations or (100 if args.quick else 300)
    if args.seconds is None:
        args.seconds = 0.2 if args.kill else 0.0

    # So that an end from outside ends what was started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    tools = Tools(neps_home(args.versions), None if args.neps_only else trialmill_program())
    print(f"seed {args.seed}", file=sys.stderr)
    results = []
    for number, case in enumerate(matrix(args)):
        work = pathlib.Path(tempfile.mkdtemp(prefix="trialmill-live-"))
        result = Run(case, tools, work, args, random.Random(args.seed + number)).outcome()
        if result["problems"] or args.keep:
            result["kept"] = str(work)
        else:
            shutil.rmtree(work)
        results.append(result)
        if not args.json:
            show(result)
            if "kept" in result:
                print(f"    kept: {work}")
    if args.json:
        print(json.dumps({"seed": args.seed, "evaluations": args.evaluations, "cases": results}, indent=1))
    sys.exit(1 if any(result["problems"] for result in results) or not results else 0)


if __name__ == "__main__":
    main()
