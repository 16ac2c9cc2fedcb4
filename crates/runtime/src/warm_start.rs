//! Reads what a new study begins with of other studies (`warm_start`), in any layout and without writing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use trialmill_core::definition::{Definition, WarmStart};
use trialmill_core::error::Error;
use trialmill_core::limits::WARM_START_STUDIES;
use trialmill_core::study::StudyState;
use trialmill_core::warm_start::{self, Other};
use trialmill_layouts::Studies;
use trialmill_store::{Directory, read_study};

/// What a study of this definition takes of each of the directories.
///
/// # Errors
/// One is not a study, or has nothing for this one; says which, and why.
pub(super) fn taken(
    directories: &[PathBuf],
    definition: &Definition,
) -> Result<Arc<[WarmStart]>, Error> {
    if directories.len() > WARM_START_STUDIES {
        let problem = format!("warm_start: at most {WARM_START_STUDIES} directories");
        return Err(Error::Setting(problem));
    }
    directories.iter().map(|path| one(path, directories.len(), definition)).collect()
}

fn one(path: &Path, sources: usize, definition: &Definition) -> Result<WarmStart, Error> {
    let wrong = |problem: &dyn std::fmt::Display| {
        Error::Setting(format!("warm_start: {}: {problem}", path.display()))
    };
    let directory = Directory::open_read_only(path).map_err(|error| wrong(&error))?;
    let mut study = StudyState::new(directory.definition().clone());
    let problem = read_study(&directory, &mut |event| study.apply(event));
    if let Some(problem) = problem.map_err(|error| wrong(&error))? {
        tracing::warn!("warm_start: {}: only what is before the damage: {problem}", path.display());
    }
    let theirs = study.definition();
    let other = Other {
        directory: &path.to_string_lossy(),
        study_id: &theirs.study_id,
        space: &theirs.space,
        objectives: &theirs.objectives,
        trials: study.trials(),
    };
    let taken = warm_start::taken(other, &definition.space, &definition.objectives, sources)
        .map_err(|problem| wrong(&problem))?;
    let parameters = taken.parameters();
    let lacks = |name: &&str| !parameters.contains(name);
    let missing: Vec<&str> = definition.space.iter().map(|(name, _)| name).filter(lacks).collect();
    tracing::info!(
        "the study begins with {} of {} trials of {}: {}{}",
        taken.trials.len(),
        taken.of,
        path.display(),
        parameters.join(", "),
        if missing.is_empty() { String::new() } else { format!("; not {}", missing.join(", ")) },
    );
    Ok(taken)
}
