//! Evaluations as tasks, of which thousands share one thread: commands, and async closures.

use std::pin::Pin;

use super::{Ended, ProcessEvaluator, RunningTrial};
use trialmill_core::error::StoreError;

/// Evaluates trials as tasks; it must not block its thread.
pub(crate) trait Evaluate: Send + Sync {
    /// Evaluates one trial. An error is not the trial's fault, and the next one would fare no better.
    fn evaluate<'a>(&'a self, trial: &'a RunningTrial) -> Evaluating<'a>;
}

/// An evaluation that goes on as a task.
pub(crate) type Evaluating<'a> = Pin<Box<dyn Future<Output = Result<Ended, StoreError>> + 'a>>;

impl Evaluate for ProcessEvaluator {
    fn evaluate<'a>(&'a self, trial: &'a RunningTrial) -> Evaluating<'a> {
        Box::pin(ProcessEvaluator::evaluate(self, trial))
    }
}
