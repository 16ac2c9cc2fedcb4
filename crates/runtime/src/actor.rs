//! For those who write actors: the messages of the state actor, and workers of their own.
//!
//! [`StudyHandle::address`](crate::StudyHandle::address) is the address of a running study's state
//! actor. It takes these messages from any actor, task or thread, of any actix system:
//!
//! | message | answer | when |
//! |---|---|---|
//! | [`Ask`] | [`AskOutcome`] | once there is something to evaluate, or nothing more will be |
//! | [`Tell`], [`Release`] | [`ReportOutcome`] | once it is durable |
//! | [`TellSteps`] | [`StepOutcome`] | once it is stored, synced or not; it says whether to prune |
//! | [`Query`] | what the closure returned | once the study has caught up with other processes |
//! | [`Subscribe`] | | from then on, [`Stored`] arrives after each commit |
//!
//! A worker of your own is whatever owns an [`OwnWorker`]: while that lives, the worker lives, and
//! when it is dropped, because an actor panics or its arbiter ends, the trials it holds are given
//! back at once, each with one more lost attempt.
//!
//! ```
//! use actix::prelude::*;
//! use trialmill::actor::{Ask, OwnWorker, Tell};
//! use trialmill::*;
//!
//! struct Trainer {
//!     worker: OwnWorker,
//! }
//!
//! impl Actor for Trainer {
//!     type Context = Context<Self>;
//!
//!     fn started(&mut self, ctx: &mut Self::Context) {
//!         let (state, ask) = (self.worker.state(), Ask::of(&self.worker, 1));
//!         let work = async move {
//!             while let AskOutcome::Trials(trials) = state.send(ask.clone()).await?? {
//!                 for trial in trials {
//!                     let x = trial.config.float("x")?; // …or await the answer of a server
//!                     let _ = state.send(Tell::of(&trial, Report::objective(x * x))).await??;
//!                 }
//!             }
//!             Ok::<(), BoxError>(())
//!         };
//!         ctx.wait(work.into_actor(self).map(|result, _, ctx| {
//!             result.expect("the study is open");
//!             ctx.stop();
//!         }));
//!     }
//!
//!     fn stopped(&mut self, _: &mut Self::Context) {
//!         System::current().stop();
//!     }
//! }
//!
//! let space = SearchSpace::new([("x", Parameter::float(-1.0, 1.0))])?;
//! let session = Study::in_memory().space(space).max_evaluations(20).open()?;
//! let system = System::new();
//! let worker = session.enlist();
//! system.block_on(async { Trainer { worker }.start() });
//! system.run()?;
//! assert_eq!(session.close()?.study().count(State::Success), 20);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A message whose `send` is dropped before the state actor takes it is not delivered: that is
//! actix's rule. `do_send` always delivers. The methods of [`OwnWorker`] block, for workers that have
//! a thread to themselves, such as those of a `SyncArbiter`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{Addr, Context, Handler, Message, Recipient, ResponseFuture};

use super::client::{
    AskOutcome, ReportOutcome, StepOutcome, ask_outcome, report_outcome, step_outcome,
};
use super::membership::Membership;
use super::message::{Answers, Execute, Inspect, Listen, Lost, Reply, understand};
use super::state::StateActor as State;
use super::worker::Worker;
use crate::evaluate::RunningTrial;
use trialmill_core::error::Error;
use trialmill_core::event::{Event, Reason};
use trialmill_core::study::{self, Answer, Command, StudyState};
use trialmill_core::trial::{Objective, Report, Trial, TrialId, WorkerId};

pub use super::state::StateActor;
/// The actix that these messages belong to.
pub use actix;
pub use trialmill_core::trial::Step;

/// A worker of your own. While it lives, the worker does.
pub struct OwnWorker {
    membership: Membership,
    worker: Worker,
}

impl OwnWorker {
    pub(crate) fn new(membership: Membership, worker: Worker) -> Self {
        OwnWorker { membership, worker }
    }

    /// Its name in the study.
    pub fn id(&self) -> &WorkerId {
        self.membership.id()
    }

    /// The address of the state actor.
    pub fn state(&self) -> Addr<StateActor> {
        self.membership.handle().address()
    }

    /// Begins the evaluation of a trial that this worker was given: its directories, its time limit,
    /// and whether to stop.
    pub fn begin(&self, trial: Trial) -> RunningTrial {
        self.worker.begin(trial)
    }

    /// Asks for up to `n` trials, and waits until there are some or will be no more. It blocks the
    /// thread, also while another worker holds the last trials, which would be free if it died: two
    /// workers on one thread would wait for each other. An actor sends [`Ask`].
    ///
    /// # Errors
    /// The state is lost or the study is closed, or the optimizer fails.
    pub fn ask(&self, n: usize) -> Result<AskOutcome, Error> {
        let handle = self.membership.handle();
        loop {
            let ask = ask(self.id(), n);
            let answer = handle.exchange(vec![ask])?.pop().unwrap_or(Ok(Answer::Wait))?;
            match ask_outcome(answer) {
                AskOutcome::Wait => {}
                outcome => return Ok(outcome),
            }
        }
    }

    /// Reports a trial that this worker was given. It blocks the thread; an actor sends [`Tell`].
    ///
    /// # Errors
    /// The report is too large, the state is lost, or the study is closed.
    pub fn tell(&self, trial: &Trial, report: impl Into<Report>) -> Result<ReportOutcome, Error> {
        self.membership.handle().report(&trial.id, Some(trial.attempts), report.into())
    }
}

impl std::fmt::Debug for OwnWorker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OwnWorker").field(self.id()).finish()
    }
}

/// Asks for trials to evaluate. The answer comes once there are some, or once there will be no more;
/// it is never [`AskOutcome::Wait`] alone.
#[derive(Debug, Clone)]
pub struct Ask {
    worker: WorkerId,
    alive: Arc<AtomicBool>,
    n: usize,
}

impl Ask {
    /// For up to `n` trials for this worker.
    pub fn of(worker: &OwnWorker, n: usize) -> Self {
        Ask { worker: worker.id().clone(), alive: worker.membership.alive(), n }
    }
}

/// Reports an attempt.
#[derive(Debug, Clone)]
pub struct Tell {
    /// Which trial.
    pub trial: TrialId,
    /// Which attempt; none for the current one, whoever holds it.
    pub attempt: Option<u32>,
    /// What came of it.
    pub report: Report,
}

impl Tell {
    /// Of a trial as it was handed out.
    pub fn of(trial: &Trial, report: impl Into<Report>) -> Self {
        Tell { trial: trial.id.clone(), attempt: Some(trial.attempts), report: report.into() }
    }
}

/// Tells values of an evaluation that goes on: one for each step, of an epoch, say.
#[derive(Debug, Clone)]
pub struct TellSteps {
    /// Which trial.
    pub trial: TrialId,
    /// Which attempt; none for the current one, whoever holds it.
    pub attempt: Option<u32>,
    /// The steps, in their order.
    pub steps: Vec<Step>,
}

impl TellSteps {
    /// Of a trial as it was handed out: the numbers of the steps and their values.
    ///
    /// ```
    /// # use trialmill::actor::TellSteps;
    /// # fn told(trial: &trialmill::Trial) -> TellSteps {
    /// TellSteps::of(trial, [(1, 0.9), (2, 0.4)])
    /// # }
    /// ```
    pub fn of<V: Into<Objective>>(
        trial: &Trial,
        steps: impl IntoIterator<Item = (u64, V)>,
    ) -> Self {
        let steps = steps.into_iter().map(|(step, value)| Step::new(step, value)).collect();
        TellSteps { trial: trial.id.clone(), attempt: Some(trial.attempts), steps }
    }
}

/// Gives an attempt back without a report: another worker may start the trial again.
#[derive(Debug, Clone)]
pub struct Release {
    /// Which trial.
    pub trial: TrialId,
    /// Which attempt; none for the current one, whoever holds it.
    pub attempt: Option<u32>,
}

/// Reads the study: a closure that runs on the state actor's thread, so it must be quick.
pub struct Query<R>(Box<dyn FnOnce(&StudyState) -> R + Send>);

impl<R> Query<R> {
    /// What this closure returns.
    pub fn new(read: impl FnOnce(&StudyState) -> R + Send + 'static) -> Self {
        Query(Box::new(read))
    }
}

/// From now on, send the events of the study to this actor.
pub struct Subscribe(pub Recipient<Stored>);

/// To a subscriber: what happened, of this process and of others, once it is stored.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The events of one commit, in their order.
    pub events: Arc<[Event]>,
    /// How many events before these did not fit into the subscriber's mailbox, and are missing.
    pub missed: u64,
}

impl Message for Ask {
    type Result = Result<AskOutcome, Error>;
}

impl Message for Tell {
    type Result = Result<ReportOutcome, Error>;
}

impl Message for TellSteps {
    type Result = Result<StepOutcome, Error>;
}

impl Message for Release {
    type Result = Result<ReportOutcome, Error>;
}

impl<R: Send + 'static> Message for Query<R> {
    type Result = Result<R, Error>;
}

impl Message for Subscribe {
    type Result = ();
}

impl Message for Stored {
    type Result = ();
}

fn ask(worker: &WorkerId, n: usize) -> Command {
    Command::Ask(study::Ask { worker: worker.clone(), n, lease: None, evaluation: None })
}

impl State {
    fn execute<R: 'static>(
        &mut self,
        command: Command,
        ctx: &mut Context<Self>,
        outcome: fn(Answer) -> R,
    ) -> ResponseFuture<Result<R, Error>> {
        let (reply, answers) = tokio::sync::oneshot::channel::<Answers>();
        self.handle(Execute { commands: vec![command], reply: Reply::Task(reply) }, ctx);
        Box::pin(async move {
            let answer = understand(answers.await.ok())?.pop();
            Ok(outcome(answer.unwrap_or(Ok(Answer::Done))?))
        })
    }
}

impl Handler<Ask> for State {
    type Result = ResponseFuture<Result<AskOutcome, Error>>;

    fn handle(&mut self, message: Ask, ctx: &mut Context<Self>) -> Self::Result {
        let Ask { worker, alive, n } = message;
        if !alive.load(Ordering::Acquire) {
            let dead = format!("worker {worker} asks for trials after its OwnWorker was dropped");
            return Box::pin(async { Err(Error::Setting(dead)) });
        }
        self.execute(ask(&worker, n), ctx, ask_outcome)
    }
}

impl Handler<Tell> for State {
    type Result = ResponseFuture<Result<ReportOutcome, Error>>;

    fn handle(&mut self, message: Tell, ctx: &mut Context<Self>) -> Self::Result {
        let Tell { trial, attempt, report } = message;
        let report = Command::Report { trial, attempt, report: Box::new(report) };
        self.execute(report, ctx, report_outcome)
    }
}

impl Handler<TellSteps> for State {
    type Result = ResponseFuture<Result<StepOutcome, Error>>;

    fn handle(&mut self, message: TellSteps, ctx: &mut Context<Self>) -> Self::Result {
        let TellSteps { trial, attempt, steps } = message;
        self.execute(Command::Step { trial, attempt, steps }, ctx, step_outcome)
    }
}

impl Handler<Release> for State {
    type Result = ResponseFuture<Result<ReportOutcome, Error>>;

    fn handle(&mut self, message: Release, ctx: &mut Context<Self>) -> Self::Result {
        let Release { trial, attempt } = message;
        let release = Command::Release { trial, attempt, reason: Reason::Released };
        self.execute(release, ctx, report_outcome)
    }
}

impl<R: Send + 'static> Handler<Query<R>> for State {
    type Result = ResponseFuture<Result<R, Error>>;

    fn handle(&mut self, Query(read): Query<R>, ctx: &mut Context<Self>) -> Self::Result {
        let (reply, answer) = tokio::sync::oneshot::channel::<Result<R, Lost>>();
        let view = Box::new(move |study: Result<&StudyState, Lost>| {
            drop(reply.send(study.map(read)));
        });
        self.handle(Inspect(view), ctx);
        Box::pin(async move { Ok(answer.await.map_err(|_| Error::Closed)??) })
    }
}

impl Handler<Subscribe> for State {
    type Result = ();

    fn handle(&mut self, Subscribe(to): Subscribe, ctx: &mut Context<Self>) {
        let mut missed = 0;
        let listener = Listen(Box::new(move |events| {
            let message = Stored { events: events.into(), missed };
            missed = match to.try_send(message) {
                Ok(()) => 0,
                // Nobody waits for a slow subscriber, and what waits for it has a bound.
                Err(_) => missed + events.len() as u64,
            };
            to.connected()
        }));
        self.handle(listener, ctx);
    }
}
