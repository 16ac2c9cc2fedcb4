//! A store that keeps nothing: for tests, and for runs without a directory.

use super::{Machine, Purpose, Replica, Store, Watcher};
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::Event;
use trialmill_core::trial::Trials;

/// The study exists only in the process's memory, and ends with it.
#[derive(Debug, Default)]
pub struct MemoryStore;

impl Store for MemoryStore {
    fn begin(&mut self, _: Purpose, _: &mut dyn Replica) -> Result<(), StoreError> {
        Ok(())
    }

    fn stage(&mut self, _: &[Event], _: &Trials) -> Result<(), StudyError> {
        Ok(())
    }

    fn commit(&mut self, _: &Trials) -> Result<(), StoreError> {
        Ok(())
    }

    /// No other process can join, but the deadlines of callers still pass.
    fn watcher(&self) -> Option<Watcher> {
        Some(Watcher::alone(Machine::here()))
    }
}
