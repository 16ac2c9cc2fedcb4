//! Values before the end, and stopping early, in this process.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use trialmill::RandomSearch;
use trialmill::{
    BoxError, Objective, OptimizerInfo, Parameter, Pruner, PrunerInfo, Reached, RegretBound,
    Report, ReportDefaults, RunningTrial, SearchSpace, State, StopEarly, StopReason, Study,
    StudyBuilder, Summary,
};
use trialmill_optimizers::Learner;

fn study(dir: &tempfile::TempDir) -> StudyBuilder {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    Study::builder(dir.path().join("study"))
        .space(space)
        .seed(1)
        .ctrl_c(false)
        .optimizer(RandomSearch::new())
}

/// Values that a closure reports before its end: every process sees them, and they are its curve.
#[test]
fn steps_are_seen_while_the_evaluation_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study");
    let defaults = ReportDefaults {
        learning_curve_if_not_provided: Some([Objective::One(9.0)].into()),
        ..ReportDefaults::default()
    };
    let outcome = study(&dir)
        .workers(4)
        .defaults(defaults)
        .max_evaluations(40)
        .run(|trial: &RunningTrial| {
            if trial.id().number() == Some(1) {
                return Ok(0.5);
            }
            for step in 1..=3 {
                trial.report_step(step, 1.0 / step as f64)?;
                let others = Summary::read(&path)?;
                let seen = others.study().trial(trial.id()).and_then(|it| it.steps.as_ref());
                assert_eq!(seen.map(|steps| steps.len()), Some(step as usize));
            }
            assert!(!trial.should_prune());
            Ok(0.25)
        })
        .unwrap();
    let trials = outcome.study().trials();
    assert_eq!(outcome.study().spent().steps, 39 * 3);
    for trial in trials {
        let curve = trial.report.as_ref().unwrap().learning_curve.as_ref().unwrap();
        assert_eq!(curve.len(), if trial.id.number() == Some(1) { 1 } else { 3 });
    }
}

/// Eight epochs, ended where the pruner says so.
fn epochs(trial: &RunningTrial) -> Result<Report, BoxError> {
    let x = trial.config().float("x")?;
    for epoch in 1..=8 {
        trial.report_step(epoch, x + 1.0 / epoch as f64)?;
        if trial.should_prune() {
            return Ok(Report::pruned());
        }
    }
    Ok(Report::objective(x))
}

/// What happened, without clocks.
fn history(dir: &std::path::Path) -> Vec<String> {
    let journal = std::fs::read_to_string(dir.join("journal.jsonl")).unwrap();
    let timeless = |line: &str| {
        let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
        for clock in ["crc", "time", "pid", "evaluation_duration"] {
            event.as_object_mut().unwrap().remove(clock);
        }
        event.to_string()
    };
    journal.lines().map(timeless).filter(|line| !line.contains("joined")).collect()
}

#[test]
fn the_same_seed_gives_the_same_history_pruning_included() {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for dir in &dirs {
        let median = PrunerInfo::new("median", [("startup_trials", 3)]);
        let outcome = study(dir).workers(1).max_evaluations(60).pruner(median).run(epochs).unwrap();
        assert!(outcome.study().count(State::Pruned) > 20);
        assert_eq!(outcome.best().unwrap().state, State::Success);
    }
    assert_eq!(history(&dirs[0].path().join("study")), history(&dirs[1].path().join("study")));
}

/// A pruner of one's own, and what it is told of parallel workers.
#[test]
fn a_pruner_of_one_s_own_hears_of_all_workers_and_ends_what_it_wants_to() {
    struct Third(u64);
    impl Pruner for Third {
        fn info(&self) -> PrunerInfo {
            PrunerInfo::new("third", [("step", 3)])
        }
        fn judge(&self, reached: &Reached<'_>) -> Option<u64> {
            let odd = reached.trial.id.number().unwrap_or(0) % 2 == 1;
            reached.steps().map(|(step, _)| step).find(|step| odd && *step == 3)
        }
        fn observe(&mut self, reached: &Reached<'_>) {
            self.0 += reached.new.len() as u64;
        }
    }
    let outcome = Study::in_memory()
        .space(SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap())
        .workers(4)
        .ctrl_c(false)
        .max_evaluations(20)
        .own_pruner(Third(0))
        .run(epochs)
        .unwrap();
    let study = outcome.study();
    assert_eq!((study.count(State::Pruned), study.count(State::Success)), (10, 10));
    assert_eq!(study.spent().steps, 10 * 3 + 10 * 8);
}

#[test]
fn pruned_trials_are_free_where_that_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let prunes = |trial: &RunningTrial| -> Result<Report, BoxError> {
        let odd = trial.id().number().unwrap_or(0) % 2 == 1;
        Ok(if odd { Report::pruned() } else { Report::objective(0.5) })
    };
    let outcome = study(&dir).max_evaluations(10).count_pruned(false).run(prunes).unwrap();
    let study = outcome.study();
    assert_eq!((study.count(State::Success), study.spent().evaluations), (10, 10));
    assert!(study.count(State::Pruned) >= 9);
}

#[test]
fn a_run_waits_for_a_better_result_only_as_long_as_it_was_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let stop = StopEarly { seconds_without_improvement: Some(0.2), ..StopEarly::default() };
    let outcome = study(&dir)
        .workers(2)
        .stop_early(stop)
        .run(|_: &RunningTrial| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            Ok(0.5)
        })
        .unwrap();
    assert_eq!(outcome.stopped().to_string(), "nothing becomes better any more");
    assert!(matches!(outcome.stopped(), StopReason::Early(_)));
    // The next run is told so at once.
    let again = study(&dir).stop_early(stop).run(|_: &RunningTrial| Ok(0.1)).unwrap();
    assert_eq!(again.study().trials().len(), outcome.study().trials().len());
}

/// Where a study ends by its regret follows from its trials and its seed: a run that was stopped in between ends at the
/// same trial, with a fast optimizer and with one that fits a model of its own.
#[test]
fn a_study_ends_by_its_regret_at_the_same_trial_resumed_or_not() {
    for optimizer in ["random_search", "tpe"] {
        let stop =
            StopEarly { regret_bound: Some(RegretBound::AtMost(0.03)), ..StopEarly::default() };
        let run = |dir: &tempfile::TempDir, evaluations: u64| {
            let info = OptimizerInfo { name: optimizer.into(), arguments: serde_json::Map::new() };
            let outcome = study(dir)
                .optimizer(Learner::new(info).unwrap())
                .workers(1)
                .max_evaluations(evaluations)
                .stop_early(stop)
                .run(|trial: &RunningTrial| {
                    let x = trial.config().float("x")?;
                    Ok((6.0 * x - 2.0).powi(2) * (12.0 * x - 4.0).sin())
                })
                .unwrap();
            let trials = outcome.study().trials().iter();
            let trials: Vec<_> = trials.map(|t| (t.config.to_string(), t.objective())).collect();
            (trials, outcome.stopped().to_string())
        };
        let dirs = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let (trials, why) = run(&dirs[0], 300);
        assert_eq!(why, "the bound on the regret is small enough");
        assert!((20..300).contains(&trials.len()), "{optimizer}: {}", trials.len());
        run(&dirs[1], 300);
        let [one, two] = [0, 1].map(|at| history(&dirs[at].path().join("study")));
        assert_eq!(one, two);
        // Stopped before and behind checkpoints.
        for evaluations in [5, 19, 20, 21, 23] {
            run(&dirs[2], evaluations);
        }
        assert_eq!(run(&dirs[2], 300), (trials, why), "{optimizer}");
    }
}
