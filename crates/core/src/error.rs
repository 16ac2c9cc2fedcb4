//! What can go wrong: an enum per operation, under one umbrella with an exit code.
//!
//! Each message says who, what, and what to do next, with the path where there is one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

pub use crate::config::ConfigError;
pub use crate::space::SpaceError;
use crate::trial::{State, TrialId};

/// What a user's own code returns when it fails.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Reading a study file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StudyFileError {
    /// The file cannot be read.
    #[error("cannot read the study file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not YAML or JSON of the right shape.
    #[error("the study file {}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        problem: String,
    },
}

/// Asking the study for something that its trials do not allow. Nothing was changed.
#[derive(Debug, Clone, Error, PartialEq)]
#[non_exhaustive]
pub enum StudyError {
    /// There is no such trial.
    #[error("there is no trial '{0}' in this study")]
    UnknownTrial(TrialId),
    /// The id is taken.
    #[error("trial '{0}' exists already")]
    DuplicateTrial(TrialId),
    /// The trial cannot change from its state to the requested one.
    #[error("trial '{id}' is {from} and cannot become {to}{hint}")]
    Transition {
        /// The trial.
        id: TrialId,
        /// Its state.
        from: State,
        /// The requested state.
        to: State,
        /// What to do instead, or nothing.
        hint: &'static str,
    },
    /// The optimizer proposed something unusable.
    #[error("optimizer '{optimizer}': {problem}")]
    Optimizer {
        /// Its name.
        optimizer: String,
        /// What it did.
        problem: String,
    },
    /// The search space is not known, so nothing can be sampled from it.
    #[error(
        "optimizer '{optimizer}': the study's search space is not known: NePS up to 0.14 does not \
         store it, and of what NePS 0.17 stores some cannot be searched here (bounds from 2^63 on)"
    )]
    UnknownSpace {
        /// The study's optimizer.
        optimizer: String,
    },
    /// A record is larger than a journal line may be.
    #[error(
        "the report of trial '{id}' takes {bytes} bytes, more than the {limit} a record may \
             have: put large values into a file of the trial's directory"
    )]
    TooLarge {
        /// The trial.
        id: TrialId,
        /// Which attempt the report is of.
        attempt: u32,
        /// Its size.
        bytes: usize,
        /// The bound.
        limit: usize,
    },
    /// Another process that takes part has this worker id.
    #[error("the worker id '{worker_id}' is in use by process p{process} on {host}: give another")]
    WorkerIdInUse {
        /// The id.
        worker_id: Arc<str>,
        /// The process that has it.
        process: u32,
        /// The machine it runs on.
        host: Arc<str>,
    },
    /// One of several trials that were evaluated elsewhere is not of this study; none was taken in.
    #[error("trial {} of those that are brought: {problem}", at + 1)]
    Imported {
        /// Its place among them, from 0 on.
        at: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// An event contradicts those before it: the journal, or this program, is wrong.
    #[error("{0}")]
    Contradiction(String),
}

/// Keeping the study on disk.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// A file operation failed.
    #[error("cannot {action} {}: {source}{}", path.display(), hint(source))]
    Io {
        /// What was tried, as a verb: `open`, `append to`, `sync`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory holds something else than a study.
    #[error("{} is not a trialmill study: {problem}", path.display())]
    NotAStudy {
        /// The directory.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// The directory holds other files, and a new study is to be made there.
    #[error(
        "{} holds other files (such as {name}), and no study: name an empty directory, or a new one",
        path.display()
    )]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// One of the files.
        name: String,
    },
    /// The directory holds a study, and a new one is to be made there.
    #[error("{} holds a study already; name a new directory", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The directory holds another study than the one described.
    #[error("{} holds a study with another {what}.\n  there:  {there}\n  wanted: {wanted}",
            path.display())]
    Mismatch {
        /// The directory.
        path: PathBuf,
        /// What differs: `search space`, `optimizer`, `seed`; all that do.
        what: String,
        /// What is on disk.
        there: String,
        /// What was asked for.
        wanted: String,
    },
    /// A layout cannot hold what a study has.
    #[error(
        "the layout {layout} cannot hold this study: {problem}. Use the layout of a journal, \
             which a new study has unless told otherwise"
    )]
    Unsupported {
        /// The layout.
        layout: String,
        /// What it has no place for, and why.
        problem: String,
    },
    /// The directory was written by a later version.
    #[error("{} has format {found}; this trialmill writes format {known}. It can be read, \
             but only a newer trialmill may write to it.", path.display())]
    Newer {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest this program knows.
        known: u32,
    },
    /// The journal is damaged at a place that was acknowledged, so nothing more is written to it.
    #[error("{} is damaged at byte {offset}: {problem}. Nothing was changed.",
            path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// The offset of the first bad byte.
        offset: u64,
        /// What is wrong there.
        problem: String,
    },
    /// Another process has held the lock for too long.
    #[error("{} is locked for more than {waited_s} s{holder}: is that process stopped? The lock \
             frees itself when it ends.", path.display())]
    LockTimeout {
        /// The lock file.
        path: PathBuf,
        /// How long we waited, in seconds.
        waited_s: u64,
        /// Who holds it, if the system reports it.
        holder: String,
    },
    /// The file system has no locks.
    #[error("the file system of {} does not support file locks ({source}): mount it with locks \
             (NFS: without `nolock`), or use a local directory", path.display())]
    NoLocks {
        /// The lock file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Another machine works on the study too, and the locks of the two do not reach each other.
    #[error("{} is used by {who} as well, and the locks of this mount do not reach it ({why}): mount \
             it without that option on every machine, or let one machine work", path.display())]
    LocalLocks {
        /// The file or directory.
        path: PathBuf,
        /// The process of the other machine.
        who: String,
        /// The mount option, or the kind of file system.
        why: String,
    },
    /// The path does not lead any more to what this process opened there.
    #[error("{} was moved, replaced or removed while this process used it. Nothing more is written; \
             what was acknowledged is where it is now: start again there.", path.display())]
    Moved {
        /// The directory or file, as it was opened.
        path: PathBuf,
    },
    /// The study's search space was changed in place after this process had opened it.
    #[error(
        "the search space of {} was changed while this process used it, and what was meant for the old one \
         may not fit the new one. Nothing was stored; start again.",
        path.display()
    )]
    SpaceChanged {
        /// The directory.
        path: PathBuf,
    },
    /// Another machine took this one for dead in the middle of a commit, and continued without it.
    #[error("{} was replaced by another machine, which had heard nothing of this one for minutes. \
             What was not acknowledged is not stored; start again.", path.display())]
    LockLost {
        /// The lock file.
        path: PathBuf,
    },
    /// The directory is in use, and may be neither overwritten nor repaired.
    #[error("{} is in use by {who}: stop it first", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// Who uses it.
        who: String,
    },
    /// An earlier write or sync failed, so the store takes no more commits.
    #[error(
        "the study is closed for writing because of an earlier error: {0}. What was \
             acknowledged is safe; mend the cause and start again."
    )]
    Poisoned(String),
    /// The study refuses an event of the journal.
    #[error("{}: {source}", path.display())]
    Study {
        /// The journal.
        path: PathBuf,
        /// Why.
        source: StudyError,
    },
}

impl StoreError {
    /// For `map_err`: wraps an I/O error with what was done to which file.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_path_buf();
        move |source| StoreError::Io { action, path, source }
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::StorageFull => ". Make room and start again: nothing acknowledged is lost",
        io::ErrorKind::FileTooLarge => ". The size of files is limited (`ulimit -f`)",
        io::ErrorKind::QuotaExceeded => ". The quota is used up: nothing acknowledged is lost",
        io::ErrorKind::PermissionDenied => ". Check the owner and the permissions",
        io::ErrorKind::ReadOnlyFilesystem => ". The file system is mounted read-only",
        io::ErrorKind::NotFound => ". Check the path",
        _ => "",
    }
}

/// Preparing or starting evaluations.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The command line is empty.
    #[error("no command to evaluate a trial with")]
    NoCommand,
    /// The program does not exist.
    #[error("the command's program '{program}' was not found or cannot be run: {problem}")]
    Program {
        /// As given.
        program: String,
        /// Why.
        problem: String,
    },
    /// A template names something that does not exist.
    #[error(
        "the command's argument '{argument}' names '{{{name}}}', which is neither a parameter \
             nor one of: {known}. Write '{{{{' for a brace."
    )]
    Template {
        /// The argument.
        argument: String,
        /// The unknown name.
        name: String,
        /// What may be named.
        known: String,
    },
    /// A template names a parameter that is called like something of the trial's own.
    #[error(
        "the command's argument '{argument}' names '{{{name}}}', which is the trial's own, and a \
         parameter too. Call the parameter otherwise; or leave '{{{name}}}' out of the command, and \
         take the parameter from TRIALMILL_PARAM_{name} or the file that TRIALMILL_CONFIG names."
    )]
    Ambiguous {
        /// The argument.
        argument: String,
        /// The name.
        name: String,
    },
    /// A value that is too long for an argument.
    #[error(
        "parameter '{parameter}' may be {bytes} bytes long, and the command has it as an argument, \
         which may have 128 KiB: leave '{{{parameter}}}' out of the command, and take it from the file \
         that TRIALMILL_CONFIG names."
    )]
    TooLong {
        /// The parameter.
        parameter: String,
        /// The length of its longest value.
        bytes: usize,
    },
    /// A value that no command can be given.
    #[error(
        "parameter '{parameter}' may be {value:?}: a command's arguments cannot have a zero \
         character. Use another text for it."
    )]
    Zero {
        /// The parameter.
        parameter: String,
        /// The value.
        value: String,
    },
}

/// Anything that can go wrong; each kind has an exit code of its own.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// See [`ConfigError`].
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// See [`SpaceError`].
    #[error(transparent)]
    Space(#[from] SpaceError),
    /// See [`StudyFileError`].
    #[error(transparent)]
    StudyFile(#[from] StudyFileError),
    /// See [`StudyError`].
    #[error(transparent)]
    Study(#[from] StudyError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`EvaluateError`].
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// A setting is out of its range.
    #[error("{0}")]
    Setting(String),
    /// An evaluation failed, and the run was asked to stop for that.
    #[error("trial '{id}' failed, and this run stops at errors: {message}")]
    Evaluation {
        /// The trial.
        id: TrialId,
        /// Its error.
        message: String,
    },
    /// Commands cannot be started in this process.
    #[error(
        "no command can be started here: {0}. The trials were handed back, and none was charged; mend \
         that and start again"
    )]
    NotStarted(String),
    /// One evaluation after the other failed in this process.
    #[error(
        "the last {errors} evaluations of this process failed, and each ended sooner than a success \
         takes, so this process stopped; something may be missing on this machine (`give_up_after` sets \
         the number). The last, trial '{id}': {message}"
    )]
    ErrorsInARow {
        /// How many.
        errors: u64,
        /// The last one.
        id: TrialId,
        /// Its error.
        message: String,
    },
    /// Nothing succeeded at all.
    #[error(
        "all of the first {errors} evaluations failed, so the run stopped; the last, trial \
             '{id}': {message}"
    )]
    NothingSucceeds {
        /// How many.
        errors: u64,
        /// The last one.
        id: TrialId,
        /// Its error.
        message: String,
    },
    /// The hook after an evaluation panicked, or returned an error; which of the two, and why.
    #[error("the after_evaluation hook {0}. What was reported is safe.")]
    Hook(String),
    /// The system refuses to start another thread.
    #[error("a thread cannot be started ({0}): use fewer workers")]
    Thread(io::Error),
    /// The study is closed in this process.
    #[error("this study is closed in this process; open it again to continue")]
    Closed,
    /// The state actor has ended; nothing further was acknowledged.
    #[error(
        "the study's state is gone ({0}); nothing after that was acknowledged. Start again \
             to go on from the last acknowledged report."
    )]
    StateLost(String),
}

impl Error {
    /// The program's exit code for this error; the README has the table.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Store(StoreError::Unsupported { .. }) => 2,
            Error::Config(_) | Error::Space(_) | Error::StudyFile(_) | Error::Setting(_) => 2,
            Error::Evaluate(_) => 2,
            Error::Store(StoreError::Mismatch { .. } | StoreError::NotAStudy { .. }) => 3,
            Error::Store(StoreError::Newer { .. } | StoreError::InUse { .. }) => 3,
            Error::Store(StoreError::Moved { .. } | StoreError::Exists { .. }) => 3,
            Error::Store(StoreError::Foreign { .. } | StoreError::SpaceChanged { .. }) => 3,
            Error::Store(StoreError::Damaged { .. } | StoreError::Study { .. }) => 5,
            Error::Store(StoreError::LockTimeout { .. } | StoreError::NoLocks { .. }) => 6,
            Error::Store(StoreError::LocalLocks { .. }) => 6,
            Error::Store(StoreError::LockLost { .. }) => 70,
            Error::Store(StoreError::Io { .. } | StoreError::Poisoned(_)) => 4,
            Error::Study(_) => 7,
            Error::Evaluation { .. } | Error::NothingSucceeds { .. } => 8,
            Error::ErrorsInARow { .. } => 8,
            Error::NotStarted(_) => 12,
            Error::Hook(_) | Error::Thread(_) | Error::Closed | Error::StateLost(_) => 70,
        }
    }
}
