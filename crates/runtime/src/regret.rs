//! The bound on the regret, where the policy asks for one. It takes a model, and is computed outside the lock on a
//! thread that lives for it: reports never wait for it, but no trial is handed out before it is known, so that the
//! same seed ends a study at the same trial.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use actix::Recipient;

use super::message::Bounded;
use trialmill_core::stopping::{EarlyEnd, RegretBound};
use trialmill_core::study::{Checkpoint, StudyState};
use trialmill_optimizers::RegretModel;

/// What this process knows of the bound.
#[derive(Default)]
pub(super) struct Regret {
    /// The latest checkpoint that was looked at, and what was found.
    looked_at: Option<(Arc<Checkpoint>, RegretBound, Found)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Found {
    NotYet,
    Large,
    Small,
}

/// A bound that is to be computed.
pub(super) struct Task {
    checkpoint: Arc<Checkpoint>,
    wanted: RegretBound,
    model: RegretModel,
}

impl Regret {
    /// What the policy asks for now.
    fn wanted(study: &StudyState) -> Option<(&Arc<Checkpoint>, RegretBound)> {
        if study.ended_early().is_some() {
            return None;
        }
        Some((study.checkpoint()?, study.policy().stop_early.regret_bound?))
    }

    /// What was found where the study is now; none if nothing was looked at yet.
    fn found(&self, study: &StudyState) -> Option<Found> {
        let (checkpoint, wanted) = Self::wanted(study)?;
        let (seen, of, found) = self.looked_at.as_ref()?;
        (Arc::ptr_eq(seen, checkpoint) && *of == wanted).then_some(*found)
    }

    /// Whether a bound is asked for that is not known yet.
    pub(super) fn is_due(&self, study: &StudyState) -> bool {
        Self::wanted(study).is_some()
            && self.found(study).is_none_or(|found| found == Found::NotYet)
    }

    /// The bound that is to be computed, unless it is being computed.
    pub(super) fn begin(&mut self, study: &StudyState) -> Option<Task> {
        let (checkpoint, wanted) = Self::wanted(study)?;
        if self.found(study).is_some() {
            return None;
        }
        self.looked_at = Some((checkpoint.clone(), wanted, Found::NotYet));
        let model = RegretModel::new(study, checkpoint, wanted);
        Some(Task { checkpoint: checkpoint.clone(), wanted, model })
    }

    /// Takes what was computed; of a checkpoint that is past it is of no use any more.
    pub(super) fn take(&mut self, bounded: &Bounded) {
        if let Some((checkpoint, wanted, found)) = &mut self.looked_at
            && Arc::ptr_eq(checkpoint, &bounded.checkpoint)
            && *wanted == bounded.wanted
        {
            *found = if bounded.is_small { Found::Small } else { Found::Large };
        }
    }

    /// Whether the study is to end.
    pub(super) fn ends(&self, study: &StudyState) -> Option<EarlyEnd> {
        (self.found(study) == Some(Found::Small)).then_some(EarlyEnd::RegretBound)
    }
}

impl Task {
    /// Computes it here and now.
    pub(super) fn run(self) -> Bounded {
        // A model that cannot be computed ends nothing.
        let is_small = catch_unwind(AssertUnwindSafe(|| self.model.is_small())).unwrap_or(false);
        Bounded { checkpoint: self.checkpoint, wanted: self.wanted, is_small }
    }

    /// Computes it on a thread of its own.
    pub(super) fn start(self, to: Recipient<Bounded>) {
        let unknown =
            Bounded { checkpoint: self.checkpoint.clone(), wanted: self.wanted, is_small: false };
        let fallback = to.clone();
        let body = move || to.do_send(self.run());
        let thread = std::thread::Builder::new().name("trialmill-regret".into()).spawn(body);
        if let Err(error) = thread {
            tracing::warn!(
                "there is no thread for the bound on the regret, which ends nothing: {error}"
            );
            fallback.do_send(unknown);
        }
    }
}
