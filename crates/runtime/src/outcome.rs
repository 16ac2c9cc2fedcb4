//! The outcome of a run: the final study, and why the run ended.

use std::fmt;
use std::path::{Path, PathBuf};

use trialmill_core::study::{StopReason, StudyState};
use trialmill_core::trial::{State, Trial, printable};

/// How many of the best trials are shown.
const SHOWN: usize = 5;

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

    /// The trial with the best objective, where trials have one.
    pub fn best(&self) -> Option<&Trial> {
        self.study.best()
    }

    /// The trials that no other is better than in every objective; of one objective, the best.
    pub fn front(&self) -> Vec<&Trial> {
        self.study.front()
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
        let goals = &self.study.definition().objectives;
        let front = self.front();
        let by = |trial: &Trial| {
            format!("{} by trial {} ({})", goals.shown(trial.objectives()), trial.id, trial.config)
        };
        match front[..] {
            [] if succeeded > 0 => write!(f, "\nbest: {}", goals.why_none_is_best(succeeded))?,
            [] => {}
            [best] => write!(f, "\nbest: {}", by(best))?,
            _ => {
                write!(
                    f,
                    "\nbest: {} trials, none of them better in every objective",
                    front.len()
                )?;
                front.iter().take(SHOWN).try_for_each(|trial| write!(f, "\n  {}", by(trial)))?;
                if front.len() > SHOWN {
                    write!(f, "\n  … and {} more", front.len() - SHOWN)?;
                }
            }
        }
        if let Some(failed) = self.study.last_error() {
            let report = failed.report.as_ref();
            let said = report.and_then(|report| Some(&*report.failure.as_ref()?.err));
            let said = said.and_then(|said| said.lines().next()).unwrap_or("no reason given");
            write!(f, "\nlast error: trial {}: {}", failed.id, printable(said))?;
        }
        Ok(())
    }
}
