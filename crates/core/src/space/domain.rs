//! The domain of one parameter, and the way from the unit interval into it and back.

use std::fmt;

use super::scale::Scale;
use super::steps::{Offsets, Steps, at_unit, unit_of};
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
        /// How likely its values are.
        scale: Scale,
        /// How far its values are apart, counted from `lower`.
        step: Option<f64>,
    },
    /// A whole number.
    Int {
        /// The smallest value.
        lower: i64,
        /// The largest value, included.
        upper: i64,
        /// How likely its values are.
        scale: Scale,
        /// How far its values are apart, counted from `lower`; 1 for all of them.
        step: i64,
    },
    /// One of several choices.
    Categorical {
        /// The choices, each once.
        choices: Vec<Value>,
        /// Whether their order means something: small, medium, large.
        ordered: bool,
    },
    /// Always the same.
    Constant {
        /// The value.
        value: Value,
    },
}

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

impl Domain {
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Domain::Float { lower, upper, scale, step } => {
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
                scale.check(*lower, *upper)?;
                check_step(step.is_some(), *scale)?;
                self.steps().map_or(Ok(()), Steps::check)
            }
            Domain::Int { lower, upper, scale, step } => {
                // Not as floats: 2^60 and 2^60 + 10 are the same float.
                match upper.checked_sub(*lower) {
                    _ if lower > upper => {
                        return Err(format!("lower ({lower}) is above upper ({upper})"));
                    }
                    Some(0) => {
                        return Err(format!(
                            "lower and upper are both {lower}: make it a constant"
                        ));
                    }
                    Some(span) if span <= 1 << 53 => {}
                    _ => {
                        return Err(format!(
                            "the bounds {lower} and {upper} are too far apart: at most 2^53 whole \
                             numbers can be drawn from"
                        ));
                    }
                }
                if *step < 1 || *step > upper - lower {
                    return Err(format!(
                        "a step is a whole number from 1 to upper - lower, not {step}"
                    ));
                }
                scale.check(*lower as f64, *upper as f64)?;
                check_step(*step > 1, *scale)?;
                match scale {
                    Scale::Normal { .. } | Scale::LogNormal { .. }
                        if lower.unsigned_abs().max(upper.unsigned_abs()) > 1 << 40 =>
                    {
                        Err(format!(
                            "{scale} needs bounds below 2^40, and they are {lower}, {upper}"
                        ))
                    }
                    _ => Ok(()),
                }
            }
            Domain::Categorical { choices, .. } => {
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

    fn steps(&self) -> Option<Steps> {
        match *self {
            Domain::Float { lower, upper, step: Some(step), .. } => {
                Some(Steps { lower, upper, step })
            }
            _ => None,
        }
    }

    /// Whether it is a number.
    pub fn is_number(&self) -> bool {
        matches!(self, Domain::Float { .. } | Domain::Int { .. })
    }

    /// Whether a value belongs to the domain.
    pub fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Domain::Float { lower, upper, .. }, value) => {
                let inside = |x: f64| *lower <= x && x <= *upper;
                let on_step = |x| self.steps().is_none_or(|steps| steps.position(x).is_some());
                value.as_f64().is_some_and(|x| inside(x) && on_step(x))
            }
            (Domain::Int { lower, upper, step, .. }, Value::Int(x)) => {
                lower <= x && x <= upper && (*step == 1 || x.abs_diff(*lower) % *step as u64 == 0)
            }
            (Domain::Int { .. }, _) => false,
            (Domain::Categorical { choices, .. }, value) => choices.contains(value),
            (Domain::Constant { value: own }, value) => own == value,
        }
    }

    /// How many values there are, where they can be counted.
    pub fn cardinality(&self) -> Option<u64> {
        match self {
            Domain::Float { .. } => self.steps().map(Steps::count),
            Domain::Int { lower, upper, step, .. } => {
                Some(upper.abs_diff(*lower) / (*step).max(1) as u64 + 1)
            }
            Domain::Categorical { choices, .. } => Some(choices.len() as u64),
            Domain::Constant { .. } => Some(1),
        }
    }

    /// How many values there are, where each has an equal stretch of the unit interval and they have an
    /// order: steps, and ordered choices.
    pub fn equal_levels(&self) -> Option<u64> {
        match self {
            Domain::Float { step: Some(_), .. } => self.cardinality(),
            Domain::Int { step, .. } if *step > 1 => self.cardinality(),
            Domain::Categorical { ordered: true, .. } => self.cardinality(),
            _ => None,
        }
    }

    /// The value at a place of the unit interval: equal stretches are equally likely values, on
    /// the parameter's own scale. A whole number owns the stretch from half below to half above.
    pub fn from_unit(&self, unit: f64) -> Value {
        let unit = unit.clamp(0.0, 1.0);
        if let Some(steps) = self.steps() {
            return Value::Float(steps.value(at_unit(unit, steps.count())));
        }
        match self {
            // Exactly the bounds at the ends, which `exp` of `ln` is not.
            Domain::Float { lower, .. } if unit == 0.0 => Value::Float(*lower),
            Domain::Float { upper, .. } if unit == 1.0 => Value::Float(*upper),
            Domain::Float { lower, upper, scale, .. } => {
                Value::Float(scale.value(unit, *lower, *upper).clamp(*lower, *upper))
            }
            Domain::Int { lower, step, .. } if *step > 1 => {
                let at = at_unit(unit, self.cardinality().unwrap_or(1));
                Value::Int(lower + at as i64 * step)
            }
            Domain::Int { lower, upper, scale, .. } => {
                if let Some(offsets) = Offsets::of(*lower, *upper, *scale == Scale::Log) {
                    return Value::Int(offsets.value(unit).clamp(*lower, *upper));
                }
                let x = scale.value(unit, *lower as f64 - 0.5, *upper as f64 + 0.5);
                Value::Int((x.round() as i64).clamp(*lower, *upper))
            }
            Domain::Categorical { choices, .. } => {
                choices[at_unit(unit, choices.len() as u64) as usize].clone()
            }
            Domain::Constant { value } => value.clone(),
        }
    }

    /// The position of a value on the unit interval; the middle for values outside the domain.
    pub fn to_unit(&self, value: &Value) -> f64 {
        match (self, value.as_f64()) {
            (Domain::Float { lower, upper, scale, .. }, Some(x)) => match self.steps() {
                Some(steps) => unit_of(steps.nearest(x), steps.count()),
                None => scale.unit(x, *lower, *upper),
            },
            (Domain::Int { lower, upper, scale, step }, Some(x)) => {
                if let (true, Value::Int(x)) = (*step > 1, value) {
                    let count = self.cardinality().unwrap_or(1);
                    let at = x.saturating_sub(*lower).max(0) / step;
                    return unit_of((at as u64).min(count - 1), count);
                }
                let offsets = Offsets::of(*lower, *upper, *scale == Scale::Log);
                if let (Some(offsets), Value::Int(x)) = (offsets, value) {
                    return offsets.unit(*x);
                }
                scale.unit(x, *lower as f64 - 0.5, *upper as f64 + 0.5)
            }
            (Domain::Categorical { choices, .. }, _) => {
                let at = choices.iter().position(|choice| choice == value);
                at.map_or(0.5, |at| unit_of(at as u64, choices.len() as u64))
            }
            _ => 0.5,
        }
    }

    /// The value of a number's domain that is nearest to a number; what is no number has its last.
    pub fn nearest(&self, x: f64) -> Value {
        match self {
            Domain::Float { lower, upper, .. } => Value::Float(match self.steps() {
                Some(steps) => steps.value(steps.nearest(x)),
                None => x.clamp(*lower, *upper),
            }),
            Domain::Int { lower, upper, step, .. } => {
                let x = (x.round() as i64).clamp(*lower, *upper);
                let at = (x.saturating_sub(*lower) + step / 2) / step;
                let last = (upper - lower) / step;
                Value::Int(lower + at.min(last) * step)
            }
            _ => self.from_unit(1.0),
        }
    }
}

fn check_step(has_step: bool, scale: Scale) -> Result<(), String> {
    match has_step && scale != Scale::Linear {
        true => Err(format!("a step is counted on a linear scale, and this one is {scale}")),
        false => Ok(()),
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scale = |scale: &Scale| match scale {
            Scale::Linear => String::new(),
            other => format!(", {other}"),
        };
        match self {
            Domain::Float { lower, upper, scale: own, step } => {
                let step = step.map_or_else(String::new, |step| format!(", step {step:?}"));
                write!(f, "float [{lower:?}, {upper:?}{}{step}]", scale(own))
            }
            Domain::Int { lower, upper, scale: own, step } => {
                write!(f, "int [{lower}, {upper}{}", scale(own))?;
                if *step > 1 { write!(f, ", step {step}]") } else { f.write_str("]") }
            }
            Domain::Categorical { choices, ordered } => {
                f.write_str(if *ordered { "ordinal {" } else { "categorical {" })?;
                let between = if *ordered { " < " } else { ", " };
                for (at, choice) in choices.iter().enumerate() {
                    write!(f, "{}{choice}", if at == 0 { "" } else { between })?;
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
            for scale in [Scale::Linear, Scale::Log] {
                let domain = Domain::Int { lower, upper: lower + 11, scale, step: 1 };
                if scale == Scale::Log && lower <= 0 {
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
        let far = Domain::Int { lower: i64::MIN, upper: i64::MAX, scale: Scale::Linear, step: 1 };
        assert!(far.check().unwrap_err().contains("too far apart"));
    }

    #[test]
    fn the_unit_interval_maps_onto_every_domain_and_back() {
        let float = Domain::Float { lower: 1e-5, upper: 1e-1, scale: Scale::Log, step: None };
        assert_eq!(float.from_unit(0.0), Value::Float(1e-5));
        assert_eq!(float.from_unit(1.0), Value::Float(1e-1));
        let middle = float.from_unit(0.5).as_f64().unwrap();
        assert!((middle - 1e-3).abs() < 1e-12);
        assert!((float.to_unit(&Value::Float(1e-3)) - 0.5).abs() < 1e-12);
        let int = Domain::Int { lower: -2, upper: 2, scale: Scale::Linear, step: 1 };
        for x in -2..=2 {
            assert_eq!(int.from_unit(int.to_unit(&Value::Int(x))), Value::Int(x));
        }
        let choices = Domain::Categorical {
            choices: vec!["a".into(), 2.into(), true.into()],
            ordered: false,
        };
        for unit in [0.0, 0.4, 0.9, 1.0] {
            let choice = choices.from_unit(unit);
            assert_eq!(choices.from_unit(choices.to_unit(&choice)), choice);
        }
    }
}
