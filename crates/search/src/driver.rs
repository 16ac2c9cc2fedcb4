//! What a study talks to: keeps the history, and asks the algorithm one sample at a time.
//!
//! Sample `k` is drawn from random stream `k` of the study's seed, whoever draws it and however
//! many are asked for at once: so two processes never draw the same, and a study that was resumed
//! goes on as the uninterrupted one.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;
use serde_json::Value as Json;

use crate::history::{History, Observation, RungId, State};
use crate::space::{Condition, Point, Space};
use crate::transfer::{Source, Transfer};

/// What an algorithm may look at. Constants are left out of it.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// What is searched.
    pub space: &'a Space,
    /// The trials so far, those proposed in the same request included.
    pub history: &'a History,
    /// What other studies found.
    pub transfer: &'a Transfer,
    /// The study's seed.
    pub seed: u64,
    /// How many samples were taken before this one: whose random stream it has.
    pub number: u64,
    /// How many of them an algorithm proposed, and nobody brought: its place in a design.
    pub place: u64,
}

/// One configuration to evaluate.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// Which.
    pub point: Point,
    /// At which fidelity; none for the highest.
    pub fidelity: Option<f64>,
    /// Its id, in a multi-fidelity scheme; none for the next number.
    pub id: Option<RungId>,
    /// The trial it continues.
    pub previous: Option<RungId>,
}

impl From<Point> for Suggestion {
    fn from(point: Point) -> Self {
        Suggestion { point, fidelity: None, id: None, previous: None }
    }
}

/// An algorithm's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposal {
    /// Evaluate this.
    Evaluate(Suggestion),
    /// Nothing now: results of trials in progress are needed first.
    Wait,
    /// There is nothing more to evaluate.
    Finished,
}

/// Proposes what to evaluate next: a function of the history, the seed and the sample's number.
///
/// What an algorithm keeps between two calls must follow from those, because a study may be
/// resumed, or shared by several processes, each with an algorithm of its own.
pub trait Algorithm: Send {
    /// Its name, as a study file spells it.
    fn name(&self) -> &'static str;

    /// Its arguments, all of them.
    fn arguments(&self) -> Json;

    /// Checks the space before the first request.
    ///
    /// # Errors
    /// Why it cannot search that space.
    fn check(&self, space: &Space) -> Result<(), String> {
        let _ = space;
        Ok(())
    }

    /// Proposes one configuration.
    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal;

    /// Whether a proposal takes longer than a commit.
    fn is_slow(&self) -> bool {
        false
    }

    /// Whether it learns from other studies' trials.
    fn transfers(&self) -> bool {
        false
    }

    /// How many evaluations at once it can use, if there is a limit.
    fn parallelism(&self) -> Option<usize> {
        None
    }
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Evaluate these, at least one and at most as many as were asked for.
    Evaluate(Vec<Suggestion>),
    /// Nothing now.
    Wait,
    /// There is nothing more.
    Finished,
}

/// An algorithm on a study's space and history.
pub struct Driver {
    full: Space,
    active: Vec<usize>,
    space: Space,
    history: History,
    transfer: Transfer,
    algorithm: Box<dyn Algorithm>,
    seed: u64,
    brought: u64,
    settle: Option<Settle>,
}

/// Brings a proposed point to what will be observed of it.
type Settle = Box<dyn Fn(&mut Point) + Send>;

impl Driver {
    /// Checks that the algorithm can search the space.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn new(full: Space, algorithm: Box<dyn Algorithm>, seed: u64) -> Result<Self, String> {
        let moves = |at: &usize| full.dimensions[*at].levels() != Some(1);
        let active: Vec<usize> = (0..full.len()).filter(moves).collect();
        let dimensions = active.iter().map(|at| full.dimensions[*at].clone()).collect();
        let conditions = conditions_among(&full, &active);
        let space = Space { dimensions, fidelity: full.fidelity, conditions };
        algorithm.check(&space)?;
        let (history, transfer) = (History::new(), Transfer::default());
        let (brought, settle) = (0, None);
        Ok(Driver { full, active, space, history, transfer, algorithm, seed, brought, settle })
    }

    /// Says what a proposed point becomes on its way through the caller's values: there and back it
    /// may move by a rounding error, and several proposals of one request have to see each other as
    /// they will be observed.
    pub fn settle_with(mut self, settle: impl Fn(&mut Point) + Send + 'static) -> Self {
        self.settle = Some(Box::new(settle));
        self
    }

    /// Begins with what other studies found. A coordinate that is not a number is of a parameter that
    /// they did not have.
    pub fn beginning_with(mut self, mut sources: Vec<Source>) -> Self {
        for trial in sources.iter_mut().flat_map(|source| &mut source.trials) {
            let known: Vec<bool> = self
                .active
                .iter()
                .map(|at| trial.point.get(*at).is_some_and(|x| !x.is_nan()))
                .collect();
            trial.point = self.reduced(&trial.point);
            let unknown = trial.point.iter_mut().zip(known).filter(|(_, known)| !known);
            unknown.for_each(|(x, _)| *x = f64::NAN);
        }
        self.transfer = Transfer::new(&self.space, sources);
        self
    }

    /// The algorithm.
    pub fn algorithm(&self) -> &dyn Algorithm {
        &*self.algorithm
    }

    /// The trials so far, without the constants.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// A trial was proposed, by whomever: returns its place.
    pub fn observe(&mut self, mut trial: Observation) -> usize {
        trial.point = self.reduced(&trial.point);
        self.history.push(trial)
    }

    /// A trial was brought by a person, and not proposed: the points of a design go on as if it were
    /// not there. Returns its place.
    pub fn bring(&mut self, trial: Observation) -> usize {
        self.brought += 1;
        self.observe(trial)
    }

    /// What a trial that is about to end has where 0 or less is wanted. One that violates a constraint ends
    /// as failed, with its objectives.
    pub fn constrain(&mut self, at: usize, constraints: Vec<f64>) {
        self.history.constrain(at, constraints);
    }

    /// A trial ended.
    pub fn end(&mut self, at: usize, state: State, objectives: Vec<f64>) {
        self.history.end(at, state, objectives);
    }

    /// A trial that ended waits again.
    pub fn reopen(&mut self, at: usize) {
        self.history.reopen(at);
    }

    /// Proposes up to `n` configurations, the first of them with the number `first`. They count
    /// only once they are observed.
    pub fn ask(&mut self, n: usize, first: u64) -> Answer {
        let len = self.history.len();
        let mut list = Vec::new();
        let mut last = Proposal::Wait;
        for number in (first..).take(n) {
            last = self.one(number);
            let Proposal::Evaluate(suggestion) = &last else { break };
            let mut trial = Observation::pending(suggestion.point.clone());
            (trial.fidelity, trial.id) = (suggestion.fidelity, suggestion.id);
            self.history.push(trial);
            list.push(suggestion.clone());
        }
        self.history.truncate(len);
        for suggestion in &mut list {
            suggestion.point = self.expanded(&suggestion.point);
        }
        match last {
            _ if !list.is_empty() => Answer::Evaluate(list),
            Proposal::Finished => Answer::Finished,
            _ => Answer::Wait,
        }
    }

    fn one(&mut self, number: u64) -> Proposal {
        let mut rng = stream(self.seed, number);
        let place = number.saturating_sub(self.brought);
        let (space, history, transfer) = (&self.space, &self.history, &self.transfer);
        let ask = Ask { space, history, transfer, seed: self.seed, number, place };
        let mut proposal = self.algorithm.propose(&ask, &mut rng);
        if let Proposal::Evaluate(suggestion) = &mut proposal {
            suggestion.point = self.settled(&suggestion.point);
            if let Some(fidelity) = self.space.fidelity {
                suggestion.fidelity.get_or_insert(fidelity.upper);
            }
            // Nothing is evaluated twice where the configurations can be counted.
            if suggestion.id.is_none()
                && self.space.is_discrete()
                && self.history.has_seen(&suggestion.point)
            {
                match self.history.unseen(&self.space, |point| self.settled(point), &mut rng) {
                    Some(point) => suggestion.point = point,
                    None => return Proposal::Finished,
                }
            }
        }
        proposal
    }

    /// The point as it will be observed.
    fn settled(&self, point: &[f64]) -> Point {
        let mut point = point.to_vec();
        self.space.snap(&mut point);
        let Some(settle) = &self.settle else { return point };
        let mut full = self.expanded(&point);
        settle(&mut full);
        self.reduced(&full)
    }

    fn reduced(&self, point: &[f64]) -> Point {
        let at = |at: &usize| point.get(*at).copied().unwrap_or(0.5);
        let mut point: Point = self.active.iter().map(at).collect();
        self.space.snap(&mut point);
        point
    }

    fn expanded(&self, point: &[f64]) -> Point {
        let mut full: Point = self.full.dimensions.iter().map(|d| d.snap(0.5)).collect();
        for (at, x) in self.active.iter().zip(point) {
            full[*at] = *x;
        }
        full
    }
}

/// The conditions of the parameters that are left when the constants are left out.
fn conditions_among(full: &Space, active: &[usize]) -> Vec<Condition> {
    let place = |at: usize| active.iter().position(|active| *active == at);
    let reduced = |condition: &Condition| {
        let on = condition.on.iter().filter_map(|(at, values)| Some((place(*at)?, values.clone())));
        Some(Condition { dimension: place(condition.dimension)?, on: on.collect() })
    };
    full.conditions
        .iter()
        .filter_map(reduced)
        .filter(|condition| !condition.on.is_empty())
        .collect()
}

/// The random numbers of a sample, as `SamplingRequest::rng` of trialmill makes them.
pub fn stream(seed: u64, number: u64) -> Xoshiro256PlusPlus {
    const WORDS: u64 = 4;
    const SPLIT_MIX_STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let words = number.wrapping_mul(WORDS);
    Xoshiro256PlusPlus::seed_from_u64(seed.wrapping_add(words.wrapping_mul(SPLIT_MIX_STEP)))
}
