//! Evaluating a trial, outside every lock: by a closure, or by a command.
//!
//! Only this module runs users' code and starts processes for trials.

mod async_closure;
mod attempt_lock;
mod closure;
mod kill;
mod process;
mod progress;
mod report_defaults;
mod result;
mod running;
mod task;
mod template;

pub(crate) use async_closure::AsyncClosure;
pub use attempt_lock::{AttemptLock, reap_orphans};
pub use closure::{current_trial, evaluate_fenced};
pub use process::ProcessEvaluator;
pub use progress::parse as parse_step;
pub use report_defaults::ReportDefaults;
pub use result::parse as parse_result;
pub(crate) use running::TrialPaths;
pub use running::{RunningTrial, StopSignal};
pub(crate) use task::Evaluate;
pub use template::CommandTemplate;

use trialmill_core::trial::Report;

/// How an evaluation ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Ended {
    /// With a report.
    Report(Box<Report>),
    /// It was stopped: the trial is to be released, and another worker may start it again.
    Released,
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
