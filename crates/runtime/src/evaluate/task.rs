//! Evaluations as tasks, of which thousands share one thread: commands, and async closures.

use std::pin::Pin;

use super::{Ended, ProcessEvaluator, RunningTrial};
use trialmill_core::error::StoreError;

/// Evaluates trials as tasks. It must not block its thread, which all tasks share.
pub(crate) trait Evaluate: Send + Sync {
    /// Evaluates one trial. An error is not the trial's fault: the next one would fail in the same
    /// way.
    fn evaluate<'a>(&'a self, trial: &'a RunningTrial) -> Evaluating<'a>;
}

/// An evaluation that runs as a task.
pub(crate) type Evaluating<'a> = Pin<Box<dyn Future<Output = Result<Ended, StoreError>> + 'a>>;

impl Evaluate for ProcessEvaluator {
    fn evaluate<'a>(&'a self, trial: &'a RunningTrial) -> Evaluating<'a> {
        Box::pin(ProcessEvaluator::evaluate(self, trial))
    }
}
