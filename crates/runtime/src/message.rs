//! All messages of the runtime, on one page.
//!
//! A message that must be answered carries its own reply channel, because actix skips a message
//! whose `send` was dropped or timed out: a report must never be lost that way.

use std::sync::Arc;

use actix::Message;

use trialmill_core::error::StudyError;
use trialmill_core::optimizer::Proposal;
use trialmill_core::study::{Answer, Command, StudyState};

/// The state is gone: what every waiting and later message is answered then.
#[derive(Debug, Clone)]
pub(crate) struct Lost(pub(crate) Arc<str>);

/// One answer for each command, in order.
pub(crate) type Answers = Result<Vec<Result<Answer, StudyError>>, Lost>;

/// Where the answers go: to a thread that waits, or to a task.
pub(crate) enum Reply {
    Thread(crossbeam_channel::Sender<Answers>),
    Task(tokio::sync::oneshot::Sender<Answers>),
}

impl Reply {
    pub(crate) fn send(self, answers: Answers) {
        // Whoever asked may be gone; what was decided stays decided.
        match self {
            Reply::Thread(to) => drop(to.send(answers)),
            Reply::Task(to) => drop(to.send(answers)),
        }
    }
}

/// To the state actor: decide these commands in order, store what comes of it, answer once it is
/// durable. A worker's report and its next request travel in one such message. A request that cannot be
/// met yet must be the last command; its answer waits until it can be met.
pub(crate) struct Execute {
    pub(crate) commands: Vec<Command>,
    pub(crate) reply: Reply,
}

/// What somebody wants to see of the study.
pub(crate) type View = Box<dyn FnOnce(Result<&StudyState, Lost>) + Send>;

/// To the state actor: look at the study, up to date with what others did.
pub(crate) struct Inspect(pub(crate) View);

/// To the state actor, from itself: all waiting messages are collected; commit them.
pub(crate) struct Flush;

/// To the state actor, from the watcher: others did something; try the waiting requests again.
pub(crate) struct Poke;

/// To the state actor: hand nothing out any more, and say so to whoever waits.
pub(crate) struct Interrupt;

/// To the state actor: commit what is waiting, leave the study, give the state back, and end.
pub(crate) struct Shutdown(pub(crate) crossbeam_channel::Sender<StudyState>);

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

macro_rules! messages {
    ($($name:ty),*) => { $(impl Message for $name { type Result = (); })* };
}
messages!(Execute, Inspect, Flush, Poke, Interrupt, Shutdown, Propose, Proposed);
