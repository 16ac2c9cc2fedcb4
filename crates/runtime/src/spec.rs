//! The specification of a study, as a value: a study file or the builder's setters fill it in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

use trialmill_core::budget::Budget;
use trialmill_core::error::Error;
use trialmill_core::evaluation::Evaluation;
use trialmill_core::event::Policy;
use trialmill_core::objectives::Objectives;
use trialmill_core::optimizer::OptimizerInfo;
use trialmill_core::pruner::PrunerInfo;
use trialmill_core::space::SearchSpace;
use trialmill_core::stopping::StopEarly;
use trialmill_store::Layout;

/// Instead of a pruner's name: none.
const NO_PRUNER: &str = "none";

/// The specification of a study. For a field that is left out, an existing study keeps its value
/// and a new study gets the default.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StudySpec {
    /// The search space. A new study needs one.
    #[serde(alias = "pipeline_space", deserialize_with = "space")]
    pub space: Option<SearchSpace>,
    /// What is minimised or maximised; unset, objectives are minimised.
    #[serde(skip)]
    pub objectives: Option<Objectives>,
    /// The optimizer, by name; of a new study `auto` unless set, and random search in a layout of NePS.
    pub optimizer: Option<OptimizerInfo>,
    /// Directories of other studies whose trials the optimizer of a new study learns from. They are read when
    /// it is created; an existing study has what it began with, and refuses others.
    #[serde(deserialize_with = "directories")]
    pub warm_start: Option<Vec<PathBuf>>,
    /// The seed of all random numbers; a new study draws one if unset.
    pub seed: Option<u64>,
    /// How a new directory stores the study. An existing one must have this layout.
    #[serde(skip)]
    pub layout: Option<&'static dyn Layout>,
    /// What all workers of all processes together may spend. An existing study gets this budget: that
    /// is how to extend a study.
    pub budget: Option<Budget>,
    /// Whether trials in progress count against the evaluations.
    #[serde(skip)]
    pub count_in_progress: Option<bool>,
    /// How often a trial may be started before it counts as crashed.
    pub max_attempts: Option<u32>,
    /// How often a trial whose evaluation crashed is tried again by itself.
    pub max_failures: Option<u32>,
    /// What ends evaluations that promise too little; the name `none` takes away what there was.
    #[serde(skip)]
    pub pruner: Option<PrunerInfo>,
    /// Whether pruned trials count against the evaluations: they do unless this says otherwise.
    pub count_pruned: Option<bool>,
    /// What ends the study before its budget does.
    pub stop_early: Option<StopEarly>,
    /// How trials are evaluated by a command, unless a worker says otherwise. An existing study gets this one
    /// from now on, for all its workers.
    #[serde(skip)]
    pub evaluation: Option<Evaluation>,
}

/// What the workers of one process do otherwise than the study's evaluation says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EvaluationChanges {
    /// Another command.
    pub command: Option<Vec<String>>,
    /// Another directory to run it in.
    pub directory: Option<String>,
    /// Another limit.
    pub timeout_seconds: Option<f64>,
    /// Another grace.
    pub grace_seconds: Option<f64>,
    /// Variables besides the study's, or in their place.
    pub environment: BTreeMap<String, String>,
}

impl StudySpec {
    /// Rejects values that no study can have.
    ///
    /// # Errors
    /// Names the value, and what is allowed.
    pub fn check(&self) -> Result<(), Error> {
        if self.max_attempts == Some(0) {
            return Err(Error::Setting("max_attempts must be 1 or more".into()));
        }
        let objectives = self.objectives()?.unwrap_or_default();
        let stop_early = self.stop_early.unwrap_or_default();
        stop_early.check_for(&objectives).map_err(Error::Setting)?;
        let budget = self.budget.unwrap_or_default();
        if let Some(space) = &self.space {
            space.check_budget(&budget).map_err(Error::Setting)?;
        }
        budget.check().map_err(Error::Setting)
    }

    /// The objectives, checked.
    ///
    /// # Errors
    /// What is wrong with their names.
    pub(super) fn objectives(&self) -> Result<Option<Objectives>, Error> {
        let checked = self.objectives.clone().map(Objectives::checked).transpose();
        checked.map_err(|problem| Error::Setting(format!("objectives: {problem}")))
    }

    /// The pruner that is wanted, if one is.
    pub(super) fn named_pruner(&self) -> Option<&PrunerInfo> {
        self.pruner.as_ref().filter(|pruner| pruner.name != NO_PRUNER)
    }

    /// The policy of a study that had `policy` before.
    pub(super) fn policy(&self, policy: &Policy) -> Policy {
        Policy {
            budget: self.budget.unwrap_or(policy.budget),
            count_in_progress: self.count_in_progress.unwrap_or(policy.count_in_progress),
            max_attempts: self.max_attempts.unwrap_or(policy.max_attempts),
            max_failures: self.max_failures.unwrap_or(policy.max_failures),
            pruner: match (&self.pruner, self.named_pruner()) {
                (None, _) => policy.pruner.clone(),
                (Some(_), named) => named.map(whole),
            },
            pruned_are_free: !self.count_pruned.unwrap_or(!policy.pruned_are_free),
            stop_early: self.stop_early.unwrap_or(policy.stop_early),
            paused: policy.paused,
            stop: policy.stop,
        }
    }
}

impl EvaluationChanges {
    /// Whether everything is as the study says.
    pub fn is_empty(&self) -> bool {
        *self == EvaluationChanges::default()
    }

    /// The evaluation with these changes.
    pub fn over(&self, study: &Evaluation) -> Evaluation {
        let mut environment = study.environment.clone();
        environment.extend(self.environment.clone());
        Evaluation {
            command: self.command.clone().unwrap_or_else(|| study.command.clone()),
            directory: self.directory.clone().or_else(|| study.directory.clone()),
            timeout_seconds: self.timeout_seconds.or(study.timeout_seconds),
            grace_seconds: self.grace_seconds.or(study.grace_seconds),
            on_prune: study.on_prune,
            environment,
        }
    }
}

/// A pruner with the defaults of its arguments filled in, as it is stored and compared.
fn whole(info: &PrunerInfo) -> PrunerInfo {
    trialmill_optimizers::pruners::pruner(info).map_or_else(|_| info.clone(), |it| it.info())
}

/// One directory, or a list.
fn directories<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<PathBuf>>, D::Error> {
    let wrong =
        || serde::de::Error::custom("warm_start: a list of directories is needed: [runs/x]");
    match Json::deserialize(from)? {
        Json::Null => Ok(None),
        Json::String(one) => Ok(Some(vec![one.into()])),
        Json::Array(list) => {
            let path = |json: Json| json.as_str().map(PathBuf::from);
            list.into_iter().map(path).collect::<Option<_>>().map(Some).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

fn space<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SearchSpace>, D::Error> {
    let json = Json::deserialize(from)?;
    SearchSpace::from_json(&json).map(Some).map_err(serde::de::Error::custom)
}
