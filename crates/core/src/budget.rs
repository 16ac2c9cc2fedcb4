//! Budgets: what may be spent, and what has been.

use serde::{Deserialize, Serialize};

use crate::notation;
use crate::trial::{Report, State, Trial};

/// What may be spent. A limit that is not set does not apply.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Evaluations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluations: Option<u64>,
    /// The sum of the reported costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
    /// The sum of the fidelities evaluated at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fidelity: Option<f64>,
    /// The sum of the durations of the evaluations, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluation_seconds: Option<f64>,
    /// The steps that evaluations report before their ends, whatever becomes of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
}

/// What has been spent.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spent {
    /// Evaluations, each charged when its trial is claimed.
    pub evaluations: u64,
    /// The sum of the reported costs.
    #[serde(serialize_with = "notation::real_text_of")]
    pub cost: f64,
    /// The sum of the fidelities, each charged when its trial is claimed.
    pub fidelity: f64,
    /// The sum of the durations of the evaluations, in seconds.
    #[serde(serialize_with = "notation::real_text_of")]
    pub evaluation_seconds: f64,
    /// The steps that all attempts have reported before their ends.
    pub steps: u64,
}

/// Which limit was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// The number of evaluations.
    Evaluations,
    /// The sum of the costs.
    Cost,
    /// The sum of the fidelities.
    Fidelity,
    /// The sum of the durations.
    EvaluationSeconds,
    /// The number of steps.
    Steps,
}

impl Spent {
    /// Adds a report.
    pub fn add_report(&mut self, report: &Report) {
        // Nothing is given back, and what is infinite reaches any limit.
        let spent = |x: Option<f64>| x.filter(|x| *x > 0.0).unwrap_or(0.0);
        self.cost += spent(report.charged_cost());
        self.evaluation_seconds += spent(report.evaluation_duration);
    }

    /// Adds an evaluation at a fidelity.
    pub fn add_evaluation(&mut self, fidelity: Option<f64>) {
        self.evaluations += 1;
        self.fidelity += charged(fidelity);
    }

    /// Refunds an evaluation whose attempt ended without a report.
    pub fn take_evaluation(&mut self, fidelity: Option<f64>) {
        self.evaluations = self.evaluations.saturating_sub(1);
        self.fidelity -= charged(fidelity);
    }
}

/// What an evaluation at a fidelity is charged with. Below 0 there is none in a new space.
fn charged(fidelity: Option<f64>) -> f64 {
    fidelity.filter(|x| *x > 0.0).unwrap_or(0.0)
}

impl Budget {
    /// A success that has no cost where the budget is one of cost cannot be used (NePS raises a
    /// `ValueError`): the budget would never end. Other reports stay as they are.
    // It is boxed on its way in and out.
    #[allow(clippy::unnecessary_box_returns)]
    pub fn charged(&self, report: Box<Report>) -> Box<Report> {
        match self.missing_cost(&report) {
            Some(problem) => Box::new(report.refused(problem)),
            None => report,
        }
    }

    /// Why a report cannot be used: it is one of a success, the budget is one of cost, and it has none.
    pub fn missing_cost(&self, report: &Report) -> Option<String> {
        self.cost.filter(|_| report.is_success() && report.cost.is_none_or(f64::is_nan))?;
        let objective = report.objective_to_minimize.as_ref().map(ToString::to_string);
        let what = report.cost.map_or_else(|| "no cost".into(), |cost| format!("the cost {cost}"));
        Some(format!(
            "the result (objective {}) has {what}, and the budget is one of cost: report one, or set \
             `cost_if_not_provided`",
            objective.unwrap_or_else(|| "none".into())
        ))
    }

    /// Why this report, of a trial with steps or without, brings a budget no nearer to its end, where
    /// it does not.
    pub fn complaint(&self, report: &Report, has_steps: bool) -> Option<String> {
        if let Some(problem) = self.missing_cost(report) {
            return Some(format!("{problem}. It counts as crashed, and so does each like it"));
        }
        let is_error = report.reported_as.is_error();
        let (what, of) = match (self.cost.filter(|_| !is_error), report.cost, self.steps) {
            (Some(_), None, _) => ("no cost".to_string(), "cost"),
            (Some(_), Some(cost), _) if cost.is_nan() || cost <= 0.0 => {
                (format!("the cost {cost}"), "cost")
            }
            (Some(_), Some(cost), _) if !report.account_for_cost => {
                (format!("a cost ({cost}) that is not charged (account_for_cost)"), "cost")
            }
            (_, _, Some(_)) if !has_steps => ("no steps".into(), "steps"),
            _ => return None,
        };
        Some(format!(
            "a result has {what}, and the budget is one of {of}: it counts as 0, and if all are like \
             this the budget is never used up"
        ))
    }

    /// The first limit that is reached.
    pub fn reached(&self, spent: &Spent) -> Option<Limit> {
        let over = |limit: Option<f64>, spent: f64| limit.is_some_and(|limit| spent >= limit);
        if self.evaluations.is_some_and(|limit| spent.evaluations >= limit) {
            Some(Limit::Evaluations)
        } else if over(self.cost, spent.cost) {
            Some(Limit::Cost)
        } else if over(self.fidelity, spent.fidelity) {
            Some(Limit::Fidelity)
        } else if over(self.evaluation_seconds, spent.evaluation_seconds) {
            Some(Limit::EvaluationSeconds)
        } else if self.steps.is_some_and(|limit| spent.steps >= limit) {
            Some(Limit::Steps)
        } else {
            None
        }
    }

    /// How many evaluations are left, where they are limited.
    pub fn evaluations_left(&self, spent: &Spent) -> u64 {
        self.evaluations.map_or(u64::MAX, |limit| limit.saturating_sub(spent.evaluations))
    }

    /// What this one allows less of than another did, and what it does not limit any more, each as it was and is.
    pub fn unlike(&self, before: &Budget) -> Vec<String> {
        let count = |limit: Option<u64>| limit.map(|limit| limit as f64);
        [
            ("evaluations", count(before.evaluations), count(self.evaluations)),
            ("cost", before.cost, self.cost),
            ("fidelity", before.fidelity, self.fidelity),
            ("evaluation_seconds", before.evaluation_seconds, self.evaluation_seconds),
            ("steps", count(before.steps), count(self.steps)),
        ]
        .into_iter()
        .filter_map(|(name, before, now)| match (before?, now) {
            (before, None) => Some(format!("{name}: {before} → no limit")),
            (before, Some(now)) if now < before => Some(format!("{name}: {before} → {now}")),
            _ => None,
        })
        .collect()
    }

    /// Whether no limit is set.
    pub fn is_unlimited(&self) -> bool {
        *self == Budget::default()
    }

    /// The first limit that makes no sense, and why.
    pub fn check(&self) -> Result<(), String> {
        for (name, limit) in [
            ("cost", self.cost),
            ("fidelity", self.fidelity),
            ("evaluation_seconds", self.evaluation_seconds),
        ] {
            if limit.is_some_and(|limit| !limit.is_finite() || limit < 0.0) {
                return Err(format!("the budget's {name} must be a number from 0 up"));
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Limit::Evaluations => "evaluations",
            Limit::Cost => "cost",
            Limit::Fidelity => "fidelity",
            Limit::EvaluationSeconds => "evaluation time",
            Limit::Steps => "steps",
        })
    }
}

/// Whether a trial counts as an evaluation, depending on whether those in progress do.
pub fn counts(trial: &Trial, count_in_progress: bool) -> bool {
    trial.state.is_charged() && (count_in_progress || trial.state != State::Evaluating)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run whose results had no cost, or a negative one, went on for ever without a word; "spent -355
    /// of 5 cost" was shown of it.
    #[test]
    fn each_cost_brings_a_cost_budget_nearer_or_is_complained_about() {
        let budget = Budget { cost: Some(5.0), ..Budget::default() };
        for (cost, nearer) in [
            (None, false),
            (Some(f64::NAN), false),
            (Some(-1.0), false),
            (Some(f64::NEG_INFINITY), false),
            (Some(0.0), false),
            (Some(1e-9), true),
            (Some(f64::INFINITY), true),
        ] {
            let mut report = Report::objective(0.5);
            report.cost = cost;
            // One that has none crashes, and that speaks; what it computed is kept in the reason.
            let has_cost = cost.is_some_and(|cost| !cost.is_nan());
            let charged = budget.charged(Box::new(report.clone()));
            assert_eq!(charged.is_success(), has_cost);
            if let Some(failure) = &charged.failure {
                assert!(failure.err.contains("objective 0.5"), "{}", failure.err);
            }
            let same = Budget::default().charged(Box::new(report.clone()));
            assert!(same.is_success(), "there is no budget of cost");
            assert_eq!(budget.complaint(&report, false).is_none(), nearer, "{cost:?}");
            assert_eq!(Budget::default().complaint(&report, false), None);
            let mut spent = Spent::default();
            spent.add_report(&report);
            assert!(spent.cost >= 0.0, "{cost:?}");
            assert_eq!(budget.reached(&spent).is_some(), cost == Some(f64::INFINITY));
        }
        // What is not charged is spoken of once, too; what failed is spoken of anyway.
        let free = Report::objective(0.5).cost(3.0).account_for_cost(false);
        let mut spent = Spent::default();
        spent.add_report(&free);
        assert_eq!((spent.cost, free.cost), (0.0, Some(3.0)));
        assert!(budget.complaint(&free, false).unwrap().contains("not charged"));
        assert!(budget.complaint(&Report::pruned(), false).unwrap().contains("no cost"));
        assert_eq!(budget.complaint(&Report::failed("x"), false), None);
        let budget = Budget { steps: Some(5), ..Budget::default() };
        let says = budget.complaint(&Report::objective(0.5), false);
        assert!(says.is_some_and(|says| says.contains("no steps")));
        assert_eq!(budget.complaint(&Report::objective(0.5), true), None);
        let mut spent = Spent::default();
        spent.add_evaluation(Some(-2.0));
        assert_eq!((spent.evaluations, spent.fidelity), (1, 0.0));
    }
}
