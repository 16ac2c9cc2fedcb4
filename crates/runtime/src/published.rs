//! What the state actor publishes after every batch, for readers such as the progress bar and the
//! watcher. Reading it never makes the state actor wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

use trialmill_core::budget::{Budget, Spent};
use trialmill_core::error::Error;
use trialmill_core::evaluation::Evaluation;
use trialmill_core::event::{Lease, Process, ProcessId};
use trialmill_core::study::StudyState;
use trialmill_core::trial::{State, TrialId};

/// The study in numbers, as of the last batch.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    counts: [u64; State::ALL.len()],
    /// What all workers together may spend.
    pub budget: Budget,
    /// What they have spent.
    pub spent: Spent,
    /// The best trial and its objective.
    pub best: Option<(TrialId, f64)>,
    /// How often a trial was requeued.
    pub requeues: u64,
    /// Whether nothing is handed out.
    pub paused: bool,
    /// Whether this process is to end, its evaluations too.
    pub(crate) stop_now: bool,
    /// How many workers of this process wait for a trial.
    pub waiting: usize,
    /// The other processes that take part.
    pub(crate) others: Vec<Process>,
    pub(crate) leases: Vec<(TrialId, u32, Lease)>,
    /// All evaluations by a command that the study has had.
    evaluations: Vec<Arc<Evaluation>>,
}

impl Snapshot {
    /// How many trials are in a state.
    pub fn count(&self, state: State) -> u64 {
        self.counts[state as usize]
    }

    /// How many trials have ended.
    pub fn finished(&self) -> u64 {
        State::ALL.into_iter().filter(|s| s.is_finished()).map(|s| self.count(s)).sum()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Published {
    snapshot: RwLock<Snapshot>,
    error: Mutex<Option<Error>>,
    interrupted: AtomicBool,
}

impl Published {
    /// Marks the run as interrupted; returns whether it was not interrupted before.
    pub(crate) fn interrupt(&self) -> bool {
        !self.interrupted.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.snapshot.read().clone()
    }

    pub(crate) fn with<R>(&self, read: impl FnOnce(&Snapshot) -> R) -> R {
        read(&self.snapshot.read())
    }

    /// The evaluation with this number.
    pub(crate) fn evaluation(&self, number: u32) -> Option<Arc<Evaluation>> {
        let at = number.checked_sub(1)? as usize;
        self.with(|snapshot| snapshot.evaluations.get(at).cloned())
    }

    /// Publishes the study as `own`, a process of it with this many waiting workers, sees it.
    pub(crate) fn set(&self, study: &StudyState, own: ProcessId, waiting: usize) {
        let others = || study.processes().filter(|process| process.process != own);
        let mut snapshot = self.snapshot.write();
        snapshot.counts = State::ALL.map(|state| study.count(state));
        snapshot.budget = study.policy().budget;
        snapshot.spent = study.spent();
        snapshot.paused = study.policy().paused;
        snapshot.stop_now = study.policy().stops(own).is_some_and(|stop| stop.now);
        snapshot.requeues = study.requeues();
        snapshot.waiting = waiting;
        match (study.best(), &snapshot.best) {
            (Some(best), Some((id, _))) if best.id == *id => {}
            (best, _) => {
                snapshot.best = best.and_then(|best| Some((best.id.clone(), best.objective()?)));
            }
        }
        if !snapshot.others.iter().eq(others()) {
            snapshot.others = others().cloned().collect();
        }
        // They only ever become more.
        if snapshot.evaluations.len() != study.evaluations().len() {
            snapshot.evaluations = study.evaluations().to_vec();
        }
        snapshot.leases.clear();
        let leases = study.leases();
        snapshot.leases.extend(leases.map(|(t, lease)| (t.id.clone(), t.attempts, lease.clone())));
    }

    /// Keeps the first error: the cause of all later ones.
    pub(crate) fn fail(&self, error: Error) {
        self.error.lock().get_or_insert(error);
    }

    /// Whether the state is lost.
    pub(crate) fn has_failed(&self) -> bool {
        self.error.lock().is_some()
    }

    pub(crate) fn take_error(&self) -> Option<Error> {
        self.error.lock().take()
    }
}
