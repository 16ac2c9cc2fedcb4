//! Represents pruned trials in NePS's files. NePS has no such state: there the trial failed,
//! without an objective, so that none of its optimizers takes the last value for a result. An extra
//! value marks it as pruned, and is removed when the trial is read.

use serde_json::Value as Json;
use trialmill_core::trial::{State, Trial};

/// The name of the extra value.
const MARK: &str = "trialmill_state";

/// The trial as it is written for NePS.
pub(super) fn for_neps(trial: &Trial) -> Trial {
    let mut trial = Trial { state: State::Failed, steps: None, ..trial.clone() };
    if let Some(report) = &mut trial.report {
        report.reported_as = State::Failed;
        let extra = report.extra.get_or_insert_default();
        extra.insert(MARK.into(), State::Pruned.name().into());
    }
    trial
}

/// Reverses [`for_neps`].
pub(super) fn read_back(mut trial: Trial) -> Trial {
    let Some(report) = trial.report.as_mut().filter(|_| trial.state == State::Failed) else {
        return trial;
    };
    let Some(extra) = &mut report.extra else { return trial };
    if extra.get(MARK).and_then(Json::as_str) == Some(State::Pruned.name()) {
        extra.shift_remove(MARK);
        if extra.is_empty() {
            report.extra = None;
        }
        report.reported_as = State::Pruned;
        trial.state = State::Pruned;
    }
    trial
}

#[cfg(test)]
mod tests {
    use trialmill_core::config::Config;
    use trialmill_core::trial::{MetaData, Report, TrialId};

    use super::*;

    #[test]
    fn a_pruned_trial_is_written_as_failed_and_read_back_as_pruned() {
        let config = Config::new([].into(), Vec::new());
        let mut trial = Trial::pending(TrialId::Number(1), config, MetaData::default());
        trial.start("me".into(), None, 1.0);
        for report in [Report::pruned(), Report::pruned().cost(2.0).extra("epochs", 3)] {
            trial.finish(Box::new(report), 2.0);
            let written = for_neps(&trial);
            assert_eq!((written.state, written.objectives()), (State::Failed, &[][..]));
            assert_eq!(read_back(written), trial);
        }
        trial.finish(Box::new(Report::failed("diverged").extra("a", 1)), 2.0);
        assert_eq!(read_back(trial.clone()), trial);
    }
}
