//! A handle on a running study, for any thread of the process: a [`Client`] whose commands go to the
//! state actor.

use std::sync::Arc;

use actix::Addr;

use super::client::{Client, Exchange};
use super::message::{Answers, Execute, Inspect, Interrupt, Poke, Reply, understand};
use super::published::{Published, Snapshot};
use super::state::StateActor;
use trialmill_core::error::{Error, StudyError};
use trialmill_core::study::{Answer, Command, StudyState};
use trialmill_store::Directory;

/// Sends commands to the state actor of an open study.
#[derive(Clone)]
pub struct ToSession {
    pub(super) state: Addr<StateActor>,
    pub(super) published: Arc<Published>,
    /// Shared, because every trial that runs has a handle, and a directory knows the whole space.
    pub(super) directory: Option<Arc<Directory>>,
}

/// Sends commands to the state actor of an open study. Clone it freely. Every method may be called
/// from any thread but the state actor's own, and returns when its effect is durable.
pub type StudyHandle = Client<ToSession>;

impl Exchange for ToSession {
    fn exchange(&self, commands: Vec<Command>) -> Result<Vec<Result<Answer, StudyError>>, Error> {
        let (reply, answers) = crossbeam_channel::bounded::<Answers>(1);
        self.state.do_send(Execute { commands, reply: Reply::Thread(reply) });
        understand(answers.recv().ok())
    }

    fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&StudyState) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.state.do_send(Inspect(Box::new(move |study| {
            drop(reply.send(study.map(read)));
        })));
        match answer.recv() {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(lost)) => Err(lost.into()),
            Err(_) => Err(Error::Closed),
        }
    }

    fn directory(&self) -> Option<&Directory> {
        self.directory.as_deref()
    }
}

impl Client<ToSession> {
    /// The same as [`exchange`](Self::exchange), for a task.
    pub(crate) async fn exchange_async(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Answer, StudyError>>, Error> {
        let (reply, answers) = tokio::sync::oneshot::channel::<Answers>();
        self.exchange.state.do_send(Execute { commands, reply: Reply::Task(reply) });
        understand(answers.await.ok())
    }

    /// Sends commands whose answers nobody waits for. They come before everything sent later.
    pub(crate) fn send_unanswered(&self, commands: Vec<Command>) {
        if !commands.is_empty() {
            self.exchange.state.do_send(Execute { commands, reply: Reply::Nobody });
        }
    }

    /// The study in numbers, as of the last commit of this process. Cheap.
    pub fn snapshot(&self) -> Snapshot {
        self.exchange.published.snapshot()
    }

    /// The address of the state actor, which takes the messages of [`actor`](crate::actor).
    pub fn address(&self) -> Addr<StateActor> {
        self.exchange.state.clone()
    }

    pub(crate) fn published(&self) -> &Published {
        &self.exchange.published
    }

    pub(crate) fn poke(&self) {
        self.exchange.state.do_send(Poke);
    }

    /// Stops handing out trials; each worker ends after its current evaluation.
    pub(crate) fn interrupt(&self) {
        if self.exchange.published.interrupt() {
            self.exchange.state.do_send(Interrupt);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::AskOutcome;
    use trialmill_core::space::{Parameter, SearchSpace};
    use trialmill_core::trial::{Report, State};

    /// actix skips a message whose sender has dropped the answer's future: a report would be lost.
    #[test]
    fn what_was_sent_is_decided_also_when_nobody_waits_for_the_answer_any_more() {
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        let session = crate::StudyBuilder::in_memory().space(space).ctrl_c(false).open().unwrap();
        let handle = session.handle();
        let AskOutcome::Trials(asked) = handle.ask("one", 4, Duration::from_mins(1)).unwrap()
        else {
            panic!("nothing was handed out")
        };
        for trial in &asked {
            let (thread, task) =
                (crossbeam_channel::bounded(1).0, tokio::sync::oneshot::channel().0);
            let even = trial.id.number().is_some_and(|n| n % 2 == 0);
            let reply = if even { Reply::Thread(thread) } else { Reply::Task(task) };
            let report = Box::new(Report::objective(0.5));
            let report = Command::Report { trial: trial.id.clone(), attempt: Some(1), report };
            handle.exchange.state.do_send(Execute { commands: vec![report], reply });
        }
        assert_eq!(handle.with_study(|study| study.count(State::Success)).unwrap(), 4);
    }
}
