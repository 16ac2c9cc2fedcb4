"""What genuine NePS makes of a directory, held against its files, trialmill's listing and the ledgers.

verify.py DIR --evaluations N [--trialmill FILE] [--ledger FILE]... [--killed-neps K] [--killed-trialmill K]

FILE is what `trialmill trials DIR --json` printed. One line of JSON on stdout; exit code 1 when anything is
wrong. Runs under the NePS that wrote the directory.
"""

import argparse
import collections
import dataclasses
import json
import pathlib
import sys

import neps

# /proc/uptime, where a command takes its times from, counts hundredths of a second.
CLOCK_SECONDS = 0.02
UNFINISHED = {"pending", "evaluating", "in_progress"}
# NePS 0.12 has words of its own, which trialmill shows as those of 0.13.
STATE_OF_012 = {"error": "crashed", "in_progress": "evaluating", "complete": "success"}
# How a trial that trialmill pruned looks to NePS: it failed, with this beside its result. NePS 0.12 sees an error
# of that name.
MARK = "trialmill_state"
TIMES = ("time_sampled", "time_started", "time_end")
WORKERS = ("sampling_worker_id", "evaluating_worker_id")


def of_trial(trial):
    """A trial of 0.13+ as plain data."""
    metadata = dataclasses.asdict(trial.metadata)
    report = None if trial.report is None else dataclasses.asdict(trial.report)
    if report:
        report["err"] = None if report["err"] is None else str(report["err"])
    return {"state": trial.metadata.state.value, "config": dict(trial.config), "metadata": metadata, "report": report}


def read_013(root, problems):
    """By NePS's own state: the cache, which its workers believe, and each trial's files beside it."""
    from neps.state.neps_state import NePSState

    repository = NePSState.create_or_load(root, load_only=True)._trial_repo
    # Exactly what a worker does, with its possible rewriting of the cache.
    cached = {id: of_trial(trial) for id, trial in repository.latest().items()}
    on_disk = {id: of_trial(repository.load_trial_from_disk(id)) for id in repository.list_trial_ids()}
    for id in sorted(cached.keys() ^ on_disk.keys()):
        problems.append(f"trial {id} is only in the {'cache' if id in cached else 'files'}")
    for id in cached.keys() & on_disk.keys():
        for part in ("state", "config", "metadata", "report"):
            if cached[id][part] != on_disk[id][part]:
                problems.append(f"trial {id}: {part} is {cached[id][part]} in the cache, {on_disk[id][part]} in the files")
    try:
        table, _ = neps.status(root, print_summary=False)
        if len(table) != len(cached):
            problems.append(f"neps.status shows {len(table)} trials, the cache has {len(cached)}")
    except Exception as error:  # whatever it raises is the finding
        problems.append(f"neps.status raised {error!r}")
    return cached


def read_012(root, problems):
    """By NePS's own readers of a trial's directory; there is no cache."""
    from neps.runtime import Trial

    trials = {}
    for directory in sorted((root / "results").iterdir()):
        disk = Trial.Disk.from_dir(directory)
        # 0.12.0 reads by itself; 0.12.1 on reads into a Trial.
        trial = disk.load() if hasattr(disk, "load") else Trial.from_disk(disk)
        state = disk.state() if callable(disk.state) else disk.state
        result = disk.to_result().result if hasattr(disk, "to_result") and state.value == "complete" else None
        if getattr(trial, "report", None) is not None:
            result = trial.report.results
        objective = result.get("loss") if isinstance(result, dict) else None
        error = directory / "error.yaml"
        if state.value == "error" and "err: pruned" in error.read_text().splitlines():
            result, objective = {}, None
        if state.value == "corrupted":
            problems.append(f"trial {trial.id} is corrupted to NePS")
        trials[trial.id] = {
            "state": STATE_OF_012.get(state.value, state.value),
            "config": dict(trial.config),
            "metadata": {"time_sampled": trial.metadata.get("time_sampled")},
            "report": None if result is None else {"objective_to_minimize": objective},
            "is_pruned": result == {},
        }
    return trials


def is_pruned(trial, args):
    """Whether NePS sees a trial that trialmill ended early."""
    extra = (trial["report"] or {}).get("extra") or {}
    return args.pruned_beyond is not None and (trial.get("is_pruned") or extra.get(MARK) == "pruned")


def against_itself(trials, evaluations, args, problems):
    """The budget, and each value by its configuration."""
    count = collections.Counter(trial["state"] for trial in trials.values())
    unfinished = sum(count[state] for state in UNFINISHED)
    old = args.layout == "0.12"
    # 0.12 does not count what a killed worker left; 0.13+ does. And 0.12 samples under a lock that it gives up before
    # it takes the trial's: another worker may look between the two, and then does not count that trial.
    charged = len(trials) - (unfinished if old else 0)
    if not evaluations <= charged <= evaluations + (1 if old else 0):
        problems.append(f"{charged} trials charged, {evaluations} were to be: {dict(count)}")
    if unfinished > args.killed_neps:
        problems.append(f"{unfinished} unfinished trials, but {args.killed_neps} NePS workers were killed: {dict(count)}")
    for id, trial in trials.items():
        config, report = trial["config"], trial["report"]
        value = None if report is None else report["objective_to_minimize"]
        if report is None:
            if trial["state"] not in UNFINISHED:
                problems.append(f"trial {id} is {trial['state']} without a report")
        elif is_pruned(trial, args):
            count["pruned by trialmill"] += 1
            if value is not None or config["layers"] <= args.pruned_beyond:
                problems.append(f"trial {id} was pruned with {value} and {config}")
        elif trial["state"] != "success":
            problems.append(f"trial {id} is {trial['state']}: {report}")
        elif value != config["x"] * config["x"] + config["lr"] + config["layers"]:
            problems.append(f"trial {id}: {value} is not the objective of {config}")
    seen = collections.Counter(json.dumps(trial["config"], sort_keys=True) for trial in trials.values())
    for config, times in seen.items():
        if times > 1:
            problems.append(f"{times} trials have the same configuration {config}")
    if args.pruned_beyond is not None and not count["pruned by trialmill"]:
        problems.append("no trial was pruned")
    return dict(count)


def against_trialmill(trials, path, args, problems):
    """trialmill's listing says the same of each trial."""
    listed = json.loads(pathlib.Path(path).read_text())
    by_id = {trial["id"]: trial for trial in listed}
    if len(by_id) != len(listed):
        problems.append("trialmill lists an id twice")
    for id in sorted(trials.keys() ^ by_id.keys()):
        problems.append(f"only {'NePS' if id in trials else 'trialmill'} knows trial {id}")
    for id in trials.keys() & by_id.keys():
        ours, theirs = by_id[id], trials[id]
        pairs = [("state", ours["state"], theirs["state"]), ("config", ours["config"], theirs["config"])]
        # A trial that nobody finished: whether it counts as pending or as evaluating depends on who looks.
        if {ours["state"], theirs["state"]} <= UNFINISHED:
            pairs.pop(0)
        if is_pruned(theirs, args):
            pairs[0] = ("state", ours["state"], "pruned")
        for part in ("objective_to_minimize", "cost", "err"):
            if theirs["report"] and part in theirs["report"]:
                pairs.append((part, (ours["report"] or {}).get(part), theirs["report"][part]))
        for part in (*TIMES, *WORKERS, "previous_trial_id"):
            if part in theirs["metadata"]:
                pairs.append((part, ours["metadata"].get(part), theirs["metadata"][part]))
        problems.extend(f"trial {id}: {part} is {a} to trialmill, {b} to NePS" for part, a, b in pairs if a != b)


def against_ledgers(trials, paths, args, problems):
    """No trial at two places at once, none evaluated again without a kill, and nothing acknowledged is missing."""
    runs, done = collections.defaultdict(list), collections.Counter()
    for path in paths:
        open_runs = {}
        for text in pathlib.Path(path).read_text().splitlines() if pathlib.Path(path).exists() else ():
            line = json.loads(text)
            key = (line["trial"], line["pid"])
            if line["event"] == "start":
                open_runs[key] = run = {**line, "end": None, "objective": None}
                runs[line["trial"]].append(run)
            elif key in open_runs:
                open_runs.pop(key).update(end=line["at"], objective=line["objective"])
                done[line["side"]] += 1
            else:
                problems.append(f"{path}: an evaluation of trial {line['trial']} ended that never began")
    killed = args.killed_neps + args.killed_trialmill
    cut = sum(run["end"] is None for each in runs.values() for run in each)
    if cut and not killed:
        problems.append(f"{cut} evaluations never ended though nobody was killed")
    for id, each in runs.items():
        if id not in trials:
            problems.append(f"trial {id} was evaluated, and is gone")
            continue
        if len(each) > 1 and not killed:
            problems.append(f"trial {id} was evaluated {len(each)} times: {each}")
        ended = sorted((run for run in each if run["end"] is not None), key=lambda run: run["at"])
        for first, second in zip(ended, ended[1:]):
            if second["at"] < first["end"] - CLOCK_SECONDS:
                problems.append(f"trial {id} ran twice at once: {first} {second}")
        report = trials[id]["report"]
        if ended and report is None and not killed:
            problems.append(f"trial {id} was evaluated, and its result is gone")
        if ended and report is not None and report["objective_to_minimize"] not in {run["objective"] for run in ended}:
            problems.append(f"trial {id}: {report['objective_to_minimize']} was never the result of an evaluation")
    lost = sum(1 for id, each in runs.items() if id in trials and trials[id]["report"] is None and any(run["end"] for run in each))
    if lost > killed:
        problems.append(f"{lost} results are gone, {killed} processes were killed")
    for id, trial in trials.items():
        if trial["report"] is not None and paths and id not in runs:
            problems.append(f"trial {id} has a report, and nobody evaluated it")
    return {"evaluated": dict(done), "interrupted": cut, "again": sum(len(each) - 1 for each in runs.values())}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("directory", type=pathlib.Path)
    parser.add_argument("--evaluations", type=int, required=True)
    parser.add_argument("--trialmill")
    parser.add_argument("--ledger", action="append", default=[])
    parser.add_argument("--pruned-beyond", type=int, help="layers, of trials that trialmill evaluated")
    parser.add_argument("--killed-neps", type=int, default=0)
    parser.add_argument("--killed-trialmill", type=int, default=0)
    args = parser.parse_args()
    args.layout = "0.12" if (args.directory / "results").is_dir() else "0.13"

    problems = []
    trials = (read_012 if args.layout == "0.12" else read_013)(args.directory, problems)
    result = {"trials": len(trials), "states": against_itself(trials, args.evaluations, args, problems)}
    result.update(against_ledgers(trials, args.ledger, args, problems))
    if args.trialmill:
        against_trialmill(trials, args.trialmill, args, problems)
    print(json.dumps({**result, "wrong": len(problems), "problems": problems[:20]}))
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()
