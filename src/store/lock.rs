//! An exclusive lock on a file, between processes.
//!
//! flock, by fs2: freed by the kernel when its holder dies, never by age. It excludes all processes
//! of trialmill; NePS's POSIX locks it does not exclude on a local file system, which matters only
//! for directories that NePS shares (`ARCHITECTURE.md`, "Locks").

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs2::FileExt;

use crate::error::StoreError;
use crate::limits::LOCK_PAUSE_MAX;
use crate::plain;

/// A lock file, opened once and kept open. Dropping it frees the lock.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    path: PathBuf,
}

impl FileLock {
    /// Opens the lock file (close-on-exec, so no child keeps the lock alive) without locking it.
    ///
    /// # Errors
    /// It cannot be opened or created.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file =
            plain::open_to_write(&mut options, path).map_err(StoreError::io("open", path))?;
        Ok(FileLock { file, path: path.into() })
    }

    /// Tries once.
    ///
    /// # Errors
    /// The file system has no locks.
    pub fn try_lock(&self) -> Result<bool, StoreError> {
        loop {
            match FileExt::try_lock_exclusive(&self.file) {
                Ok(()) => return Ok(true),
                Err(error) if is_contended(&error) => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(StoreError::NoLocks { path: self.path.clone(), source });
                }
            }
        }
    }

    /// Takes the lock, waiting up to `timeout`.
    ///
    /// # Errors
    /// Somebody else held it all that time, or the file system has no locks.
    pub fn lock(&self, timeout: Duration) -> Result<(), StoreError> {
        let begin = Instant::now();
        // Holders keep it for microseconds, so the first pauses are short.
        let mut pause = Duration::from_micros(20);
        while !self.try_lock()? {
            if begin.elapsed() >= timeout {
                return Err(self.timed_out(timeout));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LOCK_PAUSE_MAX);
        }
        Ok(())
    }

    /// The error for a lock that could not be had.
    pub(crate) fn timed_out(&self, timeout: Duration) -> StoreError {
        StoreError::LockTimeout {
            path: self.path.clone(),
            waited_s: timeout.as_secs(),
            holder: self.holder(),
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file that we hold is not the one that others find at its path.
    pub(crate) fn was_removed(&self) -> bool {
        let id = |data: &std::fs::Metadata| (data.dev(), data.ino());
        let (held, found) = (self.file.metadata(), std::fs::metadata(&self.path));
        !matches!((held, found), (Ok(held), Ok(found)) if id(&held) == id(&found))
    }

    /// Frees the lock.
    ///
    /// # Errors
    /// The system refuses, which it does not for a lock that is held.
    pub fn unlock(&self) -> Result<(), StoreError> {
        FileExt::unlock(&self.file).map_err(StoreError::io("unlock", &self.path))
    }

    /// The file itself, for what is written into it.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Who holds the lock, as Linux says in `/proc/locks`, for an error message.
    fn holder(&self) -> String {
        let Ok(inode) = self.file.metadata().map(|data| data.ino()) else { return String::new() };
        let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
        let line = locks.lines().find(|line| line.contains(&format!(":{inode} ")));
        // `1: FLOCK  ADVISORY  WRITE 4242 fe:01:1234 0 EOF`
        match line.and_then(|line| line.split_whitespace().nth(4)) {
            Some(pid) => format!(" by process {pid} of this machine"),
            None => ", by a process of another machine it seems".into(),
        }
    }
}

/// Whether anybody holds the lock of a file. A shared try, so that those who look do not see each
/// other. A file that is not there is not held, nor is what no process could have made.
pub(crate) fn is_held(path: &Path) -> io::Result<bool> {
    let file = match plain::open(path) {
        Ok(file) => file,
        Err(_) if !plain::is_file(path) => return Ok(false),
        Err(error) => return Err(error),
    };
    match FileExt::try_lock_shared(&file) {
        Ok(()) => Ok(false),
        Err(error) if is_contended(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

/// The same for a flock of this machine, by what Linux says in `/proc/locks`: without a try, which
/// somebody else's would fail at.
pub(crate) fn is_flocked_here(path: &Path) -> bool {
    let Ok(inode) = path.symlink_metadata().map(|data| data.ino()) else { return false };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let held = format!(":{inode} ");
    locks.lines().any(|line| line.contains("FLOCK") && line.contains(&held))
}

fn is_contended(error: &io::Error) -> bool {
    error.kind() == fs2::lock_contended_error().kind()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_others_names_its_holder_and_is_freed_by_drop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        assert!(!is_held(&path).unwrap());
        let first = FileLock::open(&path).unwrap();
        first.lock(Duration::ZERO).unwrap();
        assert!(is_held(&path).unwrap());
        let second = FileLock::open(&path).unwrap();
        let error = second.lock(Duration::from_millis(5)).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        assert!(second.try_lock().unwrap());
        second.unlock().unwrap();
        assert!(!is_held(&path).unwrap());
    }
}
