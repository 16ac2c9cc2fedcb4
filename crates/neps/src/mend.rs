//! Putting right what crashes and NePS's unlocked writes leave behind, under the trials' lock.
//!
//! Whoever writes a trial writes the cache first and then its directory. So a directory that knows
//! more than the cache has seen a record that was lost from it, and one that knows less belongs to a
//! process that died in between.

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
    /// Cuts a torn tail off the cache, and keeps its bytes with our own files.
    pub(super) fn cut(&mut self, offset: u64) -> Result<(), StoreError> {
        let kept = self.free_name(&format!("torn-cache-{offset}"));
        if self.cache.cut(&kept)? {
            tracing::warn!(
                "{}: a process died while it wrote; what stood behind byte {offset} is kept in {}",
                self.cache.path().display(),
                kept.display()
            );
        }
        Ok(())
    }

    fn free_name(&self, name: &str) -> PathBuf {
        free_name(&self.own, name)
    }

    /// An optimizer state that cannot be read stops every NePS worker for ever.
    pub(super) fn make_state_anew(&mut self, problem: &str) -> Result<(), StoreError> {
        let path = self.state.path().to_path_buf();
        if path.symlink_metadata().is_ok() {
            let kept = self.free_name("optimizer_state.pkl.damaged");
            std::fs::rename(&path, &kept).map_err(StoreError::io("set aside", &path))?;
        }
        tracing::warn!("{}: {problem}; it is made anew", path.display());
        let budget = self.policy().budget;
        self.state.create(self.version, &budget)?;
        self.state.has_changed();
        Ok(())
    }

    /// Compares the cache with the directories, once when it is opened, and when it was lost.
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
            tracing::warn!("{}: made anew from all trials", self.cache.path().display());
            self.staged = Default::default();
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

    /// A NePS worker that starts rewrites the cache without a lock, and may drop a trial that another
    /// has just sampled, before we have seen it. Its directory stands where our next trial's would: so
    /// it is known again, and the next number is taken.
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
                // Somebody's trial all the same: its name is taken.
                _ => {
                    let problem =
                        format!("trial {id} cannot be read, and the cache does not know it");
                    return Err(StoreError::Damaged { path: directory, offset: 0, problem });
                }
            }
        }
    }

    /// Takes over what a trial's directory says, and writes it into the cache for the others.
    fn restage(&mut self, record: Record, replica: &mut dyn Replica) -> Result<(), StoreError> {
        let id = record.trial.id.clone();
        let was_known = replica.trials().get(&id).is_some();
        self.emit(record, replica)?;
        let trial = replica.trials().get(&id);
        trial.map_or(Ok(()), |trial| self.write_again(trial, was_known))
    }

    /// Whether the cache, which somebody has written anew, says something older of a trial than we
    /// know: its directory, which is written last, then agrees with us and not with the cache.
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

    /// Reports that an unlocked write has dropped from the cache before we have seen them.
    pub(super) fn find_reports(&mut self, replica: &mut dyn Replica) -> Result<(), StoreError> {
        let unseen = replica.trials().iter().filter_map(|known| self.unseen_report(known));
        for record in unseen.collect::<Vec<_>>() {
            let id = &record.trial.id;
            tracing::warn!("the report of trial {id} was lost from the cache: put back");
            self.restage(record, replica)?;
        }
        Ok(())
    }

    /// A trial whose directory has its report, and the cache has not.
    fn unseen_report(&mut self, known: &Trial) -> Option<Record> {
        let open = |trial: &Trial| progress(trial.state) < 2;
        if !open(known) || !plain::is_file(&self.files.report_path(&known.id)) {
            return None;
        }
        let mut there = self.files.read(&known.id, &mut self.shared).ok()?;
        there.trial.attempts = there.trial.attempts.max(known.attempts);
        there.trial.losses = known.losses;
        (!open(&there.trial)).then_some(there)
    }

    /// Appends what we know of a trial once more.
    pub(super) fn put_back(&mut self, id: &TrialId, trials: &Trials) -> Result<(), StoreError> {
        tracing::warn!("trial {id} was lost from the cache by an unlocked write: put back");
        trials.get(id).map_or(Ok(()), |trial| self.write_again(trial, true))
    }

    /// Trials that the cache knew, and that are not in the one that stands there now.
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

    /// Moves a directory away that no trial can be made of: NePS would stumble over its name.
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
