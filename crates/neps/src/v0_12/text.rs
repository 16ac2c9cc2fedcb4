//! The content of a trial's files: converts between our trials and NePS 0.12's files.

use serde_json::{Map, Value as Json};

use crate::files::objective;
use crate::plain_data::{from_config, of_objective};
use crate::value::Value;
use trialmill_core::trial::{Failure, Objective, Report, State, Trial};

/// What a cost adds to a trial's metadata.
const COST_KEYS: [&str; 4] = [ACCOUNT_FOR_COST, "eval_cost", "max", "used"];

/// Whether a cost is charged, in a result and in a trial's metadata.
const ACCOUNT_FOR_COST: &str = "account_for_cost";

/// Whether a trial's metadata says that its cost is not charged: in NePS 0.12.0 in a mapping `budget`.
pub(super) fn is_uncharged(metadata: &Value) -> bool {
    let budget = metadata.get("budget").unwrap_or(metadata);
    budget.get(ACCOUNT_FOR_COST) == Some(&Value::Bool(false))
}

/// The cost of all earlier trials, and the limit for all.
#[derive(Debug, Clone, Copy)]
pub(super) struct CostLine {
    pub(super) used: f64,
    pub(super) max: Option<f64>,
}

/// `config.yaml`.
pub(super) fn config(trial: &Trial) -> Value {
    Value::map(trial.config.iter().map(|(name, value)| (name, from_config(value))))
}

/// `metadata.yaml`: preserves what it contains, except for what changed.
pub(super) fn metadata(before: Value, trial: &Trial, spent: Option<CostLine>) -> Value {
    let mut pairs = match before {
        Value::Map(pairs) => pairs,
        _ => Vec::new(),
    };
    let mut set = |key: &str, value: Option<Value>| {
        pairs.retain(|(name, _)| name.as_str() != Some(key));
        pairs.extend(value.map(|value| (Value::Str(key.into()), value)));
    };
    set("time_sampled", Some(Value::Float(trial.metadata.time_sampled)));
    set("time_end", trial.metadata.time_end.map(Value::Float));
    let report = trial.report.as_ref();
    let cost = report.and_then(|report| Some((report.cost?, report.account_for_cost)));
    let values = match (cost, spent) {
        (Some((cost, is_charged)), Some(CostLine { used, max })) => [
            Value::Bool(is_charged),
            Value::Float(cost),
            max.map_or(Value::None, Value::Float),
            Value::Float(used),
        ]
        .map(Some),
        _ => [const { None }; 4],
    };
    for (key, value) in COST_KEYS.into_iter().zip(values) {
        set(key, value);
    }
    Value::Map(pairs)
}

/// The file that says how a trial ended, by its name.
pub(super) enum End {
    /// `result.yaml`.
    Result(Value),
    /// `error.yaml`.
    Error(Value),
}

/// How a trial ended. In 0.12 a result has an objective, and everything else is an error. With
/// several objectives, `loss` is the first one, and the list is stored in addition.
pub(super) fn end(report: &Report) -> End {
    let failed = matches!(report.reported_as, State::Failed | State::Crashed | State::Pruned);
    let objective = report.objective_to_minimize.as_ref().filter(|_| !failed);
    let Some(loss) = objective.and_then(|objective| objective.as_slice().first()) else {
        let failure = report.failure.as_deref();
        let tb = failure.and_then(|failure| failure.tb.clone());
        let why = if report.reported_as == State::Pruned { "pruned" } else { "" };
        return End::Error(Value::map([
            ("err", Value::Str(failure.map_or(why, |failure| &failure.err).into())),
            ("tb", tb.map_or(Value::None, Value::Str)),
        ]));
    };
    let mut pairs = vec![("loss", Value::Float(*loss))];
    if let Some(many @ Objective::Many(_)) = objective {
        pairs.push(("objective_to_minimize", of_objective(many)));
    }
    pairs.extend(report.cost.map(|cost| ("cost", Value::Float(cost))));
    if !report.account_for_cost {
        pairs.push((ACCOUNT_FOR_COST, Value::Bool(false)));
    }
    if let Some(curve) = &report.learning_curve {
        pairs.push(("learning_curve", Value::List(curve.iter().map(of_objective).collect())));
    }
    if let Some(extra) = &report.extra {
        pairs.push(("info_dict", Value::from_json(&Json::Object((**extra).clone()))));
    }
    End::Result(Value::map(pairs))
}

/// Reads `result.yaml`: a mapping with a `loss`, or the word of NePS 0.12.0 for an evaluation that
/// raised.
pub(super) fn read_result(value: &Value) -> Result<Report, String> {
    if value.as_str() == Some("error") {
        return Ok(Report::crashed("Exception", "NePS 0.12.0 keeps no message of an error"));
    }
    let Value::Map(pairs) = value else { return Err("its result is not a mapping".into()) };
    let loss = value.get("objective_to_minimize").or_else(|| value.get("loss"));
    let loss = loss.ok_or("its result has no loss")?;
    let objective_to_minimize = match loss {
        // Several objectives are a mapping from names in NePS 0.12.
        Value::Map(named) => {
            let numbers: Option<Vec<f64>> = named.iter().map(|(_, value)| value.as_f64()).collect();
            numbers.map(Objective::from)
        }
        loss => objective(loss),
    };
    let objective_to_minimize = objective_to_minimize.ok_or("its loss is not a number")?;
    let curve = match value.get("learning_curve") {
        Some(Value::List(curve)) => Some(curve.iter().filter_map(objective).collect()),
        _ => None,
    };
    let mut extra = match value.get("info_dict").map(Value::to_json) {
        Some(Json::Object(map)) => map,
        _ => Map::new(),
    };
    let known =
        ["loss", "objective_to_minimize", "cost", ACCOUNT_FOR_COST, "learning_curve", "info_dict"];
    for (key, value) in pairs {
        // Keys that are not NePS's are the user's own.
        if let Some(key) = key.as_str().filter(|key| !known.contains(key)) {
            extra.entry(key).or_insert_with(|| value.to_json());
        }
    }
    Ok(Report {
        cost: value.get("cost").and_then(Value::as_f64),
        account_for_cost: value.get(ACCOUNT_FOR_COST) != Some(&Value::Bool(false)),
        learning_curve: curve,
        extra: Some(extra).filter(|extra| !extra.is_empty()).map(Box::new),
        ..Report::objective(objective_to_minimize)
    })
}

/// Reads `error.yaml`.
pub(super) fn read_error(value: &Value) -> Report {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_string);
    let failure = Failure {
        err_type: "Exception".into(),
        err: text("err").unwrap_or_default(),
        tb: text("tb"),
    };
    Report { failure: Some(Box::new(failure)), ..Report::crashed("", "") }
}
