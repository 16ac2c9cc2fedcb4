//! What is done to the study, each by its own commands, as an event in its journal.

use std::path::Path;

use trialmill_core::trial::State;
use trialmill_runtime::{DirectClient, ReportOutcome};

use super::screen::Action;

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Action::Release(trial) => {
                write!(f, "release trial {trial}, so that it is handed out again")
            }
            Action::Retry(trial) => write!(f, "retry trial {trial}"),
            Action::RetryAll => f.write_str("retry all trials that failed or crashed"),
            Action::More(n) => write!(f, "allow {n} more evaluations"),
        }
    }
}

/// Does it; says what was done.
pub(crate) fn carry_out(dir: &Path, action: Action) -> Result<String, String> {
    let say = |error: trialmill_core::error::Error| error.to_string();
    let client = DirectClient::open(dir).map_err(say)?;
    match action {
        Action::Release(trial) => match client.release(&trial, None).map_err(say)? {
            ReportOutcome::Accepted => Ok(format!("trial {trial} waits again")),
            ReportOutcome::Superseded { state, .. } => {
                Err(format!("trial {trial} is {state} by now"))
            }
        },
        Action::Retry(trial) => {
            client.retry_trials(std::slice::from_ref(&trial)).map_err(say)?;
            Ok(format!("trial {trial} waits again"))
        }
        Action::RetryAll => {
            let ids = client.retry(&[State::Failed, State::Crashed]).map_err(say)?;
            Ok(format!("{} trials wait again", ids.len()))
        }
        Action::More(n) => {
            let (mut policy, ..) = client.optimizer_state().map_err(say)?;
            let limit = policy.budget.evaluations.ok_or("the evaluations are not limited")?;
            policy.budget.evaluations = Some(limit.saturating_add(n));
            client.set_policy(policy).map_err(say)?;
            Ok(format!("{} evaluations are allowed now", limit.saturating_add(n)))
        }
    }
}
