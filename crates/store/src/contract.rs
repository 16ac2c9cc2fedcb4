//! What a store is asked, and what it gets: lock → catch up → stage → commit.

use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::Event;
use trialmill_core::trial::Trials;

use super::liveness::Watcher;

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

/// The study as a store sees it: its trials, and a way to let events happen to them. A store whose
/// files are NePS's compares them with these trials, so it keeps no copy of its own.
pub trait Replica {
    /// All trials as they are now.
    fn trials(&self) -> &Trials;

    /// Lets an event happen that others stored.
    ///
    /// # Errors
    /// It contradicts those before it; then nothing is changed.
    fn apply(&mut self, event: Event) -> Result<(), StudyError>;
}

/// What a turn is for. Where NePS works too it decides which of NePS's locks are needed: a turn that
/// only reports does not wait for a model that NePS fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Trials may be sampled, or the rules changed.
    Sampling,
    /// Nothing of that.
    Reporting,
}

/// A place where events are kept. One turn is `begin`, any number of `stage`, `commit`. Whoever has
/// staged events applies them to the study before the next call.
///
/// After an error the store is poisoned: it takes no more turns, no sync is tried again, and the
/// next start recovers.
pub trait Store: Send {
    /// Takes the locks, then hands over what others stored since the last turn, in order.
    ///
    /// # Errors
    /// A lock cannot be had, or what is stored is damaged or contradicts itself.
    fn begin(&mut self, purpose: Purpose, replica: &mut dyn Replica) -> Result<(), StoreError>;

    /// Adds events to the turn, all or none. `trials` are as they were before these events.
    ///
    /// # Errors
    /// One of them is larger than a record may be; the turn is as before.
    fn stage(&mut self, events: &[Event], trials: &Trials) -> Result<(), StudyError>;

    /// Stores the staged events with one write, frees the lock, and makes them durable. `trials` are
    /// as the staged events have left them.
    ///
    /// # Errors
    /// Nothing of this turn may be acknowledged.
    fn commit(&mut self, trials: &Trials) -> Result<(), StoreError>;

    /// What another thread needs to see that others stored something, or died.
    fn watcher(&self) -> Option<Watcher> {
        None
    }
}
