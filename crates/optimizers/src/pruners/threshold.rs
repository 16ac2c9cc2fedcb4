//! Threshold: a value beyond what can still become something, or that is no number.

use serde::{Deserialize, Serialize};

use super::{At, Rule};

/// The bounds, in the objective's own values.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Threshold {
    pub(super) lower: Option<f64>,
    pub(super) upper: Option<f64>,
    pub(super) warmup_steps: u64,
    pub(super) interval_steps: u64,
}

impl Default for Threshold {
    fn default() -> Self {
        Threshold { lower: None, upper: None, warmup_steps: 0, interval_steps: 1 }
    }
}

impl Threshold {
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.lower, self.upper) {
            (None, None) => Err("it needs `lower` or `upper`".into()),
            (Some(lower), Some(upper)) if lower > upper => {
                Err(format!("lower ({lower}) is above upper ({upper})"))
            }
            _ if self.interval_steps == 0 => Err("interval_steps is 1 or more".into()),
            _ => Ok(()),
        }
    }
}

impl Rule for Threshold {
    fn prunes(&self, at: &At<'_>) -> bool {
        // What is minimised here was given with its own sign.
        let given = at.reached.objectives.minimised_one(0, at.value);
        let is_beyond = given.is_nan()
            || self.lower.is_some_and(|lower| given < lower)
            || self.upper.is_some_and(|upper| given > upper);
        is_beyond && at.is_due(self.warmup_steps, self.interval_steps)
    }
}
