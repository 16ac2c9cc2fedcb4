//! The commands that a study can be given, and its answers.

use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::budget::Limit;
use crate::config::Config;
use crate::evaluation::{Evaluation, Which};
use crate::event::{Lease, Policy, Process, ProcessId, Reason};
use crate::optimizer::Suggestion;
use crate::stopping::EarlyEnd;
use crate::trial::{Report, State, Step, Trial, TrialId, WorkerId};

/// A request to a study, which [`StudyState::decide`](super::StudyState::decide) turns into events.
#[derive(Debug, Clone)]
pub enum Command {
    /// A process wants to take part; its number is decided here. Answer: [`Answer::Joined`].
    Join(Process),
    /// A process leaves cleanly; the trials it was evaluating are requeued.
    Leave(ProcessId),
    /// A process leaves because of so many errors in a row; the trials it was evaluating are requeued.
    GiveUp(ProcessId, u64),
    /// A process is dead; each trial it was evaluating is requeued, or marked as crashed after too
    /// many attempts. Answer: [`Answer::Requeued`].
    Bury(ProcessId),
    /// A worker has died while its process lives: the same for what it was evaluating. Answer:
    /// [`Answer::Requeued`].
    BuryWorker(WorkerId),
    /// A worker or a caller wants trials to evaluate. Answer: [`Answer::Evaluate`],
    /// [`Answer::Wait`] or [`Answer::Stop`].
    Ask(Ask),
    /// Samples configurations that stay pending until a worker or a caller asks for a trial (NePS:
    /// `lock_and_sample_trial`). Answer as for `Ask`.
    Sample {
        /// How many.
        n: usize,
        /// For whom.
        worker: WorkerId,
    },
    /// An optimizer that runs outside the lock has proposed these; they become pending trials.
    /// Answer: [`Answer::Evaluate`], or [`Answer::Propose`] when another process has sampled
    /// meanwhile.
    Offer {
        /// How many samples there were when they were made.
        first_sample: u64,
        /// For whom they were made.
        worker: WorkerId,
        /// The proposals.
        suggestions: Vec<Suggestion>,
    },
    /// An attempt has reached these steps. Answer: [`Answer::Stepped`] or [`Answer::Superseded`].
    Step {
        /// Which trial.
        trial: TrialId,
        /// Which attempt; none for a caller who has the only claim.
        attempt: Option<u32>,
        /// The steps. One that the attempt has reported before changes nothing.
        steps: Vec<Step>,
    },
    /// An evaluation has ended. Answer: [`Answer::Done`], [`Answer::Reported`] or
    /// [`Answer::Superseded`].
    Report {
        /// Which trial.
        trial: TrialId,
        /// Which attempt; none for a caller who has the only claim.
        attempt: Option<u32>,
        /// The report.
        report: Box<Report>,
    },
    /// An attempt ends without a report. Answer as for `Report`.
    Release {
        /// Which trial.
        trial: TrialId,
        /// Which attempt; none for a caller who has the only claim.
        attempt: Option<u32>,
        /// Why.
        reason: Reason,
    },
    /// Requeues trials that failed or crashed. Answer: [`Answer::Requeued`].
    Retry {
        /// Those in these states.
        states: Vec<State>,
    },
    /// Requeues one trial that failed or crashed. Answer: [`Answer::Requeued`].
    RetryOne(TrialId),
    /// Forgets what came of these trials, whatever it was: they wait again (NePS: `clean`). Answer:
    /// [`Answer::Requeued`].
    Reset(Vec<TrialId>),
    /// Notes something about a trial, of whatever state; null takes the note of that name away.
    Note {
        /// Which trial.
        trial: TrialId,
        /// By name.
        notes: Box<Map<String, Json>>,
    },
    /// Sets a trial as a whole: an import, or a correction (NePS: `put_updated_trial`).
    Put(Box<Trial>),
    /// The same of a trial whose id must be new (NePS: `store_new_trial`).
    PutNew(Box<Trial>),
    /// Adds configurations that a person chose; they become pending trials. Answer:
    /// [`Answer::Evaluate`].
    Enqueue {
        /// Who chose them.
        worker: WorkerId,
        /// The configurations.
        configs: Vec<Config>,
    },
    /// Adds trials that were evaluated elsewhere: with a report each, and not charged. Those that are
    /// here already, the same configuration with the same result, are left out. Answer:
    /// [`Answer::Evaluate`].
    Import {
        /// Who brings them.
        worker: WorkerId,
        /// Them.
        trials: Vec<(Config, Report)>,
        /// When, in seconds since the Unix epoch.
        time: f64,
    },
    /// Changes the policy.
    SetPolicy(Box<Policy>),
    /// Changes how trials are evaluated by a command; what the study has already changes nothing. Answer:
    /// [`Answer::Evaluation`].
    SetEvaluation {
        /// How.
        evaluation: Box<Evaluation>,
        /// Whether only the process that asks will run it.
        own: bool,
    },
    /// Ends the study before its budget is used: whoever asks has waited for a better result as long as
    /// the policy says.
    Stop(EarlyEnd),
    /// Hands out nothing more, or goes on with it.
    Pause(bool),
    /// Ends all processes that take part now: after their evaluations, or `now` with them.
    StopProcesses {
        /// Whether evaluations are ended too.
        now: bool,
    },
}

impl Command {
    /// Whether deciding this command may sample trials, or change what other samplers read: the
    /// policy and the set of processes. Some stores need another lock for that.
    pub fn may_sample(&self) -> bool {
        use Command::{
            Ask, Join, Offer, Pause, Sample, SetEvaluation, SetPolicy, Stop, StopProcesses,
        };
        matches!(
            self,
            Join(_)
                | Ask(_)
                | Sample { .. }
                | Offer { .. }
                | SetPolicy(_)
                | SetEvaluation { .. }
                | Stop(_)
                | Pause(_)
                | Command::Enqueue { .. }
                | Command::Import { .. }
                | StopProcesses { .. }
        )
    }
}

/// A request for trials.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Who asks.
    pub worker: WorkerId,
    /// The maximum number of trials.
    pub n: usize,
    /// When the claim expires: for callers whose process ends before the evaluation does.
    pub lease: Option<Lease>,
    /// The evaluation that it runs, where that is a command.
    pub evaluation: Option<Which>,
}

/// What a study answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// It is done.
    Done,
    /// The report is stored, and this is the stored trial. Only on demand
    /// (`StateCore::show_reported`), because the copy has a cost.
    Reported(Box<Trial>),
    /// The steps are stored. They need not be synced.
    Stepped {
        /// Whether the pruner has said that the attempt should end.
        prune: bool,
    },
    /// The process has this number.
    Joined(ProcessId),
    /// The evaluation has this number.
    Evaluation(u32),
    /// After `Ask`: evaluate these; a trial's `attempts` is the number of this attempt. After
    /// `Sample` or `Offer`: these are now pending.
    Evaluate(Vec<Trial>),
    /// The optimizer needs results of trials in progress.
    Wait,
    /// The optimizer is slow and must be asked outside the lock.
    Propose,
    /// Nothing more will be handed out.
    Stop(StopReason),
    /// The attempt is not the trial's current one any more, so nothing was changed.
    Superseded {
        /// The trial.
        trial: TrialId,
        /// Its state.
        state: State,
        /// The latest attempt.
        attempts: u32,
    },
    /// These trials are pending again.
    Requeued(Vec<TrialId>),
}

/// Why nothing more is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// A limit of the study's budget is reached.
    Budget(Limit),
    /// The optimizer has nothing more to propose.
    Finished,
    /// The study ended before its budget was used, as its policy says.
    Early(EarlyEnd),
    /// A limit of this worker's own budget is reached.
    WorkerBudget(Limit),
    /// A limit of what the workers of this run may spend together is reached.
    RunBudget(Limit),
    /// This worker's time is up.
    WorkerSeconds,
    /// An evaluation failed, and the run stops at errors.
    Error,
    /// The user asked to stop.
    Interrupted,
    /// Somebody asked all processes of the study to stop.
    Stopped,
    /// Nothing ran: the study was opened and closed.
    Closed,
    /// Another machine saw no heartbeat of this process, took it for dead, and requeued its trials.
    Expelled,
}

impl std::fmt::Display for StopReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StopReason::Budget(limit) => write!(f, "the budget is used: {limit}"),
            StopReason::Finished => f.write_str("the optimizer has finished"),
            StopReason::Early(reason) => reason.fmt(f),
            StopReason::WorkerBudget(limit) => {
                write!(f, "the workers' own budget is used: {limit}")
            }
            StopReason::RunBudget(limit) => write!(f, "the budget of this run is used: {limit}"),
            StopReason::WorkerSeconds => f.write_str("the workers' time is up"),
            StopReason::Error => f.write_str("an evaluation failed"),
            StopReason::Stopped => f.write_str("the study's processes were asked to stop"),
            StopReason::Interrupted => f.write_str("interrupted"),
            StopReason::Closed => f.write_str("closed"),
            StopReason::Expelled => {
                f.write_str("another machine took this process for dead; start it again")
            }
        }
    }
}
