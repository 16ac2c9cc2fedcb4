//! Who is alive: each process holds a lock file for its life, and the kernel frees it when the
//! process dies, within milliseconds, whatever it died of.
//!
//! Across hosts a lock server may notice a death late, or never (NFS 3). There each process also
//! counts up in its lock file, and whoever sees no new count for [`HEARTBEAT_TIMEOUT`] on its *own* monotonic
//! clock calls it silent, and goes on without it. The wall clocks of two machines are never compared.

use std::collections::HashMap;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::lock::{FileLock, is_held};
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
    /// Here.
    pub fn here() -> Self {
        let host = nix::unistd::gethostname().unwrap_or_default();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Machine { host: host.to_string_lossy().into(), boot: boot.trim().into() }
    }

    /// Whether one kernel serves a process and us, though it may be in a container that goes by another
    /// name: then the locks of both are seen by both.
    pub fn shares_kernel(&self, process: &Process) -> bool {
        process.boot == self.boot && (!self.boot.is_empty() || process.host == self.host)
    }

    /// Whether a process is of this machine, in this boot.
    fn is_here(&self, process: &Process) -> bool {
        process.host == self.host && process.boot == self.boot
    }

    /// Whether a process with that number runs on this machine, in this boot. Asked where somebody
    /// has removed its lock file: then the file's absence says nothing.
    pub(super) fn is_running(&self, process: &Process) -> bool {
        self.is_here(process)
            && nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.pid as i32), None).is_ok()
    }

    /// Whether a claim that was made on this machine, in this boot, has ended; of others, only
    /// those who watched them know.
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
        }
    }

    /// A claim that ends by itself after some time.
    pub fn lease(&self, duration: Duration) -> Lease {
        Lease {
            seconds: duration.as_secs_f64(),
            host: self.host.clone(),
            boot: self.boot.clone(),
            until_uptime_s: uptime_s() + duration.as_secs_f64(),
        }
    }
}

/// This process's sign of life: the lock is held as long as this value lives.
#[derive(Debug)]
pub struct Presence {
    lock: FileLock,
    path: PathBuf,
    heartbeats: AtomicU64,
    is_shared: bool,
}

impl Presence {
    /// Takes a process's lock file. It is taken before anybody can know of the process.
    pub(super) fn take(path: PathBuf, is_shared: bool) -> Result<Self, StoreError> {
        let mut lock = FileLock::open(&path)?;
        // Waits, because somebody may just be looking whether the lock is held.
        lock.lock(LOCK_TIMEOUT)?;
        let presence = Presence { lock, path, heartbeats: AtomicU64::new(0), is_shared };
        presence.heartbeat().map_err(StoreError::io("write", &presence.path))?;
        Ok(presence)
    }

    /// Counts up, for watchers on other hosts.
    ///
    /// # Errors
    /// The file cannot be written; the lock is held all the same.
    pub fn heartbeat(&self) -> io::Result<()> {
        let heartbeats = self.heartbeats.fetch_add(1, Ordering::Relaxed);
        let file = self.lock.file();
        file.write_all_at(format!("{heartbeats:020}\n").as_bytes(), 0)?;
        // Else it reaches the server half a minute later.
        if self.is_shared { file.sync_data() } else { Ok(()) }
    }

    /// Leaves in good order: the lock file goes.
    pub fn leave(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What is known about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It lives, or nothing shows that it does not.
    Alive,
    /// Its lock is free: it is dead. A command that it started may go on.
    Dead,
    /// It is of another machine, which has the directory over a network, and its sign of life is
    /// overdue: it is dead, cut off, or stopped. That locks are held says nothing: a server may keep
    /// them for a dead machine.
    Silent,
}

/// Sees, from a thread of its own, what other processes do to a study.
#[derive(Debug)]
pub struct Watcher {
    /// The journal, where there is one.
    journal: Option<Watched>,
    /// NePS's cache, where NePS shares the directory, and its stamp when we last wrote it.
    cache: Option<Watched>,
    workers: Option<PathBuf>,
    machine: Machine,
    /// Whether the locks of other machines can be seen here.
    locks_reach: bool,
    heartbeats: Heartbeats,
    /// What was last found out about processes of other machines, and when: it takes questions to the
    /// server.
    known: HashMap<ProcessId, (Liveness, Instant)>,
    leases: HashMap<(String, u32), Instant>,
}

impl Watcher {
    /// Of a study in memory, which no other process can reach.
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

    /// Of a study with a journal. `workers` has the lock files of its processes.
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

    /// Whether others wrote to the study since our last turn.
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
        let held = match is_held(&path) {
            Ok(held) => held,
            Err(_) => return Liveness::Alive,
        };
        match held {
            // Somebody removed its lock file.
            false if self.machine.is_running(process) && !plain::is_file(&path) => Liveness::Alive,
            false if is_here || self.locks_reach => Liveness::Dead,
            // On our own machine the kernel's word is enough: a stopped process is alive.
            true if is_here => Liveness::Alive,
            _ if !self.heartbeats.overdue(&path) => Liveness::Alive,
            _ if self.is_shared() => Liveness::Silent,
            _ => Liveness::Dead,
        }
    }

    /// Whether a process of another machine has given a sign of life since we first looked.
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
        // Somebody else may have been faster.
        let _ = std::fs::remove_file(path);
    }

    /// Whether a caller's claim has run out. On the machine that made it, by that machine's time
    /// since boot; elsewhere, or after a restart, only after we ourselves have watched it that long.
    pub fn is_expired(&mut self, trial: &str, attempt: u32, lease: &Lease) -> bool {
        if lease.host == self.machine.host && lease.boot == self.machine.boot {
            return uptime_s() >= lease.until_uptime_s;
        }
        let first_seen = *self.leases.entry((trial.into(), attempt)).or_insert_with(Instant::now);
        first_seen.elapsed().as_secs_f64() >= lease.seconds
    }
}

/// The signs of life of processes of other machines, by our own clock. The wall clocks of two machines
/// are never compared.
#[derive(Debug, Default)]
pub struct Heartbeats(HashMap<PathBuf, Heartbeat>);

#[derive(Debug, Clone, Copy)]
struct Heartbeat {
    first: u64,
    count: u64,
    since: Instant,
}

impl Heartbeats {
    /// Looks at the lock file of a process; tells whether no new sign of life came for [`HEARTBEAT_TIMEOUT`].
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
