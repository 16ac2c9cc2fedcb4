//! What came out, one point for each trial that ended, and the best so far.

use serde::Serialize;

use super::{ObjectiveInfo, Range, objective};
use crate::live::Live;
use crate::runs::Ends;

/// What the trials are lined up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// The order in which they ended, from 1.
    Number,
    /// Seconds since the study's first event.
    Time,
    /// The sum of the costs reported up to then.
    Cost,
}

/// The history of one objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct History {
    /// What the trials are lined up by.
    pub over: Over,
    /// The objective.
    pub objective: ObjectiveInfo,
    /// Where each trial with an objective stands.
    pub x: Vec<f64>,
    /// Its objective.
    pub y: Vec<f64>,
    /// Where the trials that failed or crashed stand.
    pub errors: Vec<f64>,
    /// The steps of the best so far.
    pub best: Vec<Step>,
    /// Which stretch of the objective a picture shows.
    pub range: Range,
}

/// A trial that was better than all before it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Where it stands.
    pub x: f64,
    /// Its objective.
    pub y: f64,
    /// Its id.
    pub trial: String,
}

impl History {
    /// The history of objective `k`.
    pub fn of(live: &Live, k: usize, over: Over) -> Self {
        let ends = live.runs().ends();
        let at = positions(live, over);
        let mut history = History {
            over,
            objective: objective(live, k),
            x: Vec::with_capacity(ends.len()),
            y: Vec::with_capacity(ends.len()),
            errors: Vec::new(),
            best: best(live, k, &at),
            range: Range::between(0.0, 1.0),
        };
        for (row, x) in at.iter().enumerate() {
            match ends.objective(row, k) {
                Some(y) => {
                    history.x.push(*x);
                    history.y.push(y);
                }
                None if ends.state[row].is_error() => history.errors.push(*x),
                None => {}
            }
        }
        history.range = Range::of(&history.y, history.objective.direction);
        history
    }

    /// The steps of the best so far alone.
    pub fn best_steps(live: &Live, k: usize, over: Over) -> Vec<Step> {
        best(live, k, &positions(live, over))
    }
}

impl std::str::FromStr for Over {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "number" => Ok(Over::Number),
            "time" => Ok(Over::Time),
            "cost" => Ok(Over::Cost),
            _ => Err(format!("'{text}' is not an axis; there are number, time and cost")),
        }
    }
}

impl Over {
    /// What stands beside the axis.
    pub fn label(self) -> &'static str {
        match self {
            Over::Number => "trials ended",
            Over::Time => "time since the start",
            Over::Cost => "cost so far",
        }
    }
}

/// Where each end stands.
fn positions(live: &Live, over: Over) -> Vec<f64> {
    let ends = live.runs().ends();
    let first = live.runs().span().map_or(0.0, |(first, _)| first);
    match over {
        Over::Number => (1..=ends.len()).map(|n| n as f64).collect(),
        Over::Time => ends.time.iter().map(|time| time - first).collect(),
        Over::Cost => {
            let sum = |sum: &mut f64, cost: &f64| {
                *sum += cost.max(0.0);
                Some(*sum)
            };
            ends.cost.iter().scan(0.0, sum).collect()
        }
    }
}

fn best(live: &Live, k: usize, at: &[f64]) -> Vec<Step> {
    let (ends, objective) = (live.runs().ends(), objective(live, k));
    let mut steps: Vec<Step> = Vec::new();
    let mut best: Option<f64> = None;
    for row in in_order(at) {
        let Some(y) = ends.objective(row, k) else { continue };
        if best.is_none_or(|best| objective.is_better(y, best)) {
            best = Some(y);
            steps.push(Step { x: at[row], y, trial: id(live, ends, row) });
        }
    }
    steps
}

/// The rows by where they stand: another machine's clock may be behind.
fn in_order(at: &[f64]) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..at.len()).collect();
    if !at.is_sorted() {
        rows.sort_by(|a, b| at[*a].total_cmp(&at[*b]));
    }
    rows
}

fn id(live: &Live, ends: &Ends, row: usize) -> String {
    live.study().trials().at(ends.trial[row]).id.to_string()
}
