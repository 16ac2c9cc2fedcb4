//! The builder: one line per setting over the three values [`StudySpec`], [`RunOptions`] and
//! [`Hooks`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::core::StateCore;
use super::handle::StudyHandle;
use super::hooks::Hooks;
use super::open::{Opening, space_to_be};
use super::options::RunOptions;
use super::outcome::Outcome;
use super::session::Session;
use super::spec::{EvaluationChanges, StudySpec};
use super::stop_rules::OnError;
use crate::evaluate::{CommandTemplate, ReportDefaults, RunningTrial};
use trialmill_core::budget::Budget;
use trialmill_core::error::{BoxError, Error};
use trialmill_core::evaluation::{Evaluation, OnPrune};
use trialmill_core::event::Event;
use trialmill_core::objectives::Direction;
use trialmill_core::optimizer::{Optimizer, OptimizerInfo, SamplingRequest};
use trialmill_core::pruner::{Pruner, PrunerInfo};
use trialmill_core::space::SearchSpace;
use trialmill_core::stopping::StopEarly;
use trialmill_core::trial::{Report, Trial};
use trialmill_store::{Directory, Durability, Layout};

/// Sets up a run; [`run`](Self::run), [`run_command`](Self::run_command) or
/// [`open`](Self::open) begins it.
#[must_use = "a builder does nothing until it runs"]
pub struct StudyBuilder {
    directory: Option<PathBuf>,
    /// The existing study once it has been read, so that it is read only once.
    opened: Option<Directory>,
    spec: StudySpec,
    options: RunOptions,
    hooks: Hooks,
    optimizer: Option<Box<dyn Optimizer>>,
    pruner: Option<Box<dyn Pruner>>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $part:ident.$field:ident = $value:expr;)*) => {
        $($(#[$doc])* pub fn $name(mut self, $name: $type) -> Self {
            self.$part.$field = $value;
            self
        })*
    };
}

impl StudyBuilder {
    /// Of a study in a directory: it is created there, or resumed.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self::new(Some(directory.into()))
    }

    /// Of the study of a directory that is open already, so that it is not read a second time.
    pub fn resume(directory: Directory) -> Self {
        let builder = Self::in_directory(directory.path());
        StudyBuilder { opened: Some(directory), ..builder }
    }

    /// Of a study in memory alone; it ends with the process.
    pub fn in_memory() -> Self {
        Self::new(None)
    }

    fn new(directory: Option<PathBuf>) -> Self {
        StudyBuilder {
            directory,
            opened: None,
            spec: StudySpec::default(),
            options: RunOptions::default(),
            hooks: Hooks::default(),
            optimizer: None,
            pruner: None,
        }
    }

    /// All that the study is, as one value: what a study file describes.
    pub fn spec(mut self, spec: StudySpec) -> Self {
        self.spec = spec;
        self
    }

    /// All that can be set about the run, as one value.
    pub fn options(mut self, options: RunOptions) -> Self {
        self.options = options;
        self
    }

    /// All hooks, as one value.
    pub fn hooks(mut self, hooks: Hooks) -> Self {
        self.hooks = hooks;
        self
    }

    setters! {
        /// The search space. May be left out for an existing study.
        space: SearchSpace => spec.space = Some(space);
        /// The optimizer by its name and arguments, as in a study file:
        /// `OptimizerInfo::new("tpe", [("n_startup_trials", 5)])`. docs/optimizers.md has them.
        optimizer_named: OptimizerInfo => spec.optimizer = Some(optimizer_named);
        /// The seed of all random numbers; a new study draws one if unset.
        seed: u64 => spec.seed = Some(seed);
        /// How many workers this process has; as many as it has cores unless set.
        workers: usize => options.workers = workers;
        /// How many trials a worker asks for at a time: more than one when an evaluation takes
        /// less than a commit.
        batch: usize => options.batch = batch;
        /// What all workers of all processes together may spend. An existing study keeps its budget
        /// if this is unset, and otherwise gets this one: that is how to extend a study.
        budget: Budget => spec.budget = Some(budget);
        /// Directories of other studies, in any layout, whose trials the optimizer learns from. They are read
        /// when the study is created, and never changed; docs/optimizers.md has what is taken of them.
        warm_start: Vec<PathBuf> => spec.warm_start = Some(warm_start);
        /// Whether trials in progress count against the evaluations: they do (N means N), unless
        /// this says that only completed ones count (NePS's
        /// `continue_until_max_evaluation_completed`, turned around).
        count_in_progress: bool => spec.count_in_progress = Some(count_in_progress);
        /// How often a trial may be started before it counts as crashed.
        max_attempts: u32 => spec.max_attempts = Some(max_attempts);
        /// How often a trial whose evaluation crashed is tried again by itself: never, unless this says so.
        max_failures: u32 => spec.max_failures = Some(max_failures);
        /// What ends evaluations that promise too little, by its name: `median`, say. The name `none`
        /// takes away what there was.
        pruner: PrunerInfo => spec.pruner = Some(pruner);
        /// Whether pruned trials count against the evaluations: they do unless this says otherwise.
        count_pruned: bool => spec.count_pruned = Some(count_pruned);
        /// What ends the study before its budget does.
        stop_early: StopEarly => spec.stop_early = Some(stop_early);
        /// What happens to a command when the pruner says that its evaluation should end.
        on_prune: OnPrune => options.on_prune = on_prune;
        /// What each worker of this run may spend.
        per_worker: Budget => options.per_worker = per_worker;
        /// What all workers of this process together may spend in one run (NePS:
        /// `max_evaluations_per_run`). Evaluations are taken before they begin, so N means N; what
        /// runs when another limit is reached still ends.
        per_run: Budget => options.per_run = per_run;
        /// How long each worker of this run may keep asking, in elapsed time.
        max_seconds_per_worker: f64 => options.seconds_per_worker = Some(max_seconds_per_worker);
        /// What errors of evaluations mean for the run.
        on_error: OnError => options.on_error = on_error;
        /// How many errors in a row, each sooner than a success, stop this process; and how many stop a
        /// run in which nothing has succeeded. 0 is no limit.
        give_up_after: u64 => options.give_up_after = give_up_after;
        /// The values to record where a report leaves them out.
        defaults: ReportDefaults => options.defaults = defaults;
        /// How long one evaluation may take. A command is killed then; a closure can see it with
        /// [`RunningTrial::should_stop`](crate::evaluate::RunningTrial::should_stop).
        timeout: Duration => options.timeout_seconds = Some(timeout.as_secs_f64());
        /// How long a command may take to end after SIGTERM, before SIGKILL.
        kill_grace: Duration => options.kill_grace = kill_grace;
        /// How a new directory stores the study: in a journal unless set. An existing one must have
        /// this layout. They are in [`layouts`](trialmill_layouts).
        layout: &'static dyn Layout => spec.layout = Some(layout);
        /// What an acknowledgement means.
        durability: Durability => options.durability = durability;
        /// Removes the study that is in the directory first. Refused while a process holds it.
        overwrite: bool => options.overwrite = overwrite;
        /// At the end of the budget, whether to wait for the trials that other processes still
        /// evaluate, and to take them over if those processes die. If not, this process ends at once.
        /// It never waits for trials that callers of `ask` hold.
        wait_for_others: bool => options.wait_for_others = wait_for_others;
        /// Where only another program can sample (one of NePS's optimizers, or one that another
        /// program defines), whether workers wait for the trials that it samples. If not, the run
        /// ends with an error once none waits.
        wait_for_trials: bool => options.wait_for_trials = wait_for_trials;
        /// Whether Ctrl-C and SIGTERM end the run cleanly. If not, they kill the process, and the
        /// next start requeues its trials.
        ctrl_c: bool => options.ctrl_c = ctrl_c;
        /// How trials are evaluated by workers that join with the command line, from their next trials on.
        evaluation: Evaluation => spec.evaluation = Some(evaluation);
    }

    /// The optimizer; of a new study `auto` unless set, and random search in a layout of NePS.
    pub fn optimizer(mut self, optimizer: impl Optimizer + 'static) -> Self {
        self.optimizer = Some(Box::new(optimizer));
        self
    }

    /// One objective more, of which the greater values are better. Reports have their objectives in the
    /// order in which they are named here, and as they are: nothing is turned around.
    pub fn maximize(self, name: impl Into<String>) -> Self {
        self.objective(name, Direction::Maximize)
    }

    /// One objective more, of which the smaller values are better: as all of a study that names none.
    pub fn minimize(self, name: impl Into<String>) -> Self {
        self.objective(name, Direction::Minimize)
    }

    /// One constraint more: a value that a report has in [`Report::constraints`], in the order in which they
    /// are named here. Of trials where one is above 0 none is the best.
    pub fn constraint(mut self, name: impl Into<String>) -> Self {
        let objectives = self.spec.objectives.take().unwrap_or_default();
        self.spec.objectives = Some(objectives.and_constraint(name));
        self
    }

    fn objective(mut self, name: impl Into<String>, direction: Direction) -> Self {
        let objectives = self.spec.objectives.take().unwrap_or_default();
        self.spec.objectives = Some(objectives.and(name, direction));
        self
    }

    /// A pruner of one's own. Only programs that have it can judge by it.
    pub fn own_pruner(mut self, pruner: impl Pruner + 'static) -> Self {
        self.spec.pruner = Some(pruner.info());
        self.pruner = Some(Box::new(pruner));
        self
    }

    /// How many evaluations all workers of all processes together may make.
    pub fn max_evaluations(mut self, evaluations: u64) -> Self {
        self.spec.budget.get_or_insert_default().evaluations = Some(evaluations);
        self
    }

    /// What this process is called in the study, beside its number (NePS: `worker_id`). It is refused
    /// while another living process has it.
    pub fn worker_id(mut self, id: impl Into<String>) -> Self {
        self.options.worker_id = Some(id.into());
        self
    }

    /// How many evaluations all workers of this process together may make in one run (NePS:
    /// `max_evaluations_per_run`); [`per_run`](Self::per_run) has the other limits.
    pub fn max_evaluations_per_run(mut self, evaluations: u64) -> Self {
        self.options.per_run.evaluations = Some(evaluations);
        self
    }

    /// How much the evaluations may cost in all. Those in progress when it is reached still end.
    pub fn max_cost(mut self, cost: f64) -> Self {
        self.spec.budget.get_or_insert_default().cost = Some(cost);
        self
    }

    /// Called before every sampling, with what the optimizer will see.
    pub fn before_sampling(
        mut self,
        hook: impl FnMut(&SamplingRequest<'_>) + Send + 'static,
    ) -> Self {
        self.hooks.before_sampling = Some(Box::new(hook));
        self
    }

    /// Called before every sampling with the optimizer, which it may change, or replace by another one
    /// (NePS: `pre_load_hooks`). Any number, each with what the one before it gave back. The study stays
    /// described by the optimizer that it began with; one that takes its place sees all trials in the
    /// request, and is observed from then on.
    ///
    /// ```
    /// use trialmill::{GridSearch, Optimizer, Parameter, RandomSearch, SearchSpace, Study};
    /// let outcome = Study::in_memory()
    ///     .space(SearchSpace::new([("x", Parameter::float(0.0, 1.0))])?)
    ///     .optimizer(RandomSearch::new())
    ///     .pre_load_hook(|optimizer, request| match request.trials.len() {
    ///         5 => Box::new(GridSearch::default()) as Box<dyn Optimizer>,
    ///         _ => optimizer,
    ///     })
    ///     .workers(1)
    ///     .max_evaluations(10)
    ///     .run(|trial| Ok(trial.config().float("x")?))?;
    /// # assert_eq!(outcome.study().trials().len(), 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn pre_load_hook(
        mut self,
        hook: impl FnMut(Box<dyn Optimizer>, &SamplingRequest<'_>) -> Box<dyn Optimizer>
        + Send
        + 'static,
    ) -> Self {
        self.hooks.pre_load.push(Box::new(hook));
        self
    }

    /// Called by the worker after each evaluation, once its report is durable. It takes the place of a
    /// [`post_evaluation_hook`](Self::post_evaluation_hook).
    pub fn after_evaluation(self, hook: impl Fn(&Trial, &Report) + Send + Sync + 'static) -> Self {
        self.post_evaluation_hook(move |trial, report, _| {
            hook(trial, report);
            Ok(())
        })
    }

    /// The same with the trial's directory, which may not exist yet (in memory there is none), and with a
    /// say: an error ends the run with [`Error::Hook`], as in NePS. What was reported is safe, what
    /// other workers evaluate still ends, and the next run goes on.
    pub fn post_evaluation_hook(
        mut self,
        hook: impl Fn(&Trial, &Report, Option<&Path>) -> Result<(), BoxError> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.after_evaluation = Some(Arc::new(hook));
        self
    }

    /// Called for every event of the study from now on, including those of other processes, once it
    /// is stored. It runs on the state actor's thread, so it must be quick.
    pub fn on_event(mut self, hook: impl FnMut(&Event) + Send + 'static) -> Self {
        self.hooks.on_event = Some(Box::new(hook));
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
    /// The settings make no sense, the directory cannot be used, the store or the optimizer fails, or
    /// an evaluation fails and the run is set to raise that. Everything acknowledged is safe.
    pub fn run<F, R>(self, evaluate: F) -> Result<Outcome, Error>
    where
        F: Fn(&RunningTrial) -> Result<R, BoxError> + Sync,
        R: Into<Report>,
    {
        let session = self.open()?;
        session.run(evaluate)?;
        session.close()
    }

    /// Evaluates each trial with a command; all workers share one thread. It becomes the study's: also
    /// processes that run already use it from their next trials on.
    ///
    /// # Errors
    /// As [`run`](Self::run); also when the command makes no sense for the space.
    pub fn run_command<S: AsRef<str>>(mut self, command: &[S]) -> Result<Outcome, Error> {
        let mut evaluation = self.spec.evaluation.take().unwrap_or_default();
        let (options, here) = (&self.options, std::env::current_dir().ok());
        evaluation.command = command.iter().map(|word| word.as_ref().to_string()).collect();
        evaluation.directory = here.and_then(|here| here.into_os_string().into_string().ok());
        evaluation.timeout_seconds = options.timeout_seconds;
        evaluation.grace_seconds = Some(options.kill_grace.as_secs_f64());
        evaluation.on_prune = options.on_prune;
        self.spec.evaluation = Some(evaluation);
        self.run_evaluation(&EvaluationChanges::default(), |_| ())
    }

    /// Evaluates each trial with the study's command: the one that [`evaluation`](Self::evaluation) gives
    /// it, or else the one that it has. `own` is what these workers do otherwise. Something may run
    /// alongside that needs the handle, such as a progress bar: the value that `beside` returns is dropped when
    /// the workers have ended.
    ///
    /// # Errors
    /// As [`run_command`](Self::run_command).
    pub fn run_evaluation<B>(
        mut self,
        own: &EvaluationChanges,
        beside: impl FnOnce(&StudyHandle) -> B,
    ) -> Result<Outcome, Error> {
        if self.directory.is_none() {
            let problem = "commands need a directory for their files: use `Study::builder(dir)`";
            return Err(Error::Setting(problem.into()));
        }
        if let Some(evaluation) = &self.spec.evaluation {
            let space = space_to_be(&self.spec, self.directory.as_deref(), &mut self.opened)?;
            CommandTemplate::of(evaluation, &space)?;
            evaluation.check().map_err(Error::Setting)?;
        }
        let session = self.open()?;
        let beside = beside(&session.handle());
        let result = session.run_command(own);
        drop(beside);
        result?;
        session.close()
    }

    /// Creates the study, or changes the policy of an existing one, without evaluating anything.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn create(mut self) -> Result<(), Error> {
        self.open_core().map(drop)
    }

    /// Opens the study without starting workers: the [`Session`] starts them, and its handle offers
    /// everything else.
    ///
    /// # Errors
    /// As [`run`](Self::run), but for what evaluations do.
    pub fn open(mut self) -> Result<Session, Error> {
        let mut core = self.open_core()?;
        if let Some(hook) = self.hooks.on_event.take() {
            core.on_event(hook);
        }
        Session::start(core, self.options, self.hooks.after_evaluation)
    }

    /// Whether only the study's own budget ends the workers of this run.
    pub fn is_unlimited(&self) -> bool {
        self.options.per_worker.is_unlimited()
            && self.options.per_run.is_unlimited()
            && self.options.seconds_per_worker.is_none()
    }

    fn open_core(&mut self) -> Result<StateCore, Error> {
        let opening = Opening {
            directory: self.directory.as_deref(),
            opened: self.opened.take(),
            spec: &self.spec,
            options: &self.options,
            optimizer: self.optimizer.take(),
            pruner: self.pruner.take(),
            before_sampling: self.hooks.before_sampling.take(),
            pre_load: std::mem::take(&mut self.hooks.pre_load),
        };
        opening.open()
    }
}
