//! What people change by hand: notes, results that are to be forgotten, trials that are to go.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

mod support;

use serde_json::{Map, Value as Json, json};
use support::{Says, ask, handed, id, obedient, refuses, report, run, study, suggestion};
use trialmill_core::config::Config;
use trialmill_core::event::{Event, EventKind};
use trialmill_core::limits::MAX_NOTES_BYTES;
use trialmill_core::optimizer::{Proposal, SamplingRequest, Suggestion};
use trialmill_core::study::{Command, StudyState};
use trialmill_core::trial::{MetaData, Report, State, Trial};

fn note(trial: &str, notes: &Json) -> Command {
    let Json::Object(notes) = notes.clone() else { panic!("{notes}") };
    Command::Note { trial: id(trial), notes: Box::new(notes) }
}

/// Three trials: one that waits, one that is evaluated, and one that succeeded.
fn three() -> StudyState {
    let mut study = study(9);
    let trials = handed(ask(&mut study, 2, obedient).unwrap());
    report(&mut study, &trials[1], Report::objective(0.5).cost(3.0));
    run(&mut study, Command::Sample { n: 1, worker: "p1-w1".into() }).unwrap();
    let states: Vec<State> = study.trials().iter().map(|trial| trial.state).collect();
    assert_eq!(states, [State::Evaluating, State::Success, State::Pending]);
    study
}

/// A note of a gigabyte would be in the memory of every process that opens the study.
#[test]
fn notes_are_kept_up_to_their_limit_and_what_is_no_news_is_no_event() {
    let mut study = three();
    let frame = json!({ "text": "" }).to_string().len();
    let text = |bytes: usize| json!({ "text": "x".repeat(bytes - frame) });
    refuses(run(&mut study, note("2", &text(MAX_NOTES_BYTES + 1))), "would take 65537 bytes");
    assert_eq!(study.trial(&id("2")).unwrap().notes, None);
    run(&mut study, note("2", &text(MAX_NOTES_BYTES))).unwrap();
    // Nothing fits beside it, and what takes its place does.
    refuses(run(&mut study, note("2", &json!({ "a": 1 }))), "at most 65536 are kept");
    run(&mut study, note("2", &json!({ "text": null, "a": 1, "b": [2] }))).unwrap();
    refuses(run(&mut study, note("2", &json!({ "c": 1, "": 2 }))), "an empty name");
    refuses(run(&mut study, note("7", &json!({ "c": 1 }))), "7");
    let mut events = |notes| {
        let command = note("2", &notes);
        study.execute(2.5, command, &mut Says(obedient)).unwrap().1.len()
    };
    for (notes, news) in [
        (json!({ "a": 1 }), 0),
        (json!({ "a": 1, "b": [2] }), 0),
        (json!({ "c": null }), 0),
        (json!({}), 0),
        (json!({ "a": 1.5, "b": [2] }), 1),
        (json!({ "a": null }), 1),
    ] {
        assert_eq!(events(notes.clone()), news, "{notes}");
    }
    let kept = study.trial(&id("2")).unwrap().notes.clone().unwrap();
    assert_eq!(*kept, Map::from_iter([("b".to_string(), json!([2]))]));
}

/// Whoever resets a trial that is being evaluated would have its result refused, and one without a configuration
/// would be handed out with nothing to evaluate.
#[test]
fn a_reset_forgets_the_result_and_nothing_else() {
    let mut study = three();
    refuses(run(&mut study, Command::Reset(vec![id("2"), id("1")])), "is being evaluated");
    assert_eq!(study.trial(&id("2")).unwrap().state, State::Success, "all or none");
    refuses(run(&mut study, Command::Reset(vec![id("2"), id("9")])), "9");
    let before = study.trial(&id("2")).unwrap().clone();
    run(&mut study, Command::Reset(vec![id("2")])).unwrap();
    let after = study.trial(&id("2")).unwrap().clone();
    assert_eq!((after.state, &after.report, after.attempts), (State::Pending, &None, 1));
    assert_eq!(after.config, before.config);
    let sampled = |trial: &Trial| {
        let MetaData { previous_trial_id, sampling_worker_id, time_sampled, .. } = &trial.metadata;
        (previous_trial_id.clone(), sampling_worker_id.clone(), time_sampled.to_bits())
    };
    assert_eq!(sampled(&after), sampled(&before));
    assert_eq!((study.spent().evaluations, study.spent().cost), (1, 3.0));
    assert_eq!(study.best().map(|trial| &trial.id), None);
    // One whose files could not be read.
    let unread =
        Trial::pending(id("5"), Config::new(Vec::new().into(), Vec::new()), MetaData::default());
    let unread = Trial { state: State::Corrupted, ..unread };
    let kind = EventKind::Put(Box::new(unread));
    study.apply(Event { time: 3.0, kind }).unwrap();
    refuses(run(&mut study, Command::Reset(vec![id("5")])), "no configuration that could be read");
    study.check_deletion(&[id("5")]).unwrap();
}

/// A trial that is gone would still be evaluated, or be continued from a checkpoint that is gone.
#[test]
fn a_trial_is_deleted_when_nobody_evaluates_or_continues_it() {
    let mut study = three();
    let continues = |request: &SamplingRequest<'_>| {
        let previous = Some(id("2"));
        Proposal::Evaluate(vec![Suggestion { previous, ..suggestion(request, 0) }])
    };
    let sample = Command::Sample { n: 1, worker: "p1-w1".into() };
    study.execute(2.5, sample, &mut Says(continues)).unwrap();
    for (ids, problem) in [
        (&["3", "1"][..], "'1' is being evaluated"),
        (&["3", "2"], "trial '4' continues it"),
        (&["3", "9"], "9"),
    ] {
        let ids: Vec<_> = ids.iter().map(|name| id(name)).collect();
        let error = study.check_deletion(&ids).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
    for ids in [&["3"][..], &["4"], &["2", "4"], &["2", "3", "4"], &[]] {
        let ids: Vec<_> = ids.iter().map(|name| id(name)).collect();
        study.check_deletion(&ids).unwrap();
    }
}
