//! A worker's loop: ask, evaluate, report. The report and the next request travel in one message.
//!
//! [`Worker`] is the loop without its driver, which is the actor in `worker_actor.rs`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::allowance::Allowance;
use super::handle::StudyHandle;
use super::hooks::EvaluationHook;
use super::lately::Lately;
use super::options::RunOptions;
use super::stop_rules::Streak;
use crate::evaluate::{Ended, RunningTrial, StopSignal, TrialPaths, panic_message};
use trialmill_core::budget::Spent;
use trialmill_core::error::{Error, StudyError};
use trialmill_core::evaluation::Which;
use trialmill_core::event::Reason;
use trialmill_core::space::SearchSpace;
use trialmill_core::study::{Answer, Ask, Command, StopReason};
use trialmill_core::trial::{self, Report, Trial, TrialId, WorkerId};
use trialmill_store::{Directory, Place};

/// What all workers of a session share.
pub(crate) struct WorkerContext {
    pub(crate) options: RunOptions,
    pub(crate) allowance: Allowance,
    pub(crate) after_evaluation: Option<EvaluationHook>,
    pub(crate) space: Arc<SearchSpace>,
    /// Whether the learning curve of a success that has none is its objective, as NePS's workers
    /// write it.
    pub(crate) curve_is_objective: bool,
    pub(crate) directory: Option<Arc<Directory>>,
    pub(crate) place: Option<Place>,
    pub(crate) handle: StudyHandle,
    pub(crate) stop: Arc<StopSignal>,
    pub(crate) streak: Streak,
    /// Commands that ended badly a moment ago.
    pub(crate) lately: Arc<Lately>,
    /// Why this process has given up: so many errors in a row, and the last.
    pub(crate) gave_up: OnceLock<(u64, TrialId, String)>,
    /// Whether processes of a trial could not be ended: the trial must stay with this process.
    pub(crate) is_stuck: AtomicBool,
}

/// One worker, from its first request to its last report.
pub(crate) struct Worker {
    id: WorkerId,
    /// Its number in this process, from 0.
    number: usize,
    context: Arc<WorkerContext>,
    paths: Option<Arc<TrialPaths>>,
    began: Instant,
    spent: Spent,
    /// What ended since the last message.
    ended: Vec<Command>,
    asked: bool,
    /// How many trials it asked for, of those that the run may evaluate.
    taken: usize,
    stopped: Option<StopReason>,
    /// The evaluation that it runs, where that is a command.
    evaluation: Option<Which>,
}

impl Worker {
    pub(crate) fn new(id: WorkerId, context: Arc<WorkerContext>) -> Self {
        let number = match id.worker() {
            trial::Worker::Member { number, .. } => number.saturating_sub(1) as usize,
            trial::Worker::Caller(_) => 0,
        };
        let there = context.directory.clone().zip(context.place.clone());
        let paths = there.map(|(directory, place)| {
            let study = directory.path().into();
            let of_trial = Box::new(move |id: &TrialId| directory.trial_path(id));
            Arc::new(TrialPaths { study, place, of_trial })
        });
        Worker {
            id,
            number,
            context,
            paths,
            began: Instant::now(),
            spent: Spent::default(),
            ended: Vec::new(),
            asked: false,
            taken: 0,
            stopped: None,
            evaluation: None,
        }
    }

    /// With a command.
    pub(crate) fn evaluating(self, evaluation: Option<Which>) -> Self {
        Worker { evaluation, ..self }
    }

    /// What to send next, or nothing at the end.
    pub(crate) fn next_commands(&mut self) -> Option<Vec<Command>> {
        let mut commands = std::mem::take(&mut self.ended);
        self.stopped = self.stopped.or_else(|| self.own_limit());
        if self.stopped.is_none() {
            let left = self.context.options.per_worker.evaluations_left(&self.spent);
            let n = self.context.options.batch.min(usize::try_from(left).unwrap_or(usize::MAX));
            match self.context.allowance.take(n) {
                Ok(n) => self.taken = n,
                Err(limit) => self.stopped = Some(StopReason::RunBudget(limit)),
            }
        }
        self.asked = self.stopped.is_none();
        if self.asked {
            let n = self.taken;
            let (worker, evaluation) = (self.id.clone(), self.evaluation);
            commands.push(Command::Ask(Ask { worker, n, lease: None, evaluation }));
        }
        (!commands.is_empty()).then_some(commands)
    }

    fn own_limit(&self) -> Option<StopReason> {
        if self.context.stop.is_stopped() {
            return Some(StopReason::Interrupted);
        }
        if self.context.stop.asks_no_more() {
            return Some(StopReason::Error);
        }
        if self
            .context
            .options
            .seconds_per_worker
            .is_some_and(|s| self.began.elapsed().as_secs_f64() >= s)
        {
            return Some(StopReason::WorkerSeconds);
        }
        self.context.options.per_worker.reached(&self.spent).map(StopReason::WorkerBudget)
    }

    /// How long it may keep asking.
    pub(crate) fn time_limit(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.context.options.seconds_per_worker?).ok()
    }

    /// Takes the answers to [`next_commands`](Self::next_commands); returns what to evaluate.
    pub(crate) fn accept(
        &mut self,
        mut answers: Vec<Result<Answer, StudyError>>,
    ) -> Result<Vec<Trial>, Error> {
        let to_ask = if self.asked { answers.pop() } else { None };
        let handed = match &to_ask {
            Some(Ok(Answer::Evaluate(trials))) => trials.len(),
            _ => 0,
        };
        let unused = std::mem::take(&mut self.taken).saturating_sub(handed);
        self.context.allowance.give_back(unused);
        let mut reported: Vec<Trial> = Vec::new();
        for answer in answers {
            match answer {
                Ok(Answer::Superseded { trial, attempts, .. }) => {
                    tracing::warn!(
                        "trial {trial} was given to somebody else meanwhile (attempt {attempts}); \
                         {}'s result is not used",
                        self.id
                    );
                }
                Ok(Answer::Reported(trial)) => reported.push(*trial),
                Ok(_) => {}
                // The trial must still end, with a report that gives the reason.
                Err(ref error @ StudyError::TooLarge { ref id, attempt, .. }) => {
                    let report = Box::new(Report::crashed("result", error.to_string()));
                    let (trial, attempt) = (id.clone(), Some(attempt));
                    self.ended.push(Command::Report { trial, attempt, report });
                }
                Err(error) => return Err(error.into()),
            }
        }
        self.run_hook(&reported)?;
        match to_ask.transpose()? {
            Some(Answer::Evaluate(list)) => Ok(list),
            Some(Answer::Stop(reason)) => {
                tracing::debug!("worker {} ends: {reason}", self.id);
                self.stopped = Some(reason);
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn run_hook(&self, reported: &[Trial]) -> Result<(), Error> {
        let Some(hook) = &self.context.after_evaluation else { return Ok(()) };
        for trial in reported {
            let Some(report) = trial.report.as_deref() else { continue };
            let dir = self.context.handle.trial_dir(&trial.id);
            catch_unwind(AssertUnwindSafe(|| hook(trial, report, dir.as_deref())))
                .map_err(|panic| Error::Hook(format!("panicked: {}", panic_message(&*panic))))?
                .map_err(|error| Error::Hook(format!("failed: {error}")))?;
        }
        Ok(())
    }

    /// Begins an evaluation: its time runs from here, not from when its batch came.
    pub(crate) fn begin(&self, trial: Trial) -> RunningTrial {
        let number = trial.metadata.evaluation;
        let evaluation = number.and_then(|n| self.context.handle.published().evaluation(n));
        RunningTrial::begin(
            trial,
            self.number,
            self.paths.clone(),
            evaluation,
            self.context.options.timeout(),
            self.context.stop.clone(),
            self.context.handle.clone(),
        )
    }

    /// Takes the end of an evaluation.
    pub(crate) fn ended(&mut self, running: &RunningTrial, ended: Ended) {
        let (trial, attempt) = (running.id().clone(), Some(running.attempt()));
        let mut report = match ended {
            Ended::Report(report) => report,
            Ended::Stuck => {
                self.context.is_stuck.store(true, Ordering::Release);
                return;
            }
            Ended::Released | Ended::NotStarted(_) => {
                self.context.allowance.give_back(1);
                self.ended.push(Command::Release { trial, attempt, reason: Reason::Released });
                return;
            }
        };
        report.evaluation_duration = Some(running.elapsed().as_secs_f64());
        self.context.options.defaults.fill(
            &mut report,
            running.has_stepped(),
            self.context.curve_is_objective,
        );
        // The study's own budget is minded by the study.
        for budget in [&self.context.options.per_worker, &self.context.options.per_run] {
            report = budget.charged(report);
        }
        self.spent.add_report(&report);
        let fidelity = self.context.space.fidelity_of(running.config());
        self.spent.add_evaluation(fidelity);
        self.context.allowance.charge(&report, fidelity);
        log_end(running, &report);
        if self.evaluation.is_some() {
            self.context.lately.note(running.id(), running.attempt(), &report);
        }
        if let Some(errors) = self.context.streak.note(&report, self.context.options.give_up_after)
        {
            let err = report.failure.as_ref().map(|failure| failure.err.clone());
            let _ = self.context.gave_up.set((errors, trial.clone(), err.unwrap_or_default()));
            self.context.stop.drain();
        }
        if report.reported_as.is_error() && self.context.options.on_error.stops_worker() {
            self.stopped = Some(StopReason::Error);
        }
        self.ended.push(Command::Report { trial, attempt, report });
    }

    /// The commands that were not sent yet, for a worker that cannot continue.
    pub(crate) fn take_unsent(&mut self) -> Vec<Command> {
        std::mem::take(&mut self.ended)
    }

    /// Whether the rest of a batch is to be released instead of evaluated.
    pub(crate) fn is_stopped(&self) -> bool {
        let stop = &self.context.stop;
        self.stopped.is_some() || stop.is_stopped() || stop.is_draining()
    }

    /// Nothing more begins in this process.
    pub(crate) fn drain(&self) {
        self.context.stop.drain();
    }

    /// Why it ended.
    pub(crate) fn reason(&self) -> StopReason {
        self.stopped.unwrap_or(StopReason::Interrupted)
    }
}

fn log_end(running: &RunningTrial, report: &Report) {
    let _span = running.span().entered();
    let (state, seconds) = (report.reported_as, report.evaluation_duration.unwrap_or_default());
    match (&report.failure, &report.objective_to_minimize) {
        (Some(failure), _) => tracing::info!(seconds, "{state}: {}", failure.err),
        (None, Some(objective)) => {
            tracing::info!(seconds, cost = report.cost, "{state}: {:?}", objective.as_slice());
        }
        (None, None) => tracing::info!(seconds, "{state}"),
    }
}
