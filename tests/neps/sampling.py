#!/usr/bin/env python3
"""trialmill evaluates what NePS's own optimizers sample. Only the standard library is needed.

    tests/neps/sampling.py [OPTIMIZER...] [--evaluations N]      hyperband, asha and priorband unless named

For each optimizer genuine NePS 0.17 creates the directory, two `trialmill worker` processes evaluate, and
`trialmill sample` keeps trials waiting with NePS's code. At the end every trial was evaluated once, by trialmill,
on the rungs that NePS asked for, and every continued trial found the checkpoint of the one that it continues.
Which NePS and which trialmill: as in live.py. Exit code 1 when anything is wrong.
"""

import argparse
import collections
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

from live import neps_home, trialmill_program

VERSION = "0.17.0"
CREATE = """
import sys, neps
from neps.state import NePSState, OptimizationState, SeedSnapshot, BudgetInfo
from neps.optimizers import load_optimizer
from neps.space.parsing import convert_to_space
from neps.space.neps_spaces.neps_space import convert_neps_to_classic_search_space
import pathlib

class Space(neps.PipelineSpace):
    lr = neps.Float(1e-5, 1e-1, log=True, prior=1e-3, prior_confidence="medium")
    layers = neps.Integer(1, 8, prior=3, prior_confidence="low")
    epochs = neps.IntegerFidelity(1, 27)

space = Space()
space = convert_to_space(convert_neps_to_classic_search_space(space) or space)
_, info = load_optimizer(optimizer=sys.argv[2], space=space)
budget = BudgetInfo(total_evaluations_to_spend=int(sys.argv[3]))
state = OptimizationState(seed_snapshot=SeedSnapshot.new_capture(), budget=budget, shared_state=None)
NePSState.create_or_load(
    pathlib.Path(sys.argv[1]), optimizer_info=info, optimizer_state=state, pipeline_space=space
)
"""
EVALUATE = """
import json, os, pathlib, sys, time
config = json.load(open(os.environ["TRIALMILL_CONFIG"]))
previous = os.environ.get("TRIALMILL_PREVIOUS_DIR")
found = bool(previous) and (pathlib.Path(previous) / "checkpoint").exists()
time.sleep(0.3)  # whoever continues this too early finds nothing
pathlib.Path(os.environ["TRIALMILL_TRIAL_DIR"], "checkpoint").write_text("here")
line = {"id": os.environ["TRIALMILL_TRIAL_ID"], "epochs": config["epochs"], "continues": bool(previous), "found": found}
with open(sys.argv[1], "a") as ledger:
    ledger.write(json.dumps(line) + "\\n")
print(abs(config["lr"] - 0.01) + 1 / config["epochs"])
"""


def run(optimizer, evaluations, python, trialmill, work):
    """The problems of one optimizer's run, and what was seen."""
    study, ledger = work / "study", work / "ledger"
    subprocess.run([*python, "-c", CREATE, study, optimizer, str(evaluations)], check=True, capture_output=True)
    (work / "evaluate.py").write_text(EVALUATE)
    command = [trialmill, "worker", study, "-q", "-w", "2", "--", sys.executable, work / "evaluate.py", ledger]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    command = [trialmill, "sample", study, "--ahead", "4", "--", *python]
    sampler = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        # The workers end with the budget; if they end before, the sampler would wait for ever.
        said = [worker.communicate(timeout=600)[0] for worker in workers]
        sampled = sampler.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        return [f"it did not end; the workers' codes: {[worker.poll() for worker in workers]}"], "nothing"
    finally:
        for worker in workers:
            worker.kill()
        if sampler.poll() is None:
            os.killpg(sampler.pid, signal.SIGKILL)
    problems = [f"a worker ended with {w.returncode}: {s[-500:]}" for w, s in zip(workers, said) if w.returncode]
    if sampler.returncode:
        problems.append(f"the sampler ended with {sampler.returncode}: {sampled[-500:]}")
    lines = [json.loads(line) for line in ledger.read_text().splitlines()]
    trials = json.loads(subprocess.run([trialmill, "trials", study, "--json"], check=True, capture_output=True).stdout)
    states = collections.Counter(trial["state"] for trial in trials)
    if states != {"success": evaluations}:
        problems.append(f"of {evaluations} trials there are {dict(states)}")
    if sorted(line["id"] for line in lines) != sorted(str(trial["id"]) for trial in trials):
        problems.append("the trials that were evaluated are not those of the study, each once")
    lost = [line["id"] for line in lines if line["continues"] and not line["found"]]
    if lost:
        problems.append(f"these did not find the checkpoint that they continue: {lost}")
    rungs = collections.Counter(line["epochs"] for line in lines)
    continued = sum(line["continues"] for line in lines)
    return problems, f"{len(lines)} by trialmill, epochs {dict(sorted(rungs.items()))}, {continued} continued"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("optimizers", nargs="*", default=["hyperband", "asha", "priorband"])
    parser.add_argument("--evaluations", type=int, default=40)
    args = parser.parse_args()
    python = [neps_home([VERSION]) / "bin" / "neps-python", VERSION]
    trialmill, failed = trialmill_program(), False
    for optimizer in args.optimizers:
        work = pathlib.Path(tempfile.mkdtemp(prefix="trialmill-sampling-"))
        problems, seen = run(optimizer, args.evaluations, python, trialmill, work)
        print(f"{optimizer:12} {'FAILED' if problems else 'ok':7} {seen}", flush=True)
        for problem in problems:
            failed = True
            print(f"    {problem}\n    kept: {work}", flush=True)
        if not problems:
            shutil.rmtree(work)
    sys.exit(failed)


if __name__ == "__main__":
    main()
