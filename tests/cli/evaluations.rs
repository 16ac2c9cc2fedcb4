//! What runs is part of the study: one command for all its workers, whoever changes it, and of each trial it
//! is known what it ran.

use std::path::Path;

use crate::support::{Trialmill, eventually};

/// `worker` ran the command of long ago, and said nothing.
#[test]
fn workers_run_the_command_that_the_study_was_last_given() {
    let study = Trialmill::new(2);
    let file = study.read("study.yaml");
    let with = |command: &str, n: u32| {
        let file = file.replace("evaluations: 2", &format!("evaluations: {n}"));
        study.write("study.yaml", &format!("{file}command: [sh, -c, 'echo {command}']\n"));
    };
    let run = ["run", "study.yaml", "--dir", "s", "-q"];
    with("111", 1);
    study.run(&run).exits(0).says_nothing_of("command");
    with("222", 2);
    study.run(&run).exits(0).says(&["the study's evaluation changes", "111", "222"]);
    study.run(&["set", "s", "--evaluations", "3"]).exits(0);
    study.run(&["worker", "s", "-q", "-w", "1"]).exits(0).says_nothing_of("command");
    // A run that is refused changes nothing.
    study.write(
        "study.yaml",
        &study.read("study.yaml").replace("seed: 7", "seed: 8").replace("222", "333"),
    );
    study.run(&run).exits(3);
    study.run(&["set", "s", "--evaluations", "4"]).exits(0);
    let own = ["worker", "s", "-q", "-w", "1", "--", "sh", "-c", "echo 444"];
    study.run(&own).exits(0).says(&["a command of their own", "222"]);
    let values: Vec<_> = study
        .trials()
        .iter()
        .map(|trial| trial["report"]["objective_to_minimize"].clone())
        .collect();
    assert_eq!(values, [111.0, 222.0, 222.0, 444.0]);
}

impl Trialmill {
    /// What the trials gave, in their order.
    fn values(&self) -> Vec<f64> {
        let objective =
            |trial: &serde_json::Value| trial["report"]["objective_to_minimize"].as_f64();
        self.trials().iter().filter_map(objective).collect()
    }

    /// Which evaluation each trial ran.
    fn ran(&self) -> Vec<u64> {
        self.trials().iter().filter_map(|trial| trial["metadata"]["evaluation"].as_u64()).collect()
    }
}

/// Workers that ran went on with the command that they had begun with, and nobody could tell which trial had
/// run what.
#[test]
fn a_change_counts_for_running_workers_of_all_processes_from_their_next_trials_on() {
    for layout in ["journal", "neps", "neps-0.12"] {
        let study = Trialmill::new(6);
        // Each says that it has begun, and waits to be let go.
        let script = r#"echo > "$HERE/begun.$TRIALMILL_TRIAL_ID"
            until [ -e "$HERE/go.$TRIALMILL_TRIAL_ID" ]; do sleep 0.01; done; echo $VALUE"#;
        study.write("c.sh", script);
        let run = ["run", "study.yaml", "--dir", "s", "-q", "--layout", layout];
        let options = ["--env", "VALUE=1", "--", "sh", "c.sh"];
        let first = study.start(&[&run[..], &options].concat());
        let begun = |n: u32| study.path(format!("begun.{n}")).exists();
        eventually("the first began", || begun(1));
        let second = study.start(&["worker", "s", "-q", "-w", "1"]);
        eventually("the second began", || begun(2));
        study.run(&["set", "s", "--env", "VALUE=2"]).exits(0).says(&[
            "evaluation 2 counts for all workers",
            "VALUE=1 → VALUE=2",
            "evaluation 1: ",
            "evaluation 2, now: ",
        ]);
        (1..=6).for_each(|n| drop(study.write(&format!("go.{n}"), "")));
        let says = ["this process runs evaluation 2, not 1", "VALUE=2"];
        // What one of them did not get to do, it need not have said.
        let said = [first.end().exits(0), second.end().exits(0)].map(|ran| ran.stderr);
        assert!(said.iter().any(|said| says.iter().all(|word| said.contains(word))), "{said:?}");
        assert_eq!(study.values(), [1.0, 1.0, 2.0, 2.0, 2.0, 2.0], "{layout}");
        assert_eq!(study.ran(), [1, 1, 2, 2, 2, 2], "{layout}");
        let counts = study.status()["evaluations"].as_array().unwrap().clone();
        let counts: Vec<_> = counts
            .iter()
            .map(|of| (of["trials"].as_u64().unwrap(), of["current"] == true))
            .collect();
        assert_eq!(counts, [(2, false), (4, true)], "{layout}");
        study.run(&["show", "s", "3"]).exits(0).says(&["evaluation 2"]);
        study.run(&["check", "s"]).exits(0);
        // The copy knows it too.
        study
            .run(&["convert", "s", "t", "--layout", "journal"])
            .exits(0)
            .says(&["evaluation 2, now"]);
    }
}

/// The command stood in `study.json` alone.
#[test]
fn a_study_from_before_evaluations_were_events_goes_on_with_its_command() {
    let study = Trialmill::new(2);
    study.create();
    let path = study.path("s/study.json");
    let mut json: serde_json::Value = serde_json::from_str(&study.read("s/study.json")).unwrap();
    let command = ["sh", "-c", "echo $TRIALMILL_GRACE_SECONDS"];
    json["evaluation"] = serde_json::json!({"command": command, "timeout_seconds": null});
    std::fs::write(path, json.to_string()).unwrap();
    study.run(&["status", "s"]).exits(0).says(&["echo $TRIALMILL_GRACE_SECONDS"]);
    study.run(&["worker", "s", "-q", "-w", "1", "--evaluations-per-worker", "1"]).exits(0);
    study.run(&["set", "s", "--grace", "7"]).exits(0).says(&["grace: 5 s → 7 s"]);
    study.run(&["worker", "s", "-q", "-w", "1"]).exits(0);
    assert_eq!(study.values(), [5.0, 7.0]);
    assert_eq!(study.ran(), [1, 2]);
}

/// A worker with a command, a limit or a variable of its own is told apart, and changes nothing for others.
#[test]
fn what_one_process_does_otherwise_is_recorded_and_is_not_the_study_s() {
    let study = Trialmill::new(3);
    let run = ["run", "study.yaml", "--dir", "s", "-q", "--env", "VALUE=1"];
    let command = ["--evaluations-per-worker", "1", "--", "sh", "-c", "echo $VALUE"];
    study.run(&[&run[..], &command].concat()).exits(0);
    let worker = ["worker", "s", "-q", "-w", "1", "--evaluations-per-worker", "1"];
    let own = [&worker[..], &["--env", "VALUE=2", "--timeout", "60"]].concat();
    study.run(&own).exits(0).says(&["a command of their own", "VALUE=1 → VALUE=2", "60 s"]);
    study.run(&worker).exits(0).says_nothing_of("a command of their own");
    assert_eq!((study.values(), study.ran()), (vec![1.0, 2.0, 1.0], vec![1, 2, 1]));
    study.run(&["status", "s"]).exits(0).says(&["evaluation 1, now: ", "evaluation 2: "]);
}

#[test]
fn a_command_runs_where_run_was_started_and_elsewhere_only_where_that_is_not() {
    let study = Trialmill::new(3);
    for dir in ["code", "other"] {
        std::fs::create_dir(study.path(dir)).unwrap();
        study.write(&format!("{dir}/c.sh"), &format!("echo {}", dir.len()));
    }
    let from = |dir: &str, arguments: &[&str]| {
        let mut command = study.command(arguments);
        command.current_dir(study.path(dir));
        crate::support::Running::with_pipes(command).end().exits(0)
    };
    let (file, s) = (study.path("study.yaml"), study.path("s"));
    let text = |path: &Path| path.to_str().unwrap().to_string();
    let (file, s) = (text(&file), text(&s));
    let one = ["-q", "-w", "1", "--evaluations-per-worker", "1"];
    from("code", &[&["run", &file, "--dir", &s][..], &one, &["--", "sh", "c.sh"]].concat());
    let worker = [&["worker", &s][..], &one].concat();
    from("other", &worker);
    std::fs::rename(study.path("code"), study.path("gone")).unwrap();
    from("other", &worker).says(&["not on this machine", "other"]);
    assert_eq!(study.values(), [4.0, 4.0, 5.0]);
}

#[test]
fn what_no_command_can_have_is_refused_and_changes_nothing() {
    let study = Trialmill::new(1);
    study.run_study(&[], "echo 1").exits(0);
    let before = study.read("s/journal.jsonl");
    for (options, says) in [
        (vec!["--env", "X"], "NAME=VALUE"),
        (vec!["--env", "TRIALMILL_CONFIG=x"], "TRIALMILL_"),
        (vec!["--timeout", "0"], "timeout"),
        (vec!["--grace=-1"], "grace"),
        (vec!["--working-directory", "nowhere"], "nowhere"),
        (vec!["--", "no-such-program"], "no-such-program"),
        (vec!["--", "sh", "{nothing}"], "nothing"),
        // The first was changed before the second was refused, and the exit code says that nothing was.
        (vec!["--timeout", "7", "--pruner", "nonsense"], "nonsense"),
        (vec!["--timeout", "7", "--cost", "nan"], "cost"),
    ] {
        study.run(&[&["set", "s"][..], &options].concat()).exits(2).says(&[says]);
    }
    assert_eq!(study.read("s/journal.jsonl"), before);
    study.run(&["set", "s", "--timeout", "9"]).exits(0);
    study.run(&["set", "s", "--timeout", "9"]).exits(0).says(&["stays as it is"]);
}

/// Each of two `set`s at once wrote the whole evaluation with what it had read before: what the other had set
/// was lost, and both had said that it counts.
#[test]
fn of_two_who_change_the_evaluation_at_once_both_do() {
    let study = Trialmill::new(1);
    study.run_study(&[], "echo 1").exits(0);
    for round in 0..3 {
        let wanted: Vec<String> = (0..16).map(|at| format!("V{round}_{at}=x")).collect();
        let start = |variable: &String| study.start(&["set", "s", "--env", variable]);
        let sets: Vec<_> = wanted.iter().map(start).collect();
        for set in sets {
            set.end().exits(0);
        }
        let journal = study.lines("s/journal.jsonl");
        let last = journal.iter().rfind(|line| line.contains("\"event\":\"evaluation\"")).unwrap();
        for variable in wanted {
            let name = variable.trim_end_matches("=x");
            assert!(last.contains(&format!("\"{name}\":\"x\"")), "{variable} is lost: {last}");
        }
    }
}
