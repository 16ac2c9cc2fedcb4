//! One trial as NePS's cache holds it, and what of it our words have no place for.
//!
//! The object graph is that of `neps.state.trial`: `Trial{config, metadata, report, source}`,
//! `MetaData`, `State`, `Report`. The number of attempts is ours alone, and stands in an attribute
//! `trialmill` of the trial, which NePS carries along.

mod read;
mod write;

use std::borrow::Cow;
use std::sync::Arc;

use super::pickle::Pickle;
use super::space::Translation;
use trialmill_core::config::{Config, Names, Value as ConfigValue};
use trialmill_core::event::Lease;
use trialmill_core::interner::Interner;
use trialmill_core::trial::{State, Trial, WorkerId};

pub(super) use read::read;
pub(super) use write::Writer;

const TRIAL: (&str, &str) = ("neps.state.trial", "Trial");
const METADATA: (&str, &str) = ("neps.state.trial", "MetaData");
const REPORT: (&str, &str) = ("neps.state.trial", "Report");
const STATE: (&str, &str) = ("neps.state.trial", "State");
/// The attribute of a trial that holds what only trialmill knows of it.
const OURS: &str = "trialmill";

/// A trial of a directory that NePS shares, as it was read.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) trial: Trial,
    pub(super) extras: Extras,
}

/// What NePS's record says of a trial that our words have no place for.
#[derive(Debug, Clone, Default)]
pub(super) struct Extras {
    /// Its directory, if NePS stored another one than ours would be.
    pub(super) location: Option<Box<str>>,
    pub(super) previous_location: Option<Box<str>>,
    /// `run`, `ask_and_tell` or `imported`; NePS 0.17 has it.
    pub(super) source: Option<Box<str>>,
    pub(super) lease: Option<Box<Lease>>,
    /// The class of its exception, where not every Python has it.
    pub(super) foreign_exception: Option<Box<str>>,
    /// The configuration and the report as NePS stored them, where ours do not say all of it.
    pub(super) config: Option<Arc<Pickle<'static>>>,
    pub(super) report: Option<Arc<Pickle<'static>>>,
}

/// A record to be written: a trial of the study, and what is known of it beside.
#[derive(Debug, Clone)]
pub(super) struct View<'a> {
    /// The study's own, but for a state that this version of NePS does not know.
    pub(super) trial: Cow<'a, Trial>,
    pub(super) extras: &'a Extras,
}

/// How far a trial has come. The record that has come further is the newer one.
pub(super) fn progress(state: State) -> u8 {
    match state {
        State::Pending | State::Submitted => 0,
        State::Evaluating => 1,
        _ => 2,
    }
}

/// What reading many records shares.
pub(super) struct Shared {
    /// The names of the space, so that configurations share them.
    pub(super) names: Names,
    pub(super) translation: Translation,
    interner: Interner,
}

impl Shared {
    pub(super) fn new(names: Names, translation: Translation) -> Self {
        Shared { names, translation, interner: Interner::default() }
    }

    pub(super) fn worker(&mut self, name: &str) -> WorkerId {
        self.interner.intern(name)
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
