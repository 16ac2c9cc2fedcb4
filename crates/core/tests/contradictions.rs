//! A journal whose records contradict each other: none of them may change a study, or a result goes to another attempt.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

mod support;

use serde_json::{Map, json};
use support::{ask, handed, id, obedient, process, report, run, study};
use trialmill_core::event::{Event, EventKind, Process, Reason};
use trialmill_core::study::{Command, StudyState};
use trialmill_core::trial::{Report, State, Step, TrialId};

/// All that a study knows.
fn print(study: &StudyState) -> String {
    let trials: Vec<_> = study.trials().iter().collect();
    let others = (study.processes().collect::<Vec<_>>(), study.leases().collect::<Vec<_>>());
    let numbers = (study.claims(), study.requeues(), study.sample_count(), study.spent());
    let counts = State::ALL.map(|state| study.count(state));
    format!("{trials:?} {others:?} {numbers:?} {counts:?} {:?}", study.best())
}

#[test]
fn a_record_that_contradicts_those_before_it_changes_nothing() {
    let mut study = study(9);
    // Trial 1 is evaluated for the second time, 2 waits, 3 has ended.
    let first = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
    let (attempt, reason) = (Some(1), Reason::Released);
    run(&mut study, Command::Release { trial: first.clone(), attempt, reason }).unwrap();
    assert_eq!(handed(ask(&mut study, 1, obedient).unwrap()), [first]);
    run(&mut study, Command::Sample { n: 1, worker: "p1-w1".into() }).unwrap();
    run(&mut study, Command::Sample { n: 1, worker: "p1-w1".into() }).unwrap();
    let sampled = study.trial(&id("3")).unwrap().clone();
    let claimed = |trial: &str, attempt: u32, evaluation: Option<u32>| EventKind::Claimed {
        trial: id(trial),
        attempt,
        worker: "p1-w1".into(),
        evaluation,
        lease: None,
    };
    study.apply(Event { time: 3.0, kind: claimed("3", 1, None) }).unwrap();
    report(&mut study, &id("3"), Report::objective(1.0));
    let state = |trial: &str| study.trial(&id(trial)).map(|it| (it.state, it.attempts)).unwrap();
    assert_eq!(state("1"), (State::Evaluating, 2));
    assert_eq!((state("2"), state("3")), ((State::Pending, 0), (State::Success, 1)));

    let sampled = |trial: &str, evaluation: Option<u32>| EventKind::Sampled {
        trial: id(trial),
        config: sampled.config.clone(),
        previous: None,
        worker: "p1-w1".into(),
        claimed: true,
        evaluation,
    };
    let stepped = |trial: &str, attempt: u32| {
        let steps = Box::from([Step::new(1, 0.5)]);
        EventKind::Stepped { trial: id(trial), attempt, steps, prune_at: None }
    };
    let reported = |trial: &str, attempt: u32| {
        let report = Box::new(Report::objective(0.5));
        EventKind::Reported { trial: id(trial), attempt, report }
    };
    let requeued = |trial: &str, attempt: u32| EventKind::Requeued {
        trial: id(trial),
        attempt,
        reason: Reason::Released,
    };
    let noted = |trial: TrialId| {
        let notes = Map::from_iter([("x".into(), json!(1))]);
        EventKind::Noted { trial, notes: Box::new(notes) }
    };
    let joined = |number| EventKind::Joined(Process { process: number, ..process() });
    for kind in [
        joined(0),
        joined(1),
        sampled("1", None),
        sampled("4", Some(7)),
        claimed("1", 3, None),
        claimed("2", 0, None),
        claimed("2", 2, None),
        claimed("2", 1, Some(7)),
        claimed("3", 2, None),
        claimed("9", 1, None),
        stepped("1", 0),
        stepped("1", 3),
        stepped("2", 1),
        stepped("9", 1),
        reported("1", 1),
        reported("1", 3),
        reported("2", 0),
        reported("3", 1),
        reported("9", 1),
        requeued("1", 1),
        requeued("1", 3),
        requeued("2", 0),
        requeued("9", 1),
        noted(id("9")),
        EventKind::Deleted { trial: id("1") },
    ] {
        let before = print(&study);
        assert!(study.apply(Event { time: 4.0, kind: kind.clone() }).is_err(), "{kind:?}");
        assert_eq!(print(&study), before, "{kind:?}");
    }
    // Those of the current attempt are no contradictions.
    for kind in
        [stepped("1", 1), stepped("1", 2), requeued("1", 2), claimed("1", 3, None), joined(2)]
    {
        study.apply(Event { time: 5.0, kind }).unwrap();
    }
}
