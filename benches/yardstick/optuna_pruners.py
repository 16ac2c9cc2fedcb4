"""Optuna's pruners on the curves that `yardstick curves` exports, and the table of both.

    cargo run --release -p yardstick -- curves --seeds 0-20 > curves.jsonl
    cargo run --release -p yardstick -- prune --seeds 0-20 > ours.jsonl
    python optuna_pruners.py run curves.jsonl > optuna.jsonl        # Optuna 5.0
    python optuna_pruners.py table ours.jsonl optuna.jsonl
    python optuna_pruners.py test ours.jsonl optuna.jsonl           # is the difference more than chance?

`run curves.jsonl hyperband` runs one pruner alone, and `run curves.jsonl hyperband 5` that under five names of the
study, which decide the brackets.
"""
import heapq, json, logging, math, statistics, sys, warnings

EPOCHS, BUDGET, MARKS = 81, 1620, (405, 810, 1620)


def run(path, only=None, names=1):
    import optuna
    from optuna import pruners as P
    warnings.filterwarnings("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    make = {
        "median": P.MedianPruner,
        "percentile": P.PercentilePruner,
        "successive_halving": lambda: P.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
        "hyperband": lambda: P.HyperbandPruner(min_resource=1, max_resource=EPOCHS, reduction_factor=3),
        "patience": lambda: P.PatientPruner(P.MedianPruner(), patience=2),
    }
    make["percentile"] = lambda: P.PercentilePruner(25.0)
    for line in open(path):
        case = json.loads(line)
        ways = [(name, way) for name in make if only in (None, name) for way in range(int(names))]
        for name, way in ways:
            for mode, workers in (("seq", 1), ("par8", 8)):
                study = optuna.create_study(pruner=make[name](), study_name=f"s{case['seed']}" + "x" * way)
                heap, trials, finished, spent, turn, now = [], 0, 0, 0, 0, 0
                best, regret = float("inf"), []
                while spent < BUDGET:
                    while len(heap) < workers:
                        heapq.heappush(heap, (now + 1, turn, study.ask(), trials, 0))
                        trials, turn = trials + 1, turn + 1
                    now, _, trial, number, epoch = heapq.heappop(heap)
                    spent += 1
                    noisy, exact = case["curves"][number][0][epoch], case["curves"][number][1][epoch]
                    if noisy < best:
                        best = noisy
                        regret.append((spent, max(exact - case["optimum"], 0)))
                    trial.report(noisy, epoch + 1)
                    if trial.should_prune():
                        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                    elif epoch + 1 == EPOCHS:
                        study.tell(trial, noisy)
                        finished += 1
                    else:
                        heapq.heappush(heap, (now + 1, turn, trial, number, epoch + 1))
                        turn += 1
                print(json.dumps({"problem": case["problem"], "pruner": name, "of": "optuna", "mode": mode,
                                  "seed": case["seed"], "way": way, "trials": trials, "finished": finished,
                                  "regret": regret}), flush=True)


def at(regret, mark):
    return [value for spent, value in regret if spent <= mark][-1]


def table(paths):
    runs = [json.loads(line) for path in paths for line in open(path)]
    groups = {}
    for one in runs:
        groups.setdefault((one["problem"], one["mode"], one["pruner"], one["of"]), []).append(one)
    print("| problem | workers | pruner | | trials | whole | " + " | ".join(f"{mark} epochs" for mark in MARKS)
          + " | epochs to the unpruned median |\n|" + "---|" * 10)
    for (problem, mode, pruner, of), group in sorted(groups.items()):
        unpruned = groups.get((problem, mode, "none", "trialmill"), group)
        goal = statistics.median(at(one["regret"], BUDGET) for one in unpruned)
        reached = [min([spent for spent, value in one["regret"] if value <= goal], default=BUDGET * 2)
                   for one in group]
        median = statistics.median(reached)
        cells = [problem, mode, pruner, of] + [
            f"{statistics.median(one[key] for one in group):.0f}" for key in ("trials", "finished")]
        cells += [f"{statistics.median(at(one['regret'], mark) for one in group):.4f}" for mark in MARKS]
        print("| " + " | ".join(cells + [f"{median:.0f}" if median <= BUDGET else "not reached"]) + " |")


def test(paths):
    """For each mark the ratio of the regrets, ours to Optuna's, of the same configurations, and how probable so much or
    more is by chance alone: Wilcoxon's signed-rank test, by its normal approximation, on the logarithms. Of several
    names of a study the mean counts."""
    runs = {}
    for path in paths:
        for line in open(path):
            one = json.loads(line)
            key = (one["problem"], one["mode"], one["pruner"])
            runs.setdefault(key, {}).setdefault(one["seed"], {}).setdefault(one["of"], []).append(one["regret"])
    print("| problem | workers | pruner | epochs | seeds | ratio | better, equal, worse | p |\n|" + "---|" * 8)
    for key, seeds in sorted(runs.items()):
        pairs = [each for each in seeds.values() if len(each) == 2]
        for mark in MARKS if pairs else ():
            log = lambda list: statistics.fmean(math.log(max(at(one, mark), 1e-6)) for one in list)
            all = [log(each["trialmill"]) - log(each["optuna"]) for each in pairs]
            better, worse = (sum(sign * d < -1e-12 for d in all) for sign in (1, -1))
            ratio = math.exp(statistics.fmean(all))
            print("| " + " | ".join(key) + f" | {mark} | {len(all)} | {ratio:.3f} "
                  f"| {better}, {len(all) - better - worse}, {worse} | {signed_rank(all):.2f} |")


def signed_rank(differences):
    there = sorted((d for d in differences if abs(d) > 1e-12), key=abs)
    n = len(there)
    if n == 0:
        return 1.0
    ranks = {}
    for place, d in enumerate(there, 1):
        ranks.setdefault(round(abs(d), 12), []).append(place)
    plus = sum(statistics.fmean(ranks[round(abs(d), 12)]) for d in there if d > 0)
    sigma = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    z = max(abs(plus - n * (n + 1) / 4) - 0.5, 0) / sigma
    return math.erfc(z / math.sqrt(2))


if __name__ == "__main__":
    {"run": lambda: run(*sys.argv[2:]), "table": lambda: table(sys.argv[2:]), "test": lambda: test(sys.argv[2:])}[sys.argv[1]]()
