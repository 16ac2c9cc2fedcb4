"""Optuna's TPE on the problems of own.rs: prints the median of the best value after 50 and 100 trials,
over ten seeds. `python3 own_reference.py`, with Optuna 5."""

import math
import statistics

import optuna


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
    kind, mode, count = int(x[3]), int(x[4]), x[5]
    z = rotated(shifted(x[:3], [0.2 * kind, 0.5, -0.3 * mode]))
    bowl = sum([1, 8, 30][(i + kind) % 3] * v * v for i, v in enumerate(z))
    offset = [0.6, 0, 0.3, 0.9][kind] * [1, 0.4, 0.7][mode] + [0.2, 0.5, 0][mode]
    return bowl + offset + 0.05 * (count - 3 - kind) ** 2


def of_floats(function, bound, count):
    return lambda trial: function([trial.suggest_float(f"x{i}", -bound, bound) for i in range(count)])


def of_mixed(trial):
    x = [trial.suggest_float(f"x{i}", -2, 2) for i in range(3)]
    kind = "abcd".index(trial.suggest_categorical("kind", list("abcd")))
    mode = "uvw".index(trial.suggest_categorical("mode", list("uvw")))
    return mixed([*x, kind, mode, trial.suggest_int("count", 1, 9)])


PROBLEMS = {
    "rotated-rastrigin4": of_floats(rastrigin, 5.12, 4),
    "rotated-ellipsoid8": of_floats(ellipsoid, 5, 8),
    "schaffer6": of_floats(schaffer, 5, 6),
    "mixed-rotated6": of_mixed,
}

if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for name, objective in PROBLEMS.items():
        early, late = [], []
        for seed in range(10):
            study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
            study.optimize(objective, n_trials=100)
            values = [trial.value for trial in study.trials]
            early.append(min(values[:50]))
            late.append(min(values))
        print(name, statistics.median(early), statistics.median(late), flush=True)
