//! The store over NePS's files (0.13 to 0.17): its locks in its order, its cache as the truth, and a
//! copy of each trial in its directory.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::cache::{Cache, News};
use super::errors;
use super::extras::{AllExtras, is_news};
use super::files::TrialFiles;
use super::lock::SharedLock;
use super::pickle::{self, Item};
use super::pruned;
use super::python_turns::PythonTurns;
use super::record::{Extras, Record, Shared, View, Writer};
use super::space::read_space;
use super::staged::{Staged, Step, comes_later, is_beside};
use super::state::{StateFile, with_limits_of_neps};
use super::uncharged;
use super::version::Version;
use trialmill_core::budget::Budget;
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::{Event, EventKind, Policy};
use trialmill_core::limits::MAX_LINE_BYTES;
use trialmill_core::trial::{MetaData, State, Trial, TrialId, Trials};
use trialmill_store::{
    Directory, Durability, Heartbeats, JournalStore, Purpose, Replica, Store, Watcher, stamp,
};
use trialmill_store::{Guarded, Place};

/// The store of a directory that NePS 0.13 to 0.17 shares.
#[allow(clippy::struct_excessive_bools)] // Each is one fact of the batch, with a name of its own.
pub(super) struct NepsStore {
    pub(super) root: PathBuf,
    pub(super) version: Version,
    pub(super) own: PathBuf,
    pub(super) files: TrialFiles,
    pub(super) cache: Cache,
    pub(super) state: StateFile,
    optimizer_lock: SharedLock,
    configs_lock: SharedLock,
    errors_lock: SharedLock,
    turns: PythonTurns,
    /// The heartbeats of other machines' processes, watched while this process waits for a lock.
    heartbeats: Heartbeats,
    /// Whether this batch continues without a dead machine whose locks the server keeps.
    has_left_behind: bool,
    pub(super) shared: Shared,
    pub(super) extras: AllExtras,
    /// Our own journal, for what NePS's files cannot represent: the policy, the processes, and what
    /// attempts report before their ends.
    journal: JournalStore,
    policy: Policy,
    /// The limits in NePS's file when we last read it.
    budget: Budget,
    pub(super) staged: Staged,
    has_looked: bool,
    holds_optimizer_lock: bool,
    durability: Durability,
    unsynced: bool,
    poison: Option<String>,
    stamp: Arc<AtomicU64>,
    place: Place,
}

impl NepsStore {
    /// Opens the files of a directory. Nothing is read before the first batch.
    ///
    /// # Errors
    /// A lock file or our own journal cannot be opened.
    pub(super) fn open(
        directory: &Directory,
        version: Version,
        durability: Durability,
    ) -> Result<Self, StoreError> {
        let root = directory.path().to_path_buf();
        let translation = read_space(&root).1;
        let names = directory.definition().space.names().clone();
        let lock = |name: &str, settings| SharedLock::open(&root.join(name), settings);
        let optimizer_lock = lock(".optimizer.lock", "STATE_FILELOCK")?;
        let configs_lock = lock(".configs.lock", "TRIAL_FILELOCK")?;
        let errors_lock = lock(".errors.lock", "GLOBAL_ERR_FILELOCK")?;
        let turns = PythonTurns::watch(&[optimizer_lock.path(), configs_lock.path()]);
        Ok(NepsStore {
            version,
            own: directory.own_path(),
            files: TrialFiles::new(&root),
            cache: Cache::new(&root.join("configs"), true),
            state: StateFile::new(&root),
            optimizer_lock,
            configs_lock,
            errors_lock,
            turns,
            heartbeats: Heartbeats::default(),
            has_left_behind: false,
            shared: Shared::new(names, translation),
            extras: AllExtras::default(),
            journal: JournalStore::open(directory, durability)?,
            policy: Policy::default(),
            budget: Budget::default(),
            staged: Staged::default(),
            has_looked: false,
            holds_optimizer_lock: false,
            durability,
            unsynced: false,
            poison: None,
            stamp: Arc::new(AtomicU64::new(0)),
            place: Place::of(&root),
            root,
        })
    }

    /// NePS's order: the optimizer's lock, then that of the trials, never the other way round.
    fn lock(&mut self, purpose: Purpose) -> Result<(), StoreError> {
        self.holds_optimizer_lock = purpose == Purpose::Sampling;
        if self.holds_optimizer_lock {
            self.turns.keep_pace();
            self.turns.yield_turn(self.optimizer_lock.path());
        }
        if !self.journal.is_shared() {
            if self.holds_optimizer_lock {
                self.optimizer_lock.lock()?;
            }
            self.turns.yield_turn(self.configs_lock.path());
            return self.configs_lock.lock();
        }
        let since = Instant::now();
        let (journal, heartbeats) = (&self.journal, &mut self.heartbeats);
        let mut is_dead = || journal.somebody_is_silent(heartbeats);
        if self.holds_optimizer_lock {
            self.has_left_behind = self.optimizer_lock.lock_or_replace(since, &mut is_dead)?;
        }
        self.turns.yield_turn(self.configs_lock.path());
        self.has_left_behind |= self.configs_lock.lock_or_replace(since, &mut is_dead)?;
        self.journal.expect_dead_holder(self.has_left_behind);
        Ok(())
    }

    fn unlock(&mut self) -> Result<(), StoreError> {
        let configs = self.configs_lock.unlock();
        if std::mem::take(&mut self.holds_optimizer_lock) {
            self.optimizer_lock.unlock()?;
        }
        configs
    }

    /// Reads the policy, which is in our journal; but NePS's own file overrides the budget. Returns
    /// the events to be applied later: the steps and notes, whose trials are not read yet, and an early end
    /// of the study, unless the policy was changed after it.
    fn learn_policy(&mut self, replica: &mut dyn Replica) -> Result<Vec<Event>, StoreError> {
        let before = self.policy.clone();
        let (policy, mut changed, mut later) = (&mut self.policy, false, Vec::new());
        self.journal.begin_with(&mut |event| match event.kind {
            EventKind::Policy(new) => {
                (*policy, changed) = (*new, true);
                later.retain(|event: &Event| !matches!(event.kind, EventKind::Stopped { .. }));
                Ok(())
            }
            _ if comes_later(&event.kind) => {
                later.push(event);
                Ok(())
            }
            _ => replica.apply(event),
        })?;
        if self.holds_optimizer_lock && self.state.has_changed() {
            match self.state.budget() {
                Ok(budget) => self.budget = budget,
                Err(problem) => {
                    let problem = problem.damage(self.state.path())?;
                    self.rebuild_state(&problem)?;
                }
            }
        }
        self.policy = with_limits_of_neps(self.policy.clone(), self.budget);
        // A policy lets a study go on that had ended early; that NePS has sampled does not.
        if changed || self.policy != before {
            self.apply(
                EventKind::Policy(Box::new(self.policy.clone())),
                trialmill_store::clock::now_s(),
                replica,
            )?;
        }
        Ok(later)
    }

    fn apply(
        &self,
        kind: EventKind,
        time: f64,
        replica: &mut dyn Replica,
    ) -> Result<(), StoreError> {
        replica
            .apply(Event { time, kind })
            .map_err(|source| StoreError::Study { path: self.cache.path().into(), source })
    }

    /// The current policy.
    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The record of a trial of the study, ready to be written.
    pub(super) fn view<'a>(&'a self, trial: &'a Trial) -> View<'a> {
        View { trial: self.for_neps(trial), extras: self.extras.get(&trial.id) }
    }

    /// The trial as this version of NePS can represent it. Records of the cache are compared with
    /// that: otherwise our own record of a state that NePS does not have would look like news to
    /// us.
    pub(super) fn for_neps<'a>(&self, trial: &'a Trial) -> Cow<'a, Trial> {
        let mut told = match self.version.state(trial.state) {
            _ if trial.state == State::Pruned => Cow::Owned(pruned::for_neps(trial)),
            state if state == trial.state => Cow::Borrowed(trial),
            state => Cow::Owned(Trial { state, ..trial.clone() }),
        };
        if uncharged::is_uncharged(trial)
            && let Some(report) = &mut told.to_mut().report
        {
            uncharged::hide(report);
        }
        told
    }

    /// Emits the events that bring the study up to date with a record that NePS or another process
    /// has written.
    pub(super) fn emit(
        &mut self,
        record: Record,
        replica: &mut dyn Replica,
    ) -> Result<(), StoreError> {
        let Record { trial, extras } = record;
        let trial = uncharged::read_back(pruned::read_back(trial));
        let lease = extras.lease.clone().filter(|_| trial.state == State::Evaluating);
        self.extras.set(trial.id.clone(), extras);
        let Some(lease) = lease else {
            return self.apply(
                EventKind::Put(Box::new(trial)),
                trialmill_store::clock::now_s(),
                replica,
            );
        };
        // A `put` cannot carry a lease. So put the trial as it was before, and then claim it, at the
        // time that the record has for the claim.
        let started = trial.metadata.time_started.unwrap_or_else(trialmill_store::clock::now_s);
        let mut before = trial.clone();
        let metadata =
            MetaData { evaluating_worker_id: None, time_started: None, ..before.metadata };
        (before.state, before.metadata) = (State::Pending, metadata);
        before.attempts = before.attempts.saturating_sub(1);
        let claim = EventKind::Claimed {
            trial: trial.id.clone(),
            attempt: before.attempts + 1,
            worker: trial.metadata.evaluating_worker_id.clone().unwrap_or_else(|| "".into()),
            evaluation: trial.metadata.evaluation,
            lease: Some(*lease),
        };
        self.apply(EventKind::Put(Box::new(before)), started, replica)?;
        self.apply(claim, started, replica)
    }

    fn catch_up(&mut self, replica: &mut dyn Replica) -> Result<(), StoreError> {
        let first = !std::mem::replace(&mut self.has_looked, true);
        self.cache.begin();
        let News { records, rewritten, missing, torn_at } =
            self.cache.read_new(&mut self.shared)?;
        if let Some(offset) = torn_at {
            if !self.journal.an_end_is_of_a_dead_process() {
                let problem = "a record has no end, and nothing shows that its writer is dead";
                let (path, problem) = (self.cache.path().into(), problem.into());
                return Err(StoreError::Damaged { path, offset, problem });
            }
            self.cut(offset)?;
        }
        let lost = missing || torn_at == Some(0);
        let mut in_cache: Vec<TrialId> = Vec::new();
        for mut record in records {
            let id = &record.trial.id;
            if rewritten {
                in_cache.push(id.clone());
            }
            let known = replica.trials().get(id).map(|known| self.for_neps(known));
            if rewritten && self.is_stale(&record, known.as_deref()) {
                self.put_back(&id.clone(), replica.trials())?;
            } else if is_news(&mut record, known.as_deref()) {
                drop(known);
                self.emit(record, replica)?;
            }
        }
        if first || lost {
            self.mend(lost, replica)?;
        }
        if rewritten && !lost {
            self.find_vanished(in_cache, replica)?;
            self.find_reports(replica)?;
        }
        if self.holds_optimizer_lock {
            self.find_next(replica)?;
        }
        if std::mem::take(&mut self.has_left_behind) {
            // The server may keep the dead machine's lock on the cache, too: replace the file with
            // one that all can lock.
            tracing::warn!(
                "{}: continues without a machine that is dead",
                self.cache.path().display()
            );
            self.consolidate(replica.trials())?;
        }
        Ok(())
    }

    /// Adds what must be written for an event to a step.
    fn stage_one(
        &mut self,
        event: &Event,
        trials: &Trials,
        step: &mut Step,
    ) -> Result<(), StudyError> {
        let Some(id) = event.kind.trial_id() else { return Ok(()) };
        let before = match step.latest.get(id) {
            Some(record) => Some(record.clone()),
            None => trials.get(id).map(|trial| {
                let (trial, extras) = (trial.clone(), self.extras.get(id).clone());
                Record { trial, extras }
            }),
        };
        let is_new = before.is_none();
        let record = match (&event.kind, before) {
            (EventKind::Sampled { trial, config, previous, worker, claimed, evaluation }, _) => {
                let (id, config, previous) = (trial.clone(), config.clone(), previous.clone());
                let new = Trial::sampled(
                    id,
                    config,
                    previous,
                    worker.clone(),
                    *claimed,
                    *evaluation,
                    event.time,
                );
                self.new_record(new, trials, step)
            }
            (EventKind::Put(trial), None) => self.new_record((**trial).clone(), trials, step),
            (_, None) => return Err(StudyError::UnknownTrial(id.clone())),
            (kind, Some(Record { mut trial, mut extras })) => {
                trial.apply(kind.clone(), event.time);
                match kind {
                    EventKind::Claimed { lease, .. } => extras.lease = lease.clone().map(Box::new),
                    EventKind::Requeued { .. } => (extras.lease, extras.report) = (None, None),
                    EventKind::Reported { report, .. } => {
                        (extras.lease, extras.report) = (None, None);
                        extras.foreign_exception = None;
                        if report.failure.is_some() {
                            step.failed.push(trial.id.clone());
                        }
                    }
                    _ => extras.report = None,
                }
                Record { trial, extras }
            }
        };
        self.add_record(step, record, is_new)
    }

    fn new_record(&self, trial: Trial, trials: &Trials, step: &Step) -> Record {
        let previous = trial.metadata.previous_trial_id.as_ref();
        let previous_location = previous.and_then(|id| {
            let extras = match step.latest.get(id) {
                Some(record) => &record.extras,
                None => trials.get(id).map(|_| self.extras.get(id))?,
            };
            Some(extras.location.clone().unwrap_or_else(|| self.files.location(id).into()))
        });
        let source = (self.version == Version::V0_15).then(|| "run".into());
        Record { trial, extras: Extras { previous_location, source, ..Extras::default() } }
    }

    /// Adds a trial's record to a step.
    fn add_record(&self, step: &mut Step, record: Record, is_new: bool) -> Result<(), StudyError> {
        let id = record.trial.id.clone();
        let start = step.records.len();
        let mut writer = Writer::new(&self.shared.translation);
        let view = View { trial: self.for_neps(&record.trial), extras: &record.extras };
        let root = writer.trial(&view, &self.files.location(&id));
        writer.pickle.set_root(root);
        pickle::write(&writer.pickle, &mut step.records)
            .map_err(|error| StudyError::Contradiction(format!("trial '{id}': {error}")))?;
        let bytes = step.records.len() - start;
        if bytes > MAX_LINE_BYTES {
            let attempt = record.trial.attempts;
            return Err(StudyError::TooLarge { id, attempt, bytes, limit: MAX_LINE_BYTES });
        }
        step.count += 1;
        let list = if is_new { &mut step.created } else { &mut step.updated };
        list.push(id.clone());
        step.latest.insert(id, record);
        Ok(())
    }

    /// Adds a step to the batch.
    fn accept(&mut self, step: Step) {
        let staged = &mut self.staged;
        staged.records.extend_from_slice(&step.records);
        staged.count += step.count;
        staged.created.extend(step.created);
        staged.updated.extend(step.updated);
        staged.failed.extend(step.failed);
        for (id, record) in step.latest {
            self.extras.set(id, record.extras);
        }
    }

    /// Writes the study's record of a trial into the cache, for the others. If `was_known`, the
    /// trial's directory must be updated too; otherwise the record was just read from there.
    pub(super) fn write_again(&mut self, trial: &Trial, was_known: bool) -> Result<(), StoreError> {
        let (trial, extras) = (trial.clone(), self.extras.get(&trial.id).clone());
        let mut step = Step::default();
        self.add_record(&mut step, Record { trial, extras }, !was_known)
            .map_err(|source| StoreError::Study { path: self.cache.path().into(), source })?;
        step.created.clear();
        self.accept(step);
        Ok(())
    }

    /// Writes the cache first, because it is the truth, and then the copies. A crash in between
    /// leaves some copies stale; the next process that opens the directory mends them.
    fn write(&mut self, trials: &Trials) -> Result<(), StoreError> {
        let staged = std::mem::take(&mut self.staged);
        if staged.policy {
            self.write_budget()?;
        }
        for worker in &staged.joined {
            self.state.register(worker)?;
        }
        if staged.count == 0 {
            return Ok(());
        }
        let path = self.cache.path().to_path_buf();
        let failed = |error| StoreError::io("append to", &path)(error);
        let is_ours = || !self.journal.is_shared() || !self.configs_lock.was_replaced();
        self.cache.append(&staged.records, staged.count, &is_ours).map_err(failed)?;
        self.unsynced = true;
        for id in &staged.created {
            let Some(trial) = trials.get(id) else { continue };
            let directory = self.files.directory(id);
            if directory.symlink_metadata().is_ok() {
                self.set_aside(id)?;
            }
            let record = self.view(trial);
            let made = self.files.create(&record, &self.shared.translation);
            made.map_err(StoreError::io("write", &directory))?;
            if record.trial.report.is_some() {
                self.files.update(&record).map_err(StoreError::io("write", &directory))?;
            }
        }
        for id in &staged.updated {
            let Some(trial) = trials.get(id) else { continue };
            let written = self.files.update(&self.view(trial));
            written.map_err(StoreError::io("write", &self.files.directory(id)))?;
        }
        if !staged.failed.is_empty() {
            self.write_errors(&staged.failed, trials)?;
        }
        if self.cache.wants_consolidation(trials.len(), self.turns.others_are_present()) {
            self.consolidate(trials)?;
        }
        Ok(())
    }

    fn write_budget(&mut self) -> Result<(), StoreError> {
        let Budget { evaluations, cost, fidelity, .. } = self.policy.budget;
        let own = Budget { evaluations, cost, fidelity, ..Budget::default() };
        if own != self.budget {
            self.state.set_budget(&own)?;
            self.state.has_changed();
            self.budget = self.state.budget().unwrap_or_default();
        }
        Ok(())
    }

    fn write_errors(&mut self, ids: &[TrialId], trials: &Trials) -> Result<(), StoreError> {
        let path = self.root.join(errors::FILE);
        self.errors_lock.lock()?;
        let mut failed = ids.iter().filter_map(|id| trials.get(id));
        let written = failed.try_for_each(|trial| errors::append(&path, trial));
        self.errors_lock.unlock()?;
        written.map_err(StoreError::io("write", &path))
    }

    /// Consolidates the cache into one dict of all trials.
    pub(super) fn consolidate(&mut self, trials: &Trials) -> Result<(), StoreError> {
        let mut writer = Writer::new(&self.shared.translation);
        let mut pairs = Vec::with_capacity(trials.len());
        for trial in trials {
            let id = &trial.id;
            let trial = writer.trial(&self.view(trial), &self.files.location(id));
            pairs.push((writer.pickle.str(id.to_string()), trial));
        }
        let root = writer.pickle.add(Item::Dict(pairs));
        writer.pickle.set_root(root);
        let (mut bytes, path) = (Vec::new(), self.cache.path().to_path_buf());
        pickle::write(&writer.pickle, &mut bytes).map_err(|error| StoreError::Damaged {
            path: path.clone(),
            offset: 0,
            problem: error.to_string(),
        })?;
        self.cache.replace(&bytes).map_err(StoreError::io("write", &path))?;
        self.unsynced = false;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if std::mem::take(&mut self.unsynced) {
            self.cache.sync().map_err(StoreError::io("sync", self.cache.path()))?;
        }
        Ok(())
    }
}

impl Guarded for NepsStore {
    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }

    fn poison(&mut self) -> &mut Option<String> {
        &mut self.poison
    }

    fn release(&mut self) {
        self.journal.release();
        let _ = self.unlock();
    }
}

impl Store for NepsStore {
    fn begin(&mut self, purpose: Purpose, replica: &mut dyn Replica) -> Result<(), StoreError> {
        self.guarded(|store| {
            store.lock(purpose)?;
            store.staged = Staged::default();
            let later = store.learn_policy(replica)?;
            store.catch_up(replica)?;
            // Fails for a trial that was removed from the cache: its steps and notes are dropped.
            later.into_iter().for_each(|event| drop(replica.apply(event)));
            Ok(())
        })
    }

    fn stage(&mut self, events: &[Event], trials: &Trials) -> Result<(), StudyError> {
        let own = |event: &&Event| is_beside(&event.kind) || event.kind.trial_id().is_none();
        let ours: Vec<Event> = events.iter().filter(own).cloned().collect();
        let mut step = Step::default();
        for event in events.iter().filter(|event| !own(event)) {
            self.stage_one(event, trials, &mut step)?;
        }
        self.journal.stage_events(&ours)?;
        self.accept(step);
        for event in ours {
            match event.kind {
                EventKind::Policy(policy) => (self.policy, self.staged.policy) = (*policy, true),
                EventKind::Joined(it) => self.staged.joined.push(format!("p{}", it.process)),
                _ => {}
            }
        }
        Ok(())
    }

    fn commit(&mut self, trials: &Trials) -> Result<(), StoreError> {
        self.guarded(|store| {
            store.write(trials)?;
            store.stamp.store(stamp(store.cache.path()), Ordering::Release);
            store.cache.end().map_err(StoreError::io("sync", store.cache.path()))?;
            if store.journal.is_shared() && store.configs_lock.was_replaced() {
                return Err(StoreError::LockLost { path: store.configs_lock.path().into() });
            }
            store.unlock()?;
            store.journal.commit_events()?;
            match store.durability {
                Durability::Synced => store.sync(),
                Durability::Buffered => Ok(()),
            }
        })
    }

    fn watcher(&self) -> Option<Watcher> {
        let watcher = self.journal.watcher()?;
        Some(watcher.watching(self.cache.path().to_path_buf(), self.stamp.clone()))
    }
}

impl Drop for NepsStore {
    /// Buffered commits reach the disk at the latest when the study is closed cleanly.
    fn drop(&mut self) {
        if self.poison.is_none() {
            let _ = self.sync();
        }
    }
}
