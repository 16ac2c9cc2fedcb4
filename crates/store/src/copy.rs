//! Copies what evaluations left in a trial's directory.

use std::path::Path;

use super::Directory;
use trialmill_core::error::StoreError;
use trialmill_core::trial::TrialId;

/// The files that the layouts keep there.
const OWN: [&str; 9] = [
    "config.yaml",
    "metadata.json",
    "metadata.yaml",
    "report.yaml",
    "result.yaml",
    "error.yaml",
    "previous_trial_id.txt",
    "previous_config.id",
    ".config_lock",
];

/// Copies the files in a trial's directory to that of the same trial in another study, except for
/// those that the layouts keep there. Links are left out, because they may lead out of the study.
///
/// # Errors
/// One of them cannot be read or written.
pub fn copy_trial_files(from: &Directory, to: &Directory, id: &TrialId) -> Result<(), StoreError> {
    let (from, to) = (from.trial_path(id), to.trial_path(id));
    if from.is_dir() { copy(&from, &to, true) } else { Ok(()) }
}

fn copy(from: &Path, to: &Path, is_top: bool) -> Result<(), StoreError> {
    std::fs::create_dir_all(to).map_err(StoreError::io("create", to))?;
    for entry in std::fs::read_dir(from).map_err(StoreError::io("read", from))?.flatten() {
        let name = entry.file_name();
        let is_own = is_top && OWN.iter().any(|own| name == *own);
        let (source, target) = (entry.path(), to.join(&name));
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => copy(&source, &target, false)?,
            Ok(kind) if kind.is_file() && !is_own => {
                std::fs::copy(&source, &target).map_err(StoreError::io("copy", &source))?;
            }
            _ => {}
        }
    }
    Ok(())
}
