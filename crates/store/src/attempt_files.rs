//! The files of an evaluation by a command. All are in a directory of ours inside the trial's, under
//! the attempt's number: so nothing that a command keeps for itself is ever overwritten or taken for
//! ours, and an attempt never finds what an earlier one wrote.

use std::path::{Path, PathBuf};

/// The directory of ours inside a trial's.
const OWN: &str = ".trialmill";

/// The files of one attempt.
#[derive(Debug, Clone)]
pub struct AttemptFiles {
    trial: PathBuf,
    attempt: u32,
}

/// One of the two streams that a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

impl AttemptFiles {
    /// Those of an attempt at the trial with this directory.
    pub fn of(trial: &Path, attempt: u32) -> Self {
        AttemptFiles { trial: trial.into(), attempt }
    }

    /// The trial's directory.
    pub fn trial(&self) -> &Path {
        &self.trial
    }

    /// The attempt's number.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Where they are.
    pub fn own(&self) -> PathBuf {
        self.trial.join(OWN)
    }

    fn file(&self, what: &str) -> PathBuf {
        self.own().join(format!("attempt-{}.{what}", self.attempt))
    }

    /// The configuration, for the command.
    pub fn config(&self) -> PathBuf {
        self.file("config.json")
    }

    /// The result, from the command.
    pub fn result(&self) -> PathBuf {
        self.file("result.json")
    }

    /// The steps, from the command.
    pub fn progress(&self) -> PathBuf {
        self.file("progress.jsonl")
    }

    /// The answers to them, for the command.
    pub fn answers(&self) -> PathBuf {
        self.file("answers.jsonl")
    }

    /// What the command writes to a stream.
    pub fn log(&self, stream: Stream) -> PathBuf {
        self.file(&format!("{}.log", stream.name()))
    }

    /// The file in which a stream can be read, including where earlier versions of trialmill wrote
    /// it.
    pub fn log_to_read(&self, stream: Stream) -> Option<PathBuf> {
        let (name, n) = (stream.name(), self.attempt);
        let earlier = [format!("{name}.attempt-{n}.log"), format!("{name}.log")];
        let earlier = earlier.into_iter().map(|name| self.trial.join(name));
        std::iter::once(self.log(stream)).chain(earlier).find(|path| crate::plain::is_file(path))
    }

    /// The lock that the command and its descendants hold.
    pub fn lock(&self) -> PathBuf {
        self.file("lock")
    }

    /// The same lock, as earlier versions named it.
    pub fn earlier_lock(&self) -> PathBuf {
        self.trial.join(format!("attempt-{}.lock", self.attempt))
    }
}
