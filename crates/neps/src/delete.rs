//! Deletes trials for good from a directory of NePS 0.13 to 0.17: under its locks, so its workers may live, but
//! none of them may be at one of these trials.

use super::store::NepsStore;
use super::version::Version;
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::Event;
use trialmill_core::study::StudyState;
use trialmill_core::trial::{TrialId, Trials};
use trialmill_store::{Directory, Durability, Purpose, Replica, Store};

struct Reading(StudyState);

impl Replica for Reading {
    fn trials(&self) -> &Trials {
        self.0.trials()
    }

    fn apply(&mut self, event: Event) -> Result<(), StudyError> {
        self.0.apply(event)
    }
}

pub(super) fn delete(
    directory: &Directory,
    version: Version,
    ids: &[TrialId],
) -> Result<(), StoreError> {
    let mut reading = Reading(StudyState::new(directory.definition().clone()));
    let mut store = NepsStore::open(directory, version, Durability::Synced)?;
    // Until the store is dropped it holds the locks.
    store.begin(Purpose::Sampling, &mut reading)?;
    directory.remove_trials_of(&reading.0, ids)?;
    let mut kept = Trials::default();
    for trial in reading.trials().iter().filter(|trial| !ids.contains(&trial.id)) {
        kept.push(trial.clone());
    }
    store.consolidate(&kept)?;
    directory.forget_in_journal(ids)
}
