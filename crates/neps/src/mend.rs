//! Repairs what crashes and NePS's unlocked writes leave behind, under the trials' lock.
//!
//! Every writer of a trial, NePS or us, writes the cache first and the trial's directory second. That
//! order tells which of the two is right when they differ: if the directory has more, the cache has
//! lost a record that it once had; if the directory has less, its writer died in between.

use std::path::PathBuf;

use rustc_hash::FxHashSet;

use super::files::free_name;
use super::record::{Record, progress};
use super::store::NepsStore;
use trialmill_core::error::StoreError;
use trialmill_core::trial::{State, Trial, TrialId, Trials};
use trialmill_store::Replica;
use trialmill_store::plain;

impl NepsStore {
    /// Cuts off a torn tail of the cache, and keeps its bytes with our own files.
    pub(super) fn cut(&mut self, offset: u64) -> Result<(), StoreError> {
        let kept = self.free_name(&format!("torn-cache-{offset}"));
        if self.cache.cut(&kept)? {
            tracing::warn!(
                "{}: a process died while it wrote; what followed byte {offset} is kept in {}",
                self.cache.path().display(),
                kept.display()
            );
        }
        Ok(())
    }

    fn free_name(&self, name: &str) -> PathBuf {
        free_name(&self.own, name)
    }

    /// Rebuilds the optimizer's state: one that cannot be read stops every NePS worker for ever.
    pub(super) fn rebuild_state(&mut self, problem: &str) -> Result<(), StoreError> {
        let path = self.state.path().to_path_buf();
        if path.symlink_metadata().is_ok() {
            let kept = self.free_name("optimizer_state.pkl.damaged");
            std::fs::rename(&path, &kept).map_err(StoreError::io("set aside", &path))?;
        }
        tracing::warn!("{}: {problem}; it is rebuilt", path.display());
        let budget = self.policy().budget;
        self.state.create(self.version, &budget)?;
        self.state.has_changed();
        Ok(())
    }

    /// Compares the cache with the trials' directories: once when the study is opened, and again when
    /// the cache was lost.
    ///
    /// First trials and reports that only a directory has go back into the cache, in the order in
    /// which they were sampled. If the cache was lost, it is then rebuilt as a whole. Last, missing
    /// files of the directories are written from the cache, which by now is complete.
    pub(super) fn mend(&mut self, lost: bool, replica: &mut dyn Replica) -> Result<(), StoreError> {
        let configs = self.root.join("configs");
        let (ids, _) = self.files.list().map_err(StoreError::io("read", &configs))?;
        let mut found: Vec<Record> = Vec::new();
        for id in ids {
            if let Some(known) = replica.trials().get(&id) {
                found.extend(self.unseen_report(known));
                continue;
            }
            match self.files.read(&id, &mut self.shared) {
                Ok(record) => found.push(record),
                Err(problem) => {
                    tracing::warn!("trial {id}: {problem}");
                    if self.files.is_incomplete(&id) {
                        self.set_aside(&id)?;
                    }
                }
            }
        }
        found.sort_by(|a, b| {
            a.trial.metadata.time_sampled.total_cmp(&b.trial.metadata.time_sampled)
        });
        for record in found {
            let id = &record.trial.id;
            if !lost {
                tracing::warn!("trial {id}: its directory knows more than the cache: put back");
            }
            self.restage(record, replica)?;
        }
        let trials = replica.trials();
        if lost && !trials.is_empty() {
            tracing::warn!("{}: rebuilt from all trials", self.cache.path().display());
            self.staged = super::staged::Staged::default();
            self.consolidate(trials)?;
        }
        for trial in trials {
            let directory = self.files.directory(&trial.id);
            let mended = self.files.mend(&self.view(trial), &self.shared.translation);
            if mended.map_err(StoreError::io("write", &directory))? {
                tracing::warn!("{}: missing files were written again", directory.display());
            }
        }
        Ok(())
    }

    /// Finds trials that were lost from the cache before we saw them. A NePS worker that starts
    /// rewrites the cache without a lock, and may drop a trial that another worker has just
    /// sampled. The trial's directory survives, under the number that our next trial would get: so
    /// put that trial back, and use the next number.
    pub(super) fn find_next(&mut self, replica: &mut dyn Replica) -> Result<(), StoreError> {
        loop {
            let trials = replica.trials();
            let id = TrialId::Number(trials.next_number());
            let directory = self.files.directory(&id);
            if directory.symlink_metadata().is_err() || trials.get(&id).is_some() {
                return Ok(());
            }
            match self.files.read(&id, &mut self.shared) {
                Ok(record) if record.trial.id == id => {
                    tracing::warn!(
                        "trial {id} was lost from the cache by an unlocked write: put back"
                    );
                    self.restage(record, replica)?;
                }
                _ if self.files.is_incomplete(&id) => self.set_aside(&id)?,
                // It may still be a trial, so its name cannot be reused.
                _ => {
                    let problem =
                        format!("trial {id} cannot be read, and the cache does not know it");
                    return Err(StoreError::Damaged { path: directory, offset: 0, problem });
                }
            }
        }
    }

    /// Adopts a record read from a trial's directory, and writes it back into the cache.
    fn restage(&mut self, record: Record, replica: &mut dyn Replica) -> Result<(), StoreError> {
        let id = record.trial.id.clone();
        let was_known = replica.trials().get(&id).is_some();
        self.emit(record, replica)?;
        let trial = replica.trials().get(&id);
        trial.map_or(Ok(()), |trial| self.write_again(trial, was_known))
    }

    /// Whether a rewritten cache has an older record of a trial than we know. Then the trial's
    /// directory, which is always written last, agrees with us and not with the cache.
    pub(super) fn is_stale(&mut self, record: &Record, known: Option<&Trial>) -> bool {
        let agrees = |a: &Trial, b: &Trial| {
            let (own, other) = (&a.metadata, &b.metadata);
            a.state == b.state
                && own.time_started == other.time_started
                && own.evaluating_worker_id == other.evaluating_worker_id
        };
        let Some(known) = known.filter(|known| !agrees(known, &record.trial)) else {
            return false;
        };
        let there = self.files.read(&record.trial.id, &mut self.shared);
        there.is_ok_and(|there| agrees(&there.trial, known) && !agrees(&there.trial, &record.trial))
    }

    /// Finds reports that an unlocked write has dropped from the cache before we saw them.
    pub(super) fn find_reports(&mut self, replica: &mut dyn Replica) -> Result<(), StoreError> {
        let unseen = replica.trials().iter().filter_map(|known| self.unseen_report(known));
        for record in unseen.collect::<Vec<_>>() {
            let id = &record.trial.id;
            tracing::warn!("the report of trial {id} was lost from the cache: put back");
            self.restage(record, replica)?;
        }
        Ok(())
    }

    /// The record of a trial whose directory contains a report that the cache lacks.
    fn unseen_report(&mut self, known: &Trial) -> Option<Record> {
        let open = |trial: &Trial| progress(trial.state) < 2;
        if !open(known) || !plain::is_file(&self.files.report_path(&known.id)) {
            return None;
        }
        let mut there = self.files.read(&known.id, &mut self.shared).ok()?;
        there.trial.attempts = there.trial.attempts.max(known.attempts);
        (there.trial.losses, there.trial.failures) = (known.losses, known.failures);
        there.trial.metadata.evaluation = known.metadata.evaluation;
        (!open(&there.trial)).then_some(there)
    }

    /// Appends our record of a trial to the cache again.
    pub(super) fn put_back(&mut self, id: &TrialId, trials: &Trials) -> Result<(), StoreError> {
        tracing::warn!("trial {id} was lost from the cache by an unlocked write: put back");
        trials.get(id).map_or(Ok(()), |trial| self.write_again(trial, true))
    }

    /// Handles trials that were in the cache and are not in the current one: one whose directory
    /// still exists was lost, and is put back; any other was removed on purpose.
    pub(super) fn find_vanished(
        &mut self,
        in_cache: Vec<TrialId>,
        replica: &mut dyn Replica,
    ) -> Result<(), StoreError> {
        let in_cache: FxHashSet<TrialId> = in_cache.into_iter().collect();
        let is_gone =
            |trial: &&Trial| !in_cache.contains(&trial.id) && trial.state != State::Unknown;
        let gone: Vec<Trial> = replica.trials().iter().filter(is_gone).cloned().collect();
        for trial in gone {
            if plain::is_there(&self.files.metadata_path(&trial.id)) {
                self.put_back(&trial.id, replica.trials())?;
                continue;
            }
            tracing::warn!("trial {} was removed", trial.id);
            let extras = self.extras.get(&trial.id).clone();
            let trial = Trial { state: State::Unknown, report: None, ..trial };
            self.emit(Record { trial, extras }, replica)?;
        }
        Ok(())
    }

    /// Moves a directory that cannot be read as a trial among our own files: NePS fails when it
    /// samples a trial whose directory exists already.
    pub(super) fn set_aside(&self, id: &TrialId) -> Result<(), StoreError> {
        let directory = self.files.directory(id);
        let kept = self.free_name(&format!("config_{id}.set-aside"));
        tracing::warn!(
            "{} belongs to no trial that the cache knows: it is kept as {}",
            directory.display(),
            kept.display()
        );
        std::fs::rename(&directory, &kept).map_err(StoreError::io("set aside", &directory))
    }
}
