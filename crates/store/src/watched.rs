//! Notices that another process changed a file.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use crate::plain;
use trialmill_core::limits::NETWORK_POLL;

/// A number that changes when a file is replaced or its length changes.
pub fn stamp(path: &Path) -> u64 {
    let mix = |data: std::fs::Metadata| data.ino().rotate_left(40) ^ data.len();
    path.symlink_metadata().map_or(0, mix)
}

/// A file that others write to, and what it was like when we last read or wrote it.
#[derive(Debug)]
pub(super) struct Watched {
    path: PathBuf,
    known: Arc<AtomicU64>,
    is_shared: bool,
    /// When the server was last asked.
    asked: Instant,
}

impl Watched {
    pub(super) fn new(path: PathBuf, known: Arc<AtomicU64>, is_shared: bool) -> Self {
        Watched { path, known, is_shared, asked: Instant::now() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether `read` finds something else at its path than we know of.
    pub(super) fn has_changed(&mut self, read: impl Fn(&Path) -> Option<u64>) -> bool {
        if self.is_shared && self.asked.elapsed() >= NETWORK_POLL {
            // Opening asks the server; a mere lookup may be answered from a cache that is a minute
            // old.
            drop(plain::open(&self.path));
            self.asked = Instant::now();
        }
        read(&self.path).is_some_and(|found| found != self.known.load(Ordering::Acquire))
    }
}
