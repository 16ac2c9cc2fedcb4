//! Who asks for trials gets those that wait, and then what the optimizer proposes.

use super::decide::Decision;
use super::{Answer, Ask, StopReason, StudyState};
use crate::error::StudyError;
use crate::event::EventKind;
use crate::optimizer::{Optimizer, Proposal, SamplingRequest, Suggestion};
use crate::stopping::EarlyEnd;
use crate::trial::{State, Trial, TrialId, WorkerId};

impl StudyState {
    pub(super) fn hand_out(
        &self,
        ask: Ask,
        optimizer: Option<&mut (dyn Optimizer + 'static)>,
    ) -> Result<Decision, StudyError> {
        if ask.worker.process().is_some_and(|process| !self.is_member(process)) {
            return Ok(Decision::new(Vec::new(), Answer::Stop(StopReason::Expelled)));
        }
        if let Some(reason) = self.ended_early {
            return Ok(Decision::new(Vec::new(), Answer::Stop(StopReason::Early(reason))));
        }
        if let Some(reason) = self.ends_early() {
            let answer = Answer::Stop(StopReason::Early(reason));
            return Ok(Decision::new(vec![EventKind::Stopped { reason }], answer));
        }
        if ask.worker.process().is_some_and(|process| self.policy.stops(process).is_some()) {
            return Ok(Decision::new(Vec::new(), Answer::Stop(StopReason::Stopped)));
        }
        let spent = self.spent();
        if let Some(limit) = self.policy.budget.reached(&spent) {
            return Ok(Decision::new(Vec::new(), Answer::Stop(StopReason::Budget(limit))));
        }
        if self.policy.paused {
            return Ok(Decision::new(Vec::new(), Answer::Wait));
        }
        let left = self.policy.budget.evaluations_left(&spent);
        let n = ask.n.min(usize::try_from(left).unwrap_or(usize::MAX));
        let (mut handed, mut events) = (Vec::new(), Vec::new());
        let runs = self.evaluations.number_for(ask.evaluation);
        for trial in self.pending().filter(|trial| !self.is_held_back(trial)).take(n) {
            handed.push(trial.id.clone());
            events.push(claim(trial.id.clone(), trial.attempts + 1, &ask, runs));
        }
        let missing = n - handed.len();
        let is_elsewhere = optimizer.as_deref().is_some_and(Optimizer::is_elsewhere);
        if missing > 0 && ask.lease.is_none() && is_elsewhere {
            if handed.is_empty() {
                return Ok(Decision::new(Vec::new(), Answer::Wait));
            }
        } else if missing > 0 {
            match self.sample(missing, &ask.worker, ask.lease.is_none(), optimizer) {
                Ok(Ok(mut sampled)) => {
                    for event in &mut sampled.events {
                        let EventKind::Sampled { trial, previous, claimed, evaluation, .. } = event
                        else {
                            continue;
                        };
                        if previous.as_ref().and_then(|id| self.trial(id)).is_some_and(goes_on) {
                            *claimed = false;
                            sampled.handed.retain(|id| id != trial);
                        }
                        if *claimed {
                            *evaluation = runs;
                        }
                    }
                    if ask.lease.is_some() {
                        let claims =
                            sampled.handed.iter().map(|id| claim(id.clone(), 1, &ask, runs));
                        sampled.events.extend(claims);
                    }
                    if handed.is_empty() {
                        if sampled.handed.is_empty() {
                            sampled.answer = Answer::Wait;
                        }
                        return Ok(sampled);
                    }
                    events.append(&mut sampled.events);
                    handed.append(&mut sampled.handed);
                }
                // Hand out what was pending; the next request asks the optimizer again.
                _ if !handed.is_empty() => {}
                Ok(Err(Answer::Stop(_))) | Err(_) if self.holds_back() => {
                    return Ok(Decision::new(Vec::new(), Answer::Wait));
                }
                Ok(Err(answer)) => return Ok(Decision::new(Vec::new(), answer)),
                Err(error) => return Err(error),
            }
        }
        Ok(Decision { events, answer: Answer::Evaluate(Vec::new()), handed })
    }

    /// Whether a trial that waits continues one that has not ended, and so would not find its checkpoint. (NePS's
    /// ASHA samples such trials.) Nobody waits for what was sampled later, so no two wait for each other.
    fn is_held_back(&self, trial: &Trial) -> bool {
        let sampled =
            |trial: &Trial| (trial.metadata.time_sampled, self.trials.position(&trial.id));
        self.continued(trial).is_some_and(|it| goes_on(it) && sampled(it) < sampled(trial))
    }

    /// Whether there will be a trial to evaluate though none can be sampled: one waits for what a process of ours
    /// evaluates. (Whether anybody else's will ever end is not known.)
    pub fn holds_back(&self) -> bool {
        let is_ours = |trial: &Trial| {
            let worker = trial.metadata.evaluating_worker_id.as_ref();
            trial.state == State::Evaluating && worker.is_some_and(|id| id.process().is_some())
        };
        self.pending().any(|trial| self.continued(trial).is_some_and(is_ours))
    }

    fn continued(&self, trial: &Trial) -> Option<&Trial> {
        trial.metadata.previous_trial_id.as_ref().and_then(|id| self.trial(id))
    }

    /// Why the study ends before its budget is used, if what it knows says so.
    fn ends_early(&self) -> Option<EarlyEnd> {
        let rules = &self.policy.stop_early;
        let objectives = &self.definition.objectives;
        let best = self.best().and_then(Trial::objective);
        let is_reached =
            |target: f64| best.is_some_and(|best| objectives.no_worse(&[best], &[target]));
        if rules.target.is_some_and(is_reached) {
            return Some(EarlyEnd::Target);
        }
        let count = rules.evaluations_without_improvement;
        count
            .is_some_and(|n| self.index.without_improvement >= n)
            .then_some(EarlyEnd::NoImprovement)
    }

    pub(super) fn sample(
        &self,
        n: usize,
        worker: &WorkerId,
        claimed: bool,
        optimizer: Option<&mut (dyn Optimizer + 'static)>,
    ) -> Result<Result<Decision, Answer>, StudyError> {
        let Some(optimizer) = optimizer else { return Ok(Err(Answer::Propose)) };
        let spent = self.spent();
        match optimizer.ask(&self.request(n, &spent)) {
            Ok(Proposal::Evaluate(suggestions)) if suggestions.len() <= n => {
                self.take_suggestions(suggestions, worker, claimed).map(Ok)
            }
            Ok(Proposal::Evaluate(suggestions)) => Err(self.optimizer_error(format!(
                "proposed {} configurations when asked for {n}",
                suggestions.len()
            ))),
            Ok(Proposal::Wait) if self.nothing_goes_on() => Err(self.optimizer_error(
                "waits for results, and no trial is being evaluated: it would wait for ever".into(),
            )),
            Ok(Proposal::Wait) => Ok(Err(Answer::Wait)),
            Ok(Proposal::Finished) => Ok(Err(Answer::Stop(StopReason::Finished))),
            Err(error) => Err(match error.downcast::<StudyError>() {
                Ok(error) => *error,
                Err(error) => self.optimizer_error(error.to_string()),
            }),
        }
    }

    /// What an optimizer may read to propose its next `n` samples.
    pub fn request<'a>(&'a self, n: usize, spent: &'a crate::budget::Spent) -> SamplingRequest<'a> {
        SamplingRequest {
            n,
            space: &self.definition.space,
            objectives: &self.definition.objectives,
            trials: &self.trials,
            budget: &self.policy.budget,
            spent,
            warm_start: &self.definition.warm_start,
            seed: self.definition.seed,
            first_sample: self.sample_count,
            next_number: self.trials.next_number(),
        }
    }

    pub(super) fn take_suggestions(
        &self,
        suggestions: Vec<Suggestion>,
        worker: &WorkerId,
        claimed: bool,
    ) -> Result<Decision, StudyError> {
        if suggestions.is_empty() {
            return Err(self.optimizer_error("proposed nothing, and neither waits nor ends".into()));
        }
        let mut handed: Vec<TrialId> = Vec::with_capacity(suggestions.len());
        let mut events = Vec::with_capacity(suggestions.len());
        let mut next_number = self.trials.next_number();
        for Suggestion { config, id, previous } in suggestions {
            // There is none behind the last number, which an optimizer may have named.
            let may_repeat = id.is_some() || next_number == u64::MAX;
            let id = id.unwrap_or(TrialId::Number(next_number));
            next_number = next_number.max(id.number().map_or(0, |n| n.saturating_add(1)));
            // Our own numbers are always new; only a name can collide within this batch.
            if self.trial(&id).is_some() || (may_repeat && handed.contains(&id)) {
                return Err(self.optimizer_error(format!("proposed trial '{id}' a second time")));
            }
            if let Some(previous) = &previous
                && self.trial(previous).is_none()
            {
                let problem = format!("wants to continue trial '{previous}', which does not exist");
                return Err(self.optimizer_error(problem));
            }
            self.definition
                .space
                .check(&config)
                .map_err(|error| self.optimizer_error(format!("proposed for '{id}': {error}")))?;
            handed.push(id.clone());
            events.push(EventKind::Sampled {
                trial: id,
                config,
                previous,
                worker: worker.clone(),
                claimed,
                evaluation: None,
            });
        }
        Ok(Decision { events, answer: Answer::Evaluate(Vec::new()), handed })
    }

    /// Whether no trial is pending or being evaluated, so that no result can arrive.
    pub fn nothing_goes_on(&self) -> bool {
        self.count(State::Evaluating) == 0 && self.index.pending.is_empty()
    }

    fn optimizer_error(&self, problem: String) -> StudyError {
        StudyError::Optimizer { optimizer: self.definition.optimizer.name.clone(), problem }
    }
}

fn goes_on(trial: &Trial) -> bool {
    matches!(trial.state, State::Pending | State::Evaluating)
}

fn claim(trial: TrialId, attempt: u32, ask: &Ask, evaluation: Option<u32>) -> EventKind {
    let (worker, lease) = (ask.worker.clone(), ask.lease.clone());
    EventKind::Claimed { trial, attempt, worker, evaluation, lease }
}
