//! The domain of one parameter, and the way from the unit interval into it and back.

use std::fmt;

use crate::config::Value;
use crate::limits::MAX_CHOICES;

/// Which values a parameter may take.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// A real number.
    Float {
        /// The smallest value.
        lower: f64,
        /// The largest value.
        upper: f64,
        /// Searched on a logarithmic scale.
        log: bool,
    },
    /// A whole number.
    Int {
        /// The smallest value.
        lower: i64,
        /// The largest value, included.
        upper: i64,
        /// Searched on a logarithmic scale.
        log: bool,
    },
    /// One of several choices.
    Categorical {
        /// The choices, each once.
        choices: Vec<Value>,
    },
    /// Always the same.
    Constant {
        /// The value.
        value: Value,
    },
}

/// From here on two neighbouring whole numbers, or the halves between them, are one float; and from
/// there on their logarithms are.
const COARSE: u64 = 1 << 51;
const COARSE_LOG: u64 = 1 << 40;

/// How much a prior is trusted, in NePS's words and with NePS's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confidence {
    /// A hint: draws spread by three quarters of the scale, and a quarter of them is a prior choice.
    #[default]
    Low,
    /// A good guess: half of the scale, and half of the draws.
    Medium,
    /// Nearly sure: a quarter of the scale, and three quarters of the draws.
    High,
}

impl Confidence {
    /// As a study file spells it.
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Low => "low",
            Confidence::Medium => "medium",
            Confidence::High => "high",
        }
    }

    /// The standard deviation of draws around the prior, in units of the whole scale.
    pub(super) fn spread(self) -> f64 {
        1.0 - self.share()
    }

    /// How many of the draws around a prior choice are that choice.
    pub(super) fn share(self) -> f64 {
        match self {
            Confidence::Low => 0.25,
            Confidence::Medium => 0.5,
            Confidence::High => 0.75,
        }
    }
}

fn check_value(value: &Value) -> Result<(), String> {
    match value {
        Value::Float(x) if x.is_nan() => {
            Err("NaN cannot be a value: it is not equal to itself".into())
        }
        _ => Ok(()),
    }
}

/// A range of whole numbers where floats are too coarse: counted from the lower bound.
struct Offsets {
    lower: i64,
    /// How many there are.
    count: f64,
    /// The whole range on a logarithmic scale, and where it begins.
    log: Option<(f64, f64)>,
}

impl Offsets {
    fn of(lower: i64, upper: i64, log: bool) -> Option<Self> {
        let coarse = if log { COARSE_LOG } else { COARSE };
        if lower.unsigned_abs().max(upper.unsigned_abs()) < coarse {
            return None;
        }
        let count = upper.wrapping_sub(lower) as u64 as f64 + 1.0;
        let low = lower as f64 - 0.5;
        let log = log.then(|| ((count / low).ln_1p(), low));
        Some(Offsets { lower, count, log })
    }

    fn value(&self, unit: f64) -> i64 {
        let offset = match self.log {
            Some((range, low)) => low * (unit * range).exp_m1(),
            None => unit * self.count,
        };
        let offset = offset.clamp(0.0, self.count - 1.0) as u64;
        self.lower.wrapping_add(offset as i64)
    }

    fn unit(&self, x: i64) -> f64 {
        let offset = x.saturating_sub(self.lower) as f64 + 0.5;
        match self.log {
            Some((range, low)) => (offset / low).ln_1p() / range,
            None => offset / self.count,
        }
        .clamp(0.0, 1.0)
    }
}

impl Domain {
    pub(super) fn check(&self) -> Result<(), String> {
        let check_bounds = |lower: f64, upper: f64, log: bool| {
            if !lower.is_finite() || !upper.is_finite() {
                return Err(format!("the bounds {lower} and {upper} must be finite numbers"));
            }
            if lower > upper {
                return Err(format!("lower ({lower}) is above upper ({upper})"));
            }
            if lower == upper {
                return Err(format!("lower and upper are both {lower}: make it a constant"));
            }
            if !(upper - lower).is_finite() {
                return Err(format!("the bounds {lower} and {upper} are too far apart"));
            }
            if log && lower <= 0.0 {
                return Err(format!("a log scale needs bounds above 0, and lower is {lower}"));
            }
            Ok(())
        };
        match self {
            Domain::Float { lower, upper, log } => check_bounds(*lower, *upper, *log),
            Domain::Int { lower, upper, log } => {
                // Not as floats: 2^60 and 2^60 + 10 are the same float.
                match upper.checked_sub(*lower) {
                    _ if lower > upper => Err(format!("lower ({lower}) is above upper ({upper})")),
                    Some(0) => Err(format!("lower and upper are both {lower}: make it a constant")),
                    _ if *log && *lower <= 0 => {
                        Err(format!("a log scale needs bounds above 0, and lower is {lower}"))
                    }
                    Some(span) if span <= 1 << 53 => Ok(()),
                    _ => Err(format!(
                        "the bounds {lower} and {upper} are too far apart: at most 2^53 whole \
                         numbers can be drawn from"
                    )),
                }
            }
            Domain::Categorical { choices } => {
                if choices.is_empty() || choices.len() > MAX_CHOICES {
                    return Err(format!("needs 1 to {MAX_CHOICES} choices, has {}", choices.len()));
                }
                // Compares the choices as strings: `1` and `"1"` are the same command-line argument.
                let mut texts: Vec<String> = choices.iter().map(Value::to_string).collect();
                texts.sort_unstable();
                match texts.windows(2).find(|pair| pair[0] == pair[1]) {
                    Some(pair) => Err(format!("the choice {} occurs twice", pair[0])),
                    None => choices.iter().try_for_each(check_value),
                }
            }
            Domain::Constant { value } => check_value(value),
        }
    }

    /// Whether a value belongs to the domain.
    pub fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Domain::Float { lower, upper, .. }, value) => {
                value.as_f64().is_some_and(|x| *lower <= x && x <= *upper)
            }
            (Domain::Int { lower, upper, .. }, Value::Int(x)) => lower <= x && x <= upper,
            (Domain::Int { .. }, _) => false,
            (Domain::Categorical { choices }, value) => choices.contains(value),
            (Domain::Constant { value: own }, value) => own == value,
        }
    }

    /// How many values there are, where they can be counted.
    pub fn cardinality(&self) -> Option<u64> {
        match self {
            Domain::Float { .. } => None,
            Domain::Int { lower, upper, .. } => Some((upper - lower) as u64 + 1),
            Domain::Categorical { choices } => Some(choices.len() as u64),
            Domain::Constant { .. } => Some(1),
        }
    }

    /// The value at a place of the unit interval: equal stretches are equally likely values, on
    /// the parameter's own scale. A whole number owns the stretch from half below to half above.
    pub fn from_unit(&self, unit: f64) -> Value {
        let unit = unit.clamp(0.0, 1.0);
        match self {
            // Exactly the bounds at the ends, which `exp` of `ln` is not.
            Domain::Float { lower, .. } if unit == 0.0 => Value::Float(*lower),
            Domain::Float { upper, .. } if unit == 1.0 => Value::Float(*upper),
            Domain::Float { lower, upper, log: false } => {
                Value::Float((lower + unit * (upper - lower)).clamp(*lower, *upper))
            }
            Domain::Float { lower, upper, log: true } => {
                let (low, high) = (lower.ln(), upper.ln());
                Value::Float((low + unit * (high - low)).exp().clamp(*lower, *upper))
            }
            Domain::Int { lower, upper, log } => {
                if let Some(offsets) = Offsets::of(*lower, *upper, *log) {
                    return Value::Int(offsets.value(unit).clamp(*lower, *upper));
                }
                let (low, high) = (*lower as f64 - 0.5, *upper as f64 + 0.5);
                let x = if *log {
                    (low.ln() + unit * (high.ln() - low.ln())).exp()
                } else {
                    low + unit * (high - low)
                };
                Value::Int((x.round() as i64).clamp(*lower, *upper))
            }
            Domain::Categorical { choices } => {
                let at = (unit * choices.len() as f64) as usize;
                choices[at.min(choices.len() - 1)].clone()
            }
            Domain::Constant { value } => value.clone(),
        }
    }

    /// The position of a value on the unit interval; the middle for values outside the domain.
    pub fn to_unit(&self, value: &Value) -> f64 {
        let scale = |x: f64, low: f64, high: f64| ((x - low) / (high - low)).clamp(0.0, 1.0);
        match (self, value.as_f64()) {
            (Domain::Float { lower, upper, log: false }, Some(x)) => scale(x, *lower, *upper),
            (Domain::Float { lower, upper, log: true }, Some(x)) => {
                scale(x.ln(), lower.ln(), upper.ln())
            }
            (Domain::Int { lower, upper, log }, Some(x)) => {
                if let (Some(offsets), Value::Int(x)) = (Offsets::of(*lower, *upper, *log), value) {
                    return offsets.unit(*x);
                }
                let (low, high) = (*lower as f64 - 0.5, *upper as f64 + 0.5);
                if *log { scale(x.ln(), low.ln(), high.ln()) } else { scale(x, low, high) }
            }
            (Domain::Categorical { choices }, _) => {
                let at = choices.iter().position(|choice| choice == value);
                at.map_or(0.5, |at| (at as f64 + 0.5) / choices.len() as f64)
            }
            _ => 0.5,
        }
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = |log: &bool| if *log { ", log" } else { "" };
        match self {
            Domain::Float { lower, upper, log } => {
                write!(f, "float [{lower:?}, {upper:?}{}]", scale(log))
            }
            Domain::Int { lower, upper, log } => write!(f, "int [{lower}, {upper}{}]", scale(log)),
            Domain::Categorical { choices } => {
                f.write_str("categorical {")?;
                for (at, choice) in choices.iter().enumerate() {
                    write!(f, "{}{choice}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
            Domain::Constant { value } => write!(f, "constant {value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the eleven numbers from 2^53 on the odd ones were never drawn, and from 2^60 on the two
    /// bounds were "both" the same.
    #[test]
    fn every_whole_number_can_be_drawn_and_found_again_wherever_the_range_is() {
        let edges = [0, 1, 1 << 50, (1 << 51) - 9, 1 << 52, (1 << 53) - 1, 1 << 53, 1 << 60];
        let starts = edges.iter().flat_map(|at: &i64| [*at, -at]).chain([i64::MAX - 11, i64::MIN]);
        for lower in starts {
            for log in [false, true] {
                let domain = Domain::Int { lower, upper: lower + 11, log };
                if log && lower <= 0 {
                    assert!(domain.check().unwrap_err().contains("above 0"));
                    continue;
                }
                domain.check().unwrap();
                for x in lower..=lower + 11 {
                    let unit = domain.to_unit(&Value::Int(x));
                    assert_eq!(domain.from_unit(unit), Value::Int(x), "{domain} at {unit}");
                }
                for at in 0..=1000 {
                    assert!(domain.contains(&domain.from_unit(f64::from(at) / 1000.0)));
                }
            }
        }
        let far = Domain::Int { lower: i64::MIN, upper: i64::MAX, log: false };
        assert!(far.check().unwrap_err().contains("too far apart"));
    }

    #[test]
    fn the_unit_interval_maps_onto_every_domain_and_back() {
        let float = Domain::Float { lower: 1e-5, upper: 1e-1, log: true };
        assert_eq!(float.from_unit(0.0), Value::Float(1e-5));
        assert_eq!(float.from_unit(1.0), Value::Float(1e-1));
        let middle = float.from_unit(0.5).as_f64().unwrap();
        assert!((middle - 1e-3).abs() < 1e-12);
        assert!((float.to_unit(&Value::Float(1e-3)) - 0.5).abs() < 1e-12);
        let int = Domain::Int { lower: -2, upper: 2, log: false };
        for x in -2..=2 {
            assert_eq!(int.from_unit(int.to_unit(&Value::Int(x))), Value::Int(x));
        }
        let choices = Domain::Categorical { choices: vec!["a".into(), 2.into(), true.into()] };
        for unit in [0.0, 0.4, 0.9, 1.0] {
            let choice = choices.from_unit(unit);
            assert_eq!(choices.from_unit(choices.to_unit(&choice)), choice);
        }
    }
}
