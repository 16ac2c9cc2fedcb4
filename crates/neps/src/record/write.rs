//! Writes trials; keys and classes are written once, however many trials there are.

use serde_json::Value as Json;

use super::{METADATA, OURS, REPORT, STATE, TRIAL, View};
use crate::pickle::{How, Item, Object, Pickle, Ref};
use crate::plain_data::{big_int_bytes, from_config, of_objective};
use crate::space::Translation;
use crate::value::Value;
use trialmill_core::trial::{Failure, Report, State, Trial};

/// Adds trials to a pickle.
pub(crate) struct Writer<'a> {
    pub(crate) pickle: Pickle<'static>,
    translation: &'a Translation,
    states: rustc_hash::FxHashMap<State, Ref>,
}

type Class = (&'static str, &'static str);

impl<'a> Writer<'a> {
    pub(crate) fn new(translation: &'a Translation) -> Self {
        Writer { pickle: Pickle::new(), translation, states: rustc_hash::FxHashMap::default() }
    }

    /// Adds a trial. `location` is where its directory is.
    pub(crate) fn trial(&mut self, record: &View<'_>, location: &str) -> Ref {
        let Trial { metadata: meta, report, .. } = &*record.trial;
        let config = match &record.extras.config {
            Some(kept) => self.pickle.copy_from(kept, kept.root()),
            None => {
                let pairs = self.translation.to_neps(&record.trial.config);
                self.map(pairs.iter().map(|(name, value)| (name.as_str(), from_config(value))))
            }
        };
        let location = record.extras.location.as_deref().unwrap_or(location);
        let previous = meta.previous_trial_id.as_ref().map(ToString::to_string);
        let sampled_by = meta.sampling_worker_id.as_deref().unwrap_or("trialmill");
        let fields = [
            ("id", self.text(Some(&record.trial.id.to_string()))),
            ("location", self.text(Some(location))),
            ("state", self.state(record.trial.state)),
            ("previous_trial_id", self.text(previous.as_deref())),
            ("previous_trial_location", self.text(record.extras.previous_location.as_deref())),
            ("sampling_worker_id", self.text(Some(sampled_by))),
            ("time_sampled", self.number(Some(meta.time_sampled))),
            ("evaluating_worker_id", self.text(meta.evaluating_worker_id.as_deref())),
            ("evaluation_duration", self.number(meta.evaluation_duration)),
            ("time_submitted", self.number(meta.time_submitted)),
            ("time_started", self.number(meta.time_started)),
            ("time_end", self.number(meta.time_end)),
        ];
        let metadata = self.object(METADATA, &fields);
        let report = match (&record.extras.report, report) {
            (_, None) => self.pickle.none(),
            (Some(kept), Some(_)) => self.pickle.copy_from(kept, kept.root()),
            (None, Some(report)) => self.report(report),
        };
        let mut fields = vec![("config", config), ("metadata", metadata), ("report", report)];
        if let Some(source) = &record.extras.source {
            fields.push(("source", self.text(Some(source))));
        }
        fields.push((OURS, self.ours(record)));
        self.object(TRIAL, &fields)
    }

    fn text(&mut self, text: Option<&str>) -> Ref {
        match text {
            Some(text) => self.pickle.str(text.to_string()),
            None => self.pickle.none(),
        }
    }

    fn number(&mut self, number: Option<f64>) -> Ref {
        match number {
            Some(number) => self.pickle.float(number),
            None => self.pickle.none(),
        }
    }

    fn reduce(&mut self, class: Class, argument: &str) -> Ref {
        let (class, text) = (self.pickle.global(class.0, class.1), self.text(Some(argument)));
        let args = self.pickle.add(Item::Tuple(vec![text]));
        self.pickle.add(Item::Object(Box::new(Object::new(How::Reduce, class, args))))
    }

    fn state(&mut self, state: State) -> Ref {
        if let Some(known) = self.states.get(&state) {
            return *known;
        }
        let at = self.reduce(STATE, state.name());
        self.states.insert(state, at);
        at
    }

    /// An object made without calling its class's `__init__`, with these attributes.
    fn object(&mut self, class: Class, fields: &[(&'static str, Ref)]) -> Ref {
        let class = self.pickle.global(class.0, class.1);
        let args = self.pickle.add(Item::Tuple(Vec::new()));
        let pairs = fields.iter().map(|(key, value)| (self.pickle.str(*key), *value)).collect();
        let state = Some(self.pickle.add(Item::Dict(pairs)));
        let object = Object { state, ..Object::new(How::New, class, args) };
        self.pickle.add(Item::Object(Box::new(object)))
    }

    fn map<'k>(&mut self, pairs: impl Iterator<Item = (&'k str, Value)>) -> Ref {
        let pairs = pairs.map(|(key, value)| (self.text(Some(key)), self.value(&value))).collect();
        self.pickle.add(Item::Dict(pairs))
    }

    pub(crate) fn value(&mut self, value: &Value) -> Ref {
        let item = match value {
            Value::None => return self.pickle.none(),
            Value::Bool(x) => return self.pickle.bool(*x),
            Value::Str(text) => return self.pickle.str(text.clone()),
            Value::Int(x) => Item::Int(*x),
            Value::BigInt(digits) => Item::BigInt(big_int_bytes(digits).into()),
            Value::Float(x) => Item::Float(*x),
            Value::List(list) => Item::List(list.iter().map(|value| self.value(value)).collect()),
            Value::Map(map) => Item::Dict(
                map.iter().map(|(key, value)| (self.value(key), self.value(value))).collect(),
            ),
        };
        self.pickle.add(item)
    }

    fn report(&mut self, report: &Report) -> Ref {
        let objective = report.objective_to_minimize.as_ref().map(of_objective);
        let curve = report.learning_curve.as_ref();
        let curve = curve.map(|curve| Value::List(curve.iter().map(of_objective).collect()));
        let extra = report.extra.iter().flat_map(|map| map.iter());
        let extra: Vec<_> =
            extra.map(|(key, json)| (key.as_str(), Value::from_json(json))).collect();
        let fields = [
            ("objective_to_minimize", self.value(&objective.unwrap_or(Value::None))),
            ("cost", self.number(report.cost)),
            ("learning_curve", self.value(&curve.unwrap_or(Value::None))),
            ("extra", self.map(extra.into_iter())),
            (
                "err",
                match &report.failure {
                    Some(failure) => self.exception(failure),
                    None => self.pickle.none(),
                },
            ),
            ("tb", self.text(report.failure.as_ref().and_then(|failure| failure.tb.as_deref()))),
            ("reported_as", self.text(Some(report.reported_as.name()))),
            ("evaluation_duration", self.number(report.evaluation_duration)),
        ];
        self.object(REPORT, &fields)
    }

    /// Only exceptions that every Python can reconstruct from their message: any other would make the
    /// cache unreadable for everyone.
    fn exception(&mut self, failure: &Failure) -> Ref {
        let known = PLAIN_EXCEPTIONS.iter().find(|name| **name == failure.err_type);
        self.reduce(("builtins", known.copied().unwrap_or("Exception")), &failure.err)
    }

    fn ours(&mut self, record: &View<'_>) -> Ref {
        let Trial { attempts, losses, report, .. } = &*record.trial;
        let mut pairs = vec![("attempts", Value::Int((*attempts).into()))];
        if *losses > 0 {
            pairs.push(("losses", Value::Int((*losses).into())));
        }
        if record.trial.failures > 0 {
            pairs.push(("failures", Value::Int(record.trial.failures.into())));
        }
        if let Some(number) = record.trial.metadata.evaluation {
            pairs.push(("evaluation", Value::Int(number.into())));
        }
        if let (Some(failure), None) =
            (report.as_ref().and_then(|report| report.failure.as_ref()), &record.extras.report)
        {
            pairs.push(("err_type", Value::Str(failure.err_type.clone())));
        }
        if let Some(lease) = &record.extras.lease {
            let json = serde_json::to_value(lease).unwrap_or(Json::Null);
            pairs.push(("lease", Value::from_json(&json)));
        }
        self.map(pairs.into_iter())
    }
}

/// Exceptions of Python that take one message and show it as it is.
const PLAIN_EXCEPTIONS: [&str; 22] = [
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BufferError",
    "EOFError",
    "Exception",
    "FloatingPointError",
    "ImportError",
    "IndexError",
    "LookupError",
    "MemoryError",
    "ModuleNotFoundError",
    "NameError",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "RecursionError",
    "RuntimeError",
    "TimeoutError",
    "TypeError",
    "ValueError",
    "ZeroDivisionError",
];
