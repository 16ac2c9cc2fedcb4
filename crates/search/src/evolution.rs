//! Regularised evolution (Real et al., "Regularized Evolution for Image Classifier Architecture
//! Search", AAAI 2019): the best of a few of the youngest trials gets a child with one change.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::driver::{Algorithm, Ask, Proposal, Suggestion};
use crate::history::Observation;
use crate::math::normal;
use crate::quasi_random::start_point;
use crate::space::{Kind, Point, Space};

/// Its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegularizedEvolution {
    /// How many of the youngest trials may have children.
    pub population_size: usize,
    /// Of how many drawn from them the best is taken.
    pub tournament_size: usize,
    /// The spread of a change of a number, in parts of its range.
    pub mutation_spread: f64,
}

impl Default for RegularizedEvolution {
    fn default() -> Self {
        RegularizedEvolution { population_size: 30, tournament_size: 8, mutation_spread: 0.2 }
    }
}

impl Algorithm for RegularizedEvolution {
    fn name(&self) -> &'static str {
        "regularized_evolution"
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
        let size = self.population_size.max(1);
        let ended = ask.history.ended();
        let old = ended.len().saturating_sub(size);
        let young: Vec<(&[f64], f64)> = ended
            .skip(old)
            .map(|t| (&t.point[..], Observation::objective(t).unwrap_or(f64::INFINITY)))
            .collect();
        if ask.history.len() < size || young.is_empty() || ask.space.is_empty() {
            return Proposal::Evaluate(Suggestion::from(start_point(ask)));
        }
        let parent = (0..self.tournament_size.max(1))
            .map(|_| young[rng.random_range(0..young.len())])
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let mut child = parent.map_or_else(|| start_point(ask), |(point, _)| point.to_vec());
        for _ in 0..8 {
            mutate(ask.space, &mut child, self.mutation_spread, rng);
            if !ask.history.has_seen(&child) {
                break;
            }
        }
        Proposal::Evaluate(child.into())
    }
}

/// Changes one parameter.
fn mutate(space: &Space, point: &mut Point, spread: f64, rng: &mut Xoshiro256PlusPlus) {
    let g = rng.random_range(0..space.len());
    let dimension = &space.dimensions[g];
    point[g] = match dimension.kind {
        Kind::Categorical { choices } => {
            let step = rng.random_range(1..choices.max(2) as u64);
            dimension.at_level((dimension.level(point[g]) + step) % choices.max(1) as u64)
        }
        _ => {
            let moved = normal::sample_truncated(point[g], spread.max(1e-6), rng.random());
            let there = dimension.snap(moved);
            // A whole number that stayed goes to a neighbour.
            match dimension.levels() {
                Some(levels) if there == point[g] => {
                    let level = dimension.level(there);
                    let up = level + 1 < levels && (level == 0 || rng.random());
                    dimension.at_level(if up { level + 1 } else { level.saturating_sub(1) })
                }
                _ => there,
            }
        }
    };
}
