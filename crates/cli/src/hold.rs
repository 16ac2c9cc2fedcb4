//! `pause`, `resume`, `stop`: from any terminal, for all processes of a study.

use std::process::ExitCode;

use clap::Args;
use trialmill::{DirectClient, Error};

use super::print::{Dir, print};

/// Hands out no trials until `resume`: what is being evaluated goes on, and the workers wait.
#[derive(Args)]
pub(super) struct Pause {
    #[command(flatten)]
    dir: Dir,
}

/// Goes on after `pause`.
#[derive(Args)]
pub(super) struct Resume {
    #[command(flatten)]
    dir: Dir,
}

/// Asks all processes that work on a study to end, as Ctrl-C in each of their terminals would.
///
/// They end after their evaluations, and the next `run` or `worker` goes on. On other machines it takes a
/// second until they see it.
#[derive(Args)]
pub(super) struct Stop {
    #[command(flatten)]
    dir: Dir,
    /// End the evaluations too: their trials wait for the next worker
    #[arg(long)]
    now: bool,
}

impl Pause {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let was = client.with_study(|study| study.policy().paused)?;
        client.pause()?;
        let goes_on = client.evaluating()?.len();
        Ok(print(&match was {
            true => "it was paused already\n".to_string(),
            false => format!("paused; {} in progress\n", super::text::trials(goes_on as u64)),
        }))
    }
}

impl Resume {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let was = client.with_study(|study| study.policy().paused)?;
        client.resume()?;
        Ok(print(if was { "trials are handed out again\n" } else { "it was not paused\n" }))
    }
}

impl Stop {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let own = std::process::id();
        let asked = client.with_study(move |study| {
            let others = study.processes().filter(|process| process.pid != own);
            others
                .map(|p| format!("p{} on {} (pid {})", p.process, p.host, p.pid))
                .collect::<Vec<_>>()
        })?;
        client.stop_processes(self.now)?;
        let evaluating = super::text::trials(client.evaluating()?.len() as u64);
        Ok(print(&match (asked.is_empty(), self.now) {
            (true, _) => "no process works on this study\n".to_string(),
            (false, true) => format!("asked to end now: {}\n", asked.join(", ")),
            (false, false) => {
                format!("asked to end: {}; {evaluating} in progress first\n", asked.join(", "))
            }
        }))
    }
}
