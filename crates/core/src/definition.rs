//! What a study is from its creation to its end; everything else is in its events.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

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
        }
    }

    /// With this seed instead of a random one.
    pub fn seeded(self, seed: u64) -> Self {
        Definition { seed, ..self }
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
