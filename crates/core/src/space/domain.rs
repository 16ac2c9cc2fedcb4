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

/// How much a prior is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confidence {
    /// A hint: draws spread over half of the scale.
    #[default]
    Low,
    /// A good guess: a quarter of the scale.
    Medium,
    /// Nearly sure: a tenth of the scale.
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
        match self {
            Confidence::Low => 0.5,
            Confidence::Medium => 0.25,
            Confidence::High => 0.1,
        }
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
                if upper.checked_sub(*lower).is_none_or(|span| span > 1 << 53) {
                    if lower > upper {
                        return Err(format!("lower ({lower}) is above upper ({upper})"));
                    }
                    return Err(format!("the bounds {lower} and {upper} are too far apart"));
                }
                check_bounds(*lower as f64, *upper as f64, *log)
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
                    None => Ok(()),
                }
            }
            Domain::Constant { .. } => Ok(()),
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
