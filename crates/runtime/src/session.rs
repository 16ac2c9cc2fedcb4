//! A session: an open study in this process and the threads that run it, from joining to leaving.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use actix::{Actor, Arbiter, ArbiterHandle, System};
use crossbeam_channel::{Receiver, Sender};
use parking_lot::Mutex;

use super::actor::OwnWorker;
use super::allowance::Allowance;
use super::chosen::choose;
use super::core::StateCore;
use super::enlisted::Enlisted;
use super::handle::{StudyHandle, ToSession};
use super::hooks::EvaluationHook;
use super::membership::Membership;
use super::message::Shutdown;
use super::optimizer::OptimizerActor;
use super::options::RunOptions;
use super::outcome::Outcome;
use super::published::Published;
use super::signals::{SignalGuard, SignalSlot, hear_of_children};
use super::slot_claims::SlotClaim;
use super::slots::Shares;
use super::spec::EvaluationChanges;
use super::state::StateActor;
use super::stop_rules::{OnError, StopRules, Streak};
use super::summary_keeper::SummaryKeeper;
use super::watch::{Watch, WatchThread};
use super::worker::{Worker, WorkerContext};
use super::worker_actor::{Hands, WorkerActor, work_on_this_thread};
use crate::evaluate::{
    AsyncClosure, Evaluate, ProcessEvaluator, RunningTrial, StopSignal, evaluate_fenced,
};
use trialmill_core::error::{BoxError, Error};
use trialmill_core::evaluation::Which;
use trialmill_core::event::{ProcessId, worker_id};
use trialmill_core::limits::{MIN_FREE_DESCRIPTORS, WATCH_POLL};
use trialmill_core::study::{Command, StopReason, StudyState};
use trialmill_core::trial::Report;
use trialmill_store::Place;

/// An open study. It runs workers of this process any number of times; [`close`](Self::close) leaves
/// the study cleanly.
pub struct Session {
    handle: StudyHandle,
    process: ProcessId,
    enlisted: Enlisted,
    context: Arc<WorkerContext>,
    rules: StopRules,
    /// Why the last run ended.
    reason: Mutex<StopReason>,
    signals: Arc<SignalSlot>,
    system: Option<SystemThread>,
    watch: Option<WatchThread>,
    summary: Option<SummaryKeeper>,
}

/// The thread of actix's system; only the state actor runs on it.
struct SystemThread {
    thread: JoinHandle<()>,
    system: System,
    /// Where the worker actors are, and commands and async closures are evaluated.
    workers: ArbiterHandle,
}

impl Session {
    /// Joins the study and starts its threads.
    pub(super) fn start(
        mut core: StateCore,
        options: RunOptions,
        after_evaluation: Option<EvaluationHook>,
    ) -> Result<Self, Error> {
        if after_evaluation.is_some() {
            core.show_reported();
        }
        if core.directory().is_some() {
            raise_open_files_limit()?;
        }
        if let Some((most, name)) = core.parallelism().filter(|(most, _)| options.workers > *most) {
            tracing::warn!(
                "{} workers, but {name} knows what to make of {most} evaluations at once; of more it knows \
                 nothing, and they may be nearly the same: take fewer workers, or tpe or random_search",
                options.workers
            );
        }
        let process = core.join_as(options.worker_id.as_deref())?;
        // Before any worker asks: otherwise the budget looks used up, and a run that does not wait
        // for others would leave while the commands of a dead process are still being killed.
        core.recover()?;
        let enlisted = Enlisted::beyond(options.workers);
        let stop = Arc::new(StopSignal::default());
        let rules = StopRules::new(
            core.study(),
            options.on_error,
            options.wait_for_others,
            options.give_up_after,
            enlisted.clone(),
            stop.clone(),
        );
        let published = Arc::new(Published::default());
        published.set(core.study(), process, 0);
        let (watcher, presence) = (core.watcher(), core.presence());
        let directory = core.directory().cloned().map(Arc::new);
        let place = directory.as_ref().map(|directory| Place::of(directory.path()));
        let space = core.study().definition().space.clone();
        let (system, state) = start_system(core, rules.clone(), published.clone())?;
        let exchange = ToSession { state, published, directory: directory.clone() };
        let handle = StudyHandle { exchange };
        let summary = SummaryKeeper::start(directory.as_ref(), &handle).map_err(Error::Thread)?;
        let context = WorkerContext {
            allowance: Allowance::new(options.per_run),
            options,
            after_evaluation,
            space,
            curve_is_objective: directory.as_ref().is_some_and(|d| d.layout().curve_is_objective()),
            directory: directory.clone(),
            place: place.clone(),
            handle: handle.clone(),
            stop,
            streak: Streak::default(),
            lately: Arc::default(),
            gave_up: OnceLock::new(),
            is_stuck: AtomicBool::new(false),
        };
        let signals = Arc::new(SignalSlot::default());
        let mut watch = Watch {
            handle: handle.clone(),
            watcher,
            directory,
            place,
            presence,
            stop: context.stop.clone(),
            signals: signals.clone(),
            until: context.options.until,
            lately: context.lately.clone(),
            has_said: false,
        };
        watch.poll()?;
        let watch = watch.start().map_err(Error::Thread)?;
        Ok(Session {
            handle,
            process,
            enlisted,
            context: Arc::new(context),
            rules,
            reason: Mutex::new(StopReason::Closed),
            signals,
            system: Some(system),
            watch: Some(watch),
            summary,
        })
    }

    /// A handle on the study while it is open.
    pub fn handle(&self) -> StudyHandle {
        self.handle.clone()
    }

    /// The number of this process in the study.
    pub(crate) fn process(&self) -> ProcessId {
        self.process
    }

    /// Enlists a worker of your own: an actor, a task or a thread that asks and reports by itself
    /// (see [`actor`](crate::actor)).
    pub fn enlist(&self) -> OwnWorker {
        let id = worker_id(self.process, self.enlisted.next());
        let membership = Membership::new(id.clone(), self.handle());
        OwnWorker::new(membership, Worker::new(id, self.context.clone()))
    }

    /// Tells all workers of this process to stop; trials that they cannot finish are released.
    pub fn stop_signal(&self) -> Arc<StopSignal> {
        self.context.stop.clone()
    }

    /// Runs the workers with a closure, each on a thread of its own, until the study, the budget or
    /// Ctrl-C ends the run. Returns why it ended.
    ///
    /// # Errors
    /// The state is lost, or the optimizer fails; also errors of evaluations, if the run is set to
    /// raise them.
    pub fn run<F, R>(&self, evaluate: F) -> Result<StopReason, Error>
    where
        F: Fn(&RunningTrial) -> Result<R, BoxError> + Sync,
        R: Into<Report>,
    {
        let _signals = self.mind_signals();
        self.context.allowance.renew();
        let evaluate = &evaluate;
        let (done, ended) = crossbeam_channel::unbounded();
        let arbiter = &self.system()?.workers;
        let reasons = std::thread::scope(|scope| {
            for number in 1..=self.context.options.workers {
                let (jobs, thread) = crossbeam_channel::bounded(1);
                std::thread::Builder::new()
                    .name(worker_id(self.process, number).to_string())
                    .spawn_scoped(scope, move || {
                        work_on_this_thread(&thread, |trial| evaluate_fenced(evaluate, trial));
                    })
                    .map_err(|error| {
                        self.context.stop.stop();
                        Error::Thread(error)
                    })?;
                self.start_worker(arbiter, number, (Hands::Thread(jobs), None), &done);
            }
            drop(done);
            Ok::<_, Error>(collect(&ended, self.context.options.workers, &self.context.stop))
        })?;
        self.finish(reasons)
    }

    /// Runs the workers with an async closure; all of them share one thread, so thousands may wait
    /// at once, and none may block. Where an evaluation waits, it is stopped at its time limit, and
    /// when the run stops; then its trial is released.
    ///
    /// ```no_run
    /// use trialmill::{Parameter, SearchSpace, Study};
    /// # async fn served(_: f64) -> Result<f64, trialmill::BoxError> { Ok(0.0) }
    /// let session = Study::builder("runs/example")
    ///     .space(SearchSpace::new([("temperature", Parameter::float(0.0, 2.0))])?)
    ///     .workers(1000)
    ///     .max_evaluations(10_000)
    ///     .open()?;
    /// session.run_async(|trial| async move { served(trial.config().float("temperature")?).await })?;
    /// println!("{}", session.close()?);
    /// # Ok::<(), trialmill::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_async<F, R, E>(&self, evaluate: F) -> Result<StopReason, Error>
    where
        F: Fn(RunningTrial) -> E + Send + Sync + 'static,
        E: Future<Output = Result<R, BoxError>> + 'static,
        R: Into<Report>,
    {
        self.run_tasks(Arc::new(AsyncClosure(evaluate)), None)
    }

    /// Runs the workers with the study's command per trial, and with what `own` says otherwise; all of them
    /// share one thread. A change of the study's evaluation counts from their next trials on.
    ///
    /// # Errors
    /// As [`run`](Self::run); the study has no command, or it makes no sense for the space.
    pub fn run_command(&self, own: &EvaluationChanges) -> Result<StopReason, Error> {
        let which = choose(&self.handle, own)?;
        hear_of_children();
        let objectives = self.handle.with_study(|study| study.definition().objectives.clone())?;
        let options = &self.context.options;
        let shares = Shares::of(&options.slots, options.workers)?;
        let _claim = SlotClaim::take(&options.slots, &shares.slots());
        let evaluator = ProcessEvaluator::new(self.context.space.clone(), objectives, shares);
        self.system()?.workers.spawn(evaluator.housekeeping());
        self.run_tasks(Arc::new(evaluator), Some(which))
    }

    fn run_tasks(
        &self,
        evaluator: Arc<dyn Evaluate>,
        which: Option<Which>,
    ) -> Result<StopReason, Error> {
        let _signals = self.mind_signals();
        self.context.allowance.renew();
        let (done, ended) = crossbeam_channel::unbounded();
        let arbiter = &self.system()?.workers;
        for number in 1..=self.context.options.workers {
            self.start_worker(arbiter, number, (Hands::Task(evaluator.clone()), which), &done);
        }
        drop(done);
        self.finish(collect(&ended, self.context.options.workers, &self.context.stop))
    }

    fn start_worker(
        &self,
        arbiter: &ArbiterHandle,
        number: usize,
        (hands, which): (Hands, Option<Which>),
        done: &Sender<Result<StopReason, Error>>,
    ) {
        let id = worker_id(self.process, number);
        let membership = Membership::new(id.clone(), self.handle());
        let worker = Worker::new(id, self.context.clone()).evaluating(which);
        let actor = WorkerActor::new(worker, membership, hands, done.clone());
        arbiter.spawn_fn(move || drop(actor.start()));
    }

    fn system(&self) -> Result<&SystemThread, Error> {
        self.system.as_ref().ok_or(Error::Closed)
    }

    /// Until the returned value is dropped, the first Ctrl-C ends the run cleanly.
    pub(crate) fn mind_signals(&self) -> Option<Minded<'_>> {
        self.context.options.ctrl_c.then(|| {
            let guard = SignalGuard::new();
            if let Some(guard) = &guard {
                self.context.stop.listen(guard.asked());
            }
            *self.signals.lock() = guard;
            Minded(&self.signals)
        })
    }

    /// Combines the results of all workers into one.
    fn finish(&self, ended: Vec<Result<StopReason, Error>>) -> Result<StopReason, Error> {
        if let Some(cause) = self.handle.published().take_error() {
            return Err(cause);
        }
        self.wait_for_a_stop_that_follows();
        let reasons = ended.into_iter().collect::<Result<Vec<_>, _>>()?;
        let stop = &self.context.stop;
        let gave_up = self.context.gave_up.get().filter(|_| !stop.is_stopped()).cloned();
        if let Some((errors, ..)) = &gave_up {
            // It is known then which machine lacked something.
            let _ = self.handle.exchange(vec![Command::GiveUp(self.process, *errors)]);
        }
        let (rules, on_error) = (self.rules.clone(), self.context.options.on_error);
        let error =
            self.handle.with_study(move |study| evaluation_error(study, &rules, on_error))?;
        if let Some(error) = error {
            return Err(error);
        }
        if let Some((errors, id, message)) = gave_up {
            return Err(Error::ErrorsInARow { errors, id, message });
        }
        let first = [StopReason::Interrupted, StopReason::Stopped, StopReason::Error];
        let reason = first.into_iter().find(|reason| reasons.contains(reason));
        let reason = reason.or(reasons.last().copied()).unwrap_or(StopReason::Finished);
        *self.reason.lock() = reason;
        Ok(reason)
    }

    /// The last commands may have ended by a signal to all processes of a job that has not reached this one
    /// yet.
    fn wait_for_a_stop_that_follows(&self) {
        let (lately, stop) = (&self.context.lately, &self.context.stop);
        while let Some(left) = lately.settles_in().filter(|_| !stop.is_stopped()) {
            std::thread::sleep(left.min(WATCH_POLL));
        }
        if stop.is_stopped() {
            lately.hand_back(&self.handle);
        }
    }

    /// Leaves the study cleanly and returns its final state.
    ///
    /// # Errors
    /// The last commit failed, or the state was already lost.
    pub fn close(mut self) -> Result<Outcome, Error> {
        let study = self.shut_down();
        if let Some(cause) = self.handle.published().take_error() {
            return Err(cause);
        }
        let study = study.ok_or_else(|| Error::StateLost("the state actor has ended".into()))?;
        let directory = self.context.directory.as_ref().map(|d| d.path().to_path_buf());
        let reason = *self.reason.lock();
        Ok(Outcome::new(study, reason, directory))
    }

    fn shut_down(&mut self) -> Option<StudyState> {
        // End the watcher first: from then on we declare no process dead, and still hold our own
        // lock.
        drop(self.watch.take());
        let SystemThread { thread, system, workers } = self.system.take()?;
        let (done, ended) = crossbeam_channel::bounded(1);
        let leaves = !self.context.is_stuck.load(Ordering::Acquire);
        self.handle.exchange.state.do_send(Shutdown { done, leaves });
        let study = ended.recv().ok();
        workers.stop();
        system.stop();
        let _ = thread.join();
        if let Some(summary) = self.summary.take() {
            summary.end(study.as_ref());
        }
        study
    }
}

/// Handles signals for as long as it lives.
pub(crate) struct Minded<'a>(&'a SignalSlot);

impl Drop for Minded<'_> {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.shut_down();
    }
}

fn start_system(
    mut core: StateCore,
    rules: StopRules,
    published: Arc<Published>,
) -> Result<(SystemThread, actix::Addr<StateActor>), Error> {
    let (started, start) = crossbeam_channel::bounded(1);
    let body = move || {
        let runner = System::new();
        let addr = runner.block_on(async {
            let slow = core.take_slow_optimizer().map(|optimizer| {
                let actor = OptimizerActor::new(optimizer, core.study().definition().clone());
                OptimizerActor::start_in_arbiter(&Arbiter::new().handle(), move |_| actor)
            });
            StateActor::new(core, rules, published, slow).start()
        });
        let workers = runner.block_on(async { Arbiter::new().handle() });
        let system = runner.block_on(async { System::current() });
        if started.send((addr, workers, system)).is_ok() {
            let _ = runner.run();
        }
    };
    let thread = std::thread::Builder::new()
        .name("trialmill-state".into())
        .spawn(body)
        .map_err(Error::Thread)?;
    let (addr, workers, system) =
        start.recv().map_err(|_| Error::StateLost("its thread could not start".into()))?;
    Ok((SystemThread { thread, system, workers }, addr))
}

fn collect(
    ended: &Receiver<Result<StopReason, Error>>,
    workers: usize,
    stop: &StopSignal,
) -> Vec<Result<StopReason, Error>> {
    let mut reasons = Vec::with_capacity(workers);
    while reasons.len() < workers {
        match ended.recv_timeout(Duration::from_hours(1)) {
            Ok(result) => {
                match &result {
                    Err(Error::NotStarted(_)) => stop.drain(),
                    // One was told that there is no trial for it. The others have theirs.
                    Err(Error::Study(_)) => stop.ask_no_more(),
                    Err(_) => stop.stop(),
                    Ok(_) => {}
                }
                reasons.push(result);
            }
            Err(crossbeam_channel::RecvTimeoutError::Timeout) => {}
            Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                reasons.push(Err(Error::StateLost("a worker actor died".into())));
                stop.stop();
                break;
            }
        }
    }
    reasons
}

fn evaluation_error(study: &StudyState, rules: &StopRules, on_error: OnError) -> Option<Error> {
    let errors = rules.errors(study);
    let last = study.last_error().filter(|_| errors > 0)?;
    let failure = last.report.as_ref().and_then(|report| report.failure.as_ref());
    let message = failure.map_or_else(|| "no reason given".into(), |f| f.err.clone());
    let id = last.id.clone();
    if on_error.raises() {
        Some(Error::Evaluation { id, message })
    } else if rules.nothing_succeeds(study) {
        Some(Error::NothingSucceeds { errors, id, message })
    } else {
        None
    }
}

/// Raises the soft limit of open files: a child takes some descriptors while it starts and runs, and
/// a thousand children take more than the usual limit.
///
/// # Errors
/// The limit is so low that not even the study's own files could be opened.
fn raise_open_files_limit() -> Result<(), Error> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let Ok((mut soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    if soft < hard {
        match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
            Ok(()) => soft = hard,
            Err(error) => tracing::debug!("the limit of open files stays at {soft}: {error}"),
        }
    }
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, |open| open.count() as u64);
    let needed = open + MIN_FREE_DESCRIPTORS;
    match soft < needed {
        true => Err(Error::Setting(format!(
            "the limit of open files (`ulimit -n`) is {soft}, and a process of workers needs {needed} at \
             least, and more for each worker"
        ))),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
