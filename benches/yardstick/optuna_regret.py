"""The bound on the regret of Optuna's terminator, from the trials of `yardstick regret`, beside ours.

    cargo run --release -p yardstick -- regret --seeds 0-10 > ours.jsonl
    python optuna_regret.py run ours.jsonl > both.jsonl          # Optuna 5.0, with torch and scipy
    python optuna_regret.py table both.jsonl
"""
import json, statistics, sys, time, warnings


def run(path):
    import optuna
    from optuna.distributions import CategoricalDistribution, FloatDistribution
    from optuna.study import StudyDirection
    from optuna.terminator import RegretBoundEvaluator
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for line in open(path):
        case = json.loads(line)
        kinds = {
            f"x{at}": CategoricalDistribution(list(range(choices))) if choices else FloatDistribution(0, 1)
            for at, choices in enumerate(case["choices"])
        }
        # A category's place on the unit interval is the middle of its share.
        value = lambda x, choices: min(int(x * choices), choices - 1) if choices else min(max(x, 0.0), 1.0)
        trials = [
            optuna.trial.create_trial(
                params={name: value(x, choices) for name, x, choices in zip(kinds, point, case["choices"])},
                distributions=kinds, value=y)
            for point, y in case.pop("trials")
        ]
        began = time.process_time()
        bound = RegretBoundEvaluator(seed=case["seed"]).evaluate(trials, StudyDirection.MINIMIZE)
        case.pop("choices")
        print(json.dumps({**case, "optuna": bound, "optuna_ms": 1000 * (time.process_time() - began)}), flush=True)


def table(path):
    groups = {}
    for line in open(path):
        one = json.loads(line)
        groups.setdefault((one["problem"], one["optimizer"], one["n"]), []).append(one)
    print("| problem | trials by | trials | regret | bound | Optuna's | ratio | holds | Optuna's | ms | Optuna's |\n|" + "---|" * 11)
    everything = []
    for (problem, optimizer, n), group in sorted(groups.items()):
        median = lambda key: statistics.median(one[key] for one in group)
        ratios = [one["bound"] / one["optuna"] for one in group if one["bound"] and one["optuna"]]
        everything += ratios
        holds = lambda key: f"{sum(one[key] >= one['regret'] for one in group)}/{len(group)}"
        print(f"| {problem} | {optimizer} | {n} | {median('regret'):.3g} | {median('bound'):.3g} | {median('optuna'):.3g} "
              f"| {statistics.median(ratios):.2f} | {holds('bound')} | {holds('optuna')} | {median('ms'):.0f} | {median('optuna_ms'):.0f} |")
    everything.sort()
    within = sum(0.1 <= ratio <= 10 for ratio in everything)
    at = lambda part: everything[int(part * (len(everything) - 1))]
    print(f"\n{len(everything)} bounds: ratio {at(0.05):.2f} / {at(0.5):.2f} / {at(0.95):.2f} (5, 50, 95 %), {within} within ten times")


if __name__ == "__main__":
    run(sys.argv[2]) if sys.argv[1] == "run" else table(sys.argv[2])
