//! A study from Rust that maximises.

#![allow(clippy::unwrap_used)] // This is a test.

use trialmill_core::error::BoxError;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::trial::Trial;
use trialmill_runtime::StudyBuilder;
use trialmill_runtime::evaluate::RunningTrial;

fn study(dir: &tempfile::TempDir) -> StudyBuilder {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    StudyBuilder::in_directory(dir.path().join("study")).space(space).seed(1).ctrl_c(false)
}

fn objective(trial: &RunningTrial) -> Result<f64, BoxError> {
    Ok(trial.config().float("x")?)
}

#[test]
fn an_objective_that_is_maximised_is_reported_and_read_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let ran = || study(&dir).maximize("accuracy").workers(1).max_evaluations(9).run(objective);
    let outcome = ran().unwrap();
    let most = outcome.study().trials().iter().filter_map(Trial::objective).fold(0.0, f64::max);
    assert_eq!(outcome.best().unwrap().objective(), Some(most));
    assert!(outcome.to_string().contains(&format!("best: accuracy {most:?} by trial")));
    assert!(ran().is_ok(), "the same again");
    let other = study(&dir).minimize("accuracy").run(objective).unwrap_err();
    assert!(other.to_string().contains("maximize accuracy"), "{other}");
    let twice = study(&dir).maximize("a").minimize("a").run(objective).unwrap_err();
    assert!(twice.to_string().contains("twice"), "{twice}");
}
