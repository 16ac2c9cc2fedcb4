//! What others see of a session, and what it leaves behind.

use std::path::Path;
use std::time::Instant;

use super::*;
use crate::StudyBuilder;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_layouts::Studies;
use trialmill_store::Directory;

fn study(path: &Path) -> StudyBuilder {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    StudyBuilder::in_directory(path).space(space).ctrl_c(false)
}

/// Other machines bury a process after a minute without a sign of life, and its trials run twice.
#[test]
fn a_session_gives_signs_of_life_while_nothing_else_happens() {
    let temp = tempfile::tempdir().unwrap();
    let session = study(temp.path()).open().unwrap();
    let lock = temp.path().join("workers/p1.lock");
    let first = std::fs::read(&lock).unwrap();
    let begin = Instant::now();
    while std::fs::read(&lock).unwrap() == first {
        assert!(begin.elapsed() < Duration::from_mins(2), "no sign of life");
        std::thread::sleep(Duration::from_millis(50));
    }
    session.close().unwrap();
    assert!(!lock.exists(), "it has left");
}

/// Where a command cannot be ended, its trial stays with the process that started it until both are gone: otherwise it
/// would run beside its next attempt.
#[test]
fn a_process_with_a_command_that_nothing_ends_does_not_leave() {
    for is_stuck in [true, false] {
        let temp = tempfile::tempdir().unwrap();
        let session = study(temp.path()).open().unwrap();
        session.context.is_stuck.store(is_stuck, Ordering::Release);
        let member = session.process();
        let outcome = session.close().unwrap();
        assert_eq!(outcome.study().is_member(member), is_stuck);
        let journal = Directory::open(temp.path()).unwrap().journal_path();
        let journal = std::fs::read_to_string(journal).unwrap();
        assert_eq!(journal.contains("\"event\":\"left\""), !is_stuck, "{journal}");
    }
}
