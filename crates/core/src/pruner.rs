//! The [`Pruner`] trait: given what all trials have reported on their way, say at which step an
//! evaluation should end.

pub use crate::definition::PrunerInfo;

use crate::objectives::Objectives;
use crate::trial::{Objective, Step, Steps, Trial};

/// Says at which step an evaluation should end, because it promises too little.
///
/// It learns from [`observe`](Self::observe) and [`ended`](Self::ended), which receive what all workers
/// of all processes report. What it says must follow from that and from its arguments alone, in
/// whatever order trials are given to it, because every process has a pruner of its own, and a resumed
/// study a new one.
pub trait Pruner: Send {
    /// Its name and its arguments.
    fn info(&self) -> PrunerInfo;

    /// The first of these steps, just reached, at which the evaluation should end; none if it should go
    /// on.
    fn judge(&self, reached: &Reached<'_>) -> Option<u64>;

    /// Takes in steps that an attempt has reached.
    fn observe(&mut self, reached: &Reached<'_>) {
        let _ = reached;
    }

    /// Takes in that a trial has ended. `curve` has the steps of its learning curve that have one
    /// value, which is smaller for the better.
    fn ended(&mut self, trial: &Trial, curve: &[(u64, f64)]) {
        let _ = (trial, curve);
    }
}

/// Steps that an attempt has just reached.
#[derive(Clone, Copy)]
pub struct Reached<'a> {
    /// The trial, before these steps.
    pub trial: &'a Trial,
    /// The attempt.
    pub attempt: u32,
    /// The steps.
    pub new: &'a [Step],
    /// Which way the objectives go.
    pub objectives: &'a Objectives,
    /// The best trial so far.
    pub best: Option<&'a Trial>,
}

impl Reached<'_> {
    /// The new steps and their values, which are smaller for the better, as NaN may be. Those of several
    /// objectives are left out: none of them alone says which trial is better.
    pub fn steps(&self) -> impl Iterator<Item = (u64, f64)> {
        self.new.iter().filter_map(|step| minimised(step, self.objectives))
    }

    /// What earlier attempts have reported before the first of the new steps: what this one goes on from.
    pub fn earlier(&self) -> Vec<(u64, f64)> {
        let (Some(steps), Some(first)) = (&self.trial.steps, self.new.first()) else {
            return Vec::new();
        };
        let steps = steps.before(self.attempt, first.step);
        steps.filter_map(|step| minimised(step, self.objectives)).collect()
    }
}

/// The learning curve of a trial: the steps that have one value, smaller for the better.
pub fn minimised_curve(steps: Option<&Steps>, objectives: &Objectives) -> Vec<(u64, f64)> {
    let steps = steps.into_iter().flat_map(Steps::curve);
    steps.filter_map(|step| minimised(step, objectives)).collect()
}

fn minimised(step: &Step, objectives: &Objectives) -> Option<(u64, f64)> {
    match step.value {
        Objective::One(x) => Some((step.step, objectives.minimised_one(0, x))),
        Objective::Many(_) => None,
    }
}
