//! What a batch of the store will write, and where.

use rustc_hash::FxHashMap;

use super::record::Record;
use trialmill_core::event::EventKind;
use trialmill_core::trial::TrialId;

/// Whether our own journal has what happened to a trial, because NePS's files have no place for it.
pub(super) fn is_beside(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Stepped { .. } | EventKind::Noted { .. })
}

/// Whether an event of our own journal is to be applied after the trials were read.
pub(super) fn comes_later(kind: &EventKind) -> bool {
    is_beside(kind) || matches!(kind, EventKind::Stopped { .. })
}

/// What a batch will write.
#[derive(Default)]
pub(super) struct Staged {
    pub(super) records: Vec<u8>,
    pub(super) count: usize,
    pub(super) created: Vec<TrialId>,
    pub(super) updated: Vec<TrialId>,
    pub(super) failed: Vec<TrialId>,
    pub(super) policy: bool,
    pub(super) joined: Vec<String>,
}

/// What one call of [`Store::stage`] adds to the batch: all of it, or nothing.
#[derive(Default)]
pub(super) struct Step {
    pub(super) records: Vec<u8>,
    pub(super) count: usize,
    pub(super) created: Vec<TrialId>,
    pub(super) updated: Vec<TrialId>,
    pub(super) failed: Vec<TrialId>,
    /// The trials after the step's events so far. The study applies these events only afterwards.
    pub(super) latest: FxHashMap<TrialId, Record>,
}
