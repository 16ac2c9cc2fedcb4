//! A client without a session: for short-lived processes, which have no workers.

#![allow(clippy::unwrap_used)] // This is a test.

use std::time::Duration;

use trialmill_runtime::{Action, More};

use trialmill::{
    AskOutcome, DirectClient, GridSearch, Parameter, Report, ReportOutcome, SearchSpace,
    StopReason, Study,
};

#[test]
fn a_client_without_a_session_asks_reports_and_hears_that_a_grid_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study");
    let space = SearchSpace::new([("x", Parameter::categorical(["a", "b"]))]).unwrap();
    Study::builder(&path).space(space).optimizer(GridSearch::default()).create().unwrap();
    let client = DirectClient::open(&path).unwrap();
    let asked = client.ask("me", 5, Duration::from_mins(1)).unwrap().into_trials();
    assert_eq!(asked.len(), 2);
    assert_eq!(client.report(&asked[0].id, Some(1), 0.5.into()).unwrap(), ReportOutcome::Accepted);
    let crashed = Report::crashed("told", "no reason");
    assert_eq!(client.report(&asked[1].id, None, crashed).unwrap(), ReportOutcome::Accepted);
    let end = AskOutcome::Stop(StopReason::Finished);
    assert_eq!(client.sample(1).unwrap(), end);
    assert_eq!(client.ask("me", 1, Duration::from_mins(1)).unwrap(), end);
    let both = [asked[1].id.clone(), asked[0].id.clone()];
    assert!(client.retry_trials(&both).is_err(), "all or none");
    assert_eq!(client.next_pending(1).unwrap(), []);
    assert_eq!(client.retry_trials(&both[..1]).unwrap(), both[..1]);
    assert_eq!(client.next_pending(1).unwrap().len(), 1);
}

/// Whoever enlarged the budget read it, and wrote it with what was added: of two at once the one was lost, and a
/// pause in between was taken back.
#[test]
fn two_who_enlarge_the_budget_at_once_both_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study");
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    Study::builder(&path).space(space).max_evaluations(1).create().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let client = DirectClient::open(&path).unwrap();
                for _ in 0..25 {
                    let more = More { evaluations: Some(1), ..More::default() };
                    client.act(Action::Budget(more)).unwrap();
                }
            });
        }
    });
    let client = DirectClient::open(&path).unwrap();
    let limit = client.with_study(|study| study.policy().budget.evaluations).unwrap();
    assert_eq!(limit, Some(101));
}
