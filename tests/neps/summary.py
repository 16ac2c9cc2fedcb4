#!/usr/bin/env python3
"""What trialmill says of a run, and what it charges, held against genuine NePS 0.17. Only the standard library.

    tests/neps/summary.py

trialmill runs a study in the layout `neps` on a budget of cost, with results whose cost is not to be charged. What
it keeps in `summary/` is then what NePS's own writer makes of the same directory. NePS goes on with more to spend,
then trialmill again: each charges what counts, the costs that do not count are kept, and both end where they have to.
Which NePS and which trialmill: as in live.py. Exit code 1 when anything is wrong.
"""

import csv
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from live import neps_home, trialmill_program

VERSION = "0.17.0"
STUDY = """
space:
  lr: {type: float, lower: 1e-5, upper: 1e-1, log: true}
  opt: {type: categorical, choices: [1, 2, 4]}
optimizer: random_search
seed: 7
workers: 2
budget: {cost: 30, evaluations: 200}
"""
# Every fifth crashes, every fourth is not charged; a charged one costs 2.
EVALUATE = """
import json, os, sys
id, lr = int(os.environ["TRIALMILL_TRIAL_ID"]), float(os.environ["TRIALMILL_PARAM_lr"])
if id % 5 == 0:
    sys.exit("diverged, or so")
result = {"objective_to_minimize": lr, "cost": 2, "info_dict": {"net": {"layers": id}, "note": "a,b"}}
if id % 4 == 0:
    result["account_for_cost"] = False
print(json.dumps(result))
"""
NEPS_SUMMARY = """
import sys
from neps.status.summary import SummaryWriter
SummaryWriter.from_directory(sys.argv[1]).update(final=True)
"""
NEPS_GOES_ON = """
import sys, neps

class Space(neps.PipelineSpace):
    lr = neps.Float(1e-5, 1e-1, log=True)
    opt = neps.Categorical([1, 2, 4])

neps.run(
    lambda lr, opt: {"objective_to_minimize": lr, "cost": 2.0}, Space(), root_directory=sys.argv[1],
    optimizer="random_search", ignore_errors=True, total_cost_to_spend=40,
)
"""


def table(path):
    with open(path, newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def same_cell(a, b):
    try:
        return float(a) == float(b)
    except ValueError:
        return a == b


def compare(ours, theirs, problems):
    for name in ["best_config.txt", "best_config_trajectory.txt"]:
        if (ours / name).read_text().strip() != (theirs / name).read_text().strip():
            problems.append(f"{name} is not what NePS writes")
    a, b = table(ours / "full.csv"), table(theirs / "full.csv")
    # In the order of their sampling; those of one moment are in any order.
    order = lambda table: [row["time_sampled"] for row in table.values()]
    if a.keys() != b.keys() or list(map(float, order(a))) != list(map(float, order(b))):
        problems.append(f"full.csv has the trials {list(a)}, NePS's has {list(b)}")
    # What NePS is told instead of a cost that is not charged.
    columns = set(next(iter(b.values()))) - {"extra.trialmill_uncharged_cost"}
    for id in a.keys() & b.keys():
        for column in columns:
            if not same_cell(a[id].get(column, "no such column"), b[id][column]):
                problems.append(f"full.csv, {id}: {column} is {a[id].get(column)!r}, NePS's is {b[id][column]!r}")


def main():
    python = [neps_home([VERSION]) / "bin" / "neps-python", VERSION]
    trialmill, problems = trialmill_program(), []
    work = pathlib.Path(tempfile.mkdtemp(prefix="trialmill-summary-"))
    study = work / "study"
    (work / "study.yaml").write_text(STUDY)
    (work / "evaluate.py").write_text(EVALUATE)
    run = [trialmill, "run", work / "study.yaml", "--layout", "neps", "--dir", study, "-q"]
    command = ["--", sys.executable, work / "evaluate.py"]

    def spent(most):
        status = subprocess.run([trialmill, "status", study, "--json"], check=True, capture_output=True).stdout
        cost = json.loads(status)["spent"]["cost"]
        # A trial that is in progress at the end still counts.
        if not most <= cost <= most + 2:
            problems.append(f"{cost} spent of {most}")
        listed = subprocess.run([trialmill, "trials", study, "--json"], check=True, capture_output=True).stdout
        trials = json.loads(listed)
        free = [trial for trial in trials if (trial["report"] or {}).get("account_for_cost") is False]
        if not free or any(trial["report"]["cost"] != 2 for trial in free):
            problems.append(f"the costs that are not charged: {[trial['report']['cost'] for trial in free]}")
        charged = sum((trial["report"] or {}).get("cost") or 0 for trial in trials if trial not in free)
        if charged != cost:
            problems.append(f"{cost} is said to be spent, {charged} was")
        return len(trials), len(free)

    subprocess.run([*run, *command], check=True)
    first = spent(30)
    shutil.copytree(study / "summary", work / "ours")
    subprocess.run([*python, "-c", NEPS_SUMMARY, study], check=True, capture_output=True)
    compare(work / "ours", study / "summary", problems)
    # It says what went wrong, if it did.
    subprocess.run([*python, "-c", NEPS_GOES_ON, study], check=True, stdout=subprocess.DEVNULL)
    second = spent(40)
    subprocess.run([*run, "--cost", "46", *command], check=True)
    third = spent(46)
    if not first[0] < second[0] < third[0] or second[1] != first[1]:
        problems.append(f"trials, and those not charged: {first}, {second}, {third}")
    print(f"{'FAILED' if problems else 'ok'}: trials and those not charged {first}, {second} after NePS, {third}")
    for problem in problems:
        print(f"    {problem}")
    if problems:
        print(f"    kept: {work}")
    else:
        shutil.rmtree(work)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
