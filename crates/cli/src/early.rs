//! The flags that say when evaluations, and the study, end early.

use clap::Args;
use serde_json::Value as Json;
use trialmill::Error;
use trialmill_core::pruner::PrunerInfo;
use trialmill_core::stopping::{RegretBound, StopEarly};

use crate::{numbers, study_file};

/// When evaluations, and the study, end early.
#[derive(Args)]
pub(super) struct Early {
    /// What ends evaluations that promise too little: median, percentile, threshold, patience, plateau,
    /// successive_halving, hyperband, wilcoxon, or as JSON with its arguments; none
    #[arg(long, value_name = "PRUNER")]
    pruner: Option<String>,
    /// End the study once an objective is as good as this; none takes it away
    #[arg(long, value_name = "OBJECTIVE", allow_hyphen_values = true,
        value_parser = |text: &str| limit(text, numbers::number))]
    target: Option<Limit<f64>>,
    /// End the study after so many evaluations without a better result; or none
    #[arg(long, value_name = "N", value_parser = |text: &str| limit(text, numbers::count::<u64>))]
    evaluations_without_improvement: Option<Limit<u64>>,
    /// End the study after so long without a better result; or none
    #[arg(long, value_name = "TIME", value_parser = |text: &str| limit(text, numbers::seconds))]
    seconds_without_improvement: Option<Limit<f64>>,
    /// End the study once the best result is, very probably, no further than this from the best there is; or
    /// `fold_error`, where its steps are the folds of a cross-validation; or none
    #[arg(long, value_name = "REGRET", value_parser = |text: &str| limit(text, str::parse::<RegretBound>))]
    regret_bound: Option<Limit<RegretBound>>,
}

/// What ends a study, or nothing any more.
#[derive(Debug, Clone, Copy)]
enum Limit<T> {
    Is(T),
    None,
}

fn limit<T>(text: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Limit<T>, String> {
    match text.trim() {
        "none" => Ok(Limit::None),
        text => read(text).map(Limit::Is),
    }
}

impl<T> Limit<T> {
    /// The one that holds, where there may be one before.
    fn over(this: Option<Self>, before: Option<T>) -> Option<T> {
        match this {
            None => before,
            Some(Limit::Is(limit)) => Some(limit),
            Some(Limit::None) => None,
        }
    }
}

impl Early {
    /// Whether one of them is given.
    pub(super) fn is_given(&self) -> bool {
        self.pruner.is_some()
            || self.target.is_some()
            || self.evaluations_without_improvement.is_some()
            || self.seconds_without_improvement.is_some()
            || self.regret_bound.is_some()
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
            target: Limit::over(self.target, before.target),
            evaluations_without_improvement: Limit::over(
                self.evaluations_without_improvement,
                before.evaluations_without_improvement,
            ),
            seconds_without_improvement: Limit::over(
                self.seconds_without_improvement,
                before.seconds_without_improvement,
            ),
            regret_bound: Limit::over(self.regret_bound, before.regret_bound),
        }
    }
}
