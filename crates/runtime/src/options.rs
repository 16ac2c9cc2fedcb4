//! The options of one run in this process, as a value. What concerns commands is part of the study's
//! evaluation, which is stored.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer};

use super::slots::Slots;
use super::stop_rules::OnError;
use crate::evaluate::ReportDefaults;
use trialmill_core::budget::Budget;
use trialmill_core::error::Error;
use trialmill_core::evaluation::OnPrune;
use trialmill_core::limits::{GIVE_UP_AFTER_ERRORS, KILL_GRACE, MAX_BATCH, MAX_WORKERS};
use trialmill_core::trial::Worker;
use trialmill_store::Durability;

/// The options of a run. The fields that a study file may set can be deserialised.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools)] // Each is a switch of its own.
pub struct RunOptions {
    /// How many workers this process has; as many as it has cores unless set.
    pub workers: usize,
    /// What this process is called in the study, beside its number (NePS: `worker_id`). A study refuses
    /// one that another living process has.
    #[serde(skip)]
    pub worker_id: Option<String>,
    /// How long one evaluation may take. A command is killed then; a closure can see it with
    /// [`RunningTrial::should_stop`](crate::evaluate::RunningTrial::should_stop).
    pub timeout_seconds: Option<f64>,
    /// What errors of evaluations mean for the run.
    pub on_error: OnError,
    /// What happens to a command when the pruner says that its evaluation should end.
    pub on_prune: OnPrune,
    /// What each worker may spend.
    #[serde(skip)]
    pub per_worker: Budget,
    /// What all workers of this process together may spend in one run (NePS: `max_evaluations_per_run`).
    #[serde(skip)]
    pub per_run: Budget,
    /// How long each worker may keep asking, in elapsed time.
    #[serde(skip)]
    pub seconds_per_worker: Option<f64>,
    /// How many trials a worker asks for at a time: more than one when an evaluation takes less
    /// than a commit.
    #[serde(skip)]
    pub batch: usize,
    /// How many errors in a row, each sooner than a success, stop this process; and how many stop a
    /// run in which nothing has succeeded. 0 is no limit.
    pub give_up_after: u64,
    /// The values to record where a report leaves them out.
    #[serde(skip)]
    pub defaults: ReportDefaults,
    /// How long a command may take to end after SIGTERM, before SIGKILL.
    #[serde(rename = "grace_seconds", deserialize_with = "seconds")]
    pub kill_grace: Duration,
    /// What is divided among the workers of this process, for their commands.
    pub slots: Slots,
    /// When to stop as if asked to by a signal: before a batch system does.
    #[serde(skip)]
    pub until: Option<SystemTime>,
    /// What an acknowledgement means.
    #[serde(skip)]
    pub durability: Durability,
    /// Whether to remove an existing study in the directory first.
    #[serde(skip)]
    pub overwrite: bool,
    /// At the end of the budget, whether to wait for the trials that other processes still evaluate,
    /// and to take them over if those processes die.
    #[serde(skip)]
    pub wait_for_others: bool,
    /// Where only another program can sample, whether workers wait for the trials that it samples. If
    /// not, the run ends with an error once none waits.
    #[serde(skip)]
    pub wait_for_trials: bool,
    /// Where only another program can sample, whether workers evaluate what waits and then leave, also
    /// where nothing but that program knows the optimizer.
    #[serde(skip)]
    pub drain: bool,
    /// Whether Ctrl-C and SIGTERM end the run cleanly.
    #[serde(skip)]
    pub ctrl_c: bool,
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            worker_id: None,
            timeout_seconds: None,
            on_error: OnError::default(),
            on_prune: OnPrune::default(),
            per_worker: Budget::default(),
            per_run: Budget::default(),
            seconds_per_worker: None,
            batch: 1,
            give_up_after: GIVE_UP_AFTER_ERRORS,
            defaults: ReportDefaults::default(),
            kill_grace: KILL_GRACE,
            slots: Slots::None,
            until: None,
            durability: Durability::default(),
            overwrite: false,
            wait_for_others: true,
            wait_for_trials: false,
            drain: false,
            ctrl_c: true,
        }
    }
}

impl RunOptions {
    /// Rejects values that no run can have.
    ///
    /// # Errors
    /// Names the value, and what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        let setting = |problem: String| Err(Error::Setting(problem));
        if !(1..=MAX_WORKERS).contains(&self.workers) {
            return setting(format!("workers must be 1 to {MAX_WORKERS}, not {}", self.workers));
        }
        if !(1..=MAX_BATCH).contains(&self.batch) {
            return setting(format!("batch must be 1 to {MAX_BATCH}, not {}", self.batch));
        }
        if let Some(id) = &self.worker_id
            && Worker::caller(id).is_err()
        {
            return setting(format!(
                "worker_id: '{id}' cannot name a process: it has 1 to 128 bytes, and is none of the \
                 program's own names (p1-w1, enqueue, import)"
            ));
        }
        for (whose, budget) in [("per_worker", &self.per_worker), ("per_run", &self.per_run)] {
            budget.check().map_err(|problem| Error::Setting(format!("{whose}: {problem}")))?;
            if budget.steps.is_some() {
                return setting(format!("{whose}: steps are limited for the whole study alone"));
            }
        }
        if self.seconds_per_worker.is_some_and(|s| !s.is_finite() || s < 0.0) {
            return setting("the seconds per worker must be a number from 0 up".into());
        }
        match self.timeout_seconds {
            Some(seconds) if self.timeout().is_none() => {
                setting(format!("the timeout must be above 0 seconds, not {seconds}"))
            }
            _ => Ok(()),
        }
    }

    /// How long one evaluation may take.
    pub(super) fn timeout(&self) -> Option<Duration> {
        let timeout = Duration::try_from_secs_f64(self.timeout_seconds?).ok()?;
        (!timeout.is_zero()).then_some(timeout)
    }
}

fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let seconds = f64::deserialize(from)?;
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| serde::de::Error::custom(format!("a number of seconds from 0, not {seconds}")))
}
