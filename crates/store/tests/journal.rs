//! What the journal does to its disk: when it syncs, waits, undoes, gives up its locks, and what it refuses.
//!
//! A journal that was never synced, or whose lock of another machine was taken over for any error, passed all tests
//! of the runtime that had the time to look.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use trialmill_core::config::Value;
use trialmill_core::definition::Definition;
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::{Event, EventKind, Policy, Reason};
use trialmill_core::limits::{LOCK_TIMEOUT, MAX_LINE_BYTES, NETWORK_POLL};
use trialmill_core::optimizer::OptimizerInfo;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::trial::{MetaData, Report, Step, Trial, TrialId};
use trialmill_store::{Directory, Disk, Durability, FileLock, JournalLayout, JournalStore, Layout};

/// A file in memory that notes what is done to it, and fails as it is told to.
#[derive(Debug, Default)]
struct Noted {
    bytes: Vec<u8>,
    is_shared: bool,
    patience: Duration,
    lock_fails: Option<ErrorKind>,
    append_fails: bool,
    /// `sync`, `truncate`, `copy`, and how long a lock was waited for.
    did: Vec<String>,
}

#[derive(Debug, Clone, Default)]
struct NotingDisk(Arc<Mutex<Noted>>);

impl NotingDisk {
    fn of(noted: Noted) -> Self {
        NotingDisk(Arc::new(Mutex::new(noted)))
    }

    /// What was done since this was asked last.
    fn did(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().did)
    }

    fn note(&self, what: &str) {
        self.0.lock().unwrap().did.push(what.into());
    }
}

impl Disk for NotingDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let noted = self.0.lock().unwrap();
        let rest = noted.bytes.get(offset as usize..).unwrap_or_default();
        let got = rest.len().min(buffer.len());
        buffer[..got].copy_from_slice(&rest[..got]);
        Ok(got)
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut noted = self.0.lock().unwrap();
        if noted.append_fails {
            noted.bytes.extend(&bytes[..bytes.len() / 2]);
            return Err(ErrorKind::StorageFull.into());
        }
        noted.bytes.extend(bytes);
        Ok(())
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.lock().unwrap().bytes.truncate(len as usize);
        self.note("truncate");
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.note("sync");
        Ok(())
    }
    fn is_shared(&self) -> bool {
        self.0.lock().unwrap().is_shared
    }
    fn patience(&self) -> Duration {
        self.0.lock().unwrap().patience
    }
    fn lock(&mut self, timeout: Duration) -> io::Result<()> {
        self.note(&format!("lock {timeout:?}"));
        self.0.lock().unwrap().lock_fails.map_or(Ok(()), |kind| Err(kind.into()))
    }
    fn replace_with_copy(&mut self, is_ours: &dyn Fn() -> bool) -> io::Result<()> {
        assert!(is_ours());
        self.note("copy");
        Ok(())
    }
}

fn directory(path: &Path) -> Directory {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let info = OptimizerInfo::new("random_search", Vec::<(String, i32)>::new());
    let layouts: &[&'static dyn Layout] = &[&JournalLayout];
    let layouts: &'static [&'static dyn Layout] = Box::leak(layouts.to_vec().into_boxed_slice());
    let (definition, asked) = (Definition::new(space, info), (None, layouts));
    Directory::create_or_open_as(path, definition, Some(7), &Policy::default(), asked).unwrap().0
}

/// A journal on such a disk, at the beginning of a turn.
fn begun(directory: &Directory, disk: &NotingDisk, durability: Durability) -> JournalStore {
    let mut store = JournalStore::with_disk(directory, durability, Box::new(disk.clone())).unwrap();
    store.begin_with(&mut |_| Ok(())).unwrap();
    store
}

fn id() -> TrialId {
    TrialId::Number(3)
}

fn reported(text: usize) -> Event {
    let report = Box::new(Report::objective(0.5).extra("text", "x".repeat(text)));
    Event { time: 1.0, kind: EventKind::Reported { trial: id(), attempt: 2, report } }
}

fn stepped() -> Event {
    let steps = [Step::new(1, 0.5)].into();
    let kind = EventKind::Stepped { trial: id(), attempt: 2, steps, prune_at: None };
    Event { time: 1.0, kind }
}

/// What is acknowledged survives a power cut, but for steps, which the next attempt reports again: a sync for each
/// of them would hold up all trainings.
#[test]
fn a_commit_is_synced_unless_it_has_steps_alone() {
    let table = [
        (vec![stepped()], 0),
        (vec![reported(1)], 1),
        (vec![stepped(), reported(1)], 1),
        (vec![reported(1), stepped()], 1),
        (vec![stepped(), stepped()], 0),
        (vec![], 0),
    ];
    let temp = tempfile::tempdir().unwrap();
    let directory = directory(temp.path());
    for durability in [Durability::Synced, Durability::Buffered] {
        let disk = NotingDisk::default();
        let mut store = begun(&directory, &disk, durability);
        for (events, syncs) in &table {
            disk.did();
            // One by one and all at once are the same.
            events
                .iter()
                .for_each(|event| store.stage_events(std::slice::from_ref(event)).unwrap());
            store.commit_events().unwrap();
            let wanted = if durability == Durability::Synced { *syncs } else { 0 };
            assert_eq!(
                disk.did().iter().filter(|did| *did == "sync").count(),
                wanted,
                "{events:?}"
            );
            store.begin_with(&mut |_| Ok(())).unwrap();
        }
        // What is not synced yet is at the end.
        store.stage_events(&[stepped()]).unwrap();
        store.commit_events().unwrap();
        disk.did();
        drop(store);
        assert_eq!(disk.did(), ["sync"], "{durability:?}");
    }
}

/// A line that no reader takes would make the study unreadable for ever. The message names the trial that it is of,
/// and what was staged before stays.
#[test]
fn a_line_at_the_limit_is_stored_and_one_byte_more_is_refused_by_name() {
    let temp = tempfile::tempdir().unwrap();
    let directory = directory(temp.path());
    let disk = NotingDisk::default();
    let mut store = begun(&directory, &disk, Durability::Buffered);
    store.stage_events(&[reported(1)]).unwrap();
    store.commit_events().unwrap();
    let short = disk.0.lock().unwrap().bytes.len();
    // One that reads on from here, so that the long line begins where its reads do.
    let mut reader = begun(&directory, &disk, Durability::Buffered);
    reader.commit_events().unwrap();
    let fits = reported(1 + MAX_LINE_BYTES - (short - 1));

    store.begin_with(&mut |_| Ok(())).unwrap();
    let too_large = |store: &mut JournalStore, kind: EventKind| {
        store.stage_events(&[stepped(), Event { time: 1.0, kind }]).unwrap_err()
    };
    let over = MAX_LINE_BYTES + 1;
    let EventKind::Reported { report, .. } = reported(1 + over - (short - 1)).kind else {
        panic!()
    };
    let error = too_large(&mut store, EventKind::Reported { trial: id(), attempt: 2, report });
    let limit = MAX_LINE_BYTES;
    assert_eq!(error, StudyError::TooLarge { id: id(), attempt: 2, bytes: over, limit });
    let text = || Value::from("x".repeat(over));
    let config = directory.definition().space.config(|_| text());
    let trial = Trial { attempts: 4, ..Trial::pending(id(), config.clone(), MetaData::default()) };
    let (worker, evaluation) = ("w".into(), None);
    let many = [Step::new(1, vec![0.5; over / 4])].into();
    let kinds = [
        (EventKind::Put(Box::new(trial)), 4),
        (
            EventKind::Sampled {
                trial: id(),
                config,
                previous: None,
                worker,
                claimed: false,
                evaluation,
            },
            1,
        ),
        (EventKind::Stepped { trial: id(), attempt: 2, steps: many, prune_at: None }, 2),
    ];
    for (kind, wanted) in kinds {
        match too_large(&mut store, kind) {
            StudyError::TooLarge { id: of, attempt, bytes, .. } => {
                assert_eq!((of, attempt), (id(), wanted));
                assert!(bytes > MAX_LINE_BYTES, "{bytes}");
            }
            error => panic!("{error}"),
        }
    }
    store.stage_events(&[fits, stepped()]).unwrap();
    let reason = Reason::Released;
    let kind = EventKind::Requeued { trial: id(), attempt: 2, reason };
    store.stage_events(&[Event { time: 1.0, kind }]).unwrap();
    store.commit_events().unwrap();
    let mut read = Vec::new();
    let mut note = |event: Event| {
        read.push(event.kind);
        Ok(())
    };
    reader.begin_with(&mut note).unwrap();
    let names: Vec<&str> = read
        .iter()
        .map(|kind| match kind {
            EventKind::Reported { .. } => "reported",
            EventKind::Stepped { .. } => "stepped",
            EventKind::Requeued { .. } => "requeued",
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(names, ["reported", "stepped", "requeued"]);
}

/// A half record must not stand before other processes' records; on a network file system those may be there
/// already, and nothing is cut. Either way the store is closed, and what it locked is free.
#[test]
fn a_failed_append_is_undone_where_that_is_safe_and_its_locks_are_free() {
    for is_shared in [false, true] {
        let temp = tempfile::tempdir().unwrap();
        let directory = directory(temp.path());
        let disk = NotingDisk::of(Noted { is_shared, ..Noted::default() });
        let mut store = begun(&directory, &disk, Durability::Synced);
        assert_eq!(store.is_shared(), is_shared);
        disk.did();
        disk.0.lock().unwrap().append_fails = true;
        store.stage_events(&[reported(1)]).unwrap();
        let error = store.commit_events().unwrap_err();
        assert!(matches!(error, StoreError::Io { action: "append to", .. }), "{error}");
        assert_eq!(disk.did().contains(&"truncate".to_string()), !is_shared);
        assert_eq!(disk.len().unwrap() == 0, !is_shared);
        let lock = FileLock::open(&directory.journal_path().with_extension("lock")).unwrap();
        assert!(lock.try_lock().unwrap());
        disk.0.lock().unwrap().append_fails = false;
        let closed = store.begin_with(&mut |_| Ok(())).unwrap_err();
        assert!(matches!(closed, StoreError::Poisoned(_)), "{closed}");
    }
}

/// Another machine's lock is passed over only when it was waited for in vain: whoever does that for any error
/// writes into a copy while the other goes on.
#[test]
fn a_journal_is_left_behind_only_after_its_lock_was_waited_for() {
    for (kind, copies) in [(ErrorKind::TimedOut, true), (ErrorKind::PermissionDenied, false)] {
        let temp = tempfile::tempdir().unwrap();
        let directory = directory(temp.path());
        let noted = Noted { is_shared: true, lock_fails: Some(kind), ..Noted::default() };
        let disk = NotingDisk::of(noted);
        let store = JournalStore::with_disk(&directory, Durability::Synced, Box::new(disk.clone()));
        let result = store.unwrap().begin_with(&mut |_| Ok(()));
        assert_eq!(result.is_ok(), copies, "{kind}: {result:?}");
        assert_eq!(disk.did().contains(&"copy".to_string()), copies, "{kind}");
    }
}

/// A machine that is known to be dead by other locks is not waited for a second time, and any other is.
#[test]
fn a_holder_that_is_known_to_be_dead_is_hardly_waited_for() {
    let temp = tempfile::tempdir().unwrap();
    let directory = directory(temp.path());
    let patience = Duration::from_secs(7);
    let disk = NotingDisk::of(Noted { is_shared: true, patience, ..Noted::default() });
    let mut store = begun(&directory, &disk, Durability::Synced);
    assert_eq!(disk.did(), [format!("lock {patience:?}")]);
    for (is_dead, waited) in [(true, NETWORK_POLL), (false, patience), (true, NETWORK_POLL)] {
        store.commit_events().unwrap();
        store.expect_dead_holder(is_dead);
        disk.did();
        store.begin_with(&mut |_| Ok(())).unwrap();
        assert_eq!(disk.did(), [format!("lock {waited:?}")], "{is_dead}");
    }
    store.commit_events().unwrap();
    disk.0.lock().unwrap().is_shared = false;
    store.expect_dead_holder(true);
    disk.did();
    store.begin_with(&mut |_| Ok(())).unwrap();
    assert_eq!(disk.did(), [format!("lock {LOCK_TIMEOUT:?}")]);
}

/// Another machine's append may be seen in part: its end is waited for, as long as the disk is patient, and the
/// journal is not called damaged before.
#[test]
fn an_end_that_may_still_come_is_waited_for() {
    let temp = tempfile::tempdir().unwrap();
    let directory = directory(temp.path());
    // Somebody of another machine lives: there is a lock file that is held.
    let workers = directory.workers_path();
    std::fs::create_dir_all(&workers).unwrap();
    let held = FileLock::open(&workers.join("p9.lock")).unwrap();
    assert!(held.try_lock().unwrap());
    let patience = Duration::from_millis(300);
    let bytes = b"{\"unfinished".to_vec();
    let disk = NotingDisk::of(Noted { bytes, is_shared: true, patience, ..Noted::default() });
    let store = JournalStore::with_disk(&directory, Durability::Synced, Box::new(disk.clone()));
    let begin = Instant::now();
    let error = store.unwrap().begin_with(&mut |_| Ok(())).unwrap_err();
    assert!(error.to_string().contains("an append has no end"), "{error}");
    assert!(begin.elapsed() >= patience, "it was not waited for");
    let locks = disk.did().iter().filter(|did| did.starts_with("lock")).count();
    assert!(locks > 1, "it looked once");
    // An end in a file of NePS's is judged by the same.
    let store = JournalStore::with_disk(&directory, Durability::Synced, Box::new(disk)).unwrap();
    assert!(!store.an_end_is_of_a_dead_process());
    drop(held);
    assert!(store.an_end_is_of_a_dead_process());
}
