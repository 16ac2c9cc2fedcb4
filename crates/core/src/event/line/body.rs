//! What each event's line holds after its number, name and time: one flat struct per event, whose
//! fields are the line's, in the same order. Each is built from an event to be written, and turned
//! into one after it was read.
//!
//! An optional field is left out where it has no value, and `null` reads as no value. Fields that
//! a struct does not have are ignored: a later version may add some.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::error::LineError;
use crate::config::Config;
use crate::evaluation::Evaluation;
use crate::event::{EventKind, Lease, Policy, ProcessId, Reason};
use crate::stopping::EarlyEnd;
use crate::trial::{Failure, Objective, Real, Report, State, Step, Trial, TrialId};

/// A string that borrows from the line unless it has escapes.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Str<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

impl<'a> From<&'a str> for Str<'a> {
    fn from(string: &'a str) -> Self {
        Str(Cow::Borrowed(string))
    }
}

/// A value that is read in two steps: first as the JSON it is. A configuration is understood with
/// the names of the study's parameters at hand; and both may nest as deeply as JSON alone may.
pub(super) enum Held<'a, T> {
    ToWrite(&'a T),
    Read(&'a RawValue),
}

impl<T: Serialize> Serialize for Held<'_, T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Held::ToWrite(value) => value.serialize(to),
            Held::Read(json) => json.serialize(to),
        }
    }
}

impl<'de: 'a, 'a, T> Deserialize<'de> for Held<'a, T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(from).map(Held::Read)
    }
}

#[derive(Serialize, Deserialize)]
pub(super) struct PolicyLine<'a> {
    pub(super) policy: Cow<'a, Policy>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct EvaluationLine<'a> {
    // Under the key that it has in the lines of attempts, too: a table of all lines has one type a column.
    #[serde(rename = "evaluation")]
    pub(super) number: u32,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) own: bool,
    #[serde(rename = "runs")]
    pub(super) evaluation: Cow<'a, Evaluation>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct StoppedLine {
    pub(super) reason: EarlyEnd,
}

#[derive(Serialize, Deserialize)]
pub(super) struct LeftLine {
    pub(super) process: ProcessId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) errors_in_a_row: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SampledLine<'a> {
    pub(super) trial: TrialId,
    #[serde(borrow)]
    pub(super) worker: Str<'a>,
    /// 1, where the worker that asked evaluates the trial at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) attempt: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evaluation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<TrialId>,
    #[serde(borrow)]
    pub(super) config: Held<'a, Config>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ClaimedLine<'a> {
    pub(super) trial: TrialId,
    pub(super) attempt: u32,
    #[serde(borrow)]
    pub(super) worker: Str<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) evaluation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lease: Option<Cow<'a, Lease>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct SteppedLine<'a> {
    pub(super) trial: TrialId,
    pub(super) attempt: u32,
    pub(super) steps: Cow<'a, [Step]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prune_at: Option<u64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct RequeuedLine {
    pub(super) trial: TrialId,
    pub(super) attempt: u32,
    pub(super) reason: Reason,
}

#[derive(Serialize, Deserialize)]
pub(super) struct NotedLine<'a> {
    pub(super) trial: TrialId,
    pub(super) notes: Cow<'a, Map<String, Json>>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct DeletedLine {
    pub(super) trial: TrialId,
}

/// The two lines with a report have its fields after their own. Declared here once for both:
/// serde's `flatten` would buffer every value of the line before it reads one.
macro_rules! with_report {
    (struct $line:ident<'a> { $($own:tt)* }) => {
        #[derive(Serialize, Deserialize)]
        pub(super) struct $line<'a> {
            $($own)*
            #[serde(skip_serializing_if = "Option::is_none")]
            state: Option<State>,
            #[serde(skip_serializing_if = "Option::is_none")]
            objective_to_minimize: Option<Cow<'a, Objective>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            cost: Option<Real>,
            /// Only where it is false.
            #[serde(skip_serializing_if = "Option::is_none")]
            account_for_cost: Option<bool>,
            #[serde(skip_serializing_if = "Option::is_none")]
            learning_curve: Option<Cow<'a, [Objective]>>,
            #[serde(borrow, skip_serializing_if = "Option::is_none")]
            extra: Option<Held<'a, Map<String, Json>>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            constraints: Option<Vec<Real>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            err_type: Option<Cow<'a, str>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            err: Option<Cow<'a, str>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            tb: Option<Cow<'a, str>>,
            #[serde(skip_serializing_if = "Option::is_none")]
            evaluation_duration: Option<Real>,
        }

        impl $line<'_> {
            /// The report that was read: the fields of a line without a `state` are none.
            pub(super) fn take_report(&mut self) -> Result<Option<Box<Report>>, LineError> {
                let Some(reported_as) = self.state else { return Ok(None) };
                let (err, tb) = (self.err.take(), self.tb.take());
                let failure = self.err_type.take().map(|err_type| Failure {
                    err_type: err_type.into_owned(),
                    err: err.map(Cow::into_owned).unwrap_or_default(),
                    tb: tb.map(Cow::into_owned),
                });
                Ok(Some(Box::new(Report {
                    objective_to_minimize: self.objective_to_minimize.take().map(Cow::into_owned),
                    cost: self.cost.take().map(|cost| cost.0),
                    account_for_cost: self.account_for_cost.take().unwrap_or(true),
                    learning_curve: self.learning_curve.take().map(|it| it.into_owned().into()),
                    extra: self.extra.take().map(read_extra).transpose()?,
                    constraints: self
                        .constraints
                        .take()
                        .map(|values| values.iter().map(|value| value.0).collect()),
                    failure: failure.map(Box::new),
                    reported_as,
                    evaluation_duration: self.evaluation_duration.take().map(|it| it.0),
                })))
            }
        }
    };
    ($report:ident => $line:ident { $($own:tt)* }) => {{
        let report: Option<&Report> = $report;
        let failure = report.and_then(|report| report.failure.as_deref());
        $line {
            state: report.map(|report| report.reported_as),
            objective_to_minimize: report
                .and_then(|report| report.objective_to_minimize.as_ref())
                .map(Cow::Borrowed),
            cost: report.and_then(|report| report.cost).map(Real),
            account_for_cost: report
                .and_then(|report| (!report.account_for_cost).then_some(false)),
            learning_curve: report
                .and_then(|report| report.learning_curve.as_deref())
                .map(Cow::Borrowed),
            extra: report.and_then(|report| report.extra.as_deref()).map(Held::ToWrite),
            constraints: report
                .and_then(|report| report.constraints.as_ref())
                .map(|values| values.iter().map(|value| Real(*value)).collect()),
            err_type: failure.map(|failure| Cow::Borrowed(&*failure.err_type)),
            err: failure.map(|failure| Cow::Borrowed(&*failure.err)),
            tb: failure.and_then(|failure| failure.tb.as_deref()).map(Cow::Borrowed),
            evaluation_duration: report.and_then(|report| report.evaluation_duration).map(Real),
            $($own)*
        }
    }};
}

fn read_extra(extra: Held<'_, Map<String, Json>>) -> Result<Box<Map<String, Json>>, LineError> {
    match extra {
        Held::ToWrite(map) => Ok(Box::new(map.clone())),
        Held::Read(json) => serde_json::from_str(json.get())
            .map(Box::new)
            .map_err(|error| LineError::content(format!("its extra: {error}"))),
    }
}

with_report! {
    struct ReportedLine<'a> {
        trial: TrialId,
        attempt: u32,
    }
}

impl<'a> ReportedLine<'a> {
    pub(super) fn new(trial: &TrialId, attempt: u32, report: &'a Report) -> Self {
        let report = Some(report);
        with_report! { report => ReportedLine { trial: trial.clone(), attempt } }
    }

    pub(super) fn into_event(mut self) -> Result<EventKind, LineError> {
        let report = self.take_report()?.ok_or_else(|| LineError::content("it has no 'state'"))?;
        Ok(EventKind::Reported { trial: self.trial, attempt: self.attempt, report })
    }
}

with_report! {
    struct PutLine<'a> {
        pub(super) trial: TrialId,
        pub(super) attempt: u32,
        pub(super) put_state: State,
        /// Not written where it is 0.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) losses: Option<u32>,
        /// The same.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) failures: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) previous: Option<TrialId>,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        pub(super) worker: Option<Str<'a>>,
        // NePS imports trials whose times are not numbers.
        pub(super) time_sampled: Real,
        #[serde(borrow, skip_serializing_if = "Option::is_none")]
        pub(super) evaluating_worker: Option<Str<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) duration: Option<Real>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) time_submitted: Option<Real>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) time_started: Option<Real>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) time_end: Option<Real>,
        #[serde(skip_serializing_if = "Option::is_none")]
        pub(super) evaluation: Option<u32>,
        #[serde(borrow)]
        pub(super) config: Held<'a, Config>,
    }
}

impl<'a> PutLine<'a> {
    pub(super) fn new(trial: &'a Trial) -> Self {
        let (report, meta) = (trial.report.as_deref(), &trial.metadata);
        with_report! { report => PutLine {
            trial: trial.id.clone(),
            attempt: trial.attempts,
            put_state: trial.state,
            losses: Some(trial.losses).filter(|losses| *losses > 0),
            failures: Some(trial.failures).filter(|failures| *failures > 0),
            previous: meta.previous_trial_id.clone(),
            worker: meta.sampling_worker_id.as_deref().map(Str::from),
            time_sampled: Real(meta.time_sampled),
            evaluating_worker: meta.evaluating_worker_id.as_deref().map(Str::from),
            duration: meta.evaluation_duration.map(Real),
            time_submitted: meta.time_submitted.map(Real),
            time_started: meta.time_started.map(Real),
            time_end: meta.time_end.map(Real),
            evaluation: meta.evaluation,
            config: Held::ToWrite(&trial.config),
        } }
    }
}
