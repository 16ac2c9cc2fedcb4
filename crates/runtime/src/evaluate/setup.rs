//! What to do when a command cannot be started. Its trial has not crashed, because it was not
//! evaluated. The cause may be temporary (no process or file descriptor left, a program that is
//! being replaced, a mount that is late), so the start is tried again for a while. Then the trial
//! is released, and this process stops with the reason.

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use parking_lot::Mutex;

use trialmill_core::limits::{SET_UP_FIRST_PATIENCE, SET_UP_PATIENCE};

/// Why a command was not started.
#[derive(Debug)]
pub(super) enum NotStarted {
    /// The disk is full or fails: this process cannot do anything more.
    Disk(io::Error),
    /// Something that this process needs for every command is missing at the moment.
    SetUp(String),
    /// The cause is in the trial's own files.
    Trial(String),
}

impl NotStarted {
    /// Classifies an error of the system about one of the trial's files.
    pub(super) fn of_file(path: &Path, error: io::Error) -> Self {
        use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, IsADirectory, NotADirectory};
        let message = format!("{}: {error}", path.display());
        match error.kind() {
            IsADirectory | NotADirectory | DirectoryNotEmpty | AlreadyExists => {
                Self::Trial(message)
            }
            _ => Self::of(path.display(), error),
        }
    }

    /// Classifies an error of the system; `what` was tried.
    pub(super) fn of(what: impl fmt::Display, error: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let message = format!("{what}: {error}");
        match error.kind() {
            StorageFull | QuotaExceeded | ReadOnlyFilesystem | FileTooLarge => Self::Disk(error),
            _ if error.raw_os_error() == Some(Errno::EIO as i32) => Self::Disk(error),
            // Without an errno it is an error of our own: a link or a pipe in place of a file.
            _ if error.raw_os_error().is_none() => Self::Trial(message),
            _ => Self::SetUp(message),
        }
    }
}

/// How long it has been impossible to start a command in this process.
#[derive(Debug, Default)]
pub(super) struct SetUp(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    has_started: bool,
    failing_since: Option<Instant>,
}

impl SetUp {
    /// A command was started.
    pub(super) fn succeeded(&self) {
        *self.0.lock() = State { has_started: true, failing_since: None };
    }

    /// A command could not be started. If `others_run`, this does not count, because the end of one
    /// of our other commands may free what is missing. Returns whether to give up.
    pub(super) fn failed(&self, others_run: bool) -> bool {
        let mut state = self.0.lock();
        if others_run {
            state.failing_since = None;
            return false;
        }
        let since = *state.failing_since.get_or_insert_with(Instant::now);
        let patience = if state.has_started { SET_UP_PATIENCE } else { SET_UP_FIRST_PATIENCE };
        since.elapsed() >= patience
    }
}

/// The pauses between two attempts to start.
pub(super) fn pauses() -> impl Iterator<Item = Duration> {
    (0..).map(|n: u32| Duration::from_millis(20 << n.min(5)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hundreds of trials were recorded as crashed in the half second in which the program was
    /// replaced, and others because the machine had no process left.
    #[test]
    fn what_keeps_a_command_from_starting_is_no_trial_s_fault() {
        let of = |errno: Errno| NotStarted::of("train", io::Error::from(errno));
        for errno in [
            Errno::EAGAIN,
            Errno::ENOMEM,
            Errno::EMFILE,
            Errno::ENFILE,
            Errno::ETXTBSY,
            Errno::ENOENT,
            Errno::EACCES,
            Errno::ENOEXEC,
            Errno::E2BIG,
            Errno::EPERM,
            Errno::ESTALE,
            Errno::ENOTDIR,
        ] {
            assert!(matches!(of(errno), NotStarted::SetUp(_)), "{errno}");
        }
        for errno in [Errno::ENOSPC, Errno::EDQUOT, Errno::EROFS, Errno::EIO, Errno::EFBIG] {
            assert!(matches!(of(errno), NotStarted::Disk(_)), "{errno}");
        }
        let ours = io::Error::new(io::ErrorKind::InvalidInput, "it is a link");
        assert!(matches!(NotStarted::of("x", ours), NotStarted::Trial(_)));
    }

    #[test]
    fn it_is_given_up_after_a_while_but_not_while_others_run() {
        let set_up = SetUp::default();
        let earlier = |by: Duration| {
            let mut state = set_up.0.lock();
            state.failing_since = state.failing_since.and_then(|since| since.checked_sub(by));
        };
        assert!(!set_up.failed(false));
        earlier(SET_UP_FIRST_PATIENCE);
        assert!(!set_up.failed(true), "a command of ours may end");
        assert!(!set_up.failed(false), "and then it begins anew");
        earlier(SET_UP_FIRST_PATIENCE);
        assert!(set_up.failed(false));
        set_up.succeeded();
        assert!(!set_up.failed(false));
        earlier(SET_UP_FIRST_PATIENCE);
        assert!(!set_up.failed(false), "what has worked may work again");
        earlier(SET_UP_PATIENCE);
        assert!(set_up.failed(false));
    }
}
