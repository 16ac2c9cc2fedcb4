//! The states of a trial, which may follow which, and why an attempt ends without a report.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a trial; the names are NePS's, but for `pruned`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Sampled or requeued: waits for a worker.
    Pending,
    /// Handed to a queue outside (NePS up to 0.14).
    Submitted,
    /// A worker evaluates it.
    Evaluating,
    /// Evaluated; the report has its objective.
    Success,
    /// The evaluation said that it failed.
    Failed,
    /// The evaluation ended without saying anything usable: an error, a signal, a timeout.
    Crashed,
    /// Evaluated elsewhere and imported.
    External,
    /// Its files make no sense.
    Corrupted,
    /// Its state is not known.
    Unknown,
    /// Ended early, because its values promised too little; NePS has no such state.
    Pruned,
}

impl State {
    /// All states, in the order in which reports list them.
    pub const ALL: [State; 10] = [
        State::Pending,
        State::Submitted,
        State::Evaluating,
        State::Success,
        State::Failed,
        State::Crashed,
        State::External,
        State::Corrupted,
        State::Unknown,
        State::Pruned,
    ];

    /// Its name, as NePS writes it.
    pub fn name(self) -> &'static str {
        match self {
            State::Pending => "pending",
            State::Submitted => "submitted",
            State::Evaluating => "evaluating",
            State::Success => "success",
            State::Failed => "failed",
            State::Crashed => "crashed",
            State::External => "external",
            State::Corrupted => "corrupted",
            State::Unknown => "unknown",
            State::Pruned => "pruned",
        }
    }

    /// Whether the trial has ended with a report.
    pub fn is_finished(self) -> bool {
        use State::*;
        matches!(self, Success | Failed | Crashed | External | Pruned)
    }

    /// Whether the trial has ended without an objective, so that it may be retried.
    pub fn is_error(self) -> bool {
        matches!(self, State::Failed | State::Crashed)
    }

    /// Whether a worker spent an evaluation on it, or is spending one: what the budget counts.
    pub fn is_charged(self) -> bool {
        use State::*;
        matches!(self, Evaluating | Success | Failed | Crashed | Pruned)
    }

    /// The one table of legal transitions.
    pub fn may_become(self, next: State) -> bool {
        use State::*;
        match self {
            Pending => matches!(next, Submitted | Evaluating | Corrupted | Unknown),
            Submitted => matches!(next, Pending | Evaluating | Corrupted | Unknown),
            Evaluating => {
                matches!(next, Pending | Success | Failed | Crashed | Pruned | Corrupted | Unknown)
            }
            // Given back on request: `retry`.
            Failed | Crashed => matches!(next, Pending | Corrupted),
            Success | External | Pruned => matches!(next, Corrupted),
            Corrupted | Unknown => next == Pending,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|state| state.name()).collect();
            format!("'{text}' is not a state; the states are {}", names.join(", "))
        })
    }
}

/// Why an attempt ended without a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// Its process died.
    Died,
    /// It was released: the run was stopped, or its caller gave it up.
    Released,
    /// The caller's deadline passed.
    Expired,
    /// Somebody asked for another try of a trial that had failed.
    Retry,
    /// It crashed, and the study's policy gives it another try.
    Crashed,
}

impl Reason {
    /// Whether the attempt counts towards `max_attempts`.
    pub fn counts(self) -> bool {
        matches!(self, Reason::Died | Reason::Expired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_is_never_taken_back_and_nothing_ends_without_being_evaluated() {
        for next in State::ALL {
            assert!(!State::Success.may_become(next) || next == State::Corrupted);
            let ended = next.is_finished() && next != State::External;
            for from in State::ALL {
                assert!(!(ended && from.may_become(next)) || from == State::Evaluating);
            }
        }
        for state in State::ALL {
            assert_eq!(state.name().parse(), Ok(state));
        }
    }
}
