//! Evaluations by a closure of this program, on a thread of its own.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Ended, RunningTrial, panic_message};
use trialmill_core::error::BoxError;
use trialmill_core::trial::Report;

thread_local! {
    static CURRENT: RefCell<Option<RunningTrial>> = const { RefCell::new(None) };
}

/// The trial that this thread is evaluating, if it is (NePS: `get_in_progress_trial`). Each worker
/// has its own; a thread that the evaluation starts by itself has none.
pub fn current_trial() -> Option<RunningTrial> {
    CURRENT.with_borrow(Clone::clone)
}

/// Evaluates, and turns an error or a panic into a crashed report.
pub fn evaluate_fenced<R: Into<Report>>(
    evaluate: impl Fn(&RunningTrial) -> Result<R, BoxError>,
    trial: &RunningTrial,
) -> Ended {
    let evaluate = || evaluate(trial).map(Into::into);
    ended(catch_unwind(AssertUnwindSafe(|| as_current(trial, evaluate))), trial)
}

/// Runs a part of this trial's evaluation, during which it is the current trial.
pub(super) fn as_current<R>(trial: &RunningTrial, work: impl FnOnce() -> R) -> R {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            CURRENT.set(None);
        }
    }
    CURRENT.set(Some(trial.clone()));
    let _reset = Reset;
    work()
}

/// How an evaluation ended, from what its closure returned.
pub(super) fn ended(
    result: std::thread::Result<Result<Report, BoxError>>,
    trial: &RunningTrial,
) -> Ended {
    let report = match result {
        Ok(Ok(report)) => report,
        // It was asked to stop, and returned an error to do so: the trial is released.
        Ok(Err(_)) if trial.stop_signal().is_stopped() => return Ended::Released,
        Ok(Err(error)) if trial.is_timed_out() => {
            Report::crashed("timeout", format!("stopped at its time limit: {error}"))
        }
        Ok(Err(error)) => {
            let mut causes = String::new();
            let mut next = error.source();
            while let Some(cause) = next {
                causes += &format!("caused by: {cause}\n");
                next = cause.source();
            }
            let report = Report::crashed("error", error.to_string());
            if causes.is_empty() { report } else { report.traceback(causes) }
        }
        Err(panic) => Report::crashed("panic", panic_message(&*panic)),
    };
    Ended::Report(Box::new(report))
}
