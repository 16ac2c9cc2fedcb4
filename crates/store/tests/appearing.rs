//! A study that another process creates while this one searches for it.
//!
//! Eight processes were started together on a directory that did not exist. One created the study and
//! renamed it into place between another's search for a study and its look at what else was there: that
//! one ended with exit code 3, "it holds other files (such as configs)", and its workers were lost.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use trialmill_core::budget::Budget;
use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;
use trialmill_core::event::Policy;
use trialmill_core::optimizer::OptimizerInfo;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::trial::TrialId;
use trialmill_store::{Apply, Directory, Durability, Finding, JournalLayout, Layout, Store};

/// The journal in a subdirectory, as NePS's layouts have it; the study appears right after search number
/// `after`.
#[derive(Debug)]
struct Appearing {
    from: PathBuf,
    after: usize,
    searches: AtomicUsize,
}

impl Layout for Appearing {
    fn recognises(&self, path: &Path) -> bool {
        let found = JournalLayout.recognises(&self.own_path(path));
        if self.searches.fetch_add(1, Relaxed) + 1 == self.after {
            fs::rename(&self.from, path).unwrap();
        }
        found
    }

    fn name(&self) -> &'static str {
        JournalLayout.name()
    }

    fn is_shared(&self) -> bool {
        JournalLayout.is_shared()
    }

    fn own_path(&self, path: &Path) -> PathBuf {
        path.join(".own")
    }

    fn trials_path(&self, path: &Path) -> PathBuf {
        JournalLayout.trials_path(path)
    }

    fn trial_path(&self, path: &Path, id: &TrialId) -> PathBuf {
        JournalLayout.trial_path(path, id)
    }

    fn create(&self, path: &Path, study: &Definition, policy: &Policy) -> Result<bool, StoreError> {
        JournalLayout.create(&self.own_path(path), study, policy)
    }

    fn definition(&self, path: &Path) -> Result<Definition, StoreError> {
        JournalLayout.definition(path)
    }

    fn budget(&self, path: &Path) -> Budget {
        JournalLayout.budget(path)
    }

    fn open(&self, study: &Directory, safety: Durability) -> Result<Box<dyn Store>, StoreError> {
        JournalLayout.open(study, safety)
    }

    fn read(&self, study: &Directory, to: Apply<'_>) -> Result<Option<StoreError>, StoreError> {
        JournalLayout.read(study, to)
    }

    fn check(&self, study: &Directory) -> Result<Vec<Finding>, StoreError> {
        JournalLayout.check(study)
    }

    fn set_damage_aside(&self, study: &Directory) -> Result<PathBuf, StoreError> {
        JournalLayout.set_damage_aside(study)
    }
}

fn definition() -> Definition {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let optimizer =
        OptimizerInfo { name: "random_search".into(), arguments: serde_json::Map::default() };
    Definition::new(space, optimizer)
}

fn create(path: &Path, layout: impl Layout + 'static) -> Result<bool, StoreError> {
    let layout: &'static dyn Layout = Box::leak(Box::new(layout));
    let asked = (None, &*Box::leak(Box::new([layout])) as &'static [_]);
    let policy = Policy::default();
    Directory::create_or_open_as(path, definition(), Some(7), &policy, asked).map(|(_, new)| new)
}

#[test]
fn a_study_that_appears_between_two_looks_is_found_and_not_taken_for_something_else() {
    for after in 1.. {
        let home = tempfile::tempdir().unwrap();
        let (from, path) = (home.path().join("beside"), home.path().join("study"));
        let never = Appearing { from: from.clone(), after: 0, searches: AtomicUsize::new(0) };
        assert!(create(&from, never).unwrap());

        let appearing = Appearing { from, after, searches: AtomicUsize::new(0) };
        let is_new = create(&path, appearing)
            .unwrap_or_else(|error| panic!("it appeared after search {after}: {error}"));
        if is_new {
            assert!(after > 2, "it must search before and after it looks at what is there");
            return;
        }
    }
}

#[test]
fn what_was_there_before_and_is_no_study_is_refused() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("notes"), "").unwrap();
    let refused = create(home.path(), JournalLayout).unwrap_err();
    assert!(refused.to_string().contains("such as notes"), "{refused}");
}
