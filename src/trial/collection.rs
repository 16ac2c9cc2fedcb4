//! All trials of a study, in the order in which they were sampled.

use rustc_hash::FxHashMap;

use super::{Trial, TrialId};

/// All trials of a study, in the order in which they were sampled, and by id.
#[derive(Debug, Default)]
pub struct Trials {
    list: Vec<Trial>,
    by_id: FxHashMap<TrialId, u32>,
}

impl Trials {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// In the order in which they were sampled.
    pub fn iter(&self) -> std::slice::Iter<'_, Trial> {
        self.list.iter()
    }

    /// By id.
    pub fn get(&self, id: &TrialId) -> Option<&Trial> {
        self.position(id).map(|at| self.at(at))
    }

    pub(crate) fn position(&self, id: &TrialId) -> Option<u32> {
        self.by_id.get(id).copied()
    }

    /// The trial at a position that [`position`](Self::position) or [`push`](Self::push) gave.
    pub(crate) fn at(&self, at: u32) -> &Trial {
        &self.list[at as usize]
    }

    pub(crate) fn at_mut(&mut self, at: u32) -> &mut Trial {
        &mut self.list[at as usize]
    }

    /// Adds a trial whose id is new.
    pub(crate) fn push(&mut self, trial: Trial) -> u32 {
        let at = self.list.len() as u32;
        self.by_id.insert(trial.id.clone(), at);
        self.list.push(trial);
        at
    }
}

impl<'a> IntoIterator for &'a Trials {
    type Item = &'a Trial;
    type IntoIter = std::slice::Iter<'a, Trial>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
