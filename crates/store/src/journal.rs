//! The journal: one event per line, appended under a lock; the truth of a study.
//!
//! On a local file system the sync comes after the unlock and before any answer. The journal is one
//! file, so whoever syncs later syncs our bytes too, and several processes sync side by side. On a
//! network file system each machine has a cache of its own, which agrees with the others' only for
//! a file that is locked while it is read and written, and stored before it is unlocked: so there
//! the journal itself is locked too, inside the lock, and synced before both are freed.
//!
//! A process that dies in the middle of an append leaves a torn tail. Whoever has the lock next
//! cuts it off before anything is appended, and keeps the bytes in `torn-<offset>`. Where the end
//! may be somebody's who lives (`unfinished.rs`), it is waited for instead. Bytes that are damaged
//! *before* sound records may have been acknowledged: then nothing is written any more.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::disk::Disk;
use super::liveness::{Heartbeats, Machine, Watcher, lock_path};
use super::lock::{FileLock, is_held};
use super::poison::Guarded;
use super::tail::{Rest, Tail};
use super::unfinished::{Deaths, has_hole};
use super::watched::Watched;
use super::{Apply, Directory, Durability, FileSystem, Purpose, RealDisk, Replica, Store};
use crate::plain;
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::{Event, EventKind, Process, ProcessId, encode};
use trialmill_core::limits::{
    LOCK_TIMEOUT, MAX_LINE_BYTES, READ_CHUNK_BYTES, READ_UNDER_LOCK_BYTES, WATCH_POLL,
};
use trialmill_core::trial::Trials;

/// A study's journal, opened for appending.
pub struct JournalStore {
    path: PathBuf,
    lock: FileLock,
    /// How long the lock, or the end of an unfinished append, is waited for.
    patience: Duration,
    disk: Box<dyn Disk>,
    tail: Tail,
    staged: Vec<u8>,
    staged_records: u64,
    durability: Durability,
    unsynced: bool,
    poison: Option<String>,
    known_len: Arc<AtomicU64>,
    workers: PathBuf,
    machine: Machine,
    file_system: FileSystem,
    /// Our number in the study, once we joined.
    process: Option<ProcessId>,
    /// Whether everything was read that was there when the store was opened.
    is_current: bool,
}

impl JournalStore {
    /// Opens the journal of a directory. Nothing is read before the first turn.
    ///
    /// # Errors
    /// The journal or its lock file cannot be opened.
    pub fn open(directory: &Directory, durability: Durability) -> Result<Self, StoreError> {
        let path = directory.journal_path();
        let disk = RealDisk::open(&path).map_err(StoreError::io("open", &path))?;
        Self::with_disk(directory, durability, Box::new(disk))
    }

    /// The same over another disk, such as one that fails on purpose.
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
            staged: Vec::new(),
            staged_records: 0,
            durability,
            unsynced: false,
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
        }
    }

    /// Goes on with a copy of a journal that a machine has locked which is not heard of any more: it
    /// died or was cut off in the middle of a turn, and its server keeps the lock (NFS 3 for ever).
    ///
    /// Whatever that machine still appends, before its answer it looks whether the lock file is the
    /// one that it locked. If it finds it, the lock file was replaced later, and the copy, which is
    /// made after that, has its records. If not, it acknowledges nothing.
    fn leave_behind(&mut self) -> Result<(), StoreError> {
        tracing::warn!(
            "{}: locked for {} s by a machine that is not heard of: this process goes on without it",
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

    /// Reads what takes long without the lock, so that nobody waits for a process that joins a long
    /// study. A sound record that is there while we hold the lock is there for good: an append that
    /// fails is undone before its lock is freed. Tells whether the lock was given up for that.
    fn read_ahead(&mut self, apply: Apply<'_>) -> Result<bool, StoreError> {
        let len = self.disk.len().map_err(StoreError::io("read", &self.path))?;
        if len.saturating_sub(self.tail.offset) <= READ_UNDER_LOCK_BYTES {
            return Ok(false);
        }
        self.unlock()?;
        // What follows the sound part is judged under the lock.
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
                // Its writer may live, and this machine see a part of it only.
                Rest::Torn => {
                    self.unlock()?;
                    std::thread::sleep(WATCH_POLL);
                }
                Rest::Damaged(problem) => return Err(self.damaged(problem)),
            }
        }
        self.known_len.store(self.tail.offset, Ordering::Release);
        self.is_current = true;
        match new_host {
            Some(process) => self.file_system.admit(&process, &self.path),
            None => Ok(()),
        }
    }

    fn damaged(&self, problem: String) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), offset: self.tail.offset, problem }
    }

    /// Whether the unfinished end of another file, which is written under the same lock, is that of a
    /// process that died.
    pub fn an_end_is_of_a_dead_process(&self) -> bool {
        let is_shared = self.disk.is_shared();
        Deaths::default().writer_is_dead(false, is_shared, &self.workers, self.process)
    }

    /// Whether the directory is on a network file system.
    pub fn is_shared(&self) -> bool {
        self.disk.is_shared()
    }

    /// Whether a process of the study holds its lock and gives no sign of life, as one whose machine
    /// died. To be asked again and again with the same `heartbeats`.
    pub fn somebody_is_silent(&self, heartbeats: &mut Heartbeats) -> bool {
        let own = self.process.map(|process| lock_path(&self.workers, process));
        let entries = std::fs::read_dir(&self.workers).into_iter().flatten().flatten();
        let others = entries.map(|entry| entry.path()).filter(|path| Some(path) != own.as_ref());
        // All are looked at, so that each has been watched for as long.
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

    /// Cuts a torn tail off, and keeps its bytes beside.
    fn cut(&mut self) -> Result<(), StoreError> {
        let offset = self.tail.offset;
        let io = |action| StoreError::io(action, &self.path);
        let len = self.disk.len().map_err(io("read"))?;
        // Two processes may die at the same place: the bytes of the first are kept too.
        let name = |n: u32| match n {
            0 => self.path.with_file_name(format!("torn-{offset}")),
            n => self.path.with_file_name(format!("torn-{offset}.{n}")),
        };
        let is_free = |kept: &PathBuf| kept.symlink_metadata().is_err();
        let kept = (0..).map(name).find(is_free).unwrap_or_else(|| name(0));
        if let Err(error) = self.keep(offset, &kept) {
            // Half a copy on a full disk is of no use, and the next start makes another.
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

    /// Copies everything from `offset` on to a new file.
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
            // What did get there must not stand before somebody else's records. On a network file
            // system the lock may be lost, and their records stand there already.
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
    }

    /// Stores what was appended while nobody else may read it, and makes sure that the lock is still
    /// ours: a machine that took this one for dead has put another lock file in its place.
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
    /// [`Store::begin`] for a store that has a journal beside other files, and takes some of its
    /// events for itself.
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
        }
        Ok(())
    }

    /// [`Store::commit`], for which a journal needs no trials.
    pub fn commit_events(&mut self) -> Result<(), StoreError> {
        self.guarded(|store| {
            store.append()?;
            store.clear_stage();
            if store.disk.is_shared() {
                store.sync_under_lock()?;
            }
            store.unlock()?;
            match store.durability {
                Durability::Synced => store.sync(),
                Durability::Buffered => Ok(()),
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
    /// Buffered commits reach the disk at the latest when the study is closed in good order.
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
        EventKind::Put(trial) => (trial.id.clone(), trial.attempts),
        _ => {
            let problem = format!("a record of {bytes} bytes is too large");
            return StudyError::Contradiction(problem);
        }
    };
    StudyError::TooLarge { id, attempt, bytes, limit: MAX_LINE_BYTES }
}
