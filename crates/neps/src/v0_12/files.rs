//! The directories of the trials, and NePS 0.12's files in them.
//!
//! NePS writes in place and syncs nothing. We create a directory with all its files at once, and each
//! file is either complete or absent. We do not sync them either: our journal is synced, and the next
//! process that opens the directory mends them from it.

use std::fs::{File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::text::{self, CostLine, End};
use crate::files::{free_name, replace};
use crate::json;
use crate::plain_data::to_config;
use crate::record::Shared;
use crate::unusable::Unusable;
use crate::value::Value;
use crate::yaml;
use trialmill_core::limits::{MAX_NEPS_TEXT_BYTES, NEPS_TIME_GRAIN};
use trialmill_core::trial::{MetaData, Report, Trial, TrialId};
use trialmill_store::FileSystem;
use trialmill_store::plain;

/// What the names of trials' directories begin with.
const PREFIX: &str = "config_";
const CONFIG: &str = "config.yaml";
const METADATA: &str = "metadata.yaml";
const RESULT: &str = "result.yaml";
const ERROR: &str = "error.yaml";
const PREVIOUS: &str = "previous_config.id";
const LOCK: &str = ".config_lock";

/// The directories of all trials.
#[derive(Debug, Clone)]
pub(super) struct TrialFiles {
    results: PathBuf,
    own: PathBuf,
    /// Whether other machines may write to it; this machine notices their new files late.
    is_shared: bool,
}

/// A stamp that changes when a file is written; `None` for an empty or missing file, which NePS
/// treats alike.
type Stamp = Option<(u64, u64, SystemTime)>;

/// The stamps of a trial's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stamps {
    pub(super) config: Stamp,
    pub(super) result: Stamp,
    pub(super) error: Stamp,
}

/// A stamp that changes when a trial's directory is created or removed.
pub(super) type ListStamp = Option<(SystemTime, u64)>;

impl TrialFiles {
    pub(super) fn new(root: &Path, own: &Path) -> Self {
        let is_shared = FileSystem::of(root).is_shared();
        TrialFiles { results: root.join("results"), own: own.into(), is_shared }
    }

    pub(super) fn results(&self) -> &Path {
        &self.results
    }

    pub(super) fn directory(&self, id: &TrialId) -> PathBuf {
        self.results.join(format!("{PREFIX}{id}"))
    }

    /// The lock that the evaluating worker holds.
    pub(super) fn lock_path(&self, id: &TrialId) -> PathBuf {
        self.directory(id).join(LOCK)
    }

    /// The trials that have a directory.
    pub(super) fn list(&self) -> io::Result<Vec<TrialId>> {
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(&self.results)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(Ok(id)) = name.strip_prefix(PREFIX).map(str::parse)
                && entry.file_type()?.is_dir()
            {
                ids.push(id);
            }
        }
        Ok(ids)
    }

    /// A stamp that changes with the list; `None` while a change could go unnoticed. Most file
    /// systems count the subdirectories of a directory. On the others only its modification time
    /// shows a change, and that cannot distinguish two changes of one moment.
    pub(super) fn list_stamp(&self) -> ListStamp {
        // Opens the directory, because on a network file system only that asks the server.
        let data = File::open(&self.results).and_then(|results| results.metadata()).ok()?;
        let time = data.modified().ok()?;
        let is_old = || time.elapsed().is_ok_and(|age| age > NEPS_TIME_GRAIN);
        (data.nlink() > 2 || is_old()).then_some((time, data.nlink()))
    }

    pub(super) fn stamps(&self, id: &TrialId) -> Stamps {
        let directory = self.directory(id);
        if self.is_shared {
            plain::ask_for_entries(&directory);
        }
        let stamp = |name: &str| {
            let data: Metadata = directory.join(name).metadata().ok()?;
            let written = (data.len() > 0).then_some(data)?;
            Some((written.ino(), written.len(), written.modified().ok()?))
        };
        Stamps { config: stamp(CONFIG), result: stamp(RESULT), error: stamp(ERROR) }
    }

    /// Creates the directory of a trial among our own files and renames it into place: NePS takes
    /// anything among its own files for a trial.
    pub(super) fn create(&self, trial: &Trial) -> io::Result<()> {
        let temporary = self.own.join(format!(".new_{PREFIX}{}", std::process::id()));
        match std::fs::remove_dir_all(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir(&temporary)?,
        }
        write(&temporary.join(CONFIG), &yaml::write_pure(&text::config(trial)))?;
        let metadata = text::metadata(Value::None, trial, None);
        write(&temporary.join(METADATA), &yaml::write_pure(&metadata))?;
        if let Some(previous) = &trial.metadata.previous_trial_id {
            write(&temporary.join(PREVIOUS), &previous.to_string())?;
        }
        File::create_new(temporary.join(LOCK))?;
        std::fs::rename(&temporary, self.directory(&trial.id))
    }

    /// Writes how a trial ended: its metadata and then its report, as NePS does.
    pub(super) fn end(
        &self,
        trial: &Trial,
        report: &Report,
        spent: Option<CostLine>,
    ) -> io::Result<()> {
        self.write_metadata(trial, spent)?;
        let (name, other, value) = match text::end(report) {
            End::Result(value) => (RESULT, ERROR, value),
            End::Error(value) => (ERROR, RESULT, value),
        };
        let directory = self.directory(&trial.id);
        remove(&directory.join(other))?;
        replace(&directory.join(name), &yaml::write_pure(&value))
    }

    /// Removes the files that record how a trial ended, if any: it is pending again.
    pub(super) fn reopen(&self, trial: &Trial) -> io::Result<()> {
        let directory = self.directory(&trial.id);
        let removed = remove(&directory.join(RESULT))? | remove(&directory.join(ERROR))?;
        if removed { self.write_metadata(trial, None) } else { Ok(()) }
    }

    fn write_metadata(&self, trial: &Trial, spent: Option<CostLine>) -> io::Result<()> {
        let path = self.directory(&trial.id).join(METADATA);
        // Preserves what NePS wrote there; content that is not valid YAML is replaced.
        let before = match plain::read(&path, MAX_NEPS_TEXT_BYTES as u64).map_err(Unusable::from) {
            Err(Unusable::Unreadable(error)) => return Err(error),
            _ => read_yaml(&path).unwrap_or(Value::None),
        };
        replace(&path, &yaml::write_pure(&text::metadata(before, trial, spent)))
    }

    /// Writes each file of a trial that is missing or empty. Returns whether there was one.
    pub(super) fn mend(&self, trial: &Trial) -> io::Result<bool> {
        let stamps = self.stamps(&trial.id);
        let mut mended = false;
        if !plain::is_there(&self.directory(&trial.id)) {
            self.create(trial)?;
            mended = true;
        } else if stamps.config.is_none() && !plain::is_hidden(&self.directory(&trial.id)) {
            let config = yaml::write_pure(&text::config(trial));
            replace(&self.directory(&trial.id).join(CONFIG), &config)?;
            mended = true;
        }
        if let Some(report) = &trial.report
            && stamps.result.is_none()
            && stamps.error.is_none()
        {
            self.end(trial, report, None)?;
            mended = true;
        }
        Ok(mended)
    }

    /// Whether nothing but their content keeps a trial's files from being understood.
    pub(super) fn can_be_read(&self, id: &TrialId) -> bool {
        let directory = self.directory(id);
        [CONFIG, RESULT, ERROR].iter().all(|name| match plain::open(&directory.join(name)) {
            Ok(_) => true,
            // No system refuses a link or a pipe: we do.
            Err(error) => error.kind() == io::ErrorKind::NotFound || error.raw_os_error().is_none(),
        })
    }

    /// Moves a directory among our own files; returns its new path.
    pub(super) fn set_aside(&self, path: &Path) -> io::Result<PathBuf> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let kept = free_name(&self.own, &format!("{}.set-aside", name.trim_start_matches('.')));
        std::fs::rename(path, &kept)?;
        Ok(kept)
    }

    /// Reads a trial's configuration and metadata, as a pending trial.
    ///
    /// # Errors
    /// Its configuration is missing or makes no sense.
    pub(super) fn read(&self, id: &TrialId, shared: &mut Shared) -> Result<Trial, String> {
        let directory = self.directory(id);
        let Value::Map(pairs) = read_yaml(&directory.join(CONFIG))? else {
            return Err(format!("{CONFIG} is not a mapping"));
        };
        let pairs = pairs.into_iter().map(|(key, value)| match key {
            Value::Str(key) => (key, to_config(&value)),
            key => (json::write(&key), to_config(&value)),
        });
        let config = shared.config(pairs.collect());
        // NePS continues without the metadata, too.
        let metadata = read_yaml(&directory.join(METADATA)).unwrap_or(Value::None);
        let time = |key: &str| metadata.get(key).and_then(Value::as_f64);
        let previous = plain::read(&directory.join(PREVIOUS), MAX_NEPS_TEXT_BYTES as u64);
        let previous = previous.ok().and_then(|text| String::from_utf8(text).ok());
        let metadata = MetaData {
            previous_trial_id: previous.and_then(|id| id.trim().parse().ok()),
            time_sampled: time("time_sampled").unwrap_or(f64::NAN),
            time_end: time("time_end"),
            ..MetaData::default()
        };
        Ok(Trial::pending(id.clone(), config, metadata))
    }

    /// When a trial ended, by its metadata.
    pub(super) fn time_end(&self, id: &TrialId) -> Option<f64> {
        read_yaml(&self.directory(id).join(METADATA)).ok()?.get("time_end")?.as_f64()
    }

    /// Reads how a trial ended: from `error.yaml` if `is_error`, otherwise from `result.yaml`.
    ///
    /// # Errors
    /// The file makes no sense.
    pub(super) fn report(&self, id: &TrialId, is_error: bool) -> Result<Report, String> {
        let directory = self.directory(id);
        match is_error {
            true => Ok(text::read_error(&read_yaml(&directory.join(ERROR))?)),
            false => {
                let mut report = text::read_result(&read_yaml(&directory.join(RESULT))?)?;
                if report.charged_cost().is_some()
                    && let Ok(metadata) = read_yaml(&directory.join(METADATA))
                {
                    report.account_for_cost = !text::is_uncharged(&metadata);
                }
                Ok(report)
            }
        }
    }
}

fn read_yaml(path: &Path) -> Result<Value, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let bytes =
        plain::read(path, MAX_NEPS_TEXT_BYTES as u64).map_err(|e| format!("{name}: {e}"))?;
    yaml::read(&bytes).map_err(|error| format!("{name}: {error}"))
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    File::create_new(path)?.write_all(text.as_bytes())
}

/// Returns whether there was one.
fn remove(path: &Path) -> io::Result<bool> {
    match std::fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
