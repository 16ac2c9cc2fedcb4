//! `create`: a study without workers, and how `create` and `run` describe one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use trialmill::{Budget, Error, Study, Summary};
use trialmill_runtime::OnPrune;
use trialmill_store::Layout;

use super::early::Early;
use super::evaluated::here;
use super::print::{print, say};
use super::text;
use crate::study_file::StudyFile;

/// Creates a study and evaluates nothing: for workers that come later, and for `ask` and `tell`.
///
/// For an existing study, it changes what may be changed: the budget and the attempts.
#[derive(Args)]
pub(super) struct Create {
    #[command(flatten)]
    described: Described,
}

/// A study file, the flags that override it, and the study's directory.
#[derive(Args)]
pub(super) struct Described {
    /// The study file (YAML or JSON; `-` is stdin): space, optimizer, budget, workers, command
    #[arg(value_name = "STUDY")]
    file: PathBuf,
    /// The study's directory; created unless it exists
    #[arg(long, value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// How a new directory stores the study: journal, neps (0.15 to 0.17), neps-0.14, neps-0.13,
    /// neps-0.12. With the latter, NePS's Python workers can join [default: journal]
    #[arg(long, value_name = "LAYOUT", value_parser = trialmill_layouts::by_name)]
    layout: Option<&'static dyn Layout>,
    /// The optimizer, over the file's: random_search, grid_search, auto, tpe, bayesian_optimization, …
    #[arg(long, value_name = "NAME")]
    optimizer: Option<String>,
    /// Another study whose trials the optimizer learns from, over the file's; again for several. Read when
    /// the study is created
    #[arg(long, value_name = "DIR")]
    warm_start: Vec<PathBuf>,
    /// The seed of all random numbers
    #[arg(long, value_parser = crate::numbers::count::<u64>)]
    seed: Option<u64>,
    /// Evaluations of all workers of all processes together
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u64>)]
    evaluations: Option<u64>,
    /// The sum of the reported costs, of all workers together
    #[arg(long, value_name = "COST", value_parser = crate::numbers::number)]
    cost: Option<f64>,
    /// Count only completed trials against the evaluations, not those in progress
    #[arg(long)]
    count_completed_only: bool,
    /// How often a trial may be started before it counts as crashed [default: 3]
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u32>)]
    max_attempts: Option<u32>,
    /// How often a trial whose evaluation crashed is tried again by itself [default: 0]
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u32>)]
    max_failures: Option<u32>,
    /// Steps that evaluations report before their ends, of all workers together
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u64>)]
    steps: Option<u64>,
    #[command(flatten)]
    early: Early,
    /// What becomes of a command that should end early: terminate (SIGTERM), or ask (it reads the answer)
    #[arg(long, value_name = "WHAT", value_parser = on_prune)]
    on_prune: Option<OnPrune>,
    /// Remove an existing study in the directory first; refused while a process holds it
    #[arg(long)]
    overwrite: bool,
}

fn on_prune(text: &str) -> Result<OnPrune, String> {
    match text {
        "terminate" => Ok(OnPrune::Terminate),
        "ask" => Ok(OnPrune::Ask),
        _ => Err("it is `terminate` or `ask`".into()),
    }
}

impl Create {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let StudyFile { spec, options, .. } = self.described.read()?;
        Study::builder(&self.described.dir).spec(spec).options(options).create()?;
        Ok(print(&text::status(&Summary::read(&self.described.dir)?.status())))
    }
}

impl Described {
    /// Reads the study file; the command line overrides it.
    pub(super) fn read(&self) -> Result<StudyFile, Error> {
        let mut file = StudyFile::read(&self.file)?;
        for note in &file.notes {
            say(format_args!("{}: {note}", self.file.display()));
        }
        let StudyFile { spec, options, .. } = &mut file;
        if let Some(name) = &self.optimizer {
            let over = StudyFile::from_json(json!({"space": {"x": 0}, "optimizer": name}))?;
            spec.optimizer = over.spec.optimizer;
        }
        if !self.warm_start.is_empty() {
            spec.warm_start = Some(self.warm_start.clone());
        }
        let budget = spec.budget.unwrap_or_default();
        let budget = Budget {
            evaluations: self.evaluations.or(budget.evaluations),
            cost: self.cost.or(budget.cost),
            steps: self.steps.or(budget.steps),
            ..budget
        };
        spec.budget = Some(budget).filter(|budget| !budget.is_unlimited());
        spec.layout = self.layout;
        spec.seed = self.seed.or(spec.seed);
        spec.max_attempts = self.max_attempts.or(spec.max_attempts);
        spec.max_failures = self.max_failures.or(spec.max_failures);
        spec.count_in_progress = self.count_completed_only.then_some(false);
        spec.pruner = self.early.pruner()?.or(spec.pruner.take());
        if self.early.is_given() {
            spec.stop_early = Some(self.early.over(spec.stop_early));
        }
        options.on_prune = self.on_prune.unwrap_or(options.on_prune);
        if let Some(evaluation) = &mut spec.evaluation {
            evaluation.on_prune = options.on_prune;
            if evaluation.directory.is_none() {
                evaluation.directory = here(PathBuf::new())?;
            }
        }
        options.overwrite = self.overwrite;
        Ok(file)
    }
}
