//! The actor of a slow optimizer. It proposes outside the lock, from its own copy of the study, so no
//! report waits for it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use actix::{Actor, Context, Handler, Recipient};

use super::message::{Propose, Proposed};
use trialmill_core::definition::Definition;
use trialmill_core::error::StudyError;
use trialmill_core::event::Event;
use trialmill_core::optimizer::{Optimizer, Proposal};
use trialmill_core::study::StudyState;

/// Lets an event happen to a study, and shows an optimizer that learns from it the trial that it is
/// about.
pub(super) fn apply_observed(
    study: &mut StudyState,
    event: Event,
    optimizer: Option<&mut (dyn Optimizer + 'static)>,
) -> Result<(), StudyError> {
    let Some(optimizer) = optimizer.filter(|optimizer| optimizer.observes()) else {
        return study.apply(event);
    };
    let id = event.kind.trial_id().cloned();
    study.apply(event)?;
    if let Some(trial) = id.and_then(|id| study.trial(&id)) {
        optimizer.observe(study.definition(), trial);
    }
    Ok(())
}

pub(crate) struct OptimizerActor {
    optimizer: Box<dyn Optimizer>,
    study: StudyState,
}

impl OptimizerActor {
    pub(crate) fn new(optimizer: Box<dyn Optimizer>, definition: Definition) -> Self {
        OptimizerActor { optimizer, study: StudyState::new(definition) }
    }

    fn propose(&mut self, message: Propose) -> Result<Proposal, String> {
        let optimizer = &mut *self.optimizer;
        for event in message.events {
            apply_observed(&mut self.study, event, Some(optimizer))
                .map_err(|error| error.to_string())?;
        }
        let spent = self.study.spent();
        let request = self.study.request(message.n, &spent);
        self.optimizer.ask(&request).map_err(|error| error.to_string())
    }
}

impl Actor for OptimizerActor {
    type Context = Context<Self>;
}

impl Handler<Propose> for OptimizerActor {
    type Result = ();

    fn handle(&mut self, message: Propose, _: &mut Context<Self>) {
        let reply_to: Recipient<Proposed> = message.reply_to.clone();
        let proposal = catch_unwind(AssertUnwindSafe(|| self.propose(message)));
        let proposal = proposal.unwrap_or_else(|panic| {
            Err(format!("it panicked: {}", crate::evaluate::panic_message(&*panic)))
        });
        reply_to.do_send(Proposed { proposal, first_sample: self.study.sample_count() });
    }
}
