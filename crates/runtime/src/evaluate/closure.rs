//! Evaluations by a closure of this program, on a thread of its own.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::{Ended, RunningTrial, panic_message};
use trialmill_core::error::BoxError;
use trialmill_core::trial::Report;

thread_local! {
    /// Where the evaluation on this thread has panicked.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
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

/// A panic says where it was only to a hook. This one passes on to whichever there was.
fn note_places() {
    static NOTES: Once = Once::new();
    NOTES.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let evaluates = CURRENT
                .try_with(|current| current.try_borrow().is_ok_and(|current| current.is_some()));
            if evaluates == Ok(true)
                && let Some(place) = panic.location()
            {
                let _ = PLACE.try_with(|noted| noted.replace(Some(place.to_string())));
            }
            before(panic);
        }));
    });
}

/// Runs a part of this trial's evaluation, during which it is the current trial.
pub(super) fn as_current<R>(trial: &RunningTrial, work: impl FnOnce() -> R) -> R {
    struct Reset;
    impl Drop for Reset {
        fn drop(&mut self) {
            CURRENT.set(None);
        }
    }
    note_places();
    PLACE.take();
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
            let (mut message, mut causes) = (error.to_string(), String::new());
            let mut next = error.source();
            while let Some(cause) = next {
                let text = cause.to_string();
                causes += &format!("caused by: {text}\n");
                // Some errors have their cause in their own words already.
                if !message.contains(&text) {
                    message += &format!(", caused by: {text}");
                }
                next = cause.source();
            }
            let report = Report::crashed("error", message);
            if causes.is_empty() { report } else { report.traceback(causes) }
        }
        Err(panic) => {
            let place = PLACE.take().map_or(String::new(), |place| format!(", at {place}"));
            Report::crashed("panic", panic_message(&*panic) + &place)
        }
    };
    Ended::Report(Box::new(report))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::StudyBuilder;
    use trialmill_core::space::{Parameter, SearchSpace};

    /// A trial as evaluations have it.
    fn trial() -> RunningTrial {
        let kept = Mutex::new(None);
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        let study = StudyBuilder::in_memory().space(space).max_evaluations(1).ctrl_c(false);
        let session = study.workers(1).open().unwrap();
        let keep = |trial: &RunningTrial| {
            *kept.lock().unwrap() = Some(trial.clone());
            Ok(1.0)
        };
        session.run(keep).unwrap();
        kept.into_inner().unwrap().unwrap()
    }

    #[test]
    fn a_thread_has_a_current_trial_as_long_as_it_evaluates_also_if_that_panics() {
        let trial = trial();
        let id = || current_trial().map(|trial| trial.id().clone());
        assert_eq!(as_current(&trial, id).as_ref(), Some(trial.id()));
        assert_eq!(id(), None);
        let ended = evaluate_fenced(|_| -> Result<f64, BoxError> { panic!("oh") }, &trial);
        let Ended::Report(report) = ended else { panic!("released") };
        let failure = report.failure.unwrap();
        assert_eq!(failure.err_type, "panic");
        assert!(failure.err.contains("oh, at ") && failure.err.contains("closure.rs"));
        assert_eq!(id(), None);
    }

    #[derive(Debug)]
    struct Told(&'static str, Option<Box<Told>>);

    impl std::fmt::Display for Told {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Told {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            self.1.as_deref().map(|told| told as _)
        }
    }

    /// Users see the words of a crash first; its causes are told once.
    #[test]
    fn an_error_is_told_with_its_causes_and_none_of_them_twice() {
        let trial = trial();
        let cause = || Some(Box::new(Told("the file is gone", None)));
        for (error, words) in [
            (Told("no data", cause()), "no data, caused by: the file is gone"),
            (Told("no data: the file is gone", cause()), "no data: the file is gone"),
            (Told("no data", None), "no data"),
        ] {
            let has_cause = error.1.is_some();
            let Ended::Report(report) = ended(Ok(Err(Box::new(error))), &trial) else {
                panic!("released")
            };
            let failure = report.failure.unwrap();
            assert_eq!(failure.err, words);
            assert_eq!(failure.tb.is_some(), has_cause);
        }
    }
}
