//! Tracks which trials have not ended: only those can NePS change, so each batch reads only their
//! files.

use std::collections::BTreeSet;

use crate::staged::is_beside;
use trialmill_core::event::{EventKind, ProcessId};
use trialmill_core::trial::{State, Trial, TrialId, Trials, WorkerId};

/// The trials that have not ended.
#[derive(Debug, Default)]
pub(super) struct OpenTrials(BTreeSet<TrialId>);

impl OpenTrials {
    /// Follows an event.
    pub(super) fn note(&mut self, kind: &EventKind) {
        let Some(id) = kind.trial_id() else { return };
        if is_beside(kind) {
            return;
        }
        let has_ended = match kind {
            EventKind::Reported { report, .. } => report.reported_as.is_finished(),
            EventKind::Put(trial) => trial.state.is_finished(),
            _ => false,
        };
        match has_ended {
            true => self.0.remove(id),
            false => self.0.insert(id.clone()),
        };
    }

    pub(super) fn iter<'a>(&'a self, trials: &'a Trials) -> impl Iterator<Item = &'a Trial> {
        self.0.iter().filter_map(|id| trials.get(id))
    }
}

/// The total cost of all reports.
pub(super) fn total_cost(trials: &Trials) -> f64 {
    let costs = trials.iter().filter_map(|trial| trial.report.as_ref()?.charged_cost());
    costs.filter(|cost| cost.is_finite()).sum()
}

/// Whether a worker or a caller of trialmill evaluates the trial; otherwise NePS does.
pub(super) fn is_claimed(trial: &Trial) -> bool {
    trial.state == State::Evaluating && trial.metadata.evaluating_worker_id.is_some()
}

/// Whether this process evaluates the trial.
pub(super) fn is_held_by(trial: &Trial, process: Option<ProcessId>) -> bool {
    let worker = trial.metadata.evaluating_worker_id.as_ref();
    is_claimed(trial) && process.is_some() && worker.and_then(WorkerId::process) == process
}
