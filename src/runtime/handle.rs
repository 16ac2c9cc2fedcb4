//! A handle on a running study: everything that NePS's state lets one do, as methods, from any
//! thread of the process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;

use super::message::{Answers, Interrupt, Look, Lost, Poke, Reply, Turn};
use super::published::{Published, Snapshot};
use super::state::StateActor;
use crate::error::{Error, StudyError};
use crate::event::{Policy, Reason};
use crate::optimizer::OptimizerInfo;
use crate::store::{Directory, Place};
use crate::study::{Answer, Ask, Command, StopReason, Study};
use crate::trial::{Report, State, Trial, TrialId};

/// Talks to the state actor of an open study. Clone it freely; every method may be called from any
/// thread but the state actor's own, and returns when what it did is durable.
#[derive(Clone)]
pub struct StudyHandle {
    pub(super) state: Addr<StateActor>,
    pub(super) published: Arc<Published>,
    pub(super) place: Place,
    pub(super) directory: Option<Directory>,
}

/// What a caller outside gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// Evaluate these; `attempts` is the number of this attempt, for [`StudyHandle::report`].
    Trials(Vec<Trial>),
    /// Nothing now: results are needed first. Ask again later.
    Wait,
    /// Nothing any more.
    Stop(StopReason),
}

/// What became of a report. Look at it: a superseded one changes nothing, and whoever names the wrong
/// attempt each time loses the trial to its deadlines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Reported {
    /// It is stored.
    Accepted,
    /// The attempt is not the trial's current one any more; nothing was changed.
    Superseded {
        /// The trial's state.
        state: State,
        /// Its latest attempt.
        attempts: u32,
    },
}

impl StudyHandle {
    /// Sends commands to be decided in order and stored together; gives an answer for each.
    ///
    /// # Errors
    /// The state is gone; then nothing of this was acknowledged.
    pub fn exchange(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Answer, StudyError>>, Error> {
        let (reply, answers) = crossbeam_channel::bounded::<Answers>(1);
        self.state.do_send(Turn { commands, reply: Reply::Thread(reply) });
        self.understand(answers.recv().ok())
    }

    /// The same for a task.
    pub(crate) async fn exchange_async(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Answer, StudyError>>, Error> {
        let (reply, answers) = tokio::sync::oneshot::channel::<Answers>();
        self.state.do_send(Turn { commands, reply: Reply::Task(reply) });
        self.understand(answers.await.ok())
    }

    fn understand(
        &self,
        answers: Option<Answers>,
    ) -> Result<Vec<Result<Answer, StudyError>>, Error> {
        match answers {
            Some(Ok(answers)) => Ok(answers),
            Some(Err(lost)) => Err(lost_error(&lost)),
            None => Err(Error::Closed),
        }
    }

    fn one(&self, command: Command) -> Result<Answer, Error> {
        let answer = self.exchange(vec![command])?.pop();
        Ok(answer.unwrap_or(Ok(Answer::Done))?)
    }

    /// Looks at the study as it is now, up to date with what other processes did. The closure runs
    /// on the state actor's thread: let it take what it needs and be quick.
    ///
    /// # Errors
    /// The state is gone, or the closure panicked ([`Error::Closed`]).
    pub fn look<R: Send + 'static>(
        &self,
        look: impl FnOnce(&Study) -> R + Send + 'static,
    ) -> Result<R, Error> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        self.state.do_send(Look(Box::new(move |study| {
            drop(reply.send(study.map(look)));
        })));
        match answer.recv() {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(lost)) => Err(lost_error(&lost)),
            Err(_) => Err(Error::Closed),
        }
    }

    /// The study in numbers, as of the last commit of this process. Costs nothing.
    pub fn snapshot(&self) -> Snapshot {
        self.published.snapshot()
    }

    /// Samples `n` configurations that wait, pending (NePS: `lock_and_sample_trial`).
    ///
    /// # Errors
    /// The optimizer fails, waits, has finished, or must be asked outside the lock.
    pub fn sample(&self, n: usize) -> Result<Vec<Trial>, Error> {
        let answer = self.one(Command::Sample { n, worker: "handle".into() })?;
        match answer {
            Answer::Evaluate(list) => Ok(list.into_iter().map(|handed| handed.trial).collect()),
            answer => Err(Error::Setting(format!("nothing was sampled: {answer:?}"))),
        }
    }

    /// Asks for up to `n` trials to evaluate elsewhere. They belong to `caller` until they are
    /// told, released, or `deadline` has passed. Unlike a worker's wish this one never waits.
    ///
    /// # Errors
    /// The state is gone, the optimizer fails, or the caller's name is empty, too long, or like
    /// that of a worker (`p1-w1`).
    pub fn ask(&self, caller: &str, n: usize, deadline: Duration) -> Result<Asked, Error> {
        crate::event::check_caller(caller).map_err(Error::Setting)?;
        let ask = Ask { worker: caller.into(), n, lease: Some(self.place.lease(deadline)) };
        match self.one(Command::Ask(ask))? {
            Answer::Evaluate(list) => {
                Ok(Asked::Trials(list.into_iter().map(|handed| handed.trial).collect()))
            }
            Answer::Stop(reason) => Ok(Asked::Stop(reason)),
            _ => Ok(Asked::Wait),
        }
    }

    /// The directory of a trial, which may not exist yet; none for a study in memory.
    pub fn trial_dir(&self, id: &TrialId) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.trial_path(id))
    }

    /// Reports an attempt (NePS: `lock_and_report_trial_evaluation`). Without `attempt`, whoever
    /// holds the trial now.
    ///
    /// # Errors
    /// There is no such trial, the report is too large, or the state is gone.
    pub fn report(
        &self,
        trial: &TrialId,
        attempt: Option<u32>,
        report: Report,
    ) -> Result<Reported, Error> {
        let report = Box::new(report);
        Ok(reported(self.one(Command::Report { trial: trial.clone(), attempt, report })?))
    }

    /// Hands a trial back without a report.
    ///
    /// # Errors
    /// There is no such trial, or the state is gone.
    pub fn release(&self, trial: &TrialId, attempt: Option<u32>) -> Result<Reported, Error> {
        let reason = Reason::Released;
        Ok(reported(self.one(Command::Release { trial: trial.clone(), attempt, reason })?))
    }

    /// The next `n` trials that wait, the first sampled first (NePS:
    /// `lock_and_get_next_pending_trial`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn next_pending(&self, n: usize) -> Result<Vec<Trial>, Error> {
        self.look(move |study| study.pending().take(n).cloned().collect())
    }

    /// The trials that are being evaluated (NePS: `lock_and_get_current_evaluating_trials`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn evaluating(&self) -> Result<Vec<Trial>, Error> {
        self.look(|study| study.evaluating().cloned().collect())
    }

    /// All trials (NePS: `lock_and_read_trials`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn trials(&self) -> Result<Vec<Trial>, Error> {
        self.look(|study| study.trials().iter().cloned().collect())
    }

    /// A trial by id (NePS: `lock_and_get_trial_by_id`).
    ///
    /// # Errors
    /// There is no such trial, or the state is gone.
    pub fn trial(&self, id: &TrialId) -> Result<Trial, Error> {
        let wanted = id.clone();
        let trial = self.look(move |study| study.trial(&wanted).cloned())?;
        trial.ok_or_else(|| StudyError::UnknownTrial(id.clone()).into())
    }

    /// All ids, in the order in which the trials were sampled (NePS: `all_trial_ids`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn trial_ids(&self) -> Result<Vec<TrialId>, Error> {
        self.look(|study| study.trials().iter().map(|trial| trial.id.clone()).collect())
    }

    /// The trials that failed or crashed (NePS: `lock_and_get_errors`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn errors(&self) -> Result<Vec<Trial>, Error> {
        let bad = |trial: &&Trial| matches!(trial.state, State::Failed | State::Crashed);
        self.look(move |study| study.trials().iter().filter(bad).cloned().collect())
    }

    /// The optimizer's name and arguments (NePS: `lock_and_get_optimizer_info`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn optimizer_info(&self) -> Result<OptimizerInfo, Error> {
        self.look(|study| study.definition().optimizer.clone())
    }

    /// The rules, what was spent, and how many samples were taken: what NePS calls the optimizer's
    /// state (`lock_and_get_optimizer_state`). The random streams follow from the seed.
    ///
    /// # Errors
    /// The state is gone.
    pub fn optimizer_state(&self) -> Result<(Policy, crate::budget::Spent, u64), Error> {
        self.look(|study| (study.policy().clone(), study.spent(), study.samples()))
    }

    /// Sets a trial as a whole: an import, or a correction (NePS: `put_updated_trial`). A trial's
    /// configuration cannot be changed.
    ///
    /// # Errors
    /// The trial exists with another configuration or more attempts, or the state is gone.
    pub fn put(&self, trial: Trial) -> Result<(), Error> {
        self.one(Command::Put(Box::new(trial))).map(drop)
    }

    /// Gives trials that failed or crashed back to be tried again; gives their ids.
    ///
    /// # Errors
    /// The state is gone.
    pub fn retry(&self, states: &[State]) -> Result<Vec<TrialId>, Error> {
        match self.one(Command::Retry { states: states.to_vec() })? {
            Answer::Requeued(ids) => Ok(ids),
            _ => Ok(Vec::new()),
        }
    }

    /// Changes the rules of the study: a larger budget, say.
    ///
    /// # Errors
    /// The rules make no sense, or the state is gone.
    pub fn set_policy(&self, policy: Policy) -> Result<(), Error> {
        self.one(Command::SetPolicy(policy)).map(drop)
    }

    pub(crate) fn poke(&self) {
        self.state.do_send(Poke);
    }

    /// Hands nothing out any more; workers end when what they evaluate has ended.
    pub(crate) fn interrupt(&self) {
        if self.published.interrupt() {
            self.state.do_send(Interrupt);
        }
    }
}

fn reported(answer: Answer) -> Reported {
    match answer {
        Answer::Superseded { state, attempts, .. } => Reported::Superseded { state, attempts },
        _ => Reported::Accepted,
    }
}

fn lost_error(lost: &Lost) -> Error {
    Error::StateLost(lost.0.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::{Parameter, SearchSpace};

    /// actix skips a message whose sender has dropped the answer's future: a report would be lost.
    #[test]
    fn what_was_sent_is_decided_also_when_nobody_waits_for_the_answer_any_more() {
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        let session = crate::Study::in_memory().space(space).ctrl_c(false).open().unwrap();
        let handle = session.handle();
        let Asked::Trials(asked) = handle.ask("one", 4, Duration::from_secs(60)).unwrap() else {
            panic!("nothing was handed out")
        };
        for trial in &asked {
            let (thread, task) =
                (crossbeam_channel::bounded(1).0, tokio::sync::oneshot::channel().0);
            let even = trial.id.number().is_some_and(|n| n % 2 == 0);
            let reply = if even { Reply::Thread(thread) } else { Reply::Task(task) };
            let report = Box::new(Report::objective(0.5));
            let report = Command::Report { trial: trial.id.clone(), attempt: Some(1), report };
            handle.state.do_send(Turn { commands: vec![report], reply });
        }
        assert_eq!(handle.look(|study| study.count(State::Success)).unwrap(), 4);
    }
}
