//! The journal: one event per line, appended under a lock; the truth of a study.
//!
//! The sync comes after the unlock and before any answer. The journal is one file, so whoever syncs
//! later syncs our bytes too, and several processes sync side by side.
//!
//! A process that dies in the middle of an append leaves a torn tail. Whoever has the lock next
//! cuts it off before anything is appended, and keeps the bytes in `torn-<offset>`. Bytes that are
//! damaged *before* sound records may have been acknowledged: then nothing is written any more.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::disk::Disk;
use super::liveness::{Place, Watcher};
use super::lock::FileLock;
use super::poison::Guarded;
use super::tail::{Rest, Tail};
use super::{Apply, Directory, Durability, Purpose, RealDisk, Replica, Store};
use crate::error::{StoreError, StudyError};
use crate::event::{Event, EventKind, encode};
use crate::limits::{LOCK_TIMEOUT, MAX_LINE_BYTES, READ_CHUNK_BYTES, READ_UNDER_LOCK_BYTES};
use crate::plain;
use crate::trial::Trials;

/// A study's journal, opened for appending.
pub struct JournalStore {
    path: PathBuf,
    lock: FileLock,
    lock_path: PathBuf,
    disk: Box<dyn Disk>,
    tail: Tail,
    staged: Vec<u8>,
    staged_records: u64,
    durability: Durability,
    unsynced: bool,
    poison: Option<String>,
    known_len: Arc<AtomicU64>,
    workers: PathBuf,
    place: Place,
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
            lock_path: directory.journal_lock_path(),
            disk,
            tail: Tail::new(directory.definition().space.names().clone()),
            staged: Vec::new(),
            staged_records: 0,
            durability,
            unsynced: false,
            poison: None,
            known_len: Arc::new(AtomicU64::new(0)),
            workers: directory.workers_path(),
            place: directory.place().clone(),
        })
    }

    fn lock(&mut self) -> Result<(), StoreError> {
        self.lock.lock(LOCK_TIMEOUT)?;
        // Somebody removed the lock file: whoever comes now locks the one that is there instead.
        // With its whole directory gone nobody comes, and the journal says so.
        while self.lock.was_removed() {
            match FileLock::open(&self.lock_path) {
                Ok(lock) => self.lock = lock,
                Err(_) => break,
            }
            self.lock.lock(LOCK_TIMEOUT)?;
        }
        Ok(())
    }

    /// Reads what takes long without the lock, so that nobody waits for a process that joins a long
    /// study. A sound record that is there while we hold the lock is there for good: an append that
    /// fails is undone before its lock is freed. Tells whether the lock was given up for that.
    fn read_ahead(&mut self, apply: Apply<'_>) -> Result<bool, StoreError> {
        let len = self.disk.len().map_err(StoreError::io("read", &self.path))?;
        if len.saturating_sub(self.tail.offset) <= READ_UNDER_LOCK_BYTES {
            return Ok(false);
        }
        self.lock.unlock()?;
        // What stands behind the sound part is judged under the lock.
        self.tail.read_to(len, &*self.disk, &self.path, apply)?;
        Ok(true)
    }

    fn catch_up(&mut self, apply: Apply<'_>) -> Result<(), StoreError> {
        match self.tail.catch_up(&*self.disk, &self.path, apply)? {
            Rest::Nothing => {}
            Rest::Torn => self.cut()?,
            Rest::Damaged(problem) => {
                let offset = self.tail.offset;
                return Err(StoreError::Damaged { path: self.path.clone(), offset, problem });
            }
        }
        self.known_len.store(self.tail.offset, Ordering::Release);
        Ok(())
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
            // What did get there must not stand before somebody else's records.
            let _ = self.disk.truncate(self.tail.offset);
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
        let _ = self.lock.unlock();
    }
}

impl JournalStore {
    /// [`Store::begin`] for a store that has a journal beside other files, and takes some of its
    /// events for itself.
    pub(crate) fn begin_with(&mut self, apply: Apply<'_>) -> Result<(), StoreError> {
        self.guarded(|store| {
            store.lock()?;
            store.clear_stage();
            if store.read_ahead(apply)? {
                store.lock()?;
            }
            store.catch_up(apply)
        })
    }

    /// [`Store::stage`], for which a journal needs no trials.
    pub(crate) fn stage_events(&mut self, events: &[Event]) -> Result<(), StudyError> {
        let (start, records) = (self.staged.len(), self.staged_records);
        for event in events {
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
    pub(crate) fn commit_events(&mut self) -> Result<(), StoreError> {
        self.guarded(|store| {
            store.append()?;
            store.lock.unlock()?;
            store.clear_stage();
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
        Some(Watcher {
            journal: Some((std::fs::File::open(&self.path).ok()?, self.known_len.clone())),
            cache: None,
            workers: Some(self.workers.clone()),
            place: self.place.clone(),
            beats: HashMap::new(),
            leases: HashMap::new(),
        })
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
