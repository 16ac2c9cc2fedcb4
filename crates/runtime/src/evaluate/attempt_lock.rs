//! What keeps an orphaned command from running beside its trial's next attempt.
//!
//! When a worker process is killed, the commands it started keep running. So each command's
//! standard input is an empty file of its attempt, with a lock on it:
//! the command and all its descendants that keep their standard input hold that lock, and it is
//! free when the last of them is gone. Those that have another standard input are known by their
//! environment. A trial is not handed out again before they are gone; and any process on the same
//! machine that notices that the worker process is dead while its commands still run kills them.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use fs2::FileExt;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp};

use super::proc::{self, Environment};
use super::spare_files::SpareFiles;
use trialmill_store::{AttemptFiles, Identity, job_of, own_job, plain};

/// The lock of one attempt, to be given to its command as standard input. Each attempt has a file of
/// its own, so that reaping an old attempt cannot hit the command of a new one.
#[derive(Debug)]
pub(super) struct AttemptLock(File);

impl AttemptLock {
    /// Takes the lock of an attempt.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub(super) fn take(files: &AttemptFiles, spare: &SpareFiles) -> io::Result<Self> {
        spare.take(&files.lock());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = plain::open_to_write(&mut options, &files.lock())?;
        FileExt::try_lock_exclusive(&file)?;
        Ok(AttemptLock(file))
    }

    /// The file to be the command's standard input. Our own copy is closed when the command has
    /// started; then only the command holds the lock.
    pub(super) fn into_stdin(self) -> std::process::Stdio {
        self.0.into()
    }
}

/// The lock of an attempt, if somebody holds it.
pub(super) fn held_lock(files: &AttemptFiles) -> Option<Identity> {
    [files.lock(), files.earlier_lock()].into_iter().find_map(|path| {
        let file = plain::open(&path).ok()?;
        match FileExt::try_lock_shared(&file) {
            Err(error) if error.kind() == fs2::lock_contended_error().kind() => {
                Identity::of_file(&file).ok()
            }
            _ => None,
        }
    })
}

/// Kills what is left of the commands of attempts whose worker process is dead, each given by its
/// trial's directory and its number; `job` is the batch system's name of what that process ran in.
/// Returns whether all are gone.
pub fn reap_orphans(attempts: &[(PathBuf, u32)], job: Option<&str>) -> bool {
    let mut marks = Marks::default();
    let mut locks_are_free = true;
    for (dir, attempt) in attempts {
        // A trial without a directory never had a command.
        let files = AttemptFiles::of(dir, *attempt);
        if marks.add_dir(&files) && marks.add_held_lock(&files) {
            locks_are_free = false;
        }
    }
    marks.job = job.map(str::to_string);
    let orphans = if marks.by_dir.is_empty() { Vec::new() } else { marks.processes() };
    for pid in &orphans {
        tracing::warn!("process {pid} still evaluates a trial whose worker is dead: killed");
        end(*pid, &orphans);
    }
    locks_are_free && orphans.is_empty()
}

/// Kills a process, and its group where the group is the command's too: its leader is one of those
/// found, or gone.
fn end(pid: Pid, found: &[Pid]) {
    let _ = match proc::stat(pid).map(|stat| stat.group) {
        Some(group)
            if group != getpgrp()
                && group.as_raw() > 1
                && (found.contains(&group) || proc::stat(group).is_none()) =>
        {
            killpg(group, Signal::SIGKILL)
        }
        _ => kill(pid, Signal::SIGKILL),
    };
}

/// What the processes of attempts are known by.
#[derive(Default)]
pub(super) struct Marks {
    locks: HashSet<Identity>,
    /// The number of the attempt, by the trial's directory.
    by_dir: HashMap<Identity, u32>,
    /// The batch system's job in which the attempts ran.
    job: Option<String>,
}

impl Marks {
    /// Those of one attempt.
    pub(super) fn of(files: &AttemptFiles) -> Self {
        let mut marks = Marks::default();
        marks.add_dir(files);
        marks.locks.extend(Identity::at(&files.lock()).ok());
        marks.job = own_job();
        marks
    }

    fn add_dir(&mut self, files: &AttemptFiles) -> bool {
        let Ok(dir) = Identity::at(files.trial()) else { return false };
        self.by_dir.insert(dir, files.attempt());
        true
    }

    fn add_held_lock(&mut self, files: &AttemptFiles) -> bool {
        let lock = held_lock(files);
        self.locks.extend(lock);
        lock.is_some()
    }

    /// The processes of this machine that belong to one of the attempts. Never this process, those
    /// that started it, or its own group; nor, if it was itself started within one of the attempts,
    /// the rest of its session.
    pub(super) fn processes(&self) -> Vec<Pid> {
        let ancestors = proc::ancestors();
        let (own, is_within) = (proc::stat(Pid::this()), self.says(Pid::this()));
        let is_near = |pid: Pid| {
            let (Some(own), Some(stat)) = (own, proc::stat(pid)) else { return false };
            stat.group == own.group || (is_within && stat.session == own.session)
        };
        let ours = |pid: &Pid| {
            !ancestors.contains(pid) && (self.holds(*pid) || (self.says(*pid) && !is_near(*pid)))
        };
        proc::all().into_iter().filter(ours).collect()
    }

    /// Whether a process belongs to one of the attempts: its standard input is their lock, or, for
    /// those that have another (`< data.csv`, a session of their own), their environment says so.
    pub(super) fn are_of(&self, pid: Pid) -> bool {
        self.holds(pid) || self.says(pid)
    }

    fn holds(&self, pid: Pid) -> bool {
        Identity::at(Path::new(&format!("/proc/{pid}/fd/0")))
            .is_ok_and(|stdin| self.locks.contains(&stdin))
    }

    fn says(&self, pid: Pid) -> bool {
        let environment = Environment::of(pid);
        let attempt =
            environment.get("TRIALMILL_ATTEMPT").and_then(|text| text.to_str()?.parse().ok());
        let dir = environment.get("TRIALMILL_TRIAL_DIR").map(Path::new);
        let dir = dir.and_then(|dir| Identity::at(dir).ok());
        let is_named =
            dir.is_some_and(|dir| attempt.is_some() && self.by_dir.get(&dir).copied() == attempt);
        // What was submitted to the batch system from within the attempt is a job of its own.
        let job = || job_of(|name| Some(environment.get(name)?.to_str()?.to_string()));
        is_named && self.job == job()
    }
}
