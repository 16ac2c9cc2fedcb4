//! `run` and `worker`: evaluate trials, with a command per trial.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;
use trialmill_layouts::Studies;

use clap::Args;
use trialmill::{Budget, Durability, Error, OnError, Outcome, State, StudyBuilder, Summary};
use trialmill_runtime::{EvaluationChanges, RunOptions, Slots, StudySpec};
use trialmill_store::Directory;

use super::create::Described;
use super::evaluated::Evaluated;
use super::print::{Dir, print, print_json};
use super::progress::Progress;
use crate::study_file::StudyFile;

/// Runs a study from a study file. Running the same command again resumes it.
///
/// The command after `--` (or `command:` in the file) is started once per trial. `{name}` in it is a
/// parameter's value, or one of {trial_id}, {attempt}, {trial_dir}, {previous_dir}, {config_file},
/// {result_file}, {worker}; the same reach it as TRIALMILL_... variables. Its result is the last line of its
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

/// Adds workers to an existing study.
///
/// Without a command, the one that `run`, `create` or `set` last gave the study is used. The workers share the budget
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
    /// Leave when no trial waits and only another program can sample; else wait for what it samples
    #[arg(long)]
    drain: bool,
    #[command(flatten)]
    working: Working,
}

/// What the workers of this process do.
#[derive(Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
struct Working {
    /// Workers of this process [default: the file's, else one for each core]
    #[arg(short, long, value_name = "N", value_parser = crate::numbers::count::<usize>)]
    workers: Option<usize>,
    /// What this process is called in `status` and `show`, beside its number; refused while another living
    /// process has it
    #[arg(long, value_name = "NAME")]
    worker_id: Option<String>,
    /// What the workers divide: gpus (CUDA_VISIBLE_DEVICES and its kin), cores, none, or a list such as
    /// 0,1,4,5; each command has its part as TRIALMILL_SLOT. Without --workers there are as many as there are
    /// GPUs, or items of the list
    #[arg(long, value_name = "WHAT")]
    slots: Option<Slots>,
    /// Evaluations of each worker of this process
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u64>)]
    evaluations_per_worker: Option<u64>,
    /// Cost of each worker of this process
    #[arg(long, value_name = "COST", value_parser = crate::numbers::number)]
    cost_per_worker: Option<f64>,
    /// Evaluations of all workers of this process together
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u64>)]
    evaluations_per_run: Option<u64>,
    /// Cost of all workers of this process together
    #[arg(long, value_name = "COST", value_parser = crate::numbers::number)]
    cost_per_run: Option<f64>,
    /// How long each worker of this process may keep asking
    #[arg(long, value_name = "TIME", value_parser = crate::numbers::seconds)]
    seconds: Option<f64>,
    /// Stop in good order at this time: 18:30, 2026-11-26T18:30, seconds since 1970, or +1h30m
    #[arg(long, value_name = "TIME", value_parser = super::until::parse)]
    until: Option<SystemTime>,
    /// Exit code 0, and not 130, when this was asked to stop and all was handed back
    #[arg(long)]
    stopped_ok: bool,
    /// How many errors in a row, each sooner than a success, stop this process; 0: none [default: 20]
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u64>)]
    give_up_after: Option<u64>,
    /// What an error means: ignore, stop-worker, stop-all, raise-worker, raise-any
    #[arg(long, value_name = "WHAT")]
    on_error: Option<OnError>,
    /// The objective to record for a trial that failed or crashed
    #[arg(long, value_name = "X", value_parser = crate::numbers::number, allow_hyphen_values = true)]
    objective_on_error: Option<f64>,
    /// The cost to record for a trial that failed or crashed
    #[arg(long, value_name = "COST", value_parser = crate::numbers::number)]
    cost_on_error: Option<f64>,
    /// The cost to record for a success that reports none
    #[arg(long, value_name = "COST", value_parser = crate::numbers::number)]
    cost_if_not_provided: Option<f64>,
    /// Acknowledge before the disk has it: survives the process, not power loss
    #[arg(long)]
    buffered: bool,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
    /// At the end, print the status as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    evaluated: Evaluated,
}

impl Run {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let StudyFile { mut spec, mut options, .. } = self.described.read()?;
        options.wait_for_others = !self.no_wait;
        self.working.go_over(&mut options)?;
        let of_file = spec.evaluation.take().unwrap_or_default();
        spec.evaluation = Some(self.working.evaluated.changes()?.over(&of_file));
        let dir = self.described.dir;
        let builder = StudyBuilder::in_directory(&dir).spec(spec).options(options);
        self.working.work(&dir, builder, &EvaluationChanges::default())
    }
}

impl WorkerVerb {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let dir = self.dir.dir;
        let directory = Directory::open(&dir)?;
        let file = self.space.as_deref().map(StudyFile::read).transpose()?;
        let spec = StudySpec { space: file.and_then(|file| file.spec.space), ..Default::default() };
        let mut options = RunOptions {
            wait_for_others: self.wait,
            wait_for_trials: !self.drain,
            drain: self.drain,
            ..RunOptions::default()
        };
        self.working.go_over(&mut options)?;
        let own = self.working.evaluated.changes()?;
        let builder = StudyBuilder::resume(directory).spec(spec).options(options);
        self.working.work(&dir, builder, &own)
    }
}

impl Working {
    /// Overrides the options with those of the command line.
    fn go_over(&self, options: &mut RunOptions) -> Result<(), Error> {
        let Budget { evaluations, cost, .. } = &mut options.per_worker;
        *evaluations = self.evaluations_per_worker.or(*evaluations);
        *cost = self.cost_per_worker.or(*cost);
        let Budget { evaluations, cost, .. } = &mut options.per_run;
        *evaluations = self.evaluations_per_run.or(*evaluations);
        *cost = self.cost_per_run.or(*cost);
        options.seconds_per_worker = self.seconds.or(options.seconds_per_worker);
        options.until = self.until;
        options.worker_id.clone_from(&self.worker_id);
        options.give_up_after = self.give_up_after.unwrap_or(options.give_up_after);
        if let Some(slots) = &self.slots {
            options.slots = slots.clone();
            options.workers = slots.workers()?.unwrap_or(options.workers);
        }
        options.workers = self.workers.unwrap_or(options.workers);
        options.on_error = self.on_error.unwrap_or(options.on_error);
        let defaults = &mut options.defaults;
        if let Some(objective) = self.objective_on_error {
            defaults.objective_on_error = Some(objective.into());
        }
        defaults.cost_on_error = self.cost_on_error.or(defaults.cost_on_error);
        defaults.cost_if_not_provided = self.cost_if_not_provided.or(defaults.cost_if_not_provided);
        if self.buffered {
            options.durability = Durability::Buffered;
        }
        Ok(())
    }

    fn work(
        self,
        dir: &Path,
        builder: StudyBuilder,
        own: &EvaluationChanges,
    ) -> Result<ExitCode, Error> {
        let is_unlimited = builder.is_unlimited();
        let quiet = self.quiet;
        super::terminal::prepare();
        let outcome = builder.run_evaluation(own, |handle| {
            if is_unlimited && handle.snapshot().budget.is_unlimited() {
                let definition = handle.with_study(|study| study.definition().clone());
                definition.iter().for_each(|it| super::print::say(super::text::endless(it)));
            }
            (!quiet).then(|| Progress::start(handle.clone()))
        })?;
        Ok(self.end(&outcome, dir))
    }

    fn end(&self, outcome: &Outcome, dir: &Path) -> ExitCode {
        let printed = match self.json.then(|| Summary::read(dir)) {
            Some(Ok(summary)) => print_json(&super::query::status(&summary)),
            _ => print(&format!("{outcome}\n")),
        };
        if outcome.was_interrupted() {
            super::print::say(format_args!("interrupted: run the same command again to resume"));
            return if self.stopped_ok { printed } else { ExitCode::from(130) };
        }
        let study = outcome.study();
        if study.count(State::Success) == 0 && study.errors() > 0 {
            super::print::say(format_args!(
                "nothing succeeded. Mend the cause; `trialmill retry {0}` then requeues the trials, and \
                 `trialmill status {0}` shows how it stands",
                dir.display()
            ));
            return ExitCode::from(8);
        }
        printed
    }
}
