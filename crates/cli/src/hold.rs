//! `pause`, `resume`, `stop`: from any terminal, for all processes of a study.

use std::process::ExitCode;

use clap::Args;
use trialmill::{DirectClient, Error};
use trialmill_runtime::Action;

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
        act(&self.dir, Action::Pause)
    }
}

impl Resume {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        act(&self.dir, Action::Resume)
    }
}

impl Stop {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        act(&self.dir, Action::Stop { now: self.now })
    }
}

fn act(dir: &Dir, action: Action) -> Result<ExitCode, Error> {
    let said = DirectClient::open(&dir.dir)?.act(action)?;
    Ok(print(&format!("{said}\n")))
}
