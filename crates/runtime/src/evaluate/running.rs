//! A running trial, as its evaluation sees it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::stop_signal::StopSignal;
use crate::StepOutcome;
use crate::handle::StudyHandle;
use trialmill_core::config::Config;
use trialmill_core::error::{Error, StoreError};
use trialmill_core::evaluation::Evaluation;
use trialmill_core::trial::{Objective, Trial, TrialId};
use trialmill_store::{Place, plain};

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
    /// What its command is, where it is one.
    evaluation: Option<Arc<Evaluation>>,
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
        evaluation: Option<Arc<Evaluation>>,
        timeout: Option<Duration>,
        stop: Arc<StopSignal>,
        study: StudyHandle,
    ) -> Self {
        let timeout = evaluation.as_ref().map_or(timeout, |evaluation| evaluation.timeout());
        RunningTrial(Arc::new(Inner {
            trial,
            paths,
            dir: OnceLock::new(),
            previous_dir: OnceLock::new(),
            worker,
            evaluation,
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

    /// The evaluation by a command that it has, with its number.
    pub(crate) fn evaluation(&self) -> Option<(u32, &Evaluation)> {
        self.0.trial.metadata.evaluation.zip(self.0.evaluation.as_deref())
    }

    /// The span of its evaluation, which what the evaluation logs belongs to.
    pub(crate) fn span(&self) -> tracing::Span {
        let worker = self.0.trial.metadata.evaluating_worker_id.as_deref().unwrap_or_default();
        tracing::info_span!("trial", id = %self.id(), attempt = self.attempt(), worker)
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

    /// Notes something about this trial, for people and other programs; see
    /// [`Client::note`](crate::Client::note).
    ///
    /// # Errors
    /// The state is gone, or the trial's notes would take more than 64 KiB together.
    pub fn note(
        &self,
        name: impl Into<String>,
        note: impl Into<serde_json::Value>,
    ) -> Result<(), Error> {
        self.study().note(self.id(), [(name, note)])
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

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex};

    use super::*;
    use crate::StudyBuilder;
    use trialmill_core::space::{Parameter, SearchSpace};

    fn study() -> StudyBuilder {
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        StudyBuilder::in_memory().space(space).ctrl_c(false)
    }

    /// What it had waited for before, and its tidying after, was charged to a command.
    #[test]
    fn a_command_s_time_is_from_its_start_to_its_end() {
        let session = study().open().unwrap();
        let handle = session.handle();
        let trial = handle.sample(1).unwrap().into_trials().remove(0);
        let stop = Arc::new(StopSignal::default());
        let running = RunningTrial::begin(trial, 0, None, None, None, stop, handle);
        std::thread::sleep(Duration::from_millis(100));
        let waited = running.elapsed();
        assert!(waited >= Duration::from_millis(100), "nothing was started yet: {waited:?}");
        let before = Instant::now();
        running.begins();
        running.ends();
        let (elapsed, at_most) = (running.elapsed(), before.elapsed());
        assert!(elapsed <= at_most, "{elapsed:?} of {at_most:?}");
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!(running.elapsed(), elapsed, "it has ended");
    }

    /// Two evaluations on one GPU.
    #[test]
    fn no_two_evaluations_at_a_time_have_the_same_worker() {
        let (all, seen) = (Barrier::new(3), Mutex::new(Vec::new()));
        let session = study().workers(3).max_evaluations(3).open().unwrap();
        let evaluate = |trial: &RunningTrial| {
            all.wait();
            seen.lock().unwrap().push(trial.worker());
            Ok(1.0)
        };
        session.run(evaluate).unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
    }
}
