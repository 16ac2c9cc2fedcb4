//! `import`: trials that were evaluated elsewhere.

mod row;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::Value as Json;
use trialmill::{Config, DirectClient, Error, Objective, Report, SearchSpace};
use trialmill_core::error::StudyError;
use trialmill_core::json;
use trialmill_core::limits::MAX_IMPORT_BYTES;
use trialmill_core::notation;
use trialmill_core::objectives::Objectives;

use super::print::{Dir, print, say};
use row::Row;

/// Takes in trials that were evaluated elsewhere: optimizers learn from them, and none is charged to the
/// budget.
///
/// The file has one trial in each row: a column for each parameter (`lr`, `config.lr`, or Optuna's
/// `params_lr`), and its objective (`objective`, `objective_to_minimize`, `value`, or its name). Or it is a
/// JSON array of `{"config": {…}, "objective": …}`; what `trials --csv` and `trials --json` print is both.
/// Other columns are kept beside the result, as its `extra` values; which, is said. Rows of trials that
/// failed are left out. If one row is wrong, nothing is taken in.
#[derive(Args)]
pub(super) struct Import {
    #[command(flatten)]
    dir: Dir,
    /// CSV, or JSON where its name ends in .json or it begins with `[`; `-` is stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// What the words for a trial that ended well are, here and elsewhere.
const GOOD: [&str; 5] = ["success", "external", "complete", "completed", "finished"];
impl Import {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let (space, goals) = client.with_study(|study| {
            (study.definition().space.clone(), study.definition().objectives.clone())
        })?;
        let wrong = |problem: String| Error::Setting(format!("{}: {problem}", self.file.display()));
        let read = super::input::read(&self.file, MAX_IMPORT_BYTES);
        let text = read.map_err(|error| error.to_string()).and_then(json::text).map_err(wrong)?;
        let is_json = self.file.extension().is_some_and(|extension| extension == "json");
        // No column is called so.
        let rows = match is_json || text.trim_start().starts_with('[') {
            true => json_rows(&text),
            false => table::rows(&text, &space, &goals),
        };
        let rows = rows.map_err(wrong)?;
        let count = rows.len();
        let is_good = |row: &Row| {
            let state = row.state.as_ref().map(|state| state.to_lowercase());
            state.is_none_or(|state| GOOD.iter().any(|good| state.ends_with(good)))
        };
        let rows: Vec<Row> = rows.into_iter().filter(is_good).collect();
        let at = |row: &Row, problem: &str| wrong(format!("{}: {problem}", row.place));
        let trials: Vec<(Config, Report)> = rows
            .iter()
            .map(|row| trial(row, &space, &goals).map_err(|problem| at(row, &problem)))
            .collect::<Result<_, _>>()?;
        let given = trials.len();
        let taken = client.import(trials).map_err(|error| match error {
            Error::Study(StudyError::Imported { at: of, problem }) if of < given => {
                at(&rows[of], &problem)
            }
            error => error,
        })?;
        let left = count - given;
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
        map.shift_remove("config");
        // What `trials --json` prints has a report of its own.
        let mut result = match map.shift_remove("report").as_ref().and_then(notation::as_object) {
            Some(report) => report,
            None => std::mem::take(&mut map),
        };
        for (key, json) in map {
            result.entry(key).or_insert(json);
        }
        let known = |(key, json): &(String, Json)| {
            let own = [
                "id",
                "state",
                "metadata",
                "steps",
                "notes",
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
