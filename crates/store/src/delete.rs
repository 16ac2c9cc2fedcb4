//! Deletes trials for good: their directories, and all that happened to them.
//!
//! Nothing is taken out of a study that lives: a process holds it in memory. So no process may take part, and
//! none can join meanwhile. The journal is then written anew without the trials' lines; instead of each trial
//! there is a `deleted`, so that neither its id nor its random stream is used again.

use std::collections::HashSet;

use super::{Directory, FileLock, plain, read_journal, replace};
use trialmill_core::error::StoreError;
use trialmill_core::event::{Event, EventKind, encode};
use trialmill_core::limits::LOCK_TIMEOUT;
use trialmill_core::study::StudyState;
use trialmill_core::trial::TrialId;

impl Directory {
    /// Deletes these trials for good. The directories go first: after a crash the trials are there still, and
    /// the same again deletes the rest.
    ///
    /// # Errors
    /// A process takes part ([`StoreError::InUse`]); one of the trials does not exist, is being evaluated, or is
    /// continued by one that stays; or the files cannot be written.
    pub fn delete(&self, ids: &[TrialId]) -> Result<(), StoreError> {
        self.layout().delete(self, ids)?;
        self.layout().forget_errors(self.path(), ids)
    }

    /// The same where our journal is the truth.
    ///
    /// # Errors
    /// As there.
    pub fn delete_from_journal(&self, ids: &[TrialId]) -> Result<(), StoreError> {
        let _section = self.lock(LOCK_TIMEOUT)?;
        let mut own = FileLock::open(&self.journal_lock_path())?;
        // Of a layout of our own it is what the section has.
        if self.layout().is_shared() {
            own.lock(LOCK_TIMEOUT)?;
        }
        let mut study = StudyState::new(self.definition().clone());
        if let Some(problem) = super::read_study(self, &mut |event| study.apply(event))? {
            return Err(problem);
        }
        self.remove_trials_of(&study, ids)?;
        self.forget_in_journal(ids)
    }

    /// Removes the directories of these trials. A link is removed and not followed.
    ///
    /// # Errors
    /// Somebody works in the study, or on one of the trials; or a directory cannot be removed.
    pub fn remove_trials_of(&self, study: &StudyState, ids: &[TrialId]) -> Result<(), StoreError> {
        if let Some(process) = self.live_process()? {
            let who = format!("process p{process} of the study");
            return Err(StoreError::InUse { path: self.path().into(), who });
        }
        let wrong = |source| StoreError::Study { path: self.path().into(), source };
        study.check_deletion(ids).map_err(wrong)?;
        let all = self.layout().trials_path(self.path());
        plain::own_dir(&all).map_err(StoreError::io("look into", &all))?;
        for id in ids {
            let path = self.trial_path(id);
            match path.symlink_metadata() {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(StoreError::io("look at", &path)(error)),
                // This follows no links, in it either.
                Ok(data) if data.is_dir() => std::fs::remove_dir_all(&path),
                Ok(_) => std::fs::remove_file(&path),
            }
            .map_err(StoreError::io("remove", &path))?;
        }
        Ok(())
    }

    /// Writes our journal without what happened to these trials. The caller holds the locks.
    ///
    /// # Errors
    /// It is damaged, or cannot be written; then it is as before.
    pub fn forget_in_journal(&self, ids: &[TrialId]) -> Result<(), StoreError> {
        let path = self.journal_path();
        let mut left: HashSet<&TrialId> = ids.iter().collect();
        let gone = left.clone();
        let (mut lines, mut seq, time) = (Vec::new(), 0, super::clock::now_s());
        let mut write = |event: Event| {
            encode(seq, &event, &mut lines);
            seq += 1;
        };
        let problem = read_journal(self, &mut |event| {
            match event.kind.trial_id().filter(|id| gone.contains(id)).cloned() {
                None => write(event),
                Some(trial) if left.remove(&trial) => {
                    write(Event { time, kind: EventKind::Deleted { trial } });
                }
                Some(_) => {}
            }
            Ok(())
        })?;
        if let Some(problem) = problem {
            return Err(problem);
        }
        // Those that only the other program's files had.
        for trial in ids.iter().filter(|id| left.contains(id)).cloned() {
            write(Event { time, kind: EventKind::Deleted { trial } });
        }
        replace(&path, &lines).map_err(StoreError::io("replace", &path))
    }
}
