//! What an upper bound on the regret is computed from: the best results, as they were at certain counts.
//!
//! A bound takes a model, and its fit takes its time. So there is one not after each result, but at
//! checkpoints, each a tenth further than the one before; and what a bound is computed from is kept as it
//! was there. Whenever it is computed, and by whichever process, it is the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::limits::{REGRET_MIN_RESULTS, REGRET_RESULTS};

/// The best results at some point of a study.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// How many results there were.
    pub count: u64,
    /// The better half of them, as far as they are kept: the objective, smaller for the better, and the place of
    /// its trial among all trials. The best comes first.
    pub best: Vec<(f64, u32)>,
}

/// The best results so far.
#[derive(Debug, Default)]
pub(super) struct Results {
    best: BTreeSet<Ranked>,
    count: u64,
    next: u64,
    pub(super) latest: Option<Arc<Checkpoint>>,
}

/// A result, ordered from the best to the worst, and of equals from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ranked(f64, u32);

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl Results {
    pub(super) fn add(&mut self, objective: f64, at: u32) {
        self.count += 1;
        self.best.insert(Ranked(objective, at));
        if self.best.len() > REGRET_RESULTS {
            self.best.pop_last();
        }
    }

    /// Keeps the results as they are, where it is time for it.
    pub(super) fn check(&mut self) {
        if self.count < self.next.max(REGRET_MIN_RESULTS) {
            return;
        }
        self.next = self.count + (self.count / 10).max(1);
        let half = (self.count / 2).max(REGRET_MIN_RESULTS) as usize;
        let best = self.best.iter().take(half).map(|Ranked(x, at)| (*x, *at)).collect();
        self.latest = Some(Arc::new(Checkpoint { count: self.count, best }));
    }
}
