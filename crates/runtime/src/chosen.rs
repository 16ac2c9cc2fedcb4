//! Which evaluation the workers of a process run: the study's, or one of their own.

use super::handle::StudyHandle;
use super::spec::EvaluationChanges;
use crate::evaluate::CommandTemplate;
use trialmill_core::error::{Error, EvaluateError};
use trialmill_core::evaluation::{Evaluation, Which};
use trialmill_core::study::{Answer, Command};

/// Chooses it, and records one that the study does not have.
///
/// # Errors
/// There is no command, it makes no sense for the space, or the state is gone.
pub(crate) fn choose(handle: &StudyHandle, own: &EvaluationChanges) -> Result<Which, Error> {
    let (study, space, waiting) = handle.with_study(|study| {
        let evaluation = study.evaluation().map(|(number, it)| (number, it.clone()));
        let waiting = study.pending().next().or_else(|| study.trials().iter().next());
        let waiting = waiting.map(|trial| trial.config.clone());
        (evaluation, study.definition().space.clone(), waiting)
    })?;
    let wanted = match &study {
        Some((_, of_study)) => own.over(of_study),
        None => own.over(&Evaluation::default()),
    };
    if wanted.command.is_empty() {
        return Err(EvaluateError::NoCommand.into());
    }
    let template = CommandTemplate::of(&wanted, &space)?;
    // A wrong name now, not a hundred crashed trials later.
    if let Some(config) = waiting {
        template.check_names(&config)?;
    }
    let changes = study.as_ref().map_or_else(Vec::new, |(_, of_study)| of_study.changes(&wanted));
    let is_own = study.is_none() || !changes.is_empty();
    if let Some((_, of_study)) = study.as_ref().filter(|_| is_own) {
        tracing::warn!(
            "these workers run a command of their own; the study's is: {of_study}\n  {}",
            changes.join("\n  ")
        );
    }
    if let Some((1.., _)) = study.filter(|_| !is_own) {
        return Ok(Which::OfStudy);
    }
    // Of a study from before evaluations were events it becomes one now.
    let command = Command::SetEvaluation { evaluation: Box::new(wanted), own: is_own };
    match handle.exchange(vec![command])?.pop() {
        Some(Ok(Answer::Evaluation(number))) if is_own => Ok(Which::Number(number)),
        Some(Err(error)) => Err(Error::Setting(error.to_string())),
        _ => Ok(Which::OfStudy),
    }
}
