//! What the study's pruner is told, and what it is asked.

use super::StudyState;
use super::pruning::Pruning;
use crate::pruner::{Pruner, Reached, minimised_curve};
use crate::trial::{Step, Trial};

impl StudyState {
    /// Lets this pruner judge from now on, or none. It is told what all trials have reported so far.
    pub fn set_pruner(&mut self, pruner: Option<Box<dyn Pruner>>) {
        self.pruning = Pruning(pruner);
        let Some(pruner) = &mut self.pruning.0 else { return };
        let objectives = &self.definition.objectives;
        for trial in &self.trials {
            for of in trial.steps.iter().flat_map(|steps| steps.attempts()) {
                let (attempt, new) = (of.attempt, &of.steps[..]);
                pruner.observe(&Reached { trial, attempt, new, objectives, best: None });
            }
            if trial.state.is_finished() {
                pruner.ended(trial, &minimised_curve(trial.steps.as_deref(), objectives));
            }
        }
    }

    /// The first of the steps at which the attempt should end.
    pub(super) fn judge(&self, trial: &Trial, attempt: u32, new: &[Step]) -> Option<u64> {
        let pruner = self.pruning.0.as_ref()?;
        let (objectives, best) = (&self.definition.objectives, self.best());
        pruner.judge(&Reached { trial, attempt, new, objectives, best })
    }

    /// Tells the pruner of steps, before the trial has them.
    pub(super) fn tell_steps(&mut self, at: u32, attempt: u32, new: &[Step]) {
        let Some(pruner) = &mut self.pruning.0 else { return };
        let (trial, objectives) = (self.trials.at(at), &self.definition.objectives);
        pruner.observe(&Reached { trial, attempt, new, objectives, best: None });
    }

    /// Tells the pruner that a trial has ended.
    pub(super) fn tell_end(&mut self, at: u32) {
        let Some(pruner) = &mut self.pruning.0 else { return };
        let (trial, objectives) = (self.trials.at(at), &self.definition.objectives);
        pruner.ended(trial, &minimised_curve(trial.steps.as_deref(), objectives));
    }
}
