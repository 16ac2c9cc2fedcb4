//! The layouts: how a directory stores a study. A directory has one, fixed when it is created and
//! recognised by what is in it when it is opened.
//!
//! The journal's layout is here. Others come from rooms above, and whoever assembles the program
//! hands over the table of all of them.

use std::fmt;
use std::path::{Path, PathBuf};

use super::directory::not_a_study;
use super::disk::sync_parent;
use super::reader::read_journal;
use super::{Apply, Directory, Durability, Finding, JournalStore, Store};
use crate::plain;
use trialmill_core::budget::Budget;
use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;
use trialmill_core::event::Policy;
use trialmill_core::trial::TrialId;

/// The layouts that a program knows. The first is that of new directories.
pub type Layouts = &'static [&'static dyn Layout];

/// How a directory stores a study.
pub trait Layout: fmt::Debug + Send + Sync {
    /// As the command line and `study.json` spell it.
    fn name(&self) -> &'static str;

    /// Whoever asks for a layout takes any of the same family in a directory that exists: which of
    /// them it is, is found out.
    fn family(&self) -> &'static str {
        self.name()
    }

    /// Whether another program works in such a directory. Then the study is described in that
    /// program's words, and our own files are in a room apart.
    fn is_shared(&self) -> bool;

    /// Whether a directory holds a study of this layout.
    fn recognises(&self, path: &Path) -> bool;

    /// Where `study.json`, the journal, and the signs of life are.
    fn own_path(&self, path: &Path) -> PathBuf;

    /// Where the trials' directories are.
    fn trials_path(&self, path: &Path) -> PathBuf;

    /// The working directory of a trial.
    fn trial_path(&self, path: &Path, id: &TrialId) -> PathBuf;

    /// Creates what a new directory has besides our own files. Tells whether we did, and nobody else.
    ///
    /// # Errors
    /// It cannot be written.
    fn create(
        &self,
        path: &Path,
        definition: &Definition,
        policy: &Policy,
    ) -> Result<bool, StoreError>;

    /// What the study is, by the other program's files; asked where ours are not there.
    ///
    /// # Errors
    /// They cannot be read.
    fn definition(&self, path: &Path) -> Result<Definition, StoreError>;

    /// What all workers together may spend, by the other program's files.
    fn budget(&self, path: &Path) -> Budget;

    /// Opens the store of a directory.
    ///
    /// # Errors
    /// One of its files cannot be opened.
    fn open(
        &self,
        directory: &Directory,
        durability: Durability,
    ) -> Result<Box<dyn Store>, StoreError>;

    /// Reads the events of a study as they are now, without any lock; see [`super::read_study`].
    ///
    /// # Errors
    /// They cannot be read at all.
    fn read(
        &self,
        directory: &Directory,
        apply: Apply<'_>,
    ) -> Result<Option<StoreError>, StoreError>;

    /// What is wrong with the other program's files, and whom it stops.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn check(&self, directory: &Directory) -> Result<Vec<Finding>, StoreError>;

    /// Moves what is damaged so that nobody can open the directory to our own files; whoever opens
    /// the directory next makes it anew. Gives where it is kept.
    ///
    /// # Errors
    /// It cannot be locked or moved.
    fn set_damage_aside(&self, directory: &Directory) -> Result<PathBuf, StoreError>;
}

impl PartialEq for dyn Layout {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl fmt::Display for dyn Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The layout of a directory, by what is in it; none if no study is there.
///
/// That another machine has just created it may not be known to this one, which remembers for up to
/// a minute that it was not there: so the server is asked before that is believed.
pub(super) fn recognise(path: &Path, layouts: Layouts) -> Option<&'static dyn Layout> {
    let find = || layouts.iter().copied().find(|layout| layout.recognises(path));
    find().or_else(|| {
        plain::ask_for_entries(path);
        find()
    })
}

/// Whether trialmill has worked in a directory of this layout.
pub fn has_own_files(layout: &dyn Layout, path: &Path) -> bool {
    plain::is_file(&layout.own_path(path).join("study.json"))
}

/// trialmill's own layout: one journal, and nobody else's files.
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
        // Not every file system lets a directory be synced; then it has its own ways.
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

    /// Of the journal, `check_journal` and `check_entries` say it.
    fn check(&self, _: &Directory) -> Result<Vec<Finding>, StoreError> {
        Ok(Vec::new())
    }

    fn set_damage_aside(&self, directory: &Directory) -> Result<PathBuf, StoreError> {
        Ok(directory.path().into())
    }
}
