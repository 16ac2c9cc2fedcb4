"""Optuna's pruners on the curves that `yardstick curves` exports, and the table of both.

    cargo run --release -p yardstick -- curves --seeds 0-20 > curves.jsonl
    cargo run --release -p yardstick -- prune --seeds 0-20 > ours.jsonl
    python optuna_pruners.py run curves.jsonl > optuna.jsonl        # Optuna 5.0
    python optuna_pruners.py table ours.jsonl optuna.jsonl
"""
import heapq, json, logging, statistics, sys, warnings

EPOCHS, BUDGET, MARKS = 81, 1620, (405, 810, 1620)


def run(path):
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
        for name, pruner in make.items():
            for mode, workers in (("seq", 1), ("par8", 8)):
                study = optuna.create_study(pruner=pruner(), study_name=f"s{case['seed']}")
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
                                  "seed": case["seed"], "trials": trials, "finished": finished,
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


if __name__ == "__main__":
    run(sys.argv[2]) if sys.argv[1] == "run" else table(sys.argv[2:])
