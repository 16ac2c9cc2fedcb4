//! What people and programs note about trials, and which trials may be deleted.

use rustc_hash::FxHashSet;
use serde_json::{Map, Value as Json};

use super::decide::Decision;
use super::{Answer, StudyState};
use crate::error::StudyError;
use crate::event::EventKind;
use crate::limits::MAX_NOTES_BYTES;
use crate::trial::{State, TrialId};

impl StudyState {
    /// Notes what is new.
    pub(super) fn note(
        &self,
        id: TrialId,
        mut notes: Box<Map<String, Json>>,
    ) -> Result<Decision, StudyError> {
        let trial = self.trial(&id).ok_or_else(|| StudyError::UnknownTrial(id.clone()))?;
        if notes.keys().any(String::is_empty) {
            let problem = format!("a note of trial '{id}' has an empty name");
            return Err(StudyError::Contradiction(problem));
        }
        let known = |name: &str| trial.notes.as_ref()?.get(name);
        notes.retain(|name, note| known(name).unwrap_or(&Json::Null) != note);
        let mut after = trial.clone();
        after.note((*notes).clone());
        let bytes = after.notes.map_or(0, |notes| Json::Object(*notes).to_string().len());
        if bytes > MAX_NOTES_BYTES {
            return Err(StudyError::Contradiction(format!(
                "the notes of trial '{id}' would take {bytes} bytes, and at most {MAX_NOTES_BYTES} are \
                 kept: note where the rest is"
            )));
        }
        let event = (!notes.is_empty()).then_some(EventKind::Noted { trial: id, notes });
        Ok(Decision::new(event.into_iter().collect(), Answer::Done))
    }

    /// Whether these trials may be deleted: nobody evaluates them, and none that stays continues one.
    ///
    /// # Errors
    /// Which may not, and why.
    pub fn check_deletion(&self, ids: &[TrialId]) -> Result<(), StudyError> {
        for id in ids {
            let trial = self.trial(id).ok_or_else(|| StudyError::UnknownTrial(id.clone()))?;
            if matches!(trial.state, State::Evaluating | State::Submitted) {
                let problem = "is being evaluated, so it cannot be deleted; `release` hands back what a \
                               caller holds";
                return Err(StudyError::Contradiction(format!("trial '{id}' {problem}")));
            }
        }
        let gone: FxHashSet<&TrialId> = ids.iter().collect();
        let continues =
            self.trials().iter().filter(|trial| !gone.contains(&trial.id)).find_map(|trial| {
                Some((&trial.id, trial.metadata.previous_trial_id.as_ref()?))
                    .filter(|(_, of)| gone.contains(of))
            });
        match continues {
            Some((id, of)) => Err(StudyError::Contradiction(format!(
                "trial '{of}' cannot be deleted: trial '{id}' continues it. Delete that, too"
            ))),
            None => Ok(()),
        }
    }
}
