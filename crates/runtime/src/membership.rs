//! A worker's membership: while it lives, the worker does. It is how a session supervises its workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::handle::StudyHandle;
use trialmill_core::study::Command;
use trialmill_core::trial::WorkerId;

/// Belongs to a worker of this process. If it is dropped before the worker has ended (the worker
/// panicked, or the arbiter of its actor ended), what the worker holds is given back at once, as
/// attempts that were lost.
pub(crate) struct Membership {
    id: WorkerId,
    alive: Arc<AtomicBool>,
    handle: StudyHandle,
}

impl Membership {
    pub(crate) fn new(id: WorkerId, handle: StudyHandle) -> Self {
        Membership { id, alive: Arc::new(AtomicBool::new(true)), handle }
    }

    pub(crate) fn id(&self) -> &WorkerId {
        &self.id
    }

    pub(crate) fn handle(&self) -> &StudyHandle {
        &self.handle
    }

    /// Shows also those who outlive the worker whether it lives.
    pub(crate) fn alive(&self) -> Arc<AtomicBool> {
        self.alive.clone()
    }

    /// The worker ends and holds nothing.
    pub(crate) fn retire(self) {
        self.alive.store(false, Ordering::Release);
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // First this: what the worker has not sent yet is refused from now on, and what it has sent
        // comes before the burial.
        if self.alive.swap(false, Ordering::AcqRel) {
            self.handle.send_unanswered(vec![Command::BuryWorker(self.id.clone())]);
        }
    }
}
