//! Decisions: a command becomes events and an answer; the study itself is not changed yet.

use rustc_hash::FxHashSet;

use super::{Answer, Command, StudyState};
use crate::error::StudyError;
use crate::event::{Event, EventKind, Policy, Reason, Stop};
use crate::limits::{MAX_STEPS, STEPS_OF_A_LINE};
use crate::optimizer::{Optimizer, Suggestion};
use crate::trial::{Report, State, Step, Trial, TrialId};

/// A decision: the events to be stored, and what is answered once they are.
pub struct Decision {
    pub events: Vec<EventKind>,
    /// The trials that the answer hands out are filled in after the events were applied.
    pub answer: Answer,
    pub(super) handed: Vec<TrialId>,
}

impl Decision {
    pub(super) fn new(events: Vec<EventKind>, answer: Answer) -> Self {
        Decision { events, answer, handed: Vec::new() }
    }

    /// One that answers with trials, none of them yet.
    pub(super) fn of_trials() -> Self {
        Decision::new(Vec::new(), Answer::Evaluate(Vec::new()))
    }

    /// A trial more that the answer has.
    pub(super) fn hand(&mut self, trial: TrialId, event: EventKind) {
        self.handed.push(trial);
        self.events.push(event);
    }
}

impl StudyState {
    /// Decides a command. This calls the optimizer, unless it is slow: then the caller passes `None`,
    /// and the answer may be [`Answer::Propose`].
    pub fn decide(
        &self,
        command: Command,
        optimizer: Option<&mut (dyn Optimizer + 'static)>,
    ) -> Result<Decision, StudyError> {
        match command {
            Command::Join(process) => self.join(process),
            // One that has given up has left already.
            Command::Leave(process) => Ok(self.leave(process, Reason::Released, None)),
            Command::GiveUp(process, errors) => {
                Ok(self.leave(process, Reason::Released, Some(errors)))
            }
            Command::Bury(process) => Ok(self.leave(process, Reason::Died, None)),
            Command::BuryWorker(worker) => {
                let held = worker.process().map_or_else(Vec::new, |process| {
                    let is_its = |trial: &&Trial| {
                        trial.metadata.evaluating_worker_id.as_ref() == Some(&worker)
                    };
                    self.evaluating_by(process).filter(is_its).collect()
                });
                Ok(self.requeue_all(held, Reason::Died))
            }
            Command::Ask(ask) => self.hand_out(ask, optimizer),
            Command::Sample { n, worker } => match self.sample(n, &worker, false, optimizer)? {
                Ok(decision) => Ok(decision),
                Err(answer) => Ok(Decision::new(Vec::new(), answer)),
            },
            // Sample k is drawn from stream k, once: the slower of two processes proposes again.
            Command::Offer { first_sample, .. } if first_sample != self.sample_count => {
                Ok(Decision::new(Vec::new(), Answer::Propose))
            }
            Command::Offer { worker, suggestions, .. } => {
                self.take_suggestions(suggestions, &worker, false)
            }
            Command::Step { trial, attempt, steps } => self.step(&trial, attempt, steps),
            Command::Report { trial, attempt, report } => {
                let mut decision = self.end(&trial, attempt, |attempt| {
                    let report = self.judged(self.policy.budget.charged(report));
                    EventKind::Reported { trial: trial.clone(), attempt, report }
                })?;
                decision.events.extend(self.another_try(&decision.events));
                Ok(decision)
            }
            Command::Release { trial, attempt, reason } => {
                let current = self.trial(&trial);
                self.end(&trial, attempt, |attempt| match current {
                    Some(current) => self.requeue(current, reason),
                    None => EventKind::Requeued { trial: trial.clone(), attempt, reason },
                })
            }
            Command::Retry { states } => Ok(Self::retry(
                self.trials
                    .iter()
                    .filter(|trial| states.contains(&trial.state))
                    .filter(|trial| trial.state.is_error()),
            )),
            Command::RetryOne(id) => {
                let trial = self.trial(&id).ok_or_else(|| StudyError::UnknownTrial(id.clone()))?;
                match trial.state {
                    state if state.is_error() => Ok(Self::retry([trial].into_iter())),
                    from => Err(StudyError::Transition {
                        id,
                        from,
                        to: State::Pending,
                        hint: ": only a failed or crashed trial can be tried again",
                    }),
                }
            }
            Command::Reset(ids) => self.reset(ids),
            Command::Note { trial, notes } => self.note(trial, notes),
            Command::Put(trial) => {
                self.check_put(&trial)?;
                Ok(Decision::new(self.put_events(*trial), Answer::Done))
            }
            Command::PutNew(trial) => match self.trial(&trial.id) {
                Some(_) => Err(StudyError::DuplicateTrial(trial.id)),
                None => Ok(Decision::new(self.put_events(*trial), Answer::Done)),
            },
            Command::Enqueue { worker, configs } => {
                let suggestions = configs.into_iter().map(Suggestion::from).collect();
                self.take_suggestions(suggestions, &worker, false)
            }
            Command::Import { worker, trials, time } => self.import(&worker, trials, time),
            Command::SetEvaluation { evaluation, own } => {
                let (number, event) = self.evaluations.decide(*evaluation, own)?;
                Ok(Decision::new(event.into_iter().collect(), Answer::Evaluation(number)))
            }
            Command::SetPolicy(policy) => self.set_policy(policy),
            Command::Stop(reason) if self.ended_early.is_none() => {
                Ok(Decision::new(vec![EventKind::Stopped { reason }], Answer::Done))
            }
            Command::Stop(_) => Ok(Decision::new(Vec::new(), Answer::Done)),
            Command::Pause(paused) => {
                self.set_policy(Box::new(Policy { paused, ..self.policy.clone() }))
            }
            Command::StopProcesses { now } => {
                let stop = Some(Stop { up_to: self.last_process, now });
                self.set_policy(Box::new(Policy { stop, ..self.policy.clone() }))
            }
        }
    }

    /// The answer, once its events were applied.
    pub fn answer(&self, decision: Decision) -> Answer {
        match decision.answer {
            Answer::Evaluate(_) => Answer::Evaluate(
                decision.handed.iter().filter_map(|id| self.trial(id).cloned()).collect(),
            ),
            answer => answer,
        }
    }

    /// Ends an attempt, if it is the trial's current one.
    fn end(
        &self,
        id: &TrialId,
        attempt: Option<u32>,
        event: impl FnOnce(u32) -> EventKind,
    ) -> Result<Decision, StudyError> {
        let trial = self.trial(id).ok_or_else(|| StudyError::UnknownTrial(id.clone()))?;
        let current = trial.state == State::Evaluating;
        if current && attempt.is_none_or(|attempt| attempt == trial.attempts) {
            return Ok(Decision::new(vec![event(trial.attempts)], Answer::Done));
        }
        Ok(Decision::new(Vec::new(), superseded(trial)))
    }

    /// Whether an attempt that ends so is followed by another, as the policy says.
    fn another_try(&self, end: &[EventKind]) -> Option<EventKind> {
        let [EventKind::Reported { trial, attempt, report }] = end else { return None };
        let so_far = self.trial(trial)?.failures;
        let is_wanted = report.reported_as == State::Crashed && so_far < self.policy.max_failures;
        let (trial, attempt, reason) = (trial.clone(), *attempt, Reason::Crashed);
        is_wanted.then_some(EventKind::Requeued { trial, attempt, reason })
    }

    /// Takes the steps that the attempt has not reported before.
    fn step(
        &self,
        id: &TrialId,
        attempt: Option<u32>,
        mut steps: Vec<Step>,
    ) -> Result<Decision, StudyError> {
        let trial = self.trial(id).ok_or_else(|| StudyError::UnknownTrial(id.clone()))?;
        let attempt = attempt.unwrap_or(trial.attempts);
        if trial.state != State::Evaluating || attempt != trial.attempts {
            return Ok(Decision::new(Vec::new(), superseded(trial)));
        }
        let known = trial.steps.as_ref().and_then(|known| known.of(attempt));
        let mut seen = FxHashSet::default();
        let is_new = |step: &Step| known.is_none_or(|known| !known.has(step.step));
        steps.retain(|step| is_new(step) && seen.insert(step.step));
        let count = known.map_or(0, |known| known.steps.len()) + steps.len();
        let fits = |step: &Step| match step.value.as_slice().len() {
            0 => Err("a step without a value".into()),
            values => self.definition.objectives.fit(values),
        };
        let problem = match steps.iter().find_map(|step| fits(step).err()) {
            None if count > MAX_STEPS => Some(format!(
                "{count} steps (at most {MAX_STEPS} are kept); report every tenth, say"
            )),
            problem => problem,
        };
        if let Some(what) = problem {
            return Err(StudyError::Contradiction(format!("trial '{id}' reports {what}")));
        }
        let prune = trial.should_prune();
        if steps.is_empty() {
            return Ok(Decision::new(Vec::new(), Answer::Stepped { prune }));
        }
        let steps: Box<[Step]> =
            steps.into_iter().map(|step| Step::new(step.step, step.value)).collect();
        // Once said, it stays.
        let prune_at = if prune { None } else { self.judge(trial, attempt, &steps) };
        let event = EventKind::Stepped { trial: id.clone(), attempt, steps, prune_at };
        let prune = prune || prune_at.is_some();
        Ok(Decision::new(vec![event], Answer::Stepped { prune }))
    }

    /// A trial that is new comes with what was noted, and with what its attempts reported on the way, a line for
    /// each of them; of one that is known nothing of that is replaced.
    fn put_events(&self, mut trial: Trial) -> Vec<EventKind> {
        let is_new = self.trial(&trial.id).is_none();
        let steps = trial.steps.take().filter(|_| is_new);
        let notes = trial.notes.take().filter(|_| is_new);
        let id = trial.id.clone();
        let attempts = trial.attempts;
        let mut events = vec![EventKind::Put(Box::new(trial))];
        events.extend(notes.map(|notes| EventKind::Noted { trial: id.clone(), notes }));
        let of_attempts = steps.iter().flat_map(|steps| steps.attempts());
        for of in of_attempts.filter(|of| of.attempt <= attempts) {
            let attempt = of.attempt;
            for steps in of.steps.chunks(STEPS_OF_A_LINE) {
                let (trial, prune_at) = (id.clone(), of.prune_at);
                let steps = steps.into();
                events.push(EventKind::Stepped { trial, attempt, steps, prune_at });
            }
        }
        events
    }

    /// How many objectives all successes have, as far as that is known.
    pub(super) fn objectives_of_each(&self) -> Option<usize> {
        self.definition.objectives.count().or(self.index.objectives).or(self.index.brought)
    }

    /// A success has an objective, and as many as the first success had: trials with other numbers of
    /// them cannot be compared, and all would be the best.
    // It is boxed on its way in and out.
    #[allow(clippy::unnecessary_box_returns)]
    pub(super) fn judged(&self, report: Box<Report>) -> Box<Report> {
        self.judged_by(report, self.objectives_of_each())
    }

    /// The same, where so many are wanted.
    #[allow(clippy::unnecessary_box_returns)] // The same.
    pub(super) fn judged_by(&self, report: Box<Report>, wanted: Option<usize>) -> Box<Report> {
        if !report.is_success() {
            return report;
        }
        let said = report.objective_to_minimize.as_ref().map_or(&[][..], |o| o.as_slice());
        let objectives = &self.definition.objectives;
        let problem = match (said, wanted) {
            ([], _) => "the result has no objective".to_string(),
            (said, Some(wanted)) if said.len() != wanted && !objectives.is_unsaid() => format!(
                "the result has {} objectives, and the study has {wanted}: {objectives}",
                said.len(),
            ),
            (said, Some(wanted)) if said.len() != wanted => {
                let values: Vec<String> = said.iter().map(f64::to_string).collect();
                format!(
                    "the result has {} objectives ({}), and the study's first success had {wanted}: \
                     all must have the same number",
                    said.len(),
                    values.join(", ")
                )
            }
            _ => {
                match (report.constraints.as_ref().map_or(0, |c| c.len()), objectives.constraints())
                {
                    (said, wanted) if said == wanted.len() => return report,
                    (_, []) => "the result has constraints, and the study names none".into(),
                    (said, wanted) => format!(
                        "the result has {said} values of constraints, and the study has {}: {}",
                        wanted.len(),
                        wanted.join(", ")
                    ),
                }
            }
        };
        Box::new(report.refused(problem))
    }

    pub(super) fn requeue_all(&self, held: Vec<&Trial>, reason: Reason) -> Decision {
        let ids = held.iter().map(|trial| trial.id.clone()).collect();
        let events = held.into_iter().map(|trial| self.requeue(trial, reason)).collect();
        Decision::new(events, Answer::Requeued(ids))
    }

    /// Requeues an attempt's trial, or marks it as crashed after too many lost attempts.
    fn requeue(&self, trial: &Trial, reason: Reason) -> EventKind {
        let lost = trial.losses + 1;
        if reason.counts() && lost >= self.policy.max_attempts {
            let what = match reason {
                Reason::Expired => "were not reported before their deadlines",
                _ => "died with their workers",
            };
            let message = format!("{lost} attempts {what}; given up after {lost}");
            let report = Box::new(Report::crashed("worker-died", message));
            return EventKind::Reported {
                trial: trial.id.clone(),
                attempt: trial.attempts,
                report,
            };
        }
        EventKind::Requeued { trial: trial.id.clone(), attempt: trial.attempts, reason }
    }

    fn retry<'a>(trials: impl Iterator<Item = &'a Trial>) -> Decision {
        let (mut events, mut ids) = (Vec::new(), Vec::new());
        for trial in trials {
            let (id, attempt) = (trial.id.clone(), trial.attempts);
            events.push(EventKind::Requeued { trial: id.clone(), attempt, reason: Reason::Retry });
            ids.push(id);
        }
        Decision::new(events, Answer::Requeued(ids))
    }

    /// An id identifies one configuration for ever, and the number of attempts never decreases.
    fn check_put(&self, trial: &Trial) -> Result<(), StudyError> {
        let Some(old) = self.trial(&trial.id) else { return Ok(()) };
        if old.config != trial.config {
            return Err(StudyError::Contradiction(format!(
                "trial '{}' cannot get another configuration: its id identifies the one it has",
                trial.id
            )));
        }
        if trial.attempts < old.attempts {
            return Err(StudyError::Contradiction(format!(
                "trial '{}' had {} attempts and cannot go back to {}",
                trial.id, old.attempts, trial.attempts
            )));
        }
        // A correction may say what came of a trial; what came of it is not taken back.
        let (from, to) = (old.state, trial.state);
        if from == to || from.may_become(to) || to.is_finished() {
            return Ok(());
        }
        let hint = match from.is_error() && to == State::Evaluating {
            true => ": it can be tried again, and waits then",
            false => ": a correction takes no result back",
        };
        Err(StudyError::Transition { id: trial.id.clone(), from, to, hint })
    }

    fn set_policy(&self, policy: Box<Policy>) -> Result<Decision, StudyError> {
        if *policy == self.policy {
            return Ok(Decision::new(Vec::new(), Answer::Done));
        }
        let problem = match policy.budget.check() {
            Err(problem) => Some(problem),
            Ok(())
                if policy.budget.fidelity != self.policy.budget.fidelity
                    && self.definition.space.check_budget(&policy.budget).is_err() =>
            {
                self.definition.space.check_budget(&policy.budget).err()
            }
            Ok(()) if policy.max_attempts == 0 => Some("max_attempts must be 1 or more".into()),
            Ok(())
                if policy.stop_early.regret_bound.is_some()
                    && self.definition.space.is_unknown() =>
            {
                Some("stop_early: regret_bound needs a space that is known here".into())
            }
            Ok(()) => policy.stop_early.check_for(&self.definition.objectives).err(),
        };
        match problem {
            Some(problem) => Err(StudyError::Contradiction(problem)),
            None => Ok(Decision::new(vec![EventKind::Policy(policy)], Answer::Done)),
        }
    }

    /// Decides and applies in one step, for callers that keep no journal: tests, benches,
    /// simulations. Returns the answer and the applied events.
    ///
    /// # Errors
    /// The command was refused; nothing has changed.
    pub fn execute(
        &mut self,
        time: f64,
        command: Command,
        optimizer: &mut (dyn Optimizer + 'static),
    ) -> Result<(Answer, Vec<Event>), StudyError> {
        let mut decision = self.decide(command, Some(optimizer))?;
        let kinds = std::mem::take(&mut decision.events);
        let events: Vec<Event> = kinds.into_iter().map(|kind| Event { time, kind }).collect();
        for event in &events {
            self.apply(event.clone())?;
        }
        Ok((self.answer(decision), events))
    }
}

fn superseded(trial: &Trial) -> Answer {
    let (id, state, attempts) = (trial.id.clone(), trial.state, trial.attempts);
    Answer::Superseded { trial: id, state, attempts }
}
