//! The layouts: how a directory stores a study. A directory has one, fixed when it is created and
//! found by looking when it is opened.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::limits::{MAX_STUDY_FILE_BYTES, NEPS_LOOK_AGAIN, NEPS_LOOKS};
use crate::plain;
use crate::trial::{State, TrialId};

/// Where trialmill keeps what is its own in a directory that NePS shares: `study.json`, the signs
/// of life, and a journal of what NePS has no place for.
const OWN_ROOM: &str = ".trialmill";

/// How a directory stores a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Layout {
    /// trialmill's own: one journal.
    #[default]
    Journal,
    /// That of NePS 0.15 to 0.17, whose Python workers may work in it too.
    Neps,
    /// That of NePS 0.14.
    Neps014,
    /// That of NePS 0.13.
    Neps013,
    /// That of NePS 0.12.
    Neps012,
}

impl Layout {
    /// All of them.
    pub const ALL: [Layout; 5] =
        [Layout::Journal, Layout::Neps, Layout::Neps014, Layout::Neps013, Layout::Neps012];

    /// As the command line and `study.json` spell it.
    pub fn name(self) -> &'static str {
        match self {
            Layout::Journal => "journal",
            Layout::Neps => "neps",
            Layout::Neps014 => "neps-0.14",
            Layout::Neps013 => "neps-0.13",
            Layout::Neps012 => "neps-0.12",
        }
    }

    /// The layout of a directory, by what is in it; none if no study is there.
    pub fn of(path: &Path) -> Option<Self> {
        let has = |name: &str| path.join(name).symlink_metadata().is_ok();
        if has("study.json") {
            Some(Layout::Journal)
        } else if has("optimizer_info.yaml") || has("optimizer_state.pkl") || has("configs") {
            Some(neps_version(path))
        } else if has(".optimizer_info.yaml") || has(".decision_lock") || has("results") {
            Some(Layout::Neps012)
        } else {
            None
        }
    }

    /// Whether a directory of this layout is what `wanted` asks for: which of NePS's versions made a
    /// directory with a cache is found by looking.
    pub(super) fn is(self, wanted: Layout) -> bool {
        self == wanted || (self.has_cache() && wanted.has_cache())
    }

    /// Whether it is one of those of NePS with a trial cache.
    pub(super) fn has_cache(self) -> bool {
        matches!(self, Layout::Neps | Layout::Neps014 | Layout::Neps013)
    }

    /// The state that this version of NePS knows, and that comes nearest: one that it does not know
    /// would make its cache unreadable for it.
    pub(super) fn state(self, state: State) -> State {
        match (self, state) {
            (Layout::Neps, State::Submitted) => State::Pending,
            (Layout::Neps014 | Layout::Neps013, State::External) => State::Success,
            (_, state) => state,
        }
    }

    /// Where our own files are.
    pub(super) fn own_path(self, path: &Path) -> PathBuf {
        match self {
            Layout::Journal => path.into(),
            _ => path.join(OWN_ROOM),
        }
    }

    /// The working directory of a trial.
    pub(super) fn trial_path(self, path: &Path, id: &TrialId) -> PathBuf {
        match self {
            Layout::Journal => path.join("trials").join(id.to_string()),
            _ => self.trials_path(path).join(format!("config_{id}")),
        }
    }

    /// Where the trials' directories are.
    pub(super) fn trials_path(self, path: &Path) -> PathBuf {
        path.join(match self {
            Layout::Journal => "trials",
            Layout::Neps | Layout::Neps014 | Layout::Neps013 => "configs",
            Layout::Neps012 => "results",
        })
    }

    /// Whether trialmill has worked in a directory of this layout.
    pub(super) fn has_own(self, path: &Path) -> bool {
        plain::is_file(&self.own_path(path).join("study.json"))
    }
}

/// The version of NePS, by what it calls the limits in its optimizer's state. NePS rewrites that file
/// in its place, so who finds it empty looks again.
fn neps_version(path: &Path) -> Layout {
    for looks in 1..=NEPS_LOOKS {
        let state = plain::read(&path.join("optimizer_state.pkl"), MAX_STUDY_FILE_BYTES);
        let state = state.unwrap_or_default();
        let names = |name: &str| memchr::memmem::find(&state, name.as_bytes()).is_some();
        if names("max_cost_total") {
            return Layout::Neps013;
        } else if names("max_evaluations") {
            return Layout::Neps014;
        } else if names("OptimizationState") || looks == NEPS_LOOKS {
            break;
        }
        std::thread::sleep(NEPS_LOOK_AGAIN);
    }
    Layout::Neps
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|layout| layout.name() == text).ok_or_else(|| {
            let names = Self::ALL.map(Layout::name).join(", ");
            format!("'{text}' is not a layout; there are {names}")
        })
    }
}

impl std::fmt::Display for Layout {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
