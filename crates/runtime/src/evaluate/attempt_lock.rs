//! What keeps an orphaned command from running beside its trial's next attempt.
//!
//! When a worker process is killed, the commands it started keep running. So each command's
//! standard input is an empty file of its trial's directory, `attempt-<n>.lock`, with a lock on it:
//! the command and all its descendants that keep their standard input hold that lock, and it is
//! free when the last of them is gone. Those that have another standard input are known by their
//! environment. A trial is not handed out again before they are gone; and any process on the same
//! machine that notices that the worker process is dead while its commands still run kills them.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs2::FileExt;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid, getpgrp};

use trialmill_store::plain;

/// The lock of one attempt, to be given to its command as standard input. Each attempt has a file of
/// its own, so that reaping an old attempt cannot hit the command of a new one.
#[derive(Debug)]
pub struct AttemptLock(File);

impl AttemptLock {
    /// Takes the lock of an attempt at the trial with this directory.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn take(dir: &Path, attempt: u32) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = plain::open_to_write(&mut options, &path(dir, attempt))?;
        FileExt::try_lock_exclusive(&file)?;
        Ok(AttemptLock(file))
    }

    /// The file to be the command's standard input. Our own copy is closed when the command has
    /// started; then only the command holds the lock.
    pub fn into_stdin(self) -> std::process::Stdio {
        self.0.into()
    }
}

/// Tidies up after an attempt whose command has ended.
pub(super) fn remove(dir: &Path, attempt: u32) {
    let _ = std::fs::remove_file(path(dir, attempt));
}

fn path(dir: &Path, attempt: u32) -> PathBuf {
    dir.join(format!("attempt-{attempt}.lock"))
}

/// Kills what is left of the commands of attempts whose worker process is dead, each given by its
/// trial's directory and its number. Returns whether all are gone.
pub fn reap_orphans(attempts: &[(PathBuf, u32)]) -> bool {
    let mut known = Known::default();
    let mut locks_are_free = true;
    for (dir, attempt) in attempts {
        // A trial without a directory never had a command.
        let Some(dir_id) = identity(dir) else { continue };
        known.by_dir.insert(dir_id, *attempt);
        if let Some(lock) = held_lock(dir, *attempt) {
            locks_are_free = false;
            known.locks.insert(lock);
        }
    }
    let orphans = if known.by_dir.is_empty() { Vec::new() } else { known.processes() };
    for pid in &orphans {
        tracing::warn!("process {pid} still evaluates a trial whose worker is dead: killed");
        // Commands get a group of their own, so the group is the command's and never ours.
        match getpgid(Some(*pid)) {
            Ok(group) if group != getpgrp() => drop(killpg(group, Signal::SIGKILL)),
            _ => drop(kill(*pid, Signal::SIGKILL)),
        }
    }
    locks_are_free && orphans.is_empty()
}

/// A file, whatever its name.
type Identity = (u64, u64);

fn identity(path: &Path) -> Option<Identity> {
    std::fs::metadata(path).ok().map(|data| (data.dev(), data.ino()))
}

/// The lock of an attempt, if somebody holds it.
fn held_lock(dir: &Path, attempt: u32) -> Option<Identity> {
    let path = path(dir, attempt);
    let file = plain::open(&path).ok()?;
    match FileExt::try_lock_shared(&file) {
        Err(error) if error.kind() == fs2::lock_contended_error().kind() => identity(&path),
        _ => None,
    }
}

/// What the attempts of dead processes are known by.
#[derive(Default)]
struct Known {
    locks: HashSet<Identity>,
    /// The number of the attempt, by the trial's directory.
    by_dir: HashMap<Identity, u32>,
}

impl Known {
    /// The processes of this machine that belong to one of the attempts: their standard input is its
    /// lock, or, for those that have another (`< data.csv`, a session of their own), their
    /// environment says so.
    fn processes(&self) -> Vec<Pid> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let pids = entries.flatten().filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let process = entry.path();
            let others = pid as u32 != std::process::id();
            (others && (self.holds(&process) || self.says(&process))).then(|| Pid::from_raw(pid))
        });
        pids.collect()
    }

    fn holds(&self, process: &Path) -> bool {
        identity(&process.join("fd/0")).is_some_and(|stdin| self.locks.contains(&stdin))
    }

    fn says(&self, process: &Path) -> bool {
        let environment = std::fs::read(process.join("environ")).unwrap_or_default();
        let variable = |name: &[u8]| {
            environment.split(|byte| *byte == 0).find_map(|text| text.strip_prefix(name))
        };
        let attempt = variable(b"TRIALMILL_ATTEMPT=")
            .and_then(|text| std::str::from_utf8(text).ok()?.parse().ok());
        let dir = variable(b"TRIALMILL_TRIAL_DIR=")
            .and_then(|dir| identity(Path::new(OsStr::from_bytes(dir))));
        dir.is_some_and(|dir| attempt.is_some() && self.by_dir.get(&dir).copied() == attempt)
    }
}
