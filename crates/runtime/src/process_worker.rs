//! The worker actor for commands: it waits for its child as a task, so that a thousand of them
//! share one arbiter's thread.

use std::sync::Arc;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, fut::wrap_future};

use super::handle::StudyHandle;
use super::worker::Worker;
use crate::evaluate::{Ended, ProcessEvaluator};
use trialmill_core::error::Error;
use trialmill_core::study::StopReason;

pub(crate) struct ProcessWorker {
    /// Taken when the actor starts.
    pub(crate) worker: Option<Worker>,
    pub(crate) handle: StudyHandle,
    pub(crate) evaluator: Arc<ProcessEvaluator>,
    pub(crate) done: crossbeam_channel::Sender<Result<StopReason, Error>>,
}

impl Actor for ProcessWorker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(worker) = self.worker.take() else { return ctx.stop() };
        let work = work(worker, self.handle.clone(), self.evaluator.clone());
        ctx.spawn(wrap_future(work).map(|result, actor: &mut Self, ctx| {
            // The run may have been given up; then nobody asks how we ended.
            let _ = actor.done.send(result);
            ctx.stop();
        }));
    }
}

async fn work(
    mut worker: Worker,
    handle: StudyHandle,
    evaluator: Arc<ProcessEvaluator>,
) -> Result<StopReason, Error> {
    while let Some(commands) = worker.next_commands() {
        for running in worker.accept(handle.exchange_async(commands).await?)? {
            let ended = match worker.is_stopped() {
                true => Ok(Ended::Released),
                false => evaluator.evaluate(&running).await,
            };
            match ended {
                Ok(ended) => worker.ended(&running, ended),
                Err(error) => {
                    // What ended before is told; the rest is handed back when we leave.
                    handle.exchange_async(worker.take_unsent()).await?;
                    return Err(error.into());
                }
            }
        }
    }
    Ok(worker.reason())
}
