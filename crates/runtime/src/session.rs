//! A session: an open study in this process and the threads that run it, from joining to leaving.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix::{Actor, Arbiter, ArbiterHandle, System};
use crossbeam_channel::Receiver;
use parking_lot::Mutex;

use super::core::StateCore;
use super::handle::{StudyHandle, ToSession};
use super::hooks::EvaluationHook;
use super::message::Shutdown;
use super::optimizer::OptimizerActor;
use super::options::RunOptions;
use super::outcome::Outcome;
use super::process_worker::ProcessWorker;
use super::published::Published;
use super::signals::{SignalGuard, SignalSlot};
use super::state::StateActor;
use super::stop_rules::{OnError, StopRules};
use super::watch::{Watch, WatchThread};
use super::worker::{Worker, WorkerContext, work_on_this_thread};
use crate::evaluate::{ProcessEvaluator, RunningTrial, StopSignal};
use trialmill_core::error::{BoxError, Error};
use trialmill_core::event::{ProcessId, worker_id};
use trialmill_core::study::{StopReason, StudyState};
use trialmill_core::trial::{Report, WorkerId};
use trialmill_store::Place;

/// An open study. It runs workers of this process any number of times; [`close`](Self::close) leaves
/// the study cleanly.
pub struct Session {
    handle: StudyHandle,
    process: ProcessId,
    context: Arc<WorkerContext>,
    rules: StopRules,
    /// Why the last run ended.
    reason: Mutex<StopReason>,
    signals: Arc<SignalSlot>,
    system: Option<SystemThread>,
    watch: Option<WatchThread>,
}

/// The thread of actix's system; only the state actor runs on it.
struct SystemThread {
    thread: JoinHandle<()>,
    system: System,
    commands: ArbiterHandle,
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
        let process = core.join()?;
        // Before any worker asks: otherwise the budget looks used up, and a run that does not wait
        // for others would leave while the commands of a dead process are still being killed.
        core.recover()?;
        let rules = StopRules::new(
            core.study(),
            options.on_error,
            options.wait_for_others,
            options.give_up_after,
        );
        let published = Arc::new(Published::default());
        published.set(core.study(), process, 0);
        let (watcher, presence) = (core.watcher(), core.presence());
        let directory = core.directory().cloned();
        let place = directory.as_ref().map(|directory| Place::of(directory.path()));
        let space = core.study().definition().space.clone();
        let (system, state) = start_system(core, rules.clone(), published.clone())?;
        let exchange = ToSession { state, published, directory: directory.clone() };
        let handle = StudyHandle { exchange };
        let context = WorkerContext {
            options,
            after_evaluation,
            space,
            directory: directory.clone(),
            place: place.clone(),
            handle: handle.clone(),
            stop: Arc::new(StopSignal::default()),
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
        };
        watch.poll()?;
        let watch = watch.start().map_err(Error::Thread)?;
        Ok(Session {
            handle,
            process,
            context: Arc::new(context),
            rules,
            reason: Mutex::new(StopReason::Closed),
            signals,
            system: Some(system),
            watch: Some(watch),
        })
    }

    /// A handle on the study while it is open.
    pub fn handle(&self) -> StudyHandle {
        self.handle.clone()
    }

    /// The name of worker `number` of this process, for callers that drive workers of their own.
    pub fn worker_id(&self, number: usize) -> WorkerId {
        worker_id(self.process, number)
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
        let evaluate = &evaluate;
        let reasons = std::thread::scope(|scope| {
            let mut threads = Vec::with_capacity(self.context.options.workers);
            for number in 1..=self.context.options.workers {
                let worker = self.worker(number);
                let spawned = std::thread::Builder::new()
                    .name(worker_id(self.process, number).to_string())
                    .spawn_scoped(scope, move || self.drive(worker, evaluate));
                match spawned {
                    Ok(thread) => threads.push(thread),
                    Err(error) => {
                        self.context.stop.stop();
                        return Err(Error::Thread(error));
                    }
                }
            }
            let ended = threads.into_iter().map(|thread| {
                let died = || Error::StateLost("a worker thread panicked".into());
                thread.join().unwrap_or_else(|_| Err(died()))
            });
            Ok(ended.collect::<Vec<_>>())
        })?;
        self.finish(reasons)
    }

    fn drive<R: Into<Report>>(
        &self,
        worker: Worker,
        evaluate: impl Fn(&RunningTrial) -> Result<R, BoxError>,
    ) -> Result<StopReason, Error> {
        let result = work_on_this_thread(worker, &self.handle, evaluate);
        if result.is_err() {
            self.context.stop.stop();
        }
        result
    }

    /// Runs the workers with a command per trial; all of them share one thread.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_command(&self, evaluator: ProcessEvaluator) -> Result<StopReason, Error> {
        let _signals = self.mind_signals();
        raise_open_files_limit();
        let objectives = self.handle.with_study(|study| study.definition().objectives.clone())?;
        let evaluator = Arc::new(evaluator.objectives(objectives));
        let (done, ended) = crossbeam_channel::unbounded();
        let system = self.system.as_ref().ok_or_else(|| Error::StateLost("it is closed".into()))?;
        for number in 1..=self.context.options.workers {
            let actor = ProcessWorker {
                worker: Some(self.worker(number)),
                handle: self.handle.clone(),
                evaluator: evaluator.clone(),
                done: done.clone(),
            };
            system.commands.spawn_fn(move || drop(actor.start()));
        }
        drop(done);
        self.finish(collect(&ended, self.context.options.workers, &self.context.stop))
    }

    /// Until the returned value is dropped, the first Ctrl-C ends the run cleanly.
    fn mind_signals(&self) -> Option<Minded<'_>> {
        self.context.options.ctrl_c.then(|| {
            *self.signals.lock() = SignalGuard::new();
            Minded(&self.signals)
        })
    }

    fn worker(&self, number: usize) -> Worker {
        Worker::new(worker_id(self.process, number), self.context.clone())
    }

    /// Combines the results of all workers into one.
    fn finish(&self, ended: Vec<Result<StopReason, Error>>) -> Result<StopReason, Error> {
        if let Some(cause) = self.handle.published().take_error() {
            return Err(cause);
        }
        let reasons = ended.into_iter().collect::<Result<Vec<_>, _>>()?;
        let (rules, on_error) = (self.rules.clone(), self.context.options.on_error);
        let error =
            self.handle.with_study(move |study| evaluation_error(study, &rules, on_error))?;
        if let Some(error) = error {
            return Err(error);
        }
        let first = [StopReason::Interrupted, StopReason::Error];
        let reason = first.into_iter().find(|reason| reasons.contains(reason));
        let reason = reason.or(reasons.last().copied()).unwrap_or(StopReason::Finished);
        *self.reason.lock() = reason;
        Ok(reason)
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
        let SystemThread { thread, system, commands } = self.system.take()?;
        let (done, ended) = crossbeam_channel::bounded(1);
        self.handle.exchange.state.do_send(Shutdown(done));
        let study = ended.recv().ok();
        commands.stop();
        system.stop();
        let _ = thread.join();
        study
    }
}

/// Handles signals for as long as it lives.
struct Minded<'a>(&'a SignalSlot);

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
        let commands = runner.block_on(async { Arbiter::new().handle() });
        let system = runner.block_on(async { System::current() });
        if started.send((addr, commands, system)).is_ok() {
            let _ = runner.run();
        }
    };
    let thread = std::thread::Builder::new()
        .name("trialmill-state".into())
        .spawn(body)
        .map_err(Error::Thread)?;
    let (addr, commands, system) =
        start.recv().map_err(|_| Error::StateLost("its thread could not start".into()))?;
    Ok((SystemThread { thread, system, commands }, addr))
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
                if result.is_err() {
                    stop.stop();
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
fn raise_open_files_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::debug!("the limit of open files stays at {soft}: {error}");
    }
}
