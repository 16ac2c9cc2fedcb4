//! Identifies files and directories independently of their paths: if a directory is moved while it
//! is in use, its old path leads nowhere, or to a copy.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use trialmill_core::error::StoreError;

/// The identity of a file or directory, whatever its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// That of what is at a path now; links are followed.
    ///
    /// # Errors
    /// There is nothing, or it cannot be inspected.
    pub fn at(path: &Path) -> io::Result<Self> {
        std::fs::metadata(path).map(|data| Self::of(&data))
    }

    /// That of an open file.
    ///
    /// # Errors
    /// It cannot be inspected.
    pub fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|data| Self::of(&data))
    }

    /// That of a file with this metadata.
    pub fn of(data: &Metadata) -> Self {
        Identity { device: data.dev(), inode: data.ino() }
    }
}

/// The path of a directory, and which directory was there at first.
#[derive(Debug, Clone)]
pub struct Place {
    path: PathBuf,
    /// `None` if it could not be inspected; then nothing is compared.
    identity: Option<Identity>,
}

impl Place {
    /// What is there now.
    pub fn of(path: &Path) -> Self {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        Place { path: path.into(), identity: Identity::at(path).ok() }
    }

    /// Checks that the directory is still there, neither moved nor replaced by another. If the path
    /// cannot be inspected, that proves nothing, and is no error.
    ///
    /// # Errors
    /// [`StoreError::Moved`].
    pub fn check(&self) -> Result<(), StoreError> {
        match (self.identity, Identity::at(&self.path)) {
            (Some(ours), Ok(found)) if found != ours => Err(moved(&self.path)),
            (Some(_), Err(error)) if is_gone(&error) => Err(moved(&self.path)),
            _ => Ok(()),
        }
    }
}

/// The error for a path that does not lead to what was opened there.
pub(super) fn moved(path: &Path) -> StoreError {
    StoreError::Moved { path: path.into() }
}

/// Whether an error says that there is nothing at a path, rather than that nobody knows.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A study that was renamed was created a second time under its old name.
    #[test]
    fn a_directory_that_is_moved_replaced_or_removed_is_not_the_one_that_was_there() {
        let home = tempfile::tempdir().unwrap();
        let (here, there) = (home.path().join("here"), home.path().join("there"));
        std::fs::create_dir(&here).unwrap();
        let place = Place::of(&here);
        place.check().unwrap();
        std::fs::rename(&here, &there).unwrap();
        assert!(matches!(place.check(), Err(StoreError::Moved { .. })), "moved");
        std::fs::create_dir(&here).unwrap();
        assert!(matches!(place.check(), Err(StoreError::Moved { .. })), "replaced");
        std::fs::remove_dir(&here).unwrap();
        std::fs::rename(&there, &here).unwrap();
        place.check().unwrap();
        std::fs::remove_dir(&here).unwrap();
        assert!(matches!(place.check(), Err(StoreError::Moved { .. })), "removed");
        assert!(Place::of(&here).check().is_ok(), "nothing was there to be moved");
    }
}
