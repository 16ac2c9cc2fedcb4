//! Who is alive: each process holds a lock file for its life, and the kernel frees it when the
//! process dies, within milliseconds, whatever it died of.
//!
//! Across hosts a lock server may be slow to notice a death. There each process also counts up in
//! its lock file, and whoever sees no new count for [`LEASE`] on its *own* monotonic clock calls it
//! dead. The wall clocks of two machines are never compared.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::lock::{FileLock, is_held};
use crate::clock::uptime_s;
use crate::error::StoreError;
use crate::event::{Lease, Process, ProcessId};
use crate::limits::{LEASE, LOCK_TIMEOUT};
use crate::plain;

/// A machine and its boot: where process ids and clocks mean something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The machine's name.
    pub host: Arc<str>,
    /// Its boot.
    pub boot: Arc<str>,
}

impl Place {
    /// Here.
    pub fn here() -> Self {
        let host = nix::unistd::gethostname().unwrap_or_default();
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Place { host: host.to_string_lossy().into(), boot: boot.trim().into() }
    }

    /// Whether a process with that number runs on this machine, in this boot. Asked where somebody
    /// has removed its lock file: then the file's absence says nothing.
    pub(super) fn is_running(&self, process: &Process) -> bool {
        let here = process.host == self.host && process.boot == self.boot;
        here && nix::sys::signal::kill(nix::unistd::Pid::from_raw(process.pid as i32), None).is_ok()
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
    beats: AtomicU64,
}

impl Presence {
    /// Takes a process's lock file. It is taken before anybody can know of the process.
    pub(super) fn take(path: PathBuf) -> Result<Self, StoreError> {
        let lock = FileLock::open(&path)?;
        // Waits, because somebody may just be looking whether the lock is held.
        lock.lock(LOCK_TIMEOUT)?;
        let presence = Presence { lock, path, beats: AtomicU64::new(0) };
        presence.beat().map_err(StoreError::io("write", &presence.path))?;
        Ok(presence)
    }

    /// Counts up, for watchers on other hosts.
    ///
    /// # Errors
    /// The file cannot be written; the lock is held all the same.
    pub fn beat(&self) -> io::Result<()> {
        let beats = self.beats.fetch_add(1, Ordering::Relaxed);
        self.lock.file().write_all_at(format!("{beats:020}\n").as_bytes(), 0)
    }

    /// Leaves in good order: the lock file goes.
    pub(crate) fn leave(&self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What is known about a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    /// It lives, or nothing shows that it does not.
    Alive,
    /// Its lock is free, or its sign of life is overdue: it is dead.
    Dead,
}

/// Sees, from a thread of its own, what other processes do to a study.
#[derive(Debug)]
pub struct Watcher {
    /// The journal, where there is one, and how long we know it to be.
    pub(super) journal: Option<(File, Arc<AtomicU64>)>,
    /// NePS's cache, where NePS shares the directory, and its stamp when we last wrote it.
    pub(super) cache: Option<(PathBuf, Arc<AtomicU64>)>,
    pub(super) workers: Option<PathBuf>,
    pub(super) place: Place,
    pub(super) beats: HashMap<ProcessId, (u64, Instant)>,
    pub(super) leases: HashMap<(String, u32), Instant>,
}

impl Watcher {
    /// Whether others appended to the journal since our last turn.
    pub fn has_grown(&self) -> bool {
        let cache = self.cache.as_ref();
        let rewritten =
            cache.is_some_and(|(path, stamp)| super::stamp(path) != stamp.load(Ordering::Acquire));
        rewritten
            || self.journal.as_ref().is_some_and(|(journal, known_len)| {
                let known = known_len.load(Ordering::Acquire);
                journal.metadata().is_ok_and(|data| data.len() != known)
            })
    }

    /// Whether a process lives.
    pub fn sign(&mut self, process: &Process) -> Sign {
        let Some(workers) = &self.workers else { return Sign::Alive };
        let path = lock_path(workers, process.process);
        match is_held(&path) {
            Ok(false) if self.place.is_running(process) && !plain::is_file(&path) => Sign::Alive,
            Ok(false) => Sign::Dead,
            // On our own machine the kernel's word is enough: a stopped process is alive.
            Ok(true) if process.host == self.place.host => Sign::Alive,
            Ok(true) => self.beat_overdue(process.process, &path),
            Err(_) => Sign::Alive,
        }
    }

    /// Removes the lock file of a process that was buried.
    pub fn tidy(&mut self, process: ProcessId) {
        self.beats.remove(&process);
        // Somebody else may have been faster.
        if let Some(workers) = &self.workers {
            let _ = std::fs::remove_file(lock_path(workers, process));
        }
    }

    fn beat_overdue(&mut self, process: ProcessId, path: &Path) -> Sign {
        let count = plain::read(path, 64)
            .ok()
            .and_then(|text| std::str::from_utf8(&text).ok()?.trim().parse().ok());
        let (now, count) = (Instant::now(), count.unwrap_or(0));
        let (last, since) = self.beats.entry(process).or_insert((count, now));
        if *last != count {
            (*last, *since) = (count, now);
        }
        if since.elapsed() > LEASE { Sign::Dead } else { Sign::Alive }
    }

    /// Whether a caller's claim has run out. On the machine that made it, by that machine's time
    /// since boot; elsewhere, or after a restart, only after we ourselves have watched it that long.
    pub fn is_expired(&mut self, trial: &str, attempt: u32, lease: &Lease) -> bool {
        if lease.host == self.place.host && lease.boot == self.place.boot {
            return uptime_s() >= lease.until_uptime_s;
        }
        let first_seen = *self.leases.entry((trial.into(), attempt)).or_insert_with(Instant::now);
        first_seen.elapsed().as_secs_f64() >= lease.seconds
    }
}

pub(super) fn lock_path(workers: &Path, process: ProcessId) -> PathBuf {
    workers.join(format!("p{process}.lock"))
}
