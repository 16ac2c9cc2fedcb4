//! The indexes that answer a worker's questions without a look at all trials.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashSet;

use crate::budget::{Spent, counts};
use crate::event::{Lease, Policy, ProcessId};
use crate::objectives::Objectives;
use crate::trial::{State, Trial, Trials};

#[derive(Debug, Default)]
pub(super) struct Index {
    /// Which of two trials is the better.
    goals: Objectives,
    pub(super) counts: [u64; State::ALL.len()],
    /// The trials that wait, by when they were sampled (NePS's order).
    pub(super) pending: BTreeSet<(u64, u32)>,
    /// What each process is evaluating, and what callers outside are. Of those that hold nothing any
    /// more the empty set may stay.
    held: BTreeMap<Option<ProcessId>, FxHashSet<u32>>,
    pub(super) leases: BTreeMap<u32, Lease>,
    /// The Pareto front: the trials that no other trial dominates. With one objective: the best.
    pub(super) front: Vec<u32>,
    pub(super) last_error: Option<u32>,
    /// How many objectives the first success had: so many all have.
    pub(super) objectives: Option<usize>,
    /// How many the first trial from elsewhere had: so many all have while nothing here succeeded.
    pub(super) brought: Option<usize>,
    /// What finished trials spent, and what those in progress are charged with.
    done: Spent,
    in_progress: Spent,
    /// How many evaluations have ended since the front last became better.
    pub(super) without_improvement: u64,
    /// How often it became better.
    pub(super) improvements: u64,
}

impl Index {
    pub(super) fn new(goals: Objectives) -> Self {
        Index { goals, ..Index::default() }
    }

    /// Takes a trial out, before it changes.
    pub(super) fn remove(&mut self, at: u32, trial: &Trial, fidelity: Option<f64>) {
        self.counts[trial.state as usize] -= 1;
        match trial.state {
            State::Pending => {
                self.pending.remove(&(when(trial), at));
            }
            State::Evaluating => {
                self.leases.remove(&at);
                if let Some(held) = self.held.get_mut(&holder(trial)) {
                    held.remove(&at);
                }
                self.in_progress.take_evaluation(fidelity);
            }
            _ if counts(trial, true) => self.done.take_evaluation(used(trial, fidelity)),
            _ => {}
        }
    }

    /// Puts a trial in, after it changed. A success joins the front where it belongs.
    pub(super) fn add(&mut self, at: u32, trials: &Trials, fidelity: Option<f64>) {
        let trial = trials.at(at);
        self.counts[trial.state as usize] += 1;
        match trial.state {
            State::Pending => {
                self.pending.insert((when(trial), at));
            }
            State::Evaluating => {
                self.held.entry(holder(trial)).or_default().insert(at);
                self.in_progress.add_evaluation(fidelity);
            }
            State::Failed | State::Crashed => self.last_error = Some(at),
            _ => {}
        }
        match (trial.state, trial.objectives().len()) {
            (State::Success, n @ 1..) => drop(self.objectives.get_or_insert(n)),
            (State::External, n @ 1..) => drop(self.brought.get_or_insert(n)),
            _ => {}
        }
        if counts(trial, false) {
            self.done.add_evaluation(used(trial, fidelity));
        }
        if matches!(trial.state, State::Success | State::External) {
            self.improve_front(at, trials);
        }
    }

    /// What is being evaluated, the first sampled first.
    pub(super) fn evaluating(&self) -> Vec<u32> {
        sorted(self.held.values().flatten())
    }

    /// What a process is evaluating, the first sampled first.
    pub(super) fn evaluating_by(&self, process: ProcessId) -> Vec<u32> {
        sorted(self.held.get(&Some(process)).into_iter().flatten())
    }

    /// Whether other processes than this one are evaluating anything.
    pub(super) fn is_held_by_others(&self, process: ProcessId) -> bool {
        let is_other = |holder: &Option<ProcessId>| holder.is_some_and(|holder| holder != process);
        self.held.iter().any(|(holder, held)| is_other(holder) && !held.is_empty())
    }

    /// Forgets a process that has left.
    pub(super) fn forget(&mut self, process: ProcessId) {
        if self.held.get(&Some(process)).is_some_and(FxHashSet::is_empty) {
            self.held.remove(&Some(process));
        }
    }

    /// Adds what a report declares as spent. It stays spent when the trial is retried.
    pub(super) fn spend(&mut self, trial: &Trial) {
        if let Some(report) = &trial.report {
            self.done.add_report(report);
        }
    }

    /// Adds steps that an attempt has reported. They stay spent whatever becomes of it.
    pub(super) fn add_steps(&mut self, count: usize) {
        self.done.steps += count as u64;
    }

    /// Keeps as spent what an attempt used that ends without a report, or that is given up by a retry.
    pub(super) fn keep_used(&mut self, trial: &Trial, fidelity: Option<f64>) {
        self.done.fidelity += fidelity.map_or(0.0, |fidelity| trial.used_in_vain(fidelity));
    }

    /// Counts an evaluation that ended, after its trial was put in.
    pub(super) fn count_end(&mut self, at: u32) {
        self.without_improvement = match self.front.last() {
            Some(newest) if *newest == at => {
                self.improvements += 1;
                0
            }
            _ => self.without_improvement + 1,
        };
    }

    /// Rebuilds the front from scratch; needed only after a trial on it was changed by hand.
    pub(super) fn rebuild_front(&mut self, trials: &Trials) {
        self.front.clear();
        for at in 0..trials.len() as u32 {
            self.improve_front(at, trials);
        }
    }

    fn improve_front(&mut self, at: u32, trials: &Trials) {
        let objectives = |at: u32| trials.at(at).objectives();
        let new = objectives(at);
        let counts = matches!(trials.at(at).state, State::Success | State::External)
            && trials.at(at).is_feasible();
        if !counts || new.is_empty() || new.iter().any(|x| x.is_nan()) || self.front.contains(&at) {
            return;
        }
        let no_worse = |a: &[f64], b: &[f64]| self.goals.no_worse(a, b);
        // Of equals the first sampled stays, in whatever order they are reported or read again.
        let stays = |other: u32| {
            no_worse(objectives(other), new) && (other < at || objectives(other) != new)
        };
        if self.front.iter().any(|other| stays(*other)) {
            return;
        }
        self.front.retain(|other| !no_worse(new, objectives(*other)));
        self.front.push(at);
    }

    pub(super) fn best<'a>(&self, trials: &'a Trials) -> Option<&'a Trial> {
        let best = trials.at(*self.front.first()?);
        best.objective().map(|_| best)
    }

    pub(super) fn spent(&self, policy: &Policy) -> Spent {
        let mut spent = self.done;
        if policy.pruned_are_free {
            spent.evaluations -= self.counts[State::Pruned as usize];
        }
        if policy.count_in_progress {
            spent.evaluations += self.in_progress.evaluations;
            spent.fidelity += self.in_progress.fidelity;
        }
        spent
    }
}

fn sorted<'a>(trials: impl Iterator<Item = &'a u32>) -> Vec<u32> {
    let mut trials: Vec<u32> = trials.copied().collect();
    trials.sort_unstable();
    trials
}

/// When a trial was sampled, as a number of the same order; a time that is not known is the last.
fn when(trial: &Trial) -> u64 {
    let bits = trial.metadata.time_sampled.to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn used(trial: &Trial, fidelity: Option<f64>) -> Option<f64> {
    fidelity.map(|fidelity| trial.used(fidelity))
}

/// The process that evaluates a trial, if a worker of a process does.
fn holder(trial: &Trial) -> Option<ProcessId> {
    trial.metadata.evaluating_worker_id.as_ref()?.process()
}
