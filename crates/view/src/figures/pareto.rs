//! Two objectives against each other, and which trials no other beats in both.

use serde::Serialize;

use super::{ObjectiveInfo, objective};
use crate::live::Live;

/// Two objectives of the trials that have both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pareto {
    /// The objective from left to right.
    pub x: ObjectiveInfo,
    /// The one from bottom to top.
    pub y: ObjectiveInfo,
    /// The trials.
    pub points: Vec<(f64, f64)>,
    /// Those that none beats in both, from the best in `x` to the best in `y`.
    pub front: Vec<ParetoPoint>,
}

/// A trial of the front.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "it is where it is")]
pub struct ParetoPoint {
    pub x: f64,
    pub y: f64,
    pub trial: String,
}

impl Pareto {
    /// Objective `i` against objective `j`.
    pub fn of(live: &Live, i: usize, j: usize) -> Self {
        let ends = live.runs().ends();
        let (x, y) = (objective(live, i), objective(live, j));
        let of_row = |row: usize| Some((row, ends.objective(row, i)?, ends.objective(row, j)?));
        let rows: Vec<(usize, f64, f64)> = (0..ends.len()).filter_map(of_row).collect();
        let small = |(_, a, b): &(usize, f64, f64)| (x.minimised(*a), y.minimised(*b));
        let mut sorted: Vec<&(usize, f64, f64)> = rows.iter().collect();
        sorted.sort_by(|a, b| {
            let (a, b) = (small(a), small(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        let (mut front, mut lowest) = (Vec::new(), f64::INFINITY);
        for row in sorted {
            if small(row).1 < lowest {
                lowest = small(row).1;
                let trial = live.study().trials().at(ends.trial[row.0]).id.to_string();
                front.push(ParetoPoint { x: row.1, y: row.2, trial });
            }
        }
        Pareto { x, y, points: rows.iter().map(|(_, a, b)| (*a, *b)).collect(), front }
    }
}
