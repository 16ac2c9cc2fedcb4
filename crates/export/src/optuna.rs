//! Optuna's journal: the file that `optuna.storages.journal.JournalFileBackend` writes, with one operation on
//! each line. Optuna opens it, goes on with it, and its dashboard shows it.
//!
//! | op | what |
//! |---|---|
//! | 0 | a study, with its directions: 1 minimises, 2 maximises |
//! | 4 | a trial, as a whole where it has ended, else with state 0 |
//! | 6 | the end of such a trial: state 1 complete, 2 pruned, 3 failed |
//! | 7 | a value before the end |
//!
//! A category is stored by its place among the choices, and a whole number as a float.

use std::collections::HashMap;

use serde_json::{Value as Json, json};
use trialmill_core::config::Value;
use trialmill_core::objectives::Direction;
use trialmill_core::space::Domain;
use trialmill_core::trial::{State, Trial};
use trialmill_view::Live;
use trialmill_view::figures::{Axes, Curve, objectives};

use super::time::iso;

const WORKER: &str = "trialmill";

/// Writes a study as an Optuna journal, and what happens to it since.
#[derive(Debug, Default)]
pub struct Optuna {
    /// Rows of the ends that are written.
    rows: usize,
    /// Trials of Optuna's that there are.
    trials: usize,
    /// Those that run there, by the place of our trial.
    running: HashMap<u32, usize>,
    begun: bool,
}

impl Optuna {
    /// Nothing is written yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends what has happened since the last time.
    pub fn update(&mut self, live: &Live, out: &mut String) {
        let axes = Axes::of(live);
        let domains: Vec<(&str, &Domain, String)> = axes
            .list()
            .iter()
            .enumerate()
            .map(|(i, axis)| {
                (&*axis.name, axes.domain(i), distribution(axes.domain(i)).to_string())
            })
            .collect();
        if !self.begun {
            self.begun = true;
            let direction = |own: &Direction| if *own == Direction::Maximize { 2 } else { 1 };
            let directions: Vec<u8> =
                objectives(live).iter().map(|own| direction(&own.direction)).collect();
            let name = live.directory().path().file_name().map_or_else(
                || live.study().definition().study_id.clone(),
                |name| name.to_string_lossy().into_owned(),
            );
            line(
                out,
                &json!({"op_code": 0, "worker_id": WORKER, "study_name": name, "directions": directions}),
            );
        }
        let (ends, trials) = (live.runs().ends(), live.study().trials());
        for row in self.rows..ends.len() {
            let (place, time) = (ends.trial[row], ends.time[row]);
            let trial = trials.at(place);
            let values: Vec<f64> = ends.objectives.iter().map(|column| column[row]).collect();
            let values: Vec<f64> = values.into_iter().filter(|x| !x.is_nan()).collect();
            let complete = objectives(live).len() == values.len();
            let state = match ends.state[row] {
                State::Success | State::External if complete => 1,
                State::Pruned => 2,
                _ => 3,
            };
            if let Some(id) = self.running.remove(&place) {
                steps(out, id, trial);
                let mut end = json!({"op_code": 6, "worker_id": WORKER, "trial_id": id, "state": state, "datetime_complete": iso(time)});
                end["values"] = if state == 1 { json!("@values") } else { Json::Null };
                line_with(out, &end, &values);
                continue;
            }
            let mut whole = begun(trial, &domains, state);
            whole["datetime_complete"] = json!(iso(time));
            whole["values"] = if state == 1 { json!("@values") } else { Json::Null };
            let curve = Curve::of(trial, 0);
            let curve = curve.points.iter().filter(|(_, y)| y.is_finite());
            whole["intermediate_values"] =
                curve.map(|(step, y)| (format!("{step:.0}"), json!(y))).collect();
            line_with(out, &whole, &values);
            self.trials += 1;
        }
        self.rows = ends.len();
        // What was given back runs no longer there either.
        let gone: Vec<u32> = self
            .running
            .keys()
            .copied()
            .filter(|place| trials.at(*place).state != State::Evaluating)
            .collect();
        for place in gone {
            if let Some(id) = self.running.remove(&place) {
                line(
                    out,
                    &json!({"op_code": 6, "worker_id": WORKER, "trial_id": id, "state": 3, "values": null, "datetime_complete": iso(live.runs().span().map_or(0.0, |(_, last)| last))}),
                );
            }
        }
        for trial in live.study().evaluating() {
            let Some(place) = trials.position(&trial.id) else { continue };
            if self.running.contains_key(&place) {
                continue;
            }
            let mut whole = begun(trial, &domains, 0);
            whole["intermediate_values"] = json!({});
            line(out, &whole);
            self.running.insert(place, self.trials);
            self.trials += 1;
        }
    }
}

/// What a trial is from its beginning on.
fn begun(trial: &Trial, domains: &[(&str, &Domain, String)], state: u8) -> Json {
    let own = |name: &str| trial.config.get(name);
    let there = domains
        .iter()
        .filter_map(|(name, domain, text)| Some((*name, internal(domain, own(name)?)?, text)));
    let (mut params, mut distributions) = (serde_json::Map::new(), serde_json::Map::new());
    for (name, value, text) in there {
        params.insert(name.into(), json!(value));
        distributions.insert(name.into(), json!(text));
    }
    let meta = &trial.metadata;
    let failure = trial.report.as_ref().and_then(|report| report.failure.as_ref());
    let mut attributes = serde_json::Map::new();
    attributes.insert("trialmill:id".into(), json!(trial.id));
    if let Some(worker) = meta.evaluating_worker_id.as_deref() {
        attributes.insert("trialmill:worker".into(), json!(worker));
    }
    if let Some(failure) = failure {
        let text: String = failure.err.chars().take(1_000).collect();
        attributes.insert("trialmill:error".into(), json!(format!("{}: {text}", failure.err_type)));
    }
    if let Some(cost) =
        trial.report.as_ref().and_then(|report| report.cost).filter(|x| x.is_finite())
    {
        attributes.insert("trialmill:cost".into(), json!(cost));
    }
    json!({
        "op_code": 4,
        "worker_id": WORKER,
        "study_id": 0,
        "datetime_start": iso(meta.time_started.unwrap_or(meta.time_sampled)),
        "state": state,
        "params": params,
        "distributions": distributions,
        "user_attrs": attributes,
        "system_attrs": {},
    })
}

fn steps(out: &mut String, id: usize, trial: &Trial) {
    for (step, y) in Curve::of(trial, 0).points.iter().filter(|(_, y)| y.is_finite()) {
        line(
            out,
            &json!({"op_code": 7, "worker_id": WORKER, "trial_id": id, "step": *step as i64, "intermediate_value": y}),
        );
    }
}

/// A domain in Optuna's words. Optuna has a step or a logarithmic scale, and not both.
fn distribution(domain: &Domain) -> Json {
    match domain {
        Domain::Float { lower, upper, scale, step } => {
            let log = scale.is_log() && step.is_none();
            json!({"name": "FloatDistribution", "attributes": {"step": step, "low": lower, "high": upper, "log": log}})
        }
        Domain::Int { lower, upper, scale, step } => {
            let log = scale.is_log() && *step == 1;
            json!({"name": "IntDistribution", "attributes": {"log": log, "step": step, "low": lower, "high": upper}})
        }
        Domain::Categorical { choices, .. } => {
            json!({"name": "CategoricalDistribution", "attributes": {"choices": choices.iter().map(choice).collect::<Vec<_>>()}})
        }
        Domain::Constant { value } => {
            json!({"name": "CategoricalDistribution", "attributes": {"choices": [choice(value)]}})
        }
    }
}

/// A choice as Optuna may have it: it has no lists.
fn choice(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(x) => json!(x),
        Value::Int(x) => json!(x),
        Value::Float(x) if x.is_finite() => json!(x),
        other => json!(other.to_string()),
    }
}

/// A value as Optuna keeps it.
fn internal(domain: &Domain, value: &Value) -> Option<f64> {
    match domain {
        Domain::Categorical { choices, .. } => {
            choices.iter().position(|own| own == value).map(|at| at as f64)
        }
        Domain::Constant { .. } => Some(0.0),
        Domain::Float { .. } | Domain::Int { .. } => value.as_f64(),
    }
}

fn line(out: &mut String, operation: &Json) {
    *out += &operation.to_string();
    out.push('\n');
}

/// The same with the values in place of the text `@values`: Python's JSON has infinity, ours has not.
fn line_with(out: &mut String, operation: &Json, values: &[f64]) {
    let text = |x: &f64| match x {
        x if x.is_finite() => json!(x).to_string(),
        x => if *x > 0.0 { "Infinity" } else { "-Infinity" }.to_string(),
    };
    let list = format!("[{}]", values.iter().map(text).collect::<Vec<_>>().join(","));
    *out += &operation.to_string().replacen("\"@values\"", &list, 1);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // This is a test.

    use super::*;

    /// Whatever the moments at which a study was looked at, its trials are there once each at the end.
    #[test]
    fn what_follows_a_study_says_at_its_end_what_one_look_says() {
        let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures/journal-format-1");
        let live = Live::open(&fixture).unwrap();
        let mut out = String::new();
        Optuna::new().update(&live, &mut out);
        let lines: Vec<Json> = out
            .lines()
            .map(|line| serde_json::from_str(&line.replace("Infinity", "1e300")).unwrap())
            .collect();
        assert_eq!(lines[0]["op_code"], 0);
        let states: Vec<i64> =
            lines[1..].iter().map(|own| own["state"].as_i64().unwrap()).collect();
        let of = |state| states.iter().filter(|own| **own == state).count() as u64;
        let study = live.study();
        // One that is not a number is no value for Optuna.
        assert_eq!(of(1) + 1, study.count(State::Success), "{out}");
        assert_eq!(of(0), study.count(State::Evaluating));
        let before = out.len();
        let mut again = Optuna::new();
        again.update(&live, &mut out);
        let written = out.len();
        again.update(&live, &mut out);
        assert_eq!((written - before, out.len()), (before, written), "nothing has happened since");
    }
}
