#!/usr/bin/env python3
"""Proposes with Optuna: TPE, or any other sampler of it. `pip install optuna`.

    optimizer: {command: [python3, examples/samplers/optuna_sampler.py, TPESampler]}

It reads a line of JSON for each request and answers with one; docs/optimizers.md has the protocol. What it
knows it learns from the trials that it is told, so it may be stopped and started again.
"""

import json
import sys

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

optuna.logging.set_verbosity(optuna.logging.ERROR)


def distribution(parameter):
    kind = parameter.get("type")
    if kind == "float":
        return FloatDistribution(parameter["lower"], parameter["upper"], log=parameter.get("log", False))
    if kind in ("int", "integer"):
        return IntDistribution(parameter["lower"], parameter["upper"], log=parameter.get("log", False))
    if kind in ("categorical", "ordinal"):
        return CategoricalDistribution(parameter["choices"])
    return CategoricalDistribution([parameter["value"]])


def main():
    study, space, pending = None, None, {}
    for line in sys.stdin:
        request = json.loads(line)
        if study is None:
            space = {name: distribution(each) for name, each in request["space"].items()}
            sampler = getattr(optuna.samplers, (sys.argv[1:] or ["TPESampler"])[0])
            # Another seed after each start, or what was drawn before would be drawn again.
            study = optuna.create_study(sampler=sampler(seed=(request["seed"] + request["first_sample"]) % 2**32))
        for trial in request["trials"]:
            told = pending.pop(json.dumps(trial["config"], sort_keys=True), None)
            objective = trial["objective_to_minimize"]
            if trial["state"] not in ("success", "failed", "crashed"):
                if told is not None:
                    pending[json.dumps(trial["config"], sort_keys=True)] = told
            elif told is not None:
                failed = objective is None
                study.tell(told, None if failed else objective, TrialState.FAIL if failed else TrialState.COMPLETE)
            elif objective is not None:
                study.add_trial(optuna.create_trial(params=trial["config"], distributions=space, value=objective))
        suggestions = []
        for _ in range(request["n"]):
            trial = study.ask(space)
            pending[json.dumps(trial.params, sort_keys=True)] = trial
            suggestions.append({"config": trial.params})
        print(json.dumps({"suggestions": suggestions}), flush=True)


if __name__ == "__main__":
    main()
