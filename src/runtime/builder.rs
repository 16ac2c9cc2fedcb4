//! Everything that can be set about a run, with the defaults that most want.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use super::core::{EventHook, StateCore};
use super::handle::StudyHandle;
use super::outcome::Outcome;
use super::rules::OnError;
use super::session::{Session, SessionSettings};
use super::worker::{EvaluationHook, WorkerSettings};
use crate::budget::Budget;
use crate::definition::Definition;
use crate::error::{BoxError, Error, StoreError};
use crate::evaluate::{CommandEvaluator, CommandLine, Defaults, RunningTrial, StopSignal};
use crate::event::{Event, Policy};
use crate::limits::{GIVE_UP_AFTER_ERRORS, KILL_GRACE, MAX_BATCH, MAX_WORKERS};
use crate::optimizer::{
    Optimizer, OptimizerInfo, Proposal, RandomSearch, Request, from_info, of_study,
};
use crate::space::SearchSpace;
use crate::store::{Directory, Durability, Layout};
use crate::study::Study;
use crate::trial::{Report, Trial};

/// Called before every sampling, with what the optimizer will see (NePS: `pre_load_hooks`).
pub type SamplingHook = Box<dyn FnMut(&Request<'_>) + Send>;

impl Study {
    /// Runs a study in a directory: creates it there, or goes on with the one that is there.
    pub fn builder(directory: impl Into<PathBuf>) -> StudyBuilder {
        StudyBuilder::new(Some(directory.into()))
    }

    /// Runs the study of a directory that is open already, so that it is not read a second time.
    pub fn resume(directory: Directory) -> StudyBuilder {
        let builder = Self::builder(directory.path());
        StudyBuilder { opened: Some(directory), ..builder }
    }

    /// Runs a study in memory alone; it ends with the process.
    pub fn in_memory() -> StudyBuilder {
        StudyBuilder::new(None)
    }
}

/// Sets up a run; [`run`](Self::run), [`run_command`](Self::run_command) or
/// [`open`](Self::open) begins it.
#[must_use = "a builder does nothing until it runs"]
pub struct StudyBuilder {
    directory: Option<PathBuf>,
    layout: Option<&'static dyn Layout>,
    /// The study that is there, once it was read: so it is read once.
    opened: Option<Directory>,
    space: Option<SearchSpace>,
    optimizer: Option<Box<dyn Optimizer>>,
    seed: Option<u64>,
    evaluation: Map<String, Json>,
    budget: Option<Budget>,
    count_in_progress: Option<bool>,
    max_attempts: Option<u32>,
    workers: usize,
    batch: usize,
    per_worker: Budget,
    seconds: Option<f64>,
    on_error: OnError,
    give_up_after: u64,
    defaults: Defaults,
    timeout: Option<Duration>,
    grace: Duration,
    durability: Durability,
    overwrite: bool,
    wait_for_others: bool,
    ctrl_c: bool,
    before_sampling: Option<SamplingHook>,
    after_evaluation: Option<EvaluationHook>,
    on_event: Option<EventHook>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $field:ident = $value:expr;)*) => {
        $($(#[$doc])* pub fn $name(mut self, $name: $type) -> Self {
            self.$field = $value;
            self
        })*
    };
}

impl StudyBuilder {
    fn new(directory: Option<PathBuf>) -> Self {
        StudyBuilder {
            directory,
            layout: None,
            opened: None,
            space: None,
            optimizer: None,
            seed: None,
            evaluation: Map::new(),
            budget: None,
            count_in_progress: None,
            max_attempts: None,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            batch: 1,
            per_worker: Budget::default(),
            seconds: None,
            on_error: OnError::default(),
            give_up_after: GIVE_UP_AFTER_ERRORS,
            defaults: Defaults::default(),
            timeout: None,
            grace: KILL_GRACE,
            durability: Durability::default(),
            overwrite: false,
            wait_for_others: true,
            ctrl_c: true,
            before_sampling: None,
            after_evaluation: None,
            on_event: None,
        }
    }

    setters! {
        /// What is searched. May be left out for a study that exists.
        space: SearchSpace => space = Some(space);
        /// Where all random numbers come from; without, a new study draws one.
        seed: u64 => seed = Some(seed);
        /// How many workers this process has; as many as it has cores unless set.
        workers: usize => workers = workers;
        /// How many trials a worker asks for at a time: more than one when an evaluation takes
        /// less than a commit.
        batch: usize => batch = batch;
        /// What all workers of all processes together may spend. Without, an existing study keeps
        /// its budget; with, it gets this one, which is how a study is made longer.
        budget: Budget => budget = Some(budget);
        /// Whether trials in progress count against the evaluations: they do (N means N), unless
        /// this says that only completed ones count (NePS's
        /// `continue_until_max_evaluation_completed`, turned around).
        count_in_progress: bool => count_in_progress = Some(count_in_progress);
        /// How often a trial may be started before it counts as crashed.
        max_attempts: u32 => max_attempts = Some(max_attempts);
        /// What each worker of this run may spend.
        per_worker: Budget => per_worker = per_worker;
        /// How long each worker of this run may go on asking, by the clock on the wall.
        max_seconds_per_worker: f64 => seconds = Some(max_seconds_per_worker);
        /// What errors of evaluations mean for the run.
        on_error: OnError => on_error = on_error;
        /// With [`OnError::Ignore`], how many errors stop a run in which nothing has succeeded.
        give_up_after: u64 => give_up_after = give_up_after;
        /// What is recorded where an evaluation says nothing.
        defaults: Defaults => defaults = defaults;
        /// How long one evaluation may take. A command is killed then; a closure can see it with
        /// [`RunningTrial::should_stop`](crate::RunningTrial::should_stop).
        timeout: Duration => timeout = Some(timeout);
        /// How long a command may take to end after SIGTERM, before SIGKILL.
        kill_grace: Duration => grace = kill_grace;
        /// How a new directory stores the study: in a journal unless set. An existing one must have
        /// this layout. They are in [`layouts`](crate::layouts).
        layout: &'static dyn Layout => layout = Some(layout);
        /// What an acknowledgement means.
        durability: Durability => durability = durability;
        /// Removes the study that is in the directory first. Refused while a process holds it.
        overwrite: bool => overwrite = overwrite;
        /// At the end of the budget, whether to wait for what other processes still evaluate, and
        /// take it over if they die. Without, this process ends at once. Trials that callers of
        /// `ask` hold are not waited for.
        wait_for_others: bool => wait_for_others = wait_for_others;
        /// Whether Ctrl-C and SIGTERM end the run in good order. Without, they kill, and the next
        /// start takes the trials back.
        ctrl_c: bool => ctrl_c = ctrl_c;
        /// Kept in `study.json` for workers that join with the command line.
        evaluation: Map<String, Json> => evaluation = evaluation;
    }

    /// Who proposes; random search unless set.
    pub fn optimizer(mut self, optimizer: impl Optimizer + 'static) -> Self {
        self.optimizer = Some(Box::new(optimizer));
        self
    }

    /// The same, for one that is boxed already.
    pub fn boxed_optimizer(mut self, optimizer: Box<dyn Optimizer>) -> Self {
        self.optimizer = Some(optimizer);
        self
    }

    /// How many evaluations all workers of all processes together may make.
    pub fn max_evaluations(mut self, evaluations: u64) -> Self {
        self.budget.get_or_insert_default().evaluations = Some(evaluations);
        self
    }

    /// How much the evaluations may cost in all. Those in progress when it is reached still end.
    pub fn max_cost(mut self, cost: f64) -> Self {
        self.budget.get_or_insert_default().cost = Some(cost);
        self
    }

    /// Called before every sampling, with what the optimizer will see.
    pub fn before_sampling(mut self, hook: impl FnMut(&Request<'_>) + Send + 'static) -> Self {
        self.before_sampling = Some(Box::new(hook));
        self
    }

    /// Called by the worker after each evaluation, once its report is durable (NePS:
    /// `post_evaluation_hook`).
    pub fn after_evaluation(
        mut self,
        hook: impl Fn(&Trial, &Report) + Send + Sync + 'static,
    ) -> Self {
        self.after_evaluation = Some(Arc::new(hook));
        self
    }

    /// Called for every event of the study from now on, also those of other processes, once it is
    /// stored. It runs on the state actor's thread: be quick.
    pub fn on_event(mut self, hook: impl FnMut(&Event) + Send + 'static) -> Self {
        self.on_event = Some(Box::new(hook));
        self
    }

    /// Evaluates trials with a closure, on as many threads as there are workers, until the budget,
    /// the optimizer or Ctrl-C ends it.
    ///
    /// ```no_run
    /// use trialmill::{Parameter, Report, SearchSpace, Study};
    /// # fn train(_: f64) -> f64 { 0.0 }
    /// let outcome = Study::builder("runs/example")
    ///     .space(SearchSpace::new([("lr", Parameter::float(1e-5, 1e-1).log())])?)
    ///     .workers(8)
    ///     .max_evaluations(200)
    ///     .run(|trial| Ok(Report::objective(train(trial.config().float("lr")?))))?;
    /// println!("{outcome}");
    /// # Ok::<(), trialmill::Error>(())
    /// ```
    ///
    /// # Errors
    /// The settings make no sense, the directory cannot be used, the store or the optimizer fails,
    /// or an evaluation does and the run is to raise that. What was acknowledged is safe.
    pub fn run<F, R>(self, evaluate: F) -> Result<Outcome, Error>
    where
        F: Fn(&RunningTrial) -> Result<R, BoxError> + Sync,
        R: Into<Report>,
    {
        let session = self.open()?;
        session.run(evaluate)?;
        session.close()
    }

    /// Evaluates each trial with a command; all workers share one thread.
    ///
    /// # Errors
    /// As [`run`](Self::run); also when the command makes no sense for the space.
    pub fn run_command<S: AsRef<str>>(self, command: &[S]) -> Result<Outcome, Error> {
        self.run_command_with(command, |_| ())
    }

    /// The same, with something beside it that needs the handle: a progress bar, say. What `beside`
    /// gives is dropped when the workers have ended.
    ///
    /// # Errors
    /// As [`run_command`](Self::run_command).
    pub fn run_command_with<S: AsRef<str>, B>(
        mut self,
        command: &[S],
        beside: impl FnOnce(&StudyHandle) -> B,
    ) -> Result<Outcome, Error> {
        if self.directory.is_none() {
            let problem = "commands need a directory for their files: use `Study::builder(dir)`";
            return Err(Error::Setting(problem.into()));
        }
        let grace = self.grace;
        let space = self.space_to_be()?;
        let command = CommandLine::new(command, &space)?;
        let session = self.open()?;
        let beside = beside(&session.handle());
        let result = session.run_command(CommandEvaluator::new(command).grace(grace));
        drop(beside);
        result?;
        session.close()
    }

    /// The space that was set, or that of the study in the directory.
    fn space_to_be(&mut self) -> Result<SearchSpace, Error> {
        if let Some(space) = &self.space {
            return Ok(space.clone());
        }
        let path = self.directory.as_ref().ok_or_else(no_space)?;
        let opened = match self.opened.take() {
            Some(opened) => opened,
            None => Directory::open(path)?,
        };
        Ok((*self.opened.insert(opened).definition().space).clone())
    }

    /// Creates the study, or changes the rules of the one that is there, and evaluates nothing.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn create(mut self) -> Result<(), Error> {
        self.check()?;
        let mut core = self.open_core()?;
        core.change_policy(|policy| self.set_policy(policy))
    }

    /// Opens the study without starting workers; the [`Session`] starts them, and its handle gives
    /// everything else.
    ///
    /// # Errors
    /// As [`run`](Self::run), but for what evaluations do.
    pub fn open(mut self) -> Result<Session, Error> {
        self.check()?;
        let stop = Arc::new(StopSignal::default());
        let mut core = self.open_core()?;
        core.change_policy(|policy| self.set_policy(policy))?;
        let Self { mut before_sampling, on_event, .. } = self;
        if let Some(hook) = before_sampling.take() {
            core.wrap_optimizer(|inner| Box::new(Hooked { inner, hook }));
        }
        if let Some(hook) = on_event {
            core.on_event(hook);
        }
        let settings = SessionSettings {
            workers: self.workers,
            wait_for_others: self.wait_for_others,
            give_up_after: self.give_up_after,
            ctrl_c: self.ctrl_c,
            worker: WorkerSettings {
                batch: self.batch,
                budget: self.per_worker,
                seconds: self.seconds,
                on_error: self.on_error,
                defaults: self.defaults,
                timeout: self.timeout,
                after_evaluation: self.after_evaluation,
                space: core.study().definition().space.clone(),
                directory: core.directory().cloned(),
                stop,
            },
        };
        Session::start(core, settings)
    }

    fn check(&self) -> Result<(), Error> {
        let setting = |problem: String| Err(Error::Setting(problem));
        if !(1..=MAX_WORKERS).contains(&self.workers) {
            return setting(format!("workers must be 1 to {MAX_WORKERS}, not {}", self.workers));
        }
        if !(1..=MAX_BATCH).contains(&self.batch) {
            return setting(format!("batch must be 1 to {MAX_BATCH}, not {}", self.batch));
        }
        if self.max_attempts == Some(0) {
            return setting("max_attempts must be 1 or more".into());
        }
        for budget in [self.budget.as_ref(), Some(&self.per_worker)].into_iter().flatten() {
            budget.check().map_err(Error::Setting)?;
        }
        if self.seconds.is_some_and(|seconds| !seconds.is_finite() || seconds < 0.0) {
            return setting("the seconds per worker must be a number from 0 up".into());
        }
        Ok(())
    }

    fn set_policy(&self, policy: &mut Policy) {
        policy.budget = self.budget.unwrap_or(policy.budget);
        policy.count_in_progress = self.count_in_progress.unwrap_or(policy.count_in_progress);
        policy.max_attempts = self.max_attempts.unwrap_or(policy.max_attempts);
    }

    fn open_core(&mut self) -> Result<StateCore, Error> {
        let Some(path) = self.directory.clone() else {
            let space = self.space.take().ok_or_else(no_space)?;
            let optimizer = self.optimizer.take().unwrap_or_else(random_search);
            let definition = Definition::new(space, optimizer.info());
            let definition = match self.seed {
                Some(seed) => definition.seeded(seed),
                None => definition,
            };
            return StateCore::in_memory(definition, optimizer);
        };
        let opened = self.opened.take().map_or_else(|| Directory::open_read_only(&path), Ok);
        let existing = match (&self.space, opened) {
            (Some(_), _) if self.overwrite => None,
            (_, Ok(directory)) => Some(directory),
            (Some(_), Err(StoreError::NotAStudy { .. })) => None,
            (_, Err(error)) => return Err(error.into()),
        };
        let is_given = self.optimizer.is_some();
        let optimizer = match (self.optimizer.take(), &existing) {
            (Some(optimizer), _) => optimizer,
            (None, Some(directory)) if !directory.layout().is_shared() => {
                named_optimizer(&directory.definition().optimizer)?
            }
            (None, Some(directory)) => {
                let mut definition = directory.definition().clone();
                if let Some(space) = &self.space {
                    definition.space = Arc::new(space.clone());
                }
                of_study(&definition)
            }
            (None, None) => random_search(),
        };
        let space = match (self.space.take(), &existing) {
            (Some(space), _) => space,
            (None, Some(directory)) => (*directory.definition().space).clone(),
            (None, None) => return Err(no_space()),
        };
        optimizer.check(&space).map_err(|error| Error::Setting(error.to_string()))?;
        // NePS describes its optimizers in its own words.
        let info = match &existing {
            Some(directory) if !is_given && directory.layout().is_shared() => {
                directory.definition().optimizer.clone()
            }
            _ => optimizer.info(),
        };
        let mut definition = Definition::new(space, info);
        definition.evaluation = std::mem::take(&mut self.evaluation);
        // Only now that nothing can be wrong with what comes in its place.
        if self.overwrite {
            Directory::remove(&path)?;
        }
        let mut policy = Policy::default();
        self.set_policy(&mut policy);
        let directory = match existing {
            Some(there) if !self.overwrite => {
                there.resume(definition, self.seed, &policy, self.layout)?
            }
            _ => Directory::create_or_open(&path, definition, self.seed, &policy, self.layout)?.0,
        };
        StateCore::open(directory, self.durability, optimizer)
    }
}

/// Makes the optimizer that a study names.
fn named_optimizer(info: &OptimizerInfo) -> Result<Box<dyn Optimizer>, Error> {
    from_info(info).map_err(|error| Error::Setting(error.to_string()))
}

fn random_search() -> Box<dyn Optimizer> {
    Box::new(RandomSearch::new())
}

fn no_space() -> Error {
    Error::Setting("a new study needs a search space: set one with `space`".into())
}

/// An optimizer with a hook before it.
struct Hooked {
    inner: Box<dyn Optimizer>,
    hook: SamplingHook,
}

impl Optimizer for Hooked {
    fn info(&self) -> OptimizerInfo {
        self.inner.info()
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Proposal, BoxError> {
        (self.hook)(request);
        self.inner.ask(request)
    }

    fn check(&self, space: &SearchSpace) -> Result<(), BoxError> {
        self.inner.check(space)
    }

    fn is_slow(&self) -> bool {
        self.inner.is_slow()
    }
}
