//! `.trial_cache.pkl`: a sequence of pickles, in which the last record of a trial counts.
//!
//! The file may begin with a dict of all trials; single trials and lists of trials follow. A
//! process that finds many of these consolidates them into one dict, and NePS does so by rewriting
//! the file in place. So each batch first checks that the file is still the one we know, and then
//! reads on from where we stopped.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::pickle::{self, Item, Pickle, PickleError, Ref};
use super::record::{self, Record, Shared};
use trialmill_core::error::StoreError;
use trialmill_core::limits::{
    MAX_CACHE_BYTES, NEPS_MAX_UPDATES, NEPS_READ_PAUSE, NEPS_READS, NETWORK_LOCK_PAUSE_MAX,
    NETWORK_POLL,
};
use trialmill_store::plain;
use trialmill_store::{FileSystem, drop_cache, sync_parent};

/// How many bytes before our offset are compared, to recognise the file.
const SAMPLE_BYTES: usize = 64;

/// The cache, as far as it has been read.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    file: Option<File>,
    inode: u64,
    /// How much has been read, and its last bytes.
    offset: u64,
    sample: Vec<u8>,
    /// Trials in the records after the dict.
    updates: usize,
    max_updates: Option<usize>,
    writable: bool,
    /// Whether other machines write to the file through caches of their own.
    is_shared: bool,
}

/// What one read of the cache found.
#[derive(Debug, Default)]
pub(super) struct News {
    /// The records written since the last read, in order.
    pub(super) records: Vec<Record>,
    /// Whether the file was replaced or rewritten: then `records` is its whole content.
    pub(super) rewritten: bool,
    /// Whether the file does not exist.
    pub(super) missing: bool,
    /// The offset of an incomplete last record, if there is one.
    pub(super) torn_at: Option<u64>,
}

impl Cache {
    pub(super) fn new(configs: &Path, writable: bool) -> Self {
        let max_updates = std::env::var("NEPS_TRIAL_CACHE_MAX_UPDATES_BEFORE_CONSOLIDATION");
        Cache {
            path: configs.join(".trial_cache.pkl"),
            file: None,
            inode: 0,
            offset: 0,
            sample: Vec::new(),
            updates: 0,
            max_updates: max_updates.ok().and_then(|text| text.trim().parse().ok()),
            writable,
            is_shared: FileSystem::of(configs).is_shared(),
        }
    }

    /// Begins a batch, with NePS's lock held. On a network file system this machine may have stale
    /// pages of the file, and while it has the file open for writing, opening it again does not
    /// drop them: locking the file itself does. NePS opens the file again each time and closes it
    /// before it frees its lock, which has the same effect.
    pub(super) fn begin(&mut self) {
        if let (true, Some(file)) = (self.is_shared, &self.file) {
            let _ = fs2::FileExt::unlock(file);
            if !is_locked_soon(file) {
                // A dead machine holds it. Reopening the file also shows what the server has.
                self.file = None;
                self.file = self.open().ok();
            }
        }
    }

    /// Ends a batch, before NePS's lock is freed: makes sure the server has what was written.
    pub(super) fn end(&self) -> io::Result<()> {
        match &self.file {
            Some(file) if self.is_shared => {
                file.sync_data()?;
                fs2::FileExt::unlock(file)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Reads what was written since the last read.
    ///
    /// An incomplete last record is read again for a while before it counts as torn: we hold NePS's
    /// lock, but a NePS worker that starts rewrites the file without it.
    ///
    /// # Errors
    /// It cannot be read, or is damaged before its end.
    pub(super) fn read_new(&mut self, shared: &mut Shared) -> Result<News, StoreError> {
        let mut news = self.read_once(shared)?;
        for _ in 1..NEPS_READS {
            if news.torn_at.is_none() {
                break;
            }
            std::thread::sleep(NEPS_READ_PAUSE);
            self.begin();
            let more = self.read_once(shared)?;
            // A file that was rewritten meanwhile contains everything again: drop what we had.
            let mut records = if more.rewritten { Vec::new() } else { news.records };
            records.extend(more.records);
            news = News { records, rewritten: more.rewritten || news.rewritten, ..more };
        }
        Ok(news)
    }

    /// Reads once. There are three ways to notice that the file is not the one we know: it does not
    /// exist, its inode differs (it was replaced), or the bytes before our offset differ (it was
    /// rewritten in place). In each case everything is read from the start.
    fn read_once(&mut self, shared: &mut Shared) -> Result<News, StoreError> {
        let path = self.path.clone();
        let failed = |error| StoreError::io("read", &path)(error);
        let inode = match self.inode_at_path() {
            Ok(inode) => inode,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let rewritten = self.forget();
                return Ok(News { missing: true, rewritten, ..News::default() });
            }
            Err(error) => return Err(failed(error)),
        };
        let mut rewritten = false;
        if self.file.is_none() || inode != self.inode {
            rewritten = self.forget();
            self.file = Some(self.open().map_err(failed)?);
            self.inode = inode;
        }
        let Some(file) = &self.file else { return Ok(News::default()) };
        let mut start = self.offset - self.sample.len() as u64;
        let mut bytes = read_from(file, start).map_err(failed)?;
        if !bytes.starts_with(&self.sample) {
            (self.offset, self.updates, start, rewritten) = (0, 0, 0, true);
            self.sample.clear();
            bytes = read_from(file, 0).map_err(failed)?;
        }
        // An empty file counts as torn, because NePS truncates the file before it rewrites it.
        let torn_at = (bytes.is_empty() && self.offset == 0).then_some(0);
        let mut news = News { rewritten, torn_at, ..News::default() };
        let known = self.sample.len();
        let result = self.take(&bytes[known..], shared, &mut news);
        let end = (self.offset - start) as usize;
        self.sample = bytes[end.saturating_sub(SAMPLE_BYTES)..end].to_vec();
        result.map(|()| news)
    }

    /// The inode of the file at the cache's path. On a network file system this opens the file: a
    /// machine that looked it up at the moment in which another one replaced it remembers for half
    /// a minute that it does not exist. It would then rebuild the cache from what it knew, and drop
    /// what the others wrote.
    fn inode_at_path(&self) -> io::Result<u64> {
        let data = match self.is_shared {
            true => plain::open(&self.path)?.metadata()?,
            false => self.path.symlink_metadata()?,
        };
        Ok(data.ino())
    }

    fn open(&self) -> io::Result<File> {
        let file = match self.writable {
            true => plain::open_to_write(OpenOptions::new().read(true).append(true), &self.path),
            false => plain::open(&self.path),
        }?;
        match (self.is_shared, self.writable) {
            (true, true) => drop(is_locked_soon(&file)),
            (true, false) => drop_cache(&file),
            _ => {}
        }
        Ok(file)
    }

    /// Decodes all complete records.
    fn take(
        &mut self,
        bytes: &[u8],
        shared: &mut Shared,
        news: &mut News,
    ) -> Result<(), StoreError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let damaged = |offset: usize, problem: String| StoreError::Damaged {
                path: self.path.clone(),
                offset: self.offset + offset as u64,
                problem,
            };
            match pickle::read(rest) {
                Ok((pickle, len)) => {
                    let is_first = self.offset == 0;
                    let list = trials(&pickle, is_first).map_err(|problem| damaged(0, problem))?;
                    if !matches!(pickle.get(pickle.root()), Item::Dict(_)) {
                        self.updates += list.len();
                    }
                    for at in list {
                        let record = record::read(&pickle, at, shared);
                        news.records.push(record.map_err(|problem| damaged(0, problem))?);
                    }
                    self.offset += len as u64;
                    rest = &rest[len..];
                }
                Err(PickleError::Truncated { .. }) => {
                    news.torn_at = Some(self.offset);
                    return Ok(());
                }
                Err(PickleError::Bad { offset, problem }) => return Err(damaged(offset, problem)),
            }
        }
        Ok(())
    }

    fn forget(&mut self) -> bool {
        let knew = self.file.take().is_some();
        (self.inode, self.offset, self.updates) = (0, 0, 0);
        self.sample.clear();
        knew
    }

    /// Cuts off what follows the last complete record, and keeps it in `kept`. Returns whether
    /// there was anything.
    pub(super) fn cut(&mut self, kept: &Path) -> Result<bool, StoreError> {
        let failed = |error| StoreError::io("cut the torn end of", &self.path)(error);
        let Some(file) = &self.file else { return Ok(false) };
        let torn = read_from(file, self.offset).map_err(failed)?;
        if torn.is_empty() {
            return Ok(false);
        }
        plain::write(kept, &torn).map_err(StoreError::io("write", kept))?;
        file.set_len(self.offset).and_then(|()| file.sync_data()).map_err(failed)?;
        Ok(true)
    }

    /// Appends complete records with one write.
    pub(super) fn append(
        &mut self,
        bytes: &[u8],
        trials: usize,
        is_ours: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        if self.file.is_none() {
            let file = plain::create(&self.path)?;
            sync_parent(&self.path)?;
            self.inode = file.metadata()?.ino();
            self.file = Some(self.open()?);
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        if let Err(error) = file.write_all(bytes) {
            // Undo a partial write: half a record would make the cache unreadable for NePS. But a
            // machine that took us for dead may have appended its own records already.
            if is_ours() {
                let _ = file.set_len(self.offset);
            }
            return Err(error);
        }
        self.offset += bytes.len() as u64;
        self.updates += trials;
        self.sample.extend_from_slice(&bytes[bytes.len().saturating_sub(SAMPLE_BYTES)..]);
        let surplus = self.sample.len().saturating_sub(SAMPLE_BYTES);
        self.sample.drain(..surplus);
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }

    /// Whether it is time to consolidate the file into one dict. While NePS workers are present,
    /// NePS's own threshold applies, so that none of them does it in its own, unlocked way.
    /// Otherwise the updates must outnumber the trials, so that the cost per trial does not grow
    /// with their number.
    pub(super) fn wants_consolidation(&self, trials: usize, neps_is_present: bool) -> bool {
        self.updates
            > match (self.max_updates, neps_is_present) {
                (Some(max), _) => max,
                (None, true) => NEPS_MAX_UPDATES,
                (None, false) => trials.max(NEPS_MAX_UPDATES),
            }
    }

    /// Replaces the file with one dict of all trials: written to a temporary file, synced, renamed.
    pub(super) fn replace(&mut self, pickle: &[u8]) -> io::Result<()> {
        let temporary = self.path.with_extension(format!("tmp-{}", std::process::id()));
        let result = (|| {
            let mut file = plain::create(&temporary)?;
            file.write_all(pickle)?;
            file.sync_data()?;
            // Close the old file first: an NFS client that still has it open moves it to another
            // name before the replacement, so that for a moment there is no cache.
            self.file = None;
            std::fs::rename(&temporary, &self.path)
        })();
        if let Err(error) = result {
            let _ = std::fs::remove_file(&temporary);
            return Err(error);
        }
        sync_parent(&self.path)?;
        self.forget();
        let file = self.open()?;
        self.inode = file.metadata()?.ino();
        self.offset = pickle.len() as u64;
        self.sample = pickle[pickle.len().saturating_sub(SAMPLE_BYTES)..].to_vec();
        self.file = Some(file);
        Ok(())
    }
}

/// Locks the cache file itself; returns whether that succeeded within a moment. NePS's lock
/// excludes all writers, and readers hold this lock only briefly. If it stays held, the holder is a
/// dead machine.
fn is_locked_soon(file: &File) -> bool {
    let begin = Instant::now();
    while fs2::FileExt::try_lock_exclusive(file).is_err() {
        if begin.elapsed() >= NETWORK_POLL {
            return false;
        }
        std::thread::sleep(NETWORK_LOCK_PAUSE_MAX);
    }
    true
}

/// The trials of one pickle: a dict of them, a list, or a single one.
fn trials(pickle: &Pickle<'_>, is_first: bool) -> Result<Vec<Ref>, String> {
    match pickle.get(pickle.root()) {
        Item::Dict(pairs) if is_first => Ok(pairs.iter().map(|(_, trial)| *trial).collect()),
        Item::Dict(_) => Err("a dict of trials follows other records".into()),
        Item::List(list) => Ok(list.clone()),
        _ => Ok(vec![pickle.root()]),
    }
}

fn read_from(file: &File, from: u64) -> io::Result<Vec<u8>> {
    let len = file.metadata()?.len();
    if len.saturating_sub(from) > MAX_CACHE_BYTES {
        let problem = format!("it is too large: {MAX_CACHE_BYTES} bytes are allowed");
        return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
    }
    let mut bytes = vec![0; len.saturating_sub(from) as usize];
    let mut got = 0;
    while got < bytes.len() {
        match file.read_at(&mut bytes[got..], from + got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(got);
    Ok(bytes)
}
