//! Which trials are results, and when they are gathered.

use std::sync::Arc;

use super::StudyState;
use super::results::{Checkpoint, Results};
use crate::space::Domain;
use crate::trial::State;

impl StudyState {
    /// The results that a bound on the regret is computed from, where the policy asks for one: as they were
    /// at the latest checkpoint.
    pub fn checkpoint(&self) -> Option<&Arc<Checkpoint>> {
        self.results.as_ref()?.latest.as_ref()
    }

    /// Keeps the best results from now on, or no longer, as the policy says.
    pub(super) fn follow_results(&mut self) {
        match (self.policy.stop_early.regret_bound, &self.results) {
            (None, _) => self.results = None,
            (Some(_), Some(_)) => {}
            (Some(_), None) => self.gather_results_anew(),
        }
    }

    /// Keeps a result, if results are kept.
    pub(super) fn note_result(&mut self, at: u32) {
        if self.results.is_none() {
            return;
        }
        if let (Some(objective), Some(results)) = (self.result(at), &mut self.results) {
            results.add(objective, at);
            results.check();
        }
    }

    /// Looks at all trials again, if results are kept: one of them has another result.
    pub(super) fn gather_results(&mut self) {
        if self.results.is_some() {
            self.gather_results_anew();
        }
    }

    fn gather_results_anew(&mut self) {
        let mut results = Box::<Results>::default();
        for at in 0..self.trials.len() as u32 {
            if let Some(objective) = self.result(at) {
                results.add(objective, at);
            }
        }
        results.check();
        self.results = Some(results);
    }

    /// What a trial says about the best there is: its objective, smaller for the better, if it is a whole result.
    fn result(&self, at: u32) -> Option<f64> {
        let trial = self.trials.at(at);
        let counts = matches!(trial.state, State::Success | State::External);
        let upper =
            self.definition.space.fidelity().and_then(|(_, fidelity)| match fidelity.domain() {
                Domain::Float { upper, .. } => Some(*upper),
                Domain::Int { upper, .. } => Some(*upper as f64),
                _ => None,
            });
        let is_whole = upper.is_none_or(|upper| self.fidelity_of(at) >= Some(upper));
        let objective = trial.objective().filter(|_| counts && is_whole && trial.is_feasible())?;
        let objective = self.definition.objectives.minimised_one(0, objective);
        objective.is_finite().then_some(objective)
    }
}
