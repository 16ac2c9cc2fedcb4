//! `progress`: report a value of a trial that was asked for, before its end.

use std::process::ExitCode;

use clap::Args;
use trialmill::{DirectClient, Error, StepOutcome, TrialId};

use super::print::{Dir, print};
use super::tell::{objectives, superseded};

/// Reports the value of a trial at a step, before its end.
///
/// It prints `continue`, or `prune` (exit code 11) if the study's pruner says that the evaluation
/// should end: then end it, and `tell --pruned`.
#[derive(Args)]
#[command(after_help = "Example:\n  trialmill progress runs/x 17 --step 3 --value 0.2 || exit")]
pub(super) struct Progress {
    #[command(flatten)]
    dir: Dir,
    /// The trial
    #[arg(value_name = "ID")]
    id: TrialId,
    /// The number of the step: an epoch, say
    #[arg(long, value_parser = crate::numbers::count::<u64>)]
    step: u64,
    /// The value there of what is minimised, or NAME=VALUE where the study names it; give it several
    /// times for several objectives
    #[arg(long, required = true, allow_hyphen_values = true)]
    value: Vec<String>,
    /// The attempt that was handed out; the current one if not given
    #[arg(long, value_parser = crate::numbers::from_1::<u32>)]
    attempt: Option<u32>,
}

impl Progress {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let goals = client.with_study(|study| study.definition().objectives.clone())?;
        let values = objectives("--value", &self.value, &goals).map_err(Error::Setting)?;
        Ok(match client.report_step(&self.id, self.attempt, self.step, values)? {
            StepOutcome::Continue => print("continue\n"),
            StepOutcome::Prune => {
                print("prune\n");
                ExitCode::from(11)
            }
            StepOutcome::Superseded { state, attempts } => superseded(&self.id, state, attempts),
        })
    }
}
