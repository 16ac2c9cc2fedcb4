//! TPE for several objectives (Ozaki et al., "Multiobjective Tree-Structured Parzen Estimator", 2022),
//! but which trials are good is said by random weights, as in `ParEGO` (Knowles, 2006), anew for each
//! proposal.

use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fronts;
use super::parego::simplex;
use crate::driver::{Algorithm, Ask, Proposal};
use crate::quasi_random::start_point;
use crate::space::Point;
use crate::tpe::Tpe;

/// Of a larger front, so many are looked at.
const MOST_FRONT: usize = 200;

/// Its arguments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MoTpe {
    /// Those of the estimator.
    pub tpe: Tpe,
}

impl Algorithm for MoTpe {
    fn name(&self) -> &'static str {
        "mo_tpe"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn transfers(&self) -> bool {
        true
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        let is_early = ask.history.len() < self.tpe.n_startup_trials || ask.space.is_empty();
        let point = if is_early { start_point(ask) } else { self.draw(ask, rng) };
        Proposal::Evaluate(point.into())
    }
}

impl MoTpe {
    pub(crate) fn draw(&self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Point {
        let trials = ask.history.trials();
        let usable: Vec<usize> =
            (0..trials.len()).filter(|at| trials[*at].all_objectives().is_some()).collect();
        let objectives: Vec<&[f64]> =
            usable.iter().filter_map(|at| trials[*at].all_objectives()).collect();
        // The front's extent makes the objectives comparable.
        let front = fronts::best(&objectives, MOST_FRONT);
        let front: Vec<&[f64]> =
            front.iter().take_while(|(_, f)| *f == 0).map(|(at, _)| objectives[*at]).collect();
        let count = front.first().map_or(0, |y| y.len());
        let weights = simplex(count, rng);
        let extent = |m: usize| {
            let low = front.iter().map(|y| y[m]).fold(f64::INFINITY, f64::min);
            let high = front.iter().map(|y| y[m]).fold(f64::NEG_INFINITY, f64::max);
            (low, if high > low { high - low } else { 1.0 })
        };
        let extents: Vec<(f64, f64)> = (0..count).map(extent).collect();
        let mut values = vec![f64::INFINITY; trials.len()];
        for (at, y) in usable.iter().zip(&objectives) {
            let parts = y.iter().zip(&weights).zip(&extents);
            let parts = parts.map(|((y, w), (low, span))| w * (y - low) / span);
            values[*at] =
                parts.clone().fold(f64::NEG_INFINITY, f64::max) + 0.05 * parts.sum::<f64>();
        }
        let value = |at: usize, _: &_| values.get(at).copied().filter(|v| v.is_finite());
        self.tpe.draw_among(ask, trials, value, rng)
    }
}
