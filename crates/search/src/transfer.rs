//! What other studies found, for a study that begins with it (`warm_start`).
//!
//! The best of each are evaluated first. After that the Gaussian process learns how much of each model
//! of another study is true here (`gp/trend.rs`), and TPE has their trials as kernels that fade. Only
//! the order and the shape of their objectives count, never the scale.

use crate::history::Observation;
use crate::multi::dominates;
use crate::space::{Point, Space};

/// How many evaluations repeat what was best elsewhere.
const STARTS: usize = 3;
/// How far apart these are at least in one parameter, in parts of the range.
const APART: f64 = 0.3;

/// The trials of another study that finished, in this one's parameters: a coordinate that is not a
/// number is of a parameter that the other study did not have.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// The trials; their objectives are minimised.
    pub trials: Vec<Observation>,
}

/// All that other studies found; nothing for most studies.
#[derive(Debug, Clone, Default)]
pub struct Transfer {
    pub(crate) sources: Vec<Source>,
    /// What is evaluated first.
    pub(crate) starts: Vec<Point>,
}

impl Transfer {
    /// From these sources.
    pub fn new(space: &Space, sources: Vec<Source>) -> Self {
        let ranked: Vec<Vec<Point>> =
            sources.iter().map(|source| best_first(space, source)).collect();
        let mut starts: Vec<Point> = Vec::new();
        let longest = ranked.iter().map(Vec::len).max().unwrap_or(0);
        // The best of each, then the second of each.
        for point in
            (0..longest).flat_map(|rank| ranked.iter().filter_map(move |list| list.get(rank)))
        {
            let is_apart =
                |other: &Point| other.iter().zip(point).any(|(a, b)| (a - b).abs() > APART);
            if starts.len() < STARTS && starts.iter().all(is_apart) {
                starts.push(point.clone());
            }
        }
        Transfer { sources, starts }
    }

    /// How many points come before a model that would have `alone` of them without other studies.
    pub(crate) fn initial(&self, alone: usize) -> usize {
        match self.starts.len() {
            0 => alone,
            // Half of the Sobol points tell whether what was best elsewhere is good here.
            starts => starts + alone,
        }
    }
}

/// The points of a source, the best first; what it does not know stands where the priors do, or in the
/// middle.
fn best_first(space: &Space, source: &Source) -> Vec<Point> {
    let usable: Vec<&Observation> =
        source.trials.iter().filter(|trial| trial.all_objectives().is_some()).collect();
    let beaten = |trial: &Observation| {
        let by = |other: &&&Observation| dominates(&other.objectives, &trial.objectives);
        usable.iter().filter(by).count()
    };
    let mut keys: Vec<(usize, usize)> =
        usable.iter().enumerate().map(|(at, trial)| (beaten(trial), at)).collect();
    keys.sort_unstable();
    let default = space.default_point();
    let whole = |at: usize| {
        let known = usable[at].point.iter().zip(&default);
        let mut point: Point =
            known.map(|(x, other)| if x.is_nan() { *other } else { *x }).collect();
        space.snap(&mut point);
        point
    };
    keys.into_iter().map(|(_, at)| whole(at)).collect()
}
