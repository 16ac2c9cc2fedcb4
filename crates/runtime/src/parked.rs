//! Requests that cannot be met yet.

use super::message::Reply;
use trialmill_core::study::{Ask, Command};
use trialmill_core::trial::WorkerId;

/// A request for trials.
#[derive(Clone)]
pub(super) enum Wish {
    /// For trials to evaluate.
    Ask(Ask),
    /// For trials that stay pending.
    Sample { n: usize, worker: WorkerId },
}

/// A request that waits in the state actor. It is the only command of its message.
pub(super) struct Parked {
    pub(super) wish: Wish,
    pub(super) reply: Reply,
}

impl Wish {
    /// The request that a command is, if it is one.
    pub(super) fn of(command: &Command) -> Option<Self> {
        match command {
            Command::Ask(ask) => Some(Wish::Ask(ask.clone())),
            Command::Sample { n, worker } => Some(Wish::Sample { n: *n, worker: worker.clone() }),
            _ => None,
        }
    }

    pub(super) fn command(&self) -> Command {
        match self.clone() {
            Wish::Ask(ask) => Command::Ask(ask),
            Wish::Sample { n, worker } => Command::Sample { n, worker },
        }
    }

    pub(super) fn n(&self) -> usize {
        match self {
            Wish::Ask(Ask { n, .. }) | Wish::Sample { n, .. } => *n,
        }
    }

    pub(super) fn worker(&self) -> &WorkerId {
        match self {
            Wish::Ask(Ask { worker, .. }) | Wish::Sample { worker, .. } => worker,
        }
    }

    /// Whether it waits until there is something to evaluate, as a worker does. Others ask again by
    /// themselves; they wait for no more than a proposal that is being made.
    pub(super) fn is_patient(&self) -> bool {
        matches!(self, Wish::Ask(ask) if ask.lease.is_none())
    }
}
