//! `export` and `import`: what other tools are given, and what comes back. `tests/interop/check.py` opens the
//! same with the tools themselves.

use serde_json::{Value as Json, json};

use crate::support::{Trialmill, eventually};

fn study() -> Trialmill {
    let space = "lr: {type: float, lower: 1.0e-5, upper: 0.1, log: true}, layers: [1, 8], kind: {choices: [a, 2, true]}";
    let study = Trialmill::with_space(space, 12);
    let script = r#"case "$TRIALMILL_TRIAL_ID" in 3) exit 1;; 4) echo inf;; 
        *) echo "{\"objective_to_minimize\": 0.$TRIALMILL_TRIAL_ID, \"learning_curve\": [3, 2, 1], \"cost\": 2}";; esac"#;
    study.run_study(&[], script).exits(0);
    study
}

#[test]
fn what_is_exported_to_optuna_is_the_same_when_it_is_imported() {
    let study = study();
    study.run(&["export", "s", "--to", "optuna", "-o", "x.log"]).exits(0);
    std::fs::create_dir(study.path("logs")).unwrap();
    let lines = study.lines("x.log");
    assert_eq!(lines.len(), 13);
    let first: Json = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((&first["op_code"], &first["directions"]), (&json!(0), &json!([1])));
    assert!(lines.iter().any(|line| line.contains("[Infinity]")));
    study.run(&["import-optuna", "x.log", "--dir", "back"]).exits(0);
    let (ours, theirs) = (study.trials(), study.json(&["trials", "back"]));
    let theirs = theirs.as_array().unwrap();
    assert_eq!(theirs.len(), ours.len());
    for (own, other) in ours.iter().zip(theirs) {
        assert_eq!(own["config"], other["config"]);
        let (a, b) = (&own["report"], &other["report"]);
        if own["state"] == "success" && a["objective_to_minimize"] != "inf" {
            assert_eq!(a["objective_to_minimize"], b["objective_to_minimize"]);
            assert_eq!(a["learning_curve"], b["learning_curve"]);
        }
        assert_eq!(own["state"] == "success", other["state"] == "success");
    }
    study.run(&["check", "back"]).exits(0);
    study.run(&["ask", "back", "-n", "1", "--json"]).exits(0);
    study.run(&["import-optuna", "x.log", "--dir", "back"]).exits(3);
    // "File exists" was all that was said.
    study.write("logs/note", "mine");
    for (tool, to) in
        [("optuna", "x.log"), ("optuna", "logs"), ("tensorboard", "logs"), ("tensorboard", "x.log")]
    {
        let says =
            format!("{to} is there already, and nothing is written over: name another with -o");
        study.run(&["export", "s", "--to", tool, "-o", to]).exits(2).says(&[&says]);
    }
    assert_eq!((study.lines("x.log"), study.read("logs/note")), (lines, "mine".into()));
}

#[test]
fn an_export_that_follows_a_run_has_each_trial_once_at_its_end() {
    let study = Trialmill::new(6);
    let script = "while [ ! -e $HERE/go ]; do sleep 0.02; done; echo 0.5";
    let run = study.start_study(&["--workers", "2"], script);
    eventually("two trials run", || study.path("s/trials/2").exists());
    let export = study.start(&["export", "s", "--to", "optuna", "-o", "x.log", "--follow"]);
    eventually("they are there", || study.lines("x.log").len() == 3);
    study.write("go", "");
    run.end().exits(0);
    export.end().exits(0);
    let mut states: Vec<i64> = Vec::new();
    for line in study.lines("x.log").iter().skip(1) {
        let own: Json = serde_json::from_str(line).unwrap();
        match own["op_code"].as_i64().unwrap() {
            4 => states.push(own["state"].as_i64().unwrap()),
            6 => {
                states[own["trial_id"].as_u64().unwrap() as usize] = own["state"].as_i64().unwrap();
            }
            _ => {}
        }
    }
    assert_eq!(states, [1; 6]);
}

#[test]
fn what_is_no_journal_of_optuna_s_is_refused_and_nothing_is_left() {
    let study = Trialmill::new(1);
    for (text, says) in [
        ("", "no study"),
        ("not json\n", "line 1"),
        ("{\"op_code\": 6, \"trial_id\": 9}\n", "no such trial"),
        ("{\"op_code\":0,\"study_name\":\"a\",\"directions\":[1]}\n", "not known what is searched"),
        ("{\"op_code\":0,\"study_name\":\"a\"}\n{\"op_code\":0,\"study_name\":\"b\"}\n", "--study"),
    ] {
        study.write("x.log", text);
        study.run(&["import-optuna", "x.log", "--dir", "new"]).exits(2).says(&[says]);
        assert!(!study.path("new").exists(), "{text}");
    }
}

#[test]
fn tensorboard_gets_a_directory_for_each_trial() {
    let study = study();
    study.run(&["export", "s", "--to", "tensorboard", "-o", "logs", "--top", "5"]).exits(0);
    let entries = std::fs::read_dir(study.path("logs")).unwrap().count();
    assert_eq!(entries, 6);
    study
        .run(&["export", "s", "--to", "tensorboard", "-o", "logs"])
        .exits(2)
        .says(&["there already"]);
}

#[test]
fn the_shell_and_man_know_every_verb() {
    let study = Trialmill::new(1);
    for shell in ["bash", "zsh", "fish"] {
        let script = study.run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains("timeline") || script.contains("plot"), "{shell}");
    }
    assert!(study.run(&["man"]).exits(0).stdout.starts_with(".ie"));
    study.run(&["man", "--dir", "man1"]).exits(0);
    assert!(study.path("man1/trialmill-plot.1").exists());
}
