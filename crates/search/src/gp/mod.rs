//! Bayesian optimisation with a Gaussian process (Jones et al., "Efficient Global Optimization of
//! Expensive Black-Box Functions", 1998; Snoek et al., "Practical Bayesian Optimization of Machine
//! Learning Algorithms", 2012).
//!
//! The kernel has a joint and an additive part; the objective is warped where the data want it; what
//! is maximised is the logarithm of the expected improvement. See the modules for the papers.

pub(crate) mod acquisition;
pub(crate) mod basis;
pub(crate) mod fit;
pub(crate) mod kernel;
pub(crate) mod limit;
pub(crate) mod model;
pub(crate) mod posterior;
pub(crate) mod regret;
pub(crate) mod search;
#[cfg(test)]
mod tests;
pub(crate) mod trend;
pub(crate) mod warp;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::driver::{Algorithm, Ask, Proposal, Suggestion};
use crate::history::Observation;
use crate::quasi_random::start_point;
use crate::space::{Point, Space};
use acquisition::Acquisition;
use fit::Fitter;
use model::{Data, MOST_PENDING, Recipe};
use search::{Effort, Search, decoded, encoded};
use trend::Trend;

/// `πBO`'s weight of the prior, shared out over the trials so far.
const PRIOR_WEIGHT: f64 = 10.0;

/// What the lengthscales are multiplied with: as they are, and then shorter, where all is known and
/// nothing promises anything (after Berkenkamp et al., "No-Regret Bayesian Optimization with Unknown
/// Hyperparameters", 2019).
const STRETCHES: [f64; 2] = [1.0, 0.5];
/// How far around the best point that second look does not look, in parts of the range.
const BASIN: f64 = 0.15;

/// After so many trials what other studies found says nothing that these do not say better: it would only
/// hold the search where those had ended.
const FORGETS_AFTER: usize = 40;

/// Its arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BayesianOptimization {
    /// How many Sobol points come first; by the number of parameters unless said.
    pub initial_design_size: Option<usize>,
    /// Whether the users' priors are used.
    pub use_priors: bool,
    /// Every so many proposals are made without the additive part of the kernel, which
    /// may believe too much; 0 for never.
    pub doubt_every: u64,
    /// Below this logarithm of the expected improvement, in standard deviations of the objective, every
    /// second proposal looks elsewhere.
    pub restless: f64,
    #[serde(skip)]
    doubter: Fitter,
    #[serde(skip)]
    fitter: Fitter,
    /// Fits what other studies leave, while they are believed.
    #[serde(skip)]
    believer: Fitter,
    #[serde(skip)]
    trend: trend::Lazy,
    #[serde(skip, default = "Fitter::straight")]
    limiter: Fitter,
}

impl Default for BayesianOptimization {
    fn default() -> Self {
        BayesianOptimization {
            initial_design_size: None,
            use_priors: true,
            doubt_every: 2,
            restless: -8.0,
            doubter: Fitter::joint(),
            fitter: Fitter::default(),
            believer: Fitter::default(),
            trend: trend::Lazy::default(),
            limiter: Fitter::straight(),
        }
    }
}

impl BayesianOptimization {
    /// How many points come before the model.
    pub(crate) fn initial(&self, parameters: usize) -> usize {
        self.initial_design_size.unwrap_or((2 * parameters + 2).clamp(6, 16))
    }

    /// The model's proposal, or none if there is no model yet.
    pub(crate) fn draw(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Option<Point> {
        let space = ask.space;
        let ended = ask.history.ended();
        let data = |count: usize| {
            Data::new(space, ended.clone().take(count), Observation::measured, |_| Vec::new())
        };
        if data(ended.len()).usable < 3 {
            return None;
        }
        // Other studies may mislead, so every second proposal doubts while they are believed.
        let believes = !ask.transfer.sources.is_empty() && ended.len() < FORGETS_AFTER;
        let every = if believes { self.doubt_every.min(2) } else { self.doubt_every };
        let doubts = every > 0 && ask.number % every == every - 1;
        let trend = || {
            let transfer = ask.transfer;
            Trend::basis(space, 0, transfer, &Observation::objective, &|_| Vec::new())
        };
        // Whoever doubts does not believe other studies either.
        let (fitter, trend) = match (doubts, believes) {
            (true, _) => (&mut self.doubter, None),
            (false, true) => (&mut self.believer, self.trend.get(trend)),
            (false, false) => (&mut self.fitter, None),
        };
        let starts: Vec<Point> =
            ask.transfer.starts.iter().map(|point| encoded(space, point, &[])).collect();
        let limit = limit::of(ask, &mut self.limiter);
        let stepped = space.is_discrete();
        let mut best: Option<(f64, Point)> = None;
        for stretch in STRETCHES {
            let recipe = Recipe {
                space,
                extra: 0,
                trend: trend.clone(),
                version: ask.history.rewritten(),
                ended: ended.len(),
                data: &data,
                pending: ask.history.pending().map(|t| encoded(space, &t.point, &[])).collect(),
                seed: rng.random(),
                stretch,
            };
            let Some(mut model) = recipe.model(fitter) else { break };
            model.good.extend(starts.iter().cloned());
            let mut acquisition = Acquisition::new(&model.posterior, model.best);
            acquisition.limit = limit.as_ref();
            if self.use_priors && space.has_priors() {
                acquisition.prior = Some((space, PRIOR_WEIGHT / ended.len() as f64));
            }
            let is_seen = |x: &[f64]| {
                stretch < 1.0 && model.good.first().is_some_and(|best| is_near(space, x, best))
                    || stepped && ask.history.has_seen(&decoded(space, x))
            };
            let search = Search {
                space,
                acquisition: &acquisition,
                tail: &[],
                is_seen: &is_seen,
                effort: Effort::for_data(model.posterior.inputs.n),
            };
            let Some((worth, x)) = search.best(&model.good, rng) else { break };
            best = Some((worth, decoded(space, &x)));
            // A basin that promises nothing more has half of the proposals; the others go where a
            // model with shorter lengthscales knows least.
            if worth > self.restless || ask.number.is_multiple_of(2) {
                break;
            }
        }
        best.map(|(_, point)| point)
    }
}

/// Whether an encoded point has the other's choices and nearly its numbers.
fn is_near(space: &Space, x: &[f64], best: &[f64]) -> bool {
    space.dimensions.iter().zip(x.iter().zip(best)).all(|(dimension, (x, y))| {
        if dimension.is_categorical() { x == y } else { (x - y).abs() < BASIN }
    })
}

impl Algorithm for BayesianOptimization {
    fn name(&self) -> &'static str {
        "bayesian_optimization"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        let initial = ask.transfer.initial(self.initial(ask.space.len()));
        if ask.history.len() >= initial
            && !ask.space.is_empty()
            && let Some(point) = self.draw(ask, rng)
        {
            return Proposal::Evaluate(point.into());
        }
        Proposal::Evaluate(Suggestion::from(start_point(ask)))
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
