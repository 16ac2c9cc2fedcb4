//! The outcome of a run: the final study, and why the run ended.

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

    /// The trial with the best objective.
    pub fn best(&self) -> Option<&Trial> {
        self.study.best()
    }

    /// Why it ended.
    pub fn stopped(&self) -> StopReason {
        self.reason
    }

    /// Whether the user stopped it before it was done.
    pub fn was_interrupted(&self) -> bool {
        matches!(self.reason, StopReason::Interrupted | StopReason::Stopped)
    }

    /// The study's directory; `None` for a study in memory.
    pub fn directory(&self) -> Option<&Path> {
        self.directory.as_deref()
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |state| self.study.count(state);
        let succeeded = count(State::Success);
        write!(f, "{succeeded} trial{} succeeded", if succeeded == 1 { "" } else { "s" })?;
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
