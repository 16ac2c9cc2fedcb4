//! Empty files of attempts that have ended, for those that begin.
//!
//! Each attempt has three files that mostly stay empty: its lock, its steps and the answers to them. To
//! create and remove them for each would cost more than a short command: ext4 does not give an inode out again
//! for a minute after it was removed, and passes over all such ones with each file that it creates. So an
//! attempt takes over what an earlier one of this process leaves, by a rename.

use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use trialmill_core::limits::SPARE_FILES;

/// The paths of files that nobody uses any more. What is left at the end is removed.
#[derive(Debug, Default)]
pub(super) struct SpareFiles(Mutex<Vec<PathBuf>>);

impl SpareFiles {
    /// Gives a file away: it is empty, and no process has it open.
    pub(super) fn give(&self, path: PathBuf) {
        let mut spare = self.0.lock();
        if spare.len() < SPARE_FILES {
            spare.push(path);
        } else {
            let _ = std::fs::remove_file(path);
        }
    }

    /// Puts one at a path where there is nothing; returns whether there was one.
    pub(super) fn take(&self, path: &Path) -> bool {
        let Some(spare) = self.0.lock().pop() else { return false };
        // What somebody has written to, replaced or removed meanwhile is not taken.
        let is_empty =
            std::fs::symlink_metadata(&spare).is_ok_and(|data| data.is_file() && data.len() == 0);
        is_empty
            && std::fs::symlink_metadata(path).is_err()
            && std::fs::rename(&spare, path).is_ok()
    }
}

impl Drop for SpareFiles {
    fn drop(&mut self) {
        for path in self.0.get_mut().drain(..) {
            let _ = std::fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_goes_from_one_attempt_to_the_next_and_none_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let spare = SpareFiles::default();
        assert!(!spare.take(&path("none")));
        std::fs::write(path("a"), "").unwrap();
        spare.give(path("a"));
        assert!(spare.take(&path("b")) && path("b").exists() && !path("a").exists());
        // One that was written to by then stays where it is, and nothing is replaced.
        std::fs::write(path("b"), "late").unwrap();
        spare.give(path("b"));
        assert!(!spare.take(&path("c")) && path("b").exists() && !path("c").exists());
        std::fs::write(path("d"), "").unwrap();
        std::fs::write(path("e"), "mine").unwrap();
        spare.give(path("d"));
        assert!(!spare.take(&path("e")));
        assert_eq!(std::fs::read(path("e")).unwrap(), b"mine");
        std::fs::write(path("f"), "").unwrap();
        spare.give(path("f"));
        drop(spare);
        assert!(!path("f").exists());
    }
}
