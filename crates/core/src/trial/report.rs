//! What an evaluation says: objectives, cost, learning curve, extra values, or what went wrong.
//!
//! JSON has no word for numbers that are not finite, and a crashed training gives them; here they
//! are the strings `"inf"`, `"-inf"` and `"nan"`.

use std::fmt;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json};

use super::State;
use crate::notation;

/// One objective to minimise, or several.
#[derive(Debug, Clone, PartialEq)]
pub enum Objective {
    /// A single one.
    One(f64),
    /// Several: the study has a Pareto front instead of one best trial.
    Many(Box<[f64]>),
}

impl Objective {
    /// The objectives as a slice.
    pub fn as_slice(&self) -> &[f64] {
        match self {
            Objective::One(x) => std::slice::from_ref(x),
            Objective::Many(list) => list,
        }
    }
}

impl From<f64> for Objective {
    fn from(x: f64) -> Self {
        Objective::One(x)
    }
}
impl From<Vec<f64>> for Objective {
    fn from(list: Vec<f64>) -> Self {
        Objective::Many(list.into())
    }
}
impl<const N: usize> From<[f64; N]> for Objective {
    fn from(list: [f64; N]) -> Self {
        Objective::Many(list.into())
    }
}

impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Objective::One(x) => write!(f, "{x:?}"),
            Objective::Many(list) => write!(f, "{list:?}"),
        }
    }
}

/// What went wrong in an evaluation.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Failure {
    /// The kind: `error`, `panic`, `exit`, `signal`, `timeout`, `result`, `worker-died`, or the
    /// name of an exception class.
    pub err_type: String,
    /// The message.
    pub err: String,
    /// More about it: a traceback, or the end of stderr.
    pub tb: Option<String>,
}

/// What an evaluation reports. Build one with [`Report::objective`] and add what else there is.
///
/// ```
/// use trialmill::Report;
/// let report = Report::objective(0.12).cost(3.5).learning_curve([0.9, 0.4, 0.12]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What is minimised; `None` for a trial that did not get that far.
    pub objective_to_minimize: Option<Objective>,
    /// What the evaluation cost, in the unit of the cost budget.
    pub cost: Option<f64>,
    /// Whether the cost is charged to budgets of cost: it is unless this is false (NePS 0.12:
    /// `account_for_cost`).
    pub account_for_cost: bool,
    /// The objective over the course of the evaluation.
    pub learning_curve: Option<Box<[Objective]>>,
    /// Anything else worth keeping (NePS: `info_dict`).
    pub extra: Option<Box<Map<String, Json>>>,
    /// The values of the study's constraints, which must be 0 or less, in their order.
    pub constraints: Option<Box<[f64]>>,
    /// What went wrong, if something did.
    pub failure: Option<Box<Failure>>,
    /// The state that the trial ends in: success, pruned, failed or crashed.
    pub reported_as: State,
    /// How long the evaluation took, in seconds; the worker fills it in.
    pub evaluation_duration: Option<f64>,
}

impl Report {
    /// A success with this objective to minimise, or these objectives.
    pub fn objective(objective: impl Into<Objective>) -> Self {
        let empty = Self::without_objective(State::Success);
        Report { objective_to_minimize: Some(objective.into()), ..empty }
    }

    /// The configuration was evaluated and does not work; there is nothing to minimise.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::without_objective(State::Failed).because("error", message)
    }

    /// The evaluation was ended early, because its steps promised too little. It has no objective: its
    /// last value is in its learning curve.
    pub fn pruned() -> Self {
        Self::without_objective(State::Pruned)
    }

    /// The evaluation broke. `err_type` is one of the kinds of [`Failure::err_type`].
    pub fn crashed(err_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self::without_objective(State::Crashed).because(err_type, message)
    }

    /// A report that has nothing but the state in which the trial ends.
    pub fn without_objective(reported_as: State) -> Self {
        Report {
            objective_to_minimize: None,
            cost: None,
            account_for_cost: true,
            learning_curve: None,
            extra: None,
            constraints: None,
            failure: None,
            reported_as,
            evaluation_duration: None,
        }
    }

    fn because(mut self, err_type: impl Into<String>, message: impl Into<String>) -> Self {
        let failure = Failure { err_type: err_type.into(), err: message.into(), tb: None };
        self.failure = Some(Box::new(failure));
        self
    }

    /// What the evaluation cost.
    pub fn cost(mut self, cost: f64) -> Self {
        self.cost = Some(cost);
        self
    }

    /// Whether the cost is charged to budgets of cost, as it is unless this says otherwise: one that is
    /// not is kept all the same.
    pub fn account_for_cost(mut self, charged: bool) -> Self {
        self.account_for_cost = charged;
        self
    }

    /// The cost that is charged.
    pub fn charged_cost(&self) -> Option<f64> {
        self.cost.filter(|_| self.account_for_cost)
    }

    /// What is kept of a result that cannot be used: everything but its objective, and why.
    pub fn refused(self, problem: impl Into<String>) -> Self {
        let crashed = Self::crashed("result", problem);
        let (failure, reported_as) = (crashed.failure, crashed.reported_as);
        Report { objective_to_minimize: None, failure, reported_as, ..self }
    }

    /// The objective over the course of the evaluation.
    pub fn learning_curve<O: Into<Objective>>(
        mut self,
        curve: impl IntoIterator<Item = O>,
    ) -> Self {
        self.learning_curve = Some(curve.into_iter().map(Into::into).collect());
        self
    }

    /// The values of the study's constraints, in their order: the trial keeps to those that are 0 or
    /// less.
    pub fn constraints(mut self, values: impl IntoIterator<Item = f64>) -> Self {
        self.constraints = Some(values.into_iter().collect());
        self
    }

    /// Whether it violates no constraint.
    pub fn is_feasible(&self) -> bool {
        self.constraints.iter().flatten().all(|value| *value <= 0.0)
    }

    /// How long the evaluation took, in seconds; needed only where no worker measures it.
    pub fn evaluation_duration(mut self, seconds: f64) -> Self {
        self.evaluation_duration = Some(seconds);
        self
    }

    /// One more value worth keeping.
    pub fn extra(mut self, key: impl Into<String>, value: impl Into<Json>) -> Self {
        self.extra.get_or_insert_default().insert(key.into(), notation::escape(value.into()));
        self
    }

    /// The traceback, or the end of stderr, of what went wrong.
    pub fn traceback(mut self, tb: impl Into<String>) -> Self {
        if let Some(failure) = &mut self.failure {
            failure.tb = Some(tb.into());
        }
        self
    }

    /// Whether it is a success.
    pub fn is_success(&self) -> bool {
        self.reported_as == State::Success
    }
}

impl From<f64> for Report {
    fn from(objective: f64) -> Self {
        Report::objective(objective)
    }
}
impl From<Vec<f64>> for Report {
    fn from(objectives: Vec<f64>) -> Self {
        Report::objective(objectives)
    }
}
impl<const N: usize> From<[f64; N]> for Report {
    fn from(objectives: [f64; N]) -> Self {
        Report::objective(objectives)
    }
}

impl Serialize for Objective {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Objective::One(x) => Real(*x).serialize(to),
            Objective::Many(list) => {
                let mut seq = to.serialize_seq(Some(list.len()))?;
                for x in list {
                    seq.serialize_element(&Real(*x))?;
                }
                seq.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Objective {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ObjectiveVisitor)
    }
}

/// A number that need not be finite.
pub struct Real(pub f64);

impl Serialize for Real {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            x if x.is_finite() => to.serialize_f64(x),
            x if x.is_nan() => to.serialize_str("nan"),
            x => to.serialize_str(if x > 0.0 { "inf" } else { "-inf" }),
        }
    }
}

impl<'de> Deserialize<'de> for Real {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match Objective::deserialize(from)? {
            Objective::One(x) => Ok(Real(x)),
            Objective::Many(_) => Err(D::Error::custom("expected a number, found a list")),
        }
    }
}

/// Reads a number, the string for one that is not finite, or a list of those.
struct ObjectiveVisitor;

impl<'de> Visitor<'de> for ObjectiveVisitor {
    type Value = Objective;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a list of numbers")
    }
    fn visit_f64<E>(self, x: f64) -> Result<Objective, E> {
        Ok(Objective::One(x))
    }
    fn visit_i64<E>(self, x: i64) -> Result<Objective, E> {
        Ok(Objective::One(x as f64))
    }
    fn visit_u64<E>(self, x: u64) -> Result<Objective, E> {
        Ok(Objective::One(x as f64))
    }
    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Objective, E> {
        match text.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str() {
            "nan" => Ok(Objective::One(f64::NAN)),
            "inf" | "infinity" if text.starts_with('-') => Ok(Objective::One(f64::NEG_INFINITY)),
            "inf" | "infinity" => Ok(Objective::One(f64::INFINITY)),
            _ => Err(E::custom(format_args!("expected a number, found the string \"{text}\""))),
        }
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Objective, A::Error> {
        let mut list = Vec::new();
        while let Some(Real(x)) = seq.next_element()? {
            list.push(x);
        }
        Ok(Objective::Many(list.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An extra value `{"$float": "inf"}` of a caller's was infinity for whoever read it.
    #[test]
    fn an_extra_value_is_shown_as_it_was_given() {
        let given = serde_json::json!({"$float": "inf"});
        let report = Report::objective(1.0).extra("a", given.clone());
        let shown = notation::Shown(&report.extra.unwrap()["a"]).to_string();
        assert_eq!(shown, given.to_string());
    }

    #[test]
    fn objectives_that_are_not_finite_survive_json() {
        for objective in [
            Objective::One(f64::INFINITY),
            Objective::One(-0.0),
            Objective::One(1e-300),
            Objective::Many([0.1, f64::NEG_INFINITY].into()),
        ] {
            let text = serde_json::to_string(&objective).unwrap();
            assert_eq!(serde_json::from_str::<Objective>(&text).unwrap(), objective, "{text}");
        }
        let nan: Objective = serde_json::from_str("\"NaN\"").unwrap();
        assert!(matches!(nan, Objective::One(x) if x.is_nan()));
        assert!(serde_json::from_str::<Objective>("\"0.5x\"").is_err());
        assert!(serde_json::from_str::<Objective>("[[1]]").is_err());
    }
}
