//! Gives the study the pruner that its policy names, and waits for better results as long as it says.

use std::time::Instant;

use super::regret::Regret;
use trialmill_core::pruner::{Pruner, PrunerInfo};
use trialmill_core::stopping::EarlyEnd;
use trialmill_core::study::StudyState;

/// What this process knows of the study's pruner and of its early end.
#[derive(Default)]
pub(super) struct Pruning {
    /// A pruner that the program brought along.
    pub(super) own: Option<Box<dyn Pruner>>,
    /// The one that the study was given last.
    given: Option<PrunerInfo>,
    /// When this process first saw the current best result, by the count of improvements.
    better: Option<(u64, Instant)>,
    pub(super) regret: Regret,
    /// Whether the bound on the regret is computed on a thread of its own, and not here.
    pub(super) has_thread: bool,
}

impl Pruning {
    /// Gives the study another pruner if its policy names another one.
    pub(super) fn follow(&mut self, study: &mut StudyState) {
        let wanted = &study.policy().pruner;
        if *wanted == self.given {
            return;
        }
        self.given.clone_from(wanted);
        let Some(info) = wanted.clone() else { return study.set_pruner(None) };
        if study.definition().objectives.count() > Some(1) && self.own.is_none() {
            tracing::warn!("with several objectives the pruner {} ends nothing", info.name);
        }
        let own = self.own.take_if(|own| own.info() == info);
        let made = own.map_or_else(|| trialmill_optimizers::pruners::pruner(&info), Ok);
        match made {
            Ok(pruner) => study.set_pruner(Some(pruner)),
            Err(problem) => {
                tracing::warn!("this process ends no evaluation early: {problem}");
                study.set_pruner(None);
            }
        }
    }

    /// Why the study is to end now, if it knows no reason itself: by this process's clock, or by a model.
    pub(super) fn ends_early(&mut self, study: &StudyState) -> Option<EarlyEnd> {
        if let Some(reason) = self.is_waited_out(study) {
            return Some(reason);
        }
        if !self.has_thread
            && let Some(task) = self.regret.begin(study)
        {
            let bounded = task.run();
            self.regret.take(&bounded);
        }
        self.regret.ends(study)
    }

    /// Whether nothing became better for as long as the policy waits, on the clock of this process, from
    /// when it first saw the best result.
    fn is_waited_out(&mut self, study: &StudyState) -> Option<EarlyEnd> {
        let seconds = study.policy().stop_early.seconds_without_improvement?;
        let improvements = study.improvements();
        match self.better {
            Some((seen, since)) if seen == improvements => {
                let is_over = improvements > 0 && since.elapsed().as_secs_f64() >= seconds;
                is_over.then_some(EarlyEnd::NoImprovement)
            }
            _ => {
                self.better = Some((improvements, Instant::now()));
                None
            }
        }
    }
}
