//! The workers of their own that a process has, by their numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use trialmill_core::event::ProcessId;
use trialmill_core::study::StudyState;
use trialmill_core::trial::{Worker, WorkerId};

/// The workers of a process that its session does not run: their numbers are beyond those of the
/// session's own.
#[derive(Debug, Clone)]
pub(crate) struct Enlisted {
    first: usize,
    next: Arc<AtomicUsize>,
}

impl Enlisted {
    /// None yet, of a session with this many workers.
    pub(crate) fn beyond(workers: usize) -> Self {
        Enlisted { first: workers + 1, next: Arc::new(AtomicUsize::new(workers + 1)) }
    }

    /// The number of one more.
    pub(crate) fn next(&self) -> usize {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Whether any of them but `asker` evaluates something, which would be free if it died.
    pub(crate) fn hold_something(
        &self,
        study: &StudyState,
        process: ProcessId,
        asker: &WorkerId,
    ) -> bool {
        if self.next.load(Ordering::Relaxed) == self.first {
            return false;
        }
        let is_enlisted = |worker: &WorkerId| match worker.worker() {
            Worker::Member { number, .. } => number as usize >= self.first,
            Worker::Caller(_) => false,
        };
        study.evaluating_by(process).any(|trial| {
            let holder = trial.metadata.evaluating_worker_id.as_ref();
            holder.is_some_and(|holder| holder != asker && is_enlisted(holder))
        })
    }
}
