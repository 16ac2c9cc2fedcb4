//! `ParEGO` with a Gaussian process for each objective: Knowles, "`ParEGO`: A Hybrid Algorithm with
//! On-Line Landscape Approximation for Expensive Multiobjective Optimization Problems", 2006, whose
//! random weights make one objective of several; the models as in Paria et al., "A Flexible Framework
//! for Multi-Objective Bayesian Optimization using Random Scalarizations", 2020.
//!
//! The expected improvement of the weighted objective is a mean over draws of the models.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::models::{DRAWS, Fitters, Models, search};
use crate::driver::{Algorithm, Ask, Proposal};
use crate::gp::model::MOST_PENDING;
use crate::gp::posterior::Scratch;
use crate::quasi_random::start_point;
use crate::space::Point;

/// The weight of the sum beside the largest of the weighted objectives.
const RHO: f64 = 0.05;

/// Its arguments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParEgo {
    /// How many Sobol points come first; by the number of parameters unless said.
    pub initial_design_size: Option<usize>,
    #[serde(skip)]
    fitters: Fitters,
}

impl Algorithm for ParEgo {
    fn name(&self) -> &'static str {
        "par_ego"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        let is_early = ask.history.len() < initial(self.initial_design_size, ask);
        let point = if is_early { None } else { self.draw(ask, rng) };
        Proposal::Evaluate(point.unwrap_or_else(|| start_point(ask)).into())
    }

    fn parallelism(&self) -> Option<usize> {
        Some(MOST_PENDING)
    }

    fn transfers(&self) -> bool {
        true
    }

    fn is_slow(&self) -> bool {
        true
    }
}

/// How many points come before models of several objectives.
pub(super) fn initial(said: Option<usize>, ask: &Ask<'_>) -> usize {
    ask.transfer.initial(said.unwrap_or((2 * ask.space.len() + 2).clamp(6, 16)))
}

impl ParEgo {
    /// The models' proposal, or none if there are no models yet.
    fn draw(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Option<Point> {
        if ask.space.is_empty() {
            return None;
        }
        propose(&self.fitters.models(ask, rng)?, ask, rng)
    }
}

/// What is maximised: how much the weighted objective improves on the best trial's.
struct Improvement {
    /// Each objective's weight, lowest value and span on the front.
    scales: Vec<(f64, f64, f64)>,
    best: f64,
}

impl Improvement {
    fn weighted(&self, values: &[f64]) -> f64 {
        let (mut most, mut sum) = (f64::NEG_INFINITY, 0.0);
        for (value, (weight, low, span)) in values.iter().zip(&self.scales) {
            let x = weight * (value - low) / span;
            most = most.max(x);
            sum += x;
        }
        most + RHO * sum
    }

    fn value(&self, models: &Models, x: &[f64], scratch: &mut Scratch) -> f64 {
        let mut sum = 0.0;
        models.outcomes(x, scratch, |_, values| {
            // Softened, so that it has a slope where nothing improves.
            let gap = (self.best - self.weighted(values)) / 0.01;
            sum += if gap > 30.0 { gap } else { gap.exp().ln_1p() };
        });
        (sum / DRAWS as f64).max(1e-300).ln()
    }
}

/// The point that improves most by weights drawn for it.
pub(super) fn propose(
    models: &Models,
    ask: &Ask<'_>,
    rng: &mut Xoshiro256PlusPlus,
) -> Option<Point> {
    let values = &models.values;
    let weights = simplex(models.objectives(), rng);
    let scale = |(m, weight): (usize, &f64)| {
        let mut list: Vec<f64> = models.front.iter().map(|i| values[*i][m]).collect();
        list.sort_by(f64::total_cmp);
        let low = list.first().copied().unwrap_or(0.0);
        // Not the front's end: a point that is best in one objective may be very bad in another.
        let high = list.get(list.len() * 3 / 4).copied().unwrap_or(low);
        (*weight, low, if high - low > 1e-6 { high - low } else { 1.0 })
    };
    let scales = weights.iter().enumerate().map(scale).collect();
    let mut improvement = Improvement { scales, best: 0.0 };
    let worth = |i: &usize| improvement.weighted(&values[*i]);
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| worth(a).total_cmp(&worth(b)).then(a.cmp(b)));
    improvement.best = worth(order.first()?);
    let good: Vec<Point> = order.iter().take(6).map(|i| models.point(*i)).collect();
    let worth = |x: &[f64], scratch: &mut Scratch| improvement.value(models, x, scratch);
    search(ask, &worth, &good, rng)
}

/// Weights that are equally likely everywhere on the simplex.
pub(super) fn simplex(count: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    let list: Vec<f64> = (0..count).map(|_| -(1.0 - rng.random::<f64>()).max(1e-12).ln()).collect();
    let sum: f64 = list.iter().sum::<f64>().max(1e-12);
    list.into_iter().map(|w| (w / sum).max(1e-3)).collect()
}
