//! The copy of each trial in its directory: `config.yaml`, `metadata.json`, `report.yaml` and
//! `previous_trial_id.txt`, for people, and for NePS when its cache is lost.
//!
//! Each is either complete or absent, because it is written to a temporary file and renamed. They are
//! not synced one by one: the cache is synced, and the next process that opens the directory mends
//! them from it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::plain_data::{self, from_config, of_objective, to_config};
use super::record::{Extras, Record, Shared, View, Writer};
use super::space::Translation;
use super::value::Value;
use super::{json, yaml};
use trialmill_core::limits::MAX_LINE_BYTES;
use trialmill_core::trial::{Failure, Objective, Report, State, Trial, TrialId};
use trialmill_store::plain;

/// What the names of trials' directories begin with.
const PREFIX: &str = "config_";
/// The files of a trial.
const METADATA: &str = "metadata.json";
const PREVIOUS: &str = "previous_trial_id.txt";

/// The directories of all trials.
#[derive(Debug, Clone)]
pub(super) struct TrialFiles {
    configs: PathBuf,
    /// NePS's `NEPS_CONFIG_SERIALIZE_FORMAT`: `yaml`, or `json`.
    format: &'static str,
}

impl TrialFiles {
    pub(super) fn new(root: &Path) -> Self {
        let format = std::env::var("NEPS_CONFIG_SERIALIZE_FORMAT");
        let format = if format.is_ok_and(|format| format == "json") { "json" } else { "yaml" };
        TrialFiles { configs: root.join("configs"), format }
    }

    pub(super) fn directory(&self, id: &TrialId) -> PathBuf {
        self.configs.join(format!("{PREFIX}{id}"))
    }

    /// As NePS stores it in the metadata.
    pub(super) fn location(&self, id: &TrialId) -> String {
        self.directory(id).to_string_lossy().into_owned()
    }

    pub(super) fn report_path(&self, id: &TrialId) -> PathBuf {
        self.of(id, "report")
    }

    pub(super) fn metadata_path(&self, id: &TrialId) -> PathBuf {
        self.directory(id).join(METADATA)
    }

    fn config_path(&self, id: &TrialId) -> PathBuf {
        self.of(id, "config")
    }

    /// The path of a file: in the format in which it exists, otherwise in that of this process.
    fn of(&self, id: &TrialId, stem: &str) -> PathBuf {
        let directory = self.directory(id);
        let other = if self.format == "json" { "yaml" } else { "json" };
        let (own, other) = (
            directory.join(format!("{stem}.{}", self.format)),
            directory.join(format!("{stem}.{other}")),
        );
        if !plain::is_file(&own) && plain::is_file(&other) { other } else { own }
    }

    /// The names of the trials that have a directory, and of those directories that no trial can
    /// have.
    pub(super) fn list(&self) -> io::Result<(Vec<TrialId>, Vec<String>)> {
        let (mut ids, mut strange) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(&self.configs)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            match name.strip_prefix(PREFIX).map(str::parse) {
                Some(Ok(id)) => ids.push(id),
                Some(Err(_)) => strange.push(name),
                None => {}
            }
        }
        Ok((ids, strange))
    }

    /// Creates the directory of a new trial with all its files at once, by a rename: NePS and other
    /// readers never see a part of it.
    pub(super) fn create(&self, record: &View<'_>, translation: &Translation) -> io::Result<()> {
        let id = &record.trial.id;
        let temporary = self.configs.join(format!(".new_{PREFIX}{id}.{}", std::process::id()));
        match std::fs::create_dir(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made?,
        }
        let config = temporary.join(format!("config.{}", self.format));
        write(&config, &Self::config(record, translation, &config))?;
        write(&temporary.join(METADATA), &metadata(record, &self.location(id)))?;
        if let Some(previous) = &record.trial.metadata.previous_trial_id {
            write(&temporary.join(PREVIOUS), &previous.to_string())?;
        }
        std::fs::rename(&temporary, self.directory(id))
    }

    /// Writes what changes while a trial lives: its metadata, and its report once there is one.
    pub(super) fn update(&self, record: &View<'_>) -> io::Result<()> {
        let id = &record.trial.id;
        // The directory is only a copy and may have been removed; the next opener restores the rest.
        plain::create_dir(&self.directory(id), 1)?;
        let report_path = self.report_path(id);
        match &record.trial.report {
            // The file that NePS wrote contains more than we could write.
            Some(_) if record.extras.report.is_some() && plain::is_file(&report_path) => {}
            Some(report) => replace(&report_path, &text(&report_path, &report_value(report)))?,
            None => match std::fs::remove_file(&report_path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            },
        }
        replace(&self.metadata_path(id), &metadata(record, &self.location(id)))
    }

    /// Whether a trial's directory lacks the files that make it one, because its writer died.
    pub(super) fn is_incomplete(&self, id: &TrialId) -> bool {
        lacks(&self.metadata_path(id)) || lacks(&self.config_path(id))
    }

    /// Whether a file of a trial is missing or empty.
    pub(super) fn lacks_any(&self, trial: &Trial) -> bool {
        let id = &trial.id;
        lacks(&self.config_path(id))
            || lacks(&self.metadata_path(id))
            || (trial.report.is_some() && lacks(&self.report_path(id)))
    }

    /// Whether a trial's configuration or metadata is there and makes no sense: half written, say.
    pub(super) fn has_torn_files(&self, id: &TrialId) -> bool {
        let paths = [self.config_path(id), self.metadata_path(id)];
        paths.iter().any(|path| !lacks(path) && Self::value(path).is_err())
    }

    /// Why NePS cannot read a trial's report back, if it cannot.
    pub(super) fn report_problem(&self, id: &TrialId) -> Option<String> {
        Self::value(&self.report_path(id)).err()
    }

    /// Writes each file of a trial that is missing or empty. Returns whether there was one.
    pub(super) fn mend(&self, record: &View<'_>, translation: &Translation) -> io::Result<bool> {
        let id = &record.trial.id;
        plain::own_dir(&self.directory(id))?;
        if !plain::is_there(&self.directory(id)) {
            self.create(record, translation)?;
            self.update(record)?;
            return Ok(true);
        }
        let mut mended = false;
        if lacks(&self.config_path(id)) {
            let path = self.config_path(id);
            replace(&path, &Self::config(record, translation, &path))?;
            mended = true;
        }
        let report = record.trial.report.is_some() && lacks(&self.report_path(id));
        if report || lacks(&self.metadata_path(id)) {
            self.update(record)?;
            mended = true;
        }
        Ok(mended)
    }

    fn config(record: &View<'_>, translation: &Translation, path: &Path) -> String {
        if let Some(kept) = &record.extras.config
            && let Some(value) = plain_data::plain(kept, kept.root(), 0)
        {
            return text(path, &value);
        }
        let pairs = translation.to_neps(&record.trial.config);
        let pairs = pairs.into_iter().map(|(key, value)| (Value::Str(key), from_config(&value)));
        text(path, &Value::Map(pairs.collect()))
    }

    /// Reads a trial from its directory.
    ///
    /// # Errors
    /// What is missing, or makes no sense.
    pub(super) fn read(&self, id: &TrialId, shared: &mut Shared) -> Result<Record, String> {
        let meta = Self::value(&self.metadata_path(id))?;
        let config = Self::value(&self.config_path(id))?;
        let report_path = self.report_path(id);
        let report = match plain::is_file(&report_path) {
            true => Some(Self::value(&report_path)?),
            false => None,
        };
        let text = |key: &str| meta.get(key).and_then(Value::as_str).map(str::to_string);
        let time = |key: &str| meta.get(key).and_then(Value::as_f64);
        let state: State = text("state").ok_or("its metadata has no state")?.parse()?;
        let Value::Map(pairs) = config else { return Err("its config is not a mapping".into()) };
        let kept = shared.translation.is_one_way().then(|| {
            let mut writer = Writer::new(&shared.translation);
            let root = writer.value(&Value::Map(pairs.clone()));
            writer.pickle.set_root(root);
            Arc::new(writer.pickle)
        });
        let pairs = pairs.into_iter().map(|(key, value)| match key {
            Value::Str(key) => (key, to_config(&value)),
            key => (json::write(&key), to_config(&value)),
        });
        let metadata = shared.metadata(text, time)?;
        let config = shared.config(pairs.collect());
        let mut trial = Trial::pending(id.clone(), config, metadata);
        trial.state = state;
        trial.attempts = u32::from(trial.metadata.time_started.is_some());
        trial.report = report.map(|value| read_report(&value).map(Box::new)).transpose()?;
        let location = text("location").map(Into::into);
        let previous_location = text("previous_trial_location").map(Into::into);
        let extras = Extras { location, previous_location, config: kept, ..Extras::default() };
        Ok(Record { trial, extras })
    }

    fn value(path: &Path) -> Result<Value, String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let bytes = plain::read(path, MAX_LINE_BYTES as u64).map_err(|e| format!("{name}: {e}"))?;
        let value = match is_json(path) {
            true => json::read(&bytes).map_err(|error| error.to_string()),
            false => yaml::read(&bytes).map_err(|error| error.to_string()),
        };
        value.map_err(|problem| format!("{name}: {problem}"))
    }
}

fn metadata(record: &View<'_>, location: &str) -> String {
    let (meta, id) = (&record.trial.metadata, &record.trial.id);
    let text = |text: Option<&str>| text.map_or(Value::None, |text| Value::Str(text.into()));
    let time = |time: Option<f64>| time.map_or(Value::None, Value::Float);
    let previous = meta.previous_trial_id.as_ref().map(ToString::to_string);
    let sampled_by = meta.sampling_worker_id.as_deref().unwrap_or("trialmill");
    let fields = [
        ("id", text(Some(&id.to_string()))),
        ("location", text(Some(record.extras.location.as_deref().unwrap_or(location)))),
        ("state", text(Some(record.trial.state.name()))),
        ("previous_trial_id", text(previous.as_deref())),
        ("previous_trial_location", text(record.extras.previous_location.as_deref())),
        ("sampling_worker_id", text(Some(sampled_by))),
        ("time_sampled", Value::Float(meta.time_sampled)),
        ("evaluating_worker_id", text(meta.evaluating_worker_id.as_deref())),
        ("evaluation_duration", time(meta.evaluation_duration)),
        ("time_submitted", time(meta.time_submitted)),
        ("time_started", time(meta.time_started)),
        ("time_end", time(meta.time_end)),
    ];
    json::write(&map(fields))
}

fn report_value(report: &Report) -> Value {
    let text = |text: Option<&str>| text.map_or(Value::None, |text| Value::Str(text.into()));
    let time = |time: Option<f64>| time.map_or(Value::None, Value::Float);
    let failure = report.failure.as_deref();
    let curve = report.learning_curve.as_ref();
    let curve = curve.map(|curve| Value::List(curve.iter().map(of_objective).collect()));
    let objective = report.objective_to_minimize.as_ref().map(of_objective);
    let extra = report.extra.iter().flat_map(|map| map.iter());
    let extra = extra.map(|(key, json)| (Value::Str(key.clone()), Value::from_json(json)));
    map([
        ("cost", time(report.cost)),
        ("err", text(failure.map(|failure| failure.err.as_str()))),
        ("evaluation_duration", time(report.evaluation_duration)),
        ("extra", Value::Map(extra.collect())),
        ("learning_curve", curve.unwrap_or(Value::None)),
        ("objective_to_minimize", objective.unwrap_or(Value::None)),
        ("reported_as", text(Some(report.reported_as.name()))),
        ("tb", text(failure.and_then(|failure| failure.tb.as_deref()))),
    ])
}

fn read_report(value: &Value) -> Result<Report, String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_string);
    let number = |key: &str| value.get(key).and_then(Value::as_f64);
    let reported_as = text("reported_as").ok_or("its report does not say how it ended")?;
    let curve = match value.get("learning_curve") {
        Some(Value::List(curve)) => Some(curve.iter().filter_map(objective).collect()),
        _ => None,
    };
    let extra = match value.get("extra") {
        Some(Value::Map(pairs)) if !pairs.is_empty() => {
            let pair = |(key, value): &(Value, Value)| {
                let key = key.as_str().map_or_else(|| json::write(key), str::to_string);
                (key, value.to_json())
            };
            Some(Box::new(pairs.iter().map(pair).collect()))
        }
        _ => None,
    };
    let failure = text("err")
        .map(|err| Box::new(Failure { err_type: "Exception".into(), err, tb: text("tb") }));
    Ok(Report {
        objective_to_minimize: value.get("objective_to_minimize").and_then(objective),
        cost: number("cost"),
        account_for_cost: true,
        learning_curve: curve,
        extra,
        constraints: None,
        failure,
        reported_as: reported_as.parse()?,
        evaluation_duration: number("evaluation_duration"),
    })
}

/// One objective, or a list of them.
pub(super) fn objective(value: &Value) -> Option<Objective> {
    match value {
        Value::List(list) => {
            let list: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
            list.map(Objective::from)
        }
        value => value.as_f64().map(Objective::One),
    }
}

fn map<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Map(fields.into_iter().map(|(key, value)| (Value::Str(key.into()), value)).collect())
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json")
}

fn text(path: &Path, value: &Value) -> String {
    if is_json(path) { json::write(value) } else { yaml::write(value) }
}

/// Whether a file is certainly missing or empty. One that cannot be inspected may be sound, and
/// must not be written again.
fn lacks(path: &Path) -> bool {
    match plain::is_there(path).then(|| path.metadata()) {
        None => true,
        Some(Ok(data)) => data.len() == 0,
        Some(Err(error)) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    plain::create(path)?.write_all(text.as_bytes())
}

/// Replaces a file as a whole, without a sync.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}", std::process::id()));
    write(&temporary, text)?;
    std::fs::rename(&temporary, path)
}

/// An unused name in a directory, for a file that is set aside.
pub(super) fn free_name(own: &Path, name: &str) -> PathBuf {
    let numbered = |n: u32| match n {
        0 => own.join(name),
        n => own.join(format!("{name}.{n}")),
    };
    let is_free = |path: &PathBuf| path.symlink_metadata().is_err();
    (0..1000).map(numbered).find(is_free).unwrap_or_else(|| numbered(0))
}
