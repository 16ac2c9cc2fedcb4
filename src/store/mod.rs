//! Where a study's events are kept: lock → catch up → stage → commit.
//!
//! Only this module touches the study's files, and it knows nothing of messages. A [`Store`] is
//! owned by the state actor alone. The layouts: [`JournalStore`] on disk, [`MemoryStore`] nowhere.

mod check;
mod decoders;
mod directory;
mod disk;
mod journal;
mod liveness;
mod lock;
mod memory;
mod reader;
mod sim_disk;
mod tail;

use crate::error::{StoreError, StudyError};
use crate::event::Event;

pub use check::{
    Finding, JOURNAL, JournalCheck, JournalEnd, Repair, Rescued, check_entries, check_journal,
    lock_name,
};
pub use directory::Directory;
pub use disk::{Disk, RealDisk};
pub use journal::JournalStore;
pub use liveness::{Place, Presence, Sign, Watcher};
pub use lock::FileLock;
pub use memory::MemoryStore;
pub use reader::read_journal;
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

/// A place where events are kept. One turn is `begin`, any number of `stage`, `commit`.
///
/// After an error the store is poisoned: it takes no more turns, no sync is tried again, and the
/// next start recovers.
pub trait Store: Send {
    /// Takes the lock, then hands over what others stored since the last turn, in order.
    ///
    /// # Errors
    /// The lock cannot be had, or what is stored is damaged or contradicts itself.
    fn begin(&mut self, apply: Apply<'_>) -> Result<(), StoreError>;

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
