//! Where a study's events are kept: lock → catch up → stage → commit.
//!
//! Only this module touches the study's files, and it knows nothing of messages. A [`Store`] is
//! owned by the state actor alone. [`JournalStore`] is trialmill's own layout, [`NepsStore`] and
//! [`OldStore`] those of NePS, and [`MemoryStore`] keeps nothing.

mod check;
mod copy;
mod create;
mod decoders;
mod directory;
mod disk;
mod finding;
mod journal;
mod layout;
mod liveness;
mod lock;
mod memory;
mod neps;
mod poison;
mod reader;
mod sim_disk;
mod tail;

use crate::error::{StoreError, StudyError};
use crate::event::Event;

pub use check::{
    JOURNAL, JournalCheck, JournalEnd, Repair, Rescued, check_entries, check_journal, lock_name,
};
pub use copy::copy_trial_files;
pub use directory::Directory;
pub use disk::{Disk, RealDisk};
pub use finding::{Finding, FindingKind};
pub use journal::JournalStore;
pub use layout::Layout;
pub use liveness::{Place, Presence, Sign, Watcher};
pub use lock::FileLock;
pub use memory::MemoryStore;
pub use neps::{NepsStore, OldStore};
pub use reader::read_study;
pub use sim_disk::{CrashImage, Fault, SimDisk};

/// What an acknowledgement means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// It survives power loss, on storage that honours a sync.
    #[default]
    Synced,
    /// It survives the death of the process, and of every other process.
    Buffered,
}

/// Takes the events that others stored.
pub type Apply<'a> = &'a mut dyn FnMut(Event) -> Result<(), StudyError>;

/// What a turn is for. Where NePS works too it decides which of NePS's locks are needed: a turn that
/// only reports does not wait for a model that NePS fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Trials may be sampled, or the rules changed.
    Sampling,
    /// Nothing of that.
    Reporting,
}

/// A place where events are kept. One turn is `begin`, any number of `stage`, `commit`.
///
/// After an error the store is poisoned: it takes no more turns, no sync is tried again, and the
/// next start recovers.
pub trait Store: Send {
    /// Takes the locks, then hands over what others stored since the last turn, in order.
    ///
    /// # Errors
    /// A lock cannot be had, or what is stored is damaged or contradicts itself.
    fn begin(&mut self, purpose: Purpose, apply: Apply<'_>) -> Result<(), StoreError>;

    /// Adds events to the turn, all or none.
    ///
    /// # Errors
    /// One of them is larger than a record may be; the turn is as before.
    fn stage(&mut self, events: &[Event]) -> Result<(), StudyError>;

    /// Stores the staged events with one write, frees the lock, and makes them durable.
    ///
    /// # Errors
    /// Nothing of this turn may be acknowledged.
    fn commit(&mut self) -> Result<(), StoreError>;

    /// What another thread needs to see that others stored something, or died.
    fn watcher(&self) -> Option<Watcher> {
        None
    }
}

/// What is wrong with the files of a directory that NePS shares, and whom it stops; of the journal
/// layout [`check_journal`] and [`check_entries`] say it.
///
/// # Errors
/// The directory cannot be read.
pub fn check_neps(directory: &Directory) -> Result<Vec<Finding>, StoreError> {
    if directory.layout.has_cache() {
        neps::check(directory)
    } else {
        Ok(neps::old::check(directory))
    }
}

/// Moves a damaged cache of NePS to our own files, under its lock; whoever opens the directory next
/// makes it anew. Gives where it is kept.
///
/// # Errors
/// The lock cannot be had, or the file cannot be moved.
pub fn set_cache_aside(directory: &Directory) -> Result<std::path::PathBuf, StoreError> {
    neps::set_cache_aside(directory)
}

/// Opens the store of a directory, whatever its layout.
///
/// # Errors
/// One of its files cannot be opened.
pub fn open(directory: &Directory, durability: Durability) -> Result<Box<dyn Store>, StoreError> {
    match directory.layout() {
        Layout::Journal => Ok(Box::new(JournalStore::open(directory, durability)?)),
        Layout::Neps012 => Ok(Box::new(OldStore::open(directory, durability)?)),
        _ => Ok(Box::new(NepsStore::open(directory, durability)?)),
    }
}
