//! Values before the end, and stopping early, in this process.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use trialmill::{
    Objective, Parameter, ReportDefaults, RunningTrial, SearchSpace, Study, StudyBuilder, Summary,
};

fn study(dir: &tempfile::TempDir) -> StudyBuilder {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    Study::builder(dir.path().join("study")).space(space).seed(1).ctrl_c(false)
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
