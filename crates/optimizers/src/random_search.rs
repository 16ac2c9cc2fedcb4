//! Random search (Bergstra and Bengio, 2012; NePS's `random_search`).

use trialmill_core::definition::OptimizerInfo;
use trialmill_core::error::BoxError;
use trialmill_core::optimizer::{Optimizer, Proposal, SamplingRequest, Suggestion};

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

    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
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

#[cfg(test)]
mod tests {
    use trialmill_core::definition::Definition;
    use trialmill_core::space::{Parameter, SearchSpace};
    use trialmill_core::study::{Ask, Command, StudyState};

    use super::*;

    /// What a study draws must stay the same for ever.
    #[test]
    fn the_first_configuration_of_a_seed_is_the_same_for_ever() {
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        let definition = Definition::new(space, RandomSearch::new().info()).seeded(7);
        let mut study = StudyState::new(definition);
        let ask = Command::Ask(Ask { worker: "me".into(), n: 1, lease: None, evaluation: None });
        study.execute(1.0, ask, &mut RandomSearch::new()).unwrap();
        let config = study.trials().iter().next().unwrap().config.to_string();
        assert_eq!(config, "x=0.05536043647833311");
    }
}
