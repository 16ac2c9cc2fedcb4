//! The trials so far, in the order of the journal.

use std::collections::HashSet;

use crate::space::{Point, Space};

/// Where a trial stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Proposed, and not ended yet.
    Pending,
    /// Ended with its objectives.
    Finished,
    /// Stopped early; its objectives, if any, are of a lower fidelity.
    Pruned,
    /// Ended without a usable result.
    Failed,
}

/// The id of a trial of a multi-fidelity scheme: `3_rung_1` in NePS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RungId {
    /// The configuration.
    pub config: u64,
    /// The rung it is evaluated at.
    pub rung: u32,
}

/// What is known of one trial.
#[derive(Debug, Clone, PartialEq)]
pub struct Observation {
    /// Its configuration.
    pub point: Point,
    /// Where it stands.
    pub state: State,
    /// What is minimised; empty until it ends.
    pub objectives: Vec<f64>,
    /// What must be 0 or less; one that is more makes the trial a failed one, whose objectives are known.
    pub constraints: Vec<f64>,
    /// The fidelity it is evaluated at, if the space has one.
    pub fidelity: Option<f64>,
    /// Its id, in a multi-fidelity scheme.
    pub id: Option<RungId>,
}

impl Observation {
    /// A trial that was just proposed.
    pub fn pending(point: Point) -> Self {
        let (objectives, constraints, fidelity, id) = (Vec::new(), Vec::new(), None, None);
        Observation { point, state: State::Pending, objectives, constraints, fidelity, id }
    }

    /// Its only objective, if that is a finite number and the trial is finished.
    pub fn objective(&self) -> Option<f64> {
        match self.objectives[..] {
            [x] if self.state == State::Finished && x.is_finite() => Some(x),
            _ => None,
        }
    }

    /// Its only objective, if that is a finite number, also where it violates a constraint.
    pub(crate) fn measured(&self) -> Option<f64> {
        match self.objectives[..] {
            [x] if x.is_finite() && !self.constraints.is_empty() => Some(x),
            _ => self.objective(),
        }
    }

    /// By how much it violates its constraints in all; nothing where it has none.
    pub(crate) fn violation(&self) -> Option<f64> {
        let beyond = |x: &f64| {
            if *x <= 0.0 {
                0.0
            } else if x.is_nan() {
                f64::INFINITY
            } else {
                *x
            }
        };
        (!self.constraints.is_empty()).then(|| self.constraints.iter().map(beyond).sum())
    }

    /// Whether it violates no constraint.
    pub(crate) fn is_feasible(&self) -> bool {
        self.violation().is_none_or(|violation| violation <= 0.0)
    }

    /// All its objectives, if they are finite numbers and the trial is finished.
    pub fn all_objectives(&self) -> Option<&[f64]> {
        let good = self.state == State::Finished
            && !self.objectives.is_empty()
            && self.objectives.iter().all(|x| x.is_finite());
        good.then_some(&self.objectives)
    }
}

/// All trials, in the order in which they were proposed, and the order in which they ended.
#[derive(Debug, Clone, Default)]
pub struct History {
    trials: Vec<Observation>,
    ended: Vec<usize>,
    seen: HashSet<u64>,
    rewritten: u64,
}

impl History {
    /// No trials.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a trial and returns its place.
    pub fn push(&mut self, trial: Observation) -> usize {
        let at = self.trials.len();
        self.seen.insert(key(&trial.point));
        if trial.state != State::Pending {
            self.ended.push(at);
        }
        self.trials.push(trial);
        at
    }

    /// A trial ends. A place that does not exist is ignored.
    pub fn end(&mut self, at: usize, state: State, objectives: Vec<f64>) {
        let Some(trial) = self.trials.get_mut(at) else { return };
        if trial.state != State::Pending {
            self.rewritten += 1;
            self.ended.retain(|other| *other != at);
        }
        trial.state = state;
        trial.objectives = objectives;
        if state != State::Pending {
            self.ended.push(at);
        }
    }

    /// The constraints of a trial that is about to end.
    pub fn constrain(&mut self, at: usize, constraints: Vec<f64>) {
        if let Some(trial) = self.trials.get_mut(at) {
            trial.constraints = constraints;
        }
    }

    /// A trial that ended waits again (`retry`).
    pub fn reopen(&mut self, at: usize) {
        if let Some(trial) = self.trials.get_mut(at) {
            trial.state = State::Pending;
            trial.objectives.clear();
            trial.constraints.clear();
            self.ended.retain(|other| *other != at);
            self.rewritten += 1;
        }
    }

    /// Takes back the newest trials, which are pending, down to that many.
    pub(crate) fn truncate(&mut self, len: usize) {
        for trial in self.trials.drain(len.min(self.trials.len())..) {
            self.seen.remove(&key(&trial.point));
        }
    }

    /// All trials, in the order in which they were proposed.
    pub fn trials(&self) -> &[Observation] {
        &self.trials
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.trials.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.trials.is_empty()
    }

    /// The trials that ended, in the order in which they did.
    pub fn ended(&self) -> impl ExactSizeIterator<Item = &Observation> + Clone {
        self.ended.iter().map(|at| &self.trials[*at])
    }

    /// The trials that have not ended.
    pub fn pending(&self) -> impl Iterator<Item = &Observation> {
        self.trials.iter().filter(|trial| trial.state == State::Pending)
    }

    /// How often something was changed that had been told already: what was derived is void then.
    pub fn rewritten(&self) -> u64 {
        self.rewritten
    }

    /// Whether this very configuration was proposed before.
    pub fn has_seen(&self, point: &[f64]) -> bool {
        self.seen.contains(&key(point))
    }

    /// A configuration of a discrete space that was not proposed before; none if there is none
    /// left, or if it cannot be found. `settled` says what a point becomes: several may be one.
    pub fn unseen(
        &self,
        space: &Space,
        settled: impl Fn(&[f64]) -> Point,
        rng: &mut dyn rand::Rng,
    ) -> Option<Point> {
        use rand::RngExt;
        for _ in 0..64 {
            let point = settled(&space.sample(rng));
            if !self.has_seen(&point) {
                return Some(point);
            }
        }
        let size = space.cardinality().filter(|size| *size <= 1 << 20)?;
        let first = rng.random_range(0..size.max(1));
        (0..size)
            .map(|at| settled(&space.nth((first + at) % size)))
            .find(|point| !self.has_seen(point))
    }
}

/// A fingerprint of a configuration.
pub(crate) fn key(point: &[f64]) -> u64 {
    point.iter().fold(0x9e37_79b9_7f4a_7c15, |hash, x| {
        let z = hash ^ x.to_bits();
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)).wrapping_add(0x9e37_79b9_7f4a_7c15)
    })
}
