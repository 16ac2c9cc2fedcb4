//! What a person brings into a study: configurations, trials from elsewhere, another space.

use serde_json::json;

use crate::support::{Running, Trialmill, eventually};

const SPACE: &str = "lr: {lower: 0.0, upper: 1.0}, n: {type: int, lower: 1, upper: 8}, \
                     kind: [a, b], beta: {lower: 0.0, upper: 1, when: {kind: a}}, weights: big";

#[test]
fn a_configuration_of_ones_own_is_evaluated_next() {
    let study = Trialmill::with_space(SPACE, 5);
    study.create();
    let enqueue = |config: &[&str]| study.run(&[&["enqueue", "s", "--config"], config].concat());
    let ran =
        enqueue(&["lr=1", "n=3", "kind=b", r#"{"lr": 0.25, "n": 8, "kind": "a", "beta": 1}"#]);
    ran.exits(0).says(&["2 trials waiting: 1 2"]);
    let configs: Vec<_> = study.trials().iter().map(|trial| trial["config"].clone()).collect();
    let first = json!({"lr": 0.25, "n": 8, "kind": "a", "beta": 1.0, "weights": "big"});
    assert_eq!(configs, [first, json!({"lr": 1.0, "n": 3, "kind": "b", "weights": "big"})]);
    for (config, says) in [
        ("lr=2", "2.0 is not in float"),
        ("lr=1", "'n': the configuration does not have it"),
        (r#"{"lr": 1, "n": 1, "kind": "b", "beta": 0.5}"#, "only when kind is a"),
        (r#"{"lr": 1, "n": 1, "kin": "b"}"#, "did you mean `kind`?"),
        ("[1]", "neither JSON nor NAME=VALUE"),
        ("{", "the text ends"),
    ] {
        enqueue(&[config]).exits(2).says(&[says]);
    }
    assert_eq!(study.trials().len(), 2, "nothing of what was refused is there");
    study.run_study(&[], "echo $TRIALMILL_PARAM_n >> $HERE/seen; echo 1").exits(0);
    assert_eq!(study.lines("seen")[..2], ["8", "3"]);
    assert_eq!((study.lines("seen").len(), study.count("success")), (5, 5));
}

/// What followed two `--config` was one list, cut where a name came again: the second configuration's first
/// values went to the first, without a word where those could be left out.
#[test]
fn each_config_is_a_configuration_of_its_own() {
    let space =
        "lr: {lower: 0.0, upper: 1.0}, epochs: {type: int, lower: 1, upper: 9, fidelity: true}";
    let study = Trialmill::with_space(space, 5);
    study.create();
    let two = ["enqueue", "s", "--config", "lr=0.25", "--config", "epochs=3", "lr=0.5"];
    study.run(&two).exits(0).says(&["2 trials waiting: 1 2"]);
    let configs: Vec<_> = study.trials().iter().map(|trial| trial["config"].clone()).collect();
    assert_eq!(configs, [json!({"lr": 0.25, "epochs": 9}), json!({"lr": 0.5, "epochs": 3})]);
    let twice = ["enqueue", "s", "--config", "lr=0.25", "lr=0.5"];
    study.run(&twice).exits(2).says(&["'lr' is there twice", "another --config"]);
    study.write("short.csv", "lr,epochs,objective\n0.5,3,1\n0.25,3\n");
    study
        .run(&["import", "s", "short.csv"])
        .exits(2)
        .says(&["short.csv: line 3: it has 2 fields, and the first line has 3"])
        .says_nothing_of("CSV error");
}

#[test]
fn trials_from_elsewhere_are_known_and_not_charged() {
    let study = Trialmill::with_space(SPACE, 4);
    study.create();
    study.write(
        "optuna.csv",
        "number,value,params_lr,params_n,params_kind,params_beta,state\n\
         0,0.5,0.1,3.0,b,,COMPLETE\n1,,0.2,4,b,,FAIL\n2,0.25,1,4,a,0.5,COMPLETE\n",
    );
    let import = |file: &str| study.run(&["import", "s", file]);
    import("optuna.csv")
        .exits(0)
        .says(&["2 trials taken in", "1 row of trials that did not succeed is"]);
    // Once more nothing is doubled.
    import("optuna.csv").exits(0).says(&["0 trials taken in", "2 of them were here already"]);
    assert_eq!((study.count("external"), study.trials().len()), (2, 2));
    assert_eq!(study.json(&["best", "s"])["report"]["objective_to_minimize"], json!(0.25));
    assert_eq!(study.status()["spent"]["evaluations"], json!(0));
    study.write(
        "more.json",
        r#"[{"config": {"lr": 0.5, "n": 1, "kind": "b"}, "objective": 0.125, "cost": 7}]"#,
    );
    import("more.json").exits(0).says(&["1 trial taken in"]);
    assert_eq!(study.status()["spent"]["cost"], json!(0.0));
    study.run_study(&[], "echo 1").exits(0);
    assert_eq!((study.count("success"), study.count("external")), (4, 3));
    assert_eq!(study.json(&["best", "s"])["report"]["objective_to_minimize"], json!(0.125));
    // What another study of the same space lists is taken in whole, in both forms.
    for (options, file) in [("--csv", "all.csv"), ("--json", "all.json")] {
        let listing = study.run(&["trials", "s", options]).exits(0).stdout;
        study.write(file, &listing);
        study.run(&["create", "study.yaml", "--dir", file.trim_start_matches("all.")]).exits(0);
        let dir = file.trim_start_matches("all.");
        study.run(&["import", dir, file]).exits(0).says(&["7 trials taken in"]);
        let best = study.json(&["best", dir]);
        assert_eq!(best["config"], study.json(&["best", "s"])["config"], "{file}");
        study.run(&["check", dir]).exits(0);
    }
    // One wrong row, and nothing is taken in.
    for (file, text, says) in [
        (
            "w.csv",
            "lr,n,kind,objective\n0.1,3,b,1\n0.1,9,b,1\n",
            "line 3: parameter 'n': 9 is not in int",
        ),
        ("w.csv", "lr,n,kind\n0.1,3,b\n", "no column is the objective"),
        (
            "w.csv",
            "lr,n,kind,objective\n0.1,3,b,good\n",
            "line 2: the result's objective is not a number",
        ),
        ("w.csv", "lr,n,kind,objective\n0.1,3,b,\n", "no objective"),
        ("w.csv", "lr,n,kind,lr,objective\n0.1,3,b,0.2,1\n", "two columns are the parameter lr"),
        ("w.csv", "lr,n,kind,config.n,objective\n0.1,3,b,2,1\n", "two columns are the parameter n"),
        ("w.csv", "lr,n,kind,value,objective\n0.1,3,b,2,1\n", "two columns are the objective"),
        ("w.json", r#"[{"lr": 1}]"#, "trial 1: an object with a `config` is needed"),
        ("w.json", "{}", "an array of trials is needed"),
        ("w.csv", "lr,n,kind,objective\n0.1,3,b,\"[1, 2]\"\n", "has 2 objectives"),
    ] {
        study.write(file, text);
        let ran = import(file);
        assert!([2, 7].contains(&ran.status.code().unwrap()), "{ran:?}");
        ran.says(&[says]);
    }
    assert_eq!(study.trials().len(), 7);
}

/// A column that `import` did not know fell away without a word: the note of each trial, a misspelt parameter
/// that may be left out, and what `trials --csv` itself lists as `extra`.
#[test]
fn no_column_falls_away_without_a_word() {
    let study = Trialmill::with_space("lr: {lower: 0.0, upper: 1.0}, weights: imagenet", 5);
    study.create();
    let import = |header: &str, row: &str| {
        study.write("t.csv", &format!("{header}\n{row}\n"));
        study.run(&["import", "s", "t.csv"])
    };
    let extra = || study.trials().last().unwrap()["report"]["extra"].clone();
    import("lr,objective,dropout,comment", "0.5,1,0.25,hello").exits(0).says(&[
        "kept as `extra` values beside the result: dropout, comment. (A column is called as its parameter is: \
         lr, weights)",
    ]);
    assert_eq!(extra(), json!({"dropout": 0.25, "comment": "hello"}));
    // What other listings say of who evaluated it, and when, is of the other study.
    let listing =
        "id,state,config.lr,objective_to_minimize,time_end,attempts,extra.epochs,user_attrs_tag";
    import(listing, "7,success,0.25,1,1.5,3,9,'=x").exits(0).says_nothing_of("kept as");
    assert_eq!(extra(), json!({"epochs": 9, "tag": "=x"}));
    // A parameter of another space is none of ours, in whatever form.
    import("lr,objective,config.dropout", "0.5,1,0.25")
        .exits(2)
        .says(&["line 2", "'dropout' is not"]);
    import("lr,objective,params_dropout", "0.125,1,").exits(0);
    study.write(
        "t.json",
        r#"[{"config": {"lr": 0.75}, "report": {"objective_to_minimize": 1}, "seen": true, "notes": {}}]"#,
    );
    study.run(&["import", "s", "t.json"]).exits(0);
    assert_eq!(extra(), json!({"seen": true}));
    assert_eq!(study.trials().len(), 4);
    // What was kept comes back with a listing.
    let listing = study.run(&["trials", "s", "--csv"]).exits(0).stdout;
    study.write("all.csv", &listing);
    study.run(&["create", "study.yaml", "--dir", "t"]).exits(0);
    study.run(&["import", "t", "all.csv"]).exits(0).says_nothing_of("kept as");
    let back = study.json(&["trials", "t"]);
    assert_eq!(back[0]["report"]["extra"], json!({"dropout": 0.25, "comment": "hello"}));
}

/// A wrong number of objectives was refused without the row in which it stands; and of two rows of one file
/// each set the number for itself, so that nothing more was taken by that study.
#[test]
fn a_row_with_another_number_of_objectives_is_named_and_nothing_is_taken_in() {
    for (goals, says) in [
        ("", "the study's first success had 1"),
        ("objectives: {error: minimize}\n", "the study has 1: minimize error"),
    ] {
        let study = Trialmill::new(5);
        study.write("study.yaml", &format!("{}{goals}", study.read("study.yaml")));
        study.create();
        study.write("t.csv", "x,objective\n0.5,1\n0.25,\"[1, 2]\"\n");
        let refused = study.run(&["import", "s", "t.csv"]).exits(2);
        refused.says(&["t.csv: line 3: the result has 2 objectives", says]);
        study.write(
            "t.json",
            r#"[{"config": {"x": 0.5}, "objective": 1}, {"config": {"x": 0.25}, "objective": [1, 2]}]"#,
        );
        let refused = study.run(&["import", "s", "t.json"]).exits(2);
        refused.says(&["t.json: trial 2: the result has 2 objectives", says]);
        assert_eq!(study.trials().len(), 0, "one row is wrong");
        // What was brought before counts, too.
        study.write("t.csv", "x,objective\n0.5,1\n");
        study.run(&["import", "s", "t.csv"]).exits(0);
        study.write("t.csv", "x,objective\n0.25,\"[1, 2]\"\n");
        study.run(&["import", "s", "t.csv"]).exits(2).says(&["line 2", says]);
    }
}

/// A pipe that nobody writes to looked like a program that hangs.
#[test]
fn what_is_waited_for_is_named_and_stdin_is_a_file() {
    let study = Trialmill::new(5);
    study.create();
    nix::unistd::mkfifo(&study.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for arguments in [&["import", "s", "pipe"][..], &["create", "pipe", "--dir", "t"]] {
        let mut command = study.command(arguments);
        let said = std::fs::File::create(study.path("said")).unwrap();
        command.stdout(std::process::Stdio::piped()).stderr(said);
        let running = Running::of(command);
        eventually("it says so", || {
            study.read("said").contains("waiting for what is written to pipe")
        });
        let text = match arguments[0] {
            "import" => "x,objective\n0.5,1\n".into(),
            _ => study.read("study.yaml"),
        };
        study.write("pipe", &text);
        running.end().exits(0);
    }
    assert_eq!(study.trials().len(), 1);
    study.shell("printf 'x,objective\\n0.25,1\\n' | $TRIALMILL import s -").exits(0);
    let json = r#"[{"config": {"x": 0.125}, "objective": 1}]"#;
    study
        .shell(&format!("echo '{json}' | $TRIALMILL import s -"))
        .exits(0)
        .says(&["1 trial taken in"]);
    study.shell("$TRIALMILL create - --dir u < study.yaml").exits(0);
    study.shell("$TRIALMILL import s - < /dev/null").exits(2).says(&["it is empty"]);
    assert_eq!(study.trials().len(), 3);
}

/// A parameter more, or a wider bound, and everything that was known had to be left behind.
#[test]
fn a_study_goes_on_in_another_space() {
    let study = Trialmill::with_space("lr: {lower: 0.0, upper: 1.0}, old: [x, y]", 3);
    study.run_study(&[], "echo $TRIALMILL_PARAM_lr").exits(0);
    let wider = "lr: {lower: 0.0, upper: 2.0}, dropout: {lower: 0.0, upper: 0.5}";
    study.write("wider.yaml", &format!("space: {{{wider}}}\n"));
    let convert = |options: &[&str]| {
        study.run(&[&["convert", "s", "t", "--space", "wider.yaml"], options].concat())
    };
    convert(&[]).exits(2).says(&["trial 1", "'dropout'", "--default dropout=…"]);
    convert(&["--default", "drop=1"]).exits(2).says(&["no parameter 'drop'"]);
    convert(&["--default", "dropout=1"]).exits(2).says(&["1.0 is not in float"]);
    assert!(!study.path("t").exists());
    convert(&["--default", "dropout=0.1"]).exits(0).says(&["the new space lacks old"]);
    let (before, after) = (study.trials(), study.json(&["trials", "t"]));
    for (before, after) in before.iter().zip(after.as_array().unwrap()) {
        let config = json!({"lr": before["config"]["lr"], "dropout": 0.1});
        assert_eq!((&after["config"], &after["report"]), (&config, &before["report"]));
    }
    study.run(&["worker", "t", "-q", "--", "sh", "-c", "echo 1"]).exits(0);
    study.run(&["set", "t", "--evaluations", "4"]).exits(0);
    study.run(&["worker", "t", "-q", "--", "sh", "-c", "echo 1"]).exits(0);
    assert_eq!(study.json(&["trials", "t"]).as_array().unwrap().len(), 4);
    study.write("narrow.yaml", "space: {lr: {lower: 0.0, upper: 1e-9}}\n");
    let narrow = study.run(&["convert", "s", "u", "--space", "narrow.yaml"]);
    narrow.exits(2).says(&["trial 1", "is not in float"]);
}

/// Each configuration that was enqueued or imported used up a number, and a grid skipped the point of
/// that number.
#[test]
fn a_grid_has_all_its_points_whatever_is_brought_in_every_layout() {
    for layout in ["journal", "neps", "neps-0.14", "neps-0.13", "neps-0.12"] {
        let study = Trialmill::new(100);
        study.write(
            "study.yaml",
            "space: {x: {type: float, lower: 1e-5, upper: 1e-1, log: true}, kind: [a, b], n: [1, 3]}\n\
             optimizer: {name: grid_search, points: 4}\nworkers: 2\n",
        );
        study.run(&["create", "study.yaml", "--dir", "s", "--layout", layout]).exits(0);
        // The last point of the grid, one in its middle, and one beside it.
        study.run(&["enqueue", "s", "--config", "x=0.1", "kind=b", "n=3"]).exits(0);
        study.write(
            "t.json",
            r#"[{"config": {"x": 0.1, "kind": "a", "n": 2}, "objective": 1},
                {"config": {"x": 0.02, "kind": "a", "n": 2}, "objective": 1}]"#,
        );
        study.run(&["import", "s", "t.json"]).exits(0);
        let ran = study.run(&["worker", "s", "-q", "--", "sh", "-c", "echo {x}"]).exits(0);
        ran.says(&["the optimizer has finished"]);
        // Again, with an optimizer that reads all from the files.
        study.run(&["worker", "s", "-q", "--", "sh", "-c", "echo {x}"]).exits(0);
        let mut seen: Vec<String> =
            study.trials().iter().map(|trial| trial["config"].to_string()).collect();
        let count = seen.len();
        seen.sort();
        seen.dedup();
        // 4 · 2 · 3 points, and one trial that is none.
        assert_eq!((seen.len(), count), (25, 25), "{layout}");
        // (NePS up to 0.14 has no word for a trial from elsewhere.)
        assert_eq!(study.count("success") + study.count("external"), 25, "{layout}");
    }
}

/// A wider bound needed a copy of the whole study, though no trial contradicted it.
#[test]
fn a_space_is_changed_in_place_where_all_trials_are_in_it() {
    let study = Trialmill::with_space("lr: {lower: 0.0, upper: 1.0}, kind: [b, a]", 3);
    study.run_study(&[], "echo $TRIALMILL_PARAM_lr").exits(0);
    let before = study.trials();
    let set = |space: &str| {
        study.write("wider.yaml", &format!("space: {{{space}}}\n"));
        study.run(&["set", "s", "--space", "wider.yaml"])
    };
    for (space, says) in [
        ("lr: {lower: 0.0, upper: 1e-9}, kind: [b, a]", "trial 1 is not in the new space"),
        ("lr: {lower: 0.0, upper: 2.0}", "the search space does not have it"),
        ("lr: {lower: 0.0, upper: 2.0}, kind: [b, a], n: [1, 2]", "'n'"),
        ("lr: {lower: 0.0, upper: 2.0, is_fidelity: true}, kind: [b, a]", "the fidelity stays"),
    ] {
        set(space).exits(2).says(&[says]);
    }
    // In another order, wider, and with what is there only beside a new choice.
    let wider = "kind: [a, b, c], lr: {lower: 0.0, upper: 2.0}, deep: {lower: 1, upper: 9, when: {kind: c}}";
    set(wider).exits(0);
    assert_eq!(study.trials(), before);
    study.run(&["check", "s"]).exits(0);
    let file = study.read("study.yaml");
    study.run_study(&["--evaluations", "40"], "echo $TRIALMILL_PARAM_lr").exits(3).says(&[
        "there:  lr: float [0.0, 2.0]; kind: categorical {a, b, c}; deep: int [1, 9], when kind is c",
        "`trialmill set DIR --space FILE`",
    ]);
    let wider_file = study.read("wider.yaml");
    let rest =
        file.lines().filter(|line| !line.starts_with("space:")).collect::<Vec<_>>().join("\n");
    study.write("study.yaml", &format!("{wider_file}{rest}\n"));
    study.run_study(&["--evaluations", "40"], "echo $TRIALMILL_PARAM_lr").exits(0);
    let trials = study.trials();
    assert_eq!((&trials[..3], trials.len()), (&before[..], 40));
    assert!(trials.iter().any(|trial| trial["config"]["lr"].as_f64().unwrap() > 1.0));
    assert!(trials.iter().any(|trial| trial["config"]["deep"].is_number()));
    // Not below a process that works, and not where NePS has the space.
    let script = r#"echo > "$HERE/begun"; until [ -e "$HERE/go" ]; do sleep 0.01; done; echo 1"#;
    let run = study.start_study(&["--evaluations", "41"], script);
    crate::support::eventually("it has begun", || study.path("begun").exists());
    set(wider).exits(3).says(&["in use by process p"]);
    study.write("go", "");
    run.end().exits(0);
    set(wider).exits(0);
    study.write("neps.yaml", "space: {lr: {lower: 0.0, upper: 1.0}}\n");
    study.run(&["create", "neps.yaml", "--dir", "n", "--layout", "neps"]).exits(0);
    study.run(&["set", "n", "--space", "neps.yaml"]).exits(2).says(&[
        "the space of n cannot be changed in place",
        "`trialmill convert n COPY --space neps.yaml`",
    ]);
    study.run(&["convert", "n", "copy", "--space", "neps.yaml"]).exits(0);
}

/// NePS's `clean`: of a success, or of what is corrupted, there was no way to have it evaluated again.
#[test]
fn clean_forgets_what_came_of_trials_by_id_or_state() {
    for layout in ["journal", "neps", "neps-0.12"] {
        let study = Trialmill::new(3);
        let script = r#"echo x >> "$HERE/begun"; [ $TRIALMILL_TRIAL_ID = 2 ] && exit 1
            echo '{"objective_to_minimize": 0.5, "cost": 2}'"#;
        study.run_study(&["--layout", layout], script).exits(0);
        let would = study.run(&["clean", "s", "--state", "success", "--dry-run"]).exits(0);
        would.says(&["2 trials would wait again: 1 3"]);
        assert_eq!((study.count("success"), study.count("crashed")), (2, 1), "{layout}");
        study.run(&["clean", "s", "1", "2"]).exits(0).says(&["2 trials wait again: 1 2"]);
        assert_eq!((study.count("success"), study.count("pending")), (1, 2), "{layout}");
        let errors = study.read("s/shared_errors.jsonl");
        assert!(!errors.contains("\"2\""), "{layout}: {errors}");
        assert_eq!(study.status()["spent"]["evaluations"], 1, "{layout}");
        // What was spent stays spent; NePS from 0.13 on adds up what stands.
        let cost = if layout == "neps" { 2.0 } else { 4.0 };
        assert_eq!(study.status()["spent"]["cost"], cost, "{layout}");
        study.run_study(&[], script).exits(0);
        assert_eq!((study.count("success"), study.count("crashed")), (2, 1), "{layout}");
        assert_eq!(study.lines("begun").len(), 5, "{layout}");
        study.run(&["check", "s"]).exits(0);
        study.run(&["clean", "s", "9"]).exits(7).says(&["no trial '9'"]);
        study.run(&["clean", "s"]).exits(2);
    }
}

/// The files that NePS writes about a run were NePS's alone.
#[test]
fn a_summary_has_the_trials_the_best_and_how_it_came_about() {
    let study = Trialmill::new(4);
    let script = "case $TRIALMILL_TRIAL_ID in 1) v=3;; 2) v=1;; 3) v=2;; 4) exit 1;; esac
        echo \"{\\\"objective_to_minimize\\\": $v, \\\"cost\\\": 1.5}\"";
    study.run_study(&[], script).exits(0);
    study.run(&["summary", "s", "-o", "out"]).exits(0).says(&["out: 4 trials"]);
    let trajectory = study.lines("out/incumbent_trajectory.csv");
    let of = |id: &str| trajectory.iter().find(|line| line.starts_with(&format!("{id},"))).unwrap();
    assert!(of("1").ends_with(",3.0,3.0,True"), "{trajectory:?}");
    assert!(of("2").ends_with(",1.0,1.0,True"), "{trajectory:?}");
    assert!(of("3").ends_with(",2.0,1.0,False"), "{trajectory:?}");
    assert!(of("3").starts_with("3,3,4.5,0.0,"), "{trajectory:?}");
    assert_eq!(trajectory.len(), 4, "a head, and the trials with a result: {trajectory:?}");
    let short = study.read("out/short.csv");
    assert!(
        short.contains("num_success,3\nnum_crashed,1\nbest_objective_to_minimize,1.0\n"),
        "{short}"
    );
    assert!(study.read("out/best_config.txt").contains("Config ID: 2\nObjective to minimize: 1.0"));
    assert_eq!(study.read("out/best_config_trajectory.txt").matches("Config ID").count(), 2);
    assert_eq!(study.lines("out/full.csv").len(), 5);
}

/// In a directory of NePS the summary was as NePS's last worker had left it: a run of ours changed nothing of it,
/// and where only we worked there was none. Each trial here waits for what the one before it has brought.
#[test]
fn a_run_keeps_the_summary_that_neps_keeps_while_it_goes_on() {
    let study = Trialmill::new(3);
    let script = "before=$(($TRIALMILL_TRIAL_ID - 1)); file=$TRIALMILL_STUDY_DIR/summary/best_config.txt; i=0
        while [ $before -gt 0 ] && ! grep -q \"Config ID: $before\" $file; do
            i=$((i + 1)); [ $i -lt 600 ] || exit 1; sleep 0.1
        done
        echo $((9 - $TRIALMILL_TRIAL_ID))";
    study.run_study(&["--layout", "neps", "-w", "1"], script).exits(0);
    let best = study.read("s/summary/best_config.txt");
    assert!(best.contains("Config ID: 3\nObjective to minimize: 6.0\nCumulative eval"), "{best}");
    assert!(best.contains("Final cumulative metrics (Assuming completed run):\ncumulative_ev"));
    let trajectory = study.read("s/summary/best_config_trajectory.txt");
    assert_eq!(trajectory.matches("Config ID").count(), 3, "{trajectory}");
    // Nothing half written is left, and nothing is written through a link.
    let mut names: Vec<_> = std::fs::read_dir(study.path("s/summary"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let tables = ["full.csv", "incumbent_trajectory.csv", "short.csv"];
    assert_eq!(names[0], ".summary.lock");
    assert_eq!(names[1..3], ["best_config.txt", "best_config_trajectory.txt"]);
    assert_eq!(names[3..], tables);
    std::fs::rename(study.path("s/summary"), study.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(study.path("elsewhere"), study.path("s/summary")).unwrap();
    std::fs::remove_file(study.path("elsewhere/full.csv")).unwrap();
    study.run_study(&["--layout", "neps"], "echo 1").exits(0).says(&["summary", "link"]);
    assert!(!study.path("elsewhere/full.csv").exists());
    // A journal's study has the command for it.
    let other = Trialmill::new(1);
    other.run_study(&[], "echo 1").exits(0);
    assert!(!other.path("s/summary").exists());
}

/// A half-written `metadata.json` was "sound" as long as NePS's cache was there; when that was lost, its trial was
/// lost with it.
#[test]
fn a_torn_file_of_a_trial_is_named_while_the_cache_is_sound() {
    let study = Trialmill::new(3);
    study.run_study(&["--layout", "neps"], "echo 0.5").exits(0);
    for file in ["metadata.json", "config.yaml"] {
        study.run(&["check", "s"]).exits(0);
        let path = study.path(format!("s/configs/config_2/{file}"));
        let whole = std::fs::read_to_string(&path).unwrap();
        let cut = if file == "metadata.json" { &whole[..whole.len() / 2] } else { "x: [0." };
        std::fs::write(&path, cut).unwrap();
        let checked = study.run(&["check", "s"]);
        assert!(!checked.status.success(), "{file}");
        checked.says(&["makes no sense", "remove the torn file"]);
        // What it says to do helps.
        std::fs::remove_file(&path).unwrap();
        study.run(&["check", "s", "--repair"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole, "{file}");
    }
}
