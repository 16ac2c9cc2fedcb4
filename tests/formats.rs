//! Directories that earlier versions wrote, kept for ever: they load, say the same, and go on.
//!
//! `journal-format-1` was written by the program of version 0.1.0: a number, a full report, nan, a
//! reported exception, an exit code with stderr, a signal, 1e-300; two callers' trials, one told and
//! one released; a retry; a worker process that was killed while it evaluated trial 6 again. The names of
//! machine and boot were changed afterwards, so that no process of today can be meant.

#![allow(clippy::unwrap_used)] // This is a test.

use std::path::{Path, PathBuf};

use trialmill::{Objective, State, Study, Summary};
use trialmill_core::trial::Failure;

fn copy(name: &str) -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    std::fs::create_dir(&dir).unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    for file in ["study.json", "journal.jsonl"] {
        std::fs::copy(kept.join(file), dir.join(file)).unwrap();
    }
    (temp, dir)
}

#[test]
fn a_directory_of_format_1_loads_and_goes_on() {
    let (_temp, dir) = copy("journal-format-1");
    let summary = Summary::read(&dir).unwrap();
    assert!(summary.problem().is_none());
    let study = summary.study();
    let counts = State::ALL.map(|state| study.count(state));
    assert_eq!(counts, [1, 0, 2, 5, 1, 1, 0, 0, 0, 0], "{}", summary.study().trials().len());
    assert_eq!((study.spent().evaluations, study.spent().cost), (9, 7.5));
    assert_eq!((study.spent().fidelity, study.requeues(), study.claims()), (243.0, 2, 11));
    assert_eq!(study.best().unwrap().id.to_string(), "7");
    let trial = |id: &str| study.trial(&id.parse().unwrap()).unwrap();
    let report = trial("2").report.as_ref().unwrap();
    assert_eq!(report.learning_curve.as_ref().unwrap()[1], Objective::One(f64::INFINITY));
    assert_eq!(report.extra.as_ref().unwrap()["nested"][2], "ü\n");
    assert!(trial("3").objectives()[0].is_nan());
    assert_eq!(trial("4").state, State::Failed);
    let failure = trial("5").report.as_ref().unwrap().failure.as_ref().unwrap();
    let Failure { err_type, tb, .. } = &**failure;
    assert_eq!((err_type.as_str(), tb.as_deref()), ("exit", Some("out of memory")));
    assert_eq!((trial("6").attempts, trial("6").state), (2, State::Evaluating));
    assert_eq!(study.last_error().unwrap().id.to_string(), "5");

    // The next start takes back what the dead process held; trial 10 is still its caller's.
    let outcome = Study::builder(&dir).workers(1).ctrl_c(false).run(|_| Ok(0.5)).unwrap();
    assert_eq!(outcome.study().count(State::Success), 9);
    let ids: Vec<String> = outcome.study().trials().iter().map(|t| t.id.to_string()).collect();
    assert_eq!(ids, (1..=12).map(|n: u32| n.to_string()).collect::<Vec<_>>());
    let again = outcome.study().trial(&"6".parse().unwrap()).unwrap();
    assert_eq!((again.attempts, again.state), (3, State::Success));
    assert_eq!(outcome.study().count(State::Evaluating), 1);
}
