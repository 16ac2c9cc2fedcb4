//! When a run stops: what errors mean for it, and whether it waits for other processes.

use std::sync::Arc;

use super::enlisted::Enlisted;
use crate::evaluate::StopSignal;
use trialmill_core::study::{StopReason, StudyState};
use trialmill_core::trial::{Report, State};

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

/// Errors in a row in this process. One machine that lacks something fails every trial in a moment, and
/// would take the whole budget while others work: so it stops, whatever others do and whatever has
/// succeeded here before. Errors that take as long as a success are not of that kind.
#[derive(Debug, Default)]
pub(crate) struct Streak(parking_lot::Mutex<StreakState>);

#[derive(Debug, Default)]
struct StreakState {
    errors: u64,
    successes: u64,
    success_seconds: f64,
}

impl Streak {
    /// Takes a report; returns how many errors there were in a row once these are `limit` or more. A
    /// limit of 0 is none.
    pub(crate) fn note(&self, report: &Report, limit: u64) -> Option<u64> {
        let mut state = self.0.lock();
        let seconds = report.evaluation_duration.unwrap_or(0.0);
        match report.reported_as {
            State::Success => {
                state.errors = 0;
                state.successes += 1;
                state.success_seconds += seconds;
            }
            State::Crashed => {
                let usual = state.success_seconds / state.successes as f64;
                // Under a second nobody can tell soon from late.
                let soon = (usual / 2.0).max(usual.min(1.0));
                let is_soon = state.successes == 0 || seconds <= soon;
                state.errors = if is_soon { state.errors + 1 } else { 0 };
            }
            // That a configuration does not work is an answer.
            _ => state.errors = 0,
        }
        (limit > 0 && state.errors >= limit).then_some(state.errors)
    }
}

/// When a run in this process stops. Errors of earlier runs do not count against it.
#[derive(Debug, Clone)]
pub(crate) struct StopRules {
    pub(crate) on_error: OnError,
    pub(crate) wait_for_others: bool,
    pub(crate) enlisted: Enlisted,
    pub(crate) stop_signal: Arc<StopSignal>,
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
        stop_signal: Arc<StopSignal>,
    ) -> Self {
        StopRules {
            on_error,
            wait_for_others,
            enlisted,
            stop_signal,
            give_up_after,
            errors_before: study.errors(),
            successes_before: study.count(State::Success),
        }
    }

    pub(crate) fn errors(&self, study: &StudyState) -> u64 {
        study.errors().saturating_sub(self.errors_before)
    }

    /// Whether nothing has succeeded since the run began, after enough failures to be sure.
    pub(crate) fn nothing_succeeds(&self, study: &StudyState) -> bool {
        self.give_up_after > 0
            && self.errors(study) >= self.give_up_after
            && study.count(State::Success) <= self.successes_before
    }

    pub(crate) fn stop(&self, study: &StudyState) -> Option<StopReason> {
        let met = self.on_error.stops_all() && self.errors(study) > 0;
        (met || self.nothing_succeeds(study)).then_some(StopReason::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine whose data went away crashed 284 of 300 trials while another one worked.
    #[test]
    fn errors_in_a_row_that_come_soon_stop_a_process_and_others_do_not() {
        let success = |s| Report::objective(1.0).evaluation_duration(s);
        let crash = |s| Report::crashed("exit", "no data").evaluation_duration(s);
        let at = |reports: &[Report], limit| {
            let streak = Streak::default();
            reports.iter().position(|report| streak.note(report, limit).is_some())
        };
        let crashes = |n: usize, s: f64| vec![crash(s); n];
        assert_eq!(at(&crashes(30, 9.0), 20), Some(19), "nothing has succeeded");
        assert_eq!(at(&crashes(300, 9.0), 0), None, "no limit");
        let after = |s: f64, n, t| [vec![success(s)], crashes(n, t)].concat();
        assert_eq!(at(&after(60.0, 30, 2.0), 20), Some(20), "whatever has succeeded before");
        assert_eq!(at(&after(60.0, 300, 50.0), 20), None, "as long as a success");
        assert_eq!(at(&after(0.2, 30, 0.05), 20), Some(20), "short ones too");
        let between = [after(60.0, 19, 1.0), after(60.0, 19, 1.0)].concat();
        assert_eq!(at(&between, 20), None, "a success in between");
        let failed =
            [crashes(19, 1.0), vec![Report::failed("diverged")], crashes(19, 1.0)].concat();
        assert_eq!(at(&failed, 20), None, "an answer in between");
    }
}
