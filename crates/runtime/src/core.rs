//! The state actor's work without the actor: executing batches of commands over the store, the study
//! and the optimizer. Tests and the short-lived verbs of the command line use it directly.

use std::path::Path;
use std::sync::Arc;

use super::hooks::{BatchHook, EventHook};
use super::message::Bounded;
use super::optimizer::apply_observed;
use super::pruning::Pruning;
use super::reclaim::{buried, held_by, reclaim};
use super::regret;
use trialmill_core::definition::Definition;
use trialmill_core::error::{BoxError, Error, StoreError, StudyError};
use trialmill_core::evaluation::Evaluation;
use trialmill_core::event::{Event, EventKind, Policy, Process, ProcessId};
use trialmill_core::limits::{RECOVER_POLLS, WATCH_POLL};
use trialmill_core::optimizer::{Optimizer, OptimizerInfo, Proposal, SamplingRequest};
use trialmill_core::pruner::Pruner;
use trialmill_core::space::SearchSpace;
use trialmill_core::study::{Answer, Command, StudyState};
use trialmill_core::trial::{Report, Trial, TrialId, Trials};
use trialmill_store::clock::now_s;
use trialmill_store::{
    Directory, Disk, Durability, JournalStore, Liveness, Machine, MemoryStore, Presence, Purpose,
    Replica, Store, Watcher,
};

/// The study, its store and its optimizer. A batch is `begin`, `execute` for each command, `commit`.
pub struct StateCore {
    study: StudyState,
    store: Box<dyn Store>,
    /// None once a slow optimizer was taken out, to be asked outside the lock.
    optimizer: Option<Box<dyn Optimizer>>,
    slow: bool,
    /// Whether the optimizer is shown what happens here, and not on an actor of its own.
    observes: bool,
    /// When the batch in progress began: the time of all its events.
    time: f64,
    directory: Option<Directory>,
    presence: Option<Arc<Presence>>,
    process: ProcessId,
    listeners: Listeners,
    /// Whether a report is answered with its trial.
    shows_reported: bool,
    complained: Complained,
    pruning: Pruning,
    /// Why a staged event could not be applied. That is a bug of this program, so nothing is stored.
    broken: Option<StudyError>,
}

/// Which complaints about results were made: each is made once, not for the next thousand too.
#[derive(Default)]
struct Complained {
    cost: bool,
    objective: bool,
}

/// The receivers of events.
#[derive(Default)]
struct Listeners {
    hooks: Vec<BatchHook>,
    /// Events that go to the hooks once they are stored.
    unsent: Vec<Event>,
    /// Events that a slow optimizer's own copy of the study has not applied yet.
    feed: Option<Vec<Event>>,
}

impl Listeners {
    #[inline]
    fn note(&mut self, event: &Event) {
        if !self.hooks.is_empty() {
            self.unsent.push(event.clone());
        }
        if let Some(feed) = &mut self.feed {
            feed.push(event.clone());
        }
    }
}

/// Passes the events of other processes, which the store reads, to the study and the listeners.
struct Follower<'a> {
    study: &'a mut StudyState,
    listeners: &'a mut Listeners,
    /// Unless it is a slow one, which has a study of its own.
    optimizer: Option<&'a mut (dyn Optimizer + 'static)>,
}

impl Replica for Follower<'_> {
    fn trials(&self) -> &Trials {
        self.study.trials()
    }

    fn apply(&mut self, event: Event) -> Result<(), StudyError> {
        self.listeners.note(&event);
        apply_observed(self.study, event, self.optimizer.as_deref_mut())
    }
}

/// An optimizer that nobody else has a thread for.
struct Inline(Box<dyn Optimizer>);

impl Optimizer for Inline {
    fn info(&self) -> OptimizerInfo {
        self.0.info()
    }

    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        self.0.ask(request)
    }

    fn check(&self, space: &SearchSpace) -> Result<(), BoxError> {
        self.0.check(space)
    }

    fn observe(&mut self, definition: &Definition, trial: &Trial) {
        self.0.observe(definition, trial);
    }

    fn observes(&self) -> bool {
        self.0.observes()
    }
}

impl StateCore {
    /// How many evaluations at once the optimizer can use, where there is a limit, and its name.
    pub(super) fn parallelism(&self) -> Option<(usize, String)> {
        let optimizer = self.optimizer.as_ref()?;
        Some((optimizer.parallelism()?, optimizer.info().name))
    }

    /// Opens the study of a directory, and reads it.
    ///
    /// # Errors
    /// The journal cannot be locked or read, or is damaged.
    pub fn open(
        directory: Directory,
        durability: Durability,
        optimizer: Box<dyn Optimizer>,
    ) -> Result<Self, Error> {
        let store = directory.layout().open(&directory, durability)?;
        Self::with_store(Some(directory.clone()), directory.definition().clone(), store, optimizer)
    }

    /// The same for a process that does a thing or two and goes: also a slow optimizer proposes on
    /// its thread.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_directly(
        directory: Directory,
        durability: Durability,
        optimizer: Box<dyn Optimizer>,
    ) -> Result<Self, Error> {
        Self::open(directory, durability, Box::new(Inline(optimizer)))
    }

    /// The same, with the journal on another disk, such as one that fails on purpose.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(
        disk: Box<dyn Disk>,
        directory: Directory,
        durability: Durability,
        optimizer: Box<dyn Optimizer>,
    ) -> Result<Self, Error> {
        let store = Box::new(JournalStore::with_disk(&directory, durability, disk)?);
        Self::with_store(Some(directory.clone()), directory.definition().clone(), store, optimizer)
    }

    /// A study that exists only in this process's memory.
    ///
    /// # Errors
    /// The optimizer cannot search the space.
    pub fn in_memory(definition: Definition, optimizer: Box<dyn Optimizer>) -> Result<Self, Error> {
        Self::with_store(None, definition, Box::new(MemoryStore), optimizer)
    }

    pub(super) fn with_store(
        directory: Option<Directory>,
        definition: Definition,
        store: Box<dyn Store>,
        optimizer: Box<dyn Optimizer>,
    ) -> Result<Self, Error> {
        optimizer.check(&definition.space).map_err(|problem| {
            let OptimizerInfo { name, .. } = optimizer.info();
            StudyError::Optimizer { optimizer: name, problem: problem.to_string() }
        })?;
        let slow = optimizer.is_slow();
        let observes = !slow && optimizer.observes();
        let mut core = StateCore {
            study: StudyState::new(definition),
            store,
            optimizer: Some(optimizer),
            slow,
            observes,
            time: 0.0,
            directory,
            presence: None,
            process: 0,
            listeners: Listeners { feed: slow.then(Vec::new), ..Listeners::default() },
            shows_reported: false,
            complained: Complained::default(),
            pruning: Pruning::default(),
            broken: None,
        };
        core.begin(Purpose::Reporting)?;
        core.commit()?;
        Ok(core)
    }

    /// Joins the study as a process of it, which may hold trials until it leaves or dies.
    ///
    /// # Errors
    /// The store fails.
    pub fn join(&mut self) -> Result<ProcessId, Error> {
        self.join_as(None)
    }

    /// The same, with a worker id that no other process has that takes part.
    ///
    /// # Errors
    /// The store fails, or the worker id is in use.
    pub fn join_as(&mut self, worker_id: Option<&str>) -> Result<ProcessId, Error> {
        if worker_id.is_some() {
            // One that has died uses no id any more.
            self.recover()?;
        }
        if let Some(mut watcher) = self.watcher() {
            self.meet_other_machines(&mut watcher)?;
        }
        let machine = self.directory.as_ref().map_or_else(Machine::here, |d| d.machine().clone());
        self.begin(Purpose::Sampling)?;
        let process = Process { worker_id: worker_id.map(Into::into), ..machine.process() };
        let answer = self.execute(Command::Join(process))?;
        if let Answer::Joined(number) = answer {
            self.process = number;
            // Taken before the commit: nobody may read that we joined and find our lock free.
            self.presence = match &self.directory {
                Some(directory) => Some(Arc::new(directory.presence(number)?)),
                None => None,
            };
        }
        self.commit()?;
        Ok(self.process)
    }

    /// Requeues the trials of dead processes and of callers whose deadline has passed. In a running
    /// session the watcher does this; a short-lived process calls this once. Commands of a dead
    /// process that still run are killed, and this waits briefly until they are gone.
    ///
    /// # Errors
    /// The store fails.
    pub fn recover(&mut self) -> Result<(), Error> {
        let Some(mut watcher) = self.watcher() else { return Ok(()) };
        self.meet_other_machines(&mut watcher)?;
        for _ in 0..RECOVER_POLLS {
            let study = &self.study;
            let others: Vec<_> =
                study.processes().filter(|p| p.process != self.process).cloned().collect();
            let leases: Vec<_> =
                study.leases().map(|(t, l)| (t.id.clone(), t.attempts, l.clone())).collect();
            let (directory, held_by) = (self.directory(), |process| Ok(held_by(study, process)));
            let commands = reclaim(&mut watcher, directory, &others, &leases, held_by)?;
            if !commands.is_empty() {
                let buried = buried(&commands);
                self.execute_all(commands)?;
                for process in buried {
                    watcher.tidy(process);
                }
            }
            if !self.study.processes().any(|p| watcher.liveness(p) == Liveness::Dead) {
                break;
            }
            std::thread::sleep(WATCH_POLL);
        }
        Ok(())
    }

    /// Refuses to work beside processes of other machines if no lock reaches them. A process without
    /// a heartbeat counts as dead.
    fn meet_other_machines(&self, watcher: &mut Watcher) -> Result<(), StoreError> {
        let Some(directory) = &self.directory else { return Ok(()) };
        let file_system = directory.file_system();
        let are_apart = file_system.local_locks().is_some();
        if !are_apart && !file_system.is_unknown() {
            return Ok(());
        }
        let others = self.study.processes().filter(|p| !directory.machine().shares_kernel(p));
        for process in others {
            while are_apart && !watcher.has_heartbeat(process) {
                if watcher.liveness(process) == Liveness::Silent {
                    break;
                }
                std::thread::sleep(WATCH_POLL);
            }
            if watcher.liveness(process) != Liveness::Silent {
                file_system.admit(process, directory.path())?;
            }
        }
        Ok(())
    }

    /// Executes commands as one batch of their own.
    ///
    /// # Errors
    /// The store fails; then nothing of this is acknowledged.
    pub fn execute_all(
        &mut self,
        commands: Vec<Command>,
    ) -> Result<Vec<Result<Answer, StudyError>>, StoreError> {
        let may_sample = commands.iter().any(Command::may_sample);
        self.begin(if may_sample { Purpose::Sampling } else { Purpose::Reporting })?;
        // Not collected: that would shrink the list of commands to one of answers, and move it.
        let mut answers = Vec::with_capacity(commands.len());
        for command in commands {
            answers.push(self.execute(command));
        }
        self.commit()?;
        Ok(answers)
    }

    /// Changes the policy with `change`; stores nothing if it stays the same.
    ///
    /// # Errors
    /// The policy makes no sense, or the store fails.
    pub fn change_policy(&mut self, change: impl FnOnce(&mut Policy)) -> Result<(), Error> {
        self.begin(Purpose::Sampling)?;
        let mut policy = self.study.policy().clone();
        change(&mut policy);
        let result = self.execute(Command::SetPolicy(Box::new(policy)));
        self.commit()?;
        match result {
            Ok(_) => Ok(()),
            Err(error) => Err(Error::Setting(error.to_string())),
        }
    }

    /// Changes the evaluation into what `change` makes of the study as it is then. Returns its number.
    ///
    /// # Errors
    /// What `change` refuses, or the evaluation makes no sense, or the store fails.
    pub fn change_evaluation(
        &mut self,
        change: impl FnOnce(&StudyState) -> Result<Evaluation, Error>,
    ) -> Result<u32, Error> {
        self.begin(Purpose::Sampling)?;
        let decided = change(&self.study).and_then(|evaluation| {
            let evaluation = Box::new(evaluation);
            Ok(self.execute(Command::SetEvaluation { evaluation, own: false })?)
        });
        self.commit()?;
        match decided? {
            Answer::Evaluation(number) => Ok(number),
            _ => Ok(0),
        }
    }

    /// Whether only another program samples.
    pub(crate) fn samples_elsewhere(&self) -> bool {
        self.optimizer.as_ref().is_some_and(|optimizer| optimizer.is_elsewhere())
    }

    /// Begins a batch: takes the lock, and catches up on the events of others.
    pub(crate) fn begin(&mut self, purpose: Purpose) -> Result<(), StoreError> {
        let mut follower = Follower {
            study: &mut self.study,
            listeners: &mut self.listeners,
            optimizer: if self.observes { self.optimizer.as_deref_mut() } else { None },
        };
        self.store.begin(purpose, &mut follower)?;
        self.time = now_s();
        self.pruning.follow(&mut self.study);
        Ok(())
    }

    /// Gives the study a pruner that has no name here.
    pub(crate) fn give_pruner(&mut self, own: Option<Box<dyn Pruner>>) {
        self.pruning.own = own;
    }

    /// Decides a command, stages the resulting events and applies them.
    pub(crate) fn execute(&mut self, command: Command) -> Result<Answer, StudyError> {
        if let Command::Ask(_) = &command
            && let Some(reason) = self.pruning.ends_early(&self.study)
        {
            self.execute(Command::Stop(reason))?;
        }
        let sets_policy = matches!(command, Command::SetPolicy(_));
        let reported = match &command {
            Command::Report { trial, .. } if self.shows_reported => Some(trial.clone()),
            _ => None,
        };
        if let Command::Report { trial, report, .. } = &command {
            self.complain(trial, report);
        }
        let optimizer = if self.slow { None } else { self.optimizer.as_deref_mut() };
        let mut decision = self.study.decide(command, optimizer)?;
        let time = self.time;
        let kinds = std::mem::take(&mut decision.events);
        let events: Vec<Event> = kinds.into_iter().map(|kind| Event { time, kind }).collect();
        self.store.stage(&events, self.study.trials())?;
        for event in events {
            if let EventKind::Sampled { trial, config, worker, .. } = &event.kind {
                tracing::debug!(%config, worker = %worker, "sampled trial {trial}");
            }
            self.listeners.note(&event);
            let optimizer = if self.observes { self.optimizer.as_deref_mut() } else { None };
            apply_observed(&mut self.study, event, optimizer)
                .inspect_err(|error| self.broken = Some(error.clone()))?;
        }
        if sets_policy {
            self.pruning.follow(&mut self.study);
        }
        let answer = self.study.answer(decision);
        let Some(id) = reported else { return Ok(answer) };
        Ok(match self.study.trial(&id) {
            Some(trial) if answer == Answer::Done => Answer::Reported(Box::new(trial.clone())),
            _ => answer,
        })
    }

    /// Says once of each kind what a result lacks that the study needs.
    fn complain(&mut self, trial: &TrialId, report: &Report) {
        let budget = &self.study.policy().budget;
        let has_steps = || self.study.trial(trial).is_some_and(|trial| trial.steps.is_some());
        if (budget.cost.is_some() || budget.steps.is_some())
            && let Some(problem) = budget.complaint(report, has_steps())
            && !std::mem::replace(&mut self.complained.cost, true)
        {
            tracing::warn!("trial {trial}: {problem}");
        }
        let objectives = report.objective_to_minimize.as_ref().map_or(&[][..], |o| o.as_slice());
        if report.is_success()
            && let Some(x) = objectives.iter().find(|x| !x.is_finite())
            && !std::mem::replace(&mut self.complained.objective, true)
        {
            tracing::warn!(
                "trial {trial}: the objective {x} is kept as a success{}",
                if x.is_nan() { ", and NaN is never the best" } else { "" }
            );
        }
    }

    /// Ends a batch: afterwards everything staged is stored and durable.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        if let Some(error) = &self.broken {
            return Err(StoreError::Poisoned(error.to_string()));
        }
        self.store.commit(self.study.trials())?;
        let Listeners { hooks, unsent, .. } = &mut self.listeners;
        if !unsent.is_empty() {
            hooks.retain_mut(|hook| hook(unsent));
            unsent.clear();
        }
        Ok(())
    }

    /// From now on, answers reports with the stored trials: for hooks that receive trials.
    pub(crate) fn show_reported(&mut self) {
        self.shows_reported = true;
    }

    /// Calls `hook` for every event from now on.
    pub fn on_event(&mut self, mut hook: EventHook) {
        self.listen(Box::new(move |events| {
            events.iter().for_each(&mut hook);
            true
        }));
    }

    /// Calls `hook` with the events of every batch from now on, for as long as it returns true.
    pub(crate) fn listen(&mut self, hook: BatchHook) {
        self.listeners.hooks.push(hook);
    }

    /// Takes the slow optimizer out, to run on an actor of its own; the events it must apply to
    /// its own copy of the study are in [`take_feed`](Self::take_feed).
    pub(crate) fn take_slow_optimizer(&mut self) -> Option<Box<dyn Optimizer>> {
        if self.slow { self.optimizer.take() } else { None }
    }

    /// From now on, bounds on the regret are computed elsewhere: by the tasks of [`regret_task`](Self::regret_task).
    pub(crate) fn bound_elsewhere(&mut self) {
        self.pruning.has_thread = true;
    }

    /// Whether nothing may be handed out until a bound on the regret is known.
    pub(crate) fn awaits_bound(&self) -> bool {
        self.pruning.has_thread && self.pruning.regret.is_due(&self.study)
    }

    /// The bound that is to be computed, unless that goes on already.
    pub(crate) fn regret_task(&mut self) -> Option<regret::Task> {
        self.pruning.regret.begin(&self.study)
    }

    /// Takes what was computed.
    pub(crate) fn take_bound(&mut self, bounded: &Bounded) {
        self.pruning.regret.take(bounded);
    }

    /// Whether there are events that the slow optimizer has not received.
    pub(crate) fn has_feed(&self) -> bool {
        self.listeners.feed.as_ref().is_some_and(|feed| !feed.is_empty())
    }

    /// The events since the last call.
    pub(crate) fn take_feed(&mut self) -> Vec<Event> {
        self.listeners.feed.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// What the watcher's thread needs to notice what other processes do to the study.
    pub(crate) fn watcher(&self) -> Option<Watcher> {
        self.store.watcher()
    }

    /// This process's lock file and heartbeat.
    pub(crate) fn presence(&self) -> Option<Arc<Presence>> {
        self.presence.clone()
    }

    /// This process's number in the study; 0 before it joined.
    pub fn process(&self) -> ProcessId {
        self.process
    }

    /// Leaves the study cleanly; the trials that this process was evaluating are requeued.
    ///
    /// # Errors
    /// The store fails; the others then notice that our lock file is free.
    pub fn leave(&mut self) -> Result<(), StoreError> {
        let process = std::mem::take(&mut self.process);
        if process == 0 {
            return Ok(());
        }
        self.execute_all(vec![Command::Leave(process)])?;
        if let Some(presence) = self.presence.take() {
            presence.leave();
        }
        Ok(())
    }

    /// The study as of the last batch.
    pub fn study(&self) -> &StudyState {
        &self.study
    }

    /// The study, at the end.
    pub fn into_study(self) -> StudyState {
        self.study
    }

    /// The study's directory; `None` for a study in memory.
    pub fn directory(&self) -> Option<&Directory> {
        self.directory.as_ref()
    }

    /// The path of the study's directory; `None` for a study in memory.
    pub fn path(&self) -> Option<&Path> {
        self.directory.as_ref().map(Directory::path)
    }
}

#[cfg(test)]
mod tests;
