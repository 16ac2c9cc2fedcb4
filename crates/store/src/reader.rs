//! Reading a study without any lock: for status, listings and exports, while workers go on.

use super::tail::{Rest, Tail};
use super::{Apply, Directory, RealDisk};
use trialmill_core::error::StoreError;

/// Reads the events of a study as they are now, changing nothing and making nobody wait. A record
/// that somebody is just appending is left out. Gives what is wrong with the study's files, where
/// something is: then the events are those that stand before the damage.
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
