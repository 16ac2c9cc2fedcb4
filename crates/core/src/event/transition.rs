//! What an event does to its trial. This is the only implementation: the study, which checks first
//! whether the event may happen, and the stores of NePS's layouts all use it, so what they write
//! cannot differ from what the study knows.

use super::EventKind;
use crate::config::Config;
use crate::trial::{MetaData, Trial, TrialId, WorkerId};

impl EventKind {
    /// The trial that it is about; none where it is about the whole study.
    pub fn trial_id(&self) -> Option<&TrialId> {
        match self {
            EventKind::Sampled { trial, .. }
            | EventKind::Claimed { trial, .. }
            | EventKind::Stepped { trial, .. }
            | EventKind::Reported { trial, .. }
            | EventKind::Requeued { trial, .. }
            | EventKind::Noted { trial, .. } => Some(trial),
            EventKind::Put(trial) => Some(&trial.id),
            EventKind::Policy(_)
            | EventKind::Evaluation { .. }
            | EventKind::Joined(_)
            | EventKind::Left { .. }
            | EventKind::Deleted { .. }
            | EventKind::Stopped { .. } => None,
        }
    }
}

impl Trial {
    /// The trial that [`EventKind::Sampled`] makes. `claimed` says that `worker` begins its first
    /// attempt at once, with this evaluation.
    pub fn sampled(
        id: TrialId,
        config: Config,
        previous: Option<TrialId>,
        worker: WorkerId,
        claimed: bool,
        evaluation: Option<u32>,
        time: f64,
    ) -> Self {
        let metadata = MetaData {
            previous_trial_id: previous,
            sampling_worker_id: Some(worker.clone()),
            time_sampled: time,
            ..MetaData::default()
        };
        let mut trial = Trial::pending(id, config, metadata);
        if claimed {
            trial.start(worker, evaluation, time);
        }
        trial
    }

    /// Applies an event to an existing trial. Events that concern no existing trial change nothing.
    pub fn apply(&mut self, kind: EventKind, time: f64) {
        match kind {
            EventKind::Claimed { worker, evaluation, .. } => self.start(worker, evaluation, time),
            EventKind::Stepped { attempt, steps, prune_at, .. } => {
                self.step(attempt, &steps, prune_at);
            }
            EventKind::Reported { report, .. } => self.finish(report, time),
            EventKind::Requeued { reason, .. } => self.requeue(reason),
            // What was reported on the way is history, which nothing corrects; nor is what was noted.
            EventKind::Put(trial) => {
                let (steps, notes) = (self.steps.take(), self.notes.take());
                *self = Trial { steps, notes, ..*trial };
            }
            EventKind::Noted { notes, .. } => self.note(*notes),
            EventKind::Sampled { .. }
            | EventKind::Policy(_)
            | EventKind::Evaluation { .. }
            | EventKind::Joined(_)
            | EventKind::Left { .. }
            | EventKind::Deleted { .. }
            | EventKind::Stopped { .. } => {}
        }
    }
}
