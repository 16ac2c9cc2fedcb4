//! How events change a study.

use super::StudyState;
use crate::error::StudyError;
use crate::event::{Event, EventKind, Lease};
use crate::trial::{State, Trial, TrialId};

impl StudyState {
    /// Applies an event.
    ///
    /// # Errors
    /// The event contradicts those before it; then nothing is changed.
    pub fn apply(&mut self, event: Event) -> Result<(), StudyError> {
        let time = event.time;
        match event.kind {
            EventKind::Policy(policy) => {
                (self.policy, self.ended_early) = (*policy, None);
                self.follow_results();
            }
            EventKind::Evaluation { number, own, evaluation } => {
                self.evaluations.set(number, own, evaluation)?;
            }
            EventKind::Stopped { reason } => self.ended_early = Some(reason),
            EventKind::Joined(process) => {
                if process.process <= self.last_process {
                    let number = process.process;
                    return Err(StudyError::Contradiction(format!("process {number} joins twice")));
                }
                self.last_process = process.process;
                self.processes.insert(process.process, process);
            }
            EventKind::Left { process, .. } => {
                self.processes.remove(&process);
                self.index.forget(process);
            }
            EventKind::Sampled { trial: id, config, previous, worker, claimed, evaluation } => {
                self.evaluations.check(evaluation)?;
                let trial = Trial::sampled(id, config, previous, worker, claimed, evaluation, time);
                self.insert(trial)?;
                self.claims += u64::from(claimed);
            }
            EventKind::Claimed { trial: ref id, attempt, evaluation, ref lease, .. } => {
                self.evaluations.check(evaluation)?;
                let at = self.expect(id, State::Evaluating)?;
                if attempt != self.trials.at(at).attempts + 1 {
                    return Err(self.wrong_attempt(id, attempt));
                }
                let lease = lease.clone();
                self.change(at, lease, event.kind, time);
                self.claims += 1;
            }
            // Of any state: steps may be stored after their trial's end was, or imported behind it.
            EventKind::Stepped { trial: ref id, attempt, ref steps, .. } => {
                let unknown = || StudyError::UnknownTrial(id.clone());
                let at = self.trials.position(id).ok_or_else(unknown)?;
                if !(1..=self.trials.at(at).attempts).contains(&attempt) {
                    return Err(self.wrong_attempt(id, attempt));
                }
                self.tell_steps(at, attempt, steps);
                self.index.add_steps(steps.len());
                // What a trial that has ended is charged with depends on its steps.
                let fidelity = self.fidelity_of(at);
                let has_ended = self.trials.at(at).state.is_finished();
                if has_ended {
                    self.index.remove(at, self.trials.at(at), fidelity);
                }
                self.trials.at_mut(at).apply(event.kind, time);
                if has_ended {
                    self.index.add(at, &self.trials, fidelity);
                }
            }
            EventKind::Reported { trial: ref id, attempt, ref report } => {
                let at = self.expect(id, report.reported_as)?;
                if attempt != self.trials.at(at).attempts {
                    return Err(self.wrong_attempt(id, attempt));
                }
                self.change(at, None, event.kind, time);
                self.index.spend(self.trials.at(at));
                self.index.count_end(at);
                self.tell_end(at);
                self.note_result(at);
            }
            EventKind::Requeued { trial: ref id, attempt, .. } => {
                let at = self.expect(id, State::Pending)?;
                if attempt != self.trials.at(at).attempts {
                    return Err(self.wrong_attempt(id, attempt));
                }
                let fidelity = self.fidelity_of(at);
                self.index.keep_used(self.trials.at(at), fidelity);
                self.change(at, None, event.kind, time);
                self.requeues += 1;
            }
            EventKind::Put(trial) => self.put(*trial)?,
            EventKind::Noted { trial: ref id, .. } => {
                let unknown = || StudyError::UnknownTrial(id.clone());
                let at = self.trials.position(id).ok_or_else(unknown)?;
                self.trials.at_mut(at).apply(event.kind, time);
            }
            EventKind::Deleted { trial } => {
                if self.trial(&trial).is_some() {
                    return Err(StudyError::DuplicateTrial(trial));
                }
                // Its random stream is drawn, and its id stood for another configuration.
                self.sample_count += 1;
                self.trials.pass(&trial);
            }
        }
        Ok(())
    }

    fn insert(&mut self, trial: Trial) -> Result<u32, StudyError> {
        if self.trials.position(&trial.id).is_some() {
            return Err(StudyError::DuplicateTrial(trial.id));
        }
        let fidelity = self.definition.space.fidelity_of(&trial.config);
        let at = self.trials.push(trial);
        // An imported trial counts too: whatever drew it, the next sample must use a new stream.
        self.sample_count += 1;
        self.index.add(at, &self.trials, fidelity);
        Ok(at)
    }

    /// Applies an event to its trial, and keeps the indexes up to date.
    fn change(&mut self, at: u32, lease: Option<Lease>, kind: EventKind, time: f64) {
        let fidelity = self.fidelity_of(at);
        self.index.remove(at, self.trials.at(at), fidelity);
        self.trials.at_mut(at).apply(kind, time);
        self.index.add(at, &self.trials, fidelity);
        if let Some(lease) = lease {
            self.index.leases.insert(at, lease);
        }
    }

    pub(super) fn fidelity_of(&self, at: u32) -> Option<f64> {
        self.definition.space.fidelity_of(&self.trials.at(at).config)
    }

    /// Replaces a trial as a whole, without checks: `decide` has checked the puts of our own clients,
    /// and in a directory that is shared with NePS, NePS's latest record of a trial wins.
    fn put(&mut self, trial: Trial) -> Result<(), StudyError> {
        let Some(at) = self.trials.position(&trial.id) else {
            let at = self.insert(trial)?;
            self.index.spend(self.trials.at(at));
            if self.trials.at(at).state.is_finished() {
                self.tell_end(at);
                self.note_result(at);
            }
            return Ok(());
        };
        let fidelity = |trial: &Trial| self.definition.space.fidelity_of(&trial.config);
        let (old, new) = (self.trials.at(at), fidelity(&trial));
        let other_result = old.state.is_finished() && old.objectives() != trial.objectives();
        let had_ended = old.state.is_finished();
        let (had_report, was_best) = (old.report.is_some(), self.index.front.contains(&at));
        // A correction does not take the deadline from the attempt that goes on.
        let goes_on = trial.state == State::Evaluating && trial.attempts == old.attempts;
        let lease = self.index.leases.get(&at).filter(|_| goes_on).cloned();
        self.index.remove(at, old, fidelity(old));
        self.trials.at_mut(at).apply(EventKind::Put(Box::new(trial)), 0.0);
        self.index.add(at, &self.trials, new);
        if let Some(lease) = lease {
            self.index.leases.insert(at, lease);
        }
        if !had_report {
            self.index.spend(self.trials.at(at));
        }
        if was_best {
            self.index.rebuild_front(&self.trials);
        }
        if !had_ended && self.trials.at(at).state.is_finished() {
            self.index.count_end(at);
            self.tell_end(at);
            self.note_result(at);
        } else if other_result {
            self.gather_results();
        }
        Ok(())
    }

    /// The position of a trial that may become `next`.
    pub(super) fn expect(&self, id: &TrialId, next: State) -> Result<u32, StudyError> {
        let unknown = || StudyError::UnknownTrial(id.clone());
        let at = self.trials.position(id).ok_or_else(unknown)?;
        let from = self.trials.at(at).state;
        if from.may_become(next) {
            Ok(at)
        } else {
            Err(StudyError::Transition { id: id.clone(), from, to: next, hint: "" })
        }
    }

    fn wrong_attempt(&self, id: &TrialId, attempt: u32) -> StudyError {
        let latest = self.trial(id).map_or(0, |trial| trial.attempts);
        StudyError::Contradiction(format!(
            "trial '{id}' is at attempt {latest}, so nothing can happen to attempt {attempt}"
        ))
    }
}
