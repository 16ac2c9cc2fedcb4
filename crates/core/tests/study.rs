//! The pure core against a model, with random commands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // This is a test.

use std::collections::BTreeMap;

use proptest::prelude::*;

use trialmill_core::budget::{Budget, Spent};
use trialmill_core::definition::Definition;
use trialmill_core::event::{Event, Lease, Reason, encode};
use trialmill_core::event::{Policy, Process, ProcessId};
use trialmill_core::optimizer::Optimizer;
use trialmill_core::space::Parameter;
use trialmill_core::space::SearchSpace;
use trialmill_core::study::{Answer, Ask, Command, StudyState};
use trialmill_core::trial::{AttemptSteps, Objective, Report, State, Step, Steps, Trial, TrialId};
use trialmill_optimizers::RandomSearch;

fn definition() -> Definition {
    let space = SearchSpace::new([
        ("x", Parameter::float(0.0, 1.0)),
        ("epochs", Parameter::int(1, 9).fidelity()),
    ]);
    Definition::new(space.unwrap(), RandomSearch::new().info()).seeded(7)
}

fn policy(evaluations: u64) -> Policy {
    let budget = Budget { evaluations: Some(evaluations), ..Budget::default() };
    Policy { budget, ..Policy::default() }
}

fn process() -> Process {
    Process { process: 0, host: "h".into(), boot: "b".into(), pid: 1, job: None, worker_id: None }
}

/// A study with its journal, driven by commands.
struct Driven {
    study: StudyState,
    journal: Vec<Event>,
    time: f64,
}

impl Driven {
    fn new(evaluations: u64) -> Self {
        let mut driven =
            Driven { study: StudyState::new(definition()), journal: Vec::new(), time: 1e9 };
        driven.run(Command::SetPolicy(Box::new(policy(evaluations)))).unwrap();
        driven
    }

    fn run(&mut self, command: Command) -> Result<Answer, trialmill_core::error::StudyError> {
        self.time += 1.0;
        let mut optimizer = RandomSearch::new();
        let (answer, events) = self.study.execute(self.time, command, &mut optimizer)?;
        self.journal.extend(events);
        Ok(answer)
    }

    fn ask(&mut self, worker: &str, n: usize) -> Vec<Trial> {
        let ask = Ask { worker: worker.into(), n, lease: None, evaluation: None };
        match self.run(Command::Ask(ask)).unwrap() {
            Answer::Evaluate(list) => list,
            _ => Vec::new(),
        }
    }

    /// As a caller whose claim ends by itself.
    fn ask_from_outside(&mut self, n: usize) -> Vec<Trial> {
        let lease = Lease { seconds: 1.0, host: "h".into(), boot: "b".into(), until_uptime_s: 1.0 };
        let ask = Ask { worker: "me".into(), n, lease: Some(lease), evaluation: None };
        match self.run(Command::Ask(ask)).unwrap() {
            Answer::Evaluate(list) => list,
            _ => Vec::new(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (seq, event) in self.journal.iter().enumerate() {
            encode(seq as u64, event, &mut bytes);
        }
        bytes
    }
}

/// Everything that can be asked of a study, as text.
fn portrait(study: &StudyState) -> String {
    let ids = |list: Vec<&Trial>| list.iter().map(|t| t.id.to_string()).collect::<Vec<_>>();
    let held: Vec<_> = study
        .processes()
        .map(|p| (p.process, ids(study.evaluating_by(p.process).collect())))
        .collect();
    let mut front = ids(study.front());
    front.sort();
    format!(
        "{:?} {:?} {:?} {:?} {held:?} {front:?} {:?} {} {} {} {:?}",
        State::ALL.map(|state| study.count(state)),
        ids(study.pending().collect()),
        ids(study.evaluating().collect()),
        study.spent(),
        study.best().map(|t| &t.id),
        study.claims(),
        study.requeues(),
        study.sample_count(),
        study.trials().iter().collect::<Vec<_>>(),
    )
}

/// What must be so of a trial.
#[derive(Debug, Clone, PartialEq)]
struct Expected {
    state: State,
    attempts: u32,
    losses: u32,
    /// The steps of each attempt.
    steps: BTreeMap<u32, BTreeMap<u64, f64>>,
    /// Whether its claim ends by itself.
    leased: bool,
    objective: Option<f64>,
    epochs: i64,
}

impl Expected {
    fn of(study: &StudyState, trial: &Trial) -> Self {
        Expected {
            state: trial.state,
            attempts: trial.attempts,
            losses: study.losses(&trial.id),
            steps: steps_of(study, trial),
            leased: study.leases().any(|(leased, _)| leased.id == trial.id),
            objective: trial.objective(),
            epochs: trial.config.int("epochs").unwrap(),
        }
    }

    fn given_back(&mut self, losses: u32) {
        (self.state, self.losses, self.leased, self.objective) =
            (State::Pending, losses, false, None);
    }
}

fn steps_of(study: &StudyState, trial: &Trial) -> BTreeMap<u32, BTreeMap<u64, f64>> {
    let steps = study.trial(&trial.id).and_then(|trial| trial.steps.as_deref());
    let of = |of: &AttemptSteps| {
        (of.attempt, of.steps.iter().map(|step| (step.step, step.single().unwrap())).collect())
    };
    steps.into_iter().flat_map(Steps::attempts).map(of).collect()
}

/// What must be so of the study. It is kept by what happens, and never asks the study.
#[derive(Debug, Default)]
struct Model {
    trials: BTreeMap<TrialId, Expected>,
    claims: u64,
    requeues: u64,
    cost: f64,
    seconds: f64,
    steps: u64,
    /// Of the fidelity, what attempts used that were handed back or tried again.
    kept: f64,
}

impl Expected {
    /// The last step of the current attempt, and of earlier ones the last before its first.
    fn reached(&self) -> Option<(u64, u64)> {
        let own = self.steps.get(&self.attempts)?;
        let (first, last) = (*own.keys().next()?, *own.keys().last()?);
        let earlier = self.steps.range(..self.attempts).flat_map(|(_, steps)| steps.keys());
        Some((last, earlier.copied().filter(|step| *step < first).max().unwrap_or(0)))
    }

    /// What an attempt used of the fidelity that reported steps.
    fn used(&self) -> Option<f64> {
        let (last, before) = self.reached()?;
        Some((last.min(self.epochs as u64) as f64 - before as f64).max(0.0))
    }

    /// What its current attempt is charged with.
    fn charged(&self) -> f64 {
        let epochs = self.epochs as f64;
        match (self.state, self.reached()) {
            (State::Evaluating, _) | (_, None) => epochs,
            (State::Success | State::External, Some((_, before))) => {
                (epochs - before as f64).max(0.0)
            }
            _ => self.used().unwrap(),
        }
    }
}

impl Model {
    /// An attempt that is lost with its process or its deadline.
    fn lose(&mut self, id: &TrialId) {
        let trial = self.trials.get_mut(id).unwrap();
        let losses = trial.losses + 1;
        if losses >= Policy::default().max_attempts {
            (trial.state, trial.leased) = (State::Crashed, false);
        } else {
            self.kept += trial.used().unwrap_or(0.0);
            trial.given_back(losses);
            self.requeues += 1;
        }
    }

    fn release(&mut self, id: &TrialId) {
        let trial = self.trials.get_mut(id).unwrap();
        let losses = trial.losses;
        self.kept += trial.used().unwrap_or(0.0);
        trial.given_back(losses);
        self.requeues += 1;
    }

    fn end(&mut self, id: &TrialId, report: &Report) {
        let trial = self.trials.get_mut(id).unwrap();
        (trial.state, trial.leased) = (report.reported_as, false);
        trial.objective = report.objective_to_minimize.as_ref().map(|x| x.as_slice()[0]);
        self.spend(report);
    }

    fn spend(&mut self, report: &Report) {
        self.cost += report.cost.unwrap();
        self.seconds += report.evaluation_duration.unwrap();
    }

    fn spent(&self) -> Spent {
        let charged = self.trials.values().filter(|trial| trial.state.is_charged());
        Spent {
            evaluations: charged.clone().count() as u64,
            cost: self.cost,
            fidelity: charged.map(Expected::charged).sum::<f64>() + self.kept,
            evaluation_seconds: self.seconds,
            steps: self.steps,
        }
    }

    /// Of all that stand as results the smallest; what a failure says is no result.
    fn best(&self) -> Option<f64> {
        let stands = |trial: &&Expected| matches!(trial.state, State::Success | State::External);
        let objectives = self.trials.values().filter(stands).filter_map(|trial| trial.objective);
        objectives.min_by(f64::total_cmp)
    }
}

/// A report of each kind; also failures that have an objective, and a good one.
fn report_of(a: u8, b: u8) -> Report {
    let mut report = match a {
        0 => Report::crashed("error", "x"),
        1 => Report::failed("y"),
        2 => Report::pruned(),
        _ => Report::objective(f64::from(b)),
    };
    if !report.is_success() && b.is_multiple_of(2) {
        report.objective_to_minimize = Some(Objective::One(-1.0));
    }
    report.cost(1.0 + f64::from(b)).evaluation_duration(0.5)
}

proptest! {
    // `PROPTEST_CASES` asks for more.
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").map_or(2_000, |cases| cases.parse().unwrap_or(2_000)),
    ))]

    #[test]
    fn random_commands_keep_every_promise(
        budget in 1u64..12,
        operations in prop::collection::vec((0u8..18, 0u8..4, 0u8..6), 1..60),
    ) {
        let mut driven = Driven::new(budget);
        let mut model = Model::default();
        let mut members: Vec<ProcessId> = Vec::new();
        for (operation, a, b) in operations {
            let evaluating: Vec<(TrialId, u32)> =
                driven.study.evaluating().map(|t| (t.id.clone(), t.attempts)).collect();
            let chosen = evaluating.get(b as usize % evaluating.len().max(1)).cloned();
            let member = members.get(a as usize % members.len().max(1)).copied();
            let any = driven.study.trials().iter().nth(usize::from(a * 6 + b) % 13).cloned();
            match (operation, chosen, member) {
                (0, _, _) => {
                    if let Answer::Joined(number) = driven.run(Command::Join(process())).unwrap() {
                        prop_assert!(!members.contains(&number));
                        members.push(number);
                    }
                }
                (1..=4, _, Some(member)) => {
                    let leased = operation == 4;
                    let handed = match leased {
                        true => driven.ask_from_outside(1 + a as usize),
                        false => driven.ask(&format!("p{member}-w{b}"), 1 + a as usize),
                    };
                    for trial in handed {
                        let new = Expected {
                            state: State::Pending,
                            attempts: 0,
                            losses: 0,
                            steps: BTreeMap::new(),
                            leased: false,
                            objective: None,
                            epochs: trial.config.int("epochs").unwrap(),
                        };
                        let entry = model.trials.entry(trial.id.clone()).or_insert(new);
                        prop_assert_eq!(entry.state, State::Pending, "handed out twice");
                        (entry.state, entry.leased) = (State::Evaluating, leased);
                        entry.attempts += 1;
                        model.claims += 1;
                    }
                }
                (5..=7, Some((id, attempt)), _) => {
                    let report = Box::new(report_of(a, b));
                    // A report of an attempt that is not the current one changes nothing.
                    let stale = attempt - 1;
                    let late = Command::Report {
                        trial: id.clone(), attempt: Some(stale), report: report.clone(),
                    };
                    let superseded = matches!(driven.run(late).unwrap(), Answer::Superseded { .. });
                    prop_assert!(superseded);
                    model.end(&id, &report);
                    let command = Command::Report { trial: id, attempt: Some(attempt), report };
                    prop_assert_eq!(driven.run(command).unwrap(), Answer::Done);
                }
                // Steps, some of which the attempt has reported already, or reports twice.
                (16 | 17, Some((id, attempt)), _) => {
                    let value = f64::from(b) - 2.0;
                    let numbers = [u64::from(a), u64::from(b), u64::from(a)];
                    let steps = numbers.map(|step| Step::new(step, value + step as f64)).to_vec();
                    let stale = Command::Step {
                        trial: id.clone(), attempt: Some(attempt - 1), steps: steps.clone(),
                    };
                    let superseded = matches!(driven.run(stale).unwrap(), Answer::Superseded { .. });
                    prop_assert!(superseded);
                    let known = model.trials.get_mut(&id).unwrap().steps.entry(attempt).or_default();
                    for step in &steps {
                        let before = known.len();
                        known.entry(step.step).or_insert(step.single().unwrap());
                        model.steps += (known.len() - before) as u64;
                    }
                    let command = Command::Step { trial: id, attempt: Some(attempt), steps };
                    let answer = driven.run(command).unwrap();
                    prop_assert_eq!(answer, Answer::Stepped { prune: false });
                }
                (8, Some((id, attempt)), _) => {
                    let attempt = Some(attempt);
                    let reason = if a == 0 { Reason::Expired } else { Reason::Released };
                    let command = Command::Release { trial: id.clone(), attempt, reason };
                    prop_assert_eq!(driven.run(command).unwrap(), Answer::Done);
                    if a == 0 { model.lose(&id) } else { model.release(&id) }
                }
                (9 | 10, _, Some(member)) => {
                    let dies = operation == 9;
                    let held: Vec<TrialId> =
                        driven.study.evaluating_by(member).map(|t| t.id.clone()).collect();
                    let command =
                        if dies { Command::Bury(member) } else { Command::Leave(member) };
                    driven.run(command).unwrap();
                    members.retain(|other| *other != member);
                    for id in held {
                        if dies { model.lose(&id) } else { model.release(&id) }
                    }
                    // Its workers get nothing any more, so nobody can lose what they hold.
                    let worker = format!("p{member}-w1");
                    prop_assert!(driven.ask(&worker, 1).is_empty());
                }
                (11, _, _) => {
                    driven.run(Command::Retry { states: vec![State::Failed, State::Crashed] })
                        .unwrap();
                    for entry in model.trials.values_mut().filter(|entry| entry.state.is_error()) {
                        model.kept += entry.used().unwrap_or(0.0);
                        entry.given_back(0);
                        model.requeues += 1;
                    }
                }
                // An import, of which no worker had an attempt.
                (12, _, _) => {
                    let Some(mut trial) = any else { continue };
                    let number = driven.study.trials().len();
                    trial.id = format!("imported.{number}").parse().unwrap();
                    let report = Report::objective(f64::from(b)).cost(1.0).evaluation_duration(2.0);
                    model.spend(&report);
                    (trial.state, trial.attempts, trial.losses) = (State::External, 0, 0);
                    trial.report = Some(Box::new(report));
                    driven.run(Command::Put(Box::new(trial.clone()))).unwrap();
                    let expected = Expected::of(&driven.study, &trial);
                    prop_assert!(expected.steps.is_empty(), "it had no attempt");
                    prop_assert_eq!(expected.objective, Some(f64::from(b)));
                    model.trials.insert(trial.id, expected);
                }
                // A correction: what it says is what the trial is. It is charged if the trial had
                // no report.
                (13 | 14, _, _) => {
                    let Some(mut trial) = any else { continue };
                    let entry = model.trials.get_mut(&trial.id).unwrap();
                    if let Some(fewer) = trial.attempts.checked_sub(1) {
                        let back = Box::new(Trial { attempts: fewer, ..trial.clone() });
                        prop_assert!(driven.run(Command::Put(back)).is_err());
                    }
                    trial.attempts += u32::from(a % 2);
                    let report = Report::objective(f64::from(b)).cost(7.0).evaluation_duration(2.0);
                    (trial.state, entry.leased) = match trial.state {
                        State::Pending | State::External => (State::External, false),
                        _ => (State::Success, false),
                    };
                    let had_report = entry.state.is_finished();
                    (entry.state, entry.attempts) = (trial.state, trial.attempts);
                    entry.objective = Some(f64::from(b));
                    if !had_report {
                        model.spend(&report);
                    }
                    trial.report = Some(Box::new(report));
                    driven.run(Command::Put(Box::new(trial))).unwrap();
                }
                // One that changes nothing: also a caller's deadline stays.
                (15, _, _) => {
                    let Some(trial) = any else { continue };
                    driven.run(Command::Put(Box::new(trial))).unwrap();
                }
                _ => {}
            }
            let trials = driven.study.trials();
            let seen: BTreeMap<TrialId, Expected> = trials
                .iter()
                .map(|trial| (trial.id.clone(), Expected::of(&driven.study, trial)))
                .collect();
            prop_assert_eq!(&seen, &model.trials);
            prop_assert_eq!(driven.study.spent(), model.spent());
            prop_assert!(model.spent().evaluations <= budget);
            prop_assert_eq!(driven.study.claims(), model.claims);
            prop_assert_eq!(driven.study.requeues(), model.requeues);
            prop_assert_eq!(driven.study.sample_count(), trials.len() as u64);
            prop_assert_eq!(driven.study.best().and_then(Trial::objective), model.best());
            prop_assert_eq!(driven.study.front().len(), usize::from(model.best().is_some()));
            let count = |state: State| {
                model.trials.values().filter(|entry| entry.state == state).count() as u64
            };
            for state in State::ALL {
                prop_assert_eq!(driven.study.count(state), count(state));
            }
            let finished: u64 =
                State::ALL.into_iter().filter(|s| s.is_finished()).map(count).sum();
            prop_assert_eq!(driven.study.finished(), finished);
            prop_assert_eq!(driven.study.errors(), count(State::Failed) + count(State::Crashed));
        }
        // No more was handed out than the budget has.
        prop_assert!(model.claims <= budget + model.requeues);
        // The journal alone gives the same study.
        let mut again = StudyState::new(definition());
        for event in &driven.journal {
            again.apply(event.clone()).unwrap();
        }
        prop_assert_eq!(portrait(&again), portrait(&driven.study));
    }
}

/// What an attempt reported before it died was lost with it, and a curve that a second attempt began
/// anew looked like one that went on.
#[test]
fn what_attempts_reported_on_the_way_is_kept_and_is_the_learning_curve_at_the_end() {
    let mut driven = Driven::new(9);
    driven.run(Command::Join(process())).unwrap();
    let id = driven.ask("p1-w1", 1)[0].id.clone();
    let step = |numbers: std::ops::Range<u64>, value: f64| Command::Step {
        trial: id.clone(),
        attempt: None,
        steps: numbers.map(|step| Step::new(step, value)).collect(),
    };
    driven.run(step(1..4, 0.5)).unwrap();
    driven.run(Command::Bury(1)).unwrap();
    let pending = driven.study.trial(&id).unwrap();
    assert_eq!((pending.state, pending.steps.as_ref().unwrap().len()), (State::Pending, 3));
    let refused = driven.run(step(4..5, 0.5)).unwrap();
    assert!(matches!(refused, Answer::Superseded { .. }), "{refused:?}");
    driven.run(Command::Join(process())).unwrap();
    driven.ask("p2-w1", 1);
    driven.run(step(3..5, 0.25)).unwrap();
    let report = Box::new(Report::objective(0.25));
    let (trial, attempt) = (id.clone(), None);
    driven.run(Command::Report { trial, attempt, report }).unwrap();
    let ended = driven.study.trial(&id).unwrap();
    let curve: Vec<f64> = ended
        .report
        .as_ref()
        .unwrap()
        .learning_curve
        .iter()
        .flatten()
        .map(|value| value.as_slice()[0])
        .collect();
    assert_eq!(curve, [0.5, 0.5, 0.25, 0.25]);
    let steps = ended.steps.as_ref().unwrap();
    assert_eq!((steps.goes_on_from(1), steps.goes_on_from(2)), (None, Some(2)));
    assert_eq!(driven.study.spent().steps, 5);
    // An import brings them along, and a correction takes nothing of them.
    let mut copy = Driven::new(9);
    copy.run(Command::Put(Box::new(ended.clone()))).unwrap();
    let mut corrected = copy.study.trial(&id).unwrap().clone();
    assert_eq!(corrected.steps, ended.steps);
    (corrected.steps, corrected.report) = (None, Some(Box::new(Report::objective(0.125))));
    copy.run(Command::Put(Box::new(corrected))).unwrap();
    assert_eq!(copy.study.trial(&id).unwrap().steps, ended.steps);
    let mut again = StudyState::new(definition());
    copy.journal.iter().for_each(|event| again.apply(event.clone()).unwrap());
    assert_eq!(portrait(&again), portrait(&copy.study));
}

/// One worker that asks and reports; a crash after every event, and the rest of the run from what
/// the journal has. People lost days because a resumed search went another way.
#[test]
fn a_run_resumed_at_any_event_goes_on_as_the_uninterrupted_one() {
    let whole = |crash_at: Option<usize>| {
        let mut driven = Driven::new(20);
        driven.run(Command::Join(process())).unwrap();
        loop {
            if crash_at == Some(driven.journal.len()) {
                let mut recovered = StudyState::new(definition());
                for event in &driven.journal {
                    recovered.apply(event.clone()).unwrap();
                }
                driven.study = recovered;
            }
            let held: Option<Trial> = driven.study.evaluating().next().cloned();
            let trial = match held {
                Some(trial) => trial,
                None => match driven.ask("p1-w1", 1).pop() {
                    Some(trial) => trial,
                    None => return driven.bytes(),
                },
            };
            let x = trial.config.float("x").unwrap();
            let report = Box::new(Report::objective(x));
            // It goes on where the journal ends: a step at a time.
            let reached = trial.steps.as_ref().map_or(0, |steps| steps.len() as u64);
            let (trial, attempt) = (trial.id, Some(trial.attempts));
            driven
                .run(match reached {
                    3 => Command::Report { trial, attempt, report },
                    step => Command::Step { trial, attempt, steps: vec![Step::new(step, x)] },
                })
                .unwrap();
        }
    };
    let uninterrupted = whole(None);
    assert_eq!(uninterrupted, whole(None), "the same seed gives the same journal, byte for byte");
    let events = uninterrupted.split(|byte| *byte == b'\n').count() - 1;
    for crash_at in 0..events {
        assert!(uninterrupted == whole(Some(crash_at)), "another course after event {crash_at}");
    }
}

#[test]
fn a_larger_budget_goes_on_and_a_finished_study_hands_nothing_out() {
    let mut driven = Driven::new(2);
    driven.run(Command::Join(process())).unwrap();
    assert_eq!(driven.ask("p1-w1", 9).len(), 2);
    assert!(driven.ask("p1-w2", 1).is_empty());
    driven.run(Command::SetPolicy(Box::new(policy(3)))).unwrap();
    assert_eq!(driven.ask("p1-w2", 9).len(), 1);
    // A caller outside, with a deadline, shares the same budget.
    driven.run(Command::SetPolicy(Box::new(policy(4)))).unwrap();
    let lease = Lease { seconds: 1.0, host: "h".into(), boot: "b".into(), until_uptime_s: 1.0 };
    let ask = Ask { worker: "me".into(), n: 5, lease: Some(lease), evaluation: None };
    let Answer::Evaluate(handed) = driven.run(Command::Ask(ask)).unwrap() else { panic!() };
    assert_eq!((handed.len(), handed[0].attempts), (1, 1));
    assert_eq!(driven.study.leases().count(), 1);
}

#[test]
fn several_objectives_make_a_front_and_a_correction_is_seen() {
    let mut driven = Driven::new(9);
    driven.run(Command::Join(process())).unwrap();
    let trials = driven.ask("p1-w1", 4);
    for (trial, objectives) in trials.iter().zip([[1.0, 4.0], [2.0, 3.0], [3.0, 3.0], [4.0, 1.0]]) {
        let report = Box::new(Report::objective(objectives));
        let (trial, attempt) = (trial.id.clone(), None);
        driven.run(Command::Report { trial, attempt, report }).unwrap();
    }
    let front: Vec<String> = driven.study.front().iter().map(|t| t.id.to_string()).collect();
    assert_eq!(front, ["1", "2", "4"]);
    assert!(driven.study.best().is_none());
    let mut corrected = driven.study.trial(&trials[0].id).unwrap().clone();
    corrected.report = Some(Box::new(Report::objective([9.0, 9.0])));
    driven.run(Command::Put(Box::new(corrected.clone()))).unwrap();
    assert_eq!(driven.study.front().len(), 2);
    corrected.config = corrected.config.with("x", 0.123);
    assert!(driven.run(Command::Put(Box::new(corrected))).is_err());
}
