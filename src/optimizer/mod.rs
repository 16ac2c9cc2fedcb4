//! Optimizers: they are asked for configurations, given all trials and the budget.
//!
//! A user's own optimizer implements [`Optimizer`] and goes the same way as those here; see
//! `examples/own_optimizer.rs`.

mod grid_search;
mod random_search;

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

pub use grid_search::GridSearch;
pub use random_search::RandomSearch;

use crate::budget::{Budget, Spent};
use crate::config::Config;
use crate::definition::Definition;
use crate::error::{BoxError, StudyError};
use crate::space::SearchSpace;
use crate::trial::{TrialId, Trials};

/// Proposes what to evaluate next.
///
/// The state it works from is all in the [`Request`]: an optimizer that keeps something of its own
/// must be able to make it again from the trials, because a study may be resumed, or shared by
/// several processes, each with an optimizer of its own.
pub trait Optimizer: Send {
    /// Its name and arguments. Stored when a study is created, compared when one is opened.
    fn info(&self) -> OptimizerInfo;

    /// Proposes up to `request.n()` configurations.
    ///
    /// # Errors
    /// An error ends the run; nothing is stored of this request.
    fn ask(&mut self, request: &Request<'_>) -> Result<Proposal, BoxError>;

    /// Checks the space before the first request: a grid needs a parameter it can enumerate, a
    /// multi-fidelity scheme needs a fidelity.
    ///
    /// # Errors
    /// Why this optimizer cannot search that space.
    fn check(&self, space: &SearchSpace) -> Result<(), BoxError> {
        let _ = space;
        Ok(())
    }

    /// Whether a proposal takes longer than a commit (a model is fitted, say). Such an optimizer
    /// runs on an actor of its own, and reports never wait for it.
    fn is_slow(&self) -> bool {
        false
    }
}

/// What an optimizer is, as stored in a study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OptimizerInfo {
    /// Its name: `random_search`.
    pub name: String,
    /// Its arguments, all of them, with the defaults filled in.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub arguments: Map<String, Json>,
}

impl OptimizerInfo {
    /// An optimizer with these arguments.
    pub fn new<K: Into<String>, V: Into<Json>>(
        name: impl Into<String>,
        arguments: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let arguments = arguments.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        OptimizerInfo { name: name.into(), arguments }
    }
}

impl std::fmt::Display for OptimizerInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        for (at, (name, value)) in self.arguments.iter().enumerate() {
            write!(f, "{}{name}={value}", if at == 0 { "(" } else { ", " })?;
        }
        f.write_str(if self.arguments.is_empty() { "" } else { ")" })
    }
}

/// What an optimizer may look at.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub(crate) n: usize,
    pub(crate) space: &'a SearchSpace,
    pub(crate) trials: &'a Trials,
    pub(crate) budget: &'a Budget,
    pub(crate) spent: &'a Spent,
    pub(crate) seed: u64,
    pub(crate) first_sample: u64,
    pub(crate) next_number: u64,
}

impl<'a> Request<'a> {
    /// How many configurations are wanted; fewer are welcome too.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The search space.
    pub fn space(&self) -> &'a SearchSpace {
        self.space
    }

    /// All trials so far, whatever their state, in the order in which they were sampled.
    pub fn trials(&self) -> &'a Trials {
        self.trials
    }

    /// What the study may spend in all.
    pub fn budget(&self) -> &'a Budget {
        self.budget
    }

    /// What it has spent.
    pub fn spent(&self) -> &'a Spent {
        self.spent
    }

    /// Random numbers for the `at`-th configuration of this request: a stream of its own, decided
    /// by the study's seed and the number of the sample, so two processes with equal seeds never
    /// draw the same, and a resumed study draws what the uninterrupted one would have.
    ///
    /// xoshiro256++ (Blackman and Vigna, 2021), which wants a state of four words from SplitMix64
    /// (Steele et al., 2014): sample k has the words 4 k to 4 k + 3 that SplitMix64 gives for the seed.
    pub fn rng(&self, at: usize) -> Xoshiro256PlusPlus {
        const WORDS: u64 = 4;
        const SPLIT_MIX_STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let words = self.sample_number(at).wrapping_mul(WORDS);
        let state = self.seed.wrapping_add(words.wrapping_mul(SPLIT_MIX_STEP));
        Xoshiro256PlusPlus::seed_from_u64(state)
    }

    /// How many samples were taken before the `at`-th configuration of this request.
    pub fn sample_number(&self, at: usize) -> u64 {
        self.first_sample.wrapping_add(at as u64)
    }

    /// The number that the `at`-th new configuration gets when the optimizer names none: one more
    /// than the highest so far.
    pub fn next_number(&self, at: usize) -> u64 {
        self.next_number + at as u64
    }
}

/// An optimizer's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposal {
    /// Evaluate these, at least one and at most as many as were asked for.
    Evaluate(Vec<Suggestion>),
    /// Nothing now: results of trials in progress are needed first.
    Wait,
    /// There is nothing more to evaluate.
    Finished,
}

/// One configuration that an optimizer proposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// What to evaluate.
    pub config: Config,
    /// Its id (`3_rung_1`), or none for the next number.
    pub id: Option<TrialId>,
    /// The trial it continues; that trial's directory is handed to the evaluation.
    pub previous: Option<TrialId>,
}

impl From<Config> for Suggestion {
    fn from(config: Config) -> Self {
        Suggestion { config, id: None, previous: None }
    }
}

/// Stands for an optimizer that only another program has: a study can be told, looked at and gone on
/// with, but not sampled.
#[derive(Debug, Clone)]
pub struct Elsewhere(StudyError);

impl Optimizer for Elsewhere {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo { name: "elsewhere".into(), arguments: Map::new() }
    }

    fn ask(&mut self, _: &Request<'_>) -> Result<Proposal, BoxError> {
        Err(self.0.clone().into())
    }
}

/// The optimizer of a study, or what says why it cannot be had here.
pub fn of_study(definition: &Definition) -> Box<dyn Optimizer> {
    let optimizer = definition.optimizer.name.clone();
    if definition.space.is_unknown() {
        return Box::new(Elsewhere(StudyError::UnknownSpace { optimizer }));
    }
    from_info(&definition.optimizer).unwrap_or_else(|_| {
        let problem = "it is not built in, so only the program that defines it can sample new \
                       trials; trials that wait are handed out all the same";
        Box::new(Elsewhere(StudyError::Optimizer { optimizer, problem: problem.into() }))
    })
}

/// The optimizers that can be named in a study file.
pub const BUILT_IN: [&str; 2] = ["random_search", "grid_search"];

/// Makes an optimizer from its stored name and arguments.
///
/// # Errors
/// The name is not one of [`BUILT_IN`], or an argument is unknown or out of range.
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
        other => Err(format!(
            "'{other}' is not an optimizer that can be named; there are: {}. An optimizer of your \
             own is used from the Rust program that defines it.",
            BUILT_IN.join(", ")
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

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    /// What a study draws must stay the same for ever. The numbers are from another implementation
    /// of SplitMix64 and xoshiro256++, in Python.
    #[test]
    fn the_stream_of_a_sample_is_the_same_for_ever() {
        let space = SearchSpace::new([("x", crate::space::Parameter::float(0.0, 1.0))]).unwrap();
        let (trials, budget, spent) = (Trials::default(), Budget::default(), Spent::default());
        for (seed, sample, first) in [
            (7, 0, 1021219803524665661),
            (7, 1, 5739498898712562146),
            (7, 1000, 18306482292178343659),
            (0, 0, 5987356902031041503),
            (u64::MAX, 3, 7350323208481806038),
        ] {
            let request = Request {
                n: 1,
                space: &space,
                trials: &trials,
                budget: &budget,
                spent: &spent,
                seed,
                first_sample: sample,
                next_number: 1,
            };
            assert_eq!(request.rng(0).next_u64(), first, "seed {seed}, sample {sample}");
        }
        let config = |seed| {
            let mut study = crate::Study::new(
                Definition::new(space.clone(), RandomSearch::new().info()).seeded(seed),
            );
            let ask = crate::study::Ask { worker: "me".into(), n: 1, lease: None };
            let ask = crate::study::Command::Ask(ask);
            study.execute(1.0, ask, &mut RandomSearch::new()).unwrap();
            study.trials().iter().next().unwrap().config.to_string()
        };
        assert_eq!(config(7), "x=0.05536043647833311");
    }
}
