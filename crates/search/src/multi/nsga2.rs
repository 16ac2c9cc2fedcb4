//! NSGA-II (Deb et al., "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", 2002), one
//! child at a time: the parents are the best of all trials that have ended. For thousands of trials;
//! with fewer, [`ParEgo`](super::ParEgo) is far better.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fronts;
use crate::driver::{Algorithm, Ask, Proposal, Suggestion};
use crate::history::Observation;
use crate::quasi_random::start_point;
use crate::space::{Kind, Point};

/// Of more trials, the newest are looked at.
const MOST: usize = 4000;

/// Its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nsga2 {
    /// How many of the best may be parents.
    pub population_size: usize,
    /// How often two parents are mixed.
    pub crossover_prob: f64,
    /// How often a parameter changes; one in all of them unless said.
    pub mutation_prob: Option<f64>,
}

impl Default for Nsga2 {
    fn default() -> Self {
        Nsga2 { population_size: 50, crossover_prob: 0.9, mutation_prob: None }
    }
}

impl Algorithm for Nsga2 {
    fn name(&self) -> &'static str {
        "nsga2"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn parallelism(&self) -> Option<usize> {
        Some(self.population_size.max(1))
    }

    fn transfers(&self) -> bool {
        true
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        let point = match ask.history.len() < self.population_size || ask.space.is_empty() {
            true => start_point(ask),
            false => self.child(ask, rng).unwrap_or_else(|| start_point(ask)),
        };
        Proposal::Evaluate(Suggestion::from(point))
    }
}

/// The trials with usable objectives, all of as many as most have.
pub(super) fn usable<'a>(ask: &Ask<'a>, most: usize) -> Vec<(&'a [f64], &'a [f64])> {
    let ended = ask.history.ended();
    let old = ended.len().saturating_sub(most);
    let with = |t: &'a Observation| Some((&t.point[..], t.all_objectives()?));
    let mut list: Vec<_> = ended.skip(old).filter_map(with).collect();
    let objectives = list.iter().map(|(_, y)| y.len()).max().unwrap_or(0);
    list.retain(|(_, y)| y.len() == objectives);
    list
}

impl Nsga2 {
    pub(crate) fn child(&self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Option<Point> {
        let trials = usable(ask, MOST);
        let objectives: Vec<&[f64]> = trials.iter().map(|(_, y)| *y).collect();
        let parents = fronts::best(&objectives, self.population_size.max(2));
        if parents.is_empty() {
            return None;
        }
        // They are in order, so the winner of a tournament is the lower place.
        let mut pick = || {
            let a = rng.random_range(0..parents.len());
            let b = rng.random_range(0..parents.len());
            trials[parents[a.min(b)].0].0
        };
        let (mother, father) = (pick(), pick());
        let mut child = mother.to_vec();
        for _ in 0..8 {
            child = mother.to_vec();
            let mixes = rng.random::<f64>() < self.crossover_prob;
            let rate = self.mutation_prob.unwrap_or(1.0 / ask.space.len() as f64);
            for (g, dimension) in ask.space.dimensions.iter().enumerate() {
                let (a, b) = (mother[g], father[g]);
                let is_category = dimension.is_categorical();
                if mixes && rng.random::<bool>() {
                    child[g] = if is_category { b } else { crossed(a, b, rng.random()) };
                }
                if rng.random::<f64>() < rate {
                    child[g] = match dimension.kind {
                        Kind::Categorical { .. } => rng.random(),
                        _ => mutated(child[g], rng.random()),
                    };
                }
                child[g] = dimension.snap(child[g]);
            }
            if !ask.history.has_seen(&child) {
                break;
            }
        }
        Some(child)
    }
}

/// Simulated binary crossover with index 15 (Deb and Agrawal, 1995): the child near `a`.
fn crossed(a: f64, b: f64, u: f64) -> f64 {
    let power = 1.0 / 16.0;
    let beta =
        if u < 0.5 { (2.0 * u).powf(power) } else { (0.5 / (1.0 - u).max(1e-12)).powf(power) };
    (0.5 * ((1.0 + beta) * a + (1.0 - beta) * b)).clamp(0.0, 1.0)
}

/// Polynomial mutation with index 20.
fn mutated(x: f64, u: f64) -> f64 {
    let power = 1.0 / 21.0;
    let step =
        if u < 0.5 { (2.0 * u).powf(power) - 1.0 } else { 1.0 - (2.0 * (1.0 - u)).powf(power) };
    (x + step).clamp(0.0, 1.0)
}
