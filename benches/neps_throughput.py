#!/usr/bin/env python3
"""Trials a second of genuine NePS and of trialmill in NePS's own layout, alternating, in one run.

    benches/neps_throughput.py [--rounds 3] [--neps-trials 200] [--trials 2000] [--json]

NePS runs as it comes: one worker process, a trivial objective, random search; its start (torch) is not counted.
trialmill is `trialmill bench --layout neps`. Tools are found as by tests/neps/live.py: TRIALMILL_NEPS, TRIALMILL_BIN.
Only the ratio means something: a machine that is busy, is busy for both.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "neps"))
import live  # noqa: E402

ROUND_SECONDS = 600


def of_neps(tools, version, trials, work):
    """From the first evaluation to the last, as the worker itself measures it."""
    directory = work / f"neps-{version}"
    command = tools.python(live.Case(version, "nobody else"), live.HERE / "worker.py", directory / "study",
                           "--evaluations", trials, "--ledger", directory / "ledger")
    directory.mkdir()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=ROUND_SECONDS)
    if done.returncode:
        raise SystemExit(f"NePS {version} ended with {done.returncode}: {done.stderr[-600:]}")
    lines = [json.loads(line) for line in (directory / "ledger").read_text().splitlines()]
    return trials / (lines[-1]["at"] - lines[0]["at"])


def of_trialmill(tools, workers, trials, work):
    """The rows of `trialmill bench --layout neps --json`: {how it is kept: trials a second}."""
    command = [tools.trialmill, "bench", str(work), "--layout", "neps", "--workers", str(workers), "--trials", str(trials), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ROUND_SECONDS)
    if done.returncode:
        raise SystemExit(f"trialmill bench ended with {done.returncode}: {done.stderr[-600:]}")
    return {row["kept"]: row["trials_per_second"] for row in json.loads(done.stdout)["rows"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--versions", nargs="+", default=["0.13.0", "0.17.0"])
    parser.add_argument("--neps-trials", type=int, default=200)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    tools = live.Tools(live.neps_home(args.versions), live.trialmill_program())
    seen = {}
    for _ in range(args.rounds):
        with tempfile.TemporaryDirectory(prefix="trialmill-bench-") as name:
            work = pathlib.Path(name)
            for version in args.versions:
                seen.setdefault(f"NePS {version}", []).append(of_neps(tools, version, args.neps_trials, work))
            for kept, rate in of_trialmill(tools, args.workers, args.trials, work).items():
                seen.setdefault(f"trialmill, {args.workers} workers, {kept}", []).append(rate)

    medians = {name: statistics.median(rates) for name, rates in seen.items()}
    if args.json:
        print(json.dumps({"trials_per_second": seen, "median": medians}, indent=1))
        return
    neps = [name for name in medians if name.startswith("NePS")]
    print(f"{'trials a second':34} {'median':>9} {'least':>9} {'most':>9}" + "".join(f" {'/ ' + name:>13}" for name in neps))
    for name, rates in seen.items():
        ratios = "".join(f" {medians[name] / medians[each]:13.1f}" for each in neps)
        print(f"{name:34} {medians[name]:9.1f} {min(rates):9.1f} {max(rates):9.1f}{ratios}")


if __name__ == "__main__":
    main()
