//! `auto`: the optimizer of a study that names none. Which method proposes follows from the space and
//! from the trials that have ended:
//!
//! | the study | trials that ended | who proposes |
//! |---|---|---|
//! | one objective | to 300, to 30 parameters | Gaussian process; every fourth TPE, against a wrong basin |
//! | | more | TPE; in turns with CMA-ES where all parameters are numbers |
//! | a fidelity | to 300 | freeze-thaw Gaussian process, with the priors if there are any |
//! | | more | asynchronous Hyperband that draws by TPE, with priors as PriorBand does |
//! | several objectives | to 300, to 30 parameters | expected hypervolume improvement; beyond three objectives ParEGO |
//! | | more | TPE for several objectives; beyond 2,000 trials in turns with NSGA-II |

use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::cmaes::CmaEs;
use crate::driver::{Algorithm, Ask, Proposal};
use crate::fidelity::{AsyncHyperband, FreezeThaw, Sampler};
use crate::gp::BayesianOptimization;
use crate::gp::model::MOST_PENDING;
use crate::multi::{HypervolumeImprovement, MOST_OBJECTIVES, MoTpe, Nsga2};
use crate::quasi_random::start_point;
use crate::space::Space;
use crate::tpe::Tpe;
use crate::transfer::Transfer;

/// Beyond so many trials a Gaussian process is too dear.
const GP_TRIALS: usize = 300;
/// Beyond so many parameters it knows too little.
const GP_PARAMETERS: usize = 30;
/// From so many trials on a genetic algorithm has its turns.
const MANY_TRIALS: usize = 2000;

/// Who proposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A first design of Sobol points.
    Start,
    /// The Gaussian process, and TPE in turns.
    GaussianProcess,
    /// TPE.
    Tpe,
    /// TPE and CMA-ES in turns.
    TpeAndCmaEs,
    /// The freeze-thaw Gaussian process.
    FreezeThaw,
    /// Asynchronous Hyperband.
    AsyncHyperband(Sampler),
    /// Expected hypervolume improvement.
    HypervolumeImprovement,
    /// `ParEGO`.
    ParEgo,
    /// TPE for several objectives.
    MoTpe,
    /// The same and NSGA-II in turns.
    MoTpeAndNsga2,
}

impl Method {
    /// Its name, and why it was chosen.
    pub fn reason(self) -> &'static str {
        match self {
            Method::Start => "a first design of Sobol points",
            Method::GaussianProcess => {
                "Gaussian process with a share of TPE: few trials, few parameters"
            }
            Method::Tpe => "TPE: many trials or parameters",
            Method::TpeAndCmaEs => {
                "TPE in turns with CMA-ES: many trials or parameters, all numbers"
            }
            Method::FreezeThaw => "freeze-thaw Gaussian process: a fidelity, few trials",
            Method::AsyncHyperband(Sampler::Priorband) => {
                "asynchronous Hyperband that draws as PriorBand: a fidelity, priors, many trials"
            }
            Method::AsyncHyperband(_) => {
                "asynchronous Hyperband that draws by TPE: a fidelity, many trials"
            }
            Method::HypervolumeImprovement => {
                "expected hypervolume improvement: two or three objectives, few trials"
            }
            Method::ParEgo => "ParEGO: many objectives, few trials",
            Method::MoTpe => "TPE for several objectives: many trials or parameters",
            Method::MoTpeAndNsga2 => {
                "TPE in turns with NSGA-II: several objectives, very many trials"
            }
        }
    }

    /// The table above. `trials` have been proposed, `ended` of them have ended, with so many objectives;
    /// `transfer` is what other studies found.
    pub fn of(
        space: &Space,
        trials: usize,
        ended: usize,
        objectives: usize,
        transfer: &Transfer,
    ) -> Self {
        let few = ended < GP_TRIALS && space.len() <= GP_PARAMETERS;
        let numbers_only = !space.dimensions.iter().any(super::space::Dimension::is_categorical);
        let start = transfer.initial(BayesianOptimization::default().initial(space.len()));
        match (space.fidelity.is_some(), objectives > 1) {
            (true, _) if few => Method::FreezeThaw,
            (true, _) if space.has_priors() => Method::AsyncHyperband(Sampler::Priorband),
            (true, _) => Method::AsyncHyperband(Sampler::Tpe),
            _ if space.is_empty() || trials < start => Method::Start,
            (false, true) if few && objectives <= MOST_OBJECTIVES => Method::HypervolumeImprovement,
            (false, true) if few => Method::ParEgo,
            (false, true) if ended >= MANY_TRIALS => Method::MoTpeAndNsga2,
            (false, true) => Method::MoTpe,
            (false, false) if few => Method::GaussianProcess,
            (false, false) if numbers_only => Method::TpeAndCmaEs,
            (false, false) => Method::Tpe,
        }
    }
}

/// Its arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auto {
    /// Every so many proposals are TPE's while the Gaussian process works; 0 for none.
    pub tpe_share: u64,
    #[serde(skip)]
    methods: Methods,
}

#[derive(Debug, Clone, Default)]
struct Methods {
    gp: BayesianOptimization,
    tpe: Tpe,
    cma: CmaEs,
    freeze_thaw: FreezeThaw,
    hypervolume: HypervolumeImprovement,
    mo_tpe: MoTpe,
    nsga2: Nsga2,
}

impl Default for Auto {
    fn default() -> Self {
        let mut methods = Methods::default();
        // TPE's share is a doubt already.
        methods.gp.doubt_every = 8;
        Auto { tpe_share: 4, methods }
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
        let objectives = ask.history.ended().map(|trial| trial.objectives.len()).max().unwrap_or(1);
        let (trials, ended) = (ask.history.len(), ask.history.ended().len());
        let methods = &mut self.methods;
        let point = match Method::of(ask.space, trials, ended, objectives, ask.transfer) {
            Method::FreezeThaw => return methods.freeze_thaw.propose(ask, rng),
            Method::AsyncHyperband(sampler) => {
                return AsyncHyperband { sampler, ..AsyncHyperband::default() }.propose(ask, rng);
            }
            Method::Start => None,
            // Even numbers, because the odd ones are those at which the Gaussian process doubts itself.
            Method::GaussianProcess => match self.tpe_share {
                every if every > 0 && ask.number % every == every / 2 => {
                    Some(methods.tpe.draw(ask, rng))
                }
                _ => methods.gp.draw(ask, rng),
            },
            Method::TpeAndCmaEs if ask.number.is_multiple_of(2) => methods.cma.draw(ask, rng),
            Method::Tpe | Method::TpeAndCmaEs => Some(methods.tpe.draw(ask, rng)),
            // Beyond three objectives that one proposes as ParEGO does.
            Method::HypervolumeImprovement | Method::ParEgo => methods.hypervolume.draw(ask, rng),
            Method::MoTpeAndNsga2 if ask.number.is_multiple_of(2) => methods.nsga2.child(ask, rng),
            Method::MoTpe | Method::MoTpeAndNsga2 => Some(methods.mo_tpe.draw(ask, rng)),
        };
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
