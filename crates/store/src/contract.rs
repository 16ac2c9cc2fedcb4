//! The contract of a store: lock → catch up → stage → commit.

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

/// Receives the events that other processes stored.
pub type Apply<'a> = &'a mut dyn FnMut(Event) -> Result<(), StudyError>;

/// The study as a store sees it: its trials, and a way to apply events to them. A store over NePS's
/// files compares those with these trials, so it needs no copy of its own.
pub trait Replica {
    /// All trials in their current state.
    fn trials(&self) -> &Trials;

    /// Applies an event that another process stored.
    ///
    /// # Errors
    /// The event contradicts earlier ones; then nothing is changed.
    fn apply(&mut self, event: Event) -> Result<(), StudyError>;
}

/// What a batch may do. In a directory shared with NePS this decides which of NePS's locks are
/// needed: a batch that only reports does not wait while NePS fits a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It may sample trials or change the policy.
    Sampling,
    /// Neither.
    Reporting,
}

/// Where events are kept. A batch is one `begin`, any number of `stage`, and one `commit`. The caller
/// applies the events it staged to the study before the next call.
///
/// After an error the store is poisoned: it refuses further batches, never retries a sync, and the
/// next start recovers.
pub trait Store: Send {
    /// Takes the locks, then applies what others stored since the last batch, in order.
    ///
    /// # Errors
    /// A lock cannot be taken, or the stored events are damaged or contradict each other.
    fn begin(&mut self, purpose: Purpose, replica: &mut dyn Replica) -> Result<(), StoreError>;

    /// Adds events to the batch, all or none. `trials` are as they were before these events.
    ///
    /// # Errors
    /// One of them is larger than a record may be; the batch is unchanged.
    fn stage(&mut self, events: &[Event], trials: &Trials) -> Result<(), StudyError>;

    /// Stores the staged events with one write, frees the lock, and makes them durable; a batch of
    /// steps alone need not be, until the next sync. `trials` are as the staged events have left them.
    ///
    /// # Errors
    /// Nothing of this batch may be acknowledged.
    fn commit(&mut self, trials: &Trials) -> Result<(), StoreError>;

    /// What another thread needs to notice that other processes stored something, or died.
    fn watcher(&self) -> Option<Watcher> {
        None
    }
}
