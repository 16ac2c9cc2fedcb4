//! One trial as NePS's cache stores it, including what our `Trial` cannot represent.
//!
//! The object graph is that of `neps.state.trial`: `Trial{config, metadata, report, source}`,
//! `MetaData`, `State`, `Report`. Only we count attempts; the count is in an attribute `trialmill` of
//! the trial, which NePS preserves.

mod read;
mod write;

use std::borrow::Cow;
use std::sync::Arc;

use super::pickle::Pickle;
use super::space::Translation;
use trialmill_core::config::{Config, Names, Value as ConfigValue};
use trialmill_core::event::Lease;
use trialmill_core::interner::Interner;
use trialmill_core::trial::{InvalidTrialId, MetaData, State, Trial, WorkerId};

pub(super) use read::read;
pub(super) use write::Writer;

const TRIAL: (&str, &str) = ("neps.state.trial", "Trial");
const METADATA: (&str, &str) = ("neps.state.trial", "MetaData");
const REPORT: (&str, &str) = ("neps.state.trial", "Report");
const STATE: (&str, &str) = ("neps.state.trial", "State");
/// The attribute of a trial for what only trialmill records.
const OURS: &str = "trialmill";

/// A trial as read from a directory shared with NePS.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) trial: Trial,
    pub(super) extras: Extras,
}

/// The parts of NePS's record that our `Trial` cannot represent.
#[derive(Debug, Clone, Default)]
pub(super) struct Extras {
    /// Its directory, if NePS stored another one than ours would be.
    pub(super) location: Option<Box<str>>,
    pub(super) previous_location: Option<Box<str>>,
    /// `run`, `ask_and_tell` or `imported`; NePS 0.17 has it.
    pub(super) source: Option<Box<str>>,
    pub(super) lease: Option<Box<Lease>>,
    /// The class of its exception, if not every Python has it.
    pub(super) foreign_exception: Option<Box<str>>,
    /// The configuration and the report as NePS stored them, if ours do not contain everything.
    pub(super) config: Option<Arc<Pickle<'static>>>,
    pub(super) report: Option<Arc<Pickle<'static>>>,
}

/// A record to be written: a trial of the study, and its extras.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    /// The study's own, but for a state that this version of NePS does not know.
    pub(super) trial: Cow<'a, Trial>,
    pub(super) extras: &'a Extras,
}

/// Ranks states by progress; of two records, the one with the higher rank is newer.
pub(super) fn progress(state: State) -> u8 {
    match state {
        State::Pending | State::Submitted => 0,
        State::Evaluating => 1,
        _ => 2,
    }
}

/// What the reading of many records shares.
pub(super) struct Shared {
    /// The names of the space, so that configurations share them.
    pub(super) names: Names,
    pub(super) translation: Translation,
    workers: Interner<WorkerId>,
}

impl Shared {
    pub(super) fn new(names: Names, translation: Translation) -> Self {
        Shared { names, translation, workers: Interner::default() }
    }

    /// A trial's metadata, by NePS's names for its fields: the pickle and the files have the same.
    ///
    /// # Errors
    /// The name of the previous trial is no trial's.
    pub(super) fn metadata(
        &mut self,
        text: impl Fn(&str) -> Option<String>,
        number: impl Fn(&str) -> Option<f64>,
    ) -> Result<MetaData, String> {
        let previous = text("previous_trial_id").map(|id| id.parse()).transpose();
        Ok(MetaData {
            previous_trial_id: previous.map_err(|error: InvalidTrialId| error.to_string())?,
            sampling_worker_id: text("sampling_worker_id").map(|name| self.worker(&name)),
            time_sampled: number("time_sampled").unwrap_or(f64::NAN),
            evaluating_worker_id: text("evaluating_worker_id").map(|name| self.worker(&name)),
            evaluation_duration: number("evaluation_duration"),
            time_submitted: number("time_submitted"),
            time_started: number("time_started"),
            time_end: number("time_end"),
            evaluation: None,
        })
    }

    pub(super) fn worker(&mut self, name: &str) -> WorkerId {
        self.workers.intern(name)
    }

    /// A configuration of plain values; its names are the space's where they are the same.
    pub(super) fn config(&mut self, pairs: Vec<(String, ConfigValue)>) -> Config {
        let mut pairs = self.translation.to_plain(pairs);
        let place = |name: &str| self.names.iter().position(|own| **own == *name);
        if pairs.len() == self.names.len() && pairs.iter().all(|(name, _)| place(name).is_some()) {
            pairs.sort_by_key(|(name, _)| place(name));
        }
        let same = pairs.len() == self.names.len()
            && pairs.iter().zip(self.names.iter()).all(|((name, _), own)| **own == **name);
        if !same {
            let names: Names = pairs.iter().map(|(name, _)| name.as_str().into()).collect();
            if self.translation.is_empty() && self.names.is_empty() {
                self.names = names.clone();
            }
            return Config::new(names, pairs.into_iter().map(|(_, value)| value).collect());
        }
        Config::new(self.names.clone(), pairs.into_iter().map(|(_, value)| value).collect())
    }
}
