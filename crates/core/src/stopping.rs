//! Ending a study before its budget is used: when, and why it was.

use serde::{Deserialize, Serialize};

/// What ends a study before its budget is used.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopEarly {
    /// An objective as good as this, or better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// So many evaluations that ended one after the other without a better result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluations_without_improvement: Option<u64>,
    /// So long without a better result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_without_improvement: Option<f64>,
}

impl StopEarly {
    /// Whether nothing is set.
    pub fn is_unset(&self) -> bool {
        *self == StopEarly::default()
    }

    /// The first limit that makes no sense, and why.
    ///
    /// # Errors
    /// Which one.
    pub fn check(&self) -> Result<(), String> {
        let wrong = |name: &str, what: &str| Err(format!("stop_early: {name} must be {what}"));
        if self.target.is_some_and(f64::is_nan) {
            return wrong("target", "a number");
        }
        if self.evaluations_without_improvement == Some(0) {
            return wrong("evaluations_without_improvement", "1 or more");
        }
        let seconds = self.seconds_without_improvement;
        if seconds.is_some_and(|seconds| !seconds.is_finite() || seconds <= 0.0) {
            return wrong("seconds_without_improvement", "a number above 0");
        }
        Ok(())
    }
}

/// Why a study ended before its budget was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EarlyEnd {
    /// An objective was as good as the target.
    Target,
    /// Nothing became better for as many evaluations as were set, or for as long.
    NoImprovement,
}

impl std::fmt::Display for EarlyEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            EarlyEnd::Target => "the target is reached",
            EarlyEnd::NoImprovement => "nothing becomes better any more",
        })
    }
}
