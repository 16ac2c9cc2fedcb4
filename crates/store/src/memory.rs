//! A store that keeps nothing: for tests, and for those who want no directory.

use super::{Machine, Purpose, Replica, Store, Watcher};
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::Event;
use trialmill_core::trial::Trials;

/// The study lives in the process's memory alone, and ends with it.
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

    /// Nobody else can come, but callers' deadlines pass.
    fn watcher(&self) -> Option<Watcher> {
        Some(Watcher::alone(Machine::here()))
    }
}
