//! Patience and plateau: a trial that becomes no better any more.

use serde::{Deserialize, Serialize};
use trialmill_core::trial::Trial;

use super::{At, Rule};

/// The arguments of `patience`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PatientSettings {
    /// How many steps without a better value are borne.
    pub(super) patience: usize,
    /// How much better a value must be to count.
    pub(super) min_delta: f64,
    /// Another pruner that must say the same.
    pub(super) pruner: Option<serde_json::Value>,
}

impl Default for PatientSettings {
    fn default() -> Self {
        PatientSettings { patience: 5, min_delta: 0.0, pruner: None }
    }
}

impl PatientSettings {
    pub(super) fn check(&self) -> Result<(), String> {
        match self.min_delta {
            delta if delta.is_finite() && delta >= 0.0 => Ok(()),
            _ => Err("min_delta is a number from 0 up".into()),
        }
    }
}

/// Waits for so many steps; and then for the other rule, if there is one.
pub(super) struct Patient {
    pub(super) settings: PatientSettings,
    pub(super) other: Option<Box<dyn Rule>>,
}

impl Rule for Patient {
    fn window(&self) -> usize {
        self.other
            .as_ref()
            .map_or(0, |other| other.window())
            .max(self.settings.patience.saturating_add(1))
    }

    fn prunes(&self, at: &At<'_>) -> bool {
        let window = self.settings.patience.saturating_add(1);
        if at.track.count <= window {
            return false;
        }
        let recent = at.track.recent.iter();
        let skipped = at.track.recent.len().saturating_sub(window);
        // Of a wider window the first values are those before.
        let before = recent.clone().take(skipped).fold(at.track.before, |a, x| a.min(*x));
        // Nothing but NaN decides nothing, as in Optuna.
        let latest = recent.skip(skipped).copied().fold(f64::NAN, f64::min);
        before + self.settings.min_delta < latest
            && self.other.as_ref().is_none_or(|other| other.prunes(at))
    }

    fn learn(&mut self, at: &At<'_>) {
        if let Some(other) = &mut self.other {
            other.learn(at);
        }
    }

    fn ended(&mut self, trial: &Trial, curve: &[(u64, f64)]) {
        if let Some(other) = &mut self.other {
            other.ended(trial, curve);
        }
    }
}

/// The arguments of `plateau`: the last values hardly differ.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Plateau {
    /// How many of the last values are looked at.
    pub(super) window: usize,
    /// Their standard deviation that is none any more.
    pub(super) deviation: f64,
    /// How many steps a trial has at least.
    pub(super) warmup_steps: usize,
}

impl Default for Plateau {
    fn default() -> Self {
        Plateau { window: 4, deviation: 0.01, warmup_steps: 4 }
    }
}

impl Plateau {
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.window, self.deviation) {
            (0 | 1, _) => Err("window is 2 or more".into()),
            (_, deviation) if deviation.is_finite() && deviation > 0.0 => Ok(()),
            _ => Err("deviation is a number above 0".into()),
        }
    }
}

impl Rule for Plateau {
    fn window(&self) -> usize {
        self.window
    }

    fn prunes(&self, at: &At<'_>) -> bool {
        let recent = &at.track.recent;
        if at.track.count < self.warmup_steps.max(self.window) {
            return false;
        }
        let skipped = recent.len() - self.window;
        let values = || recent.iter().skip(skipped);
        let mean = values().sum::<f64>() / self.window as f64;
        let variance = values().map(|x| (x - mean).powi(2)).sum::<f64>() / self.window as f64;
        variance.sqrt() < self.deviation
    }
}
