//! Random search (Bergstra and Bengio, 2012; NePS's `random_search`).

use trialmill_core::definition::OptimizerInfo;
use trialmill_core::optimizer::{Optimizer, Proposal, Request, Suggestion};
use trialmill_core::error::BoxError;

/// Draws every parameter uniformly on its own scale, or around the priors. The fidelity, if there
/// is one, is its highest value.
#[derive(Debug, Clone, Default)]
pub struct RandomSearch {
    use_priors: bool,
    ignore_fidelity: bool,
}

impl RandomSearch {
    /// Uniform draws.
    pub fn new() -> Self {
        Self::default()
    }

    /// Draw around the priors where a parameter has one.
    pub fn use_priors(mut self, yes: bool) -> Self {
        self.use_priors = yes;
        self
    }

    /// Draw the fidelity like any other parameter.
    pub fn ignore_fidelity(mut self, yes: bool) -> Self {
        self.ignore_fidelity = yes;
        self
    }
}

impl Optimizer for RandomSearch {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new(
            "random_search",
            [("use_priors", self.use_priors), ("ignore_fidelity", self.ignore_fidelity)],
        )
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Proposal, BoxError> {
        let draw = |at| -> Suggestion {
            let mut rng = request.rng(at);
            let config = request.space().config(|(_, parameter)| {
                if parameter.is_fidelity() && !self.ignore_fidelity {
                    parameter.domain().from_unit(1.0)
                } else if self.use_priors {
                    parameter.sample_around_prior(&mut rng)
                } else {
                    parameter.sample(&mut rng)
                }
            });
            config.into()
        };
        Ok(Proposal::Evaluate((0..request.n()).map(draw).collect()))
    }
}
