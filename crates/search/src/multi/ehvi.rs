//! Expected hypervolume improvement, with a Gaussian process for each objective: Emmerich, Giannakoglou and Naujoks,
//! "Single- and Multiobjective Evolutionary Optimization Assisted by Gaussian Random Field Metamodels", 2006; as a mean
//! over draws of the models (Daulton, Balandat and Bakshy, "Differentiable Expected Hypervolume Improvement", 2020), and
//! with soft edges (Ament et al., "Unexpected Improvements to Expected Improvement", 2023).
//!
//! Trials in progress are imagined: in each draw they are on the front with what they give there.

use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::boxes::{MOST_OBJECTIVES, undominated};
use super::models::{DRAWS, Fitters, Models, search};
use super::{fronts, parego};
use crate::driver::{Algorithm, Ask, Proposal};
use crate::gp::model::MOST_PENDING;
use crate::gp::posterior::Scratch;
use crate::quasi_random::start_point;
use crate::space::Point;

/// Of a larger front, so many are looked at.
const MOST_FRONT: usize = 60;
/// How far beyond the front's end the reference point is, in parts of the front's extent.
const BEYOND: f64 = 0.1;
/// How soft an edge is, in parts of the front's extent.
const SOFT: f64 = 0.01;

/// Its arguments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HypervolumeImprovement {
    /// How many Sobol points come first; by the number of parameters unless said.
    pub initial_design_size: Option<usize>,
    #[serde(skip)]
    fitters: Fitters,
}

impl Algorithm for HypervolumeImprovement {
    fn name(&self) -> &'static str {
        "ehvi"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        let is_early = ask.history.len() < parego::initial(self.initial_design_size, ask);
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

impl HypervolumeImprovement {
    /// The models' proposal, or none if there are no models yet.
    pub(crate) fn draw(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Option<Point> {
        if ask.space.is_empty() {
            return None;
        }
        let models = self.fitters.models(ask, rng)?;
        if models.objectives() > MOST_OBJECTIVES {
            // Random weights propose.
            return parego::propose(&models, ask, rng);
        }
        let improvement = Improvement::new(&models);
        let good: Vec<Point> = improvement.good.iter().map(|at| models.point(*at)).collect();
        let worth = |x: &[f64], scratch: &mut Scratch| improvement.value(&models, x, scratch);
        search(ask, &worth, &good, rng)
    }
}

/// What is maximised: the volume that a point adds to what the front dominates, in units of the front's extent.
struct Improvement {
    /// Each objective's lowest value on the front, and its span.
    scales: Vec<(f64, f64)>,
    /// The corners of what is not dominated; for each draw if trials are in progress, else once.
    boxes: Vec<Vec<(Vec<f64>, Vec<f64>)>>,
    /// The data that are on the front and stand most alone.
    good: Vec<usize>,
}

impl Improvement {
    fn new(models: &Models) -> Self {
        let values = &models.values;
        let count = models.objectives();
        let scale = |m: usize| {
            let of = |list: &mut dyn Iterator<Item = f64>| {
                list.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)))
            };
            let (low, high) = of(&mut models.front.iter().map(|at| values[*at][m]));
            // A front of one point has no extent.
            let (_, highest) = of(&mut values.iter().map(|y| y[m]));
            let spans = [high - low, highest - low, 1.0];
            (low, spans.into_iter().find(|span| *span > 1e-9).unwrap_or(1.0))
        };
        let scales: Vec<(f64, f64)> = (0..count).map(scale).collect();
        let scaled = |y: &Vec<f64>| -> Vec<f64> {
            y.iter().zip(&scales).map(|(y, (low, span))| (y - low) / span).collect()
        };
        let front: Vec<Vec<f64>> = models.front.iter().map(|at| scaled(&values[*at])).collect();
        let points: Vec<&[f64]> = front.iter().map(|y| &y[..]).collect();
        let lonely = fronts::best(&points, MOST_FRONT);
        let good = lonely.iter().take(6).map(|(at, _)| models.front[*at]).collect();
        let front: Vec<Vec<f64>> = lonely.iter().map(|(at, _)| front[*at].clone()).collect();
        let reference = vec![1.0 + BEYOND; count];
        let boxes = |draw: usize| {
            let imagined = models.imagined(draw);
            let all: Vec<Vec<f64>> =
                front.iter().cloned().chain(imagined.iter().map(scaled)).collect();
            undominated(&all, &reference)
        };
        let draws = if models.imagined(0).is_empty() { 1 } else { DRAWS };
        let boxes = (0..draws).map(boxes).collect();
        Improvement { scales, boxes, good }
    }

    fn value(&self, models: &Models, x: &[f64], scratch: &mut Scratch) -> f64 {
        let mut sum = 0.0;
        let mut scaled = vec![0.0; self.scales.len()];
        models.outcomes(x, scratch, |draw, values| {
            for ((scaled, value), (low, span)) in scaled.iter_mut().zip(values).zip(&self.scales) {
                *scaled = (value - low) / span;
            }
            let boxes = self.boxes[draw % self.boxes.len()].iter();
            sum += boxes.map(|(low, high)| volume(&scaled, low, high)).sum::<f64>();
        });
        (sum / DRAWS as f64).max(1e-300).ln()
    }
}

/// The part of a box that a point dominates, with soft edges.
fn volume(x: &[f64], low: &[f64], high: &[f64]) -> f64 {
    let mut volume = 1.0;
    for ((x, low), high) in x.iter().zip(low).zip(high) {
        volume *= soft(high - x) - soft(low - x);
        if volume <= 0.0 {
            return 0.0;
        }
    }
    volume
}

/// 0 where `x` is negative and `x` where it is positive, with a soft bend, so that there is a slope everywhere near.
fn soft(x: f64) -> f64 {
    let bends = x / SOFT;
    match bends {
        _ if bends > 30.0 => x,
        _ if bends < -50.0 => 0.0,
        _ => SOFT * bends.exp().ln_1p(),
    }
}
