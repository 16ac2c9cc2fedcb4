//! The store over NePS's files (0.13 to 0.17): its locks in its order, its cache as the truth, and a
//! copy of each trial in its directory.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::cache::{Cache, News};
use super::errors;
use super::files::TrialFiles;
use super::lock::SharedLock;
use super::mirror::{Before, Mirror};
use super::pickle::{self, Item};
use super::record::{Record, Shared, Writer};
use super::space::read_space;
use super::state::StateFile;
use super::turns::Turns;
use crate::budget::Budget;
use crate::error::{StoreError, StudyError};
use crate::event::{Event, EventKind, Policy};
use crate::limits::MAX_LINE_BYTES;
use crate::store::poison::Guarded;
use crate::store::{Apply, Directory, Durability, JournalStore, Layout, Purpose, Store, Watcher};
use crate::trial::{MetaData, State, Trial, TrialId};

/// The store of a directory that NePS 0.13 to 0.17 shares.
pub struct NepsStore {
    pub(super) root: PathBuf,
    pub(super) layout: Layout,
    pub(super) own: PathBuf,
    pub(super) files: TrialFiles,
    pub(super) cache: Cache,
    pub(super) state: StateFile,
    optimizer_lock: SharedLock,
    configs_lock: SharedLock,
    errors_lock: SharedLock,
    turns: Turns,
    pub(super) shared: Shared,
    pub(super) mirror: Mirror,
    /// What NePS has no place for: rules, processes.
    journal: JournalStore,
    policy: Policy,
    /// The limits that NePS's file had when it was last read.
    budget: Budget,
    pub(super) staged: Staged,
    has_looked: bool,
    samples: bool,
    durability: Durability,
    unsynced: bool,
    poison: Option<String>,
    stamp: Arc<AtomicU64>,
}

/// What a turn will write.
#[derive(Default)]
pub(super) struct Staged {
    records: Vec<u8>,
    count: usize,
    created: Vec<TrialId>,
    updated: Vec<TrialId>,
    failed: Vec<TrialId>,
    policy: bool,
    joined: Vec<String>,
    /// What the events of the last [`Store::stage`] changed of the mirror.
    undo: Vec<Before>,
}

impl NepsStore {
    /// Opens the files of a directory. Nothing is read before the first turn.
    ///
    /// # Errors
    /// A lock file or our own journal cannot be opened.
    pub fn open(directory: &Directory, durability: Durability) -> Result<Self, StoreError> {
        let root = directory.path().to_path_buf();
        let translation = read_space(&root).map(|(_, translation)| translation).unwrap_or_default();
        let names = directory.definition().space.names().clone();
        let lock = |name: &str, settings| SharedLock::open(&root.join(name), settings);
        let optimizer_lock = lock(".optimizer.lock", "STATE_FILELOCK")?;
        let configs_lock = lock(".configs.lock", "TRIAL_FILELOCK")?;
        let errors_lock = lock(".errors.lock", "GLOBAL_ERR_FILELOCK")?;
        let is_shared = directory.file_system().is_shared();
        let turns = Turns::watch(&[optimizer_lock.path(), configs_lock.path()]);
        Ok(NepsStore {
            layout: directory.layout(),
            own: directory.own_path(),
            files: TrialFiles::new(&root),
            cache: Cache::new(&root.join("configs"), true).on_network(is_shared),
            state: StateFile::new(&root),
            optimizer_lock,
            configs_lock,
            errors_lock,
            turns,
            shared: Shared::new(names, translation),
            mirror: Mirror::default(),
            journal: JournalStore::open(directory, durability)?,
            policy: Policy::default(),
            budget: Budget::default(),
            staged: Staged::default(),
            has_looked: false,
            samples: false,
            durability,
            unsynced: false,
            poison: None,
            stamp: Arc::new(AtomicU64::new(0)),
            root,
        })
    }

    /// NePS's order: the optimizer's lock, then that of the trials, never the other way round.
    fn lock(&mut self, purpose: Purpose) -> Result<(), StoreError> {
        self.samples = purpose == Purpose::Sampling;
        if self.samples {
            self.turns.keep_pace();
            self.turns.yield_turn(self.optimizer_lock.path());
            self.optimizer_lock.lock()?;
        }
        self.turns.yield_turn(self.configs_lock.path());
        self.configs_lock.lock()
    }

    fn unlock(&mut self) -> Result<(), StoreError> {
        let configs = self.configs_lock.unlock();
        if std::mem::take(&mut self.samples) {
            self.optimizer_lock.unlock()?;
        }
        configs
    }

    /// The rules are in our journal; of the budget NePS's own file has the last word.
    fn learn_rules(&mut self, purpose: Purpose, apply: Apply<'_>) -> Result<(), StoreError> {
        let (policy, mut changed) = (&mut self.policy, false);
        self.journal.begin(purpose, &mut |event| match event.kind {
            EventKind::Policy(new) => {
                (*policy, changed) = (new, true);
                Ok(())
            }
            _ => apply(event),
        })?;
        if self.samples && self.state.has_changed() {
            match self.state.budget() {
                Ok(budget) => self.budget = budget,
                Err(problem) => self.make_state_anew(&problem)?,
            }
            changed = true;
        }
        if changed {
            let Budget { evaluations, cost, fidelity, .. } = self.budget;
            let own = self.policy.budget;
            self.policy.budget = Budget {
                evaluations: evaluations.or(own.evaluations),
                cost: cost.or(own.cost),
                fidelity: fidelity.or(own.fidelity),
                ..own
            };
            self.apply(EventKind::Policy(self.policy.clone()), apply)?;
        }
        Ok(())
    }

    fn apply(&self, kind: EventKind, apply: Apply<'_>) -> Result<(), StoreError> {
        let time = crate::clock::now_s();
        apply(Event { time, kind })
            .map_err(|source| StoreError::Study { path: self.cache.path().into(), source })
    }

    /// The rules as they are now.
    pub(super) fn rules(&self) -> &Policy {
        &self.policy
    }

    /// The directory of the record that was staged last is there already.
    pub(super) fn forget_created(&mut self) {
        self.staged.created.pop();
    }

    /// Tells of a trial as it is now.
    pub(super) fn tell(&self, record: &Record, apply: Apply<'_>) -> Result<(), StoreError> {
        let trial = &record.trial;
        let Some(lease) = record.lease.clone().filter(|_| trial.state == State::Evaluating) else {
            return self.apply(EventKind::Put(Box::new(trial.clone())), apply);
        };
        // A claim that ends by itself: as it was before, and then the claim.
        let mut before = trial.clone();
        let metadata =
            MetaData { evaluating_worker_id: None, time_started: None, ..before.metadata };
        (before.state, before.metadata) = (State::Pending, metadata);
        before.attempts = before.attempts.saturating_sub(1);
        let claim = EventKind::Claimed {
            trial: trial.id.clone(),
            attempt: before.attempts + 1,
            worker: trial.metadata.evaluating_worker_id.clone().unwrap_or_else(|| "".into()),
            lease: Some(*lease),
        };
        self.apply(EventKind::Put(Box::new(before)), apply)?;
        self.apply(claim, apply)
    }

    fn catch_up(&mut self, apply: Apply<'_>) -> Result<(), StoreError> {
        let first = !std::mem::replace(&mut self.has_looked, true);
        self.cache.begin().map_err(StoreError::io("open", self.cache.path()))?;
        let News { records, anew, missing, torn_at } = self.cache.look(&mut self.shared)?;
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
        for record in records {
            let id = record.trial.id.clone();
            if anew {
                in_cache.push(id.clone());
            }
            if anew && self.is_stale(&record) {
                self.put_back(&id, apply)?;
            } else if self.mirror.learn(record)
                && let Some(record) = self.mirror.get(&id)
            {
                self.tell(record, apply)?;
            }
        }
        if first || lost {
            self.mend(lost, apply)?;
        }
        if anew && !lost {
            self.look_for_vanished(in_cache, apply)?;
            self.look_for_reports(apply)?;
        }
        if self.samples {
            self.look_for_next(apply)?;
        }
        Ok(())
    }

    /// Decides an event's effect on its trial, and what is to be written for it.
    fn stage_one(&mut self, event: &Event) -> Result<(), StudyError> {
        let unknown = |id: &TrialId| StudyError::UnknownTrial(id.clone());
        let record = match &event.kind {
            EventKind::Sampled { trial, config, previous, worker, claimed } => {
                let metadata = MetaData {
                    previous_trial_id: previous.clone(),
                    sampling_worker_id: Some(worker.clone()),
                    time_sampled: event.time,
                    ..MetaData::default()
                };
                let mut new = Trial::pending(trial.clone(), config.clone(), metadata);
                if *claimed {
                    new.start(worker.clone(), event.time);
                }
                self.new_record(new)
            }
            EventKind::Claimed { trial, worker, lease, .. } => {
                let mut record = self.mirror.get(trial).ok_or_else(|| unknown(trial))?.clone();
                record.trial.start(worker.clone(), event.time);
                record.lease = lease.clone().map(Box::new);
                record
            }
            EventKind::Reported { trial, report, .. } => {
                let mut record = self.mirror.get(trial).ok_or_else(|| unknown(trial))?.clone();
                record.trial.finish(report.clone(), event.time);
                (record.lease, record.report, record.foreign_exception) = (None, None, None);
                if report.failure.is_some() {
                    self.staged.failed.push(trial.clone());
                }
                record
            }
            EventKind::Requeued { trial, reason, .. } => {
                let mut record = self.mirror.get(trial).ok_or_else(|| unknown(trial))?.clone();
                record.trial.give_back(*reason);
                (record.lease, record.report) = (None, None);
                record
            }
            EventKind::Put(trial) => match self.mirror.get(&trial.id) {
                Some(old) => Record { trial: (**trial).clone(), report: None, ..old.clone() },
                None => self.new_record((**trial).clone()),
            },
            EventKind::Policy(_) | EventKind::Joined(_) | EventKind::Left { .. } => return Ok(()),
        };
        self.stage_record(record)
    }

    fn new_record(&self, trial: Trial) -> Record {
        let before = trial.metadata.previous_trial_id.as_ref().and_then(|id| self.mirror.get(id));
        let previous_location = before.map(|record| match &record.location {
            Some(place) => place.clone(),
            None => self.files.location(&record.trial.id).into(),
        });
        let source = (self.layout == Layout::Neps).then(|| "run".into());
        Record { previous_location, source, ..Record::new(trial) }
    }

    /// Adds a trial's record to the turn, and remembers it.
    pub(super) fn stage_record(&mut self, mut record: Record) -> Result<(), StudyError> {
        record.trial.state = self.layout.state(record.trial.state);
        let id = record.trial.id.clone();
        let start = self.staged.records.len();
        let mut writer = Writer::new(&self.shared.translation);
        let root = writer.trial(&record, &self.files.location(&id));
        writer.pickle.set_root(root);
        pickle::write(&writer.pickle, &mut self.staged.records)
            .map_err(|error| StudyError::Contradiction(format!("trial '{id}': {error}")))?;
        let bytes = self.staged.records.len() - start;
        if bytes > MAX_LINE_BYTES {
            self.staged.records.truncate(start);
            let attempt = record.trial.attempts;
            return Err(StudyError::TooLarge { id, attempt, bytes, limit: MAX_LINE_BYTES });
        }
        self.staged.count += 1;
        let list = match self.mirror.get(&id) {
            Some(_) => &mut self.staged.updated,
            None => &mut self.staged.created,
        };
        list.push(id);
        self.staged.undo.push(self.mirror.set(record));
        Ok(())
    }

    /// The cache first, because it is the truth; then the copies, of which a crash leaves some to
    /// whoever opens the directory next.
    fn write(&mut self) -> Result<(), StoreError> {
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
        self.cache.append(&staged.records, staged.count).map_err(failed)?;
        self.unsynced = true;
        for id in &staged.created {
            let Some(record) = self.mirror.get(id) else { continue };
            let directory = self.files.directory(id);
            if directory.symlink_metadata().is_ok() {
                self.set_aside(id)?;
            }
            let made = self.files.create(record, &self.shared.translation);
            made.map_err(StoreError::io("write", &directory))?;
            if record.trial.report.is_some() {
                self.files.update(record).map_err(StoreError::io("write", &directory))?;
            }
        }
        for id in &staged.updated {
            let Some(record) = self.mirror.get(id) else { continue };
            let written = self.files.update(record);
            written.map_err(StoreError::io("write", &self.files.directory(id)))?;
        }
        if !staged.failed.is_empty() {
            self.write_errors(&staged.failed)?;
        }
        if self.cache.wants_consolidation(self.mirror.len(), self.turns.others_are_present()) {
            self.consolidate()?;
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

    fn write_errors(&mut self, ids: &[TrialId]) -> Result<(), StoreError> {
        let path = self.root.join("shared_errors.jsonl");
        self.errors_lock.lock()?;
        let mut trials = ids.iter().filter_map(|id| self.mirror.get(id));
        let written = trials.try_for_each(|record| errors::append(&path, &record.trial));
        self.errors_lock.unlock()?;
        written.map_err(StoreError::io("write", &path))
    }

    /// Makes one dict of all trials.
    pub(super) fn consolidate(&mut self) -> Result<(), StoreError> {
        let mut writer = Writer::new(&self.shared.translation);
        let mut pairs = Vec::with_capacity(self.mirror.len());
        for record in self.mirror.iter() {
            let id = &record.trial.id;
            let trial = writer.trial(record, &self.files.location(id));
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
    fn poison(&mut self) -> &mut Option<String> {
        &mut self.poison
    }

    fn release(&mut self) {
        self.journal.release();
        let _ = self.unlock();
    }
}

impl Store for NepsStore {
    fn begin(&mut self, purpose: Purpose, apply: Apply<'_>) -> Result<(), StoreError> {
        self.guarded(|store| {
            store.lock(purpose)?;
            store.staged = Staged::default();
            store.learn_rules(purpose, apply)?;
            store.catch_up(apply)
        })
    }

    fn stage(&mut self, events: &[Event]) -> Result<(), StudyError> {
        let own = |event: &&Event| {
            use EventKind::*;
            matches!(event.kind, Policy(_) | Joined(_) | Left { .. })
        };
        let ours: Vec<Event> = events.iter().filter(own).cloned().collect();
        let staged = &mut self.staged;
        staged.undo.clear();
        let (bytes, count, failed) = (staged.records.len(), staged.count, staged.failed.len());
        let (created, updated) = (staged.created.len(), staged.updated.len());
        let trials = events.iter().try_for_each(|event| self.stage_one(event));
        if let Err(error) = trials.and_then(|()| self.journal.stage(&ours)) {
            let staged = &mut self.staged;
            staged.undo.drain(..).rev().for_each(|before| self.mirror.undo(before));
            staged.records.truncate(bytes);
            staged.created.truncate(created);
            staged.updated.truncate(updated);
            staged.failed.truncate(failed);
            staged.count = count;
            return Err(error);
        }
        for event in ours {
            match event.kind {
                EventKind::Policy(policy) => (self.policy, self.staged.policy) = (policy, true),
                EventKind::Joined(it) => self.staged.joined.push(format!("p{}", it.process)),
                _ => {}
            }
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.guarded(|store| {
            store.write()?;
            store.stamp.store(Cache::stamp(store.cache.path()), Ordering::Release);
            store.cache.end().map_err(StoreError::io("sync", store.cache.path()))?;
            store.unlock()?;
            store.journal.commit()?;
            match store.durability {
                Durability::Synced => store.sync(),
                Durability::Buffered => Ok(()),
            }
        })
    }

    fn watcher(&self) -> Option<Watcher> {
        let watcher = self.journal.watcher()?;
        Some(watcher.with_cache(self.cache.path().to_path_buf(), self.stamp.clone()))
    }
}

impl Drop for NepsStore {
    /// Buffered commits reach the disk at the latest when the study is closed in good order.
    fn drop(&mut self) {
        if self.poison.is_none() {
            let _ = self.sync();
        }
    }
}
