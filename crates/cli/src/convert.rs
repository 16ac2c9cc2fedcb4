//! `convert`: the same study in another layout.

use std::path::PathBuf;
use std::process::ExitCode;
use trialmill_layouts::Studies;

use clap::Args;
use trialmill::{DirectClient, Error, State, Summary, Trial};
use trialmill_core::error::StoreError;
use trialmill_optimizers::of_study;
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, Durability, Layout, copy_trial_files};

use super::hints::Hinted;
use super::print::{print, say};
use super::text;

/// How many trials are stored at a time.
const BATCH: usize = 1_000;

/// Copies a study into a new directory of another layout: every trial, report, error and time.
///
/// The source stays as it is. Trials that are being evaluated there wait in the copy. Reports with
/// Python objects that have no plain form (NePS's caches may hold them) become the nearest plain
/// values.
#[derive(Args)]
pub(super) struct Convert {
    /// The study's directory
    #[arg(value_name = "SRC")]
    source: PathBuf,
    /// The new directory
    #[arg(value_name = "DST")]
    target: PathBuf,
    /// How it stores the study: journal, neps (0.15 to 0.17), neps-0.14, neps-0.13, neps-0.12
    #[arg(long, value_name = "LAYOUT", value_parser = trialmill_layouts::by_name)]
    layout: &'static dyn Layout,
    /// Also copy what evaluations left in the trials' directories
    #[arg(long)]
    files: bool,
}

impl Convert {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let source = Directory::open_read_only(&self.source)?;
        let summary = Summary::read(&self.source)?;
        if let Some(problem) = summary.problem() {
            let problem = Hinted(problem);
            say(format_args!("trialmill: {problem}"));
            say("A damaged study is not converted: `trialmill check`");
            return Ok(ExitCode::from(5));
        }
        let study = summary.study();
        let (definition, policy) = (study.definition().clone(), study.policy());
        let seed = Some(definition.seed);
        let layout = Some(self.layout);
        let (target, created) =
            Directory::create_or_open(&self.target, definition, seed, policy, layout)?;
        if !created {
            let problem = "a study is there already: name a new directory".into();
            return Err(StoreError::NotAStudy { path: self.target, problem }.into());
        }
        let optimizer = of_study(target.definition(), target.layout().is_shared());
        let core = StateCore::open(target.clone(), Durability::Synced, optimizer)?;
        let client = DirectClient::over(core);
        let trials: Vec<&Trial> = study.trials().iter().collect();
        for batch in trials.chunks(BATCH) {
            client.put_all(batch.iter().map(|trial| resting(trial)))?;
            for trial in batch.iter().filter(|_| self.files) {
                copy_trial_files(&source, &target, &trial.id)?;
            }
        }
        drop(client);
        let evaluating = study.count(State::Evaluating);
        if evaluating > 0 {
            say(format_args!("{evaluating} trials were being evaluated: in the copy they wait"));
        }
        Ok(print(&text::status(&Summary::read(&self.target)?.status())))
    }
}

/// A trial that no worker evaluates.
fn resting(trial: &Trial) -> Trial {
    let mut trial = trial.clone();
    if trial.state == State::Evaluating {
        trial.state = State::Pending;
        trial.metadata.evaluating_worker_id = None;
        trial.metadata.time_started = None;
    }
    trial
}
