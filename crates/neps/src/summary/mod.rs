//! The files that NePS's workers keep about a run in `summary/`: what the best is, how it came about, and
//! all trials as a table. In the words and the numbers of NePS 0.17, for the scripts that read them.

mod evaluated;
mod table;
mod text;

use std::path::Path;

use self::evaluated::evaluated;
use super::files::replace;
use super::space::read_space;
use trialmill_core::error::StoreError;
use trialmill_core::limits::LOCK_PAUSE_MAX;
use trialmill_core::study::StudyState;
use trialmill_core::trial::Trial;
use trialmill_store::{Directory, FileLock, plain};

/// Where they are in a directory that is shared with NePS.
const FOLDER: &str = "summary";
/// NePS's lock of them.
const LOCK: &str = ".summary.lock";

/// Writes the files to a folder, each as a whole. `ended` says that the run is over: NePS then says what
/// all of it used.
///
/// # Errors
/// One of them cannot be written.
pub fn write_summary(
    folder: &Path,
    directory: &Directory,
    study: &StudyState,
    ended: bool,
) -> Result<(), StoreError> {
    let (_, translation) = read_space(directory.path());
    let evaluated = evaluated(study);
    let location = |trial: &Trial| directory.trial_path(&trial.id).to_string_lossy().into_owned();
    let files = [
        ("full.csv", table::full(study, &translation, &location)),
        ("short.csv", table::short(study, &translation)),
        ("best_config.txt", text::best(study, &evaluated, &translation, ended)),
        ("best_config_trajectory.txt", text::trajectory(study, &evaluated, &translation)),
        ("incumbent_trajectory.csv", table::incumbents(&evaluated)),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        replace(&path, &text).map_err(StoreError::io("write", &path))?;
    }
    Ok(())
}

/// The same in the folder that NePS's workers use, unless one of them is at it now: then returns false.
pub(super) fn keep(
    directory: &Directory,
    study: &StudyState,
    ended: bool,
) -> Result<bool, StoreError> {
    let folder = directory.path().join(FOLDER);
    plain::create_dir(&folder, 1).map_err(StoreError::io("create", &folder))?;
    let lock = FileLock::open(&folder.join(LOCK))?.shared_with_others(LOCK_PAUSE_MAX);
    if !lock.try_lock()? {
        return Ok(false);
    }
    write_summary(&folder, directory, study, ended).map(|()| true)
}
