//! Reads a trial: expects classes by name, and never calls anything.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{Extras, METADATA, OURS, REPORT, Record, STATE, Shared, TRIAL};
use crate::json;
use crate::pickle::{Item, Pickle, Ref};
use crate::plain_data::{elements, nearest, number, plain, string, to_config};
use crate::value::Value;
use trialmill_core::config::Value as ConfigValue;
use trialmill_core::trial::{Failure, InvalidTrialId, Objective, Report, State, Trial};

/// Reads a trial of a pickle.
pub(crate) fn read(from: &Pickle<'_>, at: Ref, shared: &mut Shared) -> Result<Record, String> {
    expect(from, at, TRIAL)?;
    let metadata = need(from, at, "metadata")?;
    expect(from, metadata, METADATA)?;
    let text = |key: &str| from.field(metadata, key).and_then(|at| string(from, at));
    let time = |key: &str| from.field(metadata, key).and_then(|at| number(from, at));
    let id = text("id").ok_or("its metadata has no id")?;
    let id = id.parse().map_err(|error: InvalidTrialId| error.to_string())?;
    let state = state(from, need(from, metadata, "state")?)?;
    let config_at = need(from, at, "config")?;
    let (config, whole_config) = pairs(from, config_at).ok_or("its config is not a dict")?;
    let metadata = shared.metadata(text, time)?;
    let mut trial = Trial::pending(id, shared.config(config), metadata);
    trial.state = state;
    let report_at = need(from, at, "report")?;
    let report = report(from, report_at)?;
    let whole_report = report.as_ref().is_none_or(|(_, whole)| *whole);
    trial.report = report.map(|(report, _)| Box::new(report));
    let ours = from.field(at, OURS);
    let count = |key: &str| {
        let at = from.field(ours?, key)?;
        number(from, at).map(|n| n as u32)
    };
    trial.attempts = count("attempts").unwrap_or(match state {
        State::Pending | State::Submitted | State::External => 0,
        _ => 1,
    });
    trial.losses = count("losses").unwrap_or(0);
    trial.failures = count("failures").unwrap_or(0);
    trial.metadata.evaluation = count("evaluation");
    if let (Some(failure), Some(ours)) =
        (trial.report.as_mut().and_then(|report| report.failure.as_mut()), ours)
        && let Some(kind) = from.field(ours, "err_type").and_then(|at| string(from, at))
    {
        failure.err_type = kind;
    }
    let lease = ours.and_then(|ours| from.field(ours, "lease"));
    let lease = lease.and_then(|at| plain(from, at, 0)).map(|value| value.to_json());
    let err = from.field(report_at, "err").and_then(|err| from.class(err));
    let foreign = err.filter(|(module, _)| *module != "builtins");
    let keep = |whole: bool, at: Ref| (!whole).then(|| Arc::new(own(from, at)));
    let extras = Extras {
        location: text("location").map(Into::into),
        previous_location: text("previous_trial_location").map(Into::into),
        source: from.field(at, "source").and_then(|at| string(from, at)).map(Into::into),
        lease: lease.and_then(|json| serde_json::from_value(json).ok()).map(Box::new),
        foreign_exception: foreign.map(|(module, name)| format!("{module}.{name}").into()),
        // Of a structured space it is all that there is.
        config: keep(whole_config && !shared.translation.is_one_way(), config_at),
        report: keep(whole_report, report_at),
    };
    Ok(Record { trial, extras })
}

fn report(from: &Pickle<'_>, at: Ref) -> Result<Option<(Report, bool)>, String> {
    if matches!(from.get(at), Item::None) {
        return Ok(None);
    }
    expect(from, at, REPORT)?;
    let field = |key: &str| from.field(at, key).filter(|at| !matches!(from.get(*at), Item::None));
    let reported_as = field("reported_as").ok_or("its report does not say how it ended")?;
    let reported_as = state(from, reported_as)?;
    let mut whole = true;
    let extra = match field("extra").map(|at| mapping(from, at)) {
        None => None,
        Some(Some((map, exact))) => {
            whole &= exact;
            Some(map).filter(|map| !map.is_empty()).map(Box::new)
        }
        Some(None) => {
            whole = false;
            None
        }
    };
    let objective = field("objective_to_minimize");
    let objective_to_minimize = objective.and_then(|at| numbers(from, at));
    let curve = field("learning_curve").and_then(|at| elements(from, at));
    let learning_curve =
        curve.map(|curve| curve.iter().filter_map(|at| numbers(from, *at)).collect());
    // An exception consists of a class name and arguments; only the name of the class is used.
    let failure = field("err").map(|err| {
        whole = false;
        Box::new(Failure {
            err_type: from.class(err).map_or_else(|| "Exception".into(), |(_, name)| name.into()),
            err: exception_text(from, err),
            tb: field("tb").and_then(|at| string(from, at)),
        })
    });
    let report = Report {
        objective_to_minimize,
        cost: field("cost").and_then(|at| number(from, at)),
        account_for_cost: true,
        learning_curve,
        extra,
        constraints: None,
        failure,
        reported_as,
        evaluation_duration: field("evaluation_duration").and_then(|at| number(from, at)),
    };
    Ok(Some((report, whole)))
}

fn need(from: &Pickle<'_>, at: Ref, key: &str) -> Result<Ref, String> {
    from.field(at, key).ok_or_else(|| format!("it has no '{key}'"))
}

fn expect(from: &Pickle<'_>, at: Ref, wanted: (&str, &str)) -> Result<(), String> {
    match from.class(at) {
        Some(class) if class == wanted && matches!(from.get(at), Item::Object(_)) => Ok(()),
        Some((module, name)) => {
            Err(format!("it names '{module}.{name}' where a {} should be", wanted.1))
        }
        None => Err(format!("expected a {}, found something else", wanted.1)),
    }
}

fn state(from: &Pickle<'_>, at: Ref) -> Result<State, String> {
    let text = match from.get(at) {
        Item::Object(object) if from.class(at) == Some(STATE) => {
            let args = elements(from, object.args).unwrap_or_default();
            args.first().and_then(|at| string(from, *at))
        }
        _ => string(from, at),
    };
    text.ok_or("its state is not a text")?.parse()
}

fn numbers(from: &Pickle<'_>, at: Ref) -> Option<Objective> {
    if let Some(number) = number(from, at) {
        return Some(Objective::One(number));
    }
    let list: Option<Vec<f64>> =
        elements(from, at)?.into_iter().map(|at| number(from, at)).collect();
    list.map(Objective::from)
}

fn key_text(key: &Value) -> String {
    match key {
        Value::Str(text) => text.clone(),
        Value::Int(x) => x.to_string(),
        Value::BigInt(digits) => digits.clone(),
        other => json::write(other),
    }
}

/// A dict as a JSON object, and whether that represents all of it.
fn mapping(from: &Pickle<'_>, at: Ref) -> Option<(serde_json::Map<String, Json>, bool)> {
    let Item::Dict(pairs) = from.get(at) else { return None };
    let mut exact = true;
    let mut value = |at: Ref| {
        plain(from, at, 0).unwrap_or_else(|| {
            exact = false;
            nearest(from, at, 0)
        })
    };
    let pairs: Vec<(Value, Value)> =
        pairs.iter().map(|(key, of)| (value(*key), value(*of))).collect();
    exact &= pairs.iter().all(|(key, _)| matches!(key, Value::Str(_)));
    let map = pairs.iter().map(|(key, value)| (key_text(key), value.to_json())).collect();
    Some((map, exact))
}

type Pairs = Vec<(String, ConfigValue)>;

/// A dict as the values of a configuration, and whether that represents all of it.
fn pairs(from: &Pickle<'_>, at: Ref) -> Option<(Pairs, bool)> {
    let Item::Dict(items) = from.get(at) else { return None };
    let mut exact = true;
    let mut list = Vec::with_capacity(items.len());
    for (key, value) in items {
        let name = string(from, *key).unwrap_or_else(|| {
            exact = false;
            key_text(&nearest(from, *key, 0))
        });
        let value = plain(from, *value, 0).unwrap_or_else(|| {
            exact = false;
            nearest(from, *value, 0)
        });
        list.push((name, to_config(&value)));
    }
    Some((list, exact))
}

/// `str()` of an exception: its only argument, or all of them.
fn exception_text(from: &Pickle<'_>, at: Ref) -> String {
    let Item::Object(object) = from.get(at) else { return String::new() };
    let args = elements(from, object.args).unwrap_or_default();
    let text = |at: &Ref| match nearest(from, *at, 0) {
        Value::Str(text) => text,
        other => json::write(&other),
    };
    match args.as_slice() {
        [one] => text(one),
        all => all.iter().map(text).collect::<Vec<_>>().join(", "),
    }
}

/// A part of a pickle as one of its own.
fn own(from: &Pickle<'_>, at: Ref) -> Pickle<'static> {
    let mut own = Pickle::new();
    let root = own.copy_from(from, at);
    own.set_root(root);
    own
}
