//! Seeing that somebody changed a file that is not ours.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use super::Watcher;

/// Something that changes when somebody replaces a file or changes its length.
pub(crate) fn stamp(path: &Path) -> u64 {
    let mix = |data: std::fs::Metadata| data.ino().rotate_left(40) ^ data.len();
    path.symlink_metadata().map_or(0, mix)
}

impl Watcher {
    /// Watches another program's file as well; `known` is its stamp when we last had the lock.
    pub(crate) fn watching(self, file: PathBuf, known: Arc<AtomicU64>) -> Self {
        Watcher { cache: Some((file, known)), ..self }
    }
}
