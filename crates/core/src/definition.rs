//! What a study is from its creation to its end; everything else is in its events.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::config::Config;
use crate::objectives::Objectives;
use crate::space::SearchSpace;

/// What a study is from its creation to its end: the content of `study.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Distinguishes this study from every other.
    pub study_id: String,
    /// What is searched.
    pub space: Arc<SearchSpace>,
    /// What is minimised or maximised.
    pub objectives: Objectives,
    /// The optimizer that proposes configurations.
    pub optimizer: OptimizerInfo,
    /// The seed of all random numbers.
    pub seed: u64,
    /// How trials are evaluated unless a worker says otherwise: the command line's `command`,
    /// `timeout_seconds` and the like, so that `trialmill worker DIR` needs nothing more.
    pub evaluation: Map<String, Json>,
    /// What other studies had found when it was created.
    pub warm_start: Arc<[WarmStart]>,
}

impl Definition {
    /// A new study.
    pub fn new(space: SearchSpace, optimizer: OptimizerInfo) -> Self {
        Definition {
            study_id: format!("{:016x}", rand::random::<u64>()),
            space: Arc::new(space),
            objectives: Objectives::default(),
            optimizer,
            seed: rand::random::<u32>().into(),
            evaluation: Map::new(),
            warm_start: Arc::default(),
        }
    }

    /// With this seed instead of a random one.
    pub fn seeded(self, seed: u64) -> Self {
        Definition { seed, ..self }
    }
}

/// What a study begins with of one other study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WarmStart {
    /// The other study's directory, as it was named.
    pub directory: String,
    /// That study's own name.
    pub study_id: String,
    /// How many trials it had that succeeded.
    pub of: u64,
    /// Those that were taken.
    pub trials: Vec<KnownTrial>,
}

/// A trial of another study.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KnownTrial {
    /// Its values of the parameters that are in both studies.
    pub config: Config,
    /// Its objectives, the smaller the better. Their scale is the other study's own.
    pub objectives: Vec<f64>,
}

impl WarmStart {
    /// The parameters that are in both studies.
    pub fn parameters(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.trials.iter().flat_map(|trial| trial.config.iter()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
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

/// What a pruner is, as stored in a study's policy.
pub type PrunerInfo = OptimizerInfo;

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
