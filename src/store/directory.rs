//! A study's directory: what is where, how it is created by many processes at once, and how it is
//! recognised.
//!
//! ```text
//! DIR/study.json              what the study is; replaced as a whole, never edited
//! DIR/journal.jsonl           what happened: the truth
//! DIR/journal.lock            held while one batch is committed
//! DIR/workers/p<n>.lock       held for the life of process n
//! DIR/trials/<id>/            a trial's working directory, made when first needed
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::disk::{replace, sync_parent};
use super::liveness::{Place, Presence, lock_path};
use super::lock::{FileLock, is_held};
use crate::definition::Definition;
use crate::error::StoreError;
use crate::event::{Event, EventKind, FORMAT, Policy, Process, ProcessId, encode};
use crate::limits::{LOCK_TIMEOUT, MAX_LINE_BYTES, MAX_STUDY_FILE_BYTES};
use crate::optimizer::OptimizerInfo;
use crate::plain;
use crate::space::SearchSpace;
use crate::trial::TrialId;

/// `study.json`.
#[derive(Debug, Serialize, Deserialize)]
struct StudyJson {
    format: u32,
    layout: String,
    study_id: String,
    created_by: String,
    time_created: f64,
    seed: u64,
    optimizer: OptimizerInfo,
    space: Json,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    evaluation: Map<String, Json>,
}

/// A directory that holds a study in the journal layout.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    definition: Definition,
    place: Place,
}

impl Directory {
    /// Creates a study in a directory that is missing or empty, or opens the one that is there.
    /// Any number of processes may do this at once; one of them creates it. Tells whether we did.
    ///
    /// `seed` is compared only when it is given: without, an existing study keeps its own. `policy`
    /// is that of a new study; it is there before anybody can join.
    ///
    /// # Errors
    /// The directory holds something else, or a study with another space, optimizer or seed, or
    /// cannot be written.
    pub fn create_or_open(
        path: &Path,
        definition: Definition,
        seed: Option<u64>,
        policy: &Policy,
    ) -> Result<(Self, bool), StoreError> {
        let path = &absolute(path);
        if !path.join("study.json").exists() {
            refuse_foreign(path)?;
            std::fs::create_dir_all(path).map_err(StoreError::io("create", path))?;
            // Not every file system lets a directory be synced; then it has its own ways.
            path.ancestors().take(3).for_each(|dir| drop(sync_parent(dir)));
        }
        let lock = FileLock::open(&path.join("journal.lock"))?;
        lock.lock(LOCK_TIMEOUT)?;
        if path.join("study.json").exists() {
            lock.unlock()?;
            let directory = Self::open(path)?;
            directory.compare(&definition, seed)?;
            return Ok((directory, false));
        }
        let definition = match seed {
            Some(seed) => definition.seeded(seed),
            None => definition,
        };
        let workers = path.join("workers");
        plain::create_dir(&workers, 1).map_err(StoreError::io("create", &workers))?;
        let journal = path.join("journal.jsonl");
        if !is_left_by_a_creator(&journal) {
            return Err(not_a_study(path, "it has a journal.jsonl but no study.json"));
        }
        let mut first = Vec::new();
        let kind = EventKind::Policy(policy.clone());
        encode(0, &Event { time: crate::clock::now_s(), kind }, &mut first);
        replace(&journal, &first).map_err(StoreError::io("write", &journal))?;
        // Last, because this file is what makes the directory a study.
        let study_json = path.join("study.json");
        let text = StudyJson {
            format: FORMAT,
            layout: "journal".into(),
            study_id: definition.study_id.clone(),
            created_by: concat!("trialmill ", env!("CARGO_PKG_VERSION")).into(),
            time_created: crate::clock::now_s(),
            seed: definition.seed,
            optimizer: definition.optimizer.clone(),
            space: definition.space.to_json(),
            evaluation: definition.evaluation.clone(),
        };
        let text = serde_json::to_vec_pretty(&text).map_err(io::Error::from);
        let written = text.and_then(|text| match text.len() as u64 > MAX_STUDY_FILE_BYTES {
            true => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the study's description takes more than {MAX_STUDY_FILE_BYTES} bytes"),
            )),
            false => replace(&study_json, &text),
        });
        written.map_err(StoreError::io("write", &study_json))?;
        Ok((Directory { path: path.into(), definition, place: Place::here() }, true))
    }

    /// Opens a study for writing.
    ///
    /// # Errors
    /// There is none, it is damaged, or a newer version wrote it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let (directory, format) = Self::load(path)?;
        if format > FORMAT {
            return Err(StoreError::Newer { path: path.into(), found: format, known: FORMAT });
        }
        for own in [directory.workers_path(), directory.path.join("trials")] {
            plain::own_dir(&own).map_err(StoreError::io("use", &own))?;
        }
        Ok(directory)
    }

    /// Opens a study for looking, also one that a newer version wrote.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::load(path)?.0)
    }

    fn load(path: &Path) -> Result<(Self, u32), StoreError> {
        let path = &absolute(path);
        let study_json = path.join("study.json");
        match study_json.symlink_metadata() {
            Ok(data) if data.len() > MAX_STUDY_FILE_BYTES => {
                return Err(not_a_study(path, "its study.json is too large"));
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                refuse_foreign(path)?;
                let problem = match std::fs::read_dir(path).map(|mut entries| entries.next()) {
                    Ok(None) => "it is empty",
                    Ok(Some(_)) => {
                        "it has no study.json; if one is being created just now, try again"
                    }
                    Err(_) => "it does not exist",
                };
                return Err(not_a_study(path, problem));
            }
            _ => {}
        }
        let text = plain::read(&study_json, MAX_STUDY_FILE_BYTES)
            .map_err(StoreError::io("read", &study_json))?;
        let json: StudyJson = serde_json::from_slice(&text)
            .map_err(|error| not_a_study(path, &format!("its study.json: {error}")))?;
        if json.layout != "journal" {
            let problem = format!("its layout '{}' is not known to this version", json.layout);
            return Err(not_a_study(path, &problem));
        }
        let space = SearchSpace::from_json(&json.space)
            .map_err(|error| not_a_study(path, &format!("its study.json: {error}")))?;
        let definition = Definition {
            study_id: json.study_id,
            space: Arc::new(space),
            optimizer: json.optimizer,
            seed: json.seed,
            evaluation: json.evaluation,
        };
        Ok((Directory { path: path.into(), definition, place: Place::here() }, json.format))
    }

    fn compare(&self, wanted: &Definition, seed: Option<u64>) -> Result<(), StoreError> {
        let mismatch = |what, there: String, wanted: String| {
            Err(StoreError::Mismatch { path: self.path.clone(), what, there, wanted })
        };
        let own = &self.definition;
        if own.space != wanted.space {
            let (there, wanted) = differing_parameters(&own.space, &wanted.space);
            return mismatch("search space", there, wanted);
        }
        if own.optimizer != wanted.optimizer {
            let (there, wanted) = (own.optimizer.to_string(), wanted.optimizer.to_string());
            return mismatch("optimizer", there, wanted);
        }
        match seed {
            Some(seed) if seed != own.seed => {
                mismatch("seed", own.seed.to_string(), seed.to_string())
            }
            _ => Ok(()),
        }
    }

    /// Removes a study, so that a new one can be created in its place; the directory itself stays.
    ///
    /// # Errors
    /// A process holds it, it is not a study, or it holds files that are not the study's: then
    /// nothing is removed.
    pub fn remove(path: &Path) -> Result<(), StoreError> {
        let study_json = path.join("study.json");
        if !study_json.exists() {
            return refuse_foreign(path);
        }
        let directory = Self::open_read_only(path)?;
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
        // `study.json` last: while it is there, the rest can be removed another time.
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

    /// A process that holds a lock of the study.
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

    /// Whether a process of the study lives, by its lock.
    pub fn is_alive(&self, process: &Process) -> bool {
        let path = lock_path(&self.workers_path(), process.process);
        let removed = || !plain::is_file(&path) && self.place.is_running(process);
        is_held(&path).unwrap_or(true) || removed()
    }

    /// Takes the lock that shows the others that process `number` lives.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn presence(&self, number: ProcessId) -> Result<Presence, StoreError> {
        let workers = self.workers_path();
        plain::create_dir(&workers, 1).map_err(StoreError::io("create", &workers))?;
        Presence::take(lock_path(&workers, number))
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the study is.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The machine we are on.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The working directory of a trial, which may not exist yet.
    pub fn trial_path(&self, id: &TrialId) -> PathBuf {
        self.path.join("trials").join(id.to_string())
    }

    pub(super) fn workers_path(&self) -> PathBuf {
        self.path.join("workers")
    }

    /// The journal.
    pub fn journal_path(&self) -> PathBuf {
        self.path.join("journal.jsonl")
    }

    pub(super) fn journal_lock_path(&self) -> PathBuf {
        self.path.join("journal.lock")
    }
}

/// Commands may run in other directories, so every path that they get is absolute.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.into())
}

fn not_a_study(path: &Path, problem: &str) -> StoreError {
    StoreError::NotAStudy { path: path.into(), problem: problem.into() }
}

/// Refuses a directory that holds something else than what a creator of a study leaves there.
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
    if has("optimizer_info.yaml") || has(".optimizer_info.yaml") || has(".decision_lock") {
        let problem = "it is a directory of NePS, whose layouts this version does not read";
        return Err(not_a_study(path, problem));
    }
    match names.iter().find(|name| !is_ours(name)) {
        Some(name) => {
            let problem =
                format!("it holds other files (such as {name}); name an empty or new one");
            Err(not_a_study(path, &problem))
        }
        None => Ok(()),
    }
}

/// Whether a journal without a `study.json` has nothing but what a creator that died writes first.
fn is_left_by_a_creator(journal: &Path) -> bool {
    match plain::read(journal, MAX_LINE_BYTES as u64) {
        Err(error) => error.kind() == io::ErrorKind::NotFound,
        Ok(bytes) => {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
            bytes.is_empty() || (lines == 1 && find(&bytes, b"\"event\":\"policy\""))
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(bytes, what).is_some()
}

fn is_ours(name: &str) -> bool {
    ["journal.lock", "journal.jsonl", "workers", "trials"].contains(&name)
        || name.starts_with("study.tmp-")
        || name.starts_with("journal.tmp-")
        || name.starts_with("journal.jsonl.before-repair-")
}

fn differing_parameters(there: &SearchSpace, wanted: &SearchSpace) -> (String, String) {
    let side = |own: &SearchSpace, other: &SearchSpace| {
        let list: Vec<String> = own
            .iter()
            .filter(|(name, parameter)| other.get(name) != Some(parameter))
            .map(|(name, parameter)| {
                let mut text = format!("{name}: {}", parameter.domain());
                if let Some((prior, confidence)) = parameter.prior_value() {
                    text += &format!(", prior {prior} ({})", confidence.name());
                }
                text + if parameter.is_fidelity() { ", fidelity" } else { "" }
            })
            .collect();
        match (list.is_empty(), own.names() == other.names()) {
            (false, _) => list.join("; "),
            (true, true) => "nothing else".into(),
            (true, false) => format!("the parameters {}", own.names().join(", ")),
        }
    };
    (side(there, wanted), side(wanted, there))
}
