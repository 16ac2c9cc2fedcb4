//! The [`Optimizer`] trait: given all trials and the budget, propose configurations.
//!
//! A user's own optimizer implements the same trait as the built-in ones; see
//! `examples/own_optimizer.rs`.

use rand::SeedableRng;
use rand::rngs::Xoshiro256PlusPlus;

pub use crate::definition::OptimizerInfo;

use crate::definition::{Definition, WarmStart};

use crate::budget::{Budget, Spent};
use crate::config::Config;
use crate::error::BoxError;
use crate::objectives::Objectives;
use crate::space::SearchSpace;
use crate::trial::{Trial, TrialId, Trials};

/// Proposes what to evaluate next.
///
/// Everything it works from is in the [`SamplingRequest`]. An optimizer that keeps state of its own must be
/// able to rebuild it from the trials, because a study may be resumed, or shared by several
/// processes, each with its own instance of the optimizer.
pub trait Optimizer: Send {
    /// Its name and arguments. Stored when a study is created, compared when one is opened.
    fn info(&self) -> OptimizerInfo;

    /// Proposes up to `request.n()` configurations.
    ///
    /// # Errors
    /// An error ends the run; the study stores nothing of this request.
    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError>;

    /// Checks the space before the first request: a grid needs a parameter it can enumerate, a
    /// multi-fidelity scheme needs a fidelity.
    ///
    /// # Errors
    /// Why this optimizer cannot search that space.
    fn check(&self, space: &SearchSpace) -> Result<(), BoxError> {
        let _ = space;
        Ok(())
    }

    /// Whether a proposal takes longer than a commit (a model is fitted, say). Such an optimizer
    /// runs on an actor of its own, and reports never wait for it.
    fn is_slow(&self) -> bool {
        false
    }

    /// Whether only another program can propose: a NePS worker, say, or the program that defines this
    /// optimizer. Then workers wait for the trials that it samples.
    fn is_elsewhere(&self) -> bool {
        false
    }

    /// How many evaluations at once it can use, where there is a limit: a run with more workers is warned.
    fn parallelism(&self) -> Option<usize> {
        None
    }

    /// Whether it learns from trials of other studies,
    /// [`SamplingRequest::warm_start`]. A study that is to begin with some is refused if not.
    fn transfers(&self) -> bool {
        false
    }

    /// Receives each new or changed trial, in the order of the journal, before the next request.
    /// Every process reads the same journal, so what an optimizer learns from it is the same in all
    /// of them, and in a resumed study. Called only if [`observes`](Self::observes) returns true.
    fn observe(&mut self, definition: &Definition, trial: &Trial) {
        let _ = (definition, trial);
    }

    /// Whether it learns from [`observe`](Self::observe), and not only from the trials of a request.
    fn observes(&self) -> bool {
        false
    }
}

/// What an optimizer may read when it is asked.
#[derive(Clone, Copy)]
pub struct SamplingRequest<'a> {
    /// See [`n`](Self::n).
    pub n: usize,
    /// See [`space`](Self::space).
    pub space: &'a SearchSpace,
    /// See [`objectives`](Self::objectives).
    pub objectives: &'a Objectives,
    /// See [`trials`](Self::trials).
    pub trials: &'a Trials,
    /// See [`budget`](Self::budget).
    pub budget: &'a Budget,
    /// See [`spent`](Self::spent).
    pub spent: &'a Spent,
    /// See [`warm_start`](Self::warm_start).
    pub warm_start: &'a [WarmStart],
    /// The study's seed; [`rng`](Self::rng) derives the random streams from it.
    pub seed: u64,
    /// How many samples were taken before this request.
    pub first_sample: u64,
    /// The number that the first new configuration of this request gets.
    pub next_number: u64,
}

impl<'a> SamplingRequest<'a> {
    /// How many configurations are wanted; fewer are welcome too.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The search space.
    pub fn space(&self) -> &'a SearchSpace {
        self.space
    }

    /// What is minimised or maximised. Trials have their objectives as they were given:
    /// [`Objectives::minimised`] turns them so that smaller is better.
    pub fn objectives(&self) -> &'a Objectives {
        self.objectives
    }

    /// All trials so far, whatever their state, in the order in which they were sampled.
    pub fn trials(&self) -> &'a Trials {
        self.trials
    }

    /// What the study may spend in all.
    pub fn budget(&self) -> &'a Budget {
        self.budget
    }

    /// What it has spent.
    pub fn spent(&self) -> &'a Spent {
        self.spent
    }

    /// What other studies had found when this one was created; always the same.
    pub fn warm_start(&self) -> &'a [WarmStart] {
        self.warm_start
    }

    /// Random numbers for the `at`-th configuration of this request: a stream of its own, decided
    /// by the study's seed and the number of the sample, so two processes with equal seeds never
    /// draw the same, and a resumed study draws what the uninterrupted one would have.
    ///
    /// xoshiro256++ (Blackman and Vigna, 2021), which wants a state of four words from `SplitMix64`
    /// (Steele et al., 2014): sample k has the words 4 k to 4 k + 3 that `SplitMix64` gives for the
    /// seed.
    pub fn rng(&self, at: usize) -> Xoshiro256PlusPlus {
        const WORDS: u64 = 4;
        const SPLIT_MIX_STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let words = self.sample_number(at).wrapping_mul(WORDS);
        let state = self.seed.wrapping_add(words.wrapping_mul(SPLIT_MIX_STEP));
        Xoshiro256PlusPlus::seed_from_u64(state)
    }

    /// How many samples were taken before the `at`-th configuration of this request.
    pub fn sample_number(&self, at: usize) -> u64 {
        self.first_sample.wrapping_add(at as u64)
    }

    /// The number that the `at`-th new configuration gets when the optimizer names none: one more
    /// than the highest so far.
    pub fn next_number(&self, at: usize) -> u64 {
        self.next_number + at as u64
    }
}

/// An optimizer's answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Proposal {
    /// Evaluate these, at least one and at most as many as were asked for.
    Evaluate(Vec<Suggestion>),
    /// Nothing now: results of trials in progress are needed first.
    Wait,
    /// There is nothing more to evaluate.
    Finished,
}

/// One configuration that an optimizer proposes.
#[derive(Debug, Clone, PartialEq)]
pub struct Suggestion {
    /// What to evaluate.
    pub config: Config,
    /// Its id (`3_rung_1`), or none for the next number.
    pub id: Option<TrialId>,
    /// The trial it continues; that trial's directory is handed to the evaluation, which waits until that trial has
    /// ended.
    pub previous: Option<TrialId>,
}

impl From<Config> for Suggestion {
    fn from(config: Config) -> Self {
        Suggestion { config, id: None, previous: None }
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    /// What a study draws must stay the same for ever. The numbers are from another implementation
    /// of `SplitMix64` and xoshiro256++, in Python.
    #[test]
    fn the_stream_of_a_sample_is_the_same_for_ever() {
        let space = SearchSpace::new([("x", crate::space::Parameter::float(0.0, 1.0))]).unwrap();
        let (trials, budget, spent) = (Trials::default(), Budget::default(), Spent::default());
        let objectives = Objectives::default();
        for (seed, sample, first) in [
            (7, 0, 1021219803524665661),
            (7, 1, 5739498898712562146),
            (7, 1000, 18306482292178343659),
            (0, 0, 5987356902031041503),
            (u64::MAX, 3, 7350323208481806038),
        ] {
            let request = SamplingRequest {
                n: 1,
                space: &space,
                objectives: &objectives,
                trials: &trials,
                budget: &budget,
                spent: &spent,
                warm_start: &[],
                seed,
                first_sample: sample,
                next_number: 1,
            };
            assert_eq!(request.rng(0).next_u64(), first, "seed {seed}, sample {sample}");
        }
    }
}
