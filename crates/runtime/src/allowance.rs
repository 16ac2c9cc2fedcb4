//! What all workers of one run may spend together (NePS: `max_evaluations_per_run`).

use parking_lot::Mutex;

use trialmill_core::budget::{Budget, Limit, Spent};
use trialmill_core::trial::Report;

/// Evaluations are taken from it before their trials are asked for, so that N means N; what an answer
/// does not use, or a worker hands back, is given back.
#[derive(Debug)]
pub(crate) struct Allowance {
    limits: Budget,
    /// Its evaluations are those that were taken.
    spent: Mutex<Spent>,
}

impl Allowance {
    pub(crate) fn new(limits: Budget) -> Self {
        Allowance { limits, spent: Mutex::default() }
    }

    /// Another run begins.
    pub(crate) fn renew(&self) {
        *self.spent.lock() = Spent::default();
    }

    /// Takes up to `n` evaluations.
    pub(crate) fn take(&self, n: usize) -> Result<usize, Limit> {
        let mut spent = self.spent.lock();
        if let Some(limit) = self.limits.reached(&spent) {
            return Err(limit);
        }
        let left = self.limits.evaluations_left(&spent);
        let n = n.min(usize::try_from(left).unwrap_or(usize::MAX));
        spent.evaluations += n as u64;
        Ok(n)
    }

    /// Gives back evaluations that came to nothing.
    pub(crate) fn give_back(&self, n: usize) {
        let mut spent = self.spent.lock();
        spent.evaluations = spent.evaluations.saturating_sub(n as u64);
    }

    /// An evaluation that was taken has ended.
    pub(crate) fn charge(&self, report: &Report, fidelity: Option<f64>) {
        let mut spent = self.spent.lock();
        spent.add_report(report);
        spent.add_evaluation(fidelity);
        // It was counted when it was taken.
        spent.evaluations -= 1;
    }
}
