//! Evaluating a trial, outside every lock: by a closure, or by a command.
//!
//! Only this module runs users' code and starts processes for trials.

mod async_closure;
mod attempt_lock;
mod closure;
mod household;
mod judge;
mod kill;
mod output;
mod proc;
mod process;
mod progress;
mod recipe;
mod report_defaults;
mod result;
mod run_clock;
mod running;
mod sampler;
mod setup;
mod spare_files;
mod start;
mod stop_signal;
mod task;
mod template;

pub(crate) use async_closure::AsyncClosure;
pub use attempt_lock::reap_orphans;
pub use closure::{current_trial, evaluate_fenced};
pub use household::adopt_orphans;
pub(crate) use process::ProcessEvaluator;
pub use progress::parse as parse_step;
pub use report_defaults::ReportDefaults;
pub use result::{objective, parse as parse_result, report_of};
pub use running::RunningTrial;
pub(crate) use running::TrialPaths;
pub(crate) use sampler::SamplerProcess;
pub use start::{Detach, detach_with};
pub use stop_signal::StopSignal;
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
    /// It never began, for this reason, which is not the trial's: the trial is to be released, and this
    /// process is to stop.
    NotStarted(String),
    /// It was stopped, and some of its processes cannot be ended: the trial stays with this process
    /// until they are gone.
    Stuck,
}

impl Ended {
    pub(crate) fn report(report: Report) -> Self {
        Ended::Report(Box::new(report))
    }
}

/// The message of a panic.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_string());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".into())
}
