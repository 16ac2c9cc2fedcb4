//! The values of one parameter on a grid, and the place of each.

use std::cmp::Ordering;

use trialmill_core::config::Value;
use trialmill_core::space::{Domain, Parameter};

/// The values of a parameter, each once; those of numbers ascend.
#[derive(Debug, Clone)]
pub(super) enum Axis {
    /// That many; each is worked out when it is needed.
    Spread(u64),
    /// Those that are left of a spread where some are the same: 1 1 1 1 2 3 of a short log scale.
    Listed(Vec<Value>),
}

impl Axis {
    /// Numbers get up to `points` values.
    pub(super) fn of(parameter: &Parameter, points: usize) -> Self {
        let count = count(parameter, points);
        let values = || (0..count).map(|at| spread(parameter, at, count));
        let ascend = || values().zip(values().skip(1)).all(|(a, b)| order(&a, &b).is_lt());
        if !parameter.domain().is_number() || ascend() {
            return Axis::Spread(count);
        }
        let mut values: Vec<Value> = values().collect();
        values.sort_by(order);
        values.dedup_by(|a, b| order(a, b).is_eq());
        Axis::Listed(values)
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Axis::Spread(count) => *count,
            Axis::Listed(values) => values.len() as u64,
        }
    }

    pub(super) fn value(&self, parameter: &Parameter, at: u64) -> Value {
        match self {
            Axis::Spread(count) => spread(parameter, at, *count),
            Axis::Listed(values) => values[at as usize].clone(),
        }
    }

    /// Where a value stands, if it does.
    pub(super) fn place(&self, parameter: &Parameter, value: &Value) -> Option<u64> {
        match parameter.domain() {
            Domain::Categorical { choices, .. } => {
                choices.iter().position(|choice| choice == value).map(|at| at as u64)
            }
            Domain::Constant { value: own } => (own == value).then_some(0),
            Domain::Float { .. } | Domain::Int { .. } => {
                value.as_f64()?;
                let (mut low, mut high) = (0, self.len());
                while low < high {
                    let middle = low + (high - low) / 2;
                    match order(&self.value(parameter, middle), value) {
                        Ordering::Less => low = middle + 1,
                        Ordering::Equal => return Some(middle),
                        Ordering::Greater => high = middle,
                    }
                }
                None
            }
        }
    }
}

/// Of two numbers.
fn order(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        _ => a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal),
    }
}

fn count(parameter: &Parameter, points: usize) -> u64 {
    if parameter.is_fidelity() {
        return 1;
    }
    match (parameter.domain(), parameter.domain().cardinality()) {
        (Domain::Int { .. } | Domain::Float { .. }, Some(n)) => n.min(points as u64),
        (_, Some(n)) => n,
        (_, None) => points as u64,
    }
}

fn spread(parameter: &Parameter, at: u64, count: u64) -> Value {
    let domain = parameter.domain();
    match domain {
        _ if parameter.is_fidelity() => domain.from_unit(1.0),
        Domain::Int { lower, step, .. } if domain.cardinality() == Some(count) => {
            Value::Int(lower + at as i64 * step)
        }
        // A whole number owns a stretch of the unit interval, a choice too: take the middles.
        Domain::Float { step: Some(_), .. } if domain.cardinality() == Some(count) => {
            domain.from_unit((at as f64 + 0.5) / count as f64)
        }
        Domain::Categorical { .. } | Domain::Constant { .. } => {
            domain.from_unit((at as f64 + 0.5) / count as f64)
        }
        _ if count == 1 => domain.from_unit(0.5),
        _ => domain.from_unit(at as f64 / (count - 1) as f64),
    }
}
