//! Trials that are evaluated elsewhere: ask, tell, release, retry.

use serde_json::json;

use crate::support::{Trialmill, eventually, text};

impl Trialmill {
    /// Asks for trials and gives their ids.
    fn ask(&self, n: u32) -> Vec<String> {
        let asked = self.json(&["ask", "s", "-n", &n.to_string()]);
        asked.as_array().unwrap().iter().map(|trial| text(&trial["id"])).collect()
    }
}

#[test]
fn what_is_told_is_not_lost() {
    let study = Trialmill::new(6);
    study.create();
    let asked = study.json(&["ask", "s", "-n", "6", "--caller", "slurm", "--deadline", "60"]);
    let first = &asked[0];
    assert_eq!((&first["id"], &first["attempt"]), (&json!("1"), &json!(1)));
    assert_eq!(first["deadline_seconds"], 60.0);
    assert!(first["config"]["x"].is_f64() && first["previous_trial_id"].is_null());
    // The job runs somewhere else than here.
    assert_eq!(first["location"], study.path("s/trials/1").to_str().unwrap());
    assert_eq!(study.count("evaluating"), 6);
    study.run(&["status", "s"]).exits(0).says(&["leased", "slurm"]);

    let tell = |arguments: &[&str]| study.run(&[&["tell", "s"], arguments].concat()).exits(0);
    tell(&["1", "--objective", "0.5", "--cost", "2"]);
    tell(&["2", "--objective", "-1.5", "--attempt", "1"]);
    tell(&["3", "--result", r#"{"objective_to_minimize": 3, "info_dict": {"epochs": 5}}"#]);
    tell(&["4", "--failed", "too large a model"]);
    tell(&["5", "--crashed", "node lost", "--cost", "1"]);
    tell(&["6", "--result", "0.25"]);
    let states = ["success", "success", "success", "failed", "crashed", "success"];
    assert_eq!(study.states(), states);
    let report = |at: usize| study.trials()[at]["report"].clone();
    assert_eq!(
        (&report(0)["objective_to_minimize"], &report(0)["cost"]),
        (&json!(0.5), &json!(2.0))
    );
    assert_eq!(report(2)["extra"], json!({"epochs": 5}));
    assert_eq!(
        (&report(3)["err"], &report(4)["err"]),
        (&json!("too large a model"), &json!("node lost"))
    );
    assert_eq!(study.json(&["best", "s"])["id"], "2");
    assert_eq!(study.trials()[0]["metadata"]["evaluating_worker_id"], "slurm");
}

/// `show` had no word of what was reported before the end, until there was an end. A caller's name went to the
/// terminal as it was, line breaks and escapes too.
#[test]
fn what_a_caller_reports_is_shown_before_its_end_and_its_name_as_text() {
    let study = Trialmill::new(2);
    study.create();
    study.run(&["ask", "s", "--caller", "a\n\u{1b}[31mb"]).exits(0);
    for (step, value) in [("1", "0.5"), ("2", "0.25")] {
        study.run(&["progress", "s", "1", "--step", step, "--value", value]).exits(0);
    }
    study.run(&["show", "s", "1"]).exits(0).says(&["steps      1: 0.5, 2: 0.25 (2 of attempt 1)"]);
    for verb in [vec!["show", "s", "1"], vec!["trials", "s", "--long"], vec!["status", "s"]] {
        study.run(&verb).exits(0).says_nothing_of("\u{1b}").says_nothing_of("a\n");
    }
    let told = study.run(&["tell", "s", "1", "--objective", "error=1"]);
    told.exits(2).says(&["'error' is no name of the study: give the number alone"]);
    study.run(&["tell", "s", "1", "--objective", "1"]).exits(0);
    study
        .run(&["show", "s", "1"])
        .exits(0)
        .says(&["curve      0.5, 0.25"])
        .says_nothing_of("steps   ");
    let asked = study.run(&["ask", "s", "--deadline", "1e300"]);
    asked.exits(2).says(&["is too long"]).says_nothing_of("Duration");
}

#[test]
fn asking_does_not_spend_more_than_the_budget() {
    let study = Trialmill::new(5);
    study.create();
    let text = study.run(&["ask", "s"]).exits(0).stdout;
    assert!(text.starts_with("1 x=0.") && text.lines().count() == 1, "{text}");
    assert_eq!(study.ask(65_536), ["2", "3", "4", "5"]);
    let nothing = study.run(&["ask", "s", "--json"]).exits(9);
    assert_eq!(nothing.stdout, "[]\n");
    nothing.says(&["nothing to hand out", "the budget is used"]);
    // A worker does not wait for what was asked for, and spends nothing either.
    study.run(&["worker", "s", "-q", "--", "sh", "-c", "echo 1"]).exits(0);
    assert_eq!(study.trials().len(), 5);
    study.run(&["release", "s", "3"]).exits(0);
    assert_eq!(study.ask(2), ["3"]);
}

#[test]
fn two_objectives_do_not_become_one() {
    let study = Trialmill::new(4);
    study.create();
    study.ask(4);
    study.run(&["tell", "s", "1", "--objective", "1", "--objective", "5"]).exits(0);
    study.run(&["tell", "s", "2", "--result", "[2, 2]"]).exits(0);
    let result = r#"{"objective_to_minimize": [3, 3], "learning_curve": [[9, 9], [3, 3]]}"#;
    study.run(&["tell", "s", "3", "--result", result]).exits(0);
    study.run(&["tell", "s", "4", "--objective", "5", "--objective=-1"]).exits(0);
    let front = study.json(&["best", "s"]);
    let ids: Vec<_> = front.as_array().unwrap().iter().map(|trial| text(&trial["id"])).collect();
    assert_eq!(ids, ["1", "2", "4"]);
    study.run(&["best", "s"]).exits(0).says(&["[1.0, 5.0] by trial 1", "[5.0, -1.0] by trial 4"]);
    assert_eq!(study.status()["front"], json!(["1", "2", "4"]));
    assert_eq!(study.status()["best"], json!(null));
}

#[test]
fn a_negative_number_is_not_taken_for_an_option() {
    let study = Trialmill::new(3);
    study.create();
    study.ask(3);
    study.run(&["tell", "s", "1", "--objective", "-1e-3", "--cost", "-0.5"]).exits(0);
    study.run(&["tell", "s", "2", "--objective", "-inf"]).exits(0);
    study.run(&["tell", "s", "3", "--objective", "nan"]).exits(0);
    let objective = |at: usize| study.trials()[at]["report"]["objective_to_minimize"].clone();
    assert_eq!(
        [objective(0), objective(1), objective(2)],
        [json!(-1e-3), json!("-inf"), json!("nan")]
    );
}

#[test]
fn a_second_report_does_not_overwrite_the_first() {
    let study = Trialmill::new(2);
    study.create();
    study.ask(1);
    study.run(&["tell", "s", "1", "--objective", "1"]).exits(0);
    let told = study.trials();
    for late in [
        &["tell", "s", "1", "--objective", "2"][..],
        &["tell", "s", "1", "--crashed", "late"],
        &["release", "s", "1"],
    ] {
        study.run(late).exits(10).says(&[
            "superseded",
            "trial 1 is success",
            "nothing was changed",
        ]);
    }
    assert_eq!(study.trials(), told);
    for unknown in [
        &["tell", "s", "99", "--objective", "2"][..],
        &["tell", "s", "01", "--objective", "2"],
        &["release", "s", "2_rung_1"],
        &["retry", "s", "99"],
        &["trials", "s", "99"],
    ] {
        study.run(unknown).exits(7).says(&["there is no trial", "trialmill trials"]);
    }
    study.run(&["tell", "s", "../1", "--objective", "2"]).exits(2).says(&["cannot be a trial id"]);
}

#[test]
fn a_caller_who_never_reports_does_not_keep_the_trial() {
    let study = Trialmill::new(4);
    study.create();
    study.run(&["ask", "s", "--deadline", "0.01"]).exits(0);
    let mut again = json!(null);
    eventually("the trial is handed out again", || {
        study.run(&["release", "s", "2"]);
        again = study.json(&["ask", "s", "--deadline", "60"])[0].clone();
        again["id"] == "1"
    });
    assert_eq!(again["attempt"], 2);
    study.run(&["tell", "s", "1", "--attempt", "1", "--objective", "9"]).exits(10);
    study.run(&["release", "s", "1", "--attempt", "1"]).exits(10);
    study.run(&["tell", "s", "1", "--attempt", "2", "--objective", "1"]).exits(0);
    assert_eq!(study.trials()[0]["report"]["objective_to_minimize"], 1.0);
}

#[test]
fn a_trial_that_nobody_ever_reports_is_not_handed_out_for_ever() {
    let study = Trialmill::new(2);
    study.create();
    for _ in 0..3 {
        assert_eq!(study.json(&["ask", "s", "--deadline", "0"])[0]["id"], "1");
    }
    study.run(&["tell", "s", "1", "--objective", "1"]).exits(10);
    let trial = &study.trials()[0];
    assert_eq!((&trial["state"], &trial["metadata"]["attempts"]), (&json!("crashed"), &json!(3)));
    assert_eq!(trial["report"]["err_type"], "worker-died");
    study.run(&["status", "s"]).exits(0).says(&["not reported before their deadlines"]);
}

#[test]
fn a_deadline_that_passes_while_workers_run_is_not_overlooked() {
    let study = Trialmill::new(2);
    study.create();
    study.run(&["ask", "s", "--deadline", "0.3"]).exits(0);
    let script = r#"until [ -e "$HERE/go" ]; do sleep 0.01; done; echo "$TRIALMILL_ATTEMPT""#;
    let run = study.start_study(&[], script);
    eventually("it is taken back", || study.states() == ["pending", "evaluating"]);
    study.write("go", "");
    run.end().exits(0).says(&["2 trials succeeded"]);
    assert_eq!(study.trials()[0]["report"]["objective_to_minimize"], 2.0);
}

#[test]
fn a_released_trial_is_not_lost_to_the_workers() {
    let study = Trialmill::new(3);
    study.create();
    assert_eq!(study.ask(2), ["1", "2"]);
    let asked = study.trials();
    study.run(&["release", "s", "2"]).exits(0);
    assert_eq!(study.states(), ["evaluating", "pending"]);
    let first = r#"echo "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" >> "$HERE/begun"; echo 1"#;
    study.run(&study.study(&[], first)).exits(0);
    assert_eq!(study.lines("begun"), ["2.2", "3.1"]);
    assert_eq!(study.trials()[1]["config"], asked[1]["config"]);
    study.run(&["tell", "s", "1", "--objective", "0"]).exits(0);
    assert_eq!(study.states(), ["success"; 3]);
}

#[test]
fn release_does_not_start_a_worker_s_trial_a_second_time_beside_it() {
    let study = Trialmill::new(3);
    let script = r#"echo "$TRIALMILL_TRIAL_ID" >> "$HERE/begun"
        until [ -e "$HERE/go" ]; do sleep 0.01; done; echo "$TRIALMILL_ATTEMPT""#;
    let run = study.start_study(&["-w", "2"], script);
    eventually("both have begun", || study.lines("begun").len() == 2);
    study.run(&["release", "s", "1"]).exits(7).says(&["p1-w1", "evaluating"]);
    assert_eq!(study.states(), ["evaluating"; 2]);
    study.write("go", "");
    run.end().exits(0).says(&["3 trials succeeded"]);
    assert_eq!(study.lines("begun").len(), 3);
}

#[test]
fn a_trial_that_was_asked_for_is_not_taken_from_its_caller_by_a_run_that_starts() {
    let study = Trialmill::new(2);
    study.create();
    assert_eq!(study.ask(1), ["1"]);
    study.run_study(&[], "echo 5").exits(0);
    assert_eq!(study.states(), ["evaluating", "success"]);
    study.run(&["tell", "s", "1", "--objective", "0"]).exits(0);
    assert_eq!(study.json(&["best", "s"])["id"], "1");
}

#[test]
fn retry_does_not_give_back_what_it_was_not_told_to() {
    let study = Trialmill::new(4);
    study.create();
    study.ask(4);
    study.run(&["tell", "s", "1", "--objective", "1"]).exits(0);
    study.run(&["tell", "s", "2", "--failed", "no"]).exits(0);
    study.run(&["tell", "s", "3", "--crashed", "no"]).exits(0);
    study.run(&["tell", "s", "4", "--crashed", "no"]).exits(0);
    study.run(&["retry", "s", "1"]).exits(7).says(&["only a failed or crashed trial"]);
    study.run(&["retry", "s", "--state", "success"]).exits(2).says(&["not success"]);
    assert_eq!(study.json(&["retry", "s", "3"]), json!(["3"]));
    assert_eq!(study.states(), ["success", "failed", "pending", "crashed"]);
    assert_eq!(study.json(&["retry", "s", "--state", "failed"]), json!(["2"]));
    study.run(&["retry", "s"]).exits(0).says(&["waits again: 4"]);
    // All or none of those that are named.
    study.run_study(&[], "exit 1").exits(0);
    study.run(&["retry", "s", "2", "1"]).exits(7);
    assert_eq!(study.states(), ["success", "crashed", "crashed", "crashed"]);
}

#[test]
fn a_trial_whose_id_could_not_be_printed_does_not_wait_for_its_deadline() {
    let study = Trialmill::new(2);
    study.create();
    study.shell("$TRIALMILL ask s > /dev/full").exits(1).says(&["cannot print"]);
    study.shell("$TRIALMILL ask s --json | true; true").exits(0);
    assert_eq!(study.states(), ["pending"]);
    assert_eq!(study.ask(1), ["1"]);
}

/// Rust opens `/dev/null` where stdout is closed, and `ask` printed there: its trials were taken until their
/// deadline, a day.
#[test]
fn nothing_is_handed_out_to_a_closed_stdout() {
    let study = Trialmill::new(2);
    study.create();
    for verb in ["ask s", "ask s -n 2 --json"] {
        study.shell(&format!("$TRIALMILL {verb} >&-")).exits(1).says(&["stdout is closed"]);
    }
    assert_eq!(study.trials().len(), 0);
    // Who throws it away knows what is thrown away.
    study.shell("$TRIALMILL ask s > /dev/null").exits(0);
    assert_eq!(study.states(), ["evaluating"]);
}

#[test]
fn a_nonsensical_wish_is_refused_before_anything_is_claimed() {
    let study = Trialmill::new(2);
    study.create();
    for request in [
        &["-n", "0"][..],
        &["-n", "65537"],
        &["-n", "-1"],
        &["--deadline", "-1"],
        &["--deadline", "nan"],
        &["--deadline", "inf"],
        &["--caller", ""],
        &["--caller", "p1-w1"],
    ] {
        study.run(&[&["ask", "s"], request].concat()).exits(2);
    }
    for told in [
        &["1"][..],
        &["1", "--objective", "x"],
        &["1", "--result", r#"{"loss": 1}"#],
        &["1", "--result", ""],
        &["1", "--objective", "1", "--failed", "x"],
    ] {
        study.run(&[&["tell", "s"], told].concat()).exits(2);
    }
    assert!(study.trials().is_empty());
}

/// `ask` refused every optimizer with a model as one that is not built in: only a running session could
/// sample from it.
#[test]
fn a_model_proposes_to_whoever_asks_and_learns_from_what_is_told() {
    let study = Trialmill::new(14);
    let tpe = "{name: tpe, n_startup_trials: 4}";
    let file = study.read("study.yaml").replace("random_search", tpe);
    study.write("study.yaml", &file);
    study.create();
    for _ in 0..14 {
        let [id] = &study.ask(1)[..] else { panic!("one trial") };
        let trial = study.json(&["trials", "s"]);
        let x = trial.as_array().unwrap().last().unwrap()["config"]["x"].as_f64().unwrap();
        study.run(&["tell", "s", id, "--objective", &(x * x).to_string()]).exits(0);
    }
    assert_eq!(study.count("success"), 14);
    study.run(&["ask", "s"]).exits(9).says(&["the budget"]);
}
