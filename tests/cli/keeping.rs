//! What a person notes about trials, and which trials a person does not want to keep.

use std::os::unix::fs::symlink;
use std::process::Command;

use crate::support::{Trialmill, eventually, text};

const LAYOUTS: [&str; 3] = ["journal", "neps", "neps-0.12"];

/// Where the trials' directories are.
fn trial_dir(layout: &str, id: &str) -> String {
    match layout {
        "journal" => format!("s/trials/{id}"),
        "neps" => format!("s/configs/config_{id}"),
        _ => format!("s/results/config_{id}"),
    }
}

/// By the program's own word, and in the journal's layout by a program that shares no code with it.
fn is_sound(study: &Trialmill, layout: &str) {
    study.run(&["check", "s"]).exits(0);
    if layout == "journal" {
        let checker = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/check.py");
        let Ok(checked) = Command::new("python3").arg(checker).arg(study.path("s")).output() else {
            println!("without python3 the independent checker does not run");
            return;
        };
        let said = String::from_utf8_lossy(&checked.stderr);
        assert!(checked.status.success(), "{said}");
    }
}

/// What a person knew of a trial (a model's address, "looked at") had no place but in files of its directory, which
/// no listing and no export shows.
/// `note x=1e999` noted the text `inf`.
#[test]
fn a_note_that_is_no_number_of_a_computer_is_the_text_that_was_written() {
    let study = Trialmill::new(1);
    study.run_study(&[], "echo 0.5").exits(0);
    study
        .run(&["note", "s", "1", "big=1e999", "none=NaN", "some=1e3", "long=123456789012345678901"])
        .exits(0);
    let wanted = r#"{"big":"1e999","none":"NaN","some":1000.0,"long":123456789012345678901}"#;
    study.run(&["show", "s", "1"]).says(&["big = 1e999", "none = NaN", "some = 1000.0"]);
    let row = study.run(&["trials", "s", "--json"]).stdout;
    let row: String = row.split_whitespace().collect();
    assert!(row.contains(&format!("\"notes\":{wanted}")), "{row}");
}

#[test]
fn notes_are_kept_and_shown_in_every_layout() {
    for layout in LAYOUTS {
        let study = Trialmill::new(2);
        study.run_study(&["--layout", layout], "echo 0.5").exits(0);
        study
            .run(&["note", "s", "1", "seen=true", "who=Ada", r#"model={"url": "s3://x"}"#])
            .exits(0);
        study.run(&["note", "s", "1", "seen=false", "n=3"]).exits(0);
        let notes = || study.trials()[0]["notes"].clone();
        let wanted = r#"{"seen":false,"who":"Ada","model":{"url":"s3://x"},"n":3}"#;
        assert_eq!(notes().to_string(), wanted, "{layout}");
        assert!(study.trials()[1].get("notes").is_none(), "{layout}");
        study
            .run(&["show", "s", "1"])
            .says(&["noted      who = Ada", r#"model = {"url":"s3://x"}"#]);
        let table = study.run(&["trials", "s", "--csv"]).stdout;
        assert!(
            table.lines().next().unwrap().ends_with("note.seen,note.who,note.model,note.n"),
            "{table}"
        );
        assert!(table.contains(r#"false,Ada,"{""url"":""s3://x""}",3"#), "{table}");
        // Nothing takes them away but who noted them.
        study.run(&["clean", "s", "1"]).exits(0);
        study.run_study(&[], "echo 0.25").exits(0);
        assert_eq!(notes().to_string(), wanted, "{layout}");
        study.run(&["convert", "s", "copy", "--layout", "journal"]).exits(0);
        assert_eq!(study.json(&["trials", "copy"])[0]["notes"], notes(), "{layout}");
        study.run(&["note", "s", "1", "--remove", "model", "--remove", "nothing"]).exits(0);
        assert_eq!(notes().to_string(), r#"{"seen":false,"who":"Ada","n":3}"#, "{layout}");
        // What is wrong is refused, and nothing is lost.
        let big = format!("big={}", "x".repeat(65 << 10));
        study.run(&["note", "s", "1", &big]).exits(7).says(&["at most 65536 are kept"]);
        study.run(&["note", "s", "9", "a=1"]).exits(7).says(&["no trial '9'"]);
        study.run(&["note", "s", "1", "a"]).exits(2).says(&["'a' is not NAME=VALUE"]);
        study.run(&["note", "s", "1"]).exits(2);
        assert_eq!(notes().to_string(), r#"{"seen":false,"who":"Ada","n":3}"#, "{layout}");
        is_sound(&study, layout);
    }
}

/// NePS's `clean --delete`: what should never have been in a study could not be taken out of it. Its id and its
/// random stream are not used again: the trials that take its place are new ones.
#[test]
fn clean_deletes_trials_and_their_directories_for_good() {
    for layout in LAYOUTS {
        let study = Trialmill::new(4);
        let script = r#"echo here > "$TRIALMILL_TRIAL_DIR/checkpoint"
            [ $TRIALMILL_TRIAL_ID = 2 ] && exit 1; echo $TRIALMILL_PARAM_x"#;
        study.run_study(&["--layout", layout], script).exits(0);
        let before = study.trials();
        study.run(&["note", "s", "2", "why=typo"]).exits(0);
        let dry = ["clean", "s", "--state", "crashed", "--delete", "--dry-run"];
        study.run(&dry).exits(0).says(&["1 trial would be deleted: 2"]);
        assert_eq!(study.trials().len(), 4, "{layout}");
        // Of a link the target stays.
        study.write("thesis.txt", "years of work");
        let dir = |id: &str| study.path(trial_dir(layout, id));
        symlink(study.path("."), dir("2").join("home")).unwrap();
        std::fs::remove_dir_all(dir("3")).unwrap();
        std::fs::create_dir(study.path("elsewhere")).unwrap();
        study.write("elsewhere/kept", "x");
        if layout == "journal" {
            symlink(study.path("elsewhere"), dir("3")).unwrap();
        }
        study
            .run(&["clean", "s", "2", "3", "--delete"])
            .exits(0)
            .says(&["2 trials are deleted: 2 3"]);
        assert!(!dir("2").exists() && dir("3").symlink_metadata().is_err(), "{layout}");
        assert_eq!(study.read("thesis.txt"), "years of work");
        assert_eq!(study.read("elsewhere/kept"), "x");
        assert_eq!(study.read(format!("{}/checkpoint", trial_dir(layout, "1"))), "here\n");
        let ids = |trials: &[serde_json::Value]| {
            trials.iter().map(|trial| text(&trial["id"])).collect::<Vec<_>>()
        };
        assert_eq!(ids(&study.trials()), ["1", "4"], "{layout}");
        assert_eq!(study.status()["spent"]["evaluations"], 2, "{layout}");
        assert!(!study.read("s/shared_errors.jsonl").contains("\"2\""), "{layout}");
        is_sound(&study, layout);
        study.run(&["clean", "s", "2", "--delete"]).exits(7).says(&["no trial '2'"]);
        // The budget has them again, and what comes is new.
        study.run_study(&[], script).exits(0);
        let after = study.trials();
        assert_eq!(ids(&after), ["1", "4", "5", "6"], "{layout}");
        let x = |trial: &serde_json::Value| trial["config"]["x"].as_f64().unwrap();
        for new in &after[2..] {
            assert!(before.iter().all(|old| x(old) != x(new)), "{layout}: {new} was there before");
        }
        is_sound(&study, layout);
    }
}

/// Nothing is taken from under somebody who works with it, and no trial loses what it continues.
#[test]
fn a_trial_that_somebody_works_with_is_not_deleted() {
    for layout in LAYOUTS {
        let study = Trialmill::new(3);
        study.run(&["create", "study.yaml", "--dir", "s", "--layout", layout]).exits(0);
        study.run(&["ask", "s", "--deadline", "3600"]).exits(0);
        study.run(&["clean", "s", "1", "--delete"]).exits(7).says(&["'1' is being evaluated"]);
        study.run(&["tell", "s", "1", "--objective", "0.5"]).exits(0);
        let script =
            r#"echo > "$HERE/begun"; until [ -e "$HERE/go" ]; do sleep 0.01; done; echo 1"#;
        let run = study.start_study(&[], script);
        eventually("it has begun", || study.path("begun").exists());
        study.run(&["clean", "s", "1", "--delete"]).exits(3).says(&["in use by process p"]);
        study.write("go", "");
        run.end().exits(0);
        assert_eq!(study.trials().len(), 3, "{layout}");
        study.run(&["clean", "s", "1", "--delete"]).exits(0).says(&["1 trial is deleted: 1"]);
        is_sound(&study, layout);
    }
    // A trial of a higher rung continues one of a lower.
    let study = Trialmill::with_space(
        "x: {lower: 0.0, upper: 1.0}, n: {type: int, lower: 1, upper: 9, fidelity: true}",
        20,
    );
    let file = study.read("study.yaml").replace("random_search", "successive_halving");
    study.write("study.yaml", &file);
    study.run_study(&[], "echo $TRIALMILL_PARAM_x").exits(0);
    let trials = study.trials();
    let continued = trials.iter().find_map(|trial| trial["metadata"]["previous_trial_id"].as_str());
    let continued = continued.expect("a trial of a higher rung").to_string();
    let refused = study.run(&["clean", "s", &continued, "--delete"]).exits(7);
    refused.says(&[&format!("'{continued}' cannot be deleted"), "continues it"]);
    let all = ["clean", "s", "--state", "success", "--delete"];
    study.run(&all).exits(0).says(&["20 trials are deleted"]);
    is_sound(&study, "journal");
}
