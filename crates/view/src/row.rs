//! One trial, as a row of a listing or an export.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value as Json};

use trialmill_core::config::{Config, ShownConfig};
use trialmill_core::notation::ShownMap;
use trialmill_core::objectives::Objectives;
use trialmill_core::trial::{
    AttemptSteps, Objective, Real, Report, State, Step, Steps, Trial, TrialId,
};
use trialmill_store::Directory;

/// A trial with all that is known of it.
#[derive(Debug, Clone, Serialize)]
pub struct TrialRow<'a> {
    /// Its id.
    pub id: &'a TrialId,
    /// Its state.
    pub state: State,
    /// What is evaluated.
    #[serde(serialize_with = "shown_config")]
    pub config: &'a Config,
    /// When and by whom.
    pub metadata: MetaDataRow<'a>,
    /// What was noted about it, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notes: Option<ShownMap<'a>>,
    /// What came of it, once it has ended.
    pub report: Option<ReportRow<'a>>,
    /// What each attempt has reported before its end, if any has.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepsRow<'a>>,
    #[serde(skip)]
    all_steps: Option<&'a Steps>,
}

/// What an attempt has reported before its end.
#[derive(Debug, Clone, Serialize)]
pub struct StepsRow<'a> {
    /// The attempt's number.
    pub attempt: u32,
    /// The step of an earlier attempt that it went on from; none if it started over.
    pub goes_on_from: Option<u64>,
    /// The step at which the pruner said that it should end.
    pub prune_at: Option<u64>,
    /// Each step: its number, and its value or values.
    pub steps: &'a [Step],
}

/// When and by whom a trial was sampled and evaluated; see
/// [`MetaData`](trialmill_core::trial::MetaData).
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of `MetaData`, and the trial's directories")]
pub struct MetaDataRow<'a> {
    pub id: &'a TrialId,
    pub location: String,
    pub state: State,
    pub previous_trial_id: Option<&'a TrialId>,
    pub previous_trial_location: Option<String>,
    pub sampling_worker_id: Option<&'a str>,
    pub time_sampled: f64,
    pub evaluating_worker_id: Option<&'a str>,
    pub evaluation_duration: Option<f64>,
    pub time_submitted: Option<f64>,
    pub time_started: Option<f64>,
    pub time_end: Option<f64>,
    pub attempts: u32,
    /// The machine of the process that evaluates or evaluated it, in its last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluating_host: Option<&'a str>,
    /// The number of the evaluation that its last attempt ran, where that was a command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<u32>,
}

/// What came of a trial; see [`Report`].
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the fields are those of `Report` and `Failure`")]
pub struct ReportRow<'a> {
    /// Where it is minimised; as [`objective`](Self::objective) where anything is maximised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective_to_minimize: Option<Option<&'a Objective>>,
    /// As it was given, where anything is maximised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objective: Option<Option<&'a Objective>>,
    /// By name, where the study names them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objectives: Option<Map<String, Json>>,
    /// As an objective, because JSON has no infinity and an objective is written as `"inf"` then.
    pub cost: Option<Objective>,
    /// Only where it is false: the cost is not charged to a budget.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_for_cost: Option<bool>,
    pub learning_curve: Option<&'a [Objective]>,
    pub extra: Option<ShownMap<'a>>,
    /// The values of the study's constraints by name; 0 or less is kept to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub constraints: Option<Map<String, Json>>,
    pub err_type: Option<&'a str>,
    pub err: Option<&'a str>,
    pub tb: Option<&'a str>,
    pub reported_as: State,
    pub evaluation_duration: Option<Objective>,
}

/// Serialised as people and programs are shown it: `"inf"`, and whole numbers with all their digits.
// serde passes a field by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn shown_config<S: Serializer>(config: &&Config, to: S) -> Result<S::Ok, S::Error> {
    ShownConfig(config).serialize(to)
}

impl<'a> TrialRow<'a> {
    pub(super) fn of(trial: &'a Trial, host: Option<&'a str>, directory: &Directory) -> Self {
        let goals = &directory.definition().objectives;
        let meta = &trial.metadata;
        let location = |id: &TrialId| directory.trial_path(id).to_string_lossy().into_owned();
        let previous = meta.previous_trial_id.as_ref();
        TrialRow {
            id: &trial.id,
            state: trial.state,
            config: &trial.config,
            metadata: MetaDataRow {
                id: &trial.id,
                location: location(&trial.id),
                state: trial.state,
                previous_trial_id: previous,
                previous_trial_location: previous.map(location),
                sampling_worker_id: meta.sampling_worker_id.as_deref(),
                time_sampled: meta.time_sampled,
                evaluating_worker_id: meta.evaluating_worker_id.as_deref(),
                evaluation_duration: meta.evaluation_duration,
                time_submitted: meta.time_submitted,
                time_started: meta.time_started,
                time_end: meta.time_end,
                attempts: trial.attempts,
                evaluating_host: host,
                evaluation: meta.evaluation,
            },
            notes: trial.notes.as_deref().map(ShownMap),
            report: trial.report.as_deref().map(|report| ReportRow::of(report, goals)),
            steps: trial.steps.iter().flat_map(|steps| steps_rows(steps)).collect(),
            all_steps: trial.steps.as_deref(),
        }
    }

    /// The learning curve: that of the report, or what was reported so far.
    pub fn learning_curve(&self) -> Vec<&'a Objective> {
        match self.report.as_ref().and_then(|report| report.learning_curve) {
            Some(curve) => curve.iter().collect(),
            None => {
                let steps = self.all_steps.into_iter().flat_map(Steps::curve);
                steps.map(|step| &step.value).collect()
            }
        }
    }

    /// The objective, or the objectives, as they were given.
    pub fn objective(&self) -> Option<&'a Objective> {
        let report = self.report.as_ref()?;
        report.objective_to_minimize.or(report.objective)?
    }
}

fn steps_rows(steps: &Steps) -> impl Iterator<Item = StepsRow<'_>> {
    steps.attempts().iter().map(|of| {
        let AttemptSteps { attempt, prune_at, steps: list } = of;
        let goes_on_from = steps.goes_on_from(*attempt);
        StepsRow { attempt: *attempt, goes_on_from, prune_at: *prune_at, steps: list }
    })
}

impl<'a> ReportRow<'a> {
    fn of(report: &'a Report, goals: &Objectives) -> Self {
        let objective = report.objective_to_minimize.as_ref();
        let given = objective.map_or(&[][..], Objective::as_slice);
        let named = given.iter().enumerate().filter_map(|(at, x)| {
            Some((goals.name(at)?.to_string(), serde_json::to_value(Real(*x)).ok()?))
        });
        let objectives: Map<String, Json> = named.collect();
        let failure = report.failure.as_deref();
        ReportRow {
            objective_to_minimize: (!goals.maximises()).then_some(objective),
            objective: goals.maximises().then_some(objective),
            objectives: (!objectives.is_empty()).then_some(objectives),
            cost: report.cost.map(Objective::One),
            account_for_cost: (!report.account_for_cost).then_some(false),
            learning_curve: report.learning_curve.as_deref(),
            extra: report.extra.as_deref().map(ShownMap),
            constraints: report.constraints.as_ref().map(|values| {
                let names = goals.constraints().iter().cloned();
                let values = values.iter().filter_map(|x| serde_json::to_value(Real(*x)).ok());
                names.zip(values).collect()
            }),
            err_type: failure.map(|failure| &*failure.err_type),
            err: failure.map(|failure| &*failure.err),
            tb: failure.and_then(|failure| failure.tb.as_deref()),
            reported_as: report.reported_as,
            evaluation_duration: report.evaluation_duration.map(Objective::One),
        }
    }
}
