//! Follows a study without any lock: each poll reads only what was appended since the last one.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::tail::{Rest, Tail};
use super::{Apply, Directory, RealDisk, read_study};
use trialmill_core::error::StoreError;
use trialmill_core::limits::{FOLLOW_SHARED_PART, FOLLOW_SHARED_POLL, NETWORK_POLL};

/// Polls a study, for whoever watches it while it runs. It takes no lock and writes nothing. A
/// journal is read from where the last poll ended; a directory shared with NePS, whose files are
/// replaced as a whole, is read again from the start, at most every two seconds.
pub struct Follower {
    directory: Directory,
    tail: Tail,
    /// The journal as it was when it was last read: its inode and its length.
    seen: Option<(u64, u64)>,
    polled: Option<Instant>,
    on_network: bool,
    /// How long the last read took: a study that is slow to read is polled less often.
    took: Duration,
}

/// What a poll found.
#[derive(Debug)]
pub enum News {
    /// Nothing has happened.
    Nothing,
    /// The events since the last poll were applied. Contains the journal's damage, if it has any.
    More(Option<StoreError>),
}

impl Follower {
    /// Starts before the first event.
    pub fn new(directory: Directory) -> Self {
        let tail = Tail::new(directory.definition().space.names().clone());
        let on_network = directory.file_system().is_shared();
        Follower { directory, tail, seen: None, polled: None, on_network, took: Duration::ZERO }
    }

    /// The directory.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Whether the next poll must read from the start: the study is stored in files that are
    /// replaced, or its journal was replaced, by a repair or by another study.
    pub fn begins_anew(&self) -> bool {
        let Some((inode, _)) = self.seen else { return self.directory.layout().is_shared() };
        seen(&self.directory.journal_path())
            .is_some_and(|(now, length)| now != inode || length < self.tail.offset)
    }

    /// Whether it is time to poll again.
    pub fn is_due(&self) -> bool {
        let Some(polled) = self.polled else { return true };
        if self.directory.layout().is_shared() {
            return polled.elapsed() >= FOLLOW_SHARED_POLL.max(self.took * FOLLOW_SHARED_PART);
        }
        let path = self.directory.journal_path();
        // A network file system answers from its cache until the file is opened.
        seen(&path) != self.seen || (self.on_network && polled.elapsed() >= NETWORK_POLL)
    }

    /// Applies what has happened since the last poll. Where [`begins_anew`](Self::begins_anew), the
    /// caller must begin with an empty study.
    ///
    /// # Errors
    /// The files cannot be read at all.
    pub fn look(&mut self, apply: Apply<'_>) -> Result<News, StoreError> {
        if !self.is_due() {
            return Ok(News::Nothing);
        }
        let began = Instant::now();
        let news = match self.directory.layout().is_shared() {
            true => read_study(&self.directory, apply).map(News::More),
            false => self.look_at_journal(apply),
        };
        self.polled = Some(Instant::now());
        self.took = began.elapsed();
        news
    }

    fn look_at_journal(&mut self, apply: Apply<'_>) -> Result<News, StoreError> {
        let path = self.directory.journal_path();
        if self.begins_anew() {
            self.tail = Tail::new(self.directory.definition().space.names().clone());
        }
        // Before reading: what is appended meanwhile differs from this, and is read by the next
        // poll.
        self.seen = seen(&path);
        let disk = RealDisk::open_read_only(&path).map_err(StoreError::io("open", &path))?;
        let before = self.tail.offset;
        // Without the lock, a torn end is mostly an append that is just being written.
        match self.tail.catch_up(&disk, &path, apply) {
            Ok(Rest::Nothing | Rest::Torn) if self.tail.offset == before && before > 0 => {
                Ok(News::Nothing)
            }
            Ok(Rest::Nothing | Rest::Torn) => Ok(News::More(None)),
            Ok(Rest::Damaged(problem)) => {
                let offset = self.tail.offset;
                Ok(News::More(Some(StoreError::Damaged { path, offset, problem })))
            }
            Err(error @ (StoreError::Study { .. } | StoreError::Damaged { .. })) => {
                Ok(News::More(Some(error)))
            }
            Err(error) => Err(error),
        }
    }
}

fn seen(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|data| (data.ino(), data.len()))
}

impl std::fmt::Debug for Follower {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Follower")
            .field("directory", &self.directory.path())
            .finish_non_exhaustive()
    }
}
