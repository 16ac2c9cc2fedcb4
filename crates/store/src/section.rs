//! A section of one's own: the study's locks, held by whoever wants nothing to change meanwhile.

use std::time::Duration;

use super::layout::Directory;
use super::lock::FileLock;
use trialmill_core::error::StoreError;
use trialmill_core::limits::LOCK_PAUSE_MAX;

/// While it lives, nobody changes the study: no process of ours, and none of NePS in a directory that is
/// shared with it. What it does with the study has to go by its files: a request to it would wait.
#[derive(Debug)]
#[must_use = "the locks are freed when it is dropped"]
pub struct Section {
    _locks: Vec<FileLock>,
}

impl Directory {
    /// Takes the study's locks for a section of one's own (NePS 0.12: `SharedState.lock`), which should be
    /// short: everybody waits meanwhile, and gives up after a minute or two. Other programs take the
    /// same files with flock, in the order of [`lock_paths`](super::Layout::lock_paths).
    ///
    /// # Errors
    /// Somebody holds one of them for longer than `timeout`, or it cannot be opened.
    pub fn lock(&self, timeout: Duration) -> Result<Section, StoreError> {
        let mut locks = Vec::new();
        for path in self.layout().lock_paths(self.path()) {
            let mut lock = FileLock::open(&path)?;
            if self.layout().is_shared() {
                lock = lock.shared_with_others(LOCK_PAUSE_MAX);
            }
            lock.lock(timeout)?;
            locks.push(lock);
        }
        Ok(Section { _locks: locks })
    }
}
