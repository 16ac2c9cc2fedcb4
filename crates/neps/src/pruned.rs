//! Pruned trials in NePS's words. NePS has no such state: it is told that the trial failed, without an
//! objective, so that none of its optimizers takes the last value for a result. An extra value says what
//! it was, and is taken off again when the trial is read.

use serde_json::Value as Json;
use trialmill_core::trial::{State, Trial};

/// The name of the extra value.
const MARK: &str = "trialmill_state";

/// The trial as NePS is told of it.
pub(super) fn for_neps(trial: &Trial) -> Trial {
    let mut trial = Trial { state: State::Failed, steps: None, ..trial.clone() };
    if let Some(report) = &mut trial.report {
        report.reported_as = State::Failed;
        let extra = report.extra.get_or_insert_default();
        extra.insert(MARK.into(), State::Pruned.name().into());
    }
    trial
}

/// The trial as it was.
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
    fn neps_is_told_that_it_failed_and_we_read_that_it_was_pruned() {
        let config = Config::new([].into(), Vec::new());
        let mut trial = Trial::pending(TrialId::Number(1), config, MetaData::default());
        trial.start("me".into(), None, 1.0);
        for report in [Report::pruned(), Report::pruned().cost(2.0).extra("epochs", 3)] {
            trial.finish(Box::new(report), 2.0);
            let told = for_neps(&trial);
            assert_eq!((told.state, told.objectives()), (State::Failed, &[][..]));
            assert_eq!(read_back(told), trial);
        }
        trial.finish(Box::new(Report::failed("diverged").extra("a", 1)), 2.0);
        assert_eq!(read_back(trial.clone()), trial);
    }
}
