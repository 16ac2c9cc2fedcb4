//! Running again, running longer, and several processes in one directory.

use std::collections::BTreeSet;

use crate::support::{Trialmill, eventually, text};

/// Leaves a line for each evaluation that was begun.
const COUNTED: &str =
    r#"echo "$TRIALMILL_TRIAL_ID" >> "$HERE/begun"; sleep 0.01; echo $TRIALMILL_PARAM_x"#;

impl Trialmill {
    /// Every trial succeeded, once, under an id and with a configuration of its own.
    #[track_caller]
    fn assert_each_evaluated_once(&self, evaluations: usize) {
        let trials = self.trials();
        assert_eq!(trials.len(), evaluations);
        assert!(trials.iter().all(|trial| trial["state"] == "success"));
        let distinct = |of: &dyn Fn(&serde_json::Value) -> String| {
            trials.iter().map(of).collect::<BTreeSet<_>>().len()
        };
        assert_eq!(distinct(&|trial| text(&trial["id"])), evaluations);
        assert_eq!(distinct(&|trial| trial["config"].to_string()), evaluations);
        assert_eq!(self.lines("begun").len(), evaluations);
    }

    /// The processes that evaluated something.
    fn processes(&self) -> BTreeSet<String> {
        let of = |trial: &serde_json::Value| {
            let worker = text(&trial["metadata"]["evaluating_worker_id"]);
            worker.split('-').next().unwrap().to_string()
        };
        self.trials().iter().map(of).collect()
    }
}

#[test]
fn running_again_does_not_start_over_and_a_larger_budget_goes_on() {
    let study = Trialmill::new(5);
    study.run_study(&[], COUNTED).exits(0).says(&["5 trials succeeded"]);
    let before = study.trials();
    study.run_study(&[], COUNTED).exits(0).says(&["5 trials succeeded", "the budget is used"]);
    assert_eq!(study.trials(), before);
    study.run_study(&["--evaluations", "9"], COUNTED).exits(0).says(&["9 trials succeeded"]);
    assert_eq!(study.trials()[..5], before);
    study.assert_each_evaluated_once(9);
    // The uninterrupted study draws the same.
    let at_once = Trialmill::new(9);
    at_once.run_study(&[], COUNTED).exits(0);
    let configs = |study: &Trialmill| -> Vec<_> {
        study.trials().iter().map(|trial| trial["config"].clone()).collect()
    };
    assert_eq!(configs(&at_once), configs(&study));
}

#[test]
fn a_smaller_budget_than_was_spent_loses_nothing() {
    let study = Trialmill::new(4);
    study.run_study(&[], COUNTED).exits(0);
    for budget in ["0", "2"] {
        let ran = study.run_study(&["--evaluations", budget], COUNTED).exits(0);
        ran.says(&["4 trials succeeded", "the budget is used"]);
    }
    study.assert_each_evaluated_once(4);
}

#[test]
fn a_study_with_a_budget_does_not_say_that_it_goes_on_for_ever() {
    let study = Trialmill::new(0);
    study.write("study.yaml", "space: {x: [0.0, 1.0]}\nworkers: 1\n");
    let limited = study.run_study(&["--seconds", "0"], "echo 1").exits(0);
    study.run_study(&["--evaluations", "2"], "echo 1").exits(0).says_nothing_of("no budget");
    let ran = study.run_study(&[], "echo 1").exits(0).says(&["the budget is used"]);
    ran.says_nothing_of("no budget");
    limited.says_nothing_of("no budget");
}

#[test]
fn a_cost_budget_is_not_overlooked() {
    let study = Trialmill::new(100);
    let script = r#"echo '{"objective_to_minimize": 1, "cost": 2.5}'"#;
    study.run_study(&["--cost", "9"], script).exits(0).says(&["the budget is used: cost"]);
    assert_eq!(study.trials().len(), 4);
    assert_eq!(study.status()["spent"]["cost"], 10.0);
}

#[test]
fn limits_per_worker_do_not_limit_the_study() {
    let study = Trialmill::new(8);
    let ran = study.run_study(&["--evaluations-per-worker", "2", "-w", "2"], COUNTED).exits(0);
    ran.says(&["the workers' own budget is used"]);
    assert_eq!(study.trials().len(), 4);
    let costs = r#"echo x >> "$HERE/begun"; echo '{"objective_to_minimize": 1, "cost": 2}'"#;
    study.run_study(&["--cost-per-worker", "3"], costs).exits(0);
    assert_eq!(study.trials().len(), 6);
    let ran = study.run_study(&["--evaluations-per-run", "0"], COUNTED).exits(0);
    ran.says(&["the budget of this run is used: evaluations"]);
    study.run_study(&["--seconds", "0"], COUNTED).exits(0).says(&["the workers' time is up"]);
    assert_eq!(study.trials().len(), 6);
    study.run_study(&[], COUNTED).exits(0);
    study.assert_each_evaluated_once(8);
}

#[test]
fn a_worker_from_a_second_process_does_not_spend_more_than_the_budget() {
    let study = Trialmill::new(60);
    let first = study.start_study(&["-w", "2"], COUNTED);
    eventually("the first has begun", || !study.lines("begun").is_empty());
    let second = study.start(&["worker", "s", "-q", "-w", "2"]);
    first.end().exits(0).says(&["60 trials succeeded"]);
    second.end().exits(0);
    study.assert_each_evaluated_once(60);
    assert_eq!(study.processes(), BTreeSet::from(["p1".into(), "p2".into()]));
    assert_eq!(study.status()["processes"], serde_json::json!([]));
}

#[test]
fn a_worker_needs_no_command_but_may_have_its_own() {
    let study = Trialmill::new(4);
    study.run_study(&["--evaluations-per-worker", "1"], COUNTED).exits(0);
    study.run(&["worker", "s", "-q", "--evaluations-per-worker", "1", "-w", "1"]).exits(0);
    study.run(&["worker", "s", "-q", "-w", "1", "--", "sh", "-c", "echo 77"]).exits(0);
    assert_eq!(study.lines("begun").len(), 2);
    let objective = |at: usize| study.trials()[at]["report"]["objective_to_minimize"].clone();
    assert_eq!([objective(2), objective(3)], [77.0, 77.0]);
}

#[test]
fn thirty_runs_at_once_on_a_new_directory_do_not_make_two_studies() {
    let study = Trialmill::new(60);
    // Without a seed each of them would draw another one.
    study.write("study.yaml", &study.read("study.yaml").replace("seed: 7\n", ""));
    let runs: Vec<_> = (0..30).map(|_| study.start_study(&[], COUNTED)).collect();
    for run in runs {
        // They leave in good order, and nobody shall call them dead for that.
        run.end().exits(0).says(&["60 trials succeeded"]).says_nothing_of("dead");
    }
    study.assert_each_evaluated_once(60);
    assert_eq!(std::fs::read_dir(study.path("s/workers")).unwrap().count(), 0);
}

#[test]
fn a_run_does_not_end_before_what_others_evaluate_has_ended() {
    let study = Trialmill::new(2);
    let slow = r#"if [ "$TRIALMILL_TRIAL_ID" = 1 ]; then
            echo > "$HERE/first"; until [ -e "$HERE/go" ]; do sleep 0.01; done; fi; echo 1"#;
    let first = study.start_study(&["--evaluations-per-worker", "1"], slow);
    eventually("the first has begun", || study.path("first").exists());
    let mut second = study.start_study(&[], slow);
    eventually("the second is done", || study.states() == ["evaluating", "success"]);
    let no_wait = study.run_study(&["--no-wait"], slow).exits(0);
    no_wait.says(&["1 trial succeeded, 1 evaluating"]);
    assert!(!second.has_ended());
    study.write("go", "");
    first.end().exits(0);
    second.end().exits(0).says(&["2 trials succeeded"]);
}

#[test]
fn a_buffered_run_keeps_what_it_reports() {
    let study = Trialmill::new(20);
    study.run_study(&["--buffered", "-w", "2"], COUNTED).exits(0);
    study.assert_each_evaluated_once(20);
}
