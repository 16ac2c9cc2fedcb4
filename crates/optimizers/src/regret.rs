//! The bound on a study's regret, and what it is compared with.

use trialmill_core::stopping::RegretBound;
use trialmill_core::study::{Checkpoint, StudyState};
use trialmill_core::trial::{Objective, Steps};
use trialmill_search as models;

use crate::learner::{point_of, space_of};

/// All that a bound is computed from, apart from the study: the computing takes as long as a model's fit.
#[derive(Debug, Clone)]
pub struct RegretModel {
    space: models::Space,
    trials: Vec<(models::Point, f64)>,
    seed: u64,
    /// How small the bound has to be; none if that is not known.
    wanted: Option<f64>,
}

impl RegretModel {
    /// Of a study at a checkpoint. It looks at the trials of the checkpoint alone.
    pub fn new(study: &StudyState, checkpoint: &Checkpoint, bound: RegretBound) -> Self {
        let (definition, trials) = (study.definition(), study.trials());
        let space = &definition.space;
        let points =
            checkpoint.best.iter().map(|(y, at)| (point_of(space, &trials.at(*at).config), *y));
        let steps = || trials.at(checkpoint.best.first()?.1).steps.as_deref();
        let wanted = match bound {
            RegretBound::AtMost(regret) => Some(regret),
            RegretBound::FoldError => steps().and_then(fold_error),
        };
        RegretModel {
            space: space_of(space),
            trials: points.collect(),
            seed: definition.seed,
            wanted,
        }
    }

    /// How much worse the best trial is than the best there is, at most, very probably, in the objective's unit.
    pub fn bound(&self) -> Option<f64> {
        models::regret_bound(&self.space, &self.trials, self.seed)
    }

    /// How small it has to be; none if that is not known.
    pub fn wanted(&self) -> Option<f64> {
        self.wanted
    }

    /// Whether the bound is as small as is wanted.
    pub fn is_small(&self) -> bool {
        let Some(wanted) = self.wanted else { return false };
        self.bound().is_some_and(|bound| bound <= wanted)
    }
}

/// How uncertain the mean of a cross-validation's folds is, the values of which are the steps: the square root of
/// (1/k + 1/(k-1)) times their variance (Nadeau and Bengio, "Inference for the Generalization Error", 2003; Makarova
/// et al., 2022). None with fewer than two.
fn fold_error(steps: &Steps) -> Option<f64> {
    let value = |step: &trialmill_core::trial::Step| match step.value {
        Objective::One(x) => Some(x),
        Objective::Many(_) => None,
    };
    let folds: Vec<f64> = steps.curve().filter_map(value).collect();
    if folds.len() < 2 {
        return None;
    }
    let k = folds.len() as f64;
    let mean = folds.iter().sum::<f64>() / k;
    let variance = folds.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / k;
    Some(((1.0 / k + 1.0 / (k - 1.0)) * variance).sqrt()).filter(|error| error.is_finite())
}
