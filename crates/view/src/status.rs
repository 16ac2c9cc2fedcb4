//! The status of a study.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::row::TrialRow;
use super::summary::Summary;
use trialmill_core::budget::{Budget, Spent};
use trialmill_core::definition::WarmStart;
use trialmill_core::evaluation::Evaluation;
use trialmill_core::objectives::Objectives;
use trialmill_core::optimizer::OptimizerInfo;
use trialmill_core::pruner::PrunerInfo;
use trialmill_core::stopping::{EarlyEnd, StopEarly};
use trialmill_core::study::StudyState;
use trialmill_core::trial::{State, TrialId};
use trialmill_optimizers::{RegretModel, chosen_by_auto};
use trialmill_store::clock::now_s;

/// What a study began with of another one.
#[derive(Debug, Clone, Serialize)]
pub struct WarmStartRow<'a> {
    /// The other study's directory, as it was named.
    pub directory: &'a str,
    /// How many trials were taken,
    pub trials: usize,
    /// of how many that had succeeded.
    pub of: u64,
    /// The parameters that are in both.
    pub parameters: Vec<&'a str>,
}

impl<'a> WarmStartRow<'a> {
    fn of(source: &'a WarmStart) -> Self {
        let WarmStart { directory, of, trials, .. } = source;
        WarmStartRow { directory, trials: trials.len(), of: *of, parameters: source.parameters() }
    }
}

/// The status of a study. The serialised fields are a stable interface for scripts; the others are
/// for display.
#[derive(Debug, Clone, Serialize)]
pub struct Status<'a> {
    /// Where the study is.
    pub directory: String,
    /// Distinguishes this study from every other.
    pub study_id: &'a str,
    /// The optimizer.
    pub optimizer: &'a OptimizerInfo,
    /// What `auto` proposes by now, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chosen: Option<&'static str>,
    /// What it began with of other studies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warm_start: Vec<WarmStartRow<'a>>,
    /// What is minimised or maximised; nothing where the study does not say it.
    #[serde(skip_serializing_if = "Objectives::is_unsaid")]
    pub objectives: &'a Objectives,
    /// The names of the constraints.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub constraints: &'a [String],
    /// How many successes violate one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub infeasible: Option<usize>,
    /// The seed of all random numbers; nothing where only NePS has sampled so far.
    pub seed: Option<u64>,
    /// How many trials there are.
    pub trials: usize,
    /// How many of them are in each state.
    pub counts: BTreeMap<State, u64>,
    /// What may be spent.
    pub budget: Budget,
    /// Whether nothing is handed out until `resume`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// What has been spent.
    pub spent: Spent,
    /// What evaluates trials by a command, the study's own and what single processes ran, number 1 first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evaluations: Vec<EvaluationRow<'a>>,
    /// How often a trial whose evaluation crashed is tried again by itself.
    #[serde(skip_serializing_if = "is_zero")]
    pub max_failures: u32,
    /// The processes that gave up because of errors in a row.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gave_up: Vec<GaveUpRow<'a>>,
    /// What ends evaluations that promise too little.
    pub pruner: Option<&'a PrunerInfo>,
    /// What ends the study before its budget is used.
    #[serde(skip_serializing_if = "StopEarly::is_unset")]
    pub stop_early: StopEarly,
    /// Why the study ended before its budget was used, if it did.
    pub ended_early: Option<EarlyEnd>,
    /// The bound on the regret, where the study ends by it: it takes a model, so only
    /// [`Summary::regret`] says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regret: Option<RegretRow>,
    /// The trial with the best objective, where trials have one objective.
    pub best: Option<TrialRow<'a>>,
    /// The trials that no other is better than in every objective; for one objective, the best.
    #[serde(serialize_with = "ids_of_rows")]
    pub front: Vec<TrialRow<'a>>,
    /// The processes that take part.
    pub processes: Vec<ProcessRow<'a>>,
    /// The trials that callers of `ask` hold.
    #[serde(skip)]
    pub leases: Vec<LeaseRow<'a>>,
    /// How many trials failed or crashed.
    pub errors: u64,
    /// The trial that failed or crashed last.
    pub last_error: Option<LastError<'a>>,
    /// How often an evaluation was started.
    pub claims: u64,
    /// How often a trial was requeued.
    pub requeues: u64,
    /// Finished trials per second: of the last minute where there are some, else of all the time.
    pub trials_per_second: Option<f64>,
    /// What is wrong with the journal, where something is.
    pub problem: Option<String>,
}

impl Summary {
    /// The status of the study.
    pub fn status(&self) -> Status<'_> {
        Status::of(self)
    }

    /// How far the best result is from the best there is, at most, where the study ends by that; computed here,
    /// which takes as long as a model's fit.
    pub fn regret(&self) -> Option<RegretRow> {
        let study = self.study();
        let (checkpoint, wanted) = (study.checkpoint()?, study.policy().stop_early.regret_bound?);
        let model = RegretModel::new(study, checkpoint, wanted);
        Some(RegretRow {
            at_most: model.bound(),
            results: checkpoint.count,
            ends_at: model.wanted(),
        })
    }
}

/// The bound on the regret.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct RegretRow {
    /// How much worse the best result is, very probably, than the best there is, at most.
    pub at_most: Option<f64>,
    /// Of how many results this is.
    pub results: u64,
    /// The bound at which the study ends.
    pub ends_at: Option<f64>,
}

/// A process that gave up: each of so many errors in a row came sooner than a success.
#[derive(Debug, Clone, Serialize)]
pub struct GaveUpRow<'a> {
    /// Its name: `p3`.
    pub process: String,
    /// The machine it ran on.
    pub host: &'a str,
    /// How many errors in a row.
    pub errors_in_a_row: u64,
    /// When, in seconds since the Unix epoch.
    pub time: f64,
}

// serde passes a field by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An evaluation by a command.
#[derive(Debug, Clone, Serialize)]
pub struct EvaluationRow<'a> {
    /// Its number; 0 for one that stands in the study's description and was not used yet.
    pub number: u32,
    /// Whether it is the study's now.
    pub current: bool,
    /// How many trials had it in their last attempt.
    pub trials: usize,
    /// What it is.
    #[serde(flatten)]
    pub evaluation: &'a Evaluation,
}

/// A process that takes part.
#[derive(Debug, Clone, Serialize)]
pub struct ProcessRow<'a> {
    /// Its name: `p3`.
    pub process: String,
    /// The worker id that it was given.
    pub worker_id: Option<&'a str>,
    /// The machine it runs on.
    pub host: &'a str,
    /// Its process id there.
    pub pid: u32,
    /// Whether it is alive.
    pub alive: bool,
    /// The trials that it evaluates.
    pub evaluating: Vec<Held<'a>>,
}

/// A trial that is being evaluated. Serialised: its id.
#[derive(Debug, Clone)]
pub struct Held<'a> {
    /// The trial.
    pub trial: &'a TrialId,
    /// How long its evaluation has been running.
    pub seconds: f64,
}

/// A trial that a caller holds until a deadline.
#[derive(Debug, Clone)]
pub struct LeaseRow<'a> {
    /// The trial.
    pub trial: &'a TrialId,
    /// Who holds it.
    pub holder: Option<&'a str>,
    /// For how long, from when it was handed out.
    pub seconds: f64,
}

/// The trial that failed or crashed last. Serialised: its id.
#[derive(Debug, Clone)]
pub struct LastError<'a> {
    /// The trial.
    pub trial: &'a TrialId,
    /// Its error message.
    pub message: Option<&'a str>,
}

impl<'a> Status<'a> {
    fn of(summary: &'a Summary) -> Self {
        let (study, directory, now) = (summary.study(), summary.directory(), now_s());
        let definition = study.definition();
        let processes = study.processes().map(|process| {
            let held = study.evaluating_by(process.process).map(|trial| Held {
                trial: &trial.id,
                seconds: trial.metadata.time_started.map_or(0.0, |began| (now - began).max(0.0)),
            });
            ProcessRow {
                process: format!("p{}", process.process),
                worker_id: process.worker_id.as_deref(),
                host: &process.host,
                pid: process.pid,
                alive: directory.is_alive(process),
                evaluating: held.collect(),
            }
        });
        let gave_up = |(process, errors_in_a_row, time): &(u32, u64, f64)| GaveUpRow {
            process: format!("p{process}"),
            host: summary.host(*process).unwrap_or("?"),
            errors_in_a_row: *errors_in_a_row,
            time: *time,
        };
        let leases = study.leases().map(|(trial, lease)| LeaseRow {
            trial: &trial.id,
            holder: trial.metadata.evaluating_worker_id.as_deref(),
            seconds: lease.seconds,
        });
        let last_error = study.last_error().map(|trial| LastError {
            trial: &trial.id,
            message: trial.report.as_ref().and_then(|r| Some(&*r.failure.as_ref()?.err)),
        });
        Status {
            directory: directory.path().to_string_lossy().into_owned(),
            study_id: &definition.study_id,
            optimizer: &definition.optimizer,
            chosen: chosen_by_auto(study),
            warm_start: definition.warm_start.iter().map(WarmStartRow::of).collect(),
            objectives: &definition.objectives,
            constraints: definition.objectives.constraints(),
            infeasible: (!definition.objectives.constraints().is_empty())
                .then(|| study.trials().iter().filter(|trial| !trial.is_feasible()).count()),
            seed: directory.is_settled().then_some(definition.seed),
            trials: study.trials().len(),
            counts: State::ALL.into_iter().map(|state| (state, study.count(state))).collect(),
            budget: study.policy().budget,
            paused: study.policy().paused,
            spent: study.spent(),
            evaluations: evaluations(study),
            max_failures: study.policy().max_failures,
            gave_up: summary.gave_up.iter().map(gave_up).collect(),
            pruner: study.policy().pruner.as_ref(),
            stop_early: study.policy().stop_early,
            ended_early: study.ended_early(),
            regret: None,
            best: study.best().map(|trial| summary.row(trial)),
            front: study.front().into_iter().map(|trial| summary.row(trial)).collect(),
            processes: processes.collect(),
            leases: leases.collect(),
            errors: study.errors(),
            last_error,
            claims: study.claims(),
            requeues: study.requeues(),
            trials_per_second: rate(study, now),
            problem: summary.problem().map(ToString::to_string),
        }
    }
}

fn evaluations(study: &StudyState) -> Vec<EvaluationRow<'_>> {
    let current = study.evaluation();
    let row = |(number, evaluation)| EvaluationRow { number, current: true, trials: 0, evaluation };
    if study.evaluations().is_empty() {
        return current.map(|(number, of)| row((number, &**of))).into_iter().collect();
    }
    let numbered = (1..).zip(study.evaluations().iter().map(|of| &**of));
    let mut rows: Vec<EvaluationRow<'_>> = numbered.map(row).collect();
    for row in &mut rows {
        row.current = current.is_some_and(|(number, _)| number == row.number);
    }
    let numbers = study.trials().iter().filter_map(|trial| trial.metadata.evaluation);
    for number in numbers {
        if let Some(row) = rows.get_mut((number as usize).saturating_sub(1)) {
            row.trials += 1;
        }
    }
    rows
}

/// Finished trials per second: of the last minute where there are some, else of all the time. In one pass:
/// a million trials are looked at whenever a page is opened.
fn rate(study: &StudyState, now: f64) -> Option<f64> {
    let (mut recent, mut since) = (0_u64, now);
    let (mut all, mut first, mut last) = (0_u64, f64::MAX, f64::MIN);
    for end in study.trials().iter().filter_map(|trial| trial.metadata.time_end) {
        (all, first, last) = (all + 1, first.min(end), last.max(end));
        // Another machine's clock may be ahead.
        if (0.0..=60.0).contains(&(now - end)) {
            (recent, since) = (recent + 1, since.min(end));
        }
    }
    if recent > 0 {
        return Some(recent as f64 / (now - since).max(1.0));
    }
    (all > 1 && last > first).then(|| all as f64 / (last - first))
}

fn ids_of_rows<S: Serializer>(rows: &[TrialRow<'_>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(rows.iter().map(|row| row.id))
}

impl Serialize for Held<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.trial.serialize(to)
    }
}

impl Serialize for LastError<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.trial.serialize(to)
    }
}
