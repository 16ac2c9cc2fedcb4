//! The client: the one implementation of asking, reporting, releasing, retrying and reading.
//!
//! It is independent of how its commands reach the study. A [`StudyHandle`](super::StudyHandle) sends
//! them to the state actor of a running session; a [`DirectClient`](super::DirectClient) decides
//! them itself, in a short-lived process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use super::error_log;
use trialmill_core::budget::Spent;
use trialmill_core::config::Config;
use trialmill_core::error::{Error, StudyError};
use trialmill_core::evaluation::Evaluation;
use trialmill_core::event::{Policy, Reason};
use trialmill_core::optimizer::OptimizerInfo;
use trialmill_core::study::{Answer, Ask, Command, StopReason, StudyState};
use trialmill_core::trial::{ENQUEUE, IMPORT, Objective, Report, State, Step, Trial, TrialId};
use trialmill_store::{Directory, Machine};

/// How commands reach a study, and how a study is read.
pub trait Exchange {
    /// Has commands decided in order and stored together; returns one answer per command.
    ///
    /// # Errors
    /// The state is lost or the store fails; then none of these commands was acknowledged.
    fn exchange(&self, commands: Vec<Command>) -> Result<Vec<Result<Answer, StudyError>>, Error>;

    /// Reads the study as it is now, up to date with what other processes did.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange).
    fn read<R: Send + 'static>(
        &self,
        read: impl FnOnce(&StudyState) -> R + Send + 'static,
    ) -> Result<R, Error>;

    /// The study's directory; `None` for a study in memory.
    fn directory(&self) -> Option<&Directory>;
}

/// All operations on a study, over any [`Exchange`]. Each method returns once its effect is durable.
#[derive(Clone)]
pub struct Client<E> {
    pub(super) exchange: E,
}

/// The outcome of asking for trials.
#[derive(Debug, Clone, PartialEq)]
pub enum AskOutcome {
    /// Evaluate these; `attempts` is the number of this attempt, for [`Client::report`].
    Trials(Vec<Trial>),
    /// No trial now: the optimizer needs results first. Ask again later.
    Wait,
    /// No trial ever again, and why.
    Stop(StopReason),
}

impl AskOutcome {
    /// The trials; an empty list for the other outcomes.
    pub fn into_trials(self) -> Vec<Trial> {
        match self {
            AskOutcome::Trials(trials) => trials,
            AskOutcome::Wait | AskOutcome::Stop(_) => Vec::new(),
        }
    }
}

/// Outcome of a report or a release. Check it: a superseded one changed nothing, and a caller that
/// keeps sending a stale attempt loses the trial when its deadline passes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum ReportOutcome {
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

/// Outcome of reporting steps.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum StepOutcome {
    /// They are stored, and the evaluation goes on.
    Continue,
    /// They are stored, and the pruner says that the evaluation should end: report
    /// [`Report::pruned`].
    Prune,
    /// The attempt is not the trial's current one any more; nothing was changed.
    Superseded {
        /// The trial's state.
        state: State,
        /// Its latest attempt.
        attempts: u32,
    },
}

impl<E: Exchange> Client<E> {
    /// Has commands decided in order and stored together; gives an answer for each.
    ///
    /// # Errors
    /// The state is gone; then nothing of this was acknowledged.
    pub fn exchange(
        &self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Answer, StudyError>>, Error> {
        self.exchange.exchange(commands)
    }

    fn exchange_one(&self, command: Command) -> Result<Answer, Error> {
        let answer = self.exchange(vec![command])?.pop();
        Ok(answer.unwrap_or(Ok(Answer::Done))?)
    }

    /// The same for several commands; the first that is refused is the error.
    fn exchange_all(&self, commands: Vec<Command>) -> Result<Vec<Answer>, Error> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.exchange(commands)?.into_iter().collect::<Result<_, _>>()?)
    }

    /// Runs a closure on the current study, after catching up with other processes. In a running
    /// session the closure runs on the state actor's thread: it should copy what it needs and be
    /// quick.
    ///
    /// # Errors
    /// The state is gone, or the closure panicked ([`Error::Closed`]).
    pub fn with_study<R: Send + 'static>(
        &self,
        read: impl FnOnce(&StudyState) -> R + Send + 'static,
    ) -> Result<R, Error> {
        self.exchange.read(read)
    }

    /// The study's directory; `None` for a study in memory.
    pub fn directory(&self) -> Option<&Directory> {
        self.exchange.directory()
    }

    /// The directory of a trial, which may not exist yet; none for a study in memory.
    pub fn trial_dir(&self, id: &TrialId) -> Option<PathBuf> {
        self.directory().map(|directory| directory.trial_path(id))
    }

    /// Asks for up to `n` trials to evaluate elsewhere. They belong to `caller` until they are
    /// reported, released, or `deadline` has passed. Unlike a worker's request this one does
    /// not wait for results of other trials, only for a slow optimizer's proposal.
    ///
    /// # Errors
    /// The state is gone, the optimizer fails, or the caller's name is empty, too long, or like
    /// that of a worker (`p1-w1`).
    pub fn ask(&self, caller: &str, n: usize, deadline: Duration) -> Result<AskOutcome, Error> {
        trialmill_core::event::check_caller(caller).map_err(Error::Setting)?;
        let here = Machine::here;
        let machine = self.directory().map_or_else(here, |directory| directory.machine().clone());
        let ask = Ask {
            worker: caller.into(),
            n,
            lease: Some(machine.lease(deadline)),
            evaluation: None,
        };
        self.exchange_one(Command::Ask(ask)).map(ask_outcome)
    }

    /// Samples `n` configurations that stay pending (NePS: `lock_and_sample_trial`). A slow optimizer
    /// is waited for.
    ///
    /// # Errors
    /// The optimizer fails, or the state is gone.
    pub fn sample(&self, n: usize) -> Result<AskOutcome, Error> {
        self.exchange_one(Command::Sample { n, worker: "handle".into() }).map(ask_outcome)
    }

    /// Reports an attempt (NePS: `lock_and_report_trial_evaluation`). Without `attempt`: the current
    /// one, whichever worker or caller holds it.
    ///
    /// # Errors
    /// There is no such trial, the report is too large, or the state is gone.
    pub fn report(
        &self,
        trial: &TrialId,
        attempt: Option<u32>,
        report: Report,
    ) -> Result<ReportOutcome, Error> {
        let (trial, report) = (trial.clone(), Box::new(report));
        self.exchange_one(Command::Report { trial, attempt, report }).map(report_outcome)
    }

    /// Reports values of an attempt before its end. Without `attempt`: of the current one, whichever
    /// worker or caller holds it. Returns once every process can see them; a power cut may still take
    /// those after the last synced result.
    ///
    /// # Errors
    /// There is no such trial, a step has no value, there are too many, or the state is gone.
    pub fn report_steps(
        &self,
        trial: &TrialId,
        attempt: Option<u32>,
        steps: impl IntoIterator<Item = Step>,
    ) -> Result<StepOutcome, Error> {
        let (trial, steps) = (trial.clone(), steps.into_iter().collect());
        self.exchange_one(Command::Step { trial, attempt, steps }).map(step_outcome)
    }

    /// The same for one step: its number and its value, or values.
    ///
    /// # Errors
    /// As [`report_steps`](Self::report_steps).
    pub fn report_step(
        &self,
        trial: &TrialId,
        attempt: Option<u32>,
        step: u64,
        value: impl Into<Objective>,
    ) -> Result<StepOutcome, Error> {
        self.report_steps(trial, attempt, [Step::new(step, value)])
    }

    /// Releases a trial without a report: it is requeued.
    ///
    /// # Errors
    /// There is no such trial, or the state is gone.
    pub fn release(&self, trial: &TrialId, attempt: Option<u32>) -> Result<ReportOutcome, Error> {
        self.exchange_one(release(trial.clone(), attempt)).map(report_outcome)
    }

    /// Releases all of these trials together, each if its attempt is still the current one.
    ///
    /// # Errors
    /// One of them is not of this study, or the state is gone.
    pub fn release_all(&self, trials: &[Trial]) -> Result<(), Error> {
        let one = |trial: &Trial| release(trial.id.clone(), Some(trial.attempts));
        self.exchange_all(trials.iter().map(one).collect()).map(drop)
    }

    /// Requeues all trials in these states that failed or crashed; returns their ids.
    ///
    /// # Errors
    /// The state is gone.
    pub fn retry(&self, states: &[State]) -> Result<Vec<TrialId>, Error> {
        let answer = self.exchange_one(Command::Retry { states: states.to_vec() })?;
        Ok(requeued([answer]))
    }

    /// Requeues these trials, all or none of them; returns their ids.
    ///
    /// # Errors
    /// One of them does not exist, or neither failed nor crashed; or the state is gone.
    pub fn retry_trials(&self, ids: &[TrialId]) -> Result<Vec<TrialId>, Error> {
        let wanted = ids.to_vec();
        let refused = self.with_study(move |study| {
            let is_error =
                |id: &TrialId| study.trial(id).is_some_and(|trial| trial.state.is_error());
            wanted.into_iter().find(|id| !is_error(id))
        })?;
        // The study's own error then explains why that one is refused, and the others stay untouched.
        let commands = match refused {
            Some(id) => vec![Command::RetryOne(id)],
            None => ids.iter().cloned().map(Command::RetryOne).collect(),
        };
        Ok(requeued(self.exchange_all(commands)?))
    }

    /// Forgets what came of these trials, whatever it was, all or none of them: they wait again (NePS:
    /// `clean`). A log of errors that other programs read forgets them too.
    ///
    /// # Errors
    /// One of them does not exist, or is being evaluated; or the state is gone.
    pub fn reset(&self, ids: &[TrialId]) -> Result<Vec<TrialId>, Error> {
        let answer = self.exchange_one(Command::Reset(ids.to_vec()))?;
        if let Some(directory) = self.directory() {
            directory.layout().forget_errors(directory.path(), ids)?;
        }
        Ok(requeued([answer]))
    }

    /// Notes something about a trial, of whatever state: JSON values by name, of your own. Null takes the
    /// note of that name away. Nothing here reads them; `show`, `trials` and exports show them.
    ///
    /// # Errors
    /// There is no such trial, its notes would take more than 64 KiB together, or the state is gone.
    pub fn note<N: Into<String>, V: Into<Json>>(
        &self,
        trial: &TrialId,
        notes: impl IntoIterator<Item = (N, V)>,
    ) -> Result<(), Error> {
        let notes = notes.into_iter().map(|(name, note)| (name.into(), note.into())).collect();
        self.exchange_one(Command::Note { trial: trial.clone(), notes: Box::new(notes) }).map(drop)
    }

    /// Sets a trial as a whole: an import, or a correction (NePS: `put_updated_trial`). A correction
    /// may say what came of a trial, and takes nothing back: its configuration stays, and so do its
    /// attempts and that it has ended.
    ///
    /// # Errors
    /// The configuration is not of the study's space; the trial exists with another configuration or
    /// more attempts, or cannot become what it is to be. Or the state is gone.
    pub fn put(&self, trial: Trial) -> Result<(), Error> {
        self.put_all([trial])
    }

    /// Sets several trials, stored together.
    ///
    /// # Errors
    /// As [`put`](Self::put). If a configuration is not of the space, none is stored; else those that
    /// were not refused are.
    pub fn put_all(&self, trials: impl IntoIterator<Item = Trial>) -> Result<(), Error> {
        let trials: Vec<Trial> = trials.into_iter().collect();
        self.check_configs(&trials)?;
        self.restore(trials)
    }

    /// Adds a trial whose id must be new (NePS: `store_new_trial`).
    ///
    /// # Errors
    /// There is one of this id already ([`StudyError::DuplicateTrial`]); the configuration is not of
    /// the study's space; or the state is gone.
    pub fn put_new(&self, trial: Trial) -> Result<(), Error> {
        self.check_configs(std::slice::from_ref(&trial))?;
        self.exchange_one(Command::PutNew(Box::new(trial))).map(drop)
    }

    /// Sets trials that a study had: their configurations may be from before its space was as it is.
    ///
    /// # Errors
    /// As [`put`](Self::put), but for the space.
    pub fn restore(&self, trials: impl IntoIterator<Item = Trial>) -> Result<(), Error> {
        let put = |trial| Command::Put(Box::new(trial));
        self.exchange_all(trials.into_iter().map(put).collect()).map(drop)
    }

    /// A trial that is there already has its configuration, whatever the space is now.
    fn check_configs(&self, trials: &[Trial]) -> Result<(), Error> {
        let ids: Vec<TrialId> = trials.iter().map(|trial| trial.id.clone()).collect();
        let (space, is_there) = self.with_study(move |study| {
            let is_there: Vec<bool> = ids.iter().map(|id| study.trial(id).is_some()).collect();
            (study.definition().space.clone(), is_there)
        })?;
        for (trial, _) in trials.iter().zip(is_there).filter(|(_, is_there)| !is_there) {
            space.check(&trial.config).map_err(|error| {
                StudyError::Contradiction(format!("trial '{}': {error}", trial.id))
            })?;
        }
        Ok(())
    }

    /// Changes the policy of the study: a larger budget, say.
    ///
    /// # Errors
    /// The policy makes no sense, or the state is gone.
    pub fn set_policy(&self, policy: Policy) -> Result<(), Error> {
        self.exchange_one(Command::SetPolicy(Box::new(policy))).map(drop)
    }

    /// Changes how trials are evaluated by commands, for all workers from their next trials on. Returns its
    /// number.
    ///
    /// # Errors
    /// It makes no sense, or the state is gone.
    pub fn set_evaluation(&self, evaluation: Evaluation) -> Result<u32, Error> {
        let command = Command::SetEvaluation { evaluation: Box::new(evaluation), own: false };
        match self.exchange_one(command)? {
            Answer::Evaluation(number) => Ok(number),
            _ => Ok(0),
        }
    }

    /// Adds configurations of one's own: they are evaluated before the optimizer proposes more.
    ///
    /// # Errors
    /// One of them is not of the study's space, or the state is gone.
    pub fn enqueue(&self, configs: Vec<Config>) -> Result<Vec<Trial>, Error> {
        let space = self.with_study(|study| study.definition().space.clone())?;
        configs.iter().try_for_each(|config| space.check(config))?;
        if configs.is_empty() {
            return Ok(Vec::new());
        }
        let worker = ENQUEUE.into();
        match self.exchange_one(Command::Enqueue { worker, configs })? {
            Answer::Evaluate(trials) => Ok(trials),
            _ => Ok(Vec::new()),
        }
    }

    /// Adds trials that were evaluated elsewhere, each with its report: optimizers learn from them, and
    /// none is charged to the budget. Returns how many were not here already.
    ///
    /// # Errors
    /// One of them is not of the study's space, or its report has not what the study's have: then none
    /// is taken in. Or the state is gone.
    pub fn import(&self, trials: Vec<(Config, Report)>) -> Result<usize, Error> {
        let (worker, time) = (IMPORT.into(), trialmill_store::clock::now_s());
        match self.exchange_one(Command::Import { worker, trials, time })? {
            Answer::Evaluate(trials) => Ok(trials.len()),
            _ => Ok(0),
        }
    }

    /// Hands out nothing more, in every process, until [`resume`](Self::resume); what is being evaluated
    /// goes on. Workers wait meanwhile.
    ///
    /// # Errors
    /// The state is gone.
    pub fn pause(&self) -> Result<(), Error> {
        self.exchange_one(Command::Pause(true)).map(drop)
    }

    /// Goes on after a [`pause`](Self::pause).
    ///
    /// # Errors
    /// The state is gone.
    pub fn resume(&self) -> Result<(), Error> {
        self.exchange_one(Command::Pause(false)).map(drop)
    }

    /// Asks every process that takes part now to end: after its evaluations, or `now`, as Ctrl-C does
    /// it. Those that join later are not asked.
    ///
    /// # Errors
    /// The state is gone.
    pub fn stop_processes(&self, now: bool) -> Result<(), Error> {
        self.exchange_one(Command::StopProcesses { now }).map(drop)
    }

    /// All trials, in the order in which they were sampled (NePS: `lock_and_read_trials`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn trials(&self) -> Result<Vec<Trial>, Error> {
        self.with_study(|study| study.trials().iter().cloned().collect())
    }

    /// A trial by id (NePS: `lock_and_get_trial_by_id`).
    ///
    /// # Errors
    /// There is no such trial, or the state is gone.
    pub fn trial(&self, id: &TrialId) -> Result<Trial, Error> {
        let wanted = id.clone();
        let trial = self.with_study(move |study| study.trial(&wanted).cloned())?;
        trial.ok_or_else(|| StudyError::UnknownTrial(id.clone()).into())
    }

    /// All ids, in the order in which the trials were sampled (NePS: `all_trial_ids`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn trial_ids(&self) -> Result<Vec<TrialId>, Error> {
        self.with_study(|study| study.trials().iter().map(|trial| trial.id.clone()).collect())
    }

    /// The next `n` trials that wait, the first sampled first (NePS:
    /// `lock_and_get_next_pending_trial`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn next_pending(&self, n: usize) -> Result<Vec<Trial>, Error> {
        self.with_study(move |study| study.pending().take(n).cloned().collect())
    }

    /// The trials that are being evaluated (NePS: `lock_and_get_current_evaluating_trials`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn evaluating(&self) -> Result<Vec<Trial>, Error> {
        self.with_study(|study| study.evaluating().cloned().collect())
    }

    /// All trials by their states, each in the order in which they were sampled (NePS 0.12: `trial_refs`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn trials_by_state(&self) -> Result<BTreeMap<State, Vec<Trial>>, Error> {
        let mut by_state: BTreeMap<State, Vec<Trial>> = BTreeMap::new();
        for trial in self.trials()? {
            by_state.entry(trial.state).or_default().push(trial);
        }
        Ok(by_state)
    }

    /// Everything that ever went wrong, the first first: each trial as it was when it had failed or
    /// crashed, also where it was tried again since (NePS: `lock_and_get_errors`). This reads the
    /// study's files from the beginning; of a study in memory it is what [`errors`](Self::errors) gives.
    ///
    /// # Errors
    /// The files cannot be read, or the state is gone.
    pub fn error_log(&self) -> Result<Vec<Trial>, Error> {
        let stand = self.errors()?;
        match self.directory() {
            Some(directory) => Ok(error_log::read(directory, stand)?),
            None => Ok(stand),
        }
    }

    /// The trials that failed or crashed, and stand so now; [`error_log`](Self::error_log) has those too
    /// that were tried again.
    ///
    /// # Errors
    /// The state is gone.
    pub fn errors(&self) -> Result<Vec<Trial>, Error> {
        self.with_study(|study| {
            study.trials().iter().filter(|t| t.state.is_error()).cloned().collect()
        })
    }

    /// The optimizer's name and arguments (NePS: `lock_and_get_optimizer_info`).
    ///
    /// # Errors
    /// The state is gone.
    pub fn optimizer_info(&self) -> Result<OptimizerInfo, Error> {
        self.with_study(|study| study.definition().optimizer.clone())
    }

    /// The policy, what was spent, and how many samples were taken: what NePS calls the optimizer's
    /// state (`lock_and_get_optimizer_state`). The random streams follow from the seed.
    ///
    /// # Errors
    /// The state is gone.
    pub fn optimizer_state(&self) -> Result<(Policy, Spent, u64), Error> {
        self.with_study(|study| (study.policy().clone(), study.spent(), study.sample_count()))
    }
}

fn release(trial: TrialId, attempt: Option<u32>) -> Command {
    Command::Release { trial, attempt, reason: Reason::Released }
}

pub(crate) fn ask_outcome(answer: Answer) -> AskOutcome {
    match answer {
        Answer::Evaluate(trials) => AskOutcome::Trials(trials),
        Answer::Stop(reason) => AskOutcome::Stop(reason),
        _ => AskOutcome::Wait,
    }
}

pub(crate) fn report_outcome(answer: Answer) -> ReportOutcome {
    match answer {
        Answer::Superseded { state, attempts, .. } => ReportOutcome::Superseded { state, attempts },
        _ => ReportOutcome::Accepted,
    }
}

pub(crate) fn step_outcome(answer: Answer) -> StepOutcome {
    match answer {
        Answer::Superseded { state, attempts, .. } => StepOutcome::Superseded { state, attempts },
        Answer::Stepped { prune: true } => StepOutcome::Prune,
        _ => StepOutcome::Continue,
    }
}

fn requeued(answers: impl IntoIterator<Item = Answer>) -> Vec<TrialId> {
    let ids = |answer| match answer {
        Answer::Requeued(ids) => ids,
        _ => Vec::new(),
    };
    answers.into_iter().flat_map(ids).collect()
}
