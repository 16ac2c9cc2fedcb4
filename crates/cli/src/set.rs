//! `set`: the rules of a study that is there, without its study file.

use std::process::ExitCode;

use clap::Args;
use trialmill::{DirectClient, Error, Summary};
use trialmill_layouts::Studies;
use trialmill_runtime::Evaluation;
use trialmill_store::Directory;

use super::early::Early;
use super::print::{Dir, print};
use super::text;

/// Changes the rules of a study; processes that work on it see a new budget at once.
///
/// A new command or timeout is for workers that start later without one of their own. What is not named
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
    /// How long one evaluation may take before it is killed
    #[arg(long, value_name = "TIME", value_parser = crate::numbers::seconds)]
    timeout: Option<f64>,
    /// The command that evaluates a trial
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Set {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let dir = &self.dir.dir;
        let rules = self.evaluations.is_some() || self.max_attempts.is_some();
        let limits = [self.cost, self.fidelity, self.evaluation_seconds];
        let rules = rules || limits.iter().any(Option::is_some) || self.steps.is_some();
        let rules = rules || self.early.is_given();
        let evaluation = self.timeout.is_some() || !self.command.is_empty();
        if !rules && !evaluation {
            let problem = "nothing is to be changed: name a budget, --pruner, --target, \
                           --max-attempts, --timeout, or a command after `--`";
            return Err(Error::Setting(problem.into()));
        }
        if self.timeout.is_some_and(|seconds| !seconds.is_finite() || seconds <= 0.0) {
            return Err(Error::Setting("the timeout must be a number of seconds above 0".into()));
        }
        if evaluation {
            let mut directory = Directory::open(dir)?;
            let mut kept = Evaluation::of(directory.definition());
            kept.timeout_seconds = self.timeout.or(kept.timeout_seconds);
            if !self.command.is_empty() {
                let space = &directory.definition().space;
                // A typo now, not a thousand crashed trials later.
                trialmill_runtime::evaluate::CommandTemplate::new(&self.command, space)?;
                kept.command.clone_from(&self.command);
            }
            directory.change_evaluation(kept.to_json())?;
        }
        if rules {
            let client = DirectClient::open(dir)?;
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
