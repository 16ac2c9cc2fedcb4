//! `run` and `worker`: evaluate trials, with a command per trial.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::Value as Json;
use trialmill::store::Directory;
use trialmill::{
    Budget, Durability, Error, OnError, Outcome, State, Study, StudyBuilder, StudyFile, Summary,
};

use super::create::Described;
use super::progress::Progress;
use super::{Dir, print, print_json};

/// Runs a study from a study file. Running the same command again goes on where it stopped.
///
/// The command after `--` (or `command:` in the file) is started once per trial. `{name}` in it is a
/// parameter's value, or one of {trial_id}, {attempt}, {trial_dir}, {previous_dir}, {config_file},
/// {result_file}; the same reach it as TRIALMILL_... variables. Its result is the last line of its
/// stdout, or the content of the file that TRIALMILL_RESULT names: a number to minimise, or an
/// object with objective_to_minimize, cost, learning_curve, info_dict, exception.
#[derive(Args)]
#[command(after_help = "Example:\n  trialmill run study.yaml --dir runs/x --workers 8 -- \
                        python3 train.py --lr {lr}")]
pub(super) struct Run {
    #[command(flatten)]
    described: Described,
    /// At the end of the budget, do not wait for what other processes still evaluate
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    working: Working,
}

/// Adds workers to a study that exists.
///
/// Without a command, the one that the study was created with is used. The workers share the budget
/// with all others, see each other's trials, and may be killed at any time.
#[derive(Args)]
pub(super) struct WorkerVerb {
    #[command(flatten)]
    dir: Dir,
    /// The study file whose space is the study's, where NePS did not store it (0.12 to 0.14)
    #[arg(long, value_name = "STUDY")]
    space: Option<PathBuf>,
    /// At the end of the budget, wait for what other processes still evaluate
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    working: Working,
}

/// What the workers of this process do.
#[derive(Args)]
struct Working {
    /// Workers of this process [default: the file's, else one for each core]
    #[arg(short, long, value_name = "N")]
    workers: Option<usize>,
    /// Evaluations of each worker of this process
    #[arg(long, value_name = "N")]
    evaluations_per_worker: Option<u64>,
    /// Cost of each worker of this process
    #[arg(long, value_name = "COST")]
    cost_per_worker: Option<f64>,
    /// How long each worker of this process may go on asking
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<f64>,
    /// How long one evaluation may take before it is killed
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
    /// What an error means: ignore, stop-worker, stop-all, raise-worker, raise-any
    #[arg(long, value_name = "WHAT")]
    on_error: Option<OnError>,
    /// Acknowledge before the disk has it: survives the process, not power loss
    #[arg(long)]
    buffered: bool,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
    /// At the end, print the status as JSON
    #[arg(long)]
    json: bool,
    /// The command that evaluates a trial
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Run {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let file = self.described.read()?;
        let command = self.working.command(&file.command);
        let timeout = self.working.timeout.or(file.timeout_seconds);
        let builder = self.described.builder(&file, &command, timeout)?;
        let builder = builder.wait_for_others(!self.no_wait);
        let text = |text: String| text.parse().map_err(Error::Setting);
        let defaults = Defaults {
            workers: file.workers,
            per_worker: file.per_worker,
            seconds: file.seconds,
            timeout,
            on_error: file.on_error.map(text).transpose()?,
        };
        self.working.work(builder, &command, defaults, &self.described.dir)
    }
}

impl WorkerVerb {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let dir = self.dir.dir;
        let directory = Directory::open(&dir)?;
        let evaluation = &directory.definition().evaluation;
        let kept: Vec<String> = evaluation
            .get("command")
            .and_then(|json| serde_json::from_value(json.clone()).ok())
            .unwrap_or_default();
        let command = self.working.command(&kept);
        let timeout = evaluation.get("timeout_seconds").and_then(Json::as_f64);
        let mut builder = Study::resume(directory).wait_for_others(self.wait);
        if let Some(file) = &self.space {
            builder = builder.space(StudyFile::read(file)?.space);
        }
        let timeout = self.working.timeout.or(timeout);
        let defaults = Defaults { timeout, ..Defaults::default() };
        self.working.work(builder, &command, defaults, &dir)
    }
}

/// What holds where the command line says nothing.
#[derive(Default)]
struct Defaults {
    workers: Option<usize>,
    per_worker: Budget,
    seconds: Option<f64>,
    timeout: Option<f64>,
    on_error: Option<OnError>,
}

impl Working {
    fn command(&self, other: &[String]) -> Vec<String> {
        if self.command.is_empty() { other.to_vec() } else { self.command.clone() }
    }

    fn work(
        self,
        mut builder: StudyBuilder,
        command: &[String],
        defaults: Defaults,
        dir: &std::path::Path,
    ) -> Result<ExitCode, Error> {
        let per_worker = Budget {
            evaluations: self.evaluations_per_worker.or(defaults.per_worker.evaluations),
            cost: self.cost_per_worker.or(defaults.per_worker.cost),
            ..defaults.per_worker
        };
        let seconds = self.seconds.or(defaults.seconds);
        let is_unlimited = per_worker.is_unlimited() && seconds.is_none();
        builder = builder
            .per_worker(per_worker)
            .on_error(self.on_error.or(defaults.on_error).unwrap_or_default())
            .durability(if self.buffered { Durability::Buffered } else { Durability::Synced });
        if let Some(workers) = self.workers.or(defaults.workers) {
            builder = builder.workers(workers);
        }
        if let Some(seconds) = seconds {
            builder = builder.max_seconds_per_worker(seconds);
        }
        if let Some(seconds) = defaults.timeout {
            let timeout = Duration::try_from_secs_f64(seconds).ok().filter(|t| !t.is_zero());
            let timeout = timeout.ok_or_else(|| {
                Error::Setting(format!("the timeout must be above 0 seconds, not {seconds}"))
            })?;
            builder = builder.timeout(timeout);
        }
        let quiet = self.quiet;
        let result = builder.run_command_with(command, |handle| {
            if is_unlimited && handle.snapshot().budget.is_unlimited() {
                super::say("no budget is set: this goes on until it is stopped (Ctrl-C)");
            }
            (!quiet).then(|| Progress::start(handle.clone()))
        });
        match result {
            Ok(outcome) => Ok(self.end(&outcome, dir)),
            Err(error) => Err(error),
        }
    }

    fn end(&self, outcome: &Outcome, dir: &std::path::Path) -> ExitCode {
        let printed = match self.json.then(|| Summary::read(dir)) {
            Some(Ok(summary)) => print_json(&summary.status_json()),
            _ => print(&format!("{outcome}\n")),
        };
        if outcome.was_interrupted() {
            super::say(format_args!("interrupted: run the same command again to go on"));
            return ExitCode::from(130);
        }
        let study = outcome.study();
        if study.count(State::Success) == 0 && study.errors() > 0 {
            super::say(format_args!(
                "nothing succeeded: `trialmill status {}` shows the last error",
                dir.display()
            ));
            return ExitCode::from(8);
        }
        printed
    }
}
