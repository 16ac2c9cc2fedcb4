//! The optimizers of trialmill: pure functions of the trials so far and a seed.
//!
//! A [`Driver`] keeps the history of a study and asks an [`Algorithm`] for what to evaluate next.
//! Every parameter is on the unit interval here ([`Space`]), so nothing in this crate knows values,
//! files, clocks or threads.

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
mod space;
mod tpe;

pub use auto::Auto;
pub use cmaes::CmaEs;
pub use driver::{Algorithm, Answer, Ask, Driver, Proposal, Suggestion, stream};
pub use evolution::RegularizedEvolution;
pub use fidelity::{
    Asha, AsyncHyperband, FreezeThaw, Hyperband, PriorBand, Sampler, SuccessiveHalving,
};
pub use gp::BayesianOptimization;
pub use history::{History, Observation, RungId, State};
pub use multi::{MoTpe, Nsga2, ParEgo, dominates, hypervolume, pareto_front};
pub use quasi_random::{LatinHypercube, Sobol};
pub use random_search::RandomSearch;
pub use space::{Dimension, Fidelity, Kind, Point, Prior, Space};
pub use tpe::Tpe;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

/// The arguments of an algorithm as JSON.
fn arguments<T: Serialize>(algorithm: &T) -> Json {
    serde_json::to_value(algorithm).unwrap_or(Json::Null)
}

fn made<T: DeserializeOwned + Algorithm + 'static>(
    name: &str,
    arguments: &Json,
) -> Result<Box<dyn Algorithm>, String> {
    let arguments =
        if arguments.is_null() { Json::Object(Default::default()) } else { arguments.clone() };
    match serde_json::from_value::<T>(arguments) {
        Ok(algorithm) => Ok(Box::new(algorithm)),
        Err(problem) => Err(format!("{name}: {problem}")),
    }
}

/// The algorithms that can be chosen by name, each with its other names.
pub const NAMES: &[(&str, &[&str])] = &[
    ("auto", &[]),
    ("random_search", &["random", "neps_random_search"]),
    ("sobol", &["qmc"]),
    ("latin_hypercube", &["lhs"]),
    ("tpe", &["tpe_sampler"]),
    ("bayesian_optimization", &["gp", "bo"]),
    ("successive_halving", &["sha"]),
    ("hyperband", &[]),
    ("asha", &[]),
    ("async_hb", &["async_hyperband"]),
    ("priorband", &[]),
    ("freeze_thaw", &["ft_bo"]),
    ("par_ego", &["parego"]),
    ("mo_tpe", &[]),
    ("nsga2", &["nsgaii"]),
    ("cma_es", &["cmaes"]),
    ("regularized_evolution", &["evolution"]),
];

/// Whether an algorithm has this name.
pub fn is_known(name: &str) -> bool {
    NAMES.iter().any(|(own, others)| *own == name || others.contains(&name))
}

/// Makes an algorithm from its name and its arguments, a JSON object; `null` for the defaults.
///
/// # Errors
/// The name is unknown, or an argument is unknown or of the wrong type.
pub fn by_name(name: &str, arguments: &Json) -> Result<Box<dyn Algorithm>, String> {
    let own = NAMES.iter().find(|(own, others)| *own == name || others.contains(&name));
    match own.map_or(name, |(own, _)| own) {
        "auto" => made::<Auto>(name, arguments),
        "successive_halving" => made::<SuccessiveHalving>(name, arguments),
        "hyperband" => made::<Hyperband>(name, arguments),
        "asha" => made::<Asha>(name, arguments),
        "async_hb" => made::<AsyncHyperband>(name, arguments),
        "priorband" => made::<PriorBand>(name, arguments),
        "freeze_thaw" => made::<FreezeThaw>(name, arguments),
        "par_ego" => made::<ParEgo>(name, arguments),
        "mo_tpe" => made::<MoTpe>(name, arguments),
        "nsga2" => made::<Nsga2>(name, arguments),
        "cma_es" => made::<CmaEs>(name, arguments),
        "regularized_evolution" => made::<RegularizedEvolution>(name, arguments),
        "random_search" => made::<RandomSearch>(name, arguments),
        "sobol" => made::<Sobol>(name, arguments),
        "latin_hypercube" => made::<LatinHypercube>(name, arguments),
        "tpe" => made::<Tpe>(name, arguments),
        "bayesian_optimization" => made::<BayesianOptimization>(name, arguments),
        _ => {
            let names: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            Err(format!("'{name}' is not an optimizer; there are: {}", names.join(", ")))
        }
    }
}
