//! Trials as a table for a spreadsheet, or for whoever reads CSV.
//!
//! A value is what a command is given: null is `null`, an empty text is empty, and so is the value of a
//! parameter that a trial does not have. A text that begins as a formula does would be run by the
//! spreadsheet that opens the table: a `'` stands before it, unless the table is asked for raw.

use std::error::Error;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use trialmill::Objective;
use trialmill_core::config::{Names, Value};
use trialmill_core::notation::Shown;
use trialmill_core::printable::no_formula;
use trialmill_view::{Summary, TrialRow};

/// The table of these trials, with a line end.
pub(super) fn table(
    summary: &Summary,
    rows: &[TrialRow<'_>],
    raw: bool,
) -> Result<String, Box<dyn Error>> {
    // Of NePS's directories the space is not always known: then the trials say what there is.
    let mut names: Vec<&str> =
        summary.study().definition().space.names().iter().map(|n| &**n).collect();
    let mut extras: Vec<&str> = Vec::new();
    let mut notes: Vec<&str> = Vec::new();
    let mut last: Option<&Names> = None;
    for row in rows {
        // Mostly all trials share the names of one list.
        if !last.is_some_and(|last| Arc::ptr_eq(last, row.config.names())) {
            add_new(&mut names, row.config.iter().map(|(name, _)| name));
            last = Some(row.config.names());
        }
        let extra = row.report.as_ref().and_then(|report| Some(report.extra?.0));
        add_new(&mut extras, extra.into_iter().flat_map(Map::keys).map(String::as_str));
        let noted = row.notes.map(|notes| notes.0);
        add_new(&mut notes, noted.into_iter().flat_map(Map::keys).map(String::as_str));
    }
    // Objectives with names have a column each.
    let goals = &summary.study().definition().objectives;
    let named: Option<Vec<String>> = goals
        .goals()
        .iter()
        .map(|goal| Some(format!("objective.{}", goal.name.as_ref()?)))
        .collect::<Option<_>>()
        .filter(|_| !goals.is_unsaid());
    let whole = if goals.maximises() { "objective" } else { "objective_to_minimize" };
    let objectives = named.clone().unwrap_or_else(|| vec![whole.into()]);
    let fields = ["cost", "err", "evaluation_duration"];
    let times = [
        "time_sampled",
        "time_started",
        "time_end",
        "evaluating_worker_id",
        "attempts",
        "evaluating_host",
        "evaluation",
    ];
    let last = ["err_type", "learning_curve"];

    let mut table = csv::Writer::from_writer(Vec::new());
    let own = ["id", "state", "previous_trial_id"].into_iter().map(String::from);
    let header = own
        .chain(names.iter().map(|name| format!("config.{name}")))
        .chain(objectives)
        .chain(goals.constraints().iter().map(|name| format!("constraint.{name}")))
        .chain(fields.into_iter().chain(times).chain(last).map(String::from))
        .chain(extras.iter().map(|name| format!("extra.{name}")))
        .chain(notes.iter().map(|name| format!("note.{name}")));
    table.write_record(header.map(|cell| guarded(cell, raw)))?;
    for row in rows {
        let (metadata, report) = (json(&row.metadata)?, json(&row.report)?);
        let text = |json: &Json| match json {
            Json::Null => String::new(),
            Json::String(text) => guarded(text.clone(), raw),
            other => other.to_string(),
        };
        let extra = row.report.as_ref().and_then(|report| Some(report.extra?.0));
        let mut cells =
            vec![row.id.to_string(), row.state.to_string(), text(&metadata["previous_trial_id"])];
        cells.extend(names.iter().map(|name| match row.config.get(name) {
            None => String::new(),
            Some(Value::Str(text)) => guarded(text.to_string(), raw),
            Some(value) => value.to_string(),
        }));
        match &named {
            None => cells.push(text(&json(&row.objective())?)),
            Some(named) => cells.extend((0..named.len()).map(|at| {
                let given = row.objective().and_then(|given| given.as_slice().get(at));
                given.map_or_else(String::new, |x| Objective::One(*x).to_string())
            })),
        }
        let constraints = row.report.as_ref().and_then(|report| report.constraints.as_ref());
        cells.extend(goals.constraints().iter().map(|name| {
            let value = constraints.and_then(|constraints| constraints.get(name));
            value.map_or_else(String::new, &text)
        }));
        cells.extend(fields.iter().map(|field| text(&report[field])));
        cells.extend(times.iter().map(|field| text(&metadata[field])));
        let curve = Some(row.learning_curve()).filter(|curve| !curve.is_empty());
        cells.extend([text(&report["err_type"]), text(&json(&curve)?)]);
        let shown = |json: Option<&Json>| match json {
            None => String::new(),
            Some(Json::String(text)) => guarded(text.clone(), raw),
            Some(other) => Shown(other).to_string(),
        };
        cells.extend(extras.iter().map(|name| shown(extra.and_then(|extra| extra.get(*name)))));
        let noted = row.notes.map(|notes| notes.0);
        cells.extend(notes.iter().map(|name| shown(noted.and_then(|notes| notes.get(*name)))));
        table.write_record(cells)?;
    }
    Ok(String::from_utf8(table.into_inner()?)?)
}

fn add_new<'a>(names: &mut Vec<&'a str>, more: impl Iterator<Item = &'a str>) {
    for name in more {
        if !names.contains(&name) {
            names.push(name);
        }
    }
}

fn json(part: &impl Serialize) -> serde_json::Result<Json> {
    serde_json::to_value(part)
}

fn guarded(text: String, raw: bool) -> String {
    if raw { text } else { no_formula(&text) }
}
