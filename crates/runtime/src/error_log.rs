//! Everything that ever went wrong in a study, from its files.

use trialmill_core::error::StoreError;
use trialmill_core::event::EventKind;
use trialmill_core::study::StudyState;
use trialmill_core::trial::Trial;
use trialmill_store::{Directory, read_study};

/// The trials that failed or crashed, as they were then; `stand` are those that stand so.
pub(crate) fn read(directory: &Directory, stand: Vec<Trial>) -> Result<Vec<Trial>, StoreError> {
    let mut study = StudyState::new(directory.definition().clone());
    // The events of a directory that is shared say how its trials stand; what went wrong before is in a
    // log of the other program.
    let mut errors: Vec<Trial> = directory
        .layout()
        .error_log(directory.path())?
        .into_iter()
        .filter(|logged| !stand.iter().any(|trial| is_same(trial, logged)))
        .collect();
    let problem = read_study(directory, &mut |event| {
        let id = match &event.kind {
            EventKind::Reported { trial, report, .. } if report.reported_as.is_error() => {
                Some(trial.clone())
            }
            EventKind::Put(trial) if trial.state.is_error() => Some(trial.id.clone()),
            _ => None,
        };
        study.apply(event)?;
        errors.extend(id.and_then(|id| study.trial(&id).cloned()));
        Ok(())
    })?;
    problem.map_or(Ok(errors), Err)
}

fn is_same(trial: &Trial, logged: &Trial) -> bool {
    let why = |trial: &Trial| {
        trial.report.as_ref().and_then(|report| Some(report.failure.as_ref()?.err.clone()))
    };
    trial.id == logged.id && why(trial) == why(logged)
}
