//! The worker actor: it asks for trials, has them evaluated, and reports, by message.
//!
//! ```text
//! StateActor               WorkerActor              its thread, for a blocking closure
//!            ◄─ Execute ──
//!             ─ Answered ─►  evaluates, as a task
//!
//!                                       ─ Job ───►
//!            ◄─ Execute ──────────────────────────
//!             ─ the answers ─────────────────────►  evaluates
//!                                       ◄─ Done ──
//! ```
//!
//! Commands and async closures are tasks of the actor's own arbiter, so a thousand of them share one
//! thread. A blocking closure is evaluated on a thread of its worker, and that thread sends the
//! worker's messages itself: a trial then costs two wakings, and the messages that wait for a commit
//! are all in the state actor's mailbox. (With a hop by the worker's actor on the state actor's
//! arbiter, a commit stored two trials of eight workers, and not eight.)
//!
//! The worker's state travels with the job, so it evaluates one at a time.

use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message};
use crossbeam_channel::{Receiver, Sender};
use tracing::Instrument;

use super::handle::StudyHandle;
use super::membership::Membership;
use super::message::{Answered, Execute, Reply, TimeIsUp, ToActor, understand};
use super::worker::Worker;
use crate::evaluate::{Ended, Evaluate, RunningTrial};
use trialmill_core::error::{Error, StudyError};
use trialmill_core::limits::WATCH_POLL;
use trialmill_core::study::{Answer, StopReason};

/// What evaluates for a worker.
pub(crate) enum Hands {
    /// A thread that does nothing else.
    Thread(Sender<Job>),
    /// Tasks of the actor's own arbiter.
    Task(Arc<dyn Evaluate>),
}

pub(crate) struct WorkerActor {
    /// None while something is evaluated.
    worker: Option<Box<Worker>>,
    membership: Option<Membership>,
    hands: Hands,
    done: Sender<Result<StopReason, Error>>,
    /// Its own; while it is `Some`, actix does not take the actor for one that nobody can reach.
    address: Option<Addr<WorkerActor>>,
}

/// To a worker's thread: work until there is nothing more to do.
pub(crate) struct Job {
    worker: Box<Worker>,
    handle: StudyHandle,
    back: Back,
}

/// To a worker actor, from its thread: how it ended.
pub(crate) struct Done(Result<StopReason, Error>);

impl Message for Done {
    type Result = ();
}

/// Whoever drops this without an answer has died.
struct Back(Option<Addr<WorkerActor>>);

impl Back {
    fn send(mut self, result: Result<StopReason, Error>) {
        if let Some(actor) = self.0.take() {
            actor.do_send(Done(result));
        }
    }
}

impl Drop for Back {
    fn drop(&mut self) {
        if let Some(actor) = self.0.take() {
            let died = Error::StateLost("a worker's thread panicked".into());
            actor.do_send(Done(Err(died)));
        }
    }
}

impl WorkerActor {
    pub(crate) fn new(
        worker: Worker,
        membership: Membership,
        hands: Hands,
        done: Sender<Result<StopReason, Error>>,
    ) -> Self {
        let (worker, membership) = (Some(Box::new(worker)), Some(membership));
        WorkerActor { worker, membership, hands, done, address: None }
    }

    /// Sends what has ended since the last time, and the next request; or ends.
    fn go_on(&mut self, mut worker: Box<Worker>, ctx: &mut Context<Self>) {
        match (worker.next_commands(), &self.membership, &self.address) {
            (Some(commands), Some(membership), Some(address)) => {
                self.worker = Some(worker);
                let reply = Reply::Actor(ToActor::new(address.clone().recipient()));
                membership.handle().address().do_send(Execute { commands, reply });
            }
            _ => self.end(Ok(worker.reason()), ctx),
        }
    }

    fn end(&mut self, result: Result<StopReason, Error>, ctx: &mut Context<Self>) {
        if let Some(membership) = self.membership.take() {
            membership.retire();
        }
        // The run may have been given up; then nobody asks how we ended.
        let _ = self.done.send(result);
        self.address = None;
        ctx.stop();
    }
}

impl Actor for WorkerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.address = Some(ctx.address());
        let (Some(worker), Some(membership)) = (self.worker.take(), &self.membership) else {
            return ctx.stop();
        };
        if let Some(left) = worker.time_limit() {
            let (state, id) = (membership.handle().address(), membership.id().clone());
            // What it asked before its time was up has arrived by then.
            ctx.run_later(left + WATCH_POLL, move |_, _| state.do_send(TimeIsUp(id)));
        }
        match &self.hands {
            Hands::Task(_) => self.go_on(worker, ctx),
            Hands::Thread(thread) => {
                let (handle, back) = (membership.handle().clone(), Back(Some(ctx.address())));
                // A thread that has ended drops the job, and so answers it.
                drop(thread.send(Job { worker, handle, back }));
            }
        }
    }
}

impl Handler<Answered> for WorkerActor {
    type Result = ();

    fn handle(&mut self, Answered(answers): Answered, ctx: &mut Context<Self>) {
        let (Some(worker), Hands::Task(evaluator)) = (self.worker.take(), &self.hands) else {
            return;
        };
        let answers = match understand(answers) {
            Ok(answers) => answers,
            Err(error) => return self.end(Err(error), ctx),
        };
        let work = evaluate_as_task(worker, answers, evaluator.clone());
        ctx.spawn(wrap_future::<_, Self>(work).map(
            |(mut worker, result), actor, ctx| match result {
                Ok(()) => actor.go_on(worker, ctx),
                Err(error) => {
                    // Report what has ended; the rest is given back when this process leaves.
                    if let Some(membership) = &actor.membership {
                        membership.handle().send_unanswered(worker.take_unsent());
                    }
                    actor.end(Err(error), ctx);
                }
            },
        ));
    }
}

impl Handler<Done> for WorkerActor {
    type Result = ();

    fn handle(&mut self, Done(result): Done, ctx: &mut Context<Self>) {
        self.end(result, ctx);
    }
}

/// A worker's thread: does what its actor hands it.
pub(crate) fn work_on_this_thread(jobs: &Receiver<Job>, evaluate: impl Fn(&RunningTrial) -> Ended) {
    for Job { mut worker, handle, back } in jobs {
        back.send(work(&mut worker, &handle, &evaluate));
    }
}

fn work(
    worker: &mut Worker,
    handle: &StudyHandle,
    evaluate: impl Fn(&RunningTrial) -> Ended,
) -> Result<StopReason, Error> {
    while let Some(commands) = worker.next_commands() {
        for trial in worker.accept(handle.exchange(commands)?)? {
            let running = worker.begin(trial);
            let ended = match worker.is_stopped() {
                true => Ended::Released,
                false => running.span().in_scope(|| {
                    tracing::info!(config = %running.config(), "begins");
                    evaluate(&running)
                }),
            };
            worker.ended(&running, ended);
        }
    }
    Ok(worker.reason())
}

async fn evaluate_as_task(
    mut worker: Box<Worker>,
    answers: Vec<Result<Answer, StudyError>>,
    evaluator: Arc<dyn Evaluate>,
) -> (Box<Worker>, Result<(), Error>) {
    let batch = match worker.accept(answers) {
        Ok(batch) => batch,
        Err(error) => return (worker, Err(error)),
    };
    for trial in batch {
        let running = worker.begin(trial);
        let ended = match worker.is_stopped() {
            true => Ok(Ended::Released),
            false => {
                let span = running.span();
                span.in_scope(|| tracing::info!(config = %running.config(), "begins"));
                evaluator.evaluate(&running).instrument(span).await
            }
        };
        match ended {
            // The trial goes back, and nothing more begins: the next would not be started either.
            Ok(Ended::NotStarted(problem)) => {
                worker.drain();
                worker.ended(&running, Ended::Released);
                return (worker, Err(Error::NotStarted(problem)));
            }
            Ok(ended) => worker.ended(&running, ended),
            Err(error) => return (worker, Err(error.into())),
        }
    }
    (worker, Ok(()))
}
