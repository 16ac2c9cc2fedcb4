//! What a study is from its creation to its end; everything else is in its events.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use crate::optimizer::OptimizerInfo;
use crate::space::SearchSpace;

/// What a study is from its creation to its end: the content of `study.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// Tells this study from every other.
    pub study_id: String,
    /// What is searched.
    pub space: Arc<SearchSpace>,
    /// Who proposes.
    pub optimizer: OptimizerInfo,
    /// Where all random numbers come from.
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
