//! Learning curves: those of the best trials, and of those that run.

use serde::Serialize;

use super::{ObjectiveInfo, objective, thinned};
use crate::live::Live;
use trialmill_core::trial::{Objective, Trial};

/// Points of one curve.
const POINTS: usize = 500;

/// Learning curves.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curves {
    /// The objective that they show.
    pub objective: ObjectiveInfo,
    /// How many trials have a curve at all.
    pub trials_with_curve: usize,
    /// The best first, then those that run.
    pub curves: Vec<Curve>,
}

/// The curve of one trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Curve {
    /// The trial.
    pub trial: String,
    /// Its state.
    pub state: &'static str,
    /// Its objective, where it has ended with one.
    pub objective: Option<f64>,
    /// Steps and values.
    pub points: Vec<(f64, f64)>,
}

impl Curves {
    /// The curves of objective `o` of the `k` best trials that have one, and of those that run.
    pub fn of(live: &Live, o: usize, k: usize) -> Self {
        let objective = objective(live, o);
        let study = live.study();
        let mut ended: Vec<(f64, &Trial)> = Vec::new();
        for trial in study.trials().iter().filter(|trial| has_curve(trial)) {
            let y = trial.objectives().get(o).map(|y| objective.minimised(*y));
            ended.push((y.unwrap_or(f64::INFINITY), trial));
        }
        let trials_with_curve = ended.len();
        ended.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best = ended.into_iter().take(k).map(|(_, trial)| curve(trial, o));
        let running = study.evaluating().take(k).map(|trial| curve(trial, o));
        let curves = best.chain(running).filter(|curve| !curve.points.is_empty()).collect();
        Curves { objective, trials_with_curve, curves }
    }
}

impl Curve {
    /// The curve of one trial; without a point where it has none.
    pub fn of(trial: &Trial, objective: usize) -> Self {
        curve(trial, objective)
    }
}

fn has_curve(trial: &Trial) -> bool {
    let curve = trial.report.as_ref().and_then(|report| report.learning_curve.as_deref());
    trial.steps.as_ref().is_some_and(|steps| !steps.is_empty())
        || curve.is_some_and(|curve| !curve.is_empty())
}

/// The steps that were reported one by one, under their own numbers; else the curve of the report, whose
/// first value is step 1.
fn curve(trial: &Trial, objective: usize) -> Curve {
    let of = |value: &Objective| value.as_slice().get(objective).copied();
    let curve = trial.report.as_ref().and_then(|report| report.learning_curve.as_deref());
    let reported = curve.unwrap_or_default().iter().enumerate();
    let all: Vec<(f64, f64)> = match trial.steps.as_deref().filter(|steps| !steps.is_empty()) {
        Some(steps) => {
            let steps = steps.curve();
            steps.filter_map(|step| Some((step.step as f64, of(&step.value)?))).collect()
        }
        None => reported.filter_map(|(at, y)| Some(((at + 1) as f64, of(y)?))).collect(),
    };
    Curve {
        trial: trial.id.to_string(),
        state: trial.state.name(),
        objective: trial.objectives().get(objective).copied(),
        points: thinned(all.len(), POINTS).into_iter().map(|at| all[at]).collect(),
    }
}
