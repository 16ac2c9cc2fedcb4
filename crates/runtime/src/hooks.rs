//! Hooks: a user's own code that a run calls at four points.

use std::path::Path;
use std::sync::Arc;

use trialmill_core::definition::Definition;
use trialmill_core::error::BoxError;
use trialmill_core::event::Event;
use trialmill_core::optimizer::{Optimizer, OptimizerInfo, Proposal, SamplingRequest};
use trialmill_core::space::SearchSpace;
use trialmill_core::trial::{Report, Trial};

/// Called before every sampling, with what the optimizer will see.
pub type SamplingHook = Box<dyn FnMut(&SamplingRequest<'_>) + Send>;

/// Called before every sampling, with the optimizer and what it will see; gives back the one that is asked
/// (NePS: `pre_load_hooks`).
pub type PreLoadHook =
    Box<dyn FnMut(Box<dyn Optimizer>, &SamplingRequest<'_>) -> Box<dyn Optimizer> + Send>;

/// Called with a trial, its report, and its directory (none in memory), once the report is durable (NePS:
/// `post_evaluation_hook`).
pub type EvaluationHook =
    Arc<dyn Fn(&Trial, &Report, Option<&Path>) -> Result<(), BoxError> + Send + Sync>;

/// Called with every event, once it is stored.
pub type EventHook = Box<dyn FnMut(&Event) + Send>;

/// Called with the events of each batch, once they are stored, for as long as it returns true.
pub(crate) type BatchHook = Box<dyn FnMut(&[Event]) -> bool + Send>;

/// The hooks of a run; none unless set.
#[derive(Default)]
pub struct Hooks {
    /// Called before every sampling.
    pub before_sampling: Option<SamplingHook>,
    /// Called before every sampling, each with the optimizer that the one before it gave back.
    pub pre_load: Vec<PreLoadHook>,
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
            .field("pre_load", &self.pre_load.len())
            .field("after_evaluation", &self.after_evaluation.is_some())
            .field("on_event", &self.on_event.is_some())
            .finish()
    }
}

/// An optimizer with hooks that are called before each request.
pub(super) struct Hooked {
    /// None once a hook has panicked with it.
    inner: Option<Box<dyn Optimizer>>,
    /// What the study's description says, whatever is asked in its place.
    info: OptimizerInfo,
    is_slow: bool,
    pre_load: Vec<PreLoadHook>,
    before_sampling: Option<SamplingHook>,
}

impl Hooked {
    pub(super) fn new(
        inner: Box<dyn Optimizer>,
        pre_load: Vec<PreLoadHook>,
        before_sampling: Option<SamplingHook>,
    ) -> Self {
        let (info, is_slow) = (inner.info(), inner.is_slow());
        Hooked { inner: Some(inner), info, is_slow, pre_load, before_sampling }
    }
}

/// Which optimizer it is, as long as it lives.
fn identity(optimizer: &dyn Optimizer) -> *const () {
    std::ptr::from_ref(optimizer).cast()
}

impl Optimizer for Hooked {
    fn info(&self) -> OptimizerInfo {
        self.info.clone()
    }

    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        let mut inner = self.inner.take().ok_or("a pre_load hook panicked")?;
        for hook in &mut self.pre_load {
            let before = identity(&*inner);
            inner = hook(inner, request);
            if identity(&*inner) != before {
                inner.check(request.space)?;
            }
        }
        if let Some(hook) = &mut self.before_sampling {
            hook(request);
        }
        self.inner.insert(inner).ask(request)
    }

    fn check(&self, space: &SearchSpace) -> Result<(), BoxError> {
        self.inner.as_ref().map_or(Ok(()), |inner| inner.check(space))
    }

    fn is_slow(&self) -> bool {
        self.is_slow
    }

    fn parallelism(&self) -> Option<usize> {
        self.inner.as_ref().and_then(|inner| inner.parallelism())
    }

    fn transfers(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.transfers())
    }

    fn is_elsewhere(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.is_elsewhere())
    }

    fn observe(&mut self, definition: &Definition, trial: &Trial) {
        if let Some(inner) = &mut self.inner {
            inner.observe(definition, trial);
        }
    }

    fn observes(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.observes())
    }
}
