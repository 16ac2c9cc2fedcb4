//! Who is alive: each process holds a lock file for its life, and the kernel frees it when the
//! process dies, within milliseconds, whatever it died of.
//!
//! Across hosts a lock server may notice a death late, or never (NFS 3). There each process also
//! writes a heartbeat, a growing count, into its lock file. A process whose count does not change
//! for [`HEARTBEAT_TIMEOUT`] on the watcher's *own* monotonic clock is silent, and the others
//! continue without it. The wall clocks of two machines are never compared.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::job::own_job;
use super::lock::{FileLock, is_held};
use super::place::Identity;
use super::watched::{Watched, stamp};
use crate::clock::uptime_s;
use crate::plain;
use trialmill_core::error::StoreError;
use trialmill_core::event::{Lease, Process, ProcessId};
use trialmill_core::limits::{HEARTBEAT_TIMEOUT, LOCK_TIMEOUT, NETWORK_POLL};

/// A machine and its boot: where process ids and clocks mean something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The machine's name.
    pub host: Arc<str>,
    /// Its boot.
    pub boot: Arc<str>,
}

impl Machine {
    /// This machine, in its current boot.
    pub fn here() -> Self {
        let host = nix::unistd::gethostname().unwrap_or_default();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Machine { host: host.to_string_lossy().into(), boot: boot.trim().into() }
    }

    /// Whether a process runs on our kernel, even if in a container with another host name: then each
    /// sees the other's locks.
    pub fn shares_kernel(&self, process: &Process) -> bool {
        process.boot == self.boot && (!self.boot.is_empty() || process.host == self.host)
    }

    /// Whether a process is of this machine, in this boot.
    fn is_here(&self, process: &Process) -> bool {
        process.host == self.host && process.boot == self.boot
    }

    /// Whether a process with that id runs on this machine, in this boot, and has this file open. For
    /// the case that its lock file was removed by hand: then the file's absence proves nothing. A copy
    /// of a study names the processes of the original, which live but have nothing to do with it.
    pub(super) fn has_open(&self, process: &Process, file: &Path) -> bool {
        if !self.is_here(process) {
            return false;
        }
        let Ok(wanted) = Identity::at(file) else { return false };
        match std::fs::read_dir(format!("/proc/{}/fd", process.pid)) {
            Ok(open) => {
                open.flatten().any(|fd| Identity::at(&fd.path()).is_ok_and(|it| it == wanted))
            }
            // Another user's: that it runs is all that can be known.
            Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
        }
    }

    /// Whether a lease that was granted on this machine, in this boot, has expired. Other leases
    /// can be judged only by a process that has watched them for their whole duration.
    pub fn has_ended(&self, lease: &Lease) -> bool {
        lease.host == self.host && lease.boot == self.boot && uptime_s() >= lease.until_uptime_s
    }

    /// This process, before the study has given it a number.
    pub fn process(&self) -> Process {
        Process {
            process: 0,
            host: self.host.clone(),
            boot: self.boot.clone(),
            pid: std::process::id(),
            job: own_job().map(Into::into),
            worker_id: None,
        }
    }

    /// A lease that expires after some time.
    pub fn lease(&self, duration: Duration) -> Lease {
        Lease {
            seconds: duration.as_secs_f64(),
            host: self.host.clone(),
            boot: self.boot.clone(),
            until_uptime_s: uptime_s() + duration.as_secs_f64(),
        }
    }
}

/// Shows the others that this process lives: the lock is held as long as this value exists.
#[derive(Debug)]
pub struct Presence {
    lock: FileLock,
    path: PathBuf,
    heartbeats: AtomicU64,
    is_shared: bool,
}

impl Presence {
    /// Takes a process's lock file, before any other process can know of the process.
    pub(super) fn take(path: PathBuf, is_shared: bool) -> Result<Self, StoreError> {
        let mut lock = FileLock::open(&path)?;
        // Waits, because another process may just be probing the lock.
        lock.lock(LOCK_TIMEOUT)?;
        let presence = Presence { lock, path, heartbeats: AtomicU64::new(0), is_shared };
        presence.heartbeat().map_err(StoreError::io("write", &presence.path))?;
        Ok(presence)
    }

    /// Writes a new count, for watchers on other hosts.
    ///
    /// # Errors
    /// The file cannot be written; the lock is still held.
    pub fn heartbeat(&self) -> io::Result<()> {
        let heartbeats = self.heartbeats.fetch_add(1, Ordering::Relaxed);
        let file = self.lock.file();
        file.write_all_at(format!("{heartbeats:020}\n").as_bytes(), 0)?;
        // Without a sync it reaches the server half a minute later.
        if self.is_shared { file.sync_data() } else { Ok(()) }
    }

    /// Leaves cleanly: removes the lock file.
    pub fn leave(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether a process lives, as far as can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It lives, or nothing proves that it does not.
    Alive,
    /// Its lock is free: it is dead. A command that it started may still run.
    Dead,
    /// It is on another machine, which has the directory over a network, and its heartbeat is
    /// overdue: it is dead, cut off, or stopped. Its held lock proves nothing, because a server may
    /// keep the locks of a dead machine.
    Silent,
}

/// Notices, on a thread of its own, what other processes do to a study.
#[derive(Debug)]
pub struct Watcher {
    /// The journal, where there is one.
    journal: Option<Watched>,
    /// NePS's cache, if NePS shares the directory, and its stamp when we last wrote it.
    cache: Option<Watched>,
    workers: Option<PathBuf>,
    machine: Machine,
    /// Whether the locks of other machines are visible here.
    locks_reach: bool,
    pub(super) heartbeats: Heartbeats,
    /// The last known liveness of processes on other machines, and when it was probed: each probe
    /// costs requests to the server.
    pub(super) known: HashMap<ProcessId, (Liveness, Instant)>,
    pub(super) leases: HashMap<(String, u32), Instant>,
}

impl Watcher {
    /// For a study in memory, which no other process can reach.
    pub(super) fn alone(machine: Machine) -> Self {
        Watcher {
            journal: None,
            cache: None,
            workers: None,
            machine,
            locks_reach: true,
            heartbeats: Heartbeats::default(),
            known: HashMap::new(),
            leases: HashMap::new(),
        }
    }

    /// For a study with a journal. `workers` contains the lock files of its processes.
    pub(super) fn of_journal(
        journal: Watched,
        workers: PathBuf,
        machine: Machine,
        locks_reach: bool,
    ) -> Self {
        let (journal, workers) = (Some(journal), Some(workers));
        Watcher { journal, workers, locks_reach, ..Self::alone(machine) }
    }

    /// Watches another program's file as well; `known` is its stamp when we last had the lock.
    pub fn watching(self, file: PathBuf, known: Arc<AtomicU64>) -> Self {
        let is_shared = self.is_shared();
        Watcher { cache: Some(Watched::new(file, known, is_shared)), ..self }
    }

    fn is_shared(&self) -> bool {
        self.journal.as_ref().is_some_and(Watched::is_shared)
    }

    /// Whether others wrote to the study since our last batch.
    pub fn has_grown(&mut self) -> bool {
        let changed = |path: &Path| Some(stamp(path));
        let len = |path: &Path| std::fs::metadata(path).ok().map(|data| data.len());
        self.cache.as_mut().is_some_and(|cache| cache.has_changed(changed))
            || self.journal.as_mut().is_some_and(|journal| journal.has_changed(len))
    }

    /// Whether a process lives.
    pub fn liveness(&mut self, process: &Process) -> Liveness {
        let is_here = self.machine.is_here(process);
        if is_here || !self.is_shared() {
            return self.probe(process, is_here);
        }
        if let Some((liveness, asked)) = self.known.get(&process.process)
            && asked.elapsed() < NETWORK_POLL
        {
            return *liveness;
        }
        let liveness = self.probe(process, is_here);
        self.known.insert(process.process, (liveness, Instant::now()));
        liveness
    }

    fn probe(&mut self, process: &Process, is_here: bool) -> Liveness {
        let Some(workers) = &self.workers else { return Liveness::Alive };
        let path = lock_path(workers, process.process);
        let Ok(held) = is_held(&path) else { return Liveness::Alive };
        match held {
            // Its lock file was removed by hand.
            false if !plain::is_file(&path) && self.has_journal_open(process) => Liveness::Alive,
            false if is_here || self.locks_reach => Liveness::Dead,
            // On our own machine the lock is proof enough: a stopped process is alive.
            true if is_here => Liveness::Alive,
            _ if !self.heartbeats.overdue(&path) => Liveness::Alive,
            _ if self.is_shared() => Liveness::Silent,
            _ => Liveness::Dead,
        }
    }

    fn has_journal_open(&self, process: &Process) -> bool {
        let journal = self.journal.as_ref().map(Watched::path);
        journal.is_some_and(|journal| self.machine.has_open(process, journal))
    }

    /// Whether a process on another machine has written a heartbeat since we first probed it.
    pub fn has_heartbeat(&self, process: &Process) -> bool {
        let Some(workers) = &self.workers else { return false };
        self.heartbeats.has_heartbeat(&lock_path(workers, process.process))
    }

    /// Removes the lock file of a process that was buried.
    pub fn tidy(&mut self, process: ProcessId) {
        let Some(workers) = &self.workers else { return };
        let path = lock_path(workers, process);
        self.heartbeats.forget(&path);
        self.known.remove(&process);
        // Another process may have removed it already.
        let _ = std::fs::remove_file(path);
    }

    /// Whether a caller's lease has expired. On the machine that granted it, that machine's time
    /// since boot decides; elsewhere, or after a reboot, only our having watched it for its whole
    /// duration.
    pub fn is_expired(&mut self, trial: &str, attempt: u32, lease: &Lease) -> bool {
        if lease.host == self.machine.host && lease.boot == self.machine.boot {
            return uptime_s() >= lease.until_uptime_s;
        }
        let first_seen = *self.leases.entry((trial.into(), attempt)).or_insert_with(Instant::now);
        first_seen.elapsed().as_secs_f64() >= lease.seconds
    }
}

/// The heartbeats of processes on other machines, timed by our own clock.
#[derive(Debug, Default)]
pub struct Heartbeats(pub(super) HashMap<PathBuf, Heartbeat>);

#[derive(Debug, Clone, Copy)]
pub(super) struct Heartbeat {
    first: u64,
    count: u64,
    pub(super) since: Instant,
}

impl Heartbeats {
    /// Reads the lock file of a process; returns whether no new heartbeat came for
    /// [`HEARTBEAT_TIMEOUT`].
    pub(super) fn overdue(&mut self, path: &Path) -> bool {
        let text = plain::read(path, 64).ok();
        let count = text.and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok());
        let (count, now) = (count.unwrap_or(0), Instant::now());
        let new = Heartbeat { first: count, count, since: now };
        let seen = self.0.entry(path.into()).or_insert(new);
        if seen.count != count {
            (seen.count, seen.since) = (count, now);
        }
        seen.since.elapsed() > HEARTBEAT_TIMEOUT
    }

    fn has_heartbeat(&self, path: &Path) -> bool {
        self.0.get(path).is_some_and(|seen| seen.count != seen.first)
    }

    fn forget(&mut self, path: &Path) {
        self.0.remove(path);
    }
}

pub(super) fn lock_path(workers: &Path, process: ProcessId) -> PathBuf {
    workers.join(format!("p{process}.lock"))
}

#[cfg(test)]
mod tests;
