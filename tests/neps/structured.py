#!/usr/bin/env python3
"""A structured space of genuine NePS 0.17, read by trialmill. Only the standard library is needed.

    tests/neps/structured.py [--trials N] [--keep DIR]

NePS samples N trials of a space with operations, choices among them, repetitions and references, and says by its own
`resolve` what each of them is. trialmill lists the same, a command gets the same, and what it stores is for NePS what
it was. --keep leaves the directory as NePS made it, and DIR-resolved.json beside it: so the fixture was made.
Which NePS and which trialmill: as in live.py. Exit code 1 when anything is wrong.
"""

import argparse
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

from live import neps_home, trialmill_program

VERSION = "0.17.0"
SAMPLE = """
import json, pathlib, sys
from neps import Categorical, Float, Integer, IntegerFidelity, Operation, PipelineSpace
from neps.optimizers import load_optimizer
from neps.space.neps_spaces.parameters import ByName, Repeated, Resample
from neps.state import BudgetInfo, NePSState, OptimizationState, SeedSnapshot

class Space(PipelineSpace):
    lr = Float(1e-5, 1e-1, log=True)
    epochs = IntegerFidelity(1, 9)
    seed = 7
    width = Integer(8, 64)
    kernel = Categorical((3, 5, Integer(7, 9)))
    activation = Categorical((Operation("relu"), Operation("elu", kwargs={"alpha": Float(0.1, 1.0)})))
    conv = Operation(
        "conv", args=(width, kernel), kwargs={"activation": activation, "bias": True, "pads": [0, Integer(1, 2)]}
    )
    other = Operation("conv", args=[Resample(width), ByName("kernel")], kwargs={"activation": Resample(activation)})
    cell = Categorical((conv, Operation("pool"), Resample(conv), "skip", json.dumps))
    stack = Repeated(count=Integer(1, 3), content=Resample(cell))
    net = Operation(dict, kwargs={"first": conv, "rest": stack, "again": ByName("conv").resample(), "nothing": None})
    group = Categorical(((1, 2, 3), (4, Float(5.0, 6.0), 6)))
    picked = Categorical(choices=group)
    repicked = Categorical(choices=Resample(group))
    bounded = Integer(1, 100, prior=3, prior_confidence="low")
    optimizer = Operation("sgd")
    tags = (1, "a", [Categorical(("x", "y"))])

root, trials = pathlib.Path(sys.argv[1]), int(sys.argv[2])
optimizer = ("neps_random_search", {"ignore_fidelity": "highest_fidelity"})
optimizer, info = load_optimizer(optimizer=optimizer, space=Space())
budget = BudgetInfo(total_evaluations_to_spend=trials)
state = OptimizationState(seed_snapshot=SeedSnapshot.new_capture(), budget=budget, shared_state=None)
state = NePSState.create_or_load(root, optimizer_info=info, optimizer_state=state, pipeline_space=Space())
for _ in range(trials):
    state.lock_and_sample_trial(optimizer, worker_id="w")
"""
RESOLVE = """
import json, pathlib, sys
from neps.space.neps_spaces import neps_space
from neps.space.neps_spaces.parameters import Operation
from neps.space.neps_spaces.sampling import OnlyPredefinedValuesSampler
from neps.state import NePSState

def shown(value):
    if isinstance(value, Operation):
        parts = {"operator": shown(value.operator), "args": shown(value.args), "kwargs": shown(value.kwargs)}
        return parts if value.args or value.kwargs else parts["operator"]
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    return f"{value.__module__}.{value.__qualname__}" if callable(value) else value

state = NePSState.create_or_load(pathlib.Path(sys.argv[1]), load_only=True)
space, resolved = state.lock_and_get_search_space(), {}
for id, trial in state.lock_and_read_trials().items():
    on_disk = state._trial_repo.load_trial_from_disk(id)
    assert dict(on_disk.config) == dict(trial.config), f"trial {id}: the cache and the files differ"
    drawn = neps_space.NepsCompatConverter.from_neps_config(trial.config)
    pipeline, _ = neps_space.resolve(
        space, OnlyPredefinedValuesSampler(drawn.predefined_samplings), environment_values=drawn.environment_values
    )
    # get_attrs() leaves out what can be called, though it is what was chosen.
    resolved[id] = {name: shown(getattr(pipeline, name)) for name in space.get_attrs()}
print(json.dumps(resolved, indent=1))
"""
EVALUATE = """
import json, os, sys
with open(sys.argv[1], "a") as ledger:
    config = json.load(open(os.environ["TRIALMILL_CONFIG"]))
    ledger.write(json.dumps([os.environ["TRIALMILL_TRIAL_ID"], config, *sys.argv[2:]]) + "\\n")
print(0.5)
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--keep", type=pathlib.Path)
    args = parser.parse_args()
    python = [neps_home([VERSION]) / "bin" / "neps-python", VERSION]
    trialmill, problems = trialmill_program(), []
    work = pathlib.Path(tempfile.mkdtemp(prefix="trialmill-structured-"))
    study = args.keep or work / "study"

    def resolved():
        return json.loads(subprocess.run([*python, "-c", RESOLVE, study], check=True, stdout=subprocess.PIPE).stdout)

    subprocess.run([*python, "-c", SAMPLE, study, str(args.trials)], check=True, stdout=subprocess.DEVNULL)
    theirs = resolved()
    if args.keep:
        args.keep.with_name(f"{args.keep.name}-resolved.json").write_text(json.dumps(theirs, indent=1) + "\n")
        return
    listed = subprocess.run([trialmill, "trials", study, "--json"], check=True, capture_output=True).stdout
    ours = {trial["id"]: trial["config"] for trial in json.loads(listed)}
    problems += [f"trial {id} is {ours.get(id)}, for NePS {theirs[id]}" for id in theirs if ours.get(id) != theirs[id]]
    (work / "evaluate.py").write_text(EVALUATE)
    command = [sys.executable, work / "evaluate.py", work / "ledger", "{epochs}", "{optimizer}", "--kernel={kernel}"]
    subprocess.run([trialmill, "worker", study, "-w", "2", "-q", "--", *command], check=True)
    lines = [json.loads(line) for line in (work / "ledger").read_text().splitlines()]
    if sorted(line[0] for line in lines) != sorted(theirs):
        problems.append("the trials that were evaluated are not those that NePS sampled, each once")
    for id, config, epochs, optimizer, kernel in lines:
        wanted = theirs[id]
        if config != wanted or [epochs, optimizer, kernel] != ["9", "sgd", f"--kernel={wanted['kernel']}"]:
            problems.append(f"the command of trial {id} got {config}, {epochs} {optimizer} {kernel}")
    if resolved() != theirs:
        problems.append("what is stored now is another configuration for NePS")
    print(f"{'FAILED' if problems else 'ok'}: {len(lines)} trials")
    for problem in problems[:5]:
        print(f"    {problem}\n    kept: {work}")
    if not problems:
        shutil.rmtree(work)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
