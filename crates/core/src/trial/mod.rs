//! A trial: a configuration, what happened to it when and where, and its report.

mod collection;
mod id;
mod report;
mod state;
mod steps;
mod worker;

pub use collection::Trials;
pub use id::{InvalidTrialId, TrialId};
pub use report::Real;
pub use report::{Failure, Objective, Report};
pub use state::{Reason, State};
pub use steps::{AttemptSteps, Step, Steps};
pub use worker::{ENQUEUE, IMPORT, Worker, WorkerId};

use serde_json::{Map, Value as Json};

use crate::config::Config;
pub use crate::printable::printable;

/// One evaluation of one configuration, in NePS's words.
///
/// Times are seconds since the Unix epoch on the clock of the machine that set them; they are for
/// people, and nothing is decided by comparing those of two machines.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Unique in its study, and never used for another configuration.
    pub id: TrialId,
    /// What is evaluated.
    pub config: Config,
    /// Its state.
    pub state: State,
    /// How often it was claimed for an evaluation; the current attempt while it is evaluating.
    pub attempts: u32,
    /// How many of its attempts were lost with their process or their deadline.
    pub losses: u32,
    /// How many of its attempts crashed and were followed by another try, as the policy says.
    pub failures: u32,
    /// When and by whom.
    pub metadata: MetaData,
    /// What its attempts have reported before their ends, if they have.
    pub steps: Option<Box<Steps>>,
    /// What people and programs have noted about it, by name. Nothing here reads it.
    pub notes: Option<Box<Map<String, Json>>>,
    /// What came of it, once it has ended.
    pub report: Option<Box<Report>>,
}

/// When and by whom a trial was sampled and evaluated.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetaData {
    /// The trial whose result this one continues, at a higher fidelity.
    pub previous_trial_id: Option<TrialId>,
    /// Who sampled it.
    pub sampling_worker_id: Option<WorkerId>,
    /// When.
    pub time_sampled: f64,
    /// Who evaluates or evaluated it, in its last attempt.
    pub evaluating_worker_id: Option<WorkerId>,
    /// How long the evaluation took, in seconds.
    pub evaluation_duration: Option<f64>,
    /// When it was handed to a queue outside, where there is one.
    pub time_submitted: Option<f64>,
    /// When its last attempt began.
    pub time_started: Option<f64>,
    /// When its report came.
    pub time_end: Option<f64>,
    /// The number of the evaluation that its last attempt ran, where that was a command.
    pub evaluation: Option<u32>,
}

impl Trial {
    /// A trial that waits to be evaluated.
    pub fn pending(id: TrialId, config: Config, metadata: MetaData) -> Self {
        let (state, attempts, losses, failures) = (State::Pending, 0, 0, 0);
        let (steps, notes, report) = (None, None, None);
        Trial { id, config, state, attempts, losses, failures, metadata, steps, notes, report }
    }

    /// Begins an attempt, with the evaluation of this number where it is a command.
    pub fn start(&mut self, worker: WorkerId, evaluation: Option<u32>, time: f64) {
        self.state = State::Evaluating;
        self.attempts += 1;
        self.metadata.evaluating_worker_id = Some(worker);
        self.metadata.time_started = Some(time);
        self.metadata.evaluation = evaluation;
    }

    /// Ends an attempt without a report: the trial is pending again.
    pub fn requeue(&mut self, reason: Reason) {
        self.state = State::Pending;
        self.report = None;
        self.metadata.evaluating_worker_id = None;
        self.metadata.evaluation_duration = None;
        self.metadata.time_started = None;
        self.metadata.time_end = None;
        self.metadata.evaluation = None;
        match reason {
            Reason::Retry => (self.losses, self.failures) = (0, 0),
            Reason::Crashed => self.failures += 1,
            reason => self.losses += u32::from(reason.counts()),
        }
    }

    /// Takes what an attempt has reported before its end.
    pub fn step(&mut self, attempt: u32, steps: &[Step], prune_at: Option<u64>) {
        self.steps.get_or_insert_default().add(attempt, steps, prune_at);
    }

    /// Takes notes; null takes the note of that name away.
    pub fn note(&mut self, notes: Map<String, Json>) {
        let mut all = self.notes.take().unwrap_or_default();
        for (name, note) in notes {
            match note {
                Json::Null => drop(all.shift_remove(&name)),
                note => drop(all.insert(name, note)),
            }
        }
        self.notes = Some(all).filter(|all| !all.is_empty());
    }

    /// Ends an attempt with a report. If that has no learning curve, the reported steps are it.
    pub fn finish(&mut self, mut report: Box<Report>, time: f64) {
        if let (None, Some(steps)) = (&report.learning_curve, &self.steps) {
            report.learning_curve = Some(steps.curve().map(|step| step.value.clone()).collect());
        }
        self.state = report.reported_as;
        self.metadata.time_end = Some(time);
        self.metadata.evaluation_duration = report.evaluation_duration;
        self.report = Some(report);
    }

    /// What the current or last attempt uses of a fidelity. In full while it goes on and if it succeeded;
    /// one that ended otherwise and reported steps used as much as those say, and where it went on
    /// from an earlier attempt, what that had used is not used again.
    pub fn used(&self, fidelity: f64) -> f64 {
        let steps = self.steps.as_deref().filter(|_| self.state != State::Evaluating);
        self.used_so_far(fidelity, steps, matches!(self.state, State::Success | State::External))
    }

    /// What an attempt that ends now without a report has used of a fidelity: as much as its steps say.
    pub fn used_in_vain(&self, fidelity: f64) -> f64 {
        let has_stepped = self.steps.as_deref().filter(|steps| steps.of(self.attempts).is_some());
        has_stepped.map_or(0.0, |steps| self.used_so_far(fidelity, Some(steps), false))
    }

    fn used_so_far(&self, fidelity: f64, steps: Option<&Steps>, in_full: bool) -> f64 {
        let last = steps.and_then(|steps| steps.of(self.attempts)?.steps.last());
        let Some((steps, last)) = steps.zip(last) else { return fidelity };
        let reached = if in_full { fidelity } else { fidelity.min(last.step as f64) };
        (reached - steps.goes_on_from(self.attempts).unwrap_or(0) as f64).max(0.0)
    }

    /// The single objective, where the trial has exactly one that is a number.
    pub fn objective(&self) -> Option<f64> {
        match self.objectives() {
            [x] if !x.is_nan() => Some(*x),
            _ => None,
        }
    }

    /// Whether the pruner has said that the attempt in progress should end.
    pub fn should_prune(&self) -> bool {
        let of = self.steps.as_ref().and_then(|steps| steps.of(self.attempts));
        of.is_some_and(|of| of.prune_at.is_some())
    }

    /// Whether a person brought it, and no optimizer proposed it: enqueued, imported, or put.
    pub fn is_brought(&self) -> bool {
        let sampler = self.metadata.sampling_worker_id.as_ref();
        self.state == State::External || sampler.is_none_or(|by| matches!(&**by, ENQUEUE | IMPORT))
    }

    /// Whether its report violates no constraint of the study.
    pub fn is_feasible(&self) -> bool {
        self.report.as_ref().is_none_or(|report| report.is_feasible())
    }

    /// All objectives, none for a trial without a report.
    pub fn objectives(&self) -> &[f64] {
        let objective = self.report.as_ref().and_then(|r| r.objective_to_minimize.as_ref());
        objective.map_or(&[], Objective::as_slice)
    }
}
