//! Reads an Optuna journal: its space, its directions, and its trials.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use trialmill_core::config::Value;
use trialmill_core::objectives::{Direction, Goal, Objectives};
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::trial::{MetaData, Report, State, Trial, TrialId};

use super::time::from_iso;

/// What an Optuna journal says.
#[derive(Debug)]
pub struct Imported {
    /// The study's name there.
    pub name: String,
    /// What was searched.
    pub space: SearchSpace,
    /// Which way its objectives go.
    pub objectives: Objectives,
    /// Its trials that ended.
    pub trials: Vec<Trial>,
    /// Trials that were left out, each with the reason.
    pub left_out: Vec<String>,
}

#[derive(Debug, Default)]
struct Raw {
    study: u64,
    state: u64,
    values: Vec<f64>,
    params: BTreeMap<String, (f64, Json)>,
    steps: BTreeMap<i64, f64>,
    start: Option<f64>,
    end: Option<f64>,
}

/// Reads the study of this name, or the only one.
///
/// # Errors
/// A line is no operation of Optuna's, or there is no such study, or several.
pub fn read_optuna(text: &str, name: Option<&str>) -> Result<Imported, String> {
    let mut studies: Vec<(String, Vec<u64>, bool)> = Vec::new();
    let mut trials: Vec<Raw> = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |what: &str| format!("line {}: {what}", at + 1);
        let own: Map<String, Json> = serde_json::from_str(&finite(line))
            .map_err(|error| wrong(&format!("it is no operation of Optuna's ({error})")))?;
        operation(&own, &mut studies, &mut trials).map_err(wrong)?;
    }
    let alive = || studies.iter().enumerate().filter(|(_, study)| study.2);
    let names = || alive().map(|(_, study)| study.0.as_str()).collect::<Vec<_>>().join(", ");
    let chosen = match name {
        Some(name) => alive().find(|(_, study)| study.0 == name),
        None if alive().count() == 1 => alive().next(),
        None if alive().count() == 0 => return Err("it has no study".into()),
        None => {
            return Err(format!("it has several studies; name one of {} with --study", names()));
        }
    };
    let Some((number, (name, directions, _))) = chosen else {
        return Err(format!("it has no such study; there are {}", names()));
    };
    let own: Vec<&Raw> = trials.iter().filter(|trial| trial.study == number as u64).collect();
    built(name, directions, &own)
}

/// Python's JSON has numbers that are none of JSON's.
fn finite(line: &str) -> String {
    if !line.contains("Infinity") && !line.contains("NaN") {
        return line.to_string();
    }
    line.replace("-Infinity", "-1e999")
        .replace("Infinity", "1e999")
        .replace("NaN", "null")
        .replace("1e999", "1.7976931348623157e308")
}

fn operation(
    own: &Map<String, Json>,
    studies: &mut Vec<(String, Vec<u64>, bool)>,
    trials: &mut Vec<Raw>,
) -> Result<(), &'static str> {
    let number = |key: &str| own.get(key).and_then(Json::as_u64);
    let time = |key: &str| own.get(key).and_then(Json::as_str).and_then(from_iso);
    let floats = |key: &str| -> Vec<f64> {
        let list = own.get(key).and_then(Json::as_array);
        list.map_or(Vec::new(), |list| list.iter().filter_map(Json::as_f64).collect())
    };
    let parsed =
        |text: &Json| text.as_str().and_then(|text| serde_json::from_str::<Json>(text).ok());
    let of_trial = number("trial_id").and_then(|id| usize::try_from(id).ok());
    match number("op_code").ok_or("it has no op_code")? {
        0 => {
            let name = own.get("study_name").and_then(Json::as_str).unwrap_or("").to_string();
            let directions = own.get("directions").and_then(Json::as_array);
            let directions = directions
                .map_or(Vec::new(), |list| list.iter().filter_map(Json::as_u64).collect());
            studies.push((name, directions, true));
        }
        1 => {
            let study = number("study_id").and_then(|id| studies.get_mut(id as usize));
            study.ok_or("there is no such study")?.2 = false;
        }
        4 => {
            let mut raw = Raw {
                study: number("study_id").ok_or("it names no study")?,
                state: number("state").unwrap_or(0),
                values: floats("values"),
                start: time("datetime_start"),
                end: time("datetime_complete"),
                ..Raw::default()
            };
            let distributions = own.get("distributions").and_then(Json::as_object);
            for (name, value) in own.get("params").and_then(Json::as_object).into_iter().flatten() {
                let distribution = distributions.and_then(|all| all.get(name)).and_then(parsed);
                if let (Some(value), Some(distribution)) = (value.as_f64(), distribution) {
                    raw.params.insert(name.clone(), (value, distribution));
                }
            }
            for (step, value) in
                own.get("intermediate_values").and_then(Json::as_object).into_iter().flatten()
            {
                if let (Ok(step), Some(value)) = (step.parse(), value.as_f64()) {
                    raw.steps.insert(step, value);
                }
            }
            // One that only names another's beginning: `state` is not written for those that run.
            trials.push(raw);
        }
        op @ 5..=7 => {
            let trial =
                of_trial.and_then(|id| trials.get_mut(id)).ok_or("there is no such trial")?;
            match op {
                5 => {
                    let name = own
                        .get("param_name")
                        .and_then(Json::as_str)
                        .ok_or("it names no parameter")?;
                    let value = own.get("param_value_internal").and_then(Json::as_f64);
                    let distribution = own.get("distribution").and_then(parsed);
                    if let (Some(value), Some(distribution)) = (value, distribution) {
                        trial.params.insert(name.into(), (value, distribution));
                    }
                }
                6 => {
                    trial.state = number("state").unwrap_or(trial.state);
                    trial.start = time("datetime_start").or(trial.start);
                    trial.end = time("datetime_complete").or(trial.end);
                    if own.get("values").is_some_and(Json::is_array) {
                        trial.values = floats("values");
                    }
                }
                _ => {
                    let step = own.get("step").and_then(Json::as_i64);
                    let value = own.get("intermediate_value").and_then(Json::as_f64);
                    if let (Some(step), Some(value)) = (step, value) {
                        trial.steps.insert(step, value);
                    }
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn built(name: &str, directions: &[u64], own: &[&Raw]) -> Result<Imported, String> {
    let mut distributions: BTreeMap<&str, Vec<&Json>> = BTreeMap::new();
    for (name, (_, distribution)) in own.iter().flat_map(|trial| &trial.params) {
        let known = distributions.entry(name).or_default();
        if !known.contains(&distribution) {
            known.push(distribution);
        }
    }
    let parameters: Vec<(String, Parameter)> = distributions
        .iter()
        .map(|(name, all)| {
            Ok((
                name.to_string(),
                parameter(all).map_err(|why| format!("parameter '{name}': {why}"))?,
            ))
        })
        .collect::<Result<_, String>>()?;
    if parameters.is_empty() {
        return Err(format!(
            "study '{name}' has no trial with a parameter, so it is not known what is searched"
        ));
    }
    let space = SearchSpace::new(parameters).map_err(|error| error.to_string())?;
    let goals = directions.iter().map(|direction| Goal {
        name: None,
        direction: if *direction == 2 { Direction::Maximize } else { Direction::Minimize },
    });
    let plain = directions.iter().all(|direction| *direction != 2);
    let objectives = if plain { Objectives::default() } else { Objectives::new(goals)? };
    let mut imported =
        Imported { name: name.into(), space, objectives, trials: Vec::new(), left_out: Vec::new() };
    for (at, raw) in own.iter().enumerate() {
        match trial(raw, at, &imported.space) {
            Ok(trial) => imported.trials.push(trial),
            Err(why) => imported.left_out.push(format!("trial {at}: {why}")),
        }
    }
    Ok(imported)
}

/// The parameter that has room for all of these distributions.
fn parameter(all: &[&Json]) -> Result<Parameter, String> {
    let first = all.first().ok_or("it has no distribution")?;
    let kind = first["name"].as_str().unwrap_or("");
    if all.iter().any(|own| own["name"] != first["name"]) {
        return Err("its distributions are of several kinds".into());
    }
    let at = |own: &&Json, key: &str| own["attributes"][key].as_f64();
    let low = all.iter().filter_map(|own| at(own, "low")).fold(f64::INFINITY, f64::min);
    let high = all.iter().filter_map(|own| at(own, "high")).fold(f64::NEG_INFINITY, f64::max);
    let is_log = all.iter().all(|own| own["attributes"]["log"] == true);
    let parameter = match kind {
        "FloatDistribution" => Parameter::float(low, high),
        "IntDistribution" => Parameter::int(low as i64, high as i64),
        "CategoricalDistribution" => {
            let mut choices: Vec<Value> = Vec::new();
            for choice in all
                .iter()
                .flat_map(|own| own["attributes"]["choices"].as_array().into_iter().flatten())
            {
                let choice = Value::from_stored(choice.clone());
                if !choices.contains(&choice) {
                    choices.push(choice);
                }
            }
            return Ok(Parameter::categorical(choices));
        }
        other => return Err(format!("the distribution '{other}' is not known")),
    };
    Ok(if is_log { parameter.log() } else { parameter })
}

fn trial(raw: &Raw, at: usize, space: &SearchSpace) -> Result<Trial, String> {
    if !matches!(raw.state, 1..=3) {
        return Err("it has not ended".into());
    }
    if let Some((missing, _)) = space.iter().find(|(name, _)| !raw.params.contains_key(*name)) {
        return Err(format!("it has no value for '{missing}'"));
    }
    let config = space.config(|(name, _)| {
        let Some((value, distribution)) = raw.params.get(name) else { return Value::Null };
        match distribution["name"].as_str() {
            Some("CategoricalDistribution") => {
                Value::from_stored(distribution["attributes"]["choices"][*value as usize].clone())
            }
            Some("IntDistribution") => Value::Int(*value as i64),
            _ => Value::Float(*value),
        }
    });
    space.check(&config).map_err(|error| error.to_string())?;
    let mut report = match (raw.state, &raw.values[..]) {
        (1, []) => return Err("it is complete and has no value".into()),
        (1, [value]) => Report::objective(*value),
        (1, values) => Report::objective(values.to_vec()),
        (2, _) => Report::failed("pruned by Optuna"),
        _ => Report::failed("failed in Optuna"),
    };
    if !raw.steps.is_empty() {
        report = report.learning_curve(raw.steps.values().copied());
    }
    if let (Some(start), Some(end)) = (raw.start, raw.end) {
        report = report.evaluation_duration((end - start).max(0.0));
    }
    let metadata = MetaData {
        time_sampled: raw.start.unwrap_or(0.0),
        time_started: raw.start,
        time_end: raw.end,
        evaluation_duration: report.evaluation_duration,
        evaluating_worker_id: Some("optuna".into()),
        sampling_worker_id: Some("optuna".into()),
        ..MetaData::default()
    };
    let mut trial = Trial::pending(TrialId::Number(at as u64 + 1), config, metadata);
    trial.state = if raw.state == 1 { State::Success } else { State::Failed };
    trial.attempts = 1;
    trial.report = Some(Box::new(report));
    Ok(trial)
}
