//! The parameters as axes: each value is a place between 0 and 1, on the parameter's own scale.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::ticks::{number, ticks};
use crate::live::Live;
use trialmill_core::config::{Names, Value};
use trialmill_core::space::{Domain, Parameter};

/// Choices that are told apart on an axis.
const CHOICES: usize = 64;
/// Trials that are asked which parameters there are, where the space is not known.
const ASKED: usize = 10_000;

/// The parameters of a study, in the order of its space.
#[derive(Debug, Clone)]
pub struct Axes {
    axes: Vec<Axis>,
    domains: Vec<Domain>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Axis {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: AxisKind,
    /// Whether its scale is logarithmic.
    pub log: bool,
    /// Whether it is the fidelity.
    pub is_fidelity: bool,
    /// Its bounds, where it is a number.
    pub bounds: Option<(f64, f64)>,
    /// Marks, from 0 to 1.
    pub ticks: Vec<Tick>,
}

/// What a parameter is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "as in the space")]
pub enum AxisKind {
    Float,
    Int,
    Categorical,
    Constant,
}

/// A mark of an axis.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tick {
    /// Where, from 0 to 1.
    pub at: f64,
    /// What stands there.
    pub label: String,
}

impl Axes {
    /// The axes of a study. Where its space is not known, the trials say what there is.
    pub fn of(live: &Live) -> Self {
        let space = &live.study().definition().space;
        let named: Vec<(String, Domain, bool)> = match space.is_unknown() {
            true => seen(live).into_iter().map(|(name, domain)| (name, domain, false)).collect(),
            false => space
                .iter()
                .map(|(name, own)| (name.to_string(), own.domain().clone(), own.is_fidelity()))
                .collect(),
        };
        let mut axes = Axes { axes: Vec::new(), domains: Vec::new() };
        for (name, domain, is_fidelity) in named {
            axes.axes.push(Axis { is_fidelity, ..axis(name, &domain) });
            axes.domains.push(domain);
        }
        axes
    }

    /// The axes.
    pub fn list(&self) -> &[Axis] {
        &self.axes
    }

    /// The domain of axis `i`.
    pub fn domain(&self, i: usize) -> &Domain {
        &self.domains[i]
    }

    /// The axis of this name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.axes.iter().position(|axis| axis.name == name)
    }

    /// Those that a picture of all shows: no constants.
    pub fn shown(&self) -> Vec<usize> {
        (0..self.axes.len()).filter(|i| self.axes[*i].kind != AxisKind::Constant).collect()
    }

    /// Where the trials that ended stand on axis `i`, from row `from` of the ends on. Not a number for a
    /// trial that lacks the parameter.
    pub fn column(&self, live: &Live, i: usize, from: usize) -> Vec<f32> {
        let (trials, ends) = (live.study().trials(), live.runs().ends());
        let (name, domain) = (&*self.axes[i].name, &self.domains[i]);
        // Asked by its text, a choice of many is found at once.
        let choices: Option<HashMap<String, f32>> = match domain {
            Domain::Categorical { choices, .. } if choices.len() > 8 => Some(
                (0..choices.len())
                    .map(|at| {
                        let unit = (at as f32 + 0.5) / choices.len() as f32;
                        (format!("{:?}", choices[at]), unit)
                    })
                    .collect(),
            ),
            _ => None,
        };
        // Mostly all trials share one list of names: then its place is looked for once.
        let mut known: Option<(&Names, Option<usize>)> = None;
        let mut place = |names| match known {
            Some((own, place)) if Arc::ptr_eq(own, names) => place,
            _ => {
                let place = names.iter().position(|own| &**own == name);
                known = Some((names, place));
                place
            }
        };
        let mut value = |trial: u32| {
            let config = &trials.at(trial).config;
            place(config.names()).and_then(|place| config.at(place))
        };
        let unit = |trial: &u32| match (value(*trial), &choices) {
            (None, _) => f32::NAN,
            (Some(value), Some(places)) => {
                places.get(&format!("{value:?}")).copied().unwrap_or(f32::NAN)
            }
            (Some(value), None) => domain.to_unit(value) as f32,
        };
        ends.trial.get(from..).unwrap_or_default().iter().map(unit).collect()
    }
}

fn axis(name: String, domain: &Domain) -> Axis {
    let (kind, log, bounds) = match domain {
        Domain::Float { lower, upper, scale, .. } => {
            (AxisKind::Float, scale.is_log(), Some((*lower, *upper)))
        }
        Domain::Int { lower, upper, scale, .. } => {
            (AxisKind::Int, scale.is_log(), Some((*lower as f64, *upper as f64)))
        }
        Domain::Categorical { .. } => (AxisKind::Categorical, false, None),
        Domain::Constant { .. } => (AxisKind::Constant, false, None),
    };
    Axis { name, kind, log, is_fidelity: false, bounds, ticks: marks(domain) }
}

fn marks(domain: &Domain) -> Vec<Tick> {
    let of_number = |x: f64, value: Value| Tick { at: domain.to_unit(&value), label: number(x) };
    match domain {
        Domain::Float { lower, upper, scale, .. } => {
            let marks = ticks(*lower, *upper, scale.is_log(), 5);
            marks.into_iter().map(|x| of_number(x, Value::Float(x))).collect()
        }
        Domain::Int { lower, upper, scale, .. } => {
            let marks = match upper - lower <= 8 {
                true => (*lower..=*upper).map(|x| x as f64).collect(),
                false => ticks(*lower as f64, *upper as f64, scale.is_log(), 5),
            };
            let whole = marks.into_iter().filter(|x| x.fract() == 0.0);
            whole.map(|x| of_number(x, Value::Int(x as i64))).collect()
        }
        Domain::Categorical { choices, .. } => {
            let every = choices.len().div_ceil(CHOICES).max(1);
            let shown = choices.iter().enumerate().step_by(every);
            shown
                .map(|(at, choice)| Tick {
                    at: (at as f64 + 0.5) / choices.len() as f64,
                    label: choice.to_string().chars().take(60).collect(),
                })
                .collect()
        }
        Domain::Constant { value } => {
            vec![Tick { at: 0.5, label: value.to_string().chars().take(60).collect() }]
        }
    }
}

/// What the configurations of the first trials have.
fn seen(live: &Live) -> Vec<(String, Domain)> {
    let mut names: Vec<String> = Vec::new();
    let mut values: HashMap<String, Vec<Value>> = HashMap::new();
    for trial in live.study().trials().iter().take(ASKED) {
        for (name, value) in trial.config.iter() {
            if !values.contains_key(name) {
                if names.len() == trialmill_core::limits::MAX_PARAMETERS {
                    continue;
                }
                names.push(name.into());
            }
            values.entry(name.into()).or_default().push(value.clone());
        }
    }
    let domain = |values: &[Value]| {
        let numbers: Vec<f64> =
            values.iter().filter_map(Value::as_f64).filter(|x| x.is_finite()).collect();
        let (lower, upper) =
            numbers.iter().fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(*x), b.max(*x)));
        if numbers.len() == values.len() && lower < upper {
            return match values.iter().all(|value| matches!(value, Value::Int(_))) {
                true => Parameter::int(lower as i64, upper as i64),
                false if lower > 0.0 && upper / lower > 1e3 => Parameter::float(lower, upper).log(),
                false => Parameter::float(lower, upper),
            };
        }
        let mut choices: Vec<Value> = Vec::new();
        for value in values {
            if choices.len() < CHOICES && !choices.contains(value) {
                choices.push(value.clone());
            }
        }
        match &choices[..] {
            [value] => Parameter::constant(value.clone()),
            _ => Parameter::categorical(choices),
        }
    };
    names
        .into_iter()
        .map(|name| {
            let parameter = domain(values.get(&name).map_or(&[], Vec::as_slice));
            let domain = parameter.domain().clone();
            (name, domain)
        })
        .collect()
}
