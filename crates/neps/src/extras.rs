//! What NePS's records contain beyond our trials, by id; and which records are new to us.

use rustc_hash::FxHashMap;

use super::record::{Extras, Record};
use trialmill_core::trial::{Trial, TrialId, Trials};

/// The extras of all trials.
#[derive(Debug, Default)]
pub(super) struct AllExtras {
    by_id: FxHashMap<TrialId, Extras>,
    none: Extras,
}

impl AllExtras {
    pub(super) fn get(&self, id: &TrialId) -> &Extras {
        self.by_id.get(id).unwrap_or(&self.none)
    }

    pub(super) fn set(&mut self, id: TrialId, extras: Extras) {
        self.by_id.insert(id, extras);
    }
}

/// Compares a record of the cache with what we know of its trial; returns whether it is news. NePS
/// does not count attempts: a start that we have not seen counts as one more.
pub(super) fn is_news(record: &mut Record, known: Option<&Trial>) -> bool {
    let Some(known) = known else { return true };
    let trial = &mut record.trial;
    let started = trial.metadata.time_started;
    let is_new_start = started.is_some() && started != known.metadata.time_started;
    trial.attempts = trial.attempts.max(known.attempts + u32::from(is_new_start));
    // NePS's records have no steps and no notes: they are in our journal.
    trial.steps.clone_from(&known.steps);
    trial.notes.clone_from(&known.notes);
    trial != known
}

/// The trials of a directory that is read without a study.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) trials: Trials,
    pub(super) extras: AllExtras,
}

impl Found {
    /// Takes the records of a cache; the last one of each trial counts.
    pub(super) fn learn(&mut self, records: Vec<Record>) {
        for mut record in records {
            let known = self.trials.get(&record.trial.id);
            if is_news(&mut record, known) {
                self.set(record);
            }
        }
    }

    pub(super) fn set(&mut self, record: Record) {
        self.extras.set(record.trial.id.clone(), record.extras);
        self.trials.set(record.trial);
    }
}
