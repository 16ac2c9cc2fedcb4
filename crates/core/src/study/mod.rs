//! The pure core: what a study knows, how events change it, and what it decides.
//!
//! This module uses no file, clock, thread or actor. [`StudyState::apply`] is the only way the state
//! changes, and opening a directory is `apply` over its events, so a recovered state cannot differ
//! from a live one. [`StudyState::decide`] turns a command into events and an answer, and changes
//! nothing. Everything a worker asks for is answered from the indexes that `apply` maintains, without
//! scanning all trials.

mod apply;
mod checkpoint;
mod command;
mod decide;
mod evaluations;
mod hand_out;
mod import;
mod index;
mod judge;
mod members;
mod note;
mod pruning;
mod reset;
mod results;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use command::{Answer, Ask, Command, StopReason};
pub use results::Checkpoint;

use crate::budget::Spent;
use crate::definition::Definition;
use crate::evaluation::Evaluation;
use crate::event::{Lease, Policy, Process, ProcessId};
use crate::stopping::EarlyEnd;
use crate::trial::{State, Trial, TrialId, Trials};
use evaluations::Evaluations;
use index::Index;
use pruning::Pruning;
use results::Results;

/// The state of a study: its definition, its policy, its trials and its processes.
#[derive(Debug)]
pub struct StudyState {
    definition: Definition,
    policy: Policy,
    evaluations: Evaluations,
    trials: Trials,
    index: Index,
    processes: BTreeMap<ProcessId, Process>,
    last_process: ProcessId,
    sample_count: u64,
    claims: u64,
    requeues: u64,
    pruning: Pruning,
    /// Why the study ended before its budget was used, if it did.
    ended_early: Option<EarlyEnd>,
    /// The best results, where the policy asks how far they are from the best there is.
    results: Option<Box<Results>>,
}

impl StudyState {
    /// A study to which nothing has happened yet.
    pub fn new(definition: Definition) -> Self {
        StudyState {
            policy: Policy::default(),
            evaluations: Evaluations::of(&definition),
            trials: Trials::default(),
            index: Index::new(definition.objectives.clone()),
            definition,
            processes: BTreeMap::new(),
            last_process: 0,
            sample_count: 0,
            claims: 0,
            requeues: 0,
            pruning: Pruning::default(),
            ended_early: None,
            results: None,
        }
    }

    /// What the study is.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// Its current policy.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// All evaluations by a command that this study has had, number 1 first: the study's own, and those of
    /// single processes.
    pub fn evaluations(&self) -> &[Arc<Evaluation>] {
        self.evaluations.all()
    }

    /// The study's evaluation by a command and its number, if it has one. The number is 0 for one that stands
    /// in the study's description and was not used yet.
    pub fn evaluation(&self) -> Option<(u32, &Arc<Evaluation>)> {
        self.evaluations.current()
    }

    /// All trials, in the order in which they were sampled.
    pub fn trials(&self) -> &Trials {
        &self.trials
    }

    /// A trial by id.
    pub fn trial(&self, id: &TrialId) -> Option<&Trial> {
        self.trials.get(id)
    }

    /// How many trials are in a state.
    pub fn count(&self, state: State) -> u64 {
        self.index.counts[state as usize]
    }

    /// How many trials have ended.
    pub fn finished(&self) -> u64 {
        State::ALL.into_iter().filter(|s| s.is_finished()).map(|s| self.count(s)).sum()
    }

    /// The trials that wait for a worker, the first sampled first.
    pub fn pending(&self) -> impl Iterator<Item = &Trial> {
        self.index.pending.iter().map(|(_, at)| self.trials.at(*at))
    }

    /// The trials that are being evaluated, the first sampled first.
    pub fn evaluating(&self) -> impl Iterator<Item = &Trial> {
        self.index.evaluating().into_iter().map(|at| self.trials.at(at))
    }

    /// The trials that a process is evaluating.
    pub fn evaluating_by(&self, process: ProcessId) -> impl Iterator<Item = &Trial> {
        self.index.evaluating_by(process).into_iter().map(|at| self.trials.at(at))
    }

    /// The claims that end by themselves, with the trial they are for.
    pub fn leases(&self) -> impl Iterator<Item = (&Trial, &Lease)> {
        self.index.leases.iter().map(|(at, lease)| (self.trials.at(*at), lease))
    }

    /// The trial with the best objective, where trials have one objective.
    pub fn best(&self) -> Option<&Trial> {
        self.index.best(&self.trials)
    }

    /// The trials that no other is better than in every objective; for one objective, the best.
    pub fn front(&self) -> Vec<&Trial> {
        self.index.front.iter().map(|at| self.trials.at(*at)).collect()
    }

    /// What has been spent, trials in progress counted or not as the policy says.
    pub fn spent(&self) -> Spent {
        self.index.spent(&self.policy)
    }

    /// How many trials ended without an objective: failed and crashed.
    pub fn errors(&self) -> u64 {
        self.count(State::Failed) + self.count(State::Crashed)
    }

    /// The trial that failed or crashed last, among those that are still in such a state.
    pub fn last_error(&self) -> Option<&Trial> {
        let is_error = |trial: &&Trial| trial.state.is_error();
        if self.errors() == 0 {
            return None;
        }
        let last = self.index.last_error.map(|at| self.trials.at(at));
        // If the latest failure was requeued, scan for the one before it. Rare.
        last.filter(is_error).or_else(|| {
            let end = |trial: &&Trial| trial.metadata.time_end.unwrap_or(0.0);
            self.trials.iter().filter(is_error).max_by(|a, b| end(a).total_cmp(&end(b)))
        })
    }

    /// The processes that joined and have neither left nor been buried.
    pub fn processes(&self) -> impl Iterator<Item = &Process> {
        self.processes.values()
    }

    /// Whether a process takes part: it joined, and no event records that it left or died.
    pub fn is_member(&self, process: ProcessId) -> bool {
        self.processes.contains_key(&process)
    }

    /// Whether processes other than this one are evaluating trials.
    pub fn held_by_others(&self, process: ProcessId) -> bool {
        self.index.is_held_by_others(process)
    }

    /// Why the study ended before its budget was used, if it did; until its policy changes.
    pub fn ended_early(&self) -> Option<EarlyEnd> {
        self.ended_early
    }

    /// How often the best result, or the front, became better.
    pub fn improvements(&self) -> u64 {
        self.index.improvements
    }

    /// How often an evaluation was started.
    pub fn claims(&self) -> u64 {
        self.claims
    }

    /// How often a trial was requeued.
    pub fn requeues(&self) -> u64 {
        self.requeues
    }

    /// How often attempts of a trial were lost with their process or their deadline.
    pub fn losses(&self, id: &TrialId) -> u32 {
        self.trial(id).map_or(0, |trial| trial.losses)
    }

    /// How many random streams are used up: one per trial, no matter which process sampled it.
    pub fn sample_count(&self) -> u64 {
        self.sample_count
    }
}
