//! `convert`: the same study in another layout.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use trialmill_layouts::Studies;

use clap::Args;
use trialmill::{
    Config, DirectClient, Error, SearchSpace, SpaceError, State, StudyState, Summary, Trial,
};
use trialmill_core::error::StoreError;
use trialmill_core::evaluation::Evaluation;
use trialmill_core::study::Command;
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
    /// [default: as the source]
    #[arg(long, value_name = "LAYOUT", value_parser = trialmill_layouts::by_name)]
    layout: Option<&'static dyn Layout>,
    /// A study file whose space the copy has: wider, or with other parameters
    #[arg(long, value_name = "FILE")]
    space: Option<PathBuf>,
    /// The value that all trials so far have of a new parameter
    #[arg(long, value_name = "NAME=VALUE", requires = "space")]
    default: Vec<String>,
    /// Also copy what evaluations left in the trials' directories
    #[arg(long)]
    files: bool,
}

impl Convert {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let source = Directory::open_read_only(&self.source)?;
        if let Ok(there) = Directory::open_read_only(&self.target) {
            return Err(StoreError::Exists { path: there.path().into() }.into());
        }
        let summary = Summary::read(&self.source)?;
        if let Some(problem) = summary.problem() {
            let problem = Hinted(problem);
            say(format_args!("trialmill: {problem}"));
            say("A damaged study is not converted: `trialmill check`");
            return Ok(ExitCode::from(5));
        }
        let study = summary.study();
        let (mut definition, policy) = (study.definition().clone(), study.policy());
        let seed = Some(definition.seed);
        let layout = Some(self.layout.unwrap_or(source.layout()));
        let moved = match &self.space {
            Some(file) => {
                let space = super::study_file::StudyFile::read(file)?.spec.space;
                definition.space = Arc::new(space.unwrap_or_else(|| (*definition.space).clone()));
                Some(moved(study, &definition.space, &self.default)?)
            }
            None => None,
        };
        let (target, created) =
            Directory::create_or_open(&self.target, definition, seed, policy, layout)?;
        if !created {
            return Err(StoreError::Exists { path: self.target }.into());
        }
        let optimizer = of_study(target.definition(), target.layout().is_shared(), false);
        let core = StateCore::open(target.clone(), Durability::Synced, optimizer)?;
        let client = DirectClient::over(core);
        copy_evaluations(study, &client)?;
        let trials: Vec<(usize, &Trial)> = study.trials().iter().enumerate().collect();
        let config = |at: usize| moved.as_ref().map(|configs| configs[at].clone());
        for batch in trials.chunks(BATCH) {
            client.restore(batch.iter().map(|(at, trial)| {
                let trial = resting(trial);
                Trial { config: config(*at).unwrap_or_else(|| trial.config.clone()), ..trial }
            }))?;
            for (_, trial) in batch.iter().filter(|_| self.files) {
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

/// Which evaluation a trial ran is known by its number: so the copy has the same.
fn copy_evaluations(study: &StudyState, client: &DirectClient) -> Result<(), Error> {
    let all = study.evaluations().iter().map(|evaluation| (evaluation, true));
    let now = study.evaluation().filter(|(number, _)| *number > 0);
    let set = |(evaluation, own): (&Arc<Evaluation>, bool)| Command::SetEvaluation {
        evaluation: Box::new((**evaluation).clone()),
        own,
    };
    let commands = all.chain(now.map(|(_, evaluation)| (evaluation, false))).map(set).collect();
    for answer in client.exchange(commands)? {
        answer?;
    }
    Ok(())
}

/// Each trial's configuration in another space. Values of parameters that it does not have fall away.
fn moved(
    study: &StudyState,
    space: &SearchSpace,
    defaults: &[String],
) -> Result<Vec<Config>, Error> {
    let mut given = serde_json::Map::new();
    for text in defaults {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| Error::Setting(format!("--default: '{text}' is not NAME=VALUE")))?;
        if space.get(name).is_none() {
            let problem = format!("--default: the new space has no parameter '{name}'");
            return Err(Error::Setting(problem));
        }
        given.insert(name.to_string(), value.into());
    }
    let old = &study.definition().space;
    let gone: Vec<&str> =
        old.iter().map(|(name, _)| name).filter(|name| space.get(name).is_none()).collect();
    if !gone.is_empty() {
        say(format_args!("the new space lacks {}: their values fall away", gone.join(", ")));
    }
    let one = |trial: &Trial| {
        let mut values = given.clone();
        for (name, value) in trial.config.iter().filter(|(name, _)| space.get(name).is_some()) {
            values.insert(name.into(), serde_json::to_value(value).unwrap_or_default());
        }
        let config = space.given_to_some(&values).map_err(|error| match &error {
            SpaceError::Parameter { name, .. } if old.get(name).is_none() => {
                let hint = format!("{error}; give all of them a value: --default {name}=…");
                Error::Setting(format!("trial {}: {hint}", trial.id))
            }
            _ => Error::Setting(format!("trial {}: {error}", trial.id)),
        })?;
        Ok(config)
    };
    study.trials().iter().map(one).collect()
}

/// A trial that no worker evaluates.
fn resting(trial: &Trial) -> Trial {
    let mut trial = trial.clone();
    if trial.state == State::Evaluating {
        trial.state = State::Pending;
        trial.metadata.evaluating_worker_id = None;
        trial.metadata.time_started = None;
        trial.metadata.evaluation = None;
    }
    trial
}
