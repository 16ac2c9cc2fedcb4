//! Hooks: a user's own code that a run calls at three points.

use std::sync::Arc;

use trialmill_core::definition::Definition;
use trialmill_core::error::BoxError;
use trialmill_core::event::Event;
use trialmill_core::optimizer::{Optimizer, OptimizerInfo, Proposal, SamplingRequest};
use trialmill_core::space::SearchSpace;
use trialmill_core::trial::{Report, Trial};

/// Called before every sampling, with what the optimizer will see (NePS: `pre_load_hooks`).
pub type SamplingHook = Box<dyn FnMut(&SamplingRequest<'_>) + Send>;

/// Called with a trial and its report, once that is durable (NePS: `post_evaluation_hook`).
pub type EvaluationHook = Arc<dyn Fn(&Trial, &Report) + Send + Sync>;

/// Called with every event, once it is stored.
pub type EventHook = Box<dyn FnMut(&Event) + Send>;

/// Called with the events of each batch, once they are stored, for as long as it returns true.
pub(crate) type BatchHook = Box<dyn FnMut(&[Event]) -> bool + Send>;

/// The hooks of a run; none unless set.
#[derive(Default)]
pub struct Hooks {
    /// Called before every sampling.
    pub before_sampling: Option<SamplingHook>,
    /// Called by the worker after each evaluation.
    pub after_evaluation: Option<EvaluationHook>,
    /// Called for every event of the study from now on, including those of other processes. It runs
    /// on the state actor's thread, so it must be quick.
    pub on_event: Option<EventHook>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks")
            .field("before_sampling", &self.before_sampling.is_some())
            .field("after_evaluation", &self.after_evaluation.is_some())
            .field("on_event", &self.on_event.is_some())
            .finish()
    }
}

/// An optimizer with a hook that is called before each request.
pub(super) struct Hooked {
    pub(super) inner: Box<dyn Optimizer>,
    pub(super) hook: SamplingHook,
}

impl Optimizer for Hooked {
    fn info(&self) -> OptimizerInfo {
        self.inner.info()
    }

    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        (self.hook)(request);
        self.inner.ask(request)
    }

    fn check(&self, space: &SearchSpace) -> Result<(), BoxError> {
        self.inner.check(space)
    }

    fn is_slow(&self) -> bool {
        self.inner.is_slow()
    }

    fn is_elsewhere(&self) -> bool {
        self.inner.is_elsewhere()
    }

    fn observe(&mut self, definition: &Definition, trial: &Trial) {
        self.inner.observe(definition, trial);
    }

    fn observes(&self) -> bool {
        self.inner.observes()
    }
}
