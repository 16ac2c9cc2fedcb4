//! When a run stops: what errors mean for it, and whether it waits for other processes.

use super::enlisted::Enlisted;
use trialmill_core::study::{StopReason, StudyState};

/// What an evaluation that fails or crashes means for the run (NePS: `on_error`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(try_from = "String")]
pub enum OnError {
    /// It is recorded and the run continues; it stops only when nothing at all succeeds.
    #[default]
    Ignore,
    /// The worker that met it stops; the run ends well.
    StopWorker,
    /// All workers stop, whichever process met it; the run ends well.
    StopAll,
    /// The worker that met it stops, and the run ends with the error.
    RaiseWorker,
    /// All workers stop, whichever process met it, and the run ends with the error.
    RaiseAny,
}

impl OnError {
    pub(crate) fn stops_worker(self) -> bool {
        self != OnError::Ignore
    }

    pub(crate) fn stops_all(self) -> bool {
        matches!(self, OnError::StopAll | OnError::RaiseAny)
    }

    pub(crate) fn raises(self) -> bool {
        matches!(self, OnError::RaiseWorker | OnError::RaiseAny)
    }
}

impl std::str::FromStr for OnError {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ignore" => Ok(OnError::Ignore),
            "stop-worker" => Ok(OnError::StopWorker),
            "stop-all" => Ok(OnError::StopAll),
            "raise-worker" => Ok(OnError::RaiseWorker),
            "raise-any" => Ok(OnError::RaiseAny),
            other => Err(format!(
                "'{other}' is not one of ignore, stop-worker, stop-all, raise-worker, raise-any"
            )),
        }
    }
}

impl TryFrom<String> for OnError {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// When a run in this process stops. Errors of earlier runs do not count against it.
#[derive(Debug, Clone)]
pub(crate) struct StopRules {
    pub(crate) on_error: OnError,
    pub(crate) wait_for_others: bool,
    pub(crate) enlisted: Enlisted,
    give_up_after: u64,
    errors_before: u64,
    successes_before: u64,
}

impl StopRules {
    pub(crate) fn new(
        study: &StudyState,
        on_error: OnError,
        wait_for_others: bool,
        give_up_after: u64,
        enlisted: Enlisted,
    ) -> Self {
        StopRules {
            on_error,
            wait_for_others,
            enlisted,
            give_up_after,
            errors_before: study.errors(),
            successes_before: study.count(trialmill_core::trial::State::Success),
        }
    }

    pub(crate) fn errors(&self, study: &StudyState) -> u64 {
        study.errors().saturating_sub(self.errors_before)
    }

    /// Whether nothing has succeeded since the run began, after enough failures to be sure.
    pub(crate) fn nothing_succeeds(&self, study: &StudyState) -> bool {
        self.errors(study) >= self.give_up_after
            && study.count(trialmill_core::trial::State::Success) <= self.successes_before
    }

    pub(crate) fn stop(&self, study: &StudyState) -> Option<StopReason> {
        let met = self.on_error.stops_all() && self.errors(study) > 0;
        (met || self.nothing_succeeds(study)).then_some(StopReason::Error)
    }
}
