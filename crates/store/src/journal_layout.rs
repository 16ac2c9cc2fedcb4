//! trialmill's own layout.

use std::path::{Path, PathBuf};

use super::contract::{Apply, Durability, Store};
use super::finding::Finding;
use super::journal::JournalStore;
use super::layout::{Directory, Layout, not_a_study};
use super::reader::read_journal;
use super::replace::sync_parent;
use trialmill_core::budget::Budget;
use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;
use trialmill_core::event::Policy;
use trialmill_core::trial::TrialId;

/// trialmill's own layout: one journal, and no other program's files.
#[derive(Debug)]
pub struct JournalLayout;

impl Layout for JournalLayout {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn recognises(&self, path: &Path) -> bool {
        path.join("study.json").symlink_metadata().is_ok()
    }

    fn own_path(&self, path: &Path) -> PathBuf {
        path.into()
    }

    fn trials_path(&self, path: &Path) -> PathBuf {
        path.join("trials")
    }

    fn trial_path(&self, path: &Path, id: &TrialId) -> PathBuf {
        self.trials_path(path).join(id.to_string())
    }

    fn create(&self, path: &Path, _: &Definition, _: &Policy) -> Result<bool, StoreError> {
        std::fs::create_dir_all(path).map_err(StoreError::io("create", path))?;
        // Not every file system can sync a directory, so a failure is ignored.
        path.ancestors().take(3).for_each(|dir| drop(sync_parent(dir)));
        Ok(false)
    }

    fn definition(&self, path: &Path) -> Result<Definition, StoreError> {
        Err(not_a_study(path, "it has no study.json"))
    }

    fn budget(&self, _: &Path) -> Budget {
        Budget::default()
    }

    fn open(
        &self,
        directory: &Directory,
        durability: Durability,
    ) -> Result<Box<dyn Store>, StoreError> {
        Ok(Box::new(JournalStore::open(directory, durability)?))
    }

    fn read(
        &self,
        directory: &Directory,
        apply: Apply<'_>,
    ) -> Result<Option<StoreError>, StoreError> {
        read_journal(directory, apply)
    }

    /// Nothing: there is no other program, and `check_journal` and `check_entries` check the rest.
    fn check(&self, _: &Directory) -> Result<Vec<Finding>, StoreError> {
        Ok(Vec::new())
    }

    fn set_damage_aside(&self, directory: &Directory) -> Result<PathBuf, StoreError> {
        Ok(directory.path().into())
    }
}
