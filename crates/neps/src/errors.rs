//! `shared_errors.jsonl`: the errors of all workers. A NePS worker stops when it finds one, unless it
//! is set to ignore errors.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use super::files::replace;
use super::json;
use super::lock::SharedLock;
use super::value::Value;
use trialmill_core::config::Config;
use trialmill_core::error::StoreError;
use trialmill_core::limits::MAX_NEPS_TEXT_BYTES;
use trialmill_core::trial::{Failure, MetaData, Report, State, Trial, TrialId};
use trialmill_store::plain;

/// Its name in the directory.
pub(super) const FILE: &str = "shared_errors.jsonl";

/// What it has: trials that crashed, with who evaluated them and why. A line that makes no sense is passed
/// over.
pub(super) fn read(path: &Path) -> Result<Vec<Trial>, StoreError> {
    let bytes = match plain::read(path, MAX_NEPS_TEXT_BYTES as u64) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        bytes => bytes.map_err(StoreError::io("read", path))?,
    };
    Ok(String::from_utf8_lossy(&bytes).lines().filter_map(read_line).collect())
}

/// Takes out what it has of these trials: a NePS worker that minds errors could not start again.
pub(super) fn forget(root: &Path, ids: &[TrialId]) -> Result<(), StoreError> {
    let path = root.join(FILE);
    if !plain::is_there(&path) {
        return Ok(());
    }
    let mut lock = SharedLock::open(&root.join(".errors.lock"), "GLOBAL_ERR_FILELOCK")?;
    lock.lock()?;
    let bytes =
        plain::read(&path, MAX_NEPS_TEXT_BYTES as u64).map_err(StoreError::io("read", &path))?;
    let text = String::from_utf8_lossy(&bytes);
    let is_of = |line: &&str| read_line(line).is_some_and(|trial| ids.contains(&trial.id));
    let kept: Vec<&str> = text.lines().filter(|line| !is_of(line)).collect();
    if kept.len() < text.lines().count() {
        replace(&path, &kept.join("\n")).map_err(StoreError::io("write", &path))?;
    }
    lock.unlock()
}

fn read_line(line: &str) -> Option<Trial> {
    let json: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = |key: &str| json.get(key).and_then(|text| text.as_str()).map(str::to_string);
    let failure = Failure {
        err_type: text("err_type").unwrap_or_default(),
        err: text("err").unwrap_or_default(),
        tb: text("tb"),
    };
    let worker = text("worker_id").filter(|worker| !worker.is_empty());
    let metadata = MetaData {
        evaluating_worker_id: worker.map(|worker| worker.as_str().into()),
        ..MetaData::default()
    };
    let id = text("trial_id")?.parse().ok()?;
    let mut trial = Trial::pending(id, Config::new([].into(), Vec::new()), metadata);
    trial.state = State::Crashed;
    let report = Report { failure: Some(Box::new(failure)), ..Report::crashed("", "") };
    trial.report = Some(Box::new(report));
    Some(trial)
}

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
