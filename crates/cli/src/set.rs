//! `set`: the rules of a study that is there, without its study file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use trialmill::{DirectClient, Error, SearchSpace, Summary};
use trialmill_core::error::StoreError;
use trialmill_core::event::Policy;
use trialmill_core::pruner::PrunerInfo;
use trialmill_core::study::StudyState;
use trialmill_layouts::Studies;
use trialmill_optimizers::of_study;
use trialmill_runtime::evaluate::CommandTemplate;
use trialmill_runtime::{Evaluation, EvaluationChanges};
use trialmill_store::Directory;

use super::early::Early;
use super::evaluated::Evaluated;
use super::print::{Dir, print, say};
use super::text;
use crate::study_file::StudyFile;

/// Changes the rules of a study; processes that work on it see a new budget at once.
///
/// A new command, limit, grace or variable counts for all workers from their next trials on. What is not named
/// stays as it is.
#[derive(Args)]
#[command(after_help = "Examples:\n  trialmill set runs/x --evaluations 300\n  \
                        trialmill set runs/x --timeout 600 -- python3 train.py --lr {lr}")]
pub(super) struct Set {
    #[command(flatten)]
    dir: Dir,
    /// Evaluations of all workers together
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u64>)]
    evaluations: Option<u64>,
    /// The sum of the reported costs
    #[arg(long, value_name = "COST", value_parser = crate::numbers::number)]
    cost: Option<f64>,
    /// The sum of the fidelities evaluated at
    #[arg(long, value_name = "FIDELITY", value_parser = crate::numbers::number)]
    fidelity: Option<f64>,
    /// The sum of the durations of the evaluations
    #[arg(long, value_name = "TIME", value_parser = crate::numbers::seconds)]
    evaluation_seconds: Option<f64>,
    /// Steps that evaluations report before their ends
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u64>)]
    steps: Option<u64>,
    #[command(flatten)]
    early: Early,
    /// How often a trial may be started before it counts as crashed
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u32>)]
    max_attempts: Option<u32>,
    /// How often a trial whose evaluation crashed is tried again by itself
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<u32>)]
    max_failures: Option<u32>,
    /// A study file whose space the study has from now on: wider or narrower, as long as all its trials
    /// are in it. While nobody works on the study
    #[arg(long, value_name = "FILE")]
    space: Option<PathBuf>,
    #[command(flatten)]
    evaluated: Evaluated,
}

impl Set {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let dir = &self.dir.dir;
        let rules = self.evaluations.is_some() || self.max_attempts.is_some();
        let rules = rules || self.max_failures.is_some();
        let limits = [self.cost, self.fidelity, self.evaluation_seconds];
        let rules = rules || limits.iter().any(Option::is_some) || self.steps.is_some();
        let rules = rules || self.early.is_given();
        let changes = self.evaluated.changes()?;
        if !rules && changes.is_empty() && self.space.is_none() {
            let problem = "nothing is to be changed: name a budget, --pruner, --target, \
                           --max-attempts, --timeout, --grace, --env, --space, or a command after `--`";
            return Err(Error::Setting(problem.into()));
        }
        let pruner = self.early.pruner()?;
        if let Some(file) = &self.space {
            change_space(dir, file)?;
        }
        let client = DirectClient::open(dir)?;
        // All that may be refused comes before what is changed.
        if !changes.is_empty() {
            let changes = changes.clone();
            client.with_study(move |study| changed(study, &changes).map(drop))??;
        }
        if rules {
            client.change_policy(|policy| self.apply(policy, pruner))?;
        }
        if !changes.is_empty() {
            change(&client, &changes)?;
        }
        Ok(print(&text::status(&Summary::read(dir)?.status())))
    }

    /// What of the rules is another.
    fn apply(&self, policy: &mut Policy, pruner: Option<PrunerInfo>) {
        let budget = &mut policy.budget;
        budget.evaluations = self.evaluations.or(budget.evaluations);
        budget.cost = self.cost.or(budget.cost);
        budget.fidelity = self.fidelity.or(budget.fidelity);
        budget.evaluation_seconds = self.evaluation_seconds.or(budget.evaluation_seconds);
        budget.steps = self.steps.or(budget.steps);
        if let Some(pruner) = pruner {
            policy.pruner = Some(pruner).filter(|pruner| pruner.name != "none");
        }
        policy.stop_early = self.early.over(Some(policy.stop_early));
        policy.max_attempts = self.max_attempts.unwrap_or(policy.max_attempts);
        policy.max_failures = self.max_failures.unwrap_or(policy.max_failures);
    }
}

/// The study's evaluation, and what becomes of it.
fn changed(
    study: &StudyState,
    changes: &EvaluationChanges,
) -> Result<(Option<Evaluation>, Evaluation), Error> {
    let before = study.evaluation().map(|(_, evaluation)| (**evaluation).clone());
    let new = changes.over(before.as_ref().unwrap_or(&Evaluation::default()));
    // A typo now, not a thousand crashed trials later.
    CommandTemplate::of(&new, &study.definition().space)?;
    new.check().map_err(Error::Setting)?;
    Ok((before, new))
}

/// Changes the evaluation that the study has at that moment, and says what is another.
fn change(client: &DirectClient, changes: &EvaluationChanges) -> Result<(), Error> {
    let mut said = Vec::new();
    let number = client.change_evaluation(|study| {
        let (before, new) = changed(study, changes)?;
        said = before.map_or_else(|| vec![new.to_string()], |before| before.changes(&new));
        Ok(new)
    })?;
    say(match said.is_empty() {
        true => format!("evaluation {number} stays as it is"),
        false => format!(
            "evaluation {number} counts for all workers from their next trials on\n  {}",
            said.join("\n  ")
        ),
    });
    Ok(())
}

/// Another space in place. Nothing of a trial is changed, so it must be that of all trials.
fn change_space(dir: &Path, file: &Path) -> Result<(), Error> {
    let wanted = StudyFile::read(file)?.spec.space;
    let wanted = wanted.ok_or_else(|| Error::Setting("the file has no space".into()))?;
    // What it cannot lock or read is refused before anything else.
    drop(DirectClient::open(dir)?);
    let mut directory = Directory::open(dir)?;
    if directory.layout().is_shared() {
        return Err(Error::Setting(format!(
            "the space of {0} cannot be changed in place: NePS's workers may join that directory, and they \
             search the space that their own program says. Make a copy with the new space: `trialmill convert \
             {0} COPY --space {1}`",
            dir.display(),
            file.display()
        )));
    }
    directory.change_space(|directory| changed_space(dir, directory, &wanted))
}

/// The space in the order that the study's has; under the study's lock.
fn changed_space(
    dir: &Path,
    directory: &Directory,
    wanted: &SearchSpace,
) -> Result<SearchSpace, Error> {
    let summary = Summary::read(dir)?;
    let study = summary.study();
    if let Some(process) = study.processes().find(|process| directory.is_alive(process)) {
        let who = format!("process p{} (pid {})", process.process, process.pid);
        return Err(StoreError::InUse { path: dir.into(), who }.into());
    }
    let old = &study.definition().space;
    // In the order that it has; trials are stored in it.
    let known = old.iter().filter_map(|(name, _)| Some((name, wanted.get(name)?)));
    let new = wanted.iter().filter(|(name, _)| old.get(name).is_none());
    let space = SearchSpace::new(known.chain(new).map(|(name, own)| (name, own.clone())))?;
    if old.fidelity().map(|(name, _)| name) != space.fidelity().map(|(name, _)| name) {
        let problem = "the fidelity stays what it is: what was spent of it is counted";
        return Err(Error::Setting(problem.into()));
    }
    if let Some((id, error)) =
        study.trials().iter().find_map(|trial| Some((&trial.id, space.check(&trial.config).err()?)))
    {
        return Err(Error::Setting(format!(
            "trial {id} is not in the new space: {error}. `trialmill convert` makes a copy in which it \
             is: values fall away, or get a --default"
        )));
    }
    let optimizer = of_study(study.definition(), false, true);
    optimizer.check(&space).map_err(|error| Error::Setting(error.to_string()))?;
    if let Some((_, evaluation)) = study.evaluation().filter(|(_, own)| !own.command.is_empty()) {
        CommandTemplate::of(evaluation, &space)?;
    }
    Ok(space)
}
