//! Trials whose result is to be forgotten.

use super::decide::Decision;
use super::{Answer, StudyState};
use crate::error::StudyError;
use crate::event::EventKind;
use crate::trial::{MetaData, State, Trial, TrialId};

impl StudyState {
    /// All wait again, or none. The evaluations are given back to the budget, their costs are not; the
    /// attempts stay counted, so that no late report is taken for one of the next attempt.
    pub(super) fn reset(&self, ids: Vec<TrialId>) -> Result<Decision, StudyError> {
        let mut events = Vec::with_capacity(ids.len());
        for id in &ids {
            let trial = self.trial(id).ok_or_else(|| StudyError::UnknownTrial(id.clone()))?;
            if matches!(trial.state, State::Evaluating | State::Submitted) {
                let (id, from, to) = (id.clone(), trial.state, State::Pending);
                let hint = ": it is being evaluated; `release` hands back what a caller holds";
                return Err(StudyError::Transition { id, from, to, hint });
            }
            if trial.config.iter().next().is_none() && !self.definition.space.names().is_empty() {
                let problem = "has no configuration that could be read, so nobody can evaluate it; it can be \
                               deleted";
                return Err(StudyError::Contradiction(format!("trial '{id}' {problem}")));
            }
            let metadata = MetaData {
                previous_trial_id: trial.metadata.previous_trial_id.clone(),
                sampling_worker_id: trial.metadata.sampling_worker_id.clone(),
                time_sampled: trial.metadata.time_sampled,
                ..MetaData::default()
            };
            let fresh = Trial::pending(id.clone(), trial.config.clone(), metadata);
            events.push(EventKind::Put(Box::new(Trial { attempts: trial.attempts, ..fresh })));
        }
        Ok(Decision::new(events, Answer::Requeued(ids)))
    }
}
