//! A machine that falls silent in the middle of a turn while one of its two locks is lost: the server may give up
//! either, and keep the other for ever.

#![allow(clippy::unwrap_used)] // This is a test, which clippy does not see by `all(test, …)`.

use trialmill_core::definition::Definition;
use trialmill_core::event::Policy;
use trialmill_core::optimizer::OptimizerInfo;
use trialmill_core::space::{Parameter, SearchSpace};

use super::*;
use crate::{JournalLayout, Layout, SimServer};

fn study(path: &Path) -> Directory {
    let layouts: &'static [&'static dyn Layout] = &[&JournalLayout];
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let definition = Definition::new(space, OptimizerInfo::new("o", Vec::<(String, i32)>::new()));
    let (policy, asked) = (Policy::default(), (None, layouts));
    Directory::create_or_open_as(path, definition, Some(7), &policy, asked).unwrap().0
}

fn event() -> Event {
    Event { time: 1.0, kind: EventKind::Policy(Box::default()) }
}

/// How many records a machine reads that comes new.
fn records(directory: &Directory, server: &SimServer) -> usize {
    let mut count = 0;
    let mut store =
        JournalStore::with_disk(directory, Durability::Synced, Box::new(server.client())).unwrap();
    store
        .begin_with(&mut |_| {
            count += 1;
            Ok(())
        })
        .unwrap();
    store.commit_events().unwrap();
    count
}

/// It acknowledged a report that it had written into the file which the others had left behind.
#[test]
fn whichever_lock_of_a_silent_machine_is_lost_it_acknowledges_nothing_more() {
    for loses_lock_file in [true, false] {
        let temp = tempfile::tempdir().unwrap();
        let directory = study(temp.path());
        let journal = std::fs::read(directory.journal_path()).unwrap();
        let server = SimServer::new(journal, 1, Duration::from_millis(20));
        let open = || {
            let disk = Box::new(server.client());
            JournalStore::with_disk(&directory, Durability::Synced, disk).unwrap()
        };
        let before = records(&directory, &server);
        let mut silent = open();
        silent.begin_with(&mut |_| Ok(())).unwrap();
        silent.stage_events(&[event()]).unwrap();
        silent.append().unwrap();
        // The server has given up one of its locks.
        if loses_lock_file {
            silent.lock.unlock().unwrap();
        } else {
            silent.disk.unlock().unwrap();
        }
        let mut other = open();
        other.begin_with(&mut |_| Ok(())).unwrap();
        let third = FileLock::open(&directory.journal_lock_path()).unwrap();
        assert!(!third.try_lock().unwrap(), "the other has no turn of its own");
        other.stage_events(&[event()]).unwrap();
        other.commit_events().unwrap();
        assert!(third.try_lock().unwrap(), "its turn has ended");
        third.unlock().unwrap();
        let late = silent.sync_under_lock();
        assert!(matches!(late, Err(StoreError::LockLost { .. })), "{late:?}");
        let found = records(&directory, &server);
        // What had arrived before is there, acknowledged or not.
        assert_eq!(found, before + if loses_lock_file { 1 } else { 2 }, "{loses_lock_file}");
    }
}
