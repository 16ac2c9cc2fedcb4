//! The registry of optimizers: turns the name and arguments stored in a study into an optimizer.

use serde_json::{Map, Value as Json};

use super::{GridSearch, Learner, RandomSearch};
use trialmill_core::definition::Definition;
use trialmill_core::definition::OptimizerInfo;
use trialmill_core::error::{BoxError, StudyError};
use trialmill_core::optimizer::{Optimizer, Proposal, SamplingRequest};
use trialmill_core::words;

/// A placeholder for an optimizer that only another program has: trials of the study can be reported,
/// listed and handed out again, but none can be sampled.
#[derive(Debug, Clone)]
pub struct Elsewhere {
    why: StudyError,
    /// Whether workers wait for what the other program samples.
    waits: bool,
}

impl Optimizer for Elsewhere {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo { name: "elsewhere".into(), arguments: Map::new() }
    }

    fn ask(&mut self, _: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        Err(self.why.clone().into())
    }

    fn is_elsewhere(&self) -> bool {
        self.waits
    }
}

/// The optimizer of a study, or a placeholder whose error explains why it is not available here.
/// `is_shared` is for a study in a directory that NePS shares; with `waits`, workers wait for what is
/// sampled elsewhere.
pub fn of_study(definition: &Definition, is_shared: bool, waits: bool) -> Box<dyn Optimizer> {
    let optimizer = definition.optimizer.name.clone();
    if definition.space.is_unknown() {
        return Box::new(Elsewhere { why: StudyError::UnknownSpace { optimizer }, waits });
    }
    // NePS's model-based optimizers have a state of their own, which ours could not continue.
    let is_same = |name: &str| name.ends_with("random_search") || name == "grid_search";
    let known = Some(&definition.optimizer).filter(|info| !is_shared || is_same(&info.name));
    let made = known.map(from_info);
    made.and_then(Result::ok).unwrap_or_else(|| {
        let problem = "it is not built in, so only the program that defines it can sample new \
                       trials; trials that wait are handed out all the same";
        let why = StudyError::Optimizer { optimizer, problem: problem.into() };
        Box::new(Elsewhere { why, waits })
    })
}

/// The optimizer of a new study that names none: `auto`, or random search in a directory that NePS
/// shares, because its own workers then sample too.
pub fn default(is_shared: bool) -> Box<dyn Optimizer> {
    let auto = OptimizerInfo { name: "auto".into(), arguments: Map::new() };
    match Learner::new(auto) {
        Ok(auto) if !is_shared => Box::new(auto),
        _ => Box::new(RandomSearch::new()),
    }
}

/// The optimizers that can be named in a study file.
pub fn built_in() -> impl Iterator<Item = &'static str> {
    let models = trialmill_search::NAMES.iter().map(|(name, _)| *name);
    ["random_search", "grid_search"]
        .into_iter()
        .chain(models.filter(|name| *name != "random_search"))
}

/// Whether a name is one of the crate of algorithms, but for random search, which is our own.
fn is_model(name: &str) -> bool {
    let mut models = trialmill_search::NAMES.iter().filter(|(own, _)| *own != "random_search");
    models.any(|(own, others)| *own == name || others.contains(&name))
}

/// Makes an optimizer from its stored name and arguments.
///
/// # Errors
/// The name is not one of [`built_in`], or an argument is unknown or out of range.
pub fn from_info(info: &OptimizerInfo) -> Result<Box<dyn Optimizer>, BoxError> {
    let arguments = Arguments { name: &info.name, map: &info.arguments };
    match info.name.as_str() {
        "random_search" | "neps_random_search" => {
            arguments.only(&["use_priors", "ignore_fidelity"])?;
            Ok(Box::new(
                RandomSearch::new()
                    .use_priors(arguments.flag("use_priors")?.unwrap_or(false))
                    .ignore_fidelity(arguments.flag("ignore_fidelity")?.unwrap_or(false)),
            ))
        }
        "grid_search" => {
            // NePS's names too; its grid has one fidelity or all of them, and ours has all.
            let points = "size_per_numerical_dimension";
            arguments.only(&["points", points, "ignore_fidelity"])?;
            Ok(Box::new(match arguments.count("points")?.or(arguments.count(points)?) {
                Some(points) => GridSearch::new(points)?,
                None => GridSearch::default(),
            }))
        }
        other if is_model(other) => Ok(Box::new(Learner::new(info.clone())?)),
        other => Err(format!(
            "{}. An optimizer of your own is used from the Rust program that defines it.",
            words::unknown(
                other,
                "an optimizer that can be named",
                &built_in().collect::<Vec<_>>()
            )
        )
        .into()),
    }
}

struct Arguments<'a> {
    name: &'a str,
    map: &'a Map<String, Json>,
}

impl Arguments<'_> {
    fn only(&self, known: &[&str]) -> Result<(), BoxError> {
        match self.map.keys().find(|key| !known.contains(&key.as_str())) {
            Some(key) => {
                Err(format!("{} has no argument '{key}'; it has: {}", self.name, known.join(", "))
                    .into())
            }
            None => Ok(()),
        }
    }

    fn flag(&self, key: &str) -> Result<Option<bool>, BoxError> {
        match self.map.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => {
                Err(format!("{}: '{key}' is true or false, not {other}", self.name).into())
            }
        }
    }

    fn count(&self, key: &str) -> Result<Option<usize>, BoxError> {
        match self.map.get(key) {
            None | Some(Json::Null) => Ok(None),
            Some(json) => match json.as_u64() {
                Some(count) => Ok(Some(count as usize)),
                None => Err(format!("{}: '{key}' is a whole number, not {json}", self.name).into()),
            },
        }
    }
}
