//! The tables of a summary, with the columns of NePS 0.17; those that nothing stands in are left out.

use serde_json::Map;

use super::evaluated::{Evaluated, config, objective};
use crate::plain_data::of_objective;
use crate::space::Translation;
use crate::value::Value;
use trialmill_core::printable::no_formula;
use trialmill_core::study::StudyState;
use trialmill_core::trial::{Report, State, Trial};

/// A column: its name, and its cells by the number of their row.
type Column = (String, Vec<(usize, String)>);

/// The columns in the order in which they came up.
#[derive(Default)]
struct Table {
    columns: Vec<Column>,
    places: rustc_hash::FxHashMap<String, usize>,
}

impl Table {
    fn set(&mut self, row: usize, name: &str, value: &Value) {
        if *value == Value::None {
            return;
        }
        let at = *self.places.entry(name.to_string()).or_insert_with(|| {
            self.columns.push((name.to_string(), Vec::new()));
            self.columns.len() - 1
        });
        self.columns[at].1.push((row, cell(value)));
    }

    /// A dict as a column for each of its keys, also of the dicts in it.
    fn set_all(&mut self, row: usize, name: &str, value: &Value) {
        match value {
            Value::Map(pairs) if !pairs.is_empty() => {
                for (key, value) in pairs {
                    let key = key.as_str().map_or_else(|| key.repr(), str::to_string);
                    self.set_all(row, &format!("{name}.{key}"), value);
                }
            }
            value => self.set(row, name, value),
        }
    }

    fn write(self, index: &str, ids: &[String], out: &mut String) {
        let names = self.columns.iter().map(|(name, _)| quoted(name));
        line(std::iter::once(index.to_string()).chain(names), out);
        let mut columns: Vec<_> =
            self.columns.into_iter().map(|(_, cells)| cells.into_iter().peekable()).collect();
        for (row, id) in ids.iter().enumerate() {
            let cells = columns.iter_mut().map(|cells| {
                cells.next_if(|(of, _)| *of == row).map_or_else(String::new, |(_, cell)| cell)
            });
            line(std::iter::once(quoted(id)).chain(cells), out);
        }
    }
}

/// All trials, a row each.
pub(super) fn full(
    study: &StudyState,
    translation: &Translation,
    location: &dyn Fn(&Trial) -> String,
) -> String {
    // Each group of columns at its place, as NePS has them.
    let (mut configs, mut extras, mut rest) =
        (Table::default(), Table::default(), Table::default());
    let mut trials: Vec<&Trial> = study.trials().iter().collect();
    trials.sort_by(|a, b| a.metadata.time_sampled.total_cmp(&b.metadata.time_sampled));
    let whole = match study.definition().objectives.maximises() {
        true => "objective",
        false => "objective_to_minimize",
    };
    for (row, trial) in trials.iter().enumerate() {
        if let Value::Map(pairs) = config(trial, translation) {
            for (name, value) in &pairs {
                configs.set(row, &format!("config.{}", name.as_str().unwrap_or("")), value);
            }
        }
        let report = trial.report.as_deref();
        let extra = report.and_then(|report| report.extra.as_deref());
        for (name, value) in extra.into_iter().flat_map(Map::iter) {
            extras.set_all(row, &format!("extra.{name}"), &Value::from_json(value));
        }
        rest.set(row, whole, &objective(trial));
        if let Some(report) = report {
            of_report(&mut rest, row, report, study);
        }
        of_metadata(&mut rest, row, trial, &location(trial));
    }
    let mut table = configs;
    for other in [extras, rest] {
        table.columns.extend(other.columns);
    }
    let ids: Vec<String> = trials.iter().map(|trial| trial.id.to_string()).collect();
    let mut out = String::new();
    table.write("id", &ids, &mut out);
    out
}

fn of_report(table: &mut Table, row: usize, report: &Report, study: &StudyState) {
    let curve = report.learning_curve.as_deref();
    let failure = report.failure.as_deref();
    table.set(row, "cost", &number(report.charged_cost()));
    table.set(
        row,
        "learning_curve",
        &curve.map_or(Value::None, |curve| Value::List(curve.iter().map(of_objective).collect())),
    );
    for (name, value) in
        study.definition().objectives.constraints().iter().zip(report.constraints.iter().flatten())
    {
        table.set(row, &format!("constraint.{name}"), &Value::Float(*value));
    }
    table.set(row, "err", &text(failure.map(|failure| failure.err.as_str())));
    table.set(row, "tb", &text(failure.and_then(|failure| failure.tb.as_deref())));
    table.set(row, "reported_as", &text(Some(report.reported_as.name())));
}

fn of_metadata(table: &mut Table, row: usize, trial: &Trial, location: &str) {
    let meta = &trial.metadata;
    let previous = meta.previous_trial_id.as_ref().map(ToString::to_string);
    table.set(row, "evaluation_duration", &number(meta.evaluation_duration));
    table.set(row, "location", &text(Some(location)));
    table.set(row, "state", &text(Some(trial.state.name())));
    table.set(row, "previous_trial_id", &text(previous.as_deref()));
    table.set(row, "sampling_worker_id", &text(meta.sampling_worker_id.as_deref()));
    table.set(row, "time_sampled", &Value::Float(meta.time_sampled));
    table.set(row, "evaluating_worker_id", &text(meta.evaluating_worker_id.as_deref()));
    table.set(row, "time_submitted", &number(meta.time_submitted));
    table.set(row, "time_started", &number(meta.time_started));
    table.set(row, "time_end", &number(meta.time_end));
    table.set(row, "attempts", &Value::Int(trial.attempts.into()));
}

/// How many trials are in each state, and the best one.
pub(super) fn short(study: &StudyState, translation: &Translation) -> String {
    let mut out = String::new();
    line([String::new(), "0".into()], &mut out);
    let mut row = |name: &str, value: &Value| line([quoted(name), cell(value)], &mut out);
    for state in State::ALL.into_iter().filter(|state| study.count(*state) > 0) {
        let count = i64::try_from(study.count(state)).unwrap_or(i64::MAX);
        row(&format!("num_{state}"), &Value::Int(count));
    }
    if let Some(best) = study.best() {
        row("best_objective_to_minimize", &objective(best));
        row("best_config_id", &text(Some(&best.id.to_string())));
        if let Value::Map(pairs) = config(best, translation) {
            pairs.iter().for_each(|(name, value)| row(name.as_str().unwrap_or(""), value));
        }
    }
    out
}

/// Of one objective: what had been used when a trial was evaluated, and the best so far.
pub(super) fn incumbents(evaluated: &[Evaluated<'_>]) -> String {
    let mut out = String::new();
    let head = ["trial_id", "cumulative_evaluations", "cumulative_cost", "cumulative_fidelities"]
        .into_iter()
        .chain(["cumulative_time", "objective_to_minimize"])
        .chain(["incumbent_objective_to_minimize", "is_incumbent"]);
    line(head.map(String::from), &mut out);
    for Evaluated { trial, usage, best } in evaluated {
        let Some((best, is_it)) = best else { continue };
        let cells = std::iter::once(quoted(&trial.id.to_string()))
            .chain(usage.named().into_iter().map(|(_, value)| cell(&value)))
            .chain([cell(&objective(trial)), cell(&Value::Float(*best))])
            .chain([cell(&Value::Bool(*is_it))]);
        line(cells, &mut out);
    }
    out
}

fn text(text: Option<&str>) -> Value {
    text.map_or(Value::None, Value::from)
}

fn number(number: Option<f64>) -> Value {
    number.map_or(Value::None, Value::Float)
}

/// A value as it stands in a table.
fn cell(value: &Value) -> String {
    match value {
        Value::None => String::new(),
        Value::Str(text) => quoted(&no_formula(text)),
        other => quoted(&other.repr()),
    }
}

fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_string(),
    }
}

fn line(cells: impl IntoIterator<Item = String>, out: &mut String) {
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&cell);
    }
    out.push('\n');
}
