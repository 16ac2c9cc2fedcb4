#!/usr/bin/env python3
"""Opens what trialmill exports with the tools themselves: `check.py TRIALMILL STUDY`.

Says aloud which tool is not there, and what is left out for that.
"""

import os
import subprocess
import sys
import tempfile

program, study = map(os.path.abspath, sys.argv[1:3])
home = tempfile.mkdtemp()
run = lambda *words: subprocess.run([program, *words], check=True, capture_output=True, text=True).stdout
import json

ours = json.loads(run("trials", study, "--json"))
good = [trial for trial in ours if trial["state"] == "success"]
best = json.loads(run("best", study, "--json"))

try:
    import optuna
except ImportError:
    print("skipped: optuna is not there: pip install optuna")
else:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    log = home + "/x.log"
    run("export", study, "--to", "optuna", "-o", log)
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    theirs = optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(log)))
    complete = [trial for trial in theirs.trials if trial.state.name == "COMPLETE"]
    assert len(complete) == len(good), (len(complete), len(good))
    assert theirs.best_value == best["report"]["objective_to_minimize"]
    assert theirs.best_trial.user_attrs["trialmill:id"] == best["id"]
    for own, other in zip(sorted(good, key=lambda t: t["id"]), sorted(complete, key=lambda t: t.user_attrs["trialmill:id"])):
        assert own["config"] == other.params, (own["config"], other.params)
    n = len(theirs.trials)
    distributions = complete[0].distributions
    theirs.optimize(lambda trial: sum(isinstance(trial._suggest(name, own), float) for name, own in distributions.items()), n_trials=3)
    assert len(theirs.trials) == n + 3
    # And back, with what Optuna itself has added.
    run("import-optuna", log, "--dir", home + "/back")
    back = json.loads(run("trials", home + "/back", "--json"))
    assert len([trial for trial in back if trial["state"] == "success"]) == len(good) + 3
    # Importance: the same numbers as Optuna's own evaluator.
    from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

    study2 = optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend(log)))
    print("optuna", optuna.__version__, "opens the export, goes on with it, and comes back;", {k: round(v, 4) for k, v in get_param_importances(theirs, evaluator=PedAnovaImportanceEvaluator()).items()})

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2
except ImportError:
    print("skipped: tensorboard is not there: pip install tensorboard")
else:
    logs = home + "/logs"
    run("export", study, "--to", "tensorboard", "-o", logs)
    runs = [name for name in os.listdir(logs) if os.path.isdir(logs + "/" + name)]
    assert len(runs) == len([trial for trial in ours if trial["state"] in ("success", "failed", "crashed", "pruned")])
    events = EventAccumulator(logs + "/" + best["id"])
    events.Reload()
    tag = events.Tags()["scalars"][0]
    assert abs(events.Scalars(tag)[-1].value - best["report"]["objective_to_minimize"]) < 1e-6
    metadata = events.SummaryMetadata("_hparams_/session_start_info")
    data = plugin_data_pb2.HParamsPluginData.FromString(metadata.plugin_data.content)
    shown = {name: value.number_value if value.HasField("number_value") else value.string_value for name, value in data.session_start_info.hparams.items()}
    assert shown.keys() == best["config"].keys()
    print("tensorboard reads", len(runs), "runs with their configurations")

try:
    import polars
except ImportError:
    print("skipped: polars is not there: pip install polars")
else:
    frame = polars.read_ndjson(study + "/journal.jsonl", infer_schema_length=None)
    assert frame.filter(polars.col("event") == "reported").height >= len(good)
    print("polars reads journal.jsonl:", frame.shape)
    table = home + "/x.parquet"
    said = subprocess.run([program, "export", study, "--to", "parquet", "-o", table], capture_output=True, text=True)
    if "invalid value 'parquet'" in said.stderr:
        print("skipped: this program writes no parquet: build it with --features parquet")
    else:
        assert said.returncode == 0, said.stderr
        frame = polars.read_parquet(table)
        assert frame["id"].to_list() == [trial["id"] for trial in ours]
        assert frame["state"].to_list() == [trial["state"] for trial in ours]
        for name in ours[0]["config"]:
            column = frame["config." + name]
            assert column.to_list() == [trial["config"].get(name) for trial in ours], name
            assert column.dtype in (polars.Float64, polars.Int64, polars.String), column.dtype
        assert frame["objective_to_minimize"].to_list() == [(trial["report"] or {}).get("objective_to_minimize") for trial in ours]
        assert frame["time_end"].dtype == polars.Datetime("us", "UTC"), frame["time_end"].dtype
        assert frame["objective_to_minimize"].null_count() == len([trial for trial in ours if trial["state"] != "success"])
        print("polars reads the parquet file:", frame.shape)
