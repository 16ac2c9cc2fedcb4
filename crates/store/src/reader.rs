//! Reads a study without any lock: for status, listings and exports, while workers run.

use super::tail::{Rest, Tail};
use super::{Apply, Directory, RealDisk};
use trialmill_core::error::StoreError;

/// Reads the current events of a study without changing anything or making any process wait. A
/// record that is just being appended is left out. If something is wrong with the study's files,
/// returns what, and the events are those before the damage.
///
/// # Errors
/// They cannot be read at all.
pub fn read_study(
    directory: &Directory,
    apply: Apply<'_>,
) -> Result<Option<StoreError>, StoreError> {
    directory.layout().read(directory, apply)
}

/// Reads the events of our journal.
pub fn read_journal(
    directory: &Directory,
    apply: Apply<'_>,
) -> Result<Option<StoreError>, StoreError> {
    let path = directory.journal_path();
    let disk = RealDisk::open_read_only(&path).map_err(StoreError::io("open", &path))?;
    let mut tail = Tail::new(directory.definition().space.names().clone());
    match tail.catch_up(&disk, &path, apply) {
        Ok(Rest::Nothing | Rest::Torn) => Ok(None),
        Ok(Rest::Damaged(problem)) => {
            Ok(Some(StoreError::Damaged { path, offset: tail.offset, problem }))
        }
        Err(error @ (StoreError::Study { .. } | StoreError::Damaged { .. })) => Ok(Some(error)),
        Err(error) => Err(error),
    }
}
