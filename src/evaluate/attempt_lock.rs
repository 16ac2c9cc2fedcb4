//! What keeps an orphaned command from running beside its trial's next attempt.
//!
//! When a worker process is killed, the commands it started go on. So each command's standard input
//! is an empty file of its trial's directory, `attempt-<n>.lock`, with a lock on it: the command and all
//! its descendants that keep their standard input hold that lock, and it is free when the last of
//! them is gone. Those that have another standard input are known by their environment. A trial whose lock is held is not handed out again; and whoever sees, on the same
//! machine, that the process is dead while its command goes on, kills the command.

use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs2::FileExt;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgid, getpgrp};

/// The lock of one attempt, to be given to its command as standard input. Each attempt has a file of
/// its own, so that whoever reaps an old attempt cannot meet the command of a new one.
#[derive(Debug)]
pub struct AttemptLock(File);

impl AttemptLock {
    /// Takes the lock of an attempt at the trial with this directory.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub fn take(dir: &Path, attempt: u32) -> io::Result<Self> {
        let path = path(dir, attempt);
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
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

/// Kills what is left of the command of an attempt whose worker process is dead. Tells whether the
/// trial is free now.
///
/// # Errors
/// The lock file cannot be looked at.
pub fn reap_orphans(dir: &Path, attempt: u32) -> io::Result<bool> {
    let lock = match File::open(path(dir, attempt)) {
        Ok(file) => match FileExt::try_lock_shared(&file) {
            Ok(()) => None,
            Err(error) if error.kind() == fs2::lock_contended_error().kind() => {
                Some(file.metadata()?)
            }
            Err(error) => return Err(error),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let orphans = orphans(dir, attempt, lock.as_ref());
    for pid in &orphans {
        tracing::warn!(
            "process {pid} goes on with a trial whose worker is dead ({}): killed",
            dir.display()
        );
        // Commands get a group of their own, so the group is the command's and never ours.
        match getpgid(Some(*pid)) {
            Ok(group) if group != getpgrp() => drop(killpg(group, Signal::SIGKILL)),
            _ => drop(kill(*pid, Signal::SIGKILL)),
        }
    }
    Ok(lock.is_none() && orphans.is_empty())
}

/// The processes of this machine that belong to an attempt: their standard input is its lock, or,
/// for those that have another (`< data.csv`, a session of their own), their environment says so.
fn orphans(dir: &Path, attempt: u32, lock: Option<&Metadata>) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let same = |a: &Metadata, b: &Metadata| (a.dev(), a.ino()) == (b.dev(), b.ino());
    let attempt = format!("TRIALMILL_ATTEMPT={attempt}");
    let dir = std::fs::metadata(dir).ok();
    let holds = |process: &Path| -> Option<bool> {
        let stdin = std::fs::metadata(process.join("fd/0")).ok()?;
        Some(same(&stdin, lock?))
    };
    let says = |process: &Path| -> Option<bool> {
        let environment = std::fs::read(process.join("environ")).ok()?;
        let mut variables = environment.split(|byte| *byte == 0);
        let own = variables.clone().any(|variable| variable == attempt.as_bytes());
        let own_dir = variables.find_map(|text| text.strip_prefix(b"TRIALMILL_TRIAL_DIR="))?;
        let own_dir = std::fs::metadata(OsStr::from_bytes(own_dir)).ok()?;
        Some(own && same(&own_dir, dir.as_ref()?))
    };
    processes
        .flatten()
        .filter_map(|entry| {
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let process = entry.path();
            let own = pid as u32 != std::process::id()
                && (holds(&process) == Some(true) || says(&process) == Some(true));
            own.then(|| Pid::from_raw(pid))
        })
        .collect()
}
