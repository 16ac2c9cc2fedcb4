//! `set`: the rules of a study that is there, without its study file.

use std::process::ExitCode;

use clap::Args;
use trialmill::{DirectClient, Error, Summary};
use trialmill_runtime::evaluate::CommandTemplate;
use trialmill_runtime::{Evaluation, EvaluationChanges};

use super::early::Early;
use super::evaluated::Evaluated;
use super::print::{Dir, print, say};
use super::text;

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
    #[command(flatten)]
    evaluated: Evaluated,
}

impl Set {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let dir = &self.dir.dir;
        let rules = self.evaluations.is_some() || self.max_attempts.is_some();
        let limits = [self.cost, self.fidelity, self.evaluation_seconds];
        let rules = rules || limits.iter().any(Option::is_some) || self.steps.is_some();
        let rules = rules || self.early.is_given();
        let changes = self.evaluated.changes()?;
        if !rules && changes.is_empty() {
            let problem = "nothing is to be changed: name a budget, --pruner, --target, \
                           --max-attempts, --timeout, --grace, --env, or a command after `--`";
            return Err(Error::Setting(problem.into()));
        }
        let client = DirectClient::open(dir)?;
        if !changes.is_empty() {
            change(&client, &changes)?;
        }
        if rules {
            let (mut policy, ..) = client.optimizer_state()?;
            let budget = &mut policy.budget;
            budget.evaluations = self.evaluations.or(budget.evaluations);
            budget.cost = self.cost.or(budget.cost);
            budget.fidelity = self.fidelity.or(budget.fidelity);
            budget.evaluation_seconds = self.evaluation_seconds.or(budget.evaluation_seconds);
            budget.steps = self.steps.or(budget.steps);
            if let Some(pruner) = self.early.pruner()? {
                policy.pruner = Some(pruner).filter(|pruner| pruner.name != "none");
            }
            policy.stop_early = self.early.over(Some(policy.stop_early));
            policy.max_attempts = self.max_attempts.unwrap_or(policy.max_attempts);
            client.set_policy(policy).map_err(|error| Error::Setting(error.to_string()))?;
        }
        Ok(print(&text::status(&Summary::read(dir)?.status())))
    }
}

/// Changes the study's evaluation, and says what is another.
fn change(client: &DirectClient, changes: &EvaluationChanges) -> Result<(), Error> {
    let (before, space) = client.with_study(|study| {
        let evaluation = study.evaluation().map(|(_, evaluation)| (**evaluation).clone());
        (evaluation, study.definition().space.clone())
    })?;
    let new = changes.over(before.as_ref().unwrap_or(&Evaluation::default()));
    // A typo now, not a thousand crashed trials later.
    CommandTemplate::of(&new, &space)?;
    let number = client.set_evaluation(new.clone())?;
    let changed = before.map_or_else(|| vec![new.to_string()], |before| before.changes(&new));
    say(match changed.is_empty() {
        true => format!("evaluation {number} stays as it is"),
        false => format!(
            "evaluation {number} counts for all workers from their next trials on\n  {}",
            changed.join("\n  ")
        ),
    });
    Ok(())
}
