//! What keeps an orphaned command from running beside its trial's next attempt.
//!
//! When a worker process is killed, the commands it started go on. So each command's standard input
//! is an empty file of its trial's directory, `attempt-<n>.lock`, with a lock on it: the command and all
//! its descendants that keep their standard input hold that lock, and it is free when the last of
//! them is gone. A trial whose lock is held is not handed out again; and whoever sees, on the same
//! machine, that the process is dead while its command goes on, kills the command.

use std::fs::{File, OpenOptions};
use std::io;
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
    let file = match File::open(path(dir, attempt)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    match FileExt::try_lock_shared(&file) {
        Ok(()) => return Ok(true),
        Err(error) if error.kind() == fs2::lock_contended_error().kind() => {}
        Err(error) => return Err(error),
    }
    let lock = file.metadata()?;
    for pid in holders(&lock) {
        tracing::warn!(
            "process {pid} goes on with a trial whose worker is dead ({}): killed",
            dir.display()
        );
        // Commands get a group of their own, so the group is the command's and never ours.
        match getpgid(Some(pid)) {
            Ok(group) if group != getpgrp() => drop(killpg(group, Signal::SIGKILL)),
            _ => drop(kill(pid, Signal::SIGKILL)),
        }
    }
    Ok(false)
}

/// The processes of this machine whose standard input is this file.
fn holders(lock: &std::fs::Metadata) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let holds = |entry: &std::fs::DirEntry| {
        let stdin = std::fs::metadata(entry.path().join("fd/0")).ok()?;
        (stdin.dev() == lock.dev() && stdin.ino() == lock.ino()).then_some(())
    };
    processes
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            holds(&entry).map(|()| Pid::from_raw(pid))
        })
        .collect()
}
