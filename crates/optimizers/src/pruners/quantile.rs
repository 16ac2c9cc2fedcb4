//! Median and percentile: a trial whose best value so far is worse than most trials that succeeded had at
//! the same step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trialmill_core::trial::{State, Trial};

use super::smallest::Smallest;
use super::{At, Rule};

/// The arguments of `median`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Median {
    pub(super) startup_trials: u64,
    pub(super) warmup_steps: u64,
    pub(super) interval_steps: u64,
    pub(super) min_trials: u64,
}

/// The arguments of `percentile`: a trial goes on that is among the best so many percent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct QuantileSettings {
    pub(super) percentile: f64,
    pub(super) startup_trials: u64,
    pub(super) warmup_steps: u64,
    pub(super) interval_steps: u64,
    pub(super) min_trials: u64,
}

impl Default for Median {
    fn default() -> Self {
        Median { startup_trials: 5, warmup_steps: 0, interval_steps: 1, min_trials: 1 }
    }
}

impl Default for QuantileSettings {
    fn default() -> Self {
        let Median { startup_trials, warmup_steps, interval_steps, min_trials } = Median::default();
        let percentile = 25.0;
        QuantileSettings { percentile, startup_trials, warmup_steps, interval_steps, min_trials }
    }
}

impl From<Median> for QuantileSettings {
    fn from(median: Median) -> Self {
        let Median { startup_trials, warmup_steps, interval_steps, min_trials } = median;
        let percentile = 50.0;
        QuantileSettings { percentile, startup_trials, warmup_steps, interval_steps, min_trials }
    }
}

impl QuantileSettings {
    pub(super) fn check(&self) -> Result<(), String> {
        if !(0.0..=100.0).contains(&self.percentile) {
            return Err("percentile is 0 to 100".into());
        }
        match self.interval_steps {
            0 => Err("interval_steps is 1 or more".into()),
            _ => Ok(()),
        }
    }
}

/// The values of the trials that succeeded, by step.
pub(super) struct Quantile {
    settings: QuantileSettings,
    successes: u64,
    at: BTreeMap<u64, There>,
}

/// What the trials had at a step.
#[derive(Default)]
struct There {
    /// How many had a value, NaN included.
    trials: u64,
    values: Smallest,
}

impl Quantile {
    pub(super) fn new(settings: QuantileSettings) -> Self {
        Quantile { settings, successes: 0, at: BTreeMap::new() }
    }

    /// Where the quantile of `n` sorted numbers is: between that place and the next.
    fn place(&self, n: usize) -> f64 {
        (n.max(1) - 1) as f64 * self.settings.percentile / 100.0
    }

    /// The quantile at a step; none where too few trials had a value there.
    fn value(&self, step: u64) -> Option<f64> {
        let there = self.at.get(&step)?;
        if there.trials < self.settings.min_trials {
            return None;
        }
        let values = &there.values;
        let (below, part) = (values.kth()?, self.place(values.len()).fract());
        // Also where the next is infinite, or there is none.
        Some(if part > 0.0 { below + part * (values.next()? - below) } else { below })
    }
}

impl Rule for Quantile {
    fn prunes(&self, at: &At<'_>) -> bool {
        let QuantileSettings { startup_trials, warmup_steps, interval_steps, .. } = self.settings;
        self.successes > 0
            && self.successes >= startup_trials
            && at.is_due(warmup_steps, interval_steps)
            && self.value(at.step).is_some_and(|value| at.track.best > value)
    }

    fn ended(&mut self, trial: &Trial, curve: &[(u64, f64)]) {
        if trial.state != State::Success {
            return;
        }
        self.successes += 1;
        for (step, value) in curve {
            let mut there = self.at.remove(step).unwrap_or_default();
            there.trials += 1;
            there.values.add(*value, |n| self.place(n) as usize + 1);
            self.at.insert(*step, there);
        }
    }
}
