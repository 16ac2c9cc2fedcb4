//! Opens the study of a directory: recognises its layout, reads its definition, or removes it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::finding::Finding;
use super::layout::{Directory, Layout, Layouts, absolute, not_a_study};
use super::liveness::{Machine, Presence, lock_path};
use super::lock::is_held;
use crate::plain;
use trialmill_core::definition::{Definition, WarmStart};
use trialmill_core::error::StoreError;
use trialmill_core::event::{FORMAT, Process, ProcessId};
use trialmill_core::limits::MAX_STUDY_FILE_BYTES;
use trialmill_core::objectives::Objectives;
use trialmill_core::optimizer::OptimizerInfo;
use trialmill_core::space::SearchSpace;

/// `study.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct StudyJson {
    pub(super) format: u32,
    pub(super) layout: String,
    pub(super) study_id: String,
    pub(super) created_by: String,
    pub(super) time_created: f64,
    pub(super) seed: u64,
    pub(super) optimizer: OptimizerInfo,
    pub(super) space: Json,
    /// Absent unless the study sets them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) objectives: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) constraints: Option<Json>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub(super) evaluation: Map<String, Json>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) warm_start: Vec<WarmStart>,
}

impl Directory {
    /// Opens a study for writing, in one of these layouts.
    ///
    /// # Errors
    /// There is none, it is damaged, or a newer version wrote it.
    pub fn open_as(path: &Path, layouts: Layouts) -> Result<Self, StoreError> {
        let mut directory = Self::open_read_only_as(path, layouts)?;
        directory.prepare_for_writing()?;
        Ok(directory)
    }

    /// Checks that the study may be written, and that everything we write goes into directories of
    /// our own.
    pub(super) fn prepare_for_writing(&mut self) -> Result<(), StoreError> {
        if self.format > FORMAT {
            let (found, known) = (self.format, FORMAT);
            return Err(StoreError::Newer { path: self.path.clone(), found, known });
        }
        let mut own = vec![self.workers_path(), self.layout.trials_path(&self.path)];
        if self.layout.is_shared() {
            own.push(self.own_path());
        }
        for own in own {
            plain::own_dir(&own).map_err(StoreError::io("use", &own))?;
        }
        if !self.is_own {
            self.settle()?;
        }
        Ok(())
    }

    /// Opens a study read-only, including one that a newer version wrote.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn open_read_only_as(path: &Path, layouts: Layouts) -> Result<Self, StoreError> {
        let path = &absolute(path);
        let layout = match recognise(path, layouts) {
            Ok(Some(layout)) => layout,
            Ok(None) => {
                let problem = match std::fs::read_dir(path).map(|mut entries| entries.next()) {
                    Ok(None) => "it is empty",
                    Ok(Some(_)) => {
                        "it has no study.json; if one is being created just now, try again"
                    }
                    Err(_) => "it does not exist",
                };
                return Err(not_a_study(path, problem));
            }
            Err(StoreError::Foreign { path, name }) => {
                let problem = format!("it holds other files (such as {name}), and no study.json");
                return Err(not_a_study(&path, &problem));
            }
            Err(error) => return Err(error),
        };
        let is_own = !layout.is_shared() || has_own_files(layout, path);
        let (definition, format) = match is_own {
            true => own_definition(path, layout)?,
            // Only the other program has worked here so far.
            false => (layout.definition(path)?, FORMAT),
        };
        let (path, machine) = (path.clone(), Machine::here());
        Ok(Directory { path, layout, definition, format, is_own, machine, mount: None })
    }

    /// Whether our own files exist. If not, nothing has been drawn from a seed of ours yet.
    pub fn is_settled(&self) -> bool {
        !self.layout.is_shared() || has_own_files(self.layout, &self.path)
    }

    /// Removes a study, so that a new one can be created in its place; the directory itself stays.
    ///
    /// # Errors
    /// A process holds it, it is not a study, or it holds files that are not the study's: then
    /// nothing is removed.
    pub fn remove_as(path: &Path, layouts: Layouts) -> Result<(), StoreError> {
        let study_json = path.join("study.json");
        match recognise(path, layouts)? {
            None => return Ok(()),
            Some(layout) if !layout.is_shared() => {}
            Some(_) => {
                let problem = "NePS workers may be in it, and they leave no sign of life: only a \
                               person can know that nobody needs it, and remove it";
                return Err(not_a_study(path, problem));
            }
        }
        let directory = Self::open_read_only_as(path, layouts)?;
        if let Some(process) = directory.live_process()? {
            let who = format!("process p{process} of the study");
            return Err(StoreError::InUse { path: path.into(), who });
        }
        let entries = std::fs::read_dir(path).map_err(StoreError::io("read", path))?;
        let mut ours: Vec<PathBuf> = Vec::new();
        for entry in entries {
            let entry = entry.map_err(StoreError::io("read", path))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "study.json" && !name.starts_with("torn-") && !is_ours(&name) {
                let problem = format!("{name} is not the study's: move it away before overwriting");
                return Err(not_a_study(path, &problem));
            }
            ours.push(entry.path());
        }
        // `study.json` last: while it exists, an interrupted removal can be repeated.
        ours.sort_by_key(|path| *path == study_json);
        for path in ours {
            let removed = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            removed.map_err(StoreError::io("remove", &path))?;
        }
        Ok(())
    }

    /// Finds a process that holds a lock of the study.
    pub(super) fn live_process(&self) -> Result<Option<ProcessId>, StoreError> {
        let workers = self.workers_path();
        let entries = match std::fs::read_dir(&workers) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            entries => entries.map_err(StoreError::io("read", &workers))?,
        };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let number =
                name.to_str().and_then(|name| name.strip_prefix('p')?.strip_suffix(".lock"));
            if is_held(&entry.path()).map_err(StoreError::io("look at", &entry.path()))? {
                return Ok(Some(number.and_then(|n| n.parse().ok()).unwrap_or(0)));
            }
        }
        Ok(None)
    }

    /// Whether a process of the study lives, judged by its lock, or, if somebody removed the lock
    /// file, by whether it has the journal open.
    pub fn is_alive(&self, process: &Process) -> bool {
        let path = lock_path(&self.workers_path(), process.process);
        let journal = self.journal_path();
        let removed = || !plain::is_file(&path) && self.machine.has_open(process, &journal);
        is_held(&path).unwrap_or(true) || removed()
    }

    /// Takes the lock that shows the others that process `number` lives.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn presence(&self, number: ProcessId) -> Result<Presence, StoreError> {
        let workers = self.workers_path();
        plain::create_dir(&workers, 1).map_err(StoreError::io("create", &workers))?;
        Presence::take(lock_path(&workers, number), self.file_system().is_shared())
    }

    /// What is wrong with the other program's files, and which workers that stops.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn check(&self) -> Result<Vec<Finding>, StoreError> {
        self.layout.check(self)
    }
}

/// The layout of a directory, judged by its content; `None` if it contains no study, and a new one may
/// be created there.
///
/// Another machine may have just created the study while this machine's cache says, for up to a
/// minute, that it does not exist. So this asks the server before it believes that. And another process
/// may create the study at any moment: so a directory is refused for what it held *before* the last
/// search for a study.
///
/// # Errors
/// It holds something else, or cannot be read.
pub(super) fn recognise(
    path: &Path,
    layouts: Layouts,
) -> Result<Option<&'static dyn Layout>, StoreError> {
    let find = || layouts.iter().copied().find(|layout| layout.recognises(path));
    if let Some(layout) = find() {
        return Ok(Some(layout));
    }
    plain::ask_for_entries(path);
    let foreign = refuse_foreign(path);
    match find() {
        Some(layout) => Ok(Some(layout)),
        None => foreign.map(|()| None),
    }
}

/// Reads the definition in `study.json`, and the format of the journal.
pub(super) fn own_definition(
    path: &Path,
    layout: &'static dyn Layout,
) -> Result<(Definition, u32), StoreError> {
    let (mut definition, format) = read_study_json(path, layout)?;
    if layout.is_shared() {
        // Prefer the space in the other program's files: an earlier version of ours, which read
        // every confidence in a prior as low, may have stored ours. But only if the names and their
        // order are the same, because samples are drawn in that order.
        let theirs = layout.definition(path).map(|definition| definition.space);
        let same = |space: &Arc<SearchSpace>| space.names() == definition.space.names();
        if let Some(space) = theirs.ok().filter(same) {
            definition.space = space;
        }
    }
    Ok((definition, format))
}

/// Whether trialmill has worked in a directory of this layout.
pub fn has_own_files(layout: &dyn Layout, path: &Path) -> bool {
    plain::is_file(&layout.own_path(path).join("study.json"))
}

/// Refuses a directory that contains anything but what an interrupted creation leaves there.
fn refuse_foreign(path: &Path) -> Result<(), StoreError> {
    let entries = match std::fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(not_a_study(path, "it is not a directory"));
        }
        Err(error) => return Err(StoreError::io("read", path)(error)),
    };
    let names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let has = |name: &str| names.iter().any(|own| own == name);
    if has("study.json") {
        return Ok(());
    }
    match names.iter().find(|name| !is_ours(name)) {
        Some(name) => Err(StoreError::Foreign { path: path.into(), name: name.clone() }),
        None => Ok(()),
    }
}

/// Reads `study.json`; also returns its format.
fn read_study_json(path: &Path, layout: &dyn Layout) -> Result<(Definition, u32), StoreError> {
    let study_json = layout.own_path(path).join("study.json");
    let wrong = |problem: String| not_a_study(path, &format!("its study.json: {problem}"));
    if study_json.symlink_metadata().is_ok_and(|data| data.len() > MAX_STUDY_FILE_BYTES) {
        return Err(not_a_study(path, "its study.json is too large"));
    }
    let text = plain::read(&study_json, MAX_STUDY_FILE_BYTES)
        .map_err(StoreError::io("read", &study_json))?;
    let json: StudyJson = serde_json::from_slice(&text).map_err(|e| wrong(e.to_string()))?;
    if json.layout != layout.name() && !json.layout.starts_with("neps") {
        let problem = format!("its layout '{}' is not known to this version", json.layout);
        return Err(not_a_study(path, &problem));
    }
    let space = match &json.space {
        // A study converted from NePS, whose files do not always contain the search space.
        Json::Object(map) if map.is_empty() => SearchSpace::unknown(),
        space => SearchSpace::from_stored(space).map_err(|error| wrong(error.to_string()))?,
    };
    let objectives = json.objectives.as_ref().map(Objectives::from_json).transpose();
    let objectives =
        objectives.map(Option::unwrap_or_default).and_then(|objectives| match &json.constraints {
            Some(names) => objectives.with_constraints(names),
            None => Ok(objectives),
        });
    let objectives = objectives.map_err(|error| wrong(format!("its objectives: {error}")))?;
    let definition = Definition {
        objectives,
        study_id: json.study_id,
        space: Arc::new(space),
        optimizer: json.optimizer,
        seed: json.seed,
        evaluation: json.evaluation,
        warm_start: json.warm_start.into(),
    };
    Ok((definition, json.format))
}

fn is_ours(name: &str) -> bool {
    ["journal.lock", "journal.jsonl", "workers", "trials"].contains(&name)
        || name.starts_with("study.tmp-")
        || name.starts_with("journal.tmp-")
        || name.starts_with("journal.jsonl.before-repair-")
}
