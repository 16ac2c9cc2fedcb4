//! `create`: a study without workers, and how `create` and `run` describe one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, json};
use trialmill::store::Layout;
use trialmill::{Budget, Error, Study, StudyBuilder, StudyFile, Summary};

use super::print;

/// Creates a study and evaluates nothing: for workers that come later, and for `ask` and `tell`.
///
/// On a study that is there, it changes what may be changed: the budget and the attempts.
#[derive(Args)]
pub(super) struct Create {
    #[command(flatten)]
    described: Described,
}

/// A study file, what goes over it, and where the study is.
#[derive(Args)]
pub(super) struct Described {
    /// The study file (YAML or JSON): space, optimizer, budget, workers, command
    #[arg(value_name = "STUDY")]
    file: PathBuf,
    /// The study's directory; created unless it is there
    #[arg(long, value_name = "DIR")]
    pub(super) dir: PathBuf,
    /// How a new directory stores the study: journal, neps (0.15 to 0.17), neps-0.14, neps-0.13,
    /// neps-0.12. With the latter, NePS's Python workers can join [default: journal]
    #[arg(long, value_name = "LAYOUT", value_parser = trialmill::layouts::by_name)]
    layout: Option<&'static dyn Layout>,
    /// The optimizer, over the file's: random_search, grid_search
    #[arg(long, value_name = "NAME")]
    optimizer: Option<String>,
    /// Where all random numbers come from
    #[arg(long)]
    seed: Option<u64>,
    /// Evaluations of all workers of all processes together
    #[arg(long, value_name = "N")]
    evaluations: Option<u64>,
    /// The sum of the reported costs, of all workers together
    #[arg(long, value_name = "COST")]
    cost: Option<f64>,
    /// Count only completed trials against the evaluations, not those in progress
    #[arg(long)]
    count_completed_only: bool,
    /// How often a trial may be started before it counts as crashed [default: 3]
    #[arg(long, value_name = "N")]
    max_attempts: Option<u32>,
    /// Remove the study that is in the directory first; refused while a process holds it
    #[arg(long)]
    overwrite: bool,
}

impl Create {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let file = self.described.read()?;
        let builder = self.described.builder(&file, &file.command, file.timeout_seconds)?;
        builder.create()?;
        Ok(print(&Summary::read(&self.described.dir)?.status_text()))
    }
}

impl Described {
    /// Reads the study file.
    pub(super) fn read(&self) -> Result<StudyFile, Error> {
        let mut file = StudyFile::read(&self.file)?;
        if let Some(name) = &self.optimizer {
            let over = StudyFile::from_json(json!({"space": {"x": 0}, "optimizer": name}))?;
            file.optimizer = over.optimizer;
        }
        Ok(file)
    }

    /// The study, evaluated by this command unless a worker says otherwise.
    pub(super) fn builder(
        &self,
        file: &StudyFile,
        command: &[String],
        timeout_seconds: Option<f64>,
    ) -> Result<StudyBuilder, Error> {
        let mut evaluation = Map::new();
        evaluation.insert("command".into(), json!(command));
        evaluation.insert("timeout_seconds".into(), json!(timeout_seconds));
        let mut builder = Study::builder(&self.dir)
            .space(file.space.clone())
            .evaluation(evaluation)
            .overwrite(self.overwrite);
        if let Some(info) = &file.optimizer {
            let optimizer = trialmill::optimizer::from_info(info);
            builder = builder
                .boxed_optimizer(optimizer.map_err(|error| Error::Setting(error.to_string()))?);
        }
        if let Some(layout) = self.layout {
            builder = builder.layout(layout);
        }
        if let Some(seed) = self.seed.or(file.seed) {
            builder = builder.seed(seed);
        }
        let budget = Budget {
            evaluations: self.evaluations.or(file.budget.evaluations),
            cost: self.cost.or(file.budget.cost),
            ..file.budget
        };
        if !budget.is_unlimited() {
            builder = builder.budget(budget);
        }
        if self.count_completed_only {
            builder = builder.count_in_progress(false);
        }
        if let Some(n) = self.max_attempts.or(file.max_attempts) {
            builder = builder.max_attempts(n);
        }
        Ok(builder)
    }
}
