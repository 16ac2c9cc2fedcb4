//! What is watched while it runs is at each moment what a fresh reader sees, however the journal grew in
//! between: by whole lines, by halves of them, or replaced by a repair.

#![allow(clippy::unwrap_used)] // This is a test.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use trialmill_view::figures::{
    BudgetFigure, Curves, Ecdf, History, Over, Timeline, Window, errors, importance,
};
use trialmill_view::{Ending, Live};

/// A number, a full report, nan, an exception, an exit code, a signal; callers, a retry, and a worker
/// process that was killed (`tests/formats.rs`).
fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/journal-format-1")
}

struct Growing {
    dir: tempfile::TempDir,
    journal: Vec<u8>,
}

impl Growing {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::copy(fixture().join("study.json"), dir.path().join("study.json")).unwrap();
        fs::write(dir.path().join("journal.jsonl"), b"").unwrap();
        Growing { dir, journal: fs::read(fixture().join("journal.jsonl")).unwrap() }
    }

    fn append(&self, bytes: &[u8]) {
        let path = self.dir.path().join("journal.jsonl");
        fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
    }
}

/// All that a page shows.
fn shown(live: &Live) -> String {
    let window = Window { from: None, to: None, columns: 500 };
    let now = 4e9;
    let status = live.summary().status();
    let parts = [
        serde_json::to_string(&(&status.counts, &status.spent, status.requeues, status.claims)),
        serde_json::to_string(&History::of(live, 0, Over::Time)),
        serde_json::to_string(&Timeline::of(live, window, now)),
        serde_json::to_string(&BudgetFigure::of(live, now)),
        serde_json::to_string(&Ecdf::of(live, 0)),
        serde_json::to_string(&Curves::of(live, 0, 5)),
        serde_json::to_string(&errors(live)),
        serde_json::to_string(&importance(live, 0)),
    ];
    parts.map(Result::unwrap).join("\n")
}

#[test]
fn a_watcher_sees_what_a_fresh_reader_sees_wherever_the_journal_ends() {
    let study = Growing::new();
    let mut live = Live::open(study.dir.path()).unwrap();
    let mut read = 0;
    for (at, byte) in study.journal.iter().enumerate() {
        let half = at % 61 == 0;
        if *byte != b'\n' && !half {
            continue;
        }
        study.append(&study.journal[read..=at]);
        read = at + 1;
        live.catch_up().unwrap();
        assert!(live.summary().problem().is_none());
        let fresh = Live::open(study.dir.path()).unwrap();
        assert_eq!(shown(&live), shown(&fresh), "after byte {at}");
        assert_eq!(live.epoch(), 0);
    }
    assert!(!live.catch_up().unwrap(), "nothing has happened since");
    let endings: Vec<Ending> =
        live.runs().lanes().iter().flat_map(|lane| &lane.attempts).map(|own| own.ending).collect();
    let of = |name: &str| endings.iter().filter(|ending| ending.name() == name).count();
    assert_eq!(
        [of("success"), of("failed"), of("released"), of("running")],
        [5, 1, 1, 2],
        "{endings:?}"
    );
    assert_eq!(endings.len() as u64, live.study().claims());
}

#[test]
fn a_watcher_begins_anew_where_the_journal_was_replaced_or_cut() {
    let study = Growing::new();
    study.append(&study.journal);
    let mut live = Live::open(study.dir.path()).unwrap();
    let all = shown(&live);
    let lines: Vec<&[u8]> = study.journal.split_inclusive(|byte| *byte == b'\n').collect();
    let path = study.dir.path().join("journal.jsonl");
    fs::write(&path, lines[..5].concat()).unwrap();
    assert!(live.catch_up().unwrap());
    assert_eq!((live.epoch(), shown(&live)), (1, shown(&Live::open(study.dir.path()).unwrap())));
    let beside = study.dir.path().join("new");
    fs::write(&beside, &study.journal).unwrap();
    fs::rename(beside, &path).unwrap();
    assert!(live.catch_up().unwrap());
    assert_eq!((live.epoch(), shown(&live)), (2, all));
}

#[test]
fn a_damaged_journal_is_shown_up_to_its_damage_and_says_so() {
    let study = Growing::new();
    let lines: Vec<&[u8]> = study.journal.split_inclusive(|byte| *byte == b'\n').collect();
    study.append(&lines[..8].concat());
    study.append(b"{\"crc\":\"00000000\",\"seq\":8 nonsense\n");
    study.append(&lines[8..].concat());
    let live = Live::open(study.dir.path()).unwrap();
    assert!(live.summary().problem().is_some());
    assert!(!live.study().trials().is_empty());
}
