//! The journal: one event per line, appended under a lock; the truth of a study.
//!
//! On a local file system the sync comes after the unlock and before any answer. The journal is one
//! file, so a process that syncs later syncs our bytes too, and several processes sync side by
//! side. On a network file system each machine has a cache of its own, which agrees with the
//! others' only for a file that is locked while it is read and written, and stored before it is
//! unlocked: so there the journal itself is locked too, inside the lock, and synced before both are
//! freed.
//!
//! A process that dies in the middle of an append leaves a torn tail. The next process that takes the
//! lock cuts it off before it appends anything, and keeps the bytes in `torn-<offset>`. If the writer
//! of the unfinished end may still live (`unfinished.rs`), it waits instead. Damaged bytes *before*
//! valid records may have been acknowledged: then nothing is written any more.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::described::Described;
use super::disk::Disk;
use super::liveness::{Heartbeats, Machine, Watcher, lock_path};
use super::lock::{FileLock, is_held};
use super::place::moved;
use super::poison::Guarded;
use super::tail::{Rest, Tail};
use super::unfinished::{Deaths, has_hole};
use super::watched::Watched;
use super::{Apply, Directory, Durability, FileSystem, Purpose, RealDisk, Replica, Store};
use crate::plain;
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::{Event, EventKind, Process, ProcessId, encode};
use trialmill_core::limits::{
    LOCK_TIMEOUT, MAX_LINE_BYTES, NETWORK_POLL, READ_CHUNK_BYTES, READ_UNDER_LOCK_BYTES, WATCH_POLL,
};
use trialmill_core::trial::Trials;

/// A study's journal, opened for appending.
pub struct JournalStore {
    path: PathBuf,
    lock: FileLock,
    /// How long to wait for the lock, or for the end of an unfinished append.
    patience: Duration,
    disk: Box<dyn Disk>,
    tail: Tail,
    described: Option<Described>,
    staged: Vec<u8>,
    staged_records: u64,
    durability: Durability,
    unsynced: bool,
    /// Whether something staged must be durable before it is acknowledged: all but steps.
    must_sync: bool,
    poison: Option<String>,
    known_len: Arc<AtomicU64>,
    workers: PathBuf,
    machine: Machine,
    file_system: FileSystem,
    /// Our number in the study, once we joined.
    process: Option<ProcessId>,
    /// Whether everything that existed when the store was opened has been read.
    is_current: bool,
}

impl JournalStore {
    /// Opens the journal of a directory. Nothing is read before the first batch.
    ///
    /// # Errors
    /// The journal or its lock file cannot be opened.
    pub fn open(directory: &Directory, durability: Durability) -> Result<Self, StoreError> {
        let path = directory.journal_path();
        let disk = RealDisk::open(&path).map_err(StoreError::io("open", &path))?;
        Self::with_disk(directory, durability, Box::new(disk))
    }

    /// The same over another disk, such as one that fails on demand.
    ///
    /// # Errors
    /// The lock file cannot be opened.
    pub fn with_disk(
        directory: &Directory,
        durability: Durability,
        disk: Box<dyn Disk>,
    ) -> Result<Self, StoreError> {
        Ok(JournalStore {
            path: directory.journal_path(),
            lock: FileLock::open(&directory.journal_lock_path())?,
            patience: if disk.is_shared() { disk.patience() } else { LOCK_TIMEOUT },
            disk,
            tail: Tail::new(directory.definition().space.names().clone()),
            described: Described::of(directory),
            staged: Vec::new(),
            staged_records: 0,
            durability,
            unsynced: false,
            must_sync: false,
            poison: None,
            known_len: Arc::new(AtomicU64::new(0)),
            workers: directory.workers_path(),
            machine: directory.machine().clone(),
            file_system: directory.file_system(),
            process: None,
            is_current: false,
        })
    }

    fn lock(&mut self) -> Result<(), StoreError> {
        let locked = match self.lock.lock(self.patience) {
            Ok(()) => self.disk.lock(self.patience),
            Err(StoreError::LockTimeout { .. }) if self.disk.is_shared() => {
                self.lock.replace()?;
                self.disk.lock(Duration::ZERO)
            }
            Err(error) => return Err(error),
        };
        match locked {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => self.leave_behind(),
            locked => locked.map_err(StoreError::io("lock", &self.path)),
        }?;
        // If the path leads elsewhere, others read another journal than the one we append to.
        match self.disk.is_in_place().map_err(StoreError::io("look at", &self.path))? {
            true => Ok(()),
            false => Err(moved(&self.path)),
        }
    }

    /// Continues with a copy of the journal, because the machine that locked the original has been
    /// silent for too long: it died or was cut off in the middle of a commit, and the server keeps
    /// its lock (NFS 3 for ever).
    ///
    /// Why this cannot lose an acknowledged record: whatever that machine still appends, before it
    /// answers it checks that the lock file is still the one that it locked. If it is, the lock file
    /// was replaced later, and the copy, made later still, contains its records. If it is not, that
    /// machine acknowledges nothing.
    fn leave_behind(&mut self) -> Result<(), StoreError> {
        tracing::warn!(
            "{}: locked for {} s by a machine that is silent: this process continues without it",
            self.path.display(),
            self.patience.as_secs()
        );
        self.lock.replace()?;
        let lock = &self.lock;
        let copied = self.disk.replace_with_copy(&|| !lock.was_replaced());
        copied.map_err(StoreError::io("copy", &self.path))
    }

    fn unlock(&mut self) -> Result<(), StoreError> {
        self.disk.unlock().map_err(StoreError::io("unlock", &self.path))?;
        self.lock.unlock()
    }

    /// Reads a long journal without the lock, so that the others do not wait for a process that
    /// joins a long study. That is safe: a valid record that exists while we hold the lock is
    /// permanent, because a failed append is undone before its lock is freed. Returns whether this
    /// gave up the lock.
    fn read_ahead(&mut self, apply: Apply<'_>) -> Result<bool, StoreError> {
        let len = self.disk.len().map_err(StoreError::io("read", &self.path))?;
        if len.saturating_sub(self.tail.offset) <= READ_UNDER_LOCK_BYTES {
            return Ok(false);
        }
        self.unlock()?;
        // What follows the valid prefix is judged only under the lock.
        self.tail.read_to(len, &*self.disk, &self.path, apply)?;
        Ok(true)
    }

    /// Takes the lock, and reads what others appended.
    fn catch_up(&mut self, apply: Apply<'_>) -> Result<(), StoreError> {
        let (is_current, machine) = (self.is_current, self.machine.clone());
        let mut new_host: Option<Process> = None;
        let apply = &mut |event: Event| {
            if let (true, EventKind::Joined(process)) = (is_current, &event.kind)
                && !machine.shares_kernel(process)
            {
                new_host = Some(process.clone());
            }
            apply(event)
        };
        let begin = Instant::now();
        let mut deaths = Deaths::default();
        loop {
            self.lock()?;
            if self.read_ahead(apply)? {
                self.lock()?;
            }
            match self.tail.catch_up(&*self.disk, &self.path, apply)? {
                Rest::Nothing => break,
                Rest::Torn if self.writer_is_dead(&mut deaths)? => {
                    self.cut()?;
                    break;
                }
                Rest::Torn if begin.elapsed() >= self.patience => {
                    let problem = "an append has no end, and nothing shows that its writer is \
                                   dead; it is cut off at a start when no process of the study \
                                   runs, or by `check --repair`";
                    return Err(self.damaged(problem.into()));
                }
                // Its writer may live, and this machine may see only a part of its append.
                Rest::Torn => {
                    self.unlock()?;
                    std::thread::sleep(WATCH_POLL);
                }
                Rest::Damaged(problem) => return Err(self.damaged(problem)),
            }
        }
        self.known_len.store(self.tail.offset, Ordering::Release);
        self.is_current = true;
        self.described.as_mut().map_or(Ok(()), Described::check)?;
        match new_host {
            Some(process) => self.file_system.admit(&process, &self.path),
            None => Ok(()),
        }
    }

    fn damaged(&self, problem: String) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), offset: self.tail.offset, problem }
    }

    /// Whether a dead process left an unfinished end in another file that is written under the same
    /// lock.
    pub fn an_end_is_of_a_dead_process(&self) -> bool {
        let is_shared = self.disk.is_shared();
        Deaths::default().writer_is_dead(false, is_shared, &self.workers, self.process)
    }

    /// Tells whether the machine that may hold the journal's locks is known to be dead, by other
    /// locks that it held: then this batch does not wait as long again for those of the journal.
    pub fn expect_dead_holder(&mut self, is_dead: bool) {
        self.patience = match (is_dead, self.disk.is_shared()) {
            (true, true) => NETWORK_POLL,
            (_, true) => self.disk.patience(),
            _ => LOCK_TIMEOUT,
        };
    }

    /// Whether the directory is on a network file system.
    pub fn is_shared(&self) -> bool {
        self.disk.is_shared()
    }

    /// Whether a process of the study holds its lock but writes no heartbeat, as if its machine had
    /// died. Call this repeatedly with the same `heartbeats`.
    pub fn somebody_is_silent(&self, heartbeats: &mut Heartbeats) -> bool {
        let own = self.process.map(|process| lock_path(&self.workers, process));
        let entries = std::fs::read_dir(&self.workers).into_iter().flatten().flatten();
        let others = entries.map(|entry| entry.path()).filter(|path| Some(path) != own.as_ref());
        // Probe all of them, without short-circuiting, so that each is watched from the start.
        others.fold(false, |found, path| {
            let is_silent = heartbeats.overdue(&path) && is_held(&path).unwrap_or(false);
            found | is_silent
        })
    }

    fn writer_is_dead(&self, deaths: &mut Deaths) -> Result<bool, StoreError> {
        let has_hole = has_hole(&*self.disk, self.tail.offset);
        let has_hole = has_hole.map_err(StoreError::io("read", &self.path))?;
        Ok(deaths.writer_is_dead(has_hole, self.disk.is_shared(), &self.workers, self.process))
    }

    /// Cuts off a torn tail, and keeps its bytes in a file of their own.
    fn cut(&mut self) -> Result<(), StoreError> {
        let offset = self.tail.offset;
        let io = |action| StoreError::io(action, &self.path);
        let len = self.disk.len().map_err(io("read"))?;
        // Two processes may die at the same offset: keep the bytes of both.
        let name = |n: u32| match n {
            0 => self.path.with_file_name(format!("torn-{offset}")),
            n => self.path.with_file_name(format!("torn-{offset}.{n}")),
        };
        let is_free = |kept: &PathBuf| kept.symlink_metadata().is_err();
        let kept = (0..=u32::MAX).map(name).find(is_free).unwrap_or_else(|| name(0));
        if let Err(error) = self.keep(offset, &kept) {
            // Half a copy on a full disk is useless, and the next start makes another.
            let _ = std::fs::remove_file(&kept);
            return Err(error);
        }
        self.disk.truncate(offset).map_err(io("cut the torn end of"))?;
        tracing::warn!(
            "{}: a process died while it appended; {} bytes are cut \
             off at byte {offset} and kept in {}",
            self.path.display(),
            len - offset,
            kept.display()
        );
        Ok(())
    }

    /// Copies everything from `offset` on into a new file.
    fn keep(&self, offset: u64, kept: &Path) -> Result<(), StoreError> {
        let mut file = plain::create(kept).map_err(StoreError::io("write", kept))?;
        let (mut chunk, mut at) = (vec![0; READ_CHUNK_BYTES], offset);
        loop {
            let got = self.disk.read_at(&mut chunk, at);
            let got = got.map_err(StoreError::io("read", &self.path))?;
            if got == 0 {
                return Ok(());
            }
            file.write_all(&chunk[..got]).map_err(StoreError::io("write", kept))?;
            at += got as u64;
        }
    }

    fn append(&mut self) -> Result<(), StoreError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        if let Err(error) = self.disk.append(&self.staged) {
            // Undo a partial append: it must not precede another process's records. On a network file
            // system we may have lost the lock, and their records may be there already.
            if !self.disk.is_shared() {
                let _ = self.disk.truncate(self.tail.offset);
            }
            return Err(StoreError::io("append to", &self.path)(error));
        }
        self.tail.offset += self.staged.len() as u64;
        self.tail.next_seq += self.staged_records;
        self.known_len.store(self.tail.offset, Ordering::Release);
        self.unsynced = true;
        Ok(())
    }

    fn clear_stage(&mut self) {
        self.staged.clear();
        self.staged.shrink_to(READ_CHUNK_BYTES);
        self.staged_records = 0;
        self.must_sync = false;
    }

    /// Syncs the append before others may read it, and checks that the lock is still ours: a machine
    /// that took this one for dead has put another lock file in its place.
    fn sync_under_lock(&mut self) -> Result<(), StoreError> {
        if self.unsynced {
            self.sync()?;
            if self.lock.was_replaced() {
                return Err(StoreError::LockLost { path: self.lock.path().into() });
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.unsynced) {
            self.disk.sync().map_err(StoreError::io("sync", &self.path))?;
        }
        Ok(())
    }
}

impl Guarded for JournalStore {
    fn poison(&mut self) -> &mut Option<String> {
        &mut self.poison
    }

    fn release(&mut self) {
        self.clear_stage();
        let _ = self.unlock();
    }
}

impl JournalStore {
    /// [`Store::begin`] for a store that keeps a journal beside other files, and uses some of its
    /// events itself.
    pub fn begin_with(&mut self, apply: Apply<'_>) -> Result<(), StoreError> {
        self.guarded(|store| {
            store.clear_stage();
            store.catch_up(apply)
        })
    }

    /// [`Store::stage`], for which a journal needs no trials.
    pub fn stage_events(&mut self, events: &[Event]) -> Result<(), StudyError> {
        let (start, records) = (self.staged.len(), self.staged_records);
        for event in events {
            if let EventKind::Joined(process) = &event.kind {
                self.process = Some(process.process);
            }
            let line = self.staged.len();
            encode(self.tail.next_seq + self.staged_records, event, &mut self.staged);
            let bytes = self.staged.len() - line - 1;
            if bytes > MAX_LINE_BYTES {
                self.staged.truncate(start);
                self.staged_records = records;
                return Err(too_large(event, bytes));
            }
            self.staged_records += 1;
            self.must_sync |= !matches!(event.kind, EventKind::Stepped { .. });
        }
        Ok(())
    }

    /// [`Store::commit`], for which a journal needs no trials.
    pub fn commit_events(&mut self) -> Result<(), StoreError> {
        self.guarded(|store| {
            store.append()?;
            let must_sync = store.must_sync;
            store.clear_stage();
            if store.disk.is_shared() {
                store.sync_under_lock()?;
            }
            store.unlock()?;
            match store.durability {
                // A step that a power cut takes is reported again by the next attempt. The next sync,
                // at the latest that of its trial's report, makes it durable too.
                Durability::Synced if must_sync => store.sync(),
                _ => Ok(()),
            }
        })
    }
}

impl Store for JournalStore {
    fn begin(&mut self, _: Purpose, replica: &mut dyn Replica) -> Result<(), StoreError> {
        self.begin_with(&mut |event| replica.apply(event))
    }

    fn stage(&mut self, events: &[Event], _: &Trials) -> Result<(), StudyError> {
        self.stage_events(events)
    }

    fn commit(&mut self, _: &Trials) -> Result<(), StoreError> {
        self.commit_events()
    }

    fn watcher(&self) -> Option<Watcher> {
        let watched =
            Watched::new(self.path.clone(), self.known_len.clone(), self.disk.is_shared());
        let locks_reach = self.file_system.local_locks().is_none();
        let (workers, machine) = (self.workers.clone(), self.machine.clone());
        Some(Watcher::of_journal(watched, workers, machine, locks_reach))
    }
}

impl Drop for JournalStore {
    /// Buffered commits reach the disk at the latest when the study is closed cleanly.
    fn drop(&mut self) {
        if self.poison.is_none() {
            let _ = self.sync();
        }
    }
}

fn too_large(event: &Event, bytes: usize) -> StudyError {
    let (id, attempt) = match &event.kind {
        EventKind::Reported { trial, attempt, .. } => (trial.clone(), *attempt),
        EventKind::Sampled { trial, .. } => (trial.clone(), 1),
        EventKind::Stepped { trial, attempt, .. } => (trial.clone(), *attempt),
        EventKind::Put(trial) => (trial.id.clone(), trial.attempts),
        _ => {
            let problem = format!("a record of {bytes} bytes is too large");
            return StudyError::Contradiction(problem);
        }
    };
    StudyError::TooLarge { id, attempt, bytes, limit: MAX_LINE_BYTES }
}

#[cfg(all(test, feature = "sim"))]
mod tests;
