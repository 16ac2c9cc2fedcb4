//! The optimizers of trialmill: pure functions of the trials so far and a seed.
//!
//! A [`Driver`] keeps the history of a study and asks an [`Algorithm`] for what to evaluate next.
//! Every parameter is on the unit interval here ([`Space`]), so nothing in this crate knows values,
//! files, clocks or threads.

mod arguments;
mod auto;
mod cmaes;
mod driver;
mod evolution;
mod fidelity;
mod gp;
mod history;
mod math;
mod multi;
mod quasi_random;
mod random_search;
mod registry;
mod space;
mod tpe;
mod transfer;

pub use auto::{Auto, Method};
pub use cmaes::CmaEs;
pub use driver::{Algorithm, Answer, Ask, Driver, Proposal, Suggestion, stream};
pub use evolution::RegularizedEvolution;
pub use fidelity::{
    Asha, AsyncHyperband, FreezeThaw, Hyperband, PriorBand, Sampler, SuccessiveHalving,
};
pub use gp::BayesianOptimization;
pub use gp::regret::regret_bound;
pub use history::{History, Observation, RungId, State};
pub use multi::{
    HypervolumeImprovement, MoTpe, Nsga2, ParEgo, dominates, hypervolume, pareto_front,
};
pub use quasi_random::{LatinHypercube, Sobol};
pub use random_search::RandomSearch;
pub use registry::{NAMES, by_name};
pub use space::{Condition, Dimension, Fidelity, Kind, Point, Prior, Space};
pub use tpe::Tpe;
pub use transfer::{Source, Transfer};
