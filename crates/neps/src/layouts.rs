//! NePS's layouts, as implementations of the store's `Layout`.

use std::path::{Path, PathBuf};

use super::staged::comes_later;
use super::store::NepsStore;
use super::v0_12::{self, Neps012Store};
use super::version::Version;
use super::{check, create, delete, errors, read, summary};
use trialmill_core::budget::Budget;
use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;
use trialmill_core::event::{Event, EventKind, Policy};
use trialmill_core::study::StudyState;
use trialmill_core::trial::{Trial, TrialId};
use trialmill_store::{
    Apply, Directory, Durability, Finding, Layout, Store, has_own_files, read_journal,
};

/// Where trialmill keeps its own files in a directory shared with NePS: `study.json`, the lock
/// files of its processes, and a journal for what NePS's files cannot represent.
const OWN_ROOM: &str = ".trialmill";

/// All of them, the newest first.
pub static LAYOUTS: [&dyn Layout; 4] =
    [&Version::V0_15, &Version::V0_14, &Version::V0_13, &Version::V0_12];

impl Layout for Version {
    fn name(&self) -> &'static str {
        match self {
            Version::V0_15 => "neps",
            Version::V0_14 => "neps-0.14",
            Version::V0_13 => "neps-0.13",
            Version::V0_12 => "neps-0.12",
        }
    }

    fn family(&self) -> &'static str {
        match self {
            Version::V0_12 => self.name(),
            _ => "neps",
        }
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn lock_paths(&self, path: &Path) -> Vec<PathBuf> {
        let names: &[&str] = match self {
            Version::V0_12 => &[".decision_lock"],
            _ => &[".optimizer.lock", ".configs.lock"],
        };
        names.iter().map(|name| path.join(name)).collect()
    }

    fn error_log(&self, path: &Path) -> Result<Vec<Trial>, StoreError> {
        match self {
            // Our journal has them.
            Version::V0_12 => Ok(Vec::new()),
            _ => errors::read(&path.join(errors::FILE)),
        }
    }

    fn forget_errors(&self, path: &Path, ids: &[TrialId]) -> Result<(), StoreError> {
        match self {
            Version::V0_12 => Ok(()),
            _ => errors::forget(path, ids),
        }
    }

    fn curve_is_objective(&self) -> bool {
        *self != Version::V0_12
    }

    fn delete(&self, directory: &Directory, ids: &[TrialId]) -> Result<(), StoreError> {
        match self {
            // There our journal is the truth.
            Version::V0_12 => directory.delete_from_journal(ids),
            _ => delete::delete(directory, *self, ids),
        }
    }

    fn keeps_summary(&self) -> bool {
        true
    }

    fn write_summary(
        &self,
        directory: &Directory,
        study: &StudyState,
        ended: bool,
    ) -> Result<bool, StoreError> {
        summary::keep(directory, study, ended)
    }

    fn recognises(&self, path: &Path) -> bool {
        Version::of(path) == Some(*self)
    }

    fn own_path(&self, path: &Path) -> PathBuf {
        path.join(OWN_ROOM)
    }

    fn trials_path(&self, path: &Path) -> PathBuf {
        path.join(if *self == Version::V0_12 { "results" } else { "configs" })
    }

    fn trial_path(&self, path: &Path, id: &TrialId) -> PathBuf {
        self.trials_path(path).join(format!("config_{id}"))
    }

    fn create(
        &self,
        path: &Path,
        definition: &Definition,
        policy: &Policy,
    ) -> Result<bool, StoreError> {
        create::create(path, *self, definition, policy)
    }

    fn definition(&self, path: &Path) -> Result<Definition, StoreError> {
        create::definition(path, *self)
    }

    fn budget(&self, path: &Path) -> Budget {
        create::budget(path, *self)
    }

    fn open(
        &self,
        directory: &Directory,
        durability: Durability,
    ) -> Result<Box<dyn Store>, StoreError> {
        match self {
            Version::V0_12 => Ok(Box::new(Neps012Store::open(directory, durability)?)),
            _ => Ok(Box::new(NepsStore::open(directory, *self, durability)?)),
        }
    }

    fn read(
        &self,
        directory: &Directory,
        apply: Apply<'_>,
    ) -> Result<Option<StoreError>, StoreError> {
        if *self == Version::V0_12 {
            return v0_12::read_study(directory, apply);
        }
        // The trials that the steps and notes of our journal belong to are read after it.
        let (mut later, mut policy): (Vec<Event>, _) = (Vec::new(), None);
        let own = match has_own_files(self, directory.path()) {
            true => read_journal(directory, &mut |event| match event.kind {
                _ if comes_later(&event.kind) => {
                    later.push(event);
                    Ok(())
                }
                EventKind::Policy(new) => {
                    later.retain(|event| !matches!(event.kind, EventKind::Stopped { .. }));
                    policy = Some(*new);
                    Ok(())
                }
                _ => apply(event),
            })?,
            false => None,
        };
        let problem = read::read_trials(directory, policy, apply)?.or(own);
        later.into_iter().for_each(|event| drop(apply(event)));
        Ok(problem)
    }

    fn check(&self, directory: &Directory) -> Result<Vec<Finding>, StoreError> {
        match self {
            Version::V0_12 => Ok(v0_12::check(directory)),
            _ => check::check(directory),
        }
    }

    fn set_damage_aside(&self, directory: &Directory) -> Result<PathBuf, StoreError> {
        check::set_cache_aside(directory)
    }
}
