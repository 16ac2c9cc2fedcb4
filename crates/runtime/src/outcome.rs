//! What a run leaves: the study as it ended, and why.

use std::fmt;
use std::path::{Path, PathBuf};

use trialmill_core::study::{StopReason, StudyState};
use trialmill_core::trial::{State, Trial};

/// How a run ended. Printed, it is a short summary.
#[derive(Debug)]
pub struct Outcome {
    study: StudyState,
    reason: StopReason,
    directory: Option<PathBuf>,
}

impl Outcome {
    pub(super) fn new(study: StudyState, reason: StopReason, directory: Option<PathBuf>) -> Self {
        Outcome { study, reason, directory }
    }

    /// The study as it was when this process left it.
    pub fn study(&self) -> &StudyState {
        &self.study
    }

    /// The trial with the smallest objective.
    pub fn best(&self) -> Option<&Trial> {
        self.study.best()
    }

    /// Why it ended.
    pub fn stopped(&self) -> StopReason {
        self.reason
    }

    /// Whether somebody asked to stop before it was done.
    pub fn was_interrupted(&self) -> bool {
        self.reason == StopReason::Interrupted
    }

    /// Where the study is, unless it was in memory alone.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |state| self.study.count(state);
        write!(f, "{} trials succeeded", count(State::Success))?;
        for (state, n) in State::ALL.map(|state| (state, count(state))) {
            if state != State::Success && n > 0 {
                write!(f, ", {n} {state}")?;
            }
        }
        write!(f, "; stopped: {}", self.reason)?;
        if let Some(best) = self.best()
            && let Some(objective) = best.objective()
        {
            write!(f, "\nbest: {objective:?} by trial {} ({})", best.id, best.config)?;
        }
        Ok(())
    }
}
