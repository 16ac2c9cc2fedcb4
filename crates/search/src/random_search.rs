//! Random search (Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 2012).

use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::driver::{Algorithm, Ask, Proposal};

/// Draws every parameter uniformly on its own scale, or around the priors.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RandomSearch {
    /// Draw around the priors where a parameter has one.
    pub use_priors: bool,
}

impl Algorithm for RandomSearch {
    fn name(&self) -> &'static str {
        "random_search"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        let point =
            if self.use_priors { ask.space.sample_prior(rng) } else { ask.space.sample(rng) };
        Proposal::Evaluate(point.into())
    }
}
