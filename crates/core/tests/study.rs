//! The pure core against a model, with random commands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // This is a test.

use std::collections::BTreeMap;

use proptest::prelude::*;

use trialmill_core::budget::Budget;
use trialmill_core::definition::Definition;
use trialmill_core::event::{Event, Lease, Reason, encode};
use trialmill_core::event::{Policy, Process, ProcessId};
use trialmill_core::optimizer::Optimizer;
use trialmill_core::space::Parameter;
use trialmill_core::space::SearchSpace;
use trialmill_core::study::{Answer, Ask, Command, StudyState};
use trialmill_core::trial::Report;
use trialmill_core::trial::{State, Trial, TrialId};
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
    Process { process: 0, host: "h".into(), boot: "b".into(), pid: 1 }
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
        driven.run(Command::SetPolicy(policy(evaluations))).unwrap();
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
        let ask = Ask { worker: worker.into(), n, lease: None };
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

proptest! {
    // `PROPTEST_CASES` asks for more.
    #![proptest_config(ProptestConfig::with_cases(
        std::env::var("PROPTEST_CASES").map_or(2_000, |cases| cases.parse().unwrap_or(2_000)),
    ))]

    #[test]
    fn random_commands_keep_every_promise(
        budget in 1u64..12,
        operations in prop::collection::vec((0u8..12, 0u8..4, 0u8..6), 1..60),
    ) {
        let mut driven = Driven::new(budget);
        // The model: what each trial's state must be, its attempts, and its lost ones.
        let mut model: BTreeMap<TrialId, (State, u32, u32)> = BTreeMap::new();
        let mut members: Vec<ProcessId> = Vec::new();
        for (operation, a, b) in operations {
            let evaluating: Vec<(TrialId, u32)> =
                driven.study.evaluating().map(|t| (t.id.clone(), t.attempts)).collect();
            let chosen = evaluating.get(b as usize % evaluating.len().max(1)).cloned();
            let member = members.get(a as usize % members.len().max(1)).copied();
            match (operation, chosen, member) {
                (0, _, _) => {
                    if let Answer::Joined(number) = driven.run(Command::Join(process())).unwrap() {
                        prop_assert!(!members.contains(&number));
                        members.push(number);
                    }
                }
                (1..=4, _, Some(member)) => {
                    let worker = format!("p{member}-w{b}");
                    for trial in driven.ask(&worker, 1 + a as usize) {
                        let entry =
                            model.entry(trial.id.clone()).or_insert((State::Pending, 0, 0));
                        prop_assert_eq!(entry.0, State::Pending, "handed out twice");
                        entry.0 = State::Evaluating;
                        entry.1 += 1;
                        prop_assert_eq!(entry.1, trial.attempts);
                    }
                }
                (5..=7, Some((id, attempt)), _) => {
                    let report = match a {
                        0 => Report::crashed("error", "x"),
                        1 => Report::failed("y"),
                        _ => Report::objective(f64::from(b)).cost(1.0),
                    };
                    let state = report.reported_as;
                    // A report of an attempt that is not the current one changes nothing.
                    let stale = attempt - 1;
                    let report = Box::new(report);
                    let late = Command::Report {
                        trial: id.clone(), attempt: Some(stale), report: report.clone(),
                    };
                    let superseded = matches!(driven.run(late).unwrap(), Answer::Superseded { .. });
                    prop_assert!(superseded);
                    let command =
                        Command::Report { trial: id.clone(), attempt: Some(attempt), report };
                    prop_assert_eq!(driven.run(command).unwrap(), Answer::Done);
                    model.get_mut(&id).unwrap().0 = state;
                }
                (8, Some((id, attempt)), _) => {
                    let attempt = Some(attempt);
                    let reason = Reason::Released;
                    let command = Command::Release { trial: id.clone(), attempt, reason };
                    prop_assert_eq!(driven.run(command).unwrap(), Answer::Done);
                    model.get_mut(&id).unwrap().0 = State::Pending;
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
                        let entry = model.get_mut(&id).unwrap();
                        let lost = entry.2 + u32::from(dies);
                        let given_up = dies && lost >= Policy::default().max_attempts;
                        (entry.0, entry.2) = match given_up {
                            true => (State::Crashed, entry.2),
                            false => (State::Pending, lost),
                        };
                    }
                    // Its workers get nothing any more, so nobody can lose what they hold.
                    let worker = format!("p{member}-w1");
                    prop_assert!(driven.ask(&worker, 1).is_empty());
                }
                (11, _, _) => {
                    driven.run(Command::Retry { states: vec![State::Failed, State::Crashed] })
                        .unwrap();
                    for entry in model.values_mut() {
                        if matches!(entry.0, State::Failed | State::Crashed) {
                            *entry = (State::Pending, entry.1, 0);
                        }
                    }
                }
                _ => {}
            }
            let states: BTreeMap<TrialId, (State, u32, u32)> = driven
                .study
                .trials()
                .iter()
                .map(|t| (t.id.clone(), (t.state, t.attempts, driven.study.losses(&t.id))))
                .collect();
            prop_assert_eq!(&states, &model);
            let charged = model.values().filter(|entry| entry.0.is_charged()).count() as u64;
            prop_assert!(charged <= budget);
            prop_assert_eq!(driven.study.spent().evaluations, charged);
            for state in State::ALL {
                let counted = model.values().filter(|entry| entry.0 == state).count() as u64;
                prop_assert_eq!(driven.study.count(state), counted);
            }
        }
        // The journal alone gives the same study.
        let mut again = StudyState::new(definition());
        for event in &driven.journal {
            again.apply(event.clone()).unwrap();
        }
        prop_assert_eq!(portrait(&again), portrait(&driven.study));
    }
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
            let (trial, attempt) = (trial.id, Some(trial.attempts));
            driven.run(Command::Report { trial, attempt, report }).unwrap();
        }
    };
    let uninterrupted = whole(None);
    assert_eq!(uninterrupted, whole(None), "the same seed gives the same journal, byte for byte");
    let events = uninterrupted.iter().filter(|byte| **byte == b'\n').count();
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
    driven.run(Command::SetPolicy(policy(3))).unwrap();
    assert_eq!(driven.ask("p1-w2", 9).len(), 1);
    // A caller outside, with a deadline, shares the same budget.
    driven.run(Command::SetPolicy(policy(4))).unwrap();
    let lease = Lease { seconds: 1.0, host: "h".into(), boot: "b".into(), until_uptime_s: 1.0 };
    let ask = Ask { worker: "me".into(), n: 5, lease: Some(lease) };
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
