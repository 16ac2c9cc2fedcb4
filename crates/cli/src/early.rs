//! The flags that say when evaluations, and the study, end early.

use clap::Args;
use serde_json::Value as Json;
use trialmill::Error;
use trialmill_core::pruner::PrunerInfo;
use trialmill_core::stopping::{RegretBound, StopEarly};

use crate::study_file;

/// When evaluations, and the study, end early.
#[derive(Args)]
pub(super) struct Early {
    /// What ends evaluations that promise too little: median, percentile, threshold, patience, plateau,
    /// successive_halving, hyperband, wilcoxon, or as JSON with its arguments; none
    #[arg(long, value_name = "PRUNER")]
    pruner: Option<String>,
    /// End the study once an objective is as good as this
    #[arg(long, value_name = "OBJECTIVE", allow_hyphen_values = true, value_parser = crate::numbers::number)]
    target: Option<f64>,
    /// End the study after so many evaluations without a better result
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u64>)]
    evaluations_without_improvement: Option<u64>,
    /// End the study after so long without a better result
    #[arg(long, value_name = "TIME", value_parser = crate::numbers::seconds)]
    seconds_without_improvement: Option<f64>,
    /// End the study once the best result is, very probably, no further than this from the best there is; or
    /// `fold_error`, where its steps are the folds of a cross-validation
    #[arg(long, value_name = "REGRET")]
    regret_bound: Option<RegretBound>,
}

impl Early {
    /// Whether one of them is given.
    pub(super) fn is_given(&self) -> bool {
        self.pruner.is_some() || !self.over(None).is_unset()
    }

    /// The pruner, if one is named.
    pub(super) fn pruner(&self) -> Result<Option<PrunerInfo>, Error> {
        let Some(text) = &self.pruner else { return Ok(None) };
        let json = match text.starts_with('{') {
            true => trialmill_core::json::read(text)
                .map_err(|error| Error::Setting(format!("--pruner: {error}")))?,
            false => Json::String(text.clone()),
        };
        study_file::pruner(&json).map(Some)
    }

    /// What ends the study early, where it was set otherwise before.
    pub(super) fn over(&self, before: Option<StopEarly>) -> StopEarly {
        let before = before.unwrap_or_default();
        StopEarly {
            target: self.target.or(before.target),
            evaluations_without_improvement: self
                .evaluations_without_improvement
                .or(before.evaluations_without_improvement),
            seconds_without_improvement: self
                .seconds_without_improvement
                .or(before.seconds_without_improvement),
            regret_bound: self.regret_bound.or(before.regret_bound),
        }
    }
}
