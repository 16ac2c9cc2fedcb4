//! All trials of a study, in the order in which they were sampled.

use rustc_hash::FxHashMap;

use super::{Trial, TrialId};

/// All trials of a study, in the order in which they were sampled, and by id.
#[derive(Debug, Default)]
pub struct Trials {
    list: Vec<Trial>,
    /// The positions of trials that are not at their number: in most studies the 17th is trial 17,
    /// and a map of all would take a tenth of the memory.
    elsewhere: FxHashMap<TrialId, u32>,
    /// The greatest number that a trial has; 0 where none has one.
    last_number: u64,
}

/// The position of a trial with this id, if all trials before it are at their numbers.
fn usual_position(id: &TrialId) -> Option<usize> {
    match id {
        TrialId::Number(number) => number.checked_sub(1)?.try_into().ok(),
        _ => None,
    }
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

    /// All of them, in the same order.
    pub fn into_list(self) -> Vec<Trial> {
        self.list
    }

    /// By id.
    pub fn get(&self, id: &TrialId) -> Option<&Trial> {
        self.position(id).map(|at| self.at(at))
    }

    /// The number for the next trial: one more than the greatest so far.
    pub fn next_number(&self) -> u64 {
        self.last_number.saturating_add(1)
    }

    /// Takes a number as used: there was a trial with this id.
    pub(crate) fn pass(&mut self, id: &TrialId) {
        self.last_number = self.last_number.max(id.number().unwrap_or(0));
    }

    /// The position of a trial, by id.
    pub fn position(&self, id: &TrialId) -> Option<u32> {
        let usual = usual_position(id);
        match usual.filter(|at| self.list.get(*at).is_some_and(|trial| trial.id == *id)) {
            Some(at) => Some(at as u32),
            None => self.elsewhere.get(id).copied(),
        }
    }

    /// The trial at a position that [`position`](Self::position) or [`push`](Self::push) gave.
    pub fn at(&self, at: u32) -> &Trial {
        &self.list[at as usize]
    }

    /// The same as [`at`](Self::at), to change it.
    pub fn at_mut(&mut self, at: u32) -> &mut Trial {
        &mut self.list[at as usize]
    }

    /// Sets a trial as a whole, whether its id is new or not.
    pub fn set(&mut self, trial: Trial) {
        match self.position(&trial.id) {
            Some(at) => *self.at_mut(at) = trial,
            None => drop(self.push(trial)),
        }
    }

    /// Adds a trial whose id is new.
    pub fn push(&mut self, trial: Trial) -> u32 {
        let at = self.list.len();
        self.pass(&trial.id);
        if usual_position(&trial.id) != Some(at) {
            self.elsewhere.insert(trial.id.clone(), at as u32);
        }
        self.list.push(trial);
        at as u32
    }
}

impl<'a> IntoIterator for &'a Trials {
    type Item = &'a Trial;
    type IntoIter = std::slice::Iter<'a, Trial>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Names};
    use crate::trial::MetaData;

    #[test]
    fn every_trial_is_found_wherever_it_stands() {
        let mut trials = Trials::default();
        let ids = ["1", "2", "5", "3", "0", "6", "1_rung_1", "4", "7", "x"];
        for id in ids {
            let config = Config::new(Names::from([]), Vec::new());
            let id: TrialId = id.parse().unwrap();
            assert!(trials.get(&id).is_none(), "{id}");
            trials.push(Trial::pending(id, config, MetaData::default()));
        }
        for (at, id) in ids.into_iter().enumerate() {
            assert_eq!(trials.position(&id.parse().unwrap()), Some(at as u32), "{id}");
        }
        assert!(trials.get(&TrialId::Number(9)).is_none());
        assert!(trials.get(&TrialId::Number(u64::MAX)).is_none());
        assert_eq!(trials.elsewhere.len(), 7, "only those that do not stand at their number");
    }
}
