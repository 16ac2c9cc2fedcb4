//! A running trial, as its evaluation sees it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use crate::StepOutcome;
use crate::handle::StudyHandle;
use trialmill_core::config::Config;
use trialmill_core::error::{Error, StoreError};
use trialmill_core::trial::{Objective, Trial, TrialId};
use trialmill_store::{Place, plain};

/// Tells all workers of the process that the run is to stop.
#[derive(Debug)]
pub struct StopSignal {
    stopped: AtomicBool,
    /// Set by the handler of a signal, before anybody has looked at it.
    signalled: OnceLock<Arc<AtomicBool>>,
    since: OnceLock<SystemTime>,
    draining: AtomicBool,
    tasks: tokio::sync::watch::Sender<bool>,
    impatient: tokio::sync::watch::Sender<bool>,
}

impl Default for StopSignal {
    fn default() -> Self {
        StopSignal {
            stopped: AtomicBool::new(false),
            signalled: OnceLock::new(),
            since: OnceLock::new(),
            draining: AtomicBool::new(false),
            tasks: tokio::sync::watch::Sender::new(false),
            impatient: tokio::sync::watch::Sender::new(false),
        }
    }
}

impl StopSignal {
    /// Stop.
    pub fn stop(&self) {
        self.since();
        self.stopped.store(true, Ordering::Release);
        self.tasks.send_replace(true);
    }

    /// Stop, and kill commands that do not end at once.
    pub fn stop_without_grace(&self) {
        self.stop();
        self.impatient.send_replace(true);
    }

    /// Whether to stop.
    pub fn is_stopped(&self) -> bool {
        let signalled = || self.signalled.get().is_some_and(|flag| flag.load(Ordering::Acquire));
        self.stopped.load(Ordering::Acquire) || signalled()
    }

    /// Also stops when this is set: by a signal's handler, at once.
    pub(crate) fn listen(&self, flag: Arc<AtomicBool>) {
        let _ = self.signalled.set(flag);
    }

    /// When it was first noticed that this is to stop; now, if it never was.
    pub(crate) fn since(&self) -> SystemTime {
        *self.since.get_or_init(SystemTime::now)
    }

    /// Begin nothing more, but let what runs end by itself.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether nothing more is to begin.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Waits until it is time to stop.
    pub(crate) async fn stopped(&self) {
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = self.tasks.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Waits until there is no more grace.
    pub(crate) async fn out_of_patience(&self) {
        let _ = self.impatient.subscribe().wait_for(|impatient| *impatient).await;
    }
}

/// The directories of a study and its trials. Paths are built on demand: most closures need none, and
/// building them costs as much as everything else that a worker does.
pub(crate) struct TrialPaths {
    pub(crate) study: PathBuf,
    /// The study's directory as it was when this session began.
    pub(crate) place: Place,
    pub(crate) of_trial: Box<dyn Fn(&TrialId) -> PathBuf + Send + Sync>,
}

impl std::fmt::Debug for TrialPaths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.study.fmt(f)
    }
}

/// A trial while it is evaluated. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RunningTrial(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    trial: Trial,
    paths: Option<Arc<TrialPaths>>,
    dir: OnceLock<PathBuf>,
    previous_dir: OnceLock<PathBuf>,
    /// The number of its worker in this process, from 0.
    worker: usize,
    began: Instant,
    /// When its command was started, and when it had ended.
    started: OnceLock<Instant>,
    ended: OnceLock<Instant>,
    timeout: Option<Duration>,
    stop: Arc<StopSignal>,
    study: ToStudy,
    said: Said,
}

/// Where the steps go.
pub(crate) struct ToStudy(pub(crate) StudyHandle);

impl fmt::Debug for ToStudy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToStudy")
    }
}

/// What was answered to the steps of this attempt.
#[derive(Debug, Default)]
struct Said {
    stepped: AtomicBool,
    prune: AtomicBool,
    superseded: AtomicBool,
}

impl RunningTrial {
    /// Begins an evaluation now.
    pub(crate) fn begin(
        trial: Trial,
        worker: usize,
        paths: Option<Arc<TrialPaths>>,
        timeout: Option<Duration>,
        stop: Arc<StopSignal>,
        study: StudyHandle,
    ) -> Self {
        RunningTrial(Arc::new(Inner {
            trial,
            paths,
            dir: OnceLock::new(),
            previous_dir: OnceLock::new(),
            worker,
            began: Instant::now(),
            started: OnceLock::new(),
            ended: OnceLock::new(),
            timeout,
            stop,
            study: ToStudy(study),
            said: Said::default(),
        }))
    }

    /// What to evaluate.
    pub fn config(&self) -> &Config {
        &self.0.trial.config
    }

    /// Its id in the study.
    pub fn id(&self) -> &TrialId {
        &self.0.trial.id
    }

    /// Which attempt at it this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.0.trial.attempts
    }

    /// Which of this process's workers evaluates it: from 0 to one less than there are. No two trials
    /// have the same at a time, so it can choose a GPU or a port.
    pub fn worker(&self) -> usize {
        self.0.worker
    }

    /// Everything stored about it so far.
    pub fn trial(&self) -> &Trial {
        &self.0.trial
    }

    /// Its own directory, for checkpoints and logs; created on the first call. It survives the
    /// death of the process, so a later attempt finds what an earlier one left.
    ///
    /// # Errors
    /// It cannot be created, or the study is in memory.
    pub fn dir(&self) -> io::Result<&Path> {
        let paths = self.0.paths.as_ref().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::Unsupported,
                "a study in memory has no directories; give it one with `Study::builder`",
            )
        })?;
        let dir = self.0.dir.get_or_init(|| (paths.of_trial)(self.id()));
        // A study that was moved must not be made again under its old name.
        paths.place.check().map_err(io::Error::other)?;
        plain::create_dir(dir, 2)?;
        Ok(dir)
    }

    /// Checks that the study's directory is still the one that the session began in.
    pub(crate) fn check_place(&self) -> Result<(), StoreError> {
        self.0.paths.as_ref().map_or(Ok(()), |paths| paths.place.check())
    }

    /// The directory of the trial that this one continues, if it continues one.
    pub fn previous_dir(&self) -> Option<&Path> {
        let paths = self.0.paths.as_ref()?;
        let previous = self.0.trial.metadata.previous_trial_id.as_ref()?;
        Some(self.0.previous_dir.get_or_init(|| (paths.of_trial)(previous)))
    }

    /// The study's directory; `None` for a study in memory.
    pub fn study_dir(&self) -> Option<&Path> {
        self.0.paths.as_ref().map(|paths| &*paths.study)
    }

    /// Whether the evaluation should end: the run stops, the trial's time is up, or it was given to
    /// somebody else. A thread cannot be killed, so a long evaluation should check this now and then,
    /// and return an error if it is true.
    pub fn should_stop(&self) -> bool {
        let superseded = self.0.said.superseded.load(Ordering::Relaxed);
        superseded || self.0.stop.is_stopped() || self.is_timed_out()
    }

    /// Reports the value at a step, an epoch or a fold, say: together they are the trial's learning
    /// curve, which every process sees at once. It is the value that will be the objective at the end,
    /// or all of them. The first value of a step counts.
    ///
    /// It returns when the value is stored. A power cut may take values that no synced result has
    /// followed yet; then the next attempt reports them again.
    ///
    /// # Errors
    /// The state is gone, or there are too many steps: more than a million in one attempt.
    pub fn report_step(&self, step: u64, value: impl Into<Objective>) -> Result<(), Error> {
        let outcome = self.study().report_step(self.id(), Some(self.attempt()), step, value)?;
        self.hear(&outcome);
        Ok(())
    }

    /// Remembers what was answered to its steps.
    pub(crate) fn hear(&self, outcome: &StepOutcome) {
        let said = &self.0.said;
        let flag = match outcome {
            StepOutcome::Continue => &said.stepped,
            StepOutcome::Prune => &said.prune,
            StepOutcome::Superseded { .. } => &said.superseded,
        };
        flag.store(true, Ordering::Relaxed);
    }

    /// Whether the study's pruner said at a reported step that the evaluation should end, because others
    /// were better there: then return [`Report::pruned`](trialmill_core::trial::Report::pruned).
    pub fn should_prune(&self) -> bool {
        self.0.said.prune.load(Ordering::Relaxed)
    }

    /// Whether it has reported steps.
    pub(crate) fn has_stepped(&self) -> bool {
        self.0.said.stepped.load(Ordering::Relaxed) || self.should_prune()
    }

    pub(crate) fn study(&self) -> &StudyHandle {
        &self.0.study.0
    }

    /// Whether the trial's time is up.
    pub fn is_timed_out(&self) -> bool {
        self.0.timeout.is_some_and(|timeout| self.0.began.elapsed() >= timeout)
    }

    /// The trial's time limit.
    pub fn timeout(&self) -> Option<Duration> {
        self.0.timeout
    }

    /// How long it has been running.
    pub fn elapsed(&self) -> Duration {
        let began = *self.0.started.get().unwrap_or(&self.0.began);
        self.0.ended.get().map_or_else(|| began.elapsed(), |end| end.duration_since(began))
    }

    /// Its command was started: what it waited for before was not its own.
    pub(crate) fn begins(&self) {
        let _ = self.0.started.set(Instant::now());
    }

    /// Its command has ended.
    pub(crate) fn ends(&self) {
        let _ = self.0.ended.set(Instant::now());
    }

    pub(crate) fn stop_signal(&self) -> &Arc<StopSignal> {
        &self.0.stop
    }
}
