//! `import`: trials that were evaluated elsewhere.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value as Json};
use trialmill::{Config, DirectClient, Error, Objective, Report, SearchSpace};
use trialmill_core::json;
use trialmill_core::limits::MAX_IMPORT_BYTES;
use trialmill_core::notation;
use trialmill_core::objectives::Objectives;

use super::print::{Dir, print, say};

/// Takes in trials that were evaluated elsewhere: optimizers learn from them, and none is charged to the
/// budget.
///
/// The file has one trial in each row: a column for each parameter (`lr`, `config.lr`, or Optuna's
/// `params_lr`), and its objective (`objective`, `objective_to_minimize`, `value`, or its name). Or it is a
/// JSON array of `{"config": {…}, "objective": …}`; what `trials --csv` and `trials --json` print is both.
/// Rows of trials that failed are left out. If one row is wrong, nothing is taken in.
#[derive(Args)]
pub(super) struct Import {
    #[command(flatten)]
    dir: Dir,
    /// CSV, or JSON where its name ends in .json
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What the words for a trial that ended well are, here and elsewhere.
const GOOD: [&str; 5] = ["success", "external", "complete", "completed", "finished"];
/// What a column may be called that says nothing which is kept.
const PARAMETER_PREFIXES: [&str; 2] = ["config.", "params_"];

/// A row of the file: its place there, its values, and what else it says.
struct Row {
    place: String,
    config: Map<String, Json>,
    result: Map<String, Json>,
    state: Option<String>,
}

impl Import {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let (space, goals) = client.with_study(|study| {
            (study.definition().space.clone(), study.definition().objectives.clone())
        })?;
        let wrong = |problem: String| Error::Setting(format!("{}: {problem}", self.file.display()));
        let text = read(&self.file).map_err(wrong)?;
        let is_json = self.file.extension().is_some_and(|extension| extension == "json");
        let rows = match is_json {
            true => json_rows(&text),
            false => csv_rows(&text, &space, &goals),
        };
        let rows = rows.map_err(wrong)?;
        let count = rows.len();
        let is_good = |row: &Row| {
            let state = row.state.as_ref().map(|state| state.to_lowercase());
            state.is_none_or(|state| GOOD.iter().any(|good| state.ends_with(good)))
        };
        let trials: Vec<(Config, Report)> = rows
            .into_iter()
            .filter(is_good)
            .map(|row| {
                trial(&row, &space, &goals).map_err(|problem| format!("{}: {problem}", row.place))
            })
            .collect::<Result<_, _>>()
            .map_err(wrong)?;
        let left = count - trials.len();
        let given = trials.len();
        let taken = client.import(trials)?;
        if left > 0 {
            let (rows, are) = if left == 1 { ("row", "is") } else { ("rows", "are") };
            say(format_args!("{left} {rows} of trials that did not succeed {are} left out"));
        }
        if given > taken {
            let were = if given - taken == 1 { "was" } else { "were" };
            say(format_args!("{} of them {were} here already", given - taken));
        }
        Ok(print(&format!("{} taken in\n", super::text::trials(taken as u64))))
    }
}

fn read(path: &Path) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let bytes = trialmill_store::plain::read_limited(file, MAX_IMPORT_BYTES)
        .map_err(|error| error.to_string())?;
    json::text(bytes)
}

fn trial(row: &Row, space: &SearchSpace, goals: &Objectives) -> Result<(Config, Report), String> {
    let config = space.given(&row.config).map_err(|error| error.to_string())?;
    let text = Json::Object(row.result.clone());
    let report = trialmill_runtime::evaluate::report_of(text, goals)?;
    match &report.objective_to_minimize {
        Some(Objective::One(x)) if x.is_nan() => Err("its objective is not a number".into()),
        _ => Ok((config, report)),
    }
}

fn json_rows(text: &str) -> Result<Vec<Row>, String> {
    let json = json::read(text)?;
    let list = json
        .as_array()
        .ok_or("an array of trials is needed: [{\"config\": {…}, \"objective\": …}]")?;
    let row = |(at, json): (usize, &Json)| {
        let place = format!("trial {}", at + 1);
        let wrong = || format!("{place}: an object with a `config` is needed");
        let mut map = notation::as_object(json).ok_or_else(wrong)?;
        let config = map.get("config").and_then(notation::as_object).ok_or_else(wrong)?;
        let state = map.get("state").and_then(Json::as_str).map(str::to_string);
        // What `trials --json` prints has a report of its own.
        let result = match map.get("report").and_then(notation::as_object) {
            Some(report) => report,
            None => {
                map.shift_remove("config");
                map
            }
        };
        let known = |(key, json): &(String, Json)| {
            let own = [
                "id",
                "state",
                "metadata",
                "steps",
                "reported_as",
                "evaluation_duration",
                "tb",
                "err",
                "err_type",
                "objectives",
            ];
            !own.contains(&key.as_str()) && !json.is_null()
        };
        Ok(Row { place, config, result: result.into_iter().filter(known).collect(), state })
    };
    list.iter().enumerate().map(row).collect()
}

/// What a column of a table is.
enum Column {
    Parameter(String),
    Result(String),
    State,
    Other,
}

fn csv_rows(text: &str, space: &SearchSpace, goals: &Objectives) -> Result<Vec<Row>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let columns: Vec<Column> =
        header.iter().map(|name| column(name.trim(), space, goals)).collect();
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
        for (column, cell) in columns.iter().zip(&record) {
            match column {
                Column::State => row.state = Some(cell.into()),
                Column::Parameter(name) if !cell.is_empty() || has_empty(space, name) => {
                    // Before what a spreadsheet would run as a formula.
                    let is_guarded =
                        cell.starts_with('\'') && cell[1..].starts_with(['=', '+', '-', '@']);
                    row.config.insert(name.clone(), cell[usize::from(is_guarded)..].into());
                }
                Column::Result(name) if !cell.is_empty() => {
                    let json = json::read(cell).unwrap_or_else(|_| cell.into());
                    if row.result.insert(name.clone(), json).is_some() {
                        return Err(format!("two columns are the {name}"));
                    }
                }
                _ => {}
            }
        }
        rows.push(row);
    }
    Ok(rows)
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
    let bare = PARAMETER_PREFIXES.iter().find_map(|prefix| name.strip_prefix(prefix));
    if let Some(bare) = bare.filter(|bare| space.get(bare).is_some()) {
        return Column::Parameter(bare.into());
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
        _ => Column::Other,
    }
}
