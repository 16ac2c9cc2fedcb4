"""Optuna on the problems of own.json and digits.json, one line for each run, as the other references have them.

    python3 own_reference.py own.jsonl [SEEDS [PROBLEM...]]

TPE and CMA-ES with 200 trials; TPE with Hyperband where epochs are the fidelity. With Optuna 5 and cmaes.
"""

import json
import math
import pathlib
import sys

import optuna
from optuna import distributions, pruners, samplers

HERE = pathlib.Path(__file__).parent
MARKS = [10, 25, 50, 75, 100, 150, 200]
EPOCH_MARKS = [162, 405, 810, 1620]
A6 = [
    [10, 3, 17, 3.5, 1.7, 8],
    [0.05, 10, 17, 0.1, 8, 14],
    [3, 3.5, 1.7, 10, 17, 8],
    [17, 8, 0.05, 10, 0.1, 14],
]
P6 = [
    [1312, 1696, 5569, 124, 8283, 5886],
    [2329, 4135, 8307, 3736, 1004, 9991],
    [2348, 1451, 3522, 2883, 3047, 6650],
    [4047, 8828, 8732, 5743, 1091, 381],
]


def shifted(x, by):
    return [a - b for a, b in zip(x, by)]


def rotated(x):
    z = list(x)
    for i in range(len(z)):
        for j in range(i + 1, len(z)):
            sin, cos = math.sin(0.5 + 0.37 * (i + 2 * j)), math.cos(0.5 + 0.37 * (i + 2 * j))
            z[i], z[j] = cos * z[i] - sin * z[j], sin * z[i] + cos * z[j]
    return z


def rastrigin(x):
    z = rotated(shifted(x, [0.9, -1.3, 0.4, 1.7]))
    return 40 + sum(v * v - 10 * math.cos(2 * math.pi * v) for v in z)


def ellipsoid(x):
    z = rotated(shifted(x, [1.1, -0.4, 2.2, -1.9, 0.3, 1.6, -2.4, 0.8]))
    return sum(10 ** (3 * i / 7) * v * v for i, v in enumerate(z))


def schaffer(x):
    z = shifted(x, [0.7, -2.1, 1.4, 2.9, -0.6, -1.8])
    rings = [math.hypot(a, b) for a, b in zip(z, z[1:])]
    return sum(math.sqrt(r) * (1 + math.sin(3 * r) ** 2) for r in rings)


def mixed(x):
    kind, mode, count = "abcd".index(x[3]), "uvw".index(x[4]), x[5]
    z = rotated(shifted(x[:3], [0.2 * kind, 0.5, -0.3 * mode]))
    bowl = sum([1, 8, 30][(i + kind) % 3] * v * v for i, v in enumerate(z))
    offset = [0.6, 0, 0.3, 0.9][kind] * [1, 0.4, 0.7][mode] + [0.2, 0.5, 0][mode]
    return bowl + offset + 0.05 * (count - 3 - kind) ** 2


def levy(x):
    w = [1 + (v - 1) / 4 for v in shifted(x, [5.5, -3.9, 2.7, -6.3, 4.4, -2.2, 6.8, -5.1])]
    middle = sum((v - 1) ** 2 * (1 + 10 * math.sin(math.pi * v + 1) ** 2) for v in w[:-1])
    last = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return math.sin(math.pi * w[0]) ** 2 + middle + last


def rosenbrock(x):
    z = rotated(shifted(x, [0.3, -0.5, 0.2, 0.6, -0.4]))
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(z, z[1:]))


def hartmann(x):
    z = [v + 0.5 for v in rotated(shifted(x, [0.5] * 6))]
    rows = zip([1, 1.2, 3, 3.2], A6, P6)
    return -sum(c * math.exp(-sum(k * (v - 1e-4 * p) ** 2 for k, v, p in zip(a, z, q))) for c, a, q in rows)


FUNCTIONS = {
    "rotated-rastrigin4": rastrigin,
    "rotated-ellipsoid8": ellipsoid,
    "schaffer6": schaffer,
    "mixed-rotated6": mixed,
    "shifted-levy8": levy,
    "rotated-rosenbrock5": rosenbrock,
    "rotated-hartmann6": hartmann,
}


def distribution(parameter):
    if parameter["type"] == "categorical":
        return distributions.CategoricalDistribution(parameter["choices"])
    of = {"int": distributions.IntDistribution, "float": distributions.FloatDistribution}[parameter["type"]]
    return of(parameter["lower"], parameter["upper"], log=parameter["log"])


def problems():
    """Each problem with its distributions, and its function of the values and of the epochs."""
    for name in ["own.json", "digits.json"]:
        file = json.loads((HERE / name).read_text())
        for problem in file["problems"]:
            space = {p["name"]: distribution(p) for p in problem["params"]}
            if "table" in problem:
                yield problem, space, of_table(problem, file["tables"][problem["table"]])
            elif problem["name"] in FUNCTIONS:
                of = FUNCTIONS[problem["name"]]
                yield problem, space, lambda values, epochs, of=of: of(values)


def of_table(problem, table):
    choices = [p.get("choices") for p in problem["params"]]

    def value(values, epochs):
        row = 0
        for place, size, names in zip(values, table["sizes"], choices):
            row = row * size + (names.index(place) if names else place)
        looks = sum(epochs is None or at <= epochs for at in table["epochs"])
        return 100 * table["wrong"][row][max(looks, 1) - 1] / table["of"]

    return value


def trials(problem, space, function, sampler):
    study = optuna.create_study(sampler=sampler)
    best, regret = math.inf, {}
    for number in range(1, problem["budget"] + 1):
        trial = study.ask(space)
        value = function(list(trial.params.values()), None)
        study.tell(trial, value)
        best = min(best, value)
        if number in MARKS:
            regret[str(number)] = best - problem["optimum"]
    return regret


def epochs(problem, space, function, sampler):
    top = problem["fidelity"]["upper"]
    pruner = pruners.HyperbandPruner(min_resource=1, max_resource=top, reduction_factor=3)
    study = optuna.create_study(sampler=sampler, pruner=pruner)
    best, spent, regret = math.inf, 0, {}
    while spent < problem["budget"]:
        trial, before = study.ask(space), 0
        for at in [e for e in (1, 3, 9, 27, 81) if e <= top]:
            value = function(list(trial.params.values()), at)
            for mark in EPOCH_MARKS:
                if spent + at - before > mark and best < math.inf:
                    regret.setdefault(str(mark), max(best - problem["optimum"], 0))
            spent, before, best = spent + at - before, at, min(best, value)
            trial.report(value, at)
            if at == top or spent >= problem["budget"]:
                study.tell(trial, value)
                break
            if trial.should_prune():
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
    return {str(mark): regret.get(str(mark), max(best - problem["optimum"], 0)) for mark in EPOCH_MARKS}


def main(out, seeds="20", *names):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for problem, space, function in problems():
        if names and problem["name"] not in names:
            continue
        for seed in range(int(seeds)):
            runs = {"tpe": trials, "cma": trials}
            if problem["kind"] == "fidelity":
                runs = {"tpe+hyperband": epochs}
            for name, run in runs.items():
                kind = samplers.CmaEsSampler if name == "cma" else samplers.TPESampler
                more = {"warn_independent_sampling": False} if name == "cma" else {}
                regret = run(problem, space, function, kind(seed=seed, **more))
                line = {"problem": problem["name"], "sampler": name, "mode": "seq", "seed": seed}
                line["regret"] = {mark: float(f"{value:.5g}") for mark, value in regret.items()}
                with open(out, "a") as file:
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
