//! TPE for several objectives: Ozaki et al., "Multiobjective Tree-Structured Parzen Estimator for Computationally
//! Expensive Optimization Problems", 2022. Good are the trials of the first fronts; of the last of these, and in each the
//! better before the others, those that together dominate most.

use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fronts;
use crate::driver::{Algorithm, Ask, Proposal};
use crate::quasi_random::start_point;
use crate::space::Point;
use crate::tpe::Tpe;

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
        let mut values = vec![f64::INFINITY; trials.len()];
        usable.iter().for_each(|at| values[*at] = f64::MAX);
        for (rank, at) in fronts::largest(&objectives, self.tpe.max_good).into_iter().enumerate() {
            values[usable[at]] = rank as f64;
        }
        let value = |at: usize, _: &_| values.get(at).copied().filter(|v| v.is_finite());
        self.tpe.draw_among(ask, trials, value, rng)
    }
}
