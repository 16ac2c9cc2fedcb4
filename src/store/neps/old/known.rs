//! The trials as the journal tells them: what NePS's files are compared with, and written from.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::event::{Event, EventKind, ProcessId, process_of};
use crate::trial::{MetaData, State, Trial, TrialId};

/// All trials, and those among them that have not ended.
#[derive(Debug, Default)]
pub(super) struct Known {
    trials: FxHashMap<TrialId, Trial>,
    open: BTreeSet<TrialId>,
}

impl Known {
    pub(super) fn get(&self, id: &TrialId) -> Option<&Trial> {
        self.trials.get(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Trial> {
        self.trials.values()
    }

    /// The trials to which NePS may do something.
    pub(super) fn open(&self) -> impl Iterator<Item = &Trial> {
        self.open.iter().filter_map(|id| self.trials.get(id))
    }

    /// What all reports together cost.
    pub(super) fn cost(&self) -> f64 {
        let costs = self.iter().filter_map(|trial| trial.report.as_ref()?.cost);
        costs.filter(|cost| cost.is_finite()).sum()
    }

    /// Lets an event happen; gives the trial that it changed. One that makes no sense is refused by
    /// the study, and is none of ours.
    pub(super) fn note(&mut self, event: &Event) -> Option<TrialId> {
        let id = match &event.kind {
            EventKind::Sampled { trial: id, config, previous, worker, claimed } => {
                let metadata = MetaData {
                    previous_trial_id: previous.clone(),
                    sampling_worker_id: Some(worker.clone()),
                    time_sampled: event.time,
                    ..MetaData::default()
                };
                let mut trial = Trial::pending(id.clone(), config.clone(), metadata);
                if *claimed {
                    trial.start(worker.clone(), event.time);
                }
                self.trials.insert(id.clone(), trial);
                id
            }
            EventKind::Put(trial) => {
                self.trials.insert(trial.id.clone(), (**trial).clone());
                &trial.id
            }
            EventKind::Claimed { trial: id, worker, .. } => {
                self.trials.get_mut(id)?.start(worker.clone(), event.time);
                id
            }
            EventKind::Reported { trial: id, report, .. } => {
                self.trials.get_mut(id)?.finish(report.clone(), event.time);
                id
            }
            EventKind::Requeued { trial: id, reason, .. } => {
                self.trials.get_mut(id)?.give_back(*reason);
                id
            }
            EventKind::Policy(_) | EventKind::Joined(_) | EventKind::Left { .. } => return None,
        };
        match self.trials.get(id)?.state.is_finished() {
            true => self.open.remove(id),
            false => self.open.insert(id.clone()),
        };
        Some(id.clone())
    }
}

/// Whether trialmill evaluates it, or a caller of it; else it is NePS that does.
pub(super) fn is_claimed(trial: &Trial) -> bool {
    trial.state == State::Evaluating && trial.metadata.evaluating_worker_id.is_some()
}

/// Whether this process evaluates it.
pub(super) fn is_held_by(trial: &Trial, process: Option<ProcessId>) -> bool {
    let worker = trial.metadata.evaluating_worker_id.as_deref();
    is_claimed(trial) && process.is_some() && worker.and_then(process_of) == process
}
