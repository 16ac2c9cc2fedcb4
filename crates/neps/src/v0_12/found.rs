//! Compares a trial's files with our journal, using the rules by which NePS 0.12 derives a trial's
//! state from its files.
//!
//! | `result.yaml` | `error.yaml` | lock | state |
//! |---|---|---|---|
//! | yes | yes | | corrupted |
//! | one of them | | | ended, or corrupted if it cannot be read |
//! | no | no | held | evaluating |
//! | no | no | free | pending |
//!
//! A trial whose configuration cannot be read is corrupted in any case.

use super::files::{Stamps, TrialFiles};
use super::open::is_claimed;
use crate::record::Shared;
use trialmill_core::config::Config;
use trialmill_core::event::Reason;
use trialmill_core::trial::{MetaData, Report, State, Trial, TrialId};

/// The state that the files show, with the report of a trial that ended.
enum Found {
    Open(State),
    Ended(Box<Report>),
}

/// What a trial's files show.
pub(super) struct News {
    pub(super) trial: Trial,
    /// What makes no sense in them.
    problem: Option<String>,
}

impl News {
    /// The trial; what makes no sense is said.
    pub(super) fn said(self) -> Trial {
        if let Some(problem) = self.problem {
            tracing::warn!("trial {} is left alone: {problem}", self.trial.id);
        }
        self.trial
    }
}

/// Returns the trial as its files show it, if that is news. `is_held` tells whether a worker
/// evaluates it, and is called only if that matters.
pub(super) fn news(
    files: &TrialFiles,
    id: &TrialId,
    stamps: &Stamps,
    known: Option<&Trial>,
    shared: &mut Shared,
    is_held: impl FnOnce() -> bool,
) -> Option<News> {
    let has_ended = stamps.result.is_some() || stamps.error.is_some();
    if known.is_some_and(is_claimed) && !has_ended {
        // A process of trialmill holds the claim, so no other program changes the trial. (If its
        // files show an end, that process died before it wrote the journal.)
        return None;
    }
    let (read, mut problem) = match files.read(id, shared) {
        Ok(trial) => (Some(trial), None),
        Err(problem) => (None, Some(problem)),
    };
    let found = match (stamps.result, stamps.error) {
        _ if read.is_none() => Found::Open(State::Corrupted),
        (Some(_), Some(_)) => {
            problem = Some("it has a result and an error".into());
            Found::Open(State::Corrupted)
        }
        (None, None) if is_held() => Found::Open(State::Evaluating),
        (None, None) => Found::Open(State::Pending),
        (_, error) => match files.report(id, error.is_some()) {
            Ok(report) => Found::Ended(Box::new(report)),
            Err(error) => {
                problem = Some(error);
                Found::Open(State::Corrupted)
            }
        },
    };
    let unreadable = || {
        let metadata = MetaData { time_sampled: f64::NAN, ..MetaData::default() };
        Trial::pending(id.clone(), Config::new([].into(), Vec::new()), metadata)
    };
    let mut trial = match (known, read) {
        (Some(known), None) => known.clone(),
        (None, None) => unreadable(),
        // NePS 0.12.0 samples another configuration for an id whose worker was killed.
        (Some(known), Some(read)) if known.config != read.config => {
            Trial { attempts: known.attempts, losses: known.losses, state: known.state, ..read }
        }
        (Some(known), Some(_)) => known.clone(),
        (None, Some(read)) => read,
    };
    let runs = trial.state == State::Evaluating;
    match found {
        Found::Ended(report) => {
            trial.attempts += u32::from(!runs);
            trial.finish(report, f64::NAN);
            trial.metadata.time_end = files.time_end(id);
        }
        Found::Open(State::Evaluating) => {
            trial.attempts += u32::from(!runs);
            trial.state = State::Evaluating;
        }
        Found::Open(State::Pending) if runs => trial.requeue(Reason::Died),
        Found::Open(state) => trial.state = state,
    }
    let is_new =
        known.is_none_or(|known| trial.state != known.state || trial.config != known.config);
    is_new.then_some(News { trial, problem })
}
