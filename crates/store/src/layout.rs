//! A study's directory, and the seam for layouts: how a directory stores a study. A directory has one
//! layout, fixed when it is created and recognised by its content when it is opened. Layouts other
//! than the journal's come from crates above this one, and the program passes in the table of all
//! layouts.
//!
//! ```text
//! DIR/study.json              what the study is; replaced as a whole, never edited
//! DIR/journal.jsonl           what happened: the truth
//! DIR/journal.lock            held while one batch is committed
//! DIR/workers/p<n>.lock       held for the life of process n
//! DIR/trials/<id>/            a trial's working directory, made when first needed
//! ```
//!
//! In a directory shared with NePS, the trials are NePS's files, and the first four of these are in
//! `DIR/.trialmill/`: the journal there keeps what NePS's files cannot.

use std::fmt;
use std::path::{Path, PathBuf};

use super::contract::{Apply, Durability, Store};
use super::file_system::FileSystem;
use super::finding::Finding;
use super::liveness::Machine;
use trialmill_core::budget::Budget;
use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;
use trialmill_core::event::Policy;
use trialmill_core::study::StudyState;
use trialmill_core::trial::{Trial, TrialId};

/// The name of the lock of our journal.
const JOURNAL_LOCK: &str = "journal.lock";

/// The layouts that a program knows. The first one is for new directories.
pub type Layouts = &'static [&'static dyn Layout];

/// How a directory stores a study.
pub trait Layout: fmt::Debug + Send + Sync {
    /// Its name on the command line and in `study.json`.
    fn name(&self) -> &'static str;

    /// A request for a layout accepts any layout of the same family in an existing directory; which
    /// one it is, is detected.
    fn family(&self) -> &'static str {
        self.name()
    }

    /// Whether another program works in such a directory. Then that program's files describe the
    /// study, and our own files are in a subdirectory.
    fn is_shared(&self) -> bool;

    /// The lock files that keep everybody from changing a study while they are held, in the order in which
    /// they are taken.
    fn lock_paths(&self, path: &Path) -> Vec<PathBuf> {
        vec![self.own_path(path).join(JOURNAL_LOCK)]
    }

    /// The trials that the other program's log of errors names, each as it was then, as far as that is known.
    ///
    /// # Errors
    /// It cannot be read.
    fn error_log(&self, _path: &Path) -> Result<Vec<Trial>, StoreError> {
        Ok(Vec::new())
    }

    /// Takes trials out of the other program's log of errors.
    ///
    /// # Errors
    /// It cannot be written.
    fn forget_errors(&self, _path: &Path, _ids: &[TrialId]) -> Result<(), StoreError> {
        Ok(())
    }

    /// Whether the other program gives a success without a learning curve one: its objective.
    fn curve_is_objective(&self) -> bool {
        false
    }

    /// Deletes trials for good; see [`Directory::delete`], which this is the part of that differs.
    ///
    /// # Errors
    /// As there.
    fn delete(&self, directory: &Directory, ids: &[TrialId]) -> Result<(), StoreError> {
        directory.delete_from_journal(ids)
    }

    /// Whether the other program keeps files for people about a run while it goes on (NePS: `summary/`), and so
    /// do we.
    fn keeps_summary(&self) -> bool {
        false
    }

    /// Writes these files anew. `ended` says that the run is over. Returns false where the other program is
    /// writing them just now.
    ///
    /// # Errors
    /// They cannot be written.
    fn write_summary(
        &self,
        _directory: &Directory,
        _study: &StudyState,
        _ended: bool,
    ) -> Result<bool, StoreError> {
        Ok(true)
    }

    /// Whether a directory holds a study of this layout.
    fn recognises(&self, path: &Path) -> bool;

    /// Where `study.json`, the journal, and the lock files of the processes are.
    fn own_path(&self, path: &Path) -> PathBuf;

    /// Where the trials' directories are.
    fn trials_path(&self, path: &Path) -> PathBuf;

    /// The working directory of a trial.
    fn trial_path(&self, path: &Path, id: &TrialId) -> PathBuf;

    /// Creates what a new directory has besides our own files. Returns whether we did, rather than
    /// another process.
    ///
    /// # Errors
    /// It cannot be written.
    fn create(
        &self,
        path: &Path,
        definition: &Definition,
        policy: &Policy,
    ) -> Result<bool, StoreError>;

    /// The study's definition according to the other program's files; used where ours do not exist.
    ///
    /// # Errors
    /// They cannot be read.
    fn definition(&self, path: &Path) -> Result<Definition, StoreError>;

    /// What all workers together may spend according to the other program's files.
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

    /// What is wrong with the other program's files, and which workers that stops.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn check(&self, directory: &Directory) -> Result<Vec<Finding>, StoreError>;

    /// Moves a file whose damage keeps everyone from opening the directory to our own files; the next
    /// process that opens the directory rebuilds it. Returns where it is kept.
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

/// A directory that holds a study.
#[derive(Debug, Clone)]
pub struct Directory {
    pub(super) path: PathBuf,
    pub(super) layout: &'static dyn Layout,
    pub(super) definition: Definition,
    /// The version of the journal's format that wrote it.
    pub(super) format: u32,
    /// Whether the definition is that of `study.json`; else it is from the other program's files,
    /// which do not say all of it.
    pub(super) is_own: bool,
    pub(super) machine: Machine,
    /// A mount that is not the real one, in simulations.
    pub(super) mount: Option<FileSystem>,
}

impl Directory {
    /// The file system of the directory.
    pub fn file_system(&self) -> FileSystem {
        let found = self.mount.clone().unwrap_or_else(|| FileSystem::of(&self.path));
        if self.layout.is_shared() { found.for_record_locks() } else { found }
    }

    /// How it stores its study.
    pub fn layout(&self) -> &'static dyn Layout {
        self.layout
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the study is.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The machine we are on.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The working directory of a trial, which may not exist yet.
    pub fn trial_path(&self, id: &TrialId) -> PathBuf {
        self.layout.trial_path(&self.path, id)
    }

    /// Where our own files are.
    pub fn own_path(&self) -> PathBuf {
        self.layout.own_path(&self.path)
    }

    /// The directory with the lock file of each process.
    pub fn workers_path(&self) -> PathBuf {
        self.own_path().join("workers")
    }

    /// The journal.
    pub fn journal_path(&self) -> PathBuf {
        self.own_path().join("journal.jsonl")
    }

    pub(super) fn journal_lock_path(&self) -> PathBuf {
        self.own_path().join(JOURNAL_LOCK)
    }
}

/// Commands may run in other directories, so every path passed to them is absolute.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

pub(super) fn not_a_study(path: &Path, problem: &str) -> StoreError {
    StoreError::NotAStudy { path: path.into(), problem: problem.into() }
}
