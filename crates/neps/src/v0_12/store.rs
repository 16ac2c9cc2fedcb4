//! The store of a directory that NePS 0.12 shares.
//!
//! A batch takes NePS's decision lock and then that of our journal; reads the events of other
//! trialmill processes; finds what NePS did; adds our own events. Then it writes NePS's files, and
//! the journal last. A process that dies in between leaves files that contain more than the
//! journal; that is later found in the same way as what NePS does.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rustc_hash::{FxHashMap, FxHashSet};

use super::files::{ListStamp, Stamps, TrialFiles};
use super::found::{News, news};
use super::open::{OpenTrials, is_claimed, is_held_by, total_cost};
use super::spending::Spending;
use super::text::CostLine;
use crate::lock::SharedLock;
use crate::python_turns::PythonTurns;
use crate::record::Shared;
use crate::space::Translation;
use crate::staged::is_beside;
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::event::{Event, EventKind, ProcessId};
use trialmill_core::limits::{NEPS_0_12_TURN, NEPS_START, NEPS_TRIAL_LOCK_TIMEOUT};
use trialmill_core::trial::{State, Trial, TrialId, Trials};
use trialmill_store::{
    Directory, Durability, JournalStore, Purpose, Replica, Store, Watcher, stamp,
};
use trialmill_store::{FileLock, is_held, plain};
use trialmill_store::{Guarded, Place};

/// The store of a directory that NePS 0.12 shares.
pub(crate) struct Neps012Store {
    pub(super) root: PathBuf,
    pub(super) own: PathBuf,
    pub(super) files: TrialFiles,
    open: OpenTrials,
    pub(super) spending: Spending,
    shared: Shared,
    lock: SharedLock,
    turns: PythonTurns,
    /// The truth of everything that trialmill did, and of what it saw NePS do.
    journal: JournalStore,
    /// The number of our process, once we joined.
    process: Option<ProcessId>,
    /// The locks of the trials that this process evaluates: NePS sees them held, and the kernel
    /// frees them.
    held: FxHashMap<TrialId, FileLock>,
    seen: FxHashMap<TrialId, Seen>,
    list_stamp: ListStamp,
    max_cost: Option<f64>,
    touched: BTreeMap<TrialId, Touched>,
    has_looked: bool,
    poison: Option<String>,
    stamp: Arc<AtomicU64>,
    place: Place,
}

/// The state of a trial's files when they were last read.
#[derive(Default)]
struct Seen {
    stamps: Stamps,
    /// Since when NePS may be about to take the trial's lock.
    fresh: Option<Instant>,
}

/// What a batch did to a trial.
#[derive(Default)]
struct Touched {
    is_new: bool,
    is_reported: bool,
}

impl Neps012Store {
    /// Opens the files of a directory. Nothing is read before the first batch.
    ///
    /// # Errors
    /// The lock file or our own journal cannot be opened.
    pub(crate) fn open(directory: &Directory, durability: Durability) -> Result<Self, StoreError> {
        let (root, own) = (directory.path().to_path_buf(), directory.own_path());
        let names = directory.definition().space.names().clone();
        let lock = SharedLock::open(&root.join(".decision_lock"), "STATE")?;
        Ok(Neps012Store {
            files: TrialFiles::new(&root, &own),
            open: OpenTrials::default(),
            spending: Spending::new(&root),
            shared: Shared::new(names, Translation::default()),
            turns: PythonTurns::watch(&[lock.path()]).lasting(NEPS_0_12_TURN),
            lock,
            journal: JournalStore::open(directory, durability)?,
            process: None,
            held: FxHashMap::default(),
            seen: FxHashMap::default(),
            list_stamp: None,
            max_cost: None,
            touched: BTreeMap::new(),
            has_looked: false,
            poison: None,
            stamp: Arc::new(AtomicU64::new(0)),
            place: Place::of(&root),
            root,
            own,
        })
    }

    /// NePS appends to it after each report.
    fn watched(&self) -> PathBuf {
        self.root.join("all_losses_and_configs.txt")
    }

    /// Follows an event of another trialmill process.
    fn catch_up(&mut self, replica: &mut dyn Replica) -> Result<(), StoreError> {
        let (open, max_cost) = (&mut self.open, &mut self.max_cost);
        self.journal.begin_with(&mut |event| {
            if let EventKind::Policy(policy) = &event.kind {
                *max_cost = policy.budget.cost;
            }
            open.note(&event.kind);
            replica.apply(event)
        })?;
        // Another process took us for dead, or ended a trial of ours.
        let (process, trials) = (self.process, replica.trials());
        self.held.retain(|id, _| trials.get(id).is_some_and(|trial| is_held_by(trial, process)));
        Ok(())
    }

    /// Finds what NePS did, and emits it as events.
    fn read_new(&mut self, ahead: &mut Ahead, replica: &mut dyn Replica) -> Result<(), StoreError> {
        let first = !std::mem::replace(&mut self.has_looked, true);
        let (results, trials) = (self.files.results().to_path_buf(), replica.trials());
        let mut new = Vec::new();
        if first || self.list_stamp.is_none() || self.files.list_stamp() != self.list_stamp {
            let listed = self.files.list().map_err(StoreError::io("read", &results))?;
            new = self.compare(listed, trials)?;
        }
        let process = self.process;
        let open = self.open.iter(trials).filter(|trial| !is_held_by(trial, process));
        let ids: Vec<TrialId> = open.map(|trial| trial.id.clone()).chain(new).collect();
        let mut found: Vec<Trial> = Vec::new();
        for id in ids {
            let known = trials.get(&id);
            found.extend(ahead.remove(&id).or_else(|| self.inspect(&id, known, first)));
        }
        found.sort_by(|a, b| {
            let times = (a.metadata.time_sampled, b.metadata.time_sampled);
            times.0.total_cmp(&times.1).then_with(|| a.id.cmp(&b.id))
        });
        for trial in found {
            self.emit(trial, replica)?;
        }
        if first { self.mend(replica.trials()) } else { Ok(()) }
    }

    /// Before anything is sampled, what makes no sense is kept among our own files: NePS's seed removes it, and
    /// its later workers warn of it each time, or die of it. What is evaluated, or cannot be read just now, stays.
    fn set_corrupted_aside(&self, trials: &Trials) -> Result<(), StoreError> {
        for trial in self.open.iter(trials).filter(|trial| trial.state == State::Corrupted) {
            let (id, path) = (&trial.id, self.files.directory(&trial.id));
            let is_held = || is_held(&self.files.lock_path(id)).unwrap_or(true);
            if plain::is_there(&path) && self.files.can_be_read(id) && !is_held() {
                let kept =
                    self.files.set_aside(&path).map_err(StoreError::io("set aside", &path))?;
                tracing::warn!("trial {id} is corrupted: its files are kept as {}", kept.display());
            }
        }
        Ok(())
    }

    /// Returns the trials that are new; writes the directories of known trials again that are gone.
    fn compare(&self, listed: Vec<TrialId>, trials: &Trials) -> Result<Vec<TrialId>, StoreError> {
        let there: FxHashSet<&TrialId> = listed.iter().collect();
        for trial in trials.iter().filter(|trial| !there.contains(&trial.id)) {
            let lost = matches!(trial.state, State::Corrupted | State::Unknown);
            if !lost && self.mend_one(trial)? {
                tracing::warn!("the directory of trial {} was removed; it is back", trial.id);
            }
        }
        Ok(listed.iter().filter(|id| trials.get(id).is_none()).cloned().collect())
    }

    /// Writes each missing file of a trial.
    pub(super) fn mend_one(&self, trial: &Trial) -> Result<bool, StoreError> {
        let directory = self.files.directory(&trial.id);
        self.files.mend(trial).map_err(StoreError::io("write", &directory))
    }

    /// Returns a trial as its files show it, if that is news.
    fn inspect(&mut self, id: &TrialId, known: Option<&Trial>, first: bool) -> Option<Trial> {
        let stamps = self.files.stamps(id);
        let seen = self.seen.get(id);
        let has_ended = stamps.result.is_some() || stamps.error.is_some();
        if known.is_some_and(is_claimed) && !has_ended {
            return None;
        }
        let is_same = seen.is_some_and(|seen| seen.stamps == stamps);
        if is_same && (has_ended || stamps.config.is_none()) {
            return None;
        }
        // NePS samples under the decision lock, and takes the trial's lock a moment later. If we
        // tried that lock in between, NePS would give the trial up.
        let fresh = match seen {
            _ if first => None,
            Some(seen) if seen.stamps.config == stamps.config => seen.fresh,
            Some(_) => Some(Instant::now()),
            None => {
                let begins = known.is_none_or(|known| known.state == State::Evaluating);
                begins.then(Instant::now)
            }
        };
        let begins = fresh.is_some_and(|since| since.elapsed() < NEPS_START);
        self.seen.insert(id.clone(), Seen { stamps, fresh });
        let lock = self.files.lock_path(id);
        let held = begins || (!has_ended && is_held(&lock).unwrap_or(true));
        let state = if held { State::Evaluating } else { State::Pending };
        if is_same && known.is_some_and(|known| known.state == state) {
            return None;
        }
        news(&self.files, id, &stamps, known, &mut self.shared, || held).map(News::said)
    }

    /// Emits what NePS did to a trial.
    fn emit(&mut self, mut trial: Trial, replica: &mut dyn Replica) -> Result<(), StoreError> {
        let time = trialmill_store::clock::now_s();
        let event = |trial: &Trial| Event { time, kind: EventKind::Put(Box::new(trial.clone())) };
        if self.journal.stage_events(&[event(&trial)]).is_err() {
            tracing::warn!("trial {}: its report is too large, and is left in its files", trial.id);
            if let Some(report) = &mut trial.report {
                (report.extra, report.learning_curve, report.failure) = (None, None, None);
            }
            self.journal.stage_events(&[event(&trial)]).map_err(self.contradiction())?;
        }
        if trial.state.is_finished() {
            self.seen.remove(&trial.id);
        }
        let event = event(&trial);
        self.open.note(&event.kind);
        replica.apply(event).map_err(self.contradiction())
    }

    fn contradiction(&self) -> impl FnOnce(StudyError) -> StoreError {
        let path = self.files.results().to_path_buf();
        move |source| StoreError::Study { path, source }
    }

    /// Reads the trials that ended before this process joined, without NePS's lock: reading many
    /// can take five seconds, and NePS workers die if the lock is held for that long.
    fn read_ahead(&mut self, replica: &mut dyn Replica) -> Result<Ahead, StoreError> {
        self.catch_up(replica)?;
        self.journal.commit_events()?;
        let mut ahead = Ahead::default();
        let results = self.files.results().to_path_buf();
        for id in self.files.list().map_err(StoreError::io("read", &results))? {
            let stamps = self.files.stamps(&id);
            if replica.trials().get(&id).is_none()
                && (stamps.result.is_some() || stamps.error.is_some())
                && let Some(News { trial, .. }) =
                    news(&self.files, &id, &stamps, None, &mut self.shared, || false)
                // Any other may be half written at this moment.
                && trial.state.is_finished()
            {
                ahead.insert(id, trial);
            }
        }
        Ok(ahead)
    }

    /// Writes NePS's files of all trials that the batch changed, and holds the locks of ours.
    fn write(&mut self, trials: &Trials) -> Result<(), StoreError> {
        let touched = std::mem::take(&mut self.touched);
        let cost = |(id, touched): (&TrialId, &Touched)| new_cost(trials.get(id)?, touched);
        let costs: Vec<f64> = touched
            .iter()
            .filter_map(cost)
            .filter_map(|(cost, charged)| charged.then_some(cost))
            .collect();
        if !costs.is_empty() {
            self.mend_spending(total_cost(trials) - costs.iter().sum::<f64>())?;
        }
        for (id, touched) in touched {
            let Some(trial) = trials.get(&id) else { continue };
            let directory = self.files.directory(&id);
            self.write_one(trial, &touched).map_err(StoreError::io("write", &directory))?;
            self.hold(trial)?;
        }
        self.list_stamp = self.files.list_stamp();
        Ok(())
    }

    fn write_one(&self, trial: &Trial, touched: &Touched) -> io::Result<()> {
        if touched.is_new {
            let directory = self.files.directory(&trial.id);
            if directory.symlink_metadata().is_ok() {
                let (kept, there) = (self.files.set_aside(&directory)?, directory.display());
                tracing::warn!("{there} belongs to no trial: it is kept as {}", kept.display());
            }
            self.files.create(trial)?;
        }
        match &trial.report {
            Some(report) => {
                let spent = match new_cost(trial, touched) {
                    Some((cost, is_charged)) => {
                        let used = match is_charged {
                            true => self.spending.add(cost, self.max_cost)?,
                            false => self.spending.used(),
                        };
                        Some(CostLine { used, max: self.max_cost })
                    }
                    None => None,
                };
                self.files.end(trial, report, spent)
            }
            None if touched.is_new => Ok(()),
            None => self.files.reopen(trial),
        }
    }

    /// Holds a trial's lock exactly as long as a worker of ours evaluates it.
    fn hold(&mut self, trial: &Trial) -> Result<(), StoreError> {
        let id = &trial.id;
        if !is_held_by(trial, self.process) {
            self.held.remove(id);
        } else if !self.held.contains_key(id) {
            let mut lock = FileLock::open(&self.files.lock_path(id))?;
            match lock.lock(NEPS_TRIAL_LOCK_TIMEOUT) {
                Ok(()) => drop(self.held.insert(id.clone(), lock)),
                Err(error) => tracing::warn!("NePS cannot see that trial {id} runs here: {error}"),
            }
        }
        Ok(())
    }
}

impl Guarded for Neps012Store {
    fn place(&self) -> Option<&Place> {
        Some(&self.place)
    }

    fn poison(&mut self) -> &mut Option<String> {
        &mut self.poison
    }

    fn release(&mut self) {
        self.journal.release();
        let _ = self.lock.unlock();
    }
}

/// What the batch's report of a trial declares as its cost, and whether that is charged.
fn new_cost(trial: &Trial, touched: &Touched) -> Option<(f64, bool)> {
    let report = trial.report.as_ref()?;
    let cost = report.cost.filter(|cost| touched.is_reported && cost.is_finite())?;
    Some((cost, report.account_for_cost))
}

/// Trials that were read before the lock was taken.
type Ahead = FxHashMap<TrialId, Trial>;

impl Store for Neps012Store {
    fn begin(&mut self, purpose: Purpose, replica: &mut dyn Replica) -> Result<(), StoreError> {
        self.guarded(|store| {
            let mut ahead = match store.has_looked {
                true => Ahead::default(),
                false => store.read_ahead(replica)?,
            };
            if purpose == Purpose::Sampling {
                store.turns.keep_pace();
            }
            store.turns.yield_turn(store.lock.path());
            store.lock.lock()?;
            store.touched.clear();
            store.catch_up(replica)?;
            store.stamp.store(stamp(&store.watched()), Ordering::Release);
            store.read_new(&mut ahead, replica)?;
            match purpose {
                Purpose::Sampling => store.set_corrupted_aside(replica.trials()),
                Purpose::Reporting => Ok(()),
            }
        })
    }

    fn stage(&mut self, events: &[Event], trials: &Trials) -> Result<(), StudyError> {
        self.journal.stage_events(events)?;
        for event in events {
            match &event.kind {
                EventKind::Joined(process) => self.process = Some(process.process),
                EventKind::Policy(policy) => self.max_cost = policy.budget.cost,
                EventKind::Sampled { trial, .. } => {
                    self.touched.entry(trial.clone()).or_default().is_new = true;
                }
                EventKind::Reported { trial, .. } => {
                    self.touched.entry(trial.clone()).or_default().is_reported = true;
                    self.seen.remove(trial);
                }
                EventKind::Put(trial) if trials.get(&trial.id).is_none() => {
                    let is_reported = trial.report.is_some();
                    self.touched.insert(trial.id.clone(), Touched { is_new: true, is_reported });
                }
                // NePS has no place for notes, and none for steps before the trial's end.
                kind if is_beside(kind) => continue,
                _ => {}
            }
            if let Some(id) = event.kind.trial_id() {
                self.touched.entry(id.clone()).or_default();
            }
            self.open.note(&event.kind);
        }
        Ok(())
    }

    fn commit(&mut self, trials: &Trials) -> Result<(), StoreError> {
        self.guarded(|store| {
            store.write(trials)?;
            store.lock.unlock()?;
            store.journal.commit_events()
        })
    }

    fn watcher(&self) -> Option<Watcher> {
        let watcher = self.journal.watcher()?;
        Some(watcher.watching(self.watched(), self.stamp.clone()))
    }
}
