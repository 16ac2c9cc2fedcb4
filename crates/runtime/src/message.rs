//! All messages of the runtime, on one page.
//!
//! A message that must be answered carries its own reply channel, because actix skips a message
//! whose `send` was dropped or timed out: a report must never be lost that way.

use std::sync::Arc;

use actix::Message;

use trialmill_core::error::{Error, StudyError};
use trialmill_core::optimizer::Proposal;
use trialmill_core::stopping::RegretBound;
use trialmill_core::study::{Answer, Checkpoint, Command, StudyState};

/// The state is lost: the answer to every waiting and later message from then on.
#[derive(Debug, Clone)]
pub(crate) struct Lost(pub(crate) Arc<str>);

/// One answer for each command, in order.
pub(crate) type Answers = Result<Vec<Result<Answer, StudyError>>, Lost>;

/// Where the answers go: to a thread that waits, to a task, or to an actor.
pub(crate) enum Reply {
    Thread(crossbeam_channel::Sender<Answers>),
    Task(tokio::sync::oneshot::Sender<Answers>),
    Actor(ToActor),
    Nobody,
}

/// The way to an actor that waits. Channels tell who waits that nobody will answer any more; an
/// address does not, so this does.
pub(crate) struct ToActor(Option<actix::Recipient<Answered>>);

impl ToActor {
    pub(crate) fn new(actor: actix::Recipient<Answered>) -> Self {
        ToActor(Some(actor))
    }

    fn send(&mut self, answers: Option<Answers>) {
        if let Some(actor) = self.0.take() {
            actor.do_send(Answered(answers));
        }
    }
}

impl Drop for ToActor {
    fn drop(&mut self) {
        self.send(None);
    }
}

impl Reply {
    pub(crate) fn send(self, answers: Answers) {
        // The sender may be gone; what was decided stays decided.
        match self {
            Reply::Thread(to) => drop(to.send(answers)),
            Reply::Task(to) => drop(to.send(answers)),
            Reply::Actor(mut to) => to.send(Some(answers)),
            Reply::Nobody => {}
        }
    }
}

/// To the state actor: decide these commands in order, store the resulting events, and answer once
/// they are durable. A worker's report and its next request for trials travel in one such message. A
/// request that cannot be met yet must be the last command; its answer is delayed until it can be.
pub(crate) struct Execute {
    pub(crate) commands: Vec<Command>,
    pub(crate) reply: Reply,
}

/// To a worker actor: what the state actor answered to its [`Execute`]; nothing if it panicked.
pub(crate) struct Answered(pub(crate) Option<Answers>);

/// A closure that reads the study.
pub(crate) type View = Box<dyn FnOnce(Result<&StudyState, Lost>) + Send>;

/// To the state actor: run this closure on the study, once it has caught up with other processes.
pub(crate) struct Inspect(pub(crate) View);

/// To the state actor: this worker's time is up, so it waits no longer for a trial.
pub(crate) struct TimeIsUp(pub(crate) trialmill_core::trial::WorkerId);

/// To the state actor, from itself: all waiting messages are collected; commit them.
pub(crate) struct Flush;

/// To the state actor, from the watcher: other processes wrote events; try the waiting requests
/// again.
pub(crate) struct Poke;

/// To the state actor: hand out no more trials, and tell the waiting workers to stop.
pub(crate) struct Interrupt;

/// To the state actor: commit what is waiting, leave the study, return the state, and end.
pub(crate) struct Shutdown {
    pub(crate) done: crossbeam_channel::Sender<StudyState>,
    /// Whether to leave the study, which gives back what this process holds. If not, the others wait
    /// until this process and all its commands are gone.
    pub(crate) leaves: bool,
}

/// To the state actor: call this with the events of each batch from now on, once they are stored.
pub(crate) struct Listen(pub(crate) super::hooks::BatchHook);

/// To the optimizer actor: these events happened; now propose.
pub(crate) struct Propose {
    pub(crate) events: Vec<trialmill_core::event::Event>,
    pub(crate) n: usize,
    pub(crate) reply_to: actix::Recipient<Proposed>,
}

/// To the state actor, from the optimizer actor.
pub(crate) struct Proposed {
    pub(crate) proposal: Result<Proposal, String>,
    /// How many samples there were when it was made.
    pub(crate) first_sample: u64,
}

/// To the state actor, from the thread that computed it: whether the bound on the regret is small enough.
pub(crate) struct Bounded {
    pub(crate) checkpoint: Arc<Checkpoint>,
    pub(crate) wanted: RegretBound,
    pub(crate) is_small: bool,
}

/// What the state actor's answer means for who waited for it; `None` if it ended without one.
pub(crate) fn understand(
    answers: Option<Answers>,
) -> Result<Vec<Result<Answer, StudyError>>, Error> {
    match answers {
        Some(Ok(answers)) => Ok(answers),
        Some(Err(lost)) => Err(lost.into()),
        None => Err(Error::Closed),
    }
}

impl From<Lost> for Error {
    fn from(lost: Lost) -> Self {
        Error::StateLost(lost.0.to_string())
    }
}

macro_rules! messages {
    ($($name:ty),*) => { $(impl Message for $name { type Result = (); })* };
}
messages!(
    TimeIsUp, Execute, Answered, Inspect, Flush, Poke, Interrupt, Shutdown, Listen, Propose,
    Proposed, Bounded
);
