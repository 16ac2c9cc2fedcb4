//! The trials that count in a summary, and what had been used by the time of each.

use crate::plain_data::{from_config, of_objective};
use crate::space::Translation;
use crate::value::Value;
use trialmill_core::study::StudyState;
use trialmill_core::trial::{Report, State, Trial};

/// What had been used when a trial had been evaluated.
#[derive(Clone, Copy, Default)]
pub(super) struct Usage {
    pub(super) evaluations: u64,
    pub(super) cost: f64,
    pub(super) fidelities: f64,
    pub(super) time: f64,
}

/// A trial that counts, with what had been used by then, and the best so far.
pub(super) struct Evaluated<'a> {
    pub(super) trial: &'a Trial,
    pub(super) usage: Usage,
    /// Of one objective: the best up to here, and whether this trial is it.
    pub(super) best: Option<(f64, bool)>,
}

/// The trials with a result, in the order in which they were sampled.
pub(super) fn evaluated(study: &StudyState) -> Vec<Evaluated<'_>> {
    let counts = |trial: &&Trial| {
        matches!(trial.state, State::Success | State::External)
            && trial.is_feasible()
            && !trial.objectives().is_empty()
            && trial.objectives().iter().all(|x| !x.is_nan())
    };
    let mut trials: Vec<&Trial> = study.trials().iter().filter(counts).collect();
    trials.sort_by(|a, b| a.metadata.time_sampled.total_cmp(&b.metadata.time_sampled));
    let definition = study.definition();
    let (mut usage, mut best) = (Usage::default(), None);
    let evaluated = trials.into_iter().map(|trial| {
        let report = trial.report.as_deref();
        usage.evaluations += 1;
        usage.cost += report.and_then(Report::charged_cost).unwrap_or(0.0);
        usage.fidelities += definition.space.fidelity_of(&trial.config).unwrap_or(0.0);
        usage.time += report.and_then(|report| report.evaluation_duration).unwrap_or(0.0);
        let best = trial.objective().map(|own| {
            let better =
                best.is_none_or(|best: f64| !definition.objectives.no_worse(&[best], &[own]));
            let so_far = if better { own } else { best.unwrap_or(own) };
            best = Some(so_far);
            (so_far, better)
        });
        Evaluated { trial, usage, best }
    });
    evaluated.collect()
}

/// With NePS's names and values.
pub(super) fn config(trial: &Trial, translation: &Translation) -> Value {
    let pairs = translation.to_neps(&trial.config).into_iter();
    Value::map(pairs.map(|(name, value)| (name, from_config(&value))))
}

pub(super) fn objective(trial: &Trial) -> Value {
    let objective = trial.report.as_ref().and_then(|report| report.objective_to_minimize.as_ref());
    objective.map_or(Value::None, of_objective)
}

impl Usage {
    /// In the order of NePS's table.
    pub(super) fn named(&self) -> [(&'static str, Value); 4] {
        [
            ("evaluations", Value::Int(i64::try_from(self.evaluations).unwrap_or(i64::MAX))),
            ("cost", Value::Float(self.cost)),
            ("fidelities", Value::Float(self.fidelities)),
            ("time", Value::Float(self.time)),
        ]
    }
}
