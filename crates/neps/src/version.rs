//! The versions of NePS whose directories differ, and what each of them has or lacks.

use std::path::Path;

use trialmill_core::limits::{MAX_STUDY_FILE_BYTES, NEPS_READ_PAUSE, NEPS_READS};
use trialmill_core::trial::State;
use trialmill_store::plain;

/// A version of NePS, by its layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    /// 0.15 to 0.17.
    V0_15,
    /// 0.14.
    V0_14,
    /// 0.13.
    V0_13,
    /// 0.12, which has no trial cache.
    V0_12,
}

impl Version {
    /// The version that wrote a directory; `None` if it is not one of NePS.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let has = |name: &str| path.join(name).symlink_metadata().is_ok();
        if has("optimizer_info.yaml") || has("optimizer_state.pkl") || has("configs") {
            Some(with_cache(path))
        } else if has(".optimizer_info.yaml") || has(".decision_lock") || has("results") {
            Some(Version::V0_12)
        } else {
            None
        }
    }

    /// The nearest state that this version has: an unknown one would make the cache unreadable for
    /// it.
    pub(super) fn state(self, state: State) -> State {
        match (self, state) {
            (Version::V0_15, State::Submitted) => State::Pending,
            (Version::V0_14 | Version::V0_13, State::External) => State::Success,
            (_, state) => state,
        }
    }
}

/// Distinguishes the versions that have a trial cache, by their names for the limits in the
/// optimizer's state. NePS rewrites that file in place, so a reader that finds it empty tries
/// again.
fn with_cache(path: &Path) -> Version {
    for looks in 1..=NEPS_READS {
        let state = plain::read(&path.join("optimizer_state.pkl"), MAX_STUDY_FILE_BYTES);
        let state = state.unwrap_or_default();
        let names = |name: &str| memchr::memmem::find(&state, name.as_bytes()).is_some();
        if names("max_cost_total") {
            return Version::V0_13;
        } else if names("max_evaluations") {
            return Version::V0_14;
        } else if names("OptimizationState") || looks == NEPS_READS {
            break;
        }
        std::thread::sleep(NEPS_READ_PAUSE);
    }
    Version::V0_15
}
