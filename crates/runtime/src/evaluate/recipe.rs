//! An evaluation as this process carries it out. Each trial has the number of the evaluation that
//! it runs, so a change takes effect with a worker's next trial, whichever process made it.

use std::sync::Arc;

use parking_lot::Mutex;

use super::start::Surroundings;
use super::{CommandTemplate, RunningTrial};
use trialmill_core::evaluation::{Evaluation, OnPrune};
use trialmill_core::space::SearchSpace;

/// An evaluation, ready to be carried out.
#[derive(Debug)]
pub(super) struct Recipe {
    number: u32,
    pub(super) command: CommandTemplate,
    pub(super) on_prune: OnPrune,
    pub(super) around: Surroundings,
}

/// Makes recipes, and keeps the latest.
#[derive(Debug)]
pub(super) struct Recipes {
    space: Arc<SearchSpace>,
    here: Surroundings,
    latest: Mutex<Option<Arc<Recipe>>>,
}

impl Recipes {
    pub(super) fn new(space: Arc<SearchSpace>) -> Self {
        Recipes { space, here: Surroundings::here(), latest: Mutex::new(None) }
    }

    /// The recipe of a trial.
    ///
    /// # Errors
    /// Why this process cannot carry it out.
    pub(super) fn of(&self, trial: &RunningTrial) -> Result<Arc<Recipe>, String> {
        let Some((number, evaluation)) = trial.evaluation() else {
            return Err(format!("trial {} has no command that is known here", trial.id()));
        };
        let mut latest = self.latest.lock();
        if let Some(recipe) = latest.as_ref().filter(|recipe| recipe.number == number) {
            return Ok(recipe.clone());
        }
        let recipe = Arc::new(self.make(number, evaluation)?);
        if let Some(before) = latest.replace(recipe.clone()) {
            let before = before.number;
            tracing::warn!(
                "from trial {} on this process runs evaluation {number}, not {before}: {evaluation}",
                trial.id()
            );
        }
        Ok(recipe)
    }

    fn make(&self, number: u32, evaluation: &Evaluation) -> Result<Recipe, String> {
        let command = CommandTemplate::parse(&evaluation.command, &self.space)
            .map_err(|error| error.to_string())?;
        let around = self.here.clone().of(evaluation);
        Ok(Recipe { number, command, on_prune: evaluation.on_prune, around })
    }
}
