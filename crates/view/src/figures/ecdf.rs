//! The share of trials that came out at a value or better.

use serde::Serialize;

use super::{ObjectiveInfo, objective, thinned};
use crate::live::Live;

/// Steps that are kept.
const STEPS: usize = 512;

/// The empirical distribution of an objective. Trials that failed or crashed are part of the whole, so
/// with errors the curve does not reach 1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ecdf {
    /// The objective.
    pub objective: ObjectiveInfo,
    /// How many trials have ended.
    pub ended: usize,
    /// The values, the best first.
    pub values: Vec<f64>,
    /// Which share of all is as good or better.
    pub shares: Vec<f64>,
}

impl Ecdf {
    /// That of objective `k`.
    pub fn of(live: &Live, k: usize) -> Self {
        let (ends, objective) = (live.runs().ends(), objective(live, k));
        let mut sorted: Vec<f64> =
            (0..ends.len()).filter_map(|row| ends.objective(row, k)).collect();
        sorted.sort_unstable_by(|a, b| objective.minimised(*a).total_cmp(&objective.minimised(*b)));
        let kept = thinned(sorted.len(), STEPS);
        Ecdf {
            objective,
            ended: ends.len(),
            values: kept.iter().map(|i| sorted[*i]).collect(),
            shares: kept.iter().map(|i| (i + 1) as f64 / ends.len() as f64).collect(),
        }
    }
}
