//! A search space as a study file or `study.json` writes it, in NePS's words.

use serde_json::{Map, Value as Json, json};

use super::{Confidence, Domain, Parameter, Scale, SearchSpace, SpaceError};
use crate::config::Value;
use crate::notation::{self, Shown};
use crate::words;

const KEYS: [&str; 17] = [
    "type",
    "lower",
    "upper",
    "log",
    "choices",
    "value",
    "prior",
    "default",
    "prior_confidence",
    "default_confidence",
    "is_fidelity",
    "fidelity",
    "step",
    "distribution",
    "mean",
    "sd",
    "when",
];

const TYPES: [&str; 5] = ["float", "int", "categorical", "ordinal", "constant"];

const NUMBER_KEYS: [&str; 9] =
    ["lower", "upper", "log", "is_fidelity", "fidelity", "step", "distribution", "mean", "sd"];

/// What a number can be drawn from; `log` is the other way to say the second.
const DISTRIBUTIONS: [&str; 4] = ["uniform", "loguniform", "normal", "lognormal"];

impl SearchSpace {
    /// Reads a space: an object of parameters, each `{type, lower, upper, log, step, distribution,
    /// mean, sd, choices, value, prior | default, prior_confidence, is_fidelity, when}`. As in NePS the type may be left out where
    /// the keys tell it, two numbers in a list are bounds, any other list is the choices, and a
    /// plain value is a constant. Values are in the [notation](mod@crate::notation) of our files.
    ///
    /// # Errors
    /// The first parameter that is wrong, and what is allowed there.
    pub fn from_json(json: &Json) -> Result<Self, SpaceError> {
        SearchSpace::new(parameters(json)?)
    }

    /// Reads the space of a study that exists. What earlier versions allowed stays readable.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json).
    pub fn from_stored(json: &Json) -> Result<Self, SpaceError> {
        SearchSpace::of(parameters(json)?)
    }

    /// Writes the space as [`from_json`](Self::from_json) reads it.
    pub fn to_json(&self) -> Json {
        self.iter().map(|(name, parameter)| (name.to_string(), describe(parameter))).collect()
    }
}

fn parameters(json: &Json) -> Result<Vec<(String, Parameter)>, SpaceError> {
    let map = notation::as_object(json).ok_or_else(|| {
        let problem = format!("must be a mapping of parameters, and is {}", kind_of(json));
        SpaceError::Whole(problem)
    })?;
    let read = |(name, json): (String, Json)| match parameter(&json) {
        Ok(parameter) => Ok((name, parameter)),
        Err(problem) => Err(SpaceError::at(&name, problem)),
    };
    map.into_iter().map(read).collect()
}

fn describe(parameter: &Parameter) -> Json {
    let mut json = match &parameter.domain {
        Domain::Float { lower, upper, scale, step } => {
            let mut json = scaled("float", json!(lower), json!(upper), *scale);
            if let Some(step) = step {
                json["step"] = json!(step);
            }
            json
        }
        Domain::Int { lower, upper, scale, step } => {
            let mut json = scaled("int", json!(lower), json!(upper), *scale);
            if *step > 1 {
                json["step"] = json!(step);
            }
            json
        }
        Domain::Categorical { choices, ordered } => {
            let kind = if *ordered { "ordinal" } else { "categorical" };
            json!({"type": kind, "choices": choices})
        }
        Domain::Constant { value } => json!({"type": "constant", "value": value}),
    };
    if let Some((prior, confidence)) = parameter.prior_value() {
        json["prior"] = json!(prior);
        json["prior_confidence"] = json!(confidence.name());
    }
    if parameter.is_fidelity {
        json["is_fidelity"] = json!(true);
    }
    if !parameter.when.is_empty() {
        let conditions = parameter.when.iter().map(|c| (c.parameter.clone(), json!(c.values)));
        json["when"] = Json::Object(conditions.collect());
    }
    json
}

fn scaled(kind: &str, lower: Json, upper: Json, scale: Scale) -> Json {
    let mut json =
        json!({"type": kind, "lower": lower, "upper": upper, "log": scale == Scale::Log});
    let (name, mean, sd) = match scale {
        Scale::Linear | Scale::Log => return json,
        Scale::Normal { mean, sd } => ("normal", mean, sd),
        Scale::LogNormal { mean, sd } => ("lognormal", mean, sd),
    };
    json["distribution"] = json!(name);
    json["mean"] = json!(mean);
    json["sd"] = json!(sd);
    json
}

fn parameter(json: &Json) -> Result<Parameter, String> {
    let is_number = |json: &Json| notation::as_f64(json).is_some();
    match json {
        _ if is_number(json) => Ok(Parameter::constant(Value::from_stored(json.clone()))),
        Json::Object(map) => from_keys(map),
        Json::Array(list) => match list.as_slice() {
            [lower, upper] if is_number(lower) && is_number(upper) => {
                match is_whole(Some(lower)) && is_whole(Some(upper)) {
                    true => Ok(Parameter::int(int("lower", lower)?, int("upper", upper)?)),
                    false => Ok(Parameter::float(float("lower", lower)?, float("upper", upper)?)),
                }
            }
            choices => Ok(Parameter::categorical(values(choices))),
        },
        Json::Null => Err("has no description".into()),
        constant => Ok(Parameter::constant(Value::from_stored(constant.clone()))),
    }
}

fn values(list: &[Json]) -> impl Iterator<Item = Value> {
    list.iter().cloned().map(Value::from_stored)
}

fn from_keys(map: &Map<String, Json>) -> Result<Parameter, String> {
    if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(words::unknown(key, "a key of a parameter", &KEYS));
    }
    let need = |key: &str| map.get(key).ok_or_else(|| format!("'{key}' is missing"));
    let kind = match map.get("type") {
        Some(Json::String(kind)) => kind.as_str(),
        Some(other) => return Err(format!("'type' must be a text, and is {}", kind_of(other))),
        None if map.contains_key("choices") => "categorical",
        None if map.contains_key("value") => "constant",
        None if is_whole(map.get("lower")) && is_whole(map.get("upper")) => "int",
        None if ["lower", "upper", "distribution"].iter().any(|key| map.contains_key(*key)) => {
            "float"
        }
        None => return Err("needs a 'type': float, int, categorical, ordinal or constant".into()),
    };
    let allowed: &[&str] = match kind {
        "float" | "int" | "integer" => &NUMBER_KEYS,
        "categorical" | "ordinal" => &["choices"],
        "constant" => &["value"],
        other => {
            return Err(words::unknown(other, "a type of parameter", &TYPES));
        }
    };
    for key in NUMBER_KEYS.into_iter().chain(["choices", "value"]) {
        if map.contains_key(key) && !allowed.contains(&key) && !is_false(&map[key]) {
            return Err(format!("a {kind} has no '{key}'; it has: {}", allowed.join(", ")));
        }
    }
    let mut parameter = match kind {
        "float" => {
            let (lower, upper) = bounds(map)?;
            Parameter::float(float("lower", &lower)?, float("upper", &upper)?)
        }
        "int" | "integer" => {
            let (lower, upper) = bounds(map)?;
            Parameter::int(int("lower", &lower)?, int("upper", &upper)?)
        }
        "categorical" | "ordinal" => match need("choices")? {
            Json::Array(choices) if kind == "ordinal" => Parameter::ordinal(values(choices)),
            Json::Array(choices) => Parameter::categorical(values(choices)),
            other => return Err(format!("'choices' must be a list, and is {}", kind_of(other))),
        },
        _ => Parameter::constant(Value::from_stored(need("value")?.clone())),
    };
    let is_log = flag(map, "log")?;
    parameter = match distribution(map)? {
        Scale::Linear if is_log => parameter.log(),
        Scale::Linear => parameter,
        _ if is_log => return Err("has both 'log' and a 'distribution': one says it".into()),
        Scale::Log => parameter.log(),
        Scale::Normal { mean, sd } => parameter.normal(mean, sd),
        Scale::LogNormal { mean, sd } => parameter.log_normal(mean, sd),
    };
    if let Some(step) = present(map, "step") {
        parameter = match parameter.domain {
            Domain::Int { .. } => parameter.step(int("step", step)?),
            _ => parameter.step(float("step", step)?),
        };
    }
    for (other, values) in conditions(map)? {
        parameter = parameter.when(other, values);
    }
    if flag(map, "is_fidelity")? || flag(map, "fidelity")? {
        parameter = parameter.fidelity();
    }
    if let Some(prior) = either(map, "prior", "default")? {
        let prior = match parameter.domain {
            Domain::Float { .. } => Value::Float(float("prior", prior)?),
            Domain::Int { .. } => Value::Int(int("prior", prior)?),
            _ => Value::from_stored(prior.clone()),
        };
        parameter = parameter.prior(prior);
    }
    if let Some(confidence) = either(map, "prior_confidence", "default_confidence")? {
        parameter = parameter.prior_confidence(match confidence.as_str() {
            Some("low") => Confidence::Low,
            Some("medium") => Confidence::Medium,
            Some("high") => Confidence::High,
            _ => {
                return Err(format!("'prior_confidence' is low, medium or high, not {confidence}"));
            }
        });
    }
    Ok(parameter)
}

fn either<'a>(
    map: &'a Map<String, Json>,
    name: &str,
    old_name: &str,
) -> Result<Option<&'a Json>, String> {
    match (present(map, name), present(map, old_name)) {
        (Some(_), Some(_)) => Err(format!("has both '{name}' and its old name '{old_name}'")),
        (new, old) => Ok(new.or(old)),
    }
}

fn present<'a>(map: &'a Map<String, Json>, key: &str) -> Option<&'a Json> {
    map.get(key).filter(|json| !json.is_null())
}

/// The bounds; a distribution that is written without any has its own.
fn bounds(map: &Map<String, Json>) -> Result<(Json, Json), String> {
    let own = distribution(map)?.own_bounds();
    let is_int = map.get("type").is_some_and(|kind| kind != "float");
    let of = |key: &str, own: Option<f64>| match (present(map, key), own) {
        (Some(json), _) => Ok(json.clone()),
        (None, Some(own)) if is_int => Ok(json!(own.round().clamp(-9e15, 9e15) as i64)),
        (None, Some(own)) => Ok(json!(own)),
        (None, None) => Err(format!("'{key}' is missing")),
    };
    Ok((of("lower", own.map(|own| own.0))?, of("upper", own.map(|own| own.1))?))
}

fn distribution(map: &Map<String, Json>) -> Result<Scale, String> {
    let name = match present(map, "distribution") {
        None => "",
        Some(Json::String(name)) => name.as_str(),
        Some(other) => return Err(format!("a 'distribution' is a name, not {}", kind_of(other))),
    };
    if !name.is_empty() && !DISTRIBUTIONS.contains(&name) {
        return Err(words::unknown(name, "a distribution", &DISTRIBUTIONS));
    }
    let given = ["mean", "sd"].map(|key| present(map, key));
    match (name, given) {
        ("normal" | "lognormal", [Some(mean), Some(sd)]) => {
            let (mean, sd) = (float("mean", mean)?, float("sd", sd)?);
            let normal = Scale::Normal { mean, sd };
            Ok(if name == "normal" { normal } else { Scale::LogNormal { mean, sd } })
        }
        ("normal" | "lognormal", [mean, _]) => {
            let missing = if mean.is_none() { "mean" } else { "sd" };
            let of = if name == "normal" { "" } else { " of the natural logarithm" };
            Err(format!(
                "'{missing}' is missing: a {name} distribution has a 'mean' and an 'sd'{of}"
            ))
        }
        (_, [Some(_), _] | [_, Some(_)]) => {
            Err("'mean' and 'sd' are of a 'distribution': normal or lognormal".into())
        }
        ("loguniform", _) => Ok(Scale::Log),
        _ => Ok(Scale::Linear),
    }
}

/// `when: {optimizer: sgd}`, `when: {optimizer: [sgd, adam], layers: 3}`: all must hold.
fn conditions(map: &Map<String, Json>) -> Result<Vec<(String, Vec<Value>)>, String> {
    let Some(json) = present(map, "when") else { return Ok(Vec::new()) };
    let shape =
        || format!("'when' is a mapping, such as {{optimizer: sgd}}, and is {}", kind_of(json));
    let conditions = notation::as_object(json).ok_or_else(shape)?;
    let values = |json: Json| match json {
        Json::Array(list) => values(&list).collect(),
        one => vec![Value::from_stored(one)],
    };
    Ok(conditions.into_iter().map(|(other, json)| (other, values(json))).collect())
}

/// A flag, including the words that YAML 1.1 has for it.
fn flag(map: &Map<String, Json>, key: &str) -> Result<bool, String> {
    match map.get(key) {
        None | Some(Json::Null) => Ok(false),
        Some(Json::Bool(flag)) => Ok(*flag),
        Some(Json::String(word)) if ["yes", "on"].contains(&&*word.to_lowercase()) => Ok(true),
        Some(Json::String(word)) if ["no", "off"].contains(&&*word.to_lowercase()) => Ok(false),
        Some(other) => Err(format!("'{key}' is true or false, not {}", kind_of(other))),
    }
}

/// A number, or a string that spells one: in YAML 1.1, which NePS reads, `1e-5` is a string.
fn float(key: &str, json: &Json) -> Result<f64, String> {
    let number = match json {
        Json::String(text) => text.trim().parse().ok(),
        json => notation::as_f64(json),
    };
    let number =
        number.ok_or_else(|| format!("'{key}' must be a number, and is {}", kind_of(json)))?;
    match notation::digits(json) {
        // Never silently use another number.
        Some(digits) if format!("{number:.0}") != digits && number != 0.0 => {
            Err(format!("'{key}' is {digits}, and the nearest float is {number:.0}: write that"))
        }
        _ => Ok(number),
    }
}

fn int(key: &str, json: &Json) -> Result<i64, String> {
    if let Some(digits) = notation::digits(json) {
        return digits.parse().map_err(|_| {
            format!("'{key}' is {digits}; a whole number is from {} to {}", i64::MIN, i64::MAX)
        });
    }
    match float(key, json)? {
        whole if whole.fract() == 0.0 && whole.abs() < 9e15 => Ok(whole as i64),
        _ => Err(format!("'{key}' must be a whole number, and is {}", Shown(json))),
    }
}

fn is_whole(json: Option<&Json>) -> bool {
    json.is_some_and(|json| notation::digits(json).is_some())
}

fn is_false(json: &Json) -> bool {
    matches!(json, Json::Bool(false) | Json::Null)
}

fn kind_of(json: &Json) -> String {
    match json {
        Json::Null => "nothing".into(),
        json if notation::as_f64(json).is_some() => format!("the value {}", Shown(json)),
        Json::Object(_) => "a mapping".into(),
        Json::Array(_) => "a list".into(),
        other => format!("the value {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_space_is_written_as_it_is_read() {
        let json = json!({
            "lr": {"type": "float", "lower": "1e-5", "upper": 0.1, "log": true, "prior": 1e-3},
            "layers": {"lower": 1, "upper": 8, "default": 2, "default_confidence": "high"},
            "optimizer": {"choices": ["sgd", "adam", null, 3, true]},
            "epochs": {"type": "integer", "lower": 1, "upper": 27, "is_fidelity": true},
            "range": [0.0, 1],
            "either": ["a", "b"],
            "version": 3,
        });
        let space = SearchSpace::from_json(&json).unwrap();
        let again = SearchSpace::from_json(&space.to_json()).unwrap();
        assert_eq!(space, again);
        assert_eq!(space.iter().map(|(name, _)| name).collect::<Vec<_>>()[..2], ["lr", "layers"]);
        assert_eq!(space.get("version").unwrap().domain().cardinality(), Some(1));
    }

    #[test]
    fn a_typo_is_answered_with_what_is_allowed() {
        for (json, says) in [
            (json!({"x": {"type": "flaot", "lower": 0, "upper": 1}}), "did you mean `float`?"),
            (json!({"x": {"type": "float", "lowr": 0, "upper": 1}}), "did you mean `lower`?"),
            (json!({"x": {"type": "float", "upper": 1}}), "'lower' is missing"),
            (json!({"x": {"type": "float", "lower": "a", "upper": 1}}), "must be a number"),
            (json!({"x": {"type": "int", "lower": 0.5, "upper": 1}}), "whole number"),
            (json!({"x": {"type": "categorical", "choices": "abc"}}), "must be a list"),
            (json!({"x": {"type": "categorical", "choices": []}}), "choices"),
            (json!({"x": {"type": "categorical", "lower": 1, "choices": [1]}}), "has no 'lower'"),
            (json!({"x": {"type": "float", "lower": 1, "upper": 2, "log": "maybe"}}), "'log'"),
            (json!({"x": {"lower": 1, "upper": 2, "prior": 1, "default": 1}}), "old name"),
            (json!({"x": null}), "no description"),
            (json!(["x"]), "mapping of parameters"),
        ] {
            let text = SearchSpace::from_json(&json).unwrap_err().to_string();
            assert!(text.contains(says), "{text}");
        }
    }
}
