"""What Optuna's pruners say at each step of the same trials: python optuna_pruners.py > optuna_pruners.json

Each line of a case is [trial, step, value, verdict]; at its last step a trial that was not pruned succeeds.
Four trials go on side by side."""
import json, logging, math, random, warnings
import optuna
from optuna import pruners as P

warnings.filterwarnings("ignore")
optuna.logging.set_verbosity(optuna.logging.ERROR)

CASES = [
    ("median", {}, P.MedianPruner()),
    ("median", {"startup_trials": 2, "warmup_steps": 3, "interval_steps": 4, "min_trials": 3},
     P.MedianPruner(n_startup_trials=2, n_warmup_steps=3, interval_steps=4, n_min_trials=3)),
    ("percentile", {"percentile": 30.0, "startup_trials": 3}, P.PercentilePruner(30.0, n_startup_trials=3)),
    ("threshold", {"upper": 0.7, "warmup_steps": 2}, P.ThresholdPruner(upper=0.7, n_warmup_steps=2)),
    ("threshold", {"lower": 0.1, "upper": 0.9, "interval_steps": 3},
     P.ThresholdPruner(lower=0.1, upper=0.9, interval_steps=3)),
    ("patience", {"patience": 2}, P.PatientPruner(None, patience=2)),
    ("patience", {"patience": 1, "min_delta": 0.02, "pruner": {"name": "median", "startup_trials": 2}},
     P.PatientPruner(P.MedianPruner(n_startup_trials=2), patience=1, min_delta=0.02)),
    ("successive_halving", {"reduction_factor": 3}, P.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)),
    ("successive_halving", {"min_steps": 2, "reduction_factor": 2, "skipped_rungs": 1},
     P.SuccessiveHalvingPruner(min_resource=2, reduction_factor=2, min_early_stopping_rate=1)),
    ("wilcoxon", {}, P.WilcoxonPruner()),
    ("wilcoxon", {"p_threshold": 0.3, "startup_steps": 4}, P.WilcoxonPruner(p_threshold=0.3, n_startup_steps=4)),
]
STEPS, TRIALS, PARALLEL = 16, 40, 4


def run(case, pruner, seed):
    draw, study, lines = random.Random(seed), optuna.create_study(pruner=pruner), []
    running, begun = [], 0
    while running or begun < TRIALS:
        while len(running) < PARALLEL and begun < TRIALS:
            running.append((study.ask(), begun + 1, draw.random() * 0.5, draw.choice([1, 2, 4]), 0))
            begun += 1
        at = draw.randrange(len(running))
        trial, number, level, speed, step = running[at]
        step += 1
        value = round(level + 0.5 * math.exp(-step / (2 * speed)) + draw.gauss(0, 0.03), 4)
        if draw.random() < 0.03:
            value = math.nan
        trial.report(value, step)
        verdict = bool(trial.should_prune())
        lines.append([number, step, "nan" if math.isnan(value) else value, verdict])
        if verdict:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        elif step == STEPS:
            study.tell(trial, 1.0 if math.isnan(value) else value)
        running[at] = (trial, number, level, speed, step)
        if verdict or step == STEPS:
            running.pop(at)
    return {"name": case[0], "arguments": case[1], "lines": lines}


# The third and the fifth time found faults: NaN alone in a window, and NaN among too few trials.
times = [0, 1, 2, 4]
cases = [run(case, case[2], time * len(CASES) + at) for time in times for at, case in enumerate(CASES)]
print("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]")
