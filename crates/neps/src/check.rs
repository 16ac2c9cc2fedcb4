//! What is wrong in a directory shared with NePS, and which workers that stops.

use std::path::{Path, PathBuf};

use super::cache::{Cache, News};
use super::extras::Found;
use super::files::TrialFiles;
use super::lock::SharedLock;
use super::record::{Shared, progress};
use super::space::read_space;
use super::state::StateFile;
use trialmill_core::error::StoreError;
use trialmill_core::limits::{NEPS_READ_PAUSE, NEPS_READS};
use trialmill_core::trial::{Trial, TrialId, Trials};
use trialmill_store::plain;
use trialmill_store::{Directory, Finding, FindingKind};

const CACHE: &str = "configs/.trial_cache.pkl";
const STATE: &str = "optimizer_state.pkl";
const ERRORS: &str = super::errors::FILE;
const BY_REPAIR: &str = "--repair mends it, and so does the next trialmill worker that comes";

/// Checks the files of a directory shared with NePS 0.13 to 0.17. Changes nothing and takes no
/// lock, so it may see files that others are writing at this moment.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn check(directory: &Directory) -> Result<Vec<Finding>, StoreError> {
    let root = directory.path();
    let configs = root.join("configs");
    let files = TrialFiles::new(root);
    let translation = read_space(root).1;
    let mut shared = Shared::new(directory.definition().space.names().clone(), translation);
    let mut found = Vec::new();
    let (known, whole) = inspect_cache(&configs, &mut shared, &mut found);
    let (ids, strange) = files.list().map_err(StoreError::io("read", &configs))?;
    if whole {
        found.extend(compare(&known, &files, &ids, &mut shared));
    }
    if known.trials.is_empty() && !ids.is_empty() && whole {
        let problem = "it is missing, but trials have directories: the first NePS worker \
                       that comes rebuilds it, but learns of no trials";
        found.push(Finding::damage(FindingKind::CacheMissing, CACHE, problem, BY_REPAIR));
    }
    if !strange.is_empty() {
        let problem = format!("entries that no trial can have: {}", strange.join(", "));
        let remedy = "look whether you need them; nothing here removes them";
        found.push(Finding::harmless(FindingKind::StrangeName, "configs", problem, remedy));
    }
    if let Err(problem) = StateFile::new(root).budget() {
        let problem = format!("{problem}: no NePS worker can start");
        found.push(Finding::damage(FindingKind::OptimizerState, STATE, problem, BY_REPAIR));
    }
    if !plain::is_file(&root.join("optimizer_info.yaml")) {
        let problem = "it is missing: no NePS worker can start";
        let remedy = "put it back from a backup, or from another study with the same optimizer";
        found.push(Finding::damage(
            FindingKind::OptimizerInfo,
            "optimizer_info.yaml",
            problem,
            remedy,
        ));
    }
    if root.join(ERRORS).metadata().is_ok_and(|data| data.len() > 0) {
        let problem = "it has errors: a NePS worker that does not ignore errors refuses to start";
        let remedy = "run NePS workers with ignore_errors=True, or move the file away";
        found.push(Finding::harmless(FindingKind::SharedErrors, ERRORS, problem, remedy));
    }
    Ok(found)
}

/// Moves a damaged cache to our own files, under the lock that every writer of the cache takes. The
/// next process that opens the directory rebuilds it from the trials' directories.
pub(crate) fn set_cache_aside(directory: &Directory) -> Result<PathBuf, StoreError> {
    let mut lock = SharedLock::open(&directory.path().join(".configs.lock"), "TRIAL_FILELOCK")?;
    lock.lock()?;
    let kept = (0..=u32::MAX)
        .map(|n| directory.own_path().join(format!("trial_cache.pkl.before-repair-{n}")))
        .find(|path| path.symlink_metadata().is_err());
    let (cache, kept) = (directory.path().join(CACHE), kept.unwrap_or_default());
    std::fs::rename(&cache, &kept).map_err(StoreError::io("set aside", &cache))?;
    Ok(kept)
}

/// The trials of the cache, and whether it could be read to its end.
fn inspect_cache(configs: &Path, shared: &mut Shared, found: &mut Vec<Finding>) -> (Found, bool) {
    let mut cache = Cache::new(configs, false);
    let mut known = Found::default();
    match cache.read_new(shared) {
        Ok(News { records, torn_at, .. }) => {
            known.learn(records);
            if let Some(offset) = torn_at {
                let problem = "its last record is cut off: every NePS worker dies of it";
                let finding = Finding::damage(FindingKind::TornCache, CACHE, problem, BY_REPAIR);
                found.push(Finding { byte: Some(offset), ..finding });
            }
            (known, true)
        }
        Err(error) => {
            let byte = match &error {
                StoreError::Damaged { offset, .. } => Some(*offset),
                _ => None,
            };
            let remedy = "--repair sets it aside and rebuilds it from the trials' directories";
            let finding =
                Finding::damage(FindingKind::CacheDamaged, CACHE, error.to_string(), remedy);
            found.push(Finding { byte, ..finding });
            (known, false)
        }
    }
}

fn compare(
    known: &Found,
    files: &TrialFiles,
    ids: &[TrialId],
    shared: &mut Shared,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |kind, of: Vec<TrialId>, harmless: bool, problem: &str, remedy| {
        if !of.is_empty() {
            let finding = Finding::harmless(kind, "configs", problem, remedy);
            found.push(Finding { harmless, ..finding.about(of) });
        }
    };
    let (mut adoptable, mut aside, mut unreadable) = (Vec::new(), Vec::new(), Vec::new());
    for id in ids.iter().filter(|id| known.trials.get(id).is_none()) {
        let list = match files.read(id, shared) {
            Ok(_) => &mut adoptable,
            Err(_) if files.is_incomplete(id) => &mut aside,
            Err(_) => &mut unreadable,
        };
        list.push(id.clone());
    }
    let of = |is: &dyn Fn(&Trial) -> bool| -> Vec<TrialId> {
        known.trials.iter().filter(|trial| is(trial)).map(|trial| trial.id.clone()).collect()
    };
    let unseen =
        |trial: &Trial| progress(trial.state) < 2 && plain::is_file(&files.report_path(&trial.id));
    let extras = |trial: &Trial| known.extras.get(&trial.id);
    add(
        FindingKind::VanishedFromCache,
        if known.trials.is_empty() { Vec::new() } else { adoptable },
        false,
        "trials have directories and are not in the cache: NePS dies of their ids",
        BY_REPAIR,
    );
    add(
        FindingKind::OrphanDirectory,
        aside,
        false,
        "directories of no trial, and too incomplete to be one: NePS dies of their names",
        "--repair moves them to .trialmill/, and so does the next trialmill worker",
    );
    add(
        FindingKind::UnreadableDirectory,
        unreadable,
        false,
        "directories that the cache does not know, with files that make no sense: NePS dies of their \
         names",
        "look at their files: mend them, or move the directories away; nothing here removes them",
    );
    add(
        FindingKind::LostReport,
        of(&unseen),
        false,
        "the cache has them as unfinished, but their reports exist",
        BY_REPAIR,
    );
    add(
        FindingKind::MissingFiles,
        lacking(&known.trials, files),
        false,
        "files of these trials are missing or empty: after a loss of the cache NePS cannot read them",
        BY_REPAIR,
    );
    add(
        FindingKind::TornFiles,
        torn(&known.trials, files),
        false,
        "the configuration or the metadata of these trials makes no sense: after a loss of the cache \
         nobody can read them",
        "remove the torn file (config.yaml or metadata.json); --repair then writes it again",
    );
    add(
        FindingKind::UnreadableReport,
        of(&|trial| extras(trial).report.is_some() && files.report_problem(&trial.id).is_some()),
        true,
        "their reports hold Python objects: NePS itself cannot read the files back, only the cache",
        "keep a copy of the cache; return plain numbers and texts from the evaluation",
    );
    add(
        FindingKind::ForeignException,
        of(&|trial| extras(trial).foreign_exception.is_some()),
        true,
        "their exceptions are of classes that not every Python has: a script without them cannot \
         read the cache",
        "open the directory only with scripts that define them",
    );
    found
}

/// The trials whose files are torn. NePS writes them in place, so they are read again for a while.
fn torn(trials: &Trials, files: &TrialFiles) -> Vec<TrialId> {
    let ids = trials.iter().map(|trial| &trial.id);
    let mut torn: Vec<&TrialId> = ids.filter(|id| files.has_torn_files(id)).collect();
    for _ in 1..NEPS_READS {
        if torn.is_empty() {
            break;
        }
        std::thread::sleep(NEPS_READ_PAUSE);
        torn.retain(|id| files.has_torn_files(id));
    }
    torn.into_iter().cloned().collect()
}

/// The trials whose files are missing. Another process may be about to write them, after the cache,
/// so this checks them again for a while.
fn lacking(trials: &Trials, files: &TrialFiles) -> Vec<TrialId> {
    let mut lacking: Vec<&Trial> = trials.iter().filter(|trial| files.lacks_any(trial)).collect();
    for _ in 1..NEPS_READS {
        if lacking.is_empty() {
            break;
        }
        std::thread::sleep(NEPS_READ_PAUSE);
        lacking.retain(|trial| files.lacks_any(trial));
    }
    lacking.into_iter().map(|trial| trial.id.clone()).collect()
}
