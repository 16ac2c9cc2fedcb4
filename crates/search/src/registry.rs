//! The algorithms by their names.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::auto::Auto;
use crate::cmaes::CmaEs;
use crate::driver::Algorithm;
use crate::evolution::RegularizedEvolution;
use crate::fidelity::{Asha, AsyncHyperband, FreezeThaw, Hyperband, PriorBand, SuccessiveHalving};
use crate::gp::BayesianOptimization;
use crate::multi::{HypervolumeImprovement, MoTpe, Nsga2, ParEgo};
use crate::quasi_random::{LatinHypercube, Sobol};
use crate::random_search::RandomSearch;
use crate::tpe::Tpe;

fn made<T: DeserializeOwned + Algorithm + 'static>(
    name: &str,
    arguments: &Json,
) -> Result<Box<dyn Algorithm>, String> {
    let arguments = if arguments.is_null() { Json::Object(Map::new()) } else { arguments.clone() };
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
    ("ehvi", &["hypervolume_improvement"]),
    ("par_ego", &["parego"]),
    ("mo_tpe", &[]),
    ("nsga2", &["nsgaii"]),
    ("cma_es", &["cmaes"]),
    ("regularized_evolution", &["evolution"]),
];

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
        "ehvi" => made::<HypervolumeImprovement>(name, arguments),
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
