//! What the seed documents promise: NePS's runtime and its state, in Rust. docs/neps.md has the table.

use std::sync::atomic::{AtomicU64, Ordering};

use trialmill::{
    BoxError, Budget, GridSearch, Limit, Parameter, RandomSearch, Report, RunningTrial,
    SearchSpace, StopReason, Study, StudyBuilder,
};

fn study(dir: &tempfile::TempDir) -> StudyBuilder {
    let space = SearchSpace::new([("x", Parameter::float(-5.0, 5.0))]).unwrap();
    Study::builder(dir.path().join("s"))
        .space(space)
        .optimizer(RandomSearch::new())
        .seed(1)
        .workers(4)
        .ctrl_c(false)
}

// `run` takes closures that may fail.
#[allow(clippy::unnecessary_wraps)]
fn parabola(trial: &RunningTrial) -> Result<f64, BoxError> {
    Ok(trial.config().float("x")?.powi(2))
}

/// "At most 10 in this run" with four workers was 40: the limit was each worker's own.
#[test]
fn a_limit_of_the_run_is_one_of_all_its_workers_together() {
    let dir = tempfile::tempdir().unwrap();
    for batch in [1, 3] {
        for runs in 1..=2 {
            let outcome = study(&dir).batch(batch).max_evaluations_per_run(10).run(parabola);
            let outcome = outcome.unwrap();
            let before = if batch == 1 { 0 } else { 20 };
            assert_eq!(outcome.study().trials().len(), before + 10 * runs, "batch {batch}");
            assert_eq!(outcome.stopped(), StopReason::RunBudget(Limit::Evaluations));
            assert!(outcome.to_string().contains("the budget of this run is used: evaluations"));
        }
    }
    // The limit of the study holds over it, and the last run says which of the two it was.
    let last = study(&dir).max_evaluations(45).max_evaluations_per_run(10).run(parabola).unwrap();
    assert_eq!(last.study().trials().len(), 45);
    assert_eq!(last.stopped(), StopReason::Budget(Limit::Evaluations));
}

/// What was handed back, and what an answer did not use, is not spent.
#[test]
fn what_a_run_does_not_evaluate_it_has_not_spent() {
    let space = SearchSpace::new([("x", Parameter::int(1, 7))]).unwrap();
    let grid =
        || Study::in_memory().space(space.clone()).optimizer(GridSearch::default()).workers(3);
    // Each asks for five of the seven there are.
    let outcome =
        grid().batch(5).max_evaluations_per_run(7).ctrl_c(false).run(|_| Ok(1.0)).unwrap();
    assert_eq!(outcome.study().trials().len(), 7);

    let session = grid().max_evaluations_per_run(2).ctrl_c(false).open().unwrap();
    for done in [2, 4, 6, 7] {
        session.run(|_| Ok(1.0)).unwrap();
        let trials = session.handle().trials().unwrap();
        assert_eq!(trials.len(), done, "each run of a session has it anew");
    }
}

#[test]
fn a_limit_of_the_cost_of_the_run_ends_it_and_not_the_study() {
    let dir = tempfile::tempdir().unwrap();
    let begun = AtomicU64::new(0);
    let costly = |_: &RunningTrial| {
        begun.fetch_add(1, Ordering::SeqCst);
        Ok(Report::objective(1.0).cost(2.0))
    };
    let limit = Budget { cost: Some(6.0), ..Budget::default() };
    let outcome = study(&dir).workers(1).per_run(limit).run(costly).unwrap();
    assert_eq!(outcome.stopped(), StopReason::RunBudget(Limit::Cost));
    assert_eq!(begun.load(Ordering::SeqCst), 3);
    let more = study(&dir).workers(1).per_run(limit).max_cost(100.0).run(costly).unwrap();
    assert_eq!(more.study().trials().len(), 6);

    let steps = Budget { steps: Some(3), ..Budget::default() };
    let refused = study(&dir).per_run(steps).open().err().unwrap().to_string();
    assert!(refused.contains("per_run: steps are limited for the whole study alone"), "{refused}");
}
