//! The values to record where a report leaves them out.

use trialmill_core::trial::{Objective, Report};

/// Values to record when an evaluation fails, or leaves them out (NePS: `objective_value_on_error`,
/// `cost_value_on_error`, `learning_curve_on_error`, `cost_if_not_provided`,
/// `learning_curve_if_not_provided`).
///
/// In the layouts of NePS 0.13 and later the learning curve of a success that has none is its objective
/// unless this says otherwise: `neps.run` sets that.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReportDefaults {
    /// The objective of a trial that failed or crashed, so that an optimizer learns from it.
    pub objective_on_error: Option<Objective>,
    /// Its cost.
    pub cost_on_error: Option<f64>,
    /// Its learning curve.
    pub learning_curve_on_error: Option<Box<[Objective]>>,
    /// The cost of a success, or of a pruned trial, that reports none.
    pub cost_if_not_provided: Option<f64>,
    /// The learning curve of a success that reports none.
    pub learning_curve_if_not_provided: Option<Box<[Objective]>>,
}

impl ReportDefaults {
    /// Fills in what a report leaves out. The learning curve of a trial that `has_stepped` is its own.
    pub fn fill(&self, report: &mut Report, has_stepped: bool, curve_is_objective: bool) {
        let (cost, curve) = if report.reported_as.is_error() {
            if report.objective_to_minimize.is_none() {
                report.objective_to_minimize.clone_from(&self.objective_on_error);
            }
            (self.cost_on_error, &self.learning_curve_on_error)
        } else {
            (self.cost_if_not_provided, &self.learning_curve_if_not_provided)
        };
        report.cost = report.cost.or(cost);
        if report.learning_curve.is_none() && !has_stepped {
            report.learning_curve.clone_from(curve);
            if report.is_success() && report.learning_curve.is_none() && curve_is_objective {
                let objective = report.objective_to_minimize.as_ref();
                report.learning_curve = objective.map(|objective| [objective.clone()].into());
            }
        }
    }
}
