//! Evaluations by a command per trial, in any language.
//!
//! The configuration reaches the command as templated arguments, as environment variables
//! (`TRIALMILL_PARAM_<name>`) and as a JSON file (`TRIALMILL_CONFIG`). Its result is the file that
//! `TRIALMILL_RESULT` names, or else the last line of its standard output. What it prints is kept with
//! the attempt's files. What it reports before its end is in `progress.rs`. `docs/commands.md` is the
//! contract.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::household::Household;
use super::judge::{crashed, judge};
use super::kill::Family;
use super::output::Output;
use super::recipe::{Recipe, Recipes};
use super::run_clock::RunClock;
use super::setup::{NotStarted, SetUp, pauses};
use super::spare_files::SpareFiles;
use super::start::start;
use super::{Ended, RunningTrial, progress};
use crate::slots::Shares;
use trialmill_core::error::StoreError;
use trialmill_core::evaluation::OnPrune;
use trialmill_core::limits::{HOUSEKEEPING, LOG_CHECK, STOP_FOLLOWS};
use trialmill_core::objectives::Objectives;
use trialmill_core::space::SearchSpace;
use trialmill_core::trial::Report;
use trialmill_store::AttemptFiles;

/// Runs a command per trial. Thousands may run at once; none needs a thread.
#[derive(Debug, Clone)]
pub(crate) struct ProcessEvaluator {
    objectives: Objectives,
    recipes: Arc<Recipes>,
    shared: Arc<Shared>,
}

/// What all commands of this process share while they run.
#[derive(Debug)]
struct Shared {
    household: Household,
    set_up: SetUp,
    clock: RunClock,
    spare: SpareFiles,
    shares: Shares,
}

/// What ended a command.
enum Cause {
    Itself(io::Result<ExitStatus>),
    Limit,
    /// The pruner says that it is not worth its time.
    Pruned,
    Stop,
}

impl ProcessEvaluator {
    /// Evaluates each trial with the command that it names, of a study with this space and these objectives;
    /// each worker's commands have its share.
    pub(crate) fn new(space: Arc<SearchSpace>, objectives: Objectives, shares: Shares) -> Self {
        ProcessEvaluator {
            objectives,
            recipes: Arc::new(Recipes::new(space)),
            shared: Arc::new(Shared {
                household: Household::new(),
                set_up: SetUp::default(),
                clock: RunClock::default(),
                spare: SpareFiles::default(),
                shares,
            }),
        }
    }

    /// Looks after what this process has adopted, and counts the time in which it runs, until the last
    /// evaluator is gone.
    pub(crate) fn housekeeping(&self) -> impl Future<Output = ()> + use<> {
        let shared = Arc::downgrade(&self.shared);
        async move {
            while let Some(shared) = shared.upgrade() {
                shared.clock.tick();
                shared.household.adopted();
                drop(shared);
                sleep(HOUSEKEEPING).await;
            }
        }
    }

    /// Evaluates one trial.
    ///
    /// # Errors
    /// The disk is full, or cannot be written: that is not the trial's fault, nor would the next
    /// one fare better.
    pub(crate) async fn evaluate(&self, trial: &RunningTrial) -> Result<Ended, StoreError> {
        trial.check_place()?;
        let recipe = match self.recipes.of(trial) {
            Ok(recipe) => recipe,
            Err(problem) => return Ok(Ended::NotStarted(problem)),
        };
        trial.stop_signal().set_grace(recipe.around.grace);
        let (mut child, output) = match self.start(trial, &recipe).await? {
            Ok(started) => started,
            Err(ended) => return Ok(ended),
        };
        trial.begins();
        let Some(leader) = child.id().map(|pid| Pid::from_raw(pid as i32)) else {
            return Ok(Ended::Released);
        };
        self.shared.household.started(leader);
        let mut family = Family::of(leader, output.files(), &self.shared.household);
        let mut steps = progress::Follower::new(trial, output.files(), &self.objectives);
        let cause = self.wait(&mut child, trial, &recipe, &output, &mut steps).await;
        let before_we_asked = output.mark();
        let status = match cause {
            Cause::Itself(ref status) => status.as_ref().ok().copied(),
            Cause::Limit | Cause::Pruned | Cause::Stop => {
                let ended = family.end(&mut child, recipe.around.grace, trial.stop_signal()).await;
                ended.and_then(Result::ok)
            }
        };
        trial.ends();
        // What it wrote last was not read yet. If the state is lost, the report will hear of it.
        let ended_well = status.is_some_and(|status| status.success());
        let _ = steps.finish(ended_well).await;
        if status.is_some() || matches!(cause, Cause::Itself(_)) {
            self.shared.household.ended(leader);
        }
        let mut left = family.sweep().await;
        left.extend(
            status.is_none().then_some(leader).filter(|_| !matches!(cause, Cause::Itself(_))),
        );
        let ended = match cause {
            Cause::Itself(status) => self.ended_by_itself(status, trial, &output).await,
            Cause::Limit => {
                let limit = trial.timeout().unwrap_or_default().as_secs_f64();
                let mut message = format!("killed at its limit of {limit} s");
                if !left.is_empty() {
                    message += &format!(", and not even SIGKILL ended process {}", shown(&left));
                }
                Ended::report(crashed("timeout", message, &output, &self.objectives))
            }
            Cause::Pruned => Ended::report(Report::pruned()),
            // It may be handed to another worker only once nothing of it runs.
            Cause::Stop if !left.is_empty() => Ended::Stuck,
            Cause::Stop => {
                // What it had printed or written before is that of an unfinished evaluation.
                let has_answered = output.mark().is_some_and(|now| Some(now) != before_we_asked);
                let answered = status.filter(|_| has_answered);
                match answered.map(|status| judge(status, &output, &self.objectives)) {
                    Some(report) if report.is_success() => Ended::report(report),
                    _ => Ended::Released,
                }
            }
        };
        if left.is_empty() {
            self.tidy(output.files());
        } else {
            tracing::warn!(
                "trial {}: process {} of its command is still there, and SIGKILL does not end it",
                trial.id(),
                shown(&left)
            );
        }
        output.shorten();
        Ok(ended)
    }

    /// Tidies up after an attempt whose command has ended, and all its descendants with it.
    fn tidy(&self, files: &AttemptFiles) {
        for path in progress::empty(files).chain([files.lock()]) {
            // Where somebody may have escaped us, nobody else is to have a file that he may write to.
            if self.shared.household.adopts() {
                self.shared.spare.give(path);
            } else {
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// Starts the command, again and again where what prevents it may pass.
    async fn start(
        &self,
        trial: &RunningTrial,
        recipe: &Recipe,
    ) -> Result<Result<(Child, Output), Ended>, StoreError> {
        for pause in pauses() {
            let (spare, share) = (&self.shared.spare, self.shared.shares.get(trial.worker()));
            let problem = match start(&recipe.command, trial, &recipe.around, (spare, share)) {
                Ok(started) => {
                    self.shared.set_up.succeeded();
                    return Ok(Ok(started));
                }
                Err(NotStarted::SetUp(problem)) => problem,
                Err(NotStarted::Disk(error)) => {
                    let study = trial.study_dir().unwrap_or(Path::new("."));
                    return Err(StoreError::io("write a trial's files in", study)(error));
                }
                Err(NotStarted::Trial(problem)) => {
                    let message = format!("the command could not be started: {problem}");
                    return Ok(Err(Ended::report(Report::crashed("start", message))));
                }
            };
            trial.check_place()?;
            tracing::debug!("trial {}: {problem}", trial.id());
            let others_run = self.shared.household.running() > 0;
            if self.shared.set_up.failed(others_run) || trial.stop_signal().is_draining() {
                return Ok(Err(Ended::NotStarted(problem)));
            }
            if timeout(pause, trial.stop_signal().stopped()).await.is_ok() {
                break;
            }
        }
        Ok(Err(Ended::Released))
    }

    /// Waits until the command ends, or has to.
    async fn wait(
        &self,
        child: &mut Child,
        trial: &RunningTrial,
        recipe: &Recipe,
        output: &Output,
        steps: &mut progress::Follower,
    ) -> Cause {
        let time_is_up = async {
            match trial.timeout() {
                Some(limit) => self.shared.clock.passes(limit).await,
                None => std::future::pending().await,
            }
        };
        let is_pruned = steps.until_pruned(recipe.on_prune == OnPrune::Terminate);
        tokio::pin!(time_is_up, is_pruned);
        loop {
            tokio::select! {
                status = child.wait() => return Cause::Itself(status),
                () = &mut time_is_up => return Cause::Limit,
                () = &mut is_pruned => return Cause::Pruned,
                () = trial.stop_signal().stopped() => return Cause::Stop,
                () = sleep(LOG_CHECK) => output.free_middles(),
            }
        }
    }

    async fn ended_by_itself(
        &self,
        status: io::Result<ExitStatus>,
        trial: &RunningTrial,
        output: &Output,
    ) -> Ended {
        let stop = trial.stop_signal();
        let status = match status {
            Ok(status) => status,
            // Nobody can say how it went.
            Err(error) => {
                return Ended::NotStarted(format!("the end of a command was not seen: {error}"));
            }
        };
        // A batch system, `docker stop` or systemd signals all processes of a job: then it has ended
        // with us, whether our own signal was first or is about to come. We may not live to take back
        // the crash of one that was killed; of others see `lately.rs`.
        if !status.success() && stop.is_stopped()
            || is_stopping(status) && timeout(STOP_FOLLOWS, stop.stopped()).await.is_ok()
        {
            return Ended::Released;
        }
        if stop.is_stopped() && !output.is_written_since(stop.since()) {
            return Ended::Released;
        }
        let report = judge(status, output, &self.objectives);
        // It was told to end, and ended well without a result.
        let has_none = report.failure.as_ref().is_some_and(|failure| failure.err_type == "result");
        let is_pruned = trial.should_prune() && status.success() && has_none;
        Ended::report(if is_pruned { Report::pruned() } else { report })
    }
}

/// Whether it died by a signal that ends a job.
fn is_stopping(status: ExitStatus) -> bool {
    use Signal::{SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
    let signal = status.signal().and_then(|signal| Signal::try_from(signal).ok());
    signal.is_some_and(|signal| {
        matches!(
            signal,
            SIGHUP | SIGINT | SIGKILL | SIGQUIT | SIGTERM | SIGUSR1 | SIGUSR2 | SIGXCPU
        )
    })
}

fn shown(pids: &[Pid]) -> String {
    let pids: Vec<String> = pids.iter().take(8).map(ToString::to_string).collect();
    pids.join(", ")
}

#[cfg(test)]
mod tests;
