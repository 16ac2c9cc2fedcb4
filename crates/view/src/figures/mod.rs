//! The numbers of every figure, computed once: the terminal, the pages, the pictures and the report
//! draw these and compute nothing of their own.

mod axes;
mod budget;
mod curves;
mod ecdf;
mod errors;
mod history;
mod importance;
mod pareto;
mod range;
mod ticks;
mod timeline;

pub use axes::{Axes, Axis, AxisKind, Tick};
pub use budget::{BudgetFigure, Burn};
pub use curves::{Curve, Curves};
pub use ecdf::Ecdf;
pub use errors::{ErrorKind, errors};
pub use history::{History, Over, Step};
pub use importance::{Importance, importance};
pub use pareto::{Pareto, ParetoPoint};
pub use range::Range;
pub use ticks::{nice, number, seconds, ticks};
pub use timeline::{Mark, Segment, Timeline, TimelineLane, Window};

use serde::Serialize;

use super::live::Live;
use trialmill_core::limits::MAX_SHOWN_OBJECTIVES;
use trialmill_core::objectives::Direction;

/// One objective: its name, and which way it is better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ObjectiveInfo {
    /// Its name.
    pub name: String,
    /// Which way it is better.
    pub direction: Direction,
}

impl ObjectiveInfo {
    /// Whether `a` is better than `b`.
    pub fn is_better(&self, a: f64, b: f64) -> bool {
        self.minimised(a) < self.minimised(b)
    }

    /// A value that orders as a minimised objective does.
    pub fn minimised(&self, x: f64) -> f64 {
        match self.direction {
            Direction::Minimize => x,
            Direction::Maximize => -x,
        }
    }
}

/// The objectives of a study. Before its first success there is one, unless the study says otherwise.
pub fn objectives(live: &Live) -> Vec<ObjectiveInfo> {
    let goals = &live.study().definition().objectives;
    let n = goals.count().unwrap_or(live.runs().ends().objectives.len()).max(1);
    let unnamed = |k: usize| match (n, goals.direction(k)) {
        (1, Direction::Minimize) => "objective_to_minimize".into(),
        (1, Direction::Maximize) => "objective".into(),
        _ => format!("objective {}", k + 1),
    };
    let info = |k: usize| ObjectiveInfo {
        name: goals.name(k).map_or_else(|| unnamed(k), str::to_string),
        direction: goals.direction(k),
    };
    (0..n.min(MAX_SHOWN_OBJECTIVES)).map(info).collect()
}

/// Objective `k`; the first where there is no such one.
pub fn objective(live: &Live, k: usize) -> ObjectiveInfo {
    let mut all = objectives(live);
    all.swap_remove(if k < all.len() { k } else { 0 })
}

/// At most `most` of the places from 0 to `len`, evenly, and always the first and the last.
fn thinned(len: usize, most: usize) -> Vec<usize> {
    if len <= most.max(2) {
        return (0..len).collect();
    }
    let most = most.max(2);
    (0..most).map(|i| i * (len - 1) / (most - 1)).collect()
}
