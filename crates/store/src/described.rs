//! Whether a study still searches what it searched when this process opened it.
//!
//! Its space may be changed in place (`Directory::change_space`) while no process takes part in it. One that
//! has opened it and not joined, or that joins nothing because it only adds a trial, holds the old one.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::Directory;
use super::layout::Layout;
use super::open::own_definition;
use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;

/// The description of a study, as a process has read it.
pub(super) struct Described {
    path: PathBuf,
    file: PathBuf,
    layout: &'static dyn Layout,
    definition: Definition,
    /// The file that was read last: which, from when, how long.
    seen: Option<[u64; 5]>,
}

impl Described {
    /// None where another program shares the directory: there the space is not changed in place.
    pub(super) fn of(directory: &Directory) -> Option<Self> {
        (!directory.layout().is_shared()).then(|| Described {
            path: directory.path().into(),
            file: directory.own_path().join("study.json"),
            layout: directory.layout(),
            definition: directory.definition().clone(),
            seen: None,
        })
    }

    /// To be asked under the lock that whoever changes the space holds.
    ///
    /// # Errors
    /// It searches something else now.
    pub(super) fn check(&mut self) -> Result<(), StoreError> {
        let Ok(data) = std::fs::metadata(&self.file) else { return Ok(()) };
        let (time, nanoseconds) = (data.mtime() as u64, data.mtime_nsec() as u64);
        let there = Some([data.dev(), data.ino(), time, nanoseconds, data.len()]);
        if there == self.seen {
            return Ok(());
        }
        // It may be the same anew: restored from a backup, say. What cannot be read proves nothing.
        let now = own_definition(&self.path, self.layout).map(|(now, _)| now.space);
        let own = &self.definition.space;
        match now {
            Ok(space) if space != *own && !own.is_unknown() => {
                Err(StoreError::SpaceChanged { path: self.path.clone() })
            }
            _ => {
                self.seen = there;
                Ok(())
            }
        }
    }
}
