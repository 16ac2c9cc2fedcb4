//! What stops the workers of NePS 0.12 in a directory.

use super::spending::Spending;
use trialmill_store::plain;
use trialmill_store::{Directory, Finding, FindingKind};

const BY_REPAIR: &str = "--repair keeps it aside, and so does the next trialmill worker that comes";

/// Checks the files that all trials share; what is wrong with a single trial shows in its state.
pub(crate) fn check(directory: &Directory) -> Vec<Finding> {
    let (root, mut found) = (directory.path(), Vec::new());
    if let Err(problem) = Spending::new(root).read() {
        let problem = format!("{problem}: no NePS worker can start");
        found.push(Finding::damage(
            FindingKind::OptimizerState,
            ".optimizer_state.yaml",
            problem,
            BY_REPAIR,
        ));
    }
    for name in ["seed_info.json", "py_rng.npy", "np_rng_state.npy"] {
        let path = root.join(".seed_state").join(name);
        if path.metadata().is_ok_and(|data| data.is_file() && data.len() == 0) {
            let problem = "it is empty: no NePS worker can start";
            let file = format!(".seed_state/{name}");
            found.push(Finding::damage(FindingKind::SeedState, file, problem, BY_REPAIR));
        }
    }
    if !plain::is_file(&root.join(".optimizer_info.yaml")) {
        let problem = "it is missing: the next NePS worker writes its own optimizer there";
        let remedy = "put it back from a backup";
        found.push(Finding::harmless(
            FindingKind::OptimizerInfo,
            ".optimizer_info.yaml",
            problem,
            remedy,
        ));
    }
    found
}
