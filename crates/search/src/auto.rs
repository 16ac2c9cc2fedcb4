//! `auto`: the optimizer of a study that names none. Which method proposes follows from the space and
//! from the trials that have ended:
//!
//! | the study | trials that ended | who proposes |
//! |---|---|---|
//! | one objective | to 300, to 30 parameters | Gaussian process; every fourth TPE, against a wrong basin |
//! | | more | TPE; in turns with CMA-ES where all parameters are numbers |
//! | a fidelity | to 300 | freeze-thaw Gaussian process, with the priors if there are any |
//! | | more | asynchronous Hyperband that draws by TPE, with priors as PriorBand does |
//! | several objectives | to 300, to 30 parameters | ParEGO |
//! | | more | TPE for several objectives; beyond 2,000 trials in turns with NSGA-II |

use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::cmaes::CmaEs;
use crate::driver::{Algorithm, Ask, Proposal, Suggestion};
use crate::fidelity::{AsyncHyperband, FreezeThaw, Sampler};
use crate::gp::BayesianOptimization;
use crate::multi::{MoTpe, Nsga2, ParEgo};
use crate::quasi_random::start_point;
use crate::space::{Point, Space};
use crate::tpe::Tpe;

/// Beyond so many trials a Gaussian process is too dear.
const GP_TRIALS: usize = 300;
/// Beyond so many parameters it knows too little.
const GP_PARAMETERS: usize = 30;
/// From so many trials on a genetic algorithm has its turns.
const MANY_TRIALS: usize = 2000;

/// Its arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auto {
    /// Every so many proposals are TPE's while the Gaussian process works; 0 for none.
    pub tpe_share: u64,
    #[serde(skip)]
    methods: Methods,
    #[serde(skip)]
    chosen: &'static str,
}

#[derive(Debug, Clone, Default)]
struct Methods {
    gp: BayesianOptimization,
    tpe: Tpe,
    cma: CmaEs,
    freeze_thaw: FreezeThaw,
    par_ego: ParEgo,
    mo_tpe: MoTpe,
    nsga2: Nsga2,
}

impl Default for Auto {
    fn default() -> Self {
        let chosen = "a first design of Sobol points";
        Auto { tpe_share: 4, methods: Methods::default(), chosen }
    }
}

impl Algorithm for Auto {
    fn name(&self) -> &'static str {
        "auto"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn check(&self, space: &Space) -> Result<(), String> {
        if space.fidelity.is_some() { self.methods.freeze_thaw.check(space) } else { Ok(()) }
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        if ask.space.fidelity.is_some() {
            return self.with_fidelity(ask, rng);
        }
        if ask.space.is_empty() || ask.history.len() < self.methods.gp.initial(ask.space.len()) {
            return Proposal::Evaluate(Suggestion::from(start_point(ask)));
        }
        let several = ask.history.ended().any(|trial| trial.objectives.len() > 1);
        let point = if several { self.several(ask, rng) } else { self.single(ask, rng) };
        Proposal::Evaluate(point.unwrap_or_else(|| start_point(ask)).into())
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn status(&self) -> Option<String> {
        Some(self.chosen.into())
    }
}

impl Auto {
    fn single(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Option<Point> {
        let few = ask.history.ended().len() < GP_TRIALS;
        let methods = &mut self.methods;
        if few && ask.space.len() <= GP_PARAMETERS {
            self.chosen = "Gaussian process with a share of TPE: few trials, few parameters";
            let every = self.tpe_share;
            // Even numbers, because the odd ones are those at which the Gaussian process doubts itself.
            return match every > 0 && ask.number % every == every / 2 {
                true => Some(methods.tpe.draw(ask, rng)),
                false => methods.gp.draw(ask, rng),
            };
        }
        let has_choices = ask.space.dimensions.iter().any(super::space::Dimension::is_categorical);
        if !has_choices && ask.number.is_multiple_of(2) {
            self.chosen = "TPE in turns with CMA-ES: many trials or parameters, numbers only";
            return methods.cma.draw(ask, rng);
        }
        self.chosen = "TPE: many trials or parameters";
        Some(methods.tpe.draw(ask, rng))
    }

    fn several(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Option<Point> {
        let ended = ask.history.ended().len();
        let methods = &mut self.methods;
        if ended < GP_TRIALS && ask.space.len() <= GP_PARAMETERS {
            self.chosen = "ParEGO: several objectives, few trials";
            return methods.par_ego.draw(ask, rng);
        }
        if ended >= MANY_TRIALS && ask.number.is_multiple_of(2) {
            self.chosen = "NSGA-II in turns with TPE: several objectives, very many trials";
            return methods.nsga2.child(ask, rng);
        }
        self.chosen = "TPE for several objectives: many trials or parameters";
        Some(methods.mo_tpe.draw(ask, rng))
    }

    fn with_fidelity(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        if ask.history.ended().len() < GP_TRIALS && ask.space.len() <= GP_PARAMETERS {
            self.chosen = "freeze-thaw Gaussian process: a fidelity, few trials";
            return self.methods.freeze_thaw.propose(ask, rng);
        }
        let (sampler, chosen) = match ask.space.has_priors() {
            true => (Sampler::Priorband, "asynchronous Hyperband that draws as PriorBand"),
            false => (Sampler::Tpe, "asynchronous Hyperband that draws by TPE"),
        };
        self.chosen = chosen;
        AsyncHyperband { sampler, ..AsyncHyperband::default() }.propose(ask, rng)
    }
}
