#!/usr/bin/env python3
"""Runs the same work on trialmill and on its peers, alternately, and prints trials per second and ratios.

    benches/peers/run.py                  everything, 5 minutes: installs what is missing
    benches/peers/run.py --only journal   only the rows of this group
    benches/peers/run.py --help

The work: random search over three parameters (log-float, int, categorical), objective x², an
evaluation that takes no time. Each measurement is a process of its own; imports and the creation of
the study do not count. All write below one directory, so to the same disk.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
SLOW_SYNC_US = 2000

# Group: the row of trialmill that all are compared with, the same with several trials in a message,
# then the peers: name, ways to run several workers, trials. Slow peers run fewer trials, which favours
# those whose cost per trial grows.
GROUPS = {
    "journal": [
        ("trialmill-synced", ["threads"], 20_000),
        ("trialmill-synced-batch-8", ["threads"], 40_000),
        ("optimizer-journal", ["threads", "processes"], 2_000),
        ("rustuna-journal", ["threads", "processes"], 1_000),
        ("optuna-journal", ["threads", "processes"], 300),
        ("rustuna-sqlite", ["threads", "processes"], 150),
        ("optuna-sqlite", ["threads", "processes"], 50),
        ("neps", ["processes"], 50),
    ],
    "slow-sync": [
        ("trialmill-synced", ["threads"], 3_000),
        ("trialmill-synced-batch-8", ["threads"], 20_000),
        ("optimizer-journal", ["threads", "processes"], 400),
        ("rustuna-journal", ["threads", "processes"], 100),
        ("optuna-journal", ["threads", "processes"], 60),
    ],
    "memory": [
        ("trialmill-memory", ["threads"], 200_000),
        ("trialmill-memory-batch-64", ["threads"], 400_000),
        ("optimizer-memory", ["threads"], 400_000),
        ("rustuna-memory", ["threads"], 100_000),
        ("optuna-memory", ["threads"], 2_000),
    ],
}


def say(text):
    print(text, file=sys.stderr, flush=True)


def quietly(command, **more):
    """Runs something that installs; its output matters only when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **more)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise RuntimeError(f"{command[0]} … failed: " + " / ".join(last))


class Peers:
    """The programs that measure, installed when first needed."""

    def __init__(self, cache):
        self.cache = cache
        self.ready = {}

    def command(self, name):
        """The command of a peer, without its last arguments; raises why there is none."""
        tool = name.split("-")[0]
        if tool not in self.ready:
            try:
                self.ready[tool] = getattr(self, tool)()
            except (OSError, RuntimeError, subprocess.SubprocessError) as error:
                self.ready[tool] = RuntimeError(f"cannot be installed: {error}")
        if isinstance(self.ready[tool], Exception):
            raise self.ready[tool]
        return self.ready[tool]

    def trialmill(self):
        say("building trialmill")
        quietly(["cargo", "build", "--release", "--locked", "--bin", "trialmill"], cwd=ROOT)
        return [TARGET / "release" / "trialmill"]

    def optimizer(self):
        say("building the optimizer crate")
        target = self.cache / "optimizer_crate"
        where = {**os.environ, "CARGO_TARGET_DIR": str(target)}
        quietly(["cargo", "build", "--release", "--locked"], cwd=HERE / "optimizer_crate", env=where)
        return [target / "release" / "optimizer-peer"]

    def python(self, name, *packages):
        home = self.cache / name
        python = home / "bin" / "python"
        if not (home / "complete").exists():
            say(f"installing {', '.join(packages)}")
            shutil.rmtree(home, ignore_errors=True)
            venv.create(home, with_pip=True)
            quietly([python, "-m", "pip", "install", "--quiet", *packages])
            (home / "complete").touch()
        return [python, HERE / "python_peer.py"]

    def optuna(self):
        return self.python("optuna", "optuna==5.0.0")

    def rustuna(self):
        return self.python("rustuna", "rustuna==0.2.0")

    def neps(self):
        home = Path(os.environ.get("TRIALMILL_NEPS", self.cache / "neps"))
        if not (home / "bin" / "neps-python-nt").exists():
            say("installing NePS 0.17.0")
            quietly([ROOT / "tests" / "neps" / "install_neps.sh", home, "0.17.0"])
        return [home / "bin" / "neps-python-nt", "0.17.0", HERE / "python_peer.py"]

    def slow_sync(self):
        if "slow_sync" not in self.ready:
            library = self.cache / "slow_sync.so"
            quietly(["cc", "-O2", "-shared", "-fPIC", "-o", library, HERE / "slow_sync.c", "-ldl"])
            self.ready["slow_sync"] = library
        return self.ready["slow_sync"]


def measure(peers, group, name, way, workers, trials, directory, seconds):
    """Trials per second, and a remark."""
    command = peers.command(name)
    tool, _, store = name.partition("-")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    if tool == "trialmill":
        kept, _, batch = store.partition("-batch-")
        arguments = ["bench", "--quick", "--json", "--durability", kept, "--workers", workers]
        arguments += ["--trials", trials, "--batch", batch or 1, directory]
    else:
        store = store if tool == "optimizer" else name
        arguments = [store, way, workers, trials, directory]
    env = dict(os.environ)
    if group == "slow-sync":
        env["LD_PRELOAD"] = str(peers.slow_sync())
        env["SLOW_SYNC_US"] = str(SLOW_SYNC_US)
    command = [str(part) for part in [*command, *arguments]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"not done after {seconds} s") from None
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    if done.returncode or not lines:
        why = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise RuntimeError(f"ended with {done.returncode}: {why[:120]}")
    if tool == "trialmill":
        return json.loads(done.stdout)["rows"][0]["trials_per_second"], ""
    result = json.loads(lines[-1])
    lost = trials - result["trials"]
    remark = f"{lost} of {trials} trials are not in the store" if lost > 0 else ""
    return trials / result["seconds"], remark


def run_group(peers, group, options, directory):
    """Measures everything in turn, `rounds` times; gives the rows."""
    rows = []
    for name, ways, trials in GROUPS[group]:
        for workers in options.workers:
            for way in ways[:1] if workers == 1 else ways:
                trials_here = options.trials or trials
                rows.append(
                    {
                        "group": group,
                        "name": name,
                        "workers": workers,
                        "way": way,
                        "trials": trials_here,
                        "rates": [],
                        "problem": None,
                        "remark": "",
                    }
                )
    for number in range(options.rounds):
        for row in rows:
            if row["problem"]:
                continue
            key = (row["name"], row["way"], row["workers"], row["trials"])
            say(f"{group}, round {number + 1}: {key[0]}, {key[2]} workers, {key[1]}")
            try:
                rate, remark = measure(peers, group, *key, directory, options.timeout)
                row["rates"].append(rate)
                row["remark"] = row["remark"] or remark
            except (RuntimeError, OSError, ValueError) as error:
                row["problem"] = str(error)
    for row in rows:
        row["trials_per_second"] = statistics.median(row["rates"]) if row["rates"] else None
    add_ratios(rows)
    return rows


def add_ratios(rows):
    """How many times as fast trialmill is with as many workers, one trial at a time."""
    of_first = [row for row in rows if row["name"] == rows[0]["name"]]
    first = {row["workers"]: row["trials_per_second"] for row in of_first}
    for row in rows:
        ours, rate = first[row["workers"]], row["trials_per_second"]
        row["ratio"] = ours / rate if ours and rate else None


def table(rows):
    lines = [
        f"{'group':<10} {'store':<27} {'workers':>7} {'way':<10} {'trials':>8} {'trials/s':>10} "
        f"{'trialmill is':>13}"
    ]
    for row in rows:
        rate = "-" if row["trials_per_second"] is None else f"{row['trials_per_second']:,.0f}"
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.1f} x"
        notes = "; ".join(note for note in (row["problem"], row["remark"]) if note)
        lines.append(
            f"{row['group']:<10} {row['name']:<27} {row['workers']:>7} {row['way']:<10} "
            f"{row['trials']:>8,} {rate:>10} {ratio:>13}" + (f"  ({notes})" if notes else "")
        )
    return "\n".join(lines)


def required(rows):
    """The issue's rows, from these measurements: what, at least, seen."""

    def best(group, name, workers):
        rates = [
            row["trials_per_second"]
            for row in rows
            if (row["group"], row["name"], row["workers"]) == (group, name, workers)
        ]
        return max((rate for rate in rates if rate), default=None)

    many = max(row["workers"] for row in rows)
    checks = [
        (f"journal, {many} workers, against {peer}", at_least,
         best("journal", "trialmill-synced", many), best("journal", peer, many))
        for peer, at_least in [("optimizer-journal", 5), ("rustuna-journal", 20), ("optuna-journal", 80)]
    ]
    peers = [name for name, *_ in GROUPS["slow-sync"] if not name.startswith("trialmill")]
    slow = [best("slow-sync", name, 1) for name in peers]
    checks.append(
        (f"sync of {SLOW_SYNC_US / 1000:g} ms: {many} workers against the best peer's one", 8,
         best("slow-sync", "trialmill-synced", many), max((r for r in slow if r), default=None))
    )
    batch = "trialmill-memory-batch-64"
    checks.append(
        (f"memory, {many} workers, batch 64, against the optimizer crate", 1,
         best("memory", batch, many), best("memory", "optimizer-memory", many))
    )
    return [
        {"what": what, "at_least": at_least, "seen": ours / theirs}
        for what, at_least, ours, theirs in checks
        if ours and theirs
    ]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=GROUPS, action="append", help="this group of rows")
    parser.add_argument("--workers", type=lambda text: [int(n) for n in text.split(",")],
                        default=[1, 8], help="numbers of workers (1,8)")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each row (3)")
    parser.add_argument("--trials", type=int, help="the same number for all, instead of the table's")
    parser.add_argument("--dir", type=Path, help="where to write: the disk that is measured")
    parser.add_argument("--cache", type=Path, default=TARGET / "peers", help="where to install")
    parser.add_argument("--timeout", type=float, default=300, help="seconds for one measurement")
    parser.add_argument("--json", action="store_true", help="for scripts")
    options = parser.parse_args()
    options.cache = options.cache.absolute()
    options.cache.mkdir(parents=True, exist_ok=True)
    directory = (options.dir or options.cache).absolute() / f"run-{os.getpid()}"
    peers, rows, began = Peers(options.cache), [], time.monotonic()
    for group in options.only or GROUPS:
        rows += run_group(peers, group, options, directory)
    checks = required(rows)
    if options.json:
        print(json.dumps({"rows": rows, "required": checks, "cores": os.cpu_count()}, indent=1))
        return
    print(table(rows))
    print(f"\nmedians of {options.rounds}, on {os.cpu_count()} cores, {time.monotonic() - began:.0f} s")
    for check in checks:
        met = "met" if check["seen"] >= check["at_least"] else "NOT MET"
        print(f"{check['what']}: {check['seen']:.2f} x, at least {check['at_least']}: {met}")


if __name__ == "__main__":
    main()
