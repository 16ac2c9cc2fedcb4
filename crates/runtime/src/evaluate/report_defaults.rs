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

#[cfg(test)]
mod tests {
    use super::*;

    /// What an evaluation says itself is never replaced; what stands for it is of its kind.
    #[test]
    fn each_report_gets_what_it_lacks_and_its_kind_has() {
        let one = |x: f64| Objective::from(x);
        let curve = |x: f64| Some(Box::from([one(x)]));
        let defaults = ReportDefaults {
            objective_on_error: Some(one(10.0)),
            cost_on_error: Some(20.0),
            learning_curve_on_error: curve(30.0),
            cost_if_not_provided: Some(40.0),
            learning_curve_if_not_provided: curve(50.0),
        };
        let nothing = ReportDefaults::default();
        let (good, bad) = (Report::objective(1.0), Report::crashed("exit", "code 1"));
        let mut own = Report { learning_curve: curve(2.0), ..Report::objective(1.0) };
        own.cost = Some(3.0);
        let mut own_bad = Report { learning_curve: curve(2.0), ..bad.clone() };
        (own_bad.cost, own_bad.objective_to_minimize) = (Some(3.0), Some(one(4.0)));
        // The report, what is set, has it stepped, is the curve its objective; its objective, cost and curve then.
        let table = [
            (&good, &nothing, false, false, (Some(1.0), None, None)),
            (&good, &nothing, false, true, (Some(1.0), None, curve(1.0))),
            (&good, &nothing, true, true, (Some(1.0), None, None)),
            (&good, &defaults, false, false, (Some(1.0), Some(40.0), curve(50.0))),
            (&good, &defaults, false, true, (Some(1.0), Some(40.0), curve(50.0))),
            (&good, &defaults, true, false, (Some(1.0), Some(40.0), None)),
            (&own, &defaults, false, true, (Some(1.0), Some(3.0), curve(2.0))),
            (&own, &nothing, true, true, (Some(1.0), Some(3.0), curve(2.0))),
            (&bad, &nothing, false, true, (None, None, None)),
            (&bad, &defaults, false, true, (Some(10.0), Some(20.0), curve(30.0))),
            (&bad, &defaults, true, true, (Some(10.0), Some(20.0), None)),
            (&own_bad, &defaults, false, true, (Some(4.0), Some(3.0), curve(2.0))),
        ];
        let errors_count = ReportDefaults { objective_on_error: Some(one(5.0)), ..nothing.clone() };
        let more = [(&bad, &errors_count, false, true, (Some(5.0), None, None))];
        for (report, defaults, has_stepped, is_objective, (objective, cost, curve)) in
            table.into_iter().chain(more)
        {
            let mut filled = report.clone();
            defaults.fill(&mut filled, has_stepped, is_objective);
            let what = format!("{report:?}, {defaults:?}, {has_stepped}, {is_objective}");
            assert_eq!(filled.objective_to_minimize, objective.map(one), "{what}");
            assert_eq!((filled.cost, filled.learning_curve), (cost, curve), "{what}");
        }
    }
}
