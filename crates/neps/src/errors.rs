//! `shared_errors.jsonl`: the errors of all workers. A NePS worker stops when it finds one, unless it
//! is set to ignore errors.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use super::json;
use super::value::Value;
use trialmill_core::trial::Trial;
use trialmill_store::plain;

/// Adds the error of a trial. NePS joins the lines and ends the file without a line end.
pub(super) fn append(path: &Path, trial: &Trial) -> io::Result<()> {
    let Some(failure) = trial.report.as_ref().and_then(|report| report.failure.as_deref()) else {
        return Ok(());
    };
    let text = |text: Option<&str>| text.map_or(Value::None, |text| Value::Str(text.into()));
    let fields = [
        ("trial_id", text(Some(&trial.id.to_string()))),
        ("worker_id", text(Some(trial.metadata.evaluating_worker_id.as_deref().unwrap_or("")))),
        ("err_type", text(Some(&failure.err_type))),
        ("err", text(Some(&failure.err))),
        ("tb", text(failure.tb.as_deref())),
    ];
    let fields = fields.into_iter().map(|(key, value)| (Value::Str(key.into()), value));
    let line = json::write(&Value::Map(fields.collect()));
    let mut file = plain::open_to_write(OpenOptions::new().append(true).create(true), path)?;
    let first = file.metadata()?.len() == 0;
    let line = if first { line } else { format!("\n{line}") };
    file.write_all(line.as_bytes())
}
