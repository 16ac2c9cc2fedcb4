//! The journal's vocabulary: everything that can happen to a study.
//!
//! An event records one decision, with everything needed to apply it. A journal is a list of events,
//! and the state of a study is the result of applying them in order. [`FORMAT`] is the version of
//! this vocabulary; `line.rs` encodes and decodes its lines.

mod frequent;
mod line;
mod transition;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

pub use line::{Decoder, LineError, encode, verified};

use crate::budget::Budget;
use crate::config::Config;
use crate::definition::PrunerInfo;
use crate::evaluation::Evaluation;
use crate::stopping::{EarlyEnd, StopEarly};
pub use crate::trial::Reason;
use crate::trial::{Report, Step, Trial, TrialId, Worker, WorkerId};

/// The version of the journal's format that this program writes.
pub const FORMAT: u32 = 1;

/// The number of a process in its study: the first to join is 1.
pub type ProcessId = u32;

/// One thing that happened, with its time in seconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, on the clock of the process that decided it.
    pub time: f64,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum EventKind {
    /// The study's policy was set or changed.
    Policy(Box<Policy>),
    /// How trials are evaluated by a command was set or changed.
    Evaluation {
        /// Its number, from 1. One that the study has had before has it again.
        number: u32,
        /// Whether it is that of one process alone, and the study's stays as it is.
        own: bool,
        /// All of it.
        evaluation: Arc<Evaluation>,
    },
    /// A process joined and will hold `workers/p<process>.lock` for its life.
    Joined(Process),
    /// A process left cleanly.
    Left {
        /// Which.
        process: ProcessId,
        /// How many errors in a row it met, where it gave up because of them.
        errors_in_a_row: Option<u64>,
    },
    /// A configuration was sampled.
    Sampled {
        /// Its new id.
        trial: TrialId,
        /// What to evaluate.
        config: Config,
        /// The trial it continues.
        previous: Option<TrialId>,
        /// Who asked for it.
        worker: WorkerId,
        /// Whether `worker` evaluates it at once, as attempt 1.
        claimed: bool,
        /// The number of the evaluation that the attempt runs, where that is a command.
        evaluation: Option<u32>,
    },
    /// A pending trial was claimed for an evaluation.
    Claimed {
        /// Which.
        trial: TrialId,
        /// The attempt's number, from 1.
        attempt: u32,
        /// Who evaluates it.
        worker: WorkerId,
        /// The number of the evaluation that it runs, where that is a command.
        evaluation: Option<u32>,
        /// When the claim ends by itself; claims of workers end with their process instead.
        lease: Option<Lease>,
    },
    /// An attempt reported values before its end.
    Stepped {
        /// Which trial.
        trial: TrialId,
        /// Which attempt.
        attempt: u32,
        /// The steps, each for the first time in this attempt.
        steps: Box<[Step]>,
        /// The step at which the pruner says that the attempt should end, if it does.
        prune_at: Option<u64>,
    },
    /// An attempt ended with a report.
    Reported {
        /// Which trial.
        trial: TrialId,
        /// Which attempt.
        attempt: u32,
        /// The report.
        report: Box<Report>,
    },
    /// An attempt ended without a report, and the trial is pending again.
    Requeued {
        /// Which trial.
        trial: TrialId,
        /// Which attempt.
        attempt: u32,
        /// Why.
        reason: Reason,
    },
    /// A trial was set as a whole: imported, or updated by hand.
    Put(Box<Trial>),
    /// Somebody noted something about a trial.
    Noted {
        /// Which.
        trial: TrialId,
        /// By name; null takes what has that name away.
        notes: Box<Map<String, Json>>,
    },
    /// There was a trial that was deleted, with all that happened to it: its id and its sample are used up.
    Deleted {
        /// Which.
        trial: TrialId,
    },
    /// The study ended before its budget was used: nothing more is handed out until its policy changes.
    Stopped {
        /// Why.
        reason: EarlyEnd,
    },
}

/// The part of a study's settings that may change while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// What all workers together may spend.
    pub budget: Budget,
    /// Whether trials in progress count against the evaluations (they do, so N means N), or only
    /// completed ones (NePS's `continue_until_max_evaluation_completed`).
    pub count_in_progress: bool,
    /// How often a trial may be started before it counts as crashed. An attempt that was released
    /// cleanly does not count.
    pub max_attempts: u32,
    /// How often a trial whose evaluation crashed is tried again by itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_failures: u32,
    /// What ends evaluations that promise too little.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruner: Option<PrunerInfo>,
    /// Whether pruned trials do not count against the evaluations.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pruned_are_free: bool,
    /// What ends the study before its budget does.
    #[serde(default, skip_serializing_if = "StopEarly::is_unset")]
    pub stop_early: StopEarly,
    /// Whether nothing is handed out until that is taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Which processes are to end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// The processes that somebody asked to end: those that had joined then, and no later ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// The last of them.
    pub up_to: ProcessId,
    /// Whether their evaluations are ended too, as Ctrl-C does.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub now: bool,
}

// serde passes a field by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Policy {
    /// Whether a process is to end, and how.
    pub fn stops(&self, process: ProcessId) -> Option<Stop> {
        self.stop.filter(|stop| process <= stop.up_to)
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            budget: Budget::default(),
            count_in_progress: true,
            max_attempts: crate::limits::MAX_ATTEMPTS,
            max_failures: 0,
            pruner: None,
            pruned_are_free: false,
            stop_early: StopEarly::default(),
            paused: false,
            stop: None,
        }
    }
}

/// A process of the study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Its number in the study.
    pub process: ProcessId,
    /// The machine it runs on.
    pub host: Arc<str>,
    /// The id of that machine's boot: clocks and process ids mean nothing across boots.
    pub boot: Arc<str>,
    /// Its process id there.
    pub pid: u32,
    /// The batch system's job that it runs in, such as `SLURM_JOB_ID=17`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Arc<str>>,
    /// The worker id that it was given (NePS: `worker_id`). No two that take part have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<Arc<str>>,
}

/// When a claim ends by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Lease {
    /// How long it lasts.
    pub seconds: f64,
    /// The machine on which it was made.
    pub host: Arc<str>,
    /// That machine's boot.
    pub boot: Arc<str>,
    /// When it ends, in seconds since that boot.
    pub until_uptime_s: f64,
}

/// The worker's name: worker `number` of a process.
pub fn worker_id(process: ProcessId, number: usize) -> WorkerId {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    Worker::Member { process, number }.into()
}

/// Checks the name of an external caller: it must not look like the name of a process's worker.
///
/// # Errors
/// What is wrong with the name.
pub fn check_caller(name: &str) -> Result<(), String> {
    Worker::caller(name).map(drop)
}

/// The process that a worker's name belongs to; `None` for an external caller.
pub fn process_of(worker: &str) -> Option<ProcessId> {
    Worker::named(worker).process()
}
