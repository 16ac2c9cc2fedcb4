//! A table of trials, in CSV.

use serde_json::{Map, Value as Json};
use trialmill::SearchSpace;
use trialmill_core::json;
use trialmill_core::objectives::Objectives;

use super::row::Row;
use crate::numbers::json_or_text;
use crate::print::say;

/// What a column of a parameter may be called besides.
const PARAMETER_PREFIXES: [&str; 2] = ["config.", "params_"];
/// What one may be called that is kept beside the result.
const EXTRA_PREFIXES: [&str; 2] = ["extra.", "user_attrs_"];
/// What a table of ours, of NePS or of Optuna says that belongs to the study that it is of: who evaluated
/// when and where, under which number. A column without a name, too: an index.
const OF_THE_OTHER_STUDY: [&str; 25] = [
    "",
    "Unnamed: 0",
    "id",
    "number",
    "trial_id",
    "previous_trial_id",
    "location",
    "sampling_worker_id",
    "evaluating_worker_id",
    "evaluating_host",
    "evaluation",
    "attempts",
    "time_sampled",
    "time_submitted",
    "time_started",
    "time_end",
    "evaluation_duration",
    "duration",
    "datetime_start",
    "datetime_complete",
    "reported_as",
    "account_for_cost",
    "err",
    "err_type",
    "tb",
];

/// What a column of a table is.
#[derive(Debug, PartialEq)]
enum Column {
    Parameter(String),
    Result(String),
    Extra(String),
    State,
    OfTheOtherStudy,
}

/// The trials of a table; says which of its columns are neither parameters nor results.
pub(super) fn rows(
    text: &str,
    space: &SearchSpace,
    goals: &Objectives,
) -> Result<Vec<Row>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let columns: Vec<Column> =
        header.iter().map(|name| column(name.trim(), space, goals)).collect();
    if text.trim().is_empty() {
        return Err("it is empty: a table with a line of names is needed, or a JSON array".into());
    }
    if !columns.iter().any(|column| matches!(column, Column::Result(_))) {
        return Err(format!(
            "no column is the objective: name one `objective` (there are: {})",
            header.iter().collect::<Vec<_>>().join(", ")
        ));
    }
    let mut names: Vec<&String> = columns
        .iter()
        .filter_map(|column| match column {
            Column::Parameter(name) => Some(name),
            _ => None,
        })
        .collect();
    names.sort_unstable();
    let twice = names.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(one),
        _ => None,
    });
    if let Some(name) = twice {
        return Err(format!("two columns are the parameter {name}"));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| why(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let mut row = Row {
            place: format!("line {line}"),
            config: Map::new(),
            result: Map::new(),
            state: None,
        };
        let mut extra = Map::new();
        for (column, cell) in columns.iter().zip(&record) {
            match column {
                Column::State => row.state = Some(cell.into()),
                Column::Parameter(name) if !cell.is_empty() || has_empty(space, name) => {
                    row.config.insert(name.clone(), unguarded(cell).into());
                }
                Column::Result(name) if !cell.is_empty() => {
                    let json = json::read(cell).unwrap_or_else(|_| cell.into());
                    if row.result.insert(name.clone(), json).is_some() {
                        return Err(format!("two columns are the {name}"));
                    }
                }
                Column::Extra(name) if !cell.is_empty() => {
                    let value = json_or_text(unguarded(cell));
                    if extra.insert(name.clone(), value).is_some() {
                        return Err(format!("two columns are called {name}"));
                    }
                }
                _ => {}
            }
        }
        if !extra.is_empty() {
            row.result.insert("extra".into(), Json::Object(extra));
        }
        rows.push(row);
    }
    let own = |column: &Column, name: &str| {
        matches!(column, Column::Extra(_)) && !EXTRA_PREFIXES.iter().any(|p| name.starts_with(p))
    };
    let others: Vec<&str> = columns
        .iter()
        .zip(&header)
        .filter(|(column, name)| own(column, name.trim()))
        .map(|(_, name)| name.trim())
        .collect();
    if !others.is_empty() {
        let known: Vec<&str> = space.iter().map(|(name, _)| name).collect();
        say(format_args!(
            "columns that are no parameter, objective, cost or learning curve are kept as `extra` values \
             beside the result: {}. (A column is called as its parameter is: {})",
            others.join(", "),
            known.join(", ")
        ));
    }
    Ok(rows)
}

/// Without what stands before that which a spreadsheet would run as a formula.
fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(['=', '+', '-', '@']) => rest,
        _ => cell,
    }
}

/// What is wrong with a table, without the words of the library that reads it.
fn why(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!("line {line}: it has {len} fields, and the first line has {expected_len}")
        }
        _ => error.to_string(),
    }
}

fn has_empty(space: &SearchSpace, name: &str) -> bool {
    let domain = space.get(name).map(trialmill::Parameter::domain);
    domain.is_some_and(|domain| domain.contains(&"".into()))
}

fn column(name: &str, space: &SearchSpace, goals: &Objectives) -> Column {
    let without = |prefixes: &[&str]| {
        let bare = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix));
        bare.map(str::to_string)
    };
    let parameter = without(&PARAMETER_PREFIXES);
    if let Some(bare) = parameter.clone().filter(|bare| space.get(bare).is_some()) {
        return Column::Parameter(bare);
    }
    let goal = name.strip_prefix("objective.").unwrap_or(name);
    let constraint = name.strip_prefix("constraint.").unwrap_or(name);
    match name {
        "state" => Column::State,
        "objective" | "objective_to_minimize" | "value" => Column::Result("objective".into()),
        _ if goals.position(goal).is_some() => Column::Result(goal.into()),
        _ if goals.constraints().iter().any(|own| own == constraint) => {
            Column::Result(constraint.into())
        }
        _ if space.get(name).is_some() => Column::Parameter(name.into()),
        "cost" => Column::Result("cost".into()),
        "learning_curve" => Column::Result("learning_curve".into()),
        _ if OF_THE_OTHER_STUDY.contains(&name) || name.starts_with("system_attrs_") => {
            Column::OfTheOtherStudy
        }
        // A parameter that this study does not have: a value of it is refused, as in JSON.
        _ => match (parameter, without(&EXTRA_PREFIXES)) {
            (Some(bare), _) => Column::Parameter(bare),
            (None, Some(bare)) => Column::Extra(bare),
            (None, None) => Column::Extra(name.into()),
        },
    }
}
