//! The trials of the cache as we know them: what it takes to write all of them, and to see what
//! NePS's unlocked writes have lost.

use rustc_hash::FxHashMap;

use super::record::Record;
use crate::trial::{State, TrialId};

/// All trials, in the order in which they first appeared.
#[derive(Debug, Default)]
pub(super) struct Mirror {
    list: Vec<Record>,
    by_id: FxHashMap<TrialId, usize>,
    last_number: u64,
}

impl Mirror {
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Record> {
        self.list.iter()
    }

    pub(super) fn get(&self, id: &TrialId) -> Option<&Record> {
        self.by_id.get(id).map(|at| &self.list[*at])
    }

    /// The id that the next trial gets, if nobody has it.
    pub(super) fn next_id(&self) -> TrialId {
        TrialId::Number(self.last_number.saturating_add(1))
    }

    /// Sets a trial, and gives what it was.
    pub(super) fn set(&mut self, record: Record) -> Before {
        let last_number = self.last_number;
        self.last_number = last_number.max(record.trial.id.number().unwrap_or(0));
        match self.by_id.get(&record.trial.id) {
            Some(at) => Before::Was(Box::new(std::mem::replace(&mut self.list[*at], record))),
            None => {
                self.by_id.insert(record.trial.id.clone(), self.list.len());
                self.list.push(record);
                Before::New { last_number }
            }
        }
    }

    /// Takes the last [`set`](Self::set) back that was not yet taken back.
    pub(super) fn undo(&mut self, before: Before) {
        match before {
            Before::Was(record) => drop(self.set(*record)),
            Before::New { last_number } => {
                self.last_number = last_number;
                self.list.pop().map(|record| self.by_id.remove(&record.trial.id));
            }
        }
    }

    /// Takes what the cache says of a trial; gives whether that is news. NePS does not count
    /// attempts: a start that we have not seen is one more.
    pub(super) fn learn(&mut self, mut record: Record) -> bool {
        let trial = &mut record.trial;
        if let Some(old) = self.get(&trial.id).map(|old| &old.trial) {
            let started = trial.metadata.time_started;
            let anew = started.is_some() && started != old.metadata.time_started;
            trial.attempts = trial.attempts.max(old.attempts + u32::from(anew));
            if *trial == *old {
                return false;
            }
        }
        self.set(record);
        true
    }
}

/// What a trial was before it was set.
#[derive(Debug)]
pub(super) enum Before {
    Was(Box<Record>),
    New { last_number: u64 },
}

/// How far a trial has come: what comes later was told later.
pub(super) fn progress(state: State) -> u8 {
    match state {
        State::Pending | State::Submitted => 0,
        State::Evaluating => 1,
        _ => 2,
    }
}
