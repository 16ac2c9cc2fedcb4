//! A study that is resumed goes on as the uninterrupted one would have, whatever proposes: what an
//! optimizer knows follows from the journal alone.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use serde_json::Map;
use trialmill_core::definition::{Definition, OptimizerInfo};
use trialmill_core::event::Event;
use trialmill_core::objectives::{Direction, Goal, Objectives};
use trialmill_core::optimizer::Optimizer;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::study::{Answer, Ask, Command, StudyState};
use trialmill_core::trial::{Report, Trial};
use trialmill_optimizers::{built_in, from_info};

const TRIALS: usize = 24;

/// A study whose events are kept, as a journal keeps them.
struct Run {
    study: StudyState,
    optimizer: Box<dyn Optimizer>,
    journal: Vec<Event>,
    /// Every objective is maximised, and reported as its negative.
    turned: bool,
    /// There is a constraint, and some violate it.
    limited: bool,
}

fn info(name: &str) -> OptimizerInfo {
    OptimizerInfo { name: name.into(), arguments: Map::new() }
}

fn needs_fidelity(name: &str) -> bool {
    ["successive_halving", "hyperband", "asha", "async_hb", "priorband", "freeze_thaw"]
        .contains(&name)
}

fn definition(name: &str) -> Definition {
    let prior = |parameter: Parameter| parameter.prior(0.01);
    let mut parameters = vec![
        ("lr", prior(Parameter::float(1e-4, 1.0).log())),
        ("layers", Parameter::int(1, 8).prior(3)),
        ("kind", Parameter::categorical(["one", "two", "three"]).prior("two")),
    ];
    if needs_fidelity(name) {
        parameters.push(("epochs", Parameter::int(1, 27).fidelity()));
    }
    Definition::new(SearchSpace::new(parameters).unwrap(), info(name)).seeded(11)
}

fn is_multi(name: &str) -> bool {
    ["ehvi", "par_ego", "mo_tpe", "nsga2"].contains(&name)
}

/// What a configuration is worth; some fail.
fn report(name: &str, trial: &Trial) -> Report {
    let number =
        trial.config.float("lr").unwrap().ln() + trial.config.int("layers").unwrap() as f64;
    let value = number * number + f64::from(trial.config.to_string().contains("two"));
    match name {
        _ if trial.config.int("layers").unwrap() == 7 => Report::crashed("ValueError", "seven"),
        _ if is_multi(name) => Report::objective(vec![value, -number]),
        _ => Report::objective(value),
    }
}

impl Run {
    fn new(name: &str) -> Self {
        let optimizer = from_info(&info(name)).unwrap();
        optimizer.check(&definition(name).space).unwrap();
        let study = StudyState::new(definition(name));
        Run { study, optimizer, journal: Vec::new(), turned: false, limited: false }
    }

    fn turned(name: &str) -> Self {
        let count = if is_multi(name) { 2 } else { 1 };
        let goal = Goal { name: None, direction: Direction::Maximize };
        let objectives = Objectives::new(vec![goal; count]).unwrap();
        let study = StudyState::new(Definition { objectives, ..definition(name) });
        Run { study, turned: true, ..Run::new(name) }
    }

    fn limited(name: &str) -> Self {
        let objectives =
            Objectives::default().and("error", Direction::Minimize).and_constraint("limit");
        let study = StudyState::new(Definition { objectives, ..definition(name) });
        Run { study, limited: true, ..Run::new(name) }
    }

    /// Opened from a journal.
    fn resumed(run: Run, journal: &[Event]) -> Self {
        let mut run = run;
        for event in journal {
            let id = event.kind.trial_id().cloned();
            run.study.apply(event.clone()).unwrap();
            run.observe(id);
        }
        run.journal = journal.to_vec();
        run
    }

    fn observe(&mut self, id: Option<trialmill_core::trial::TrialId>) {
        if let Some(trial) = id.and_then(|id| self.study.trial(&id).cloned()) {
            self.optimizer.observe(self.study.definition(), &trial);
        }
    }

    fn execute(&mut self, command: Command) -> Answer {
        let time = self.journal.len() as f64;
        let (answer, events) = self.study.execute(time, command, &mut *self.optimizer).unwrap();
        for event in events {
            let id = event.kind.trial_id().cloned();
            self.journal.push(event);
            self.observe(id);
        }
        answer
    }

    /// Asks for two at a time, and reports the second first.
    fn step(&mut self, name: &str) -> Vec<String> {
        let ask = Ask { worker: "me".into(), n: 2, lease: None, evaluation: None };
        let Answer::Evaluate(list) = self.execute(Command::Ask(ask)) else { return Vec::new() };
        for trial in list.iter().rev() {
            let (id, attempt) = (trial.id.clone(), Some(trial.attempts));
            let mut report = Box::new(report(name, trial));
            if self.limited && report.is_success() {
                let layers = trial.config.int("layers").unwrap() as f64;
                report = Box::new(report.constraints([1e3 * (layers - 4.5)]));
            }
            if let Some(objective) = report.objective_to_minimize.as_mut().filter(|_| self.turned) {
                let negative: Vec<f64> = objective.as_slice().iter().map(|x| -x).collect();
                *objective = match negative[..] {
                    [one] => one.into(),
                    _ => negative.into(),
                };
            }
            self.execute(Command::Report { trial: id, attempt, report });
        }
        list.iter().map(|trial| format!("{}: {}", trial.id, trial.config)).collect()
    }
}

#[test]
fn every_built_in_optimizer_goes_on_from_a_journal_as_if_nothing_had_been() {
    for name in built_in().filter(|name| *name != "grid_search") {
        let mut whole = Run::new(name);
        let mut trace = Vec::new();
        let mut cuts = Vec::new();
        while trace.len() < TRIALS {
            cuts.push((trace.len(), whole.journal.clone()));
            let step = whole.step(name);
            if step.is_empty() {
                break;
            }
            trace.extend(step);
        }
        assert!(trace.len() > 8, "{name} proposes {}", trace.len());
        for (done, journal) in cuts.into_iter().skip(1).step_by(3) {
            let next = Run::resumed(Run::new(name), &journal).step(name);
            assert_eq!(next, trace[done..][..next.len()], "{name} after {done} trials");
        }
    }
}

/// What models know of constraints is in the journal, too; and they learn to keep to them.
#[test]
fn a_study_with_constraints_goes_on_from_its_journal_and_keeps_to_them() {
    for name in ["auto", "bayesian_optimization", "tpe"] {
        let mut whole = Run::limited(name);
        for _ in 0..12 {
            whole.step(name);
        }
        let journal = whole.journal.clone();
        let next = whole.step(name);
        assert_eq!(Run::resumed(Run::limited(name), &journal).step(name), next, "{name}");
        for _ in 0..6 {
            whole.step(name);
        }
        let late: Vec<_> = whole.study.trials().iter().skip(20).collect();
        let kept = late.iter().filter(|trial| trial.config.int("layers").unwrap() < 5).count();
        assert!(2 * kept > late.len(), "{name}: {kept} of {} keep to it", late.len());
    }
}

/// Whoever maximises and whoever minimises the negative must be proposed the same: what compares
/// trials sees minimised values, and what is stored stays as it was given.
#[test]
fn to_maximise_is_to_minimise_the_negative_for_every_optimizer() {
    for name in built_in() {
        let (mut plain, mut turned) = (Run::new(name), Run::turned(name));
        for step in 0..TRIALS / 2 {
            let (one, other) = (plain.step(name), turned.step(name));
            assert_eq!(one, other, "{name} in step {step}");
        }
        let front = |run: &Run| {
            let front = run.study.front().into_iter();
            front.map(|trial| trial.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(front(&plain), front(&turned), "{name}");
        let given = |run: &Run| run.study.front()[0].objectives().to_vec();
        let negative: Vec<f64> = given(&plain).iter().map(|x| -x).collect();
        assert_eq!(given(&turned), negative, "{name}");
    }
}

/// Conditional parameters, steps, ordered choices and distributions are proposed as they are by
/// everyone, and nobody proposes a counted configuration twice.
#[test]
fn every_optimizer_keeps_to_conditions_steps_and_distributions() {
    for name in built_in() {
        let mut parameters = vec![
            ("kind", Parameter::categorical(["one", "two", "three"])),
            ("momentum", Parameter::float(0.0, 1.0).step(0.25).when("kind", ["one"])),
            ("deep", Parameter::int(1, 9).step(4).when("momentum", [0.25, 0.5])),
            ("size", Parameter::ordinal(["s", "m", "l"]).when("kind", ["one", "two"])),
        ];
        let is_counted = !needs_fidelity(name) && !is_multi(name);
        if needs_fidelity(name) {
            parameters.push(("epochs", Parameter::int(1, 27).fidelity()));
        }
        if !is_counted {
            parameters.push(("noise", Parameter::float(-9.0, 9.0).normal(0.0, 2.0)));
            parameters.push(("width", Parameter::int(1, 500).log_normal(3.0, 1.0)));
        }
        let space = SearchSpace::new(parameters).unwrap();
        let definition = Definition::new(space.clone(), info(name)).seeded(5);
        let mut run = Run { study: StudyState::new(definition), ..Run::new(name) };
        run.optimizer = from_info(&info(name)).unwrap();
        run.optimizer.check(&space).unwrap();
        let mut seen = std::collections::BTreeSet::new();
        let mut count = 0;
        // kind one: 5 momenta, of which 2 have 3 depths, each with 3 sizes; two: 3 sizes; three.
        let whole = (3 + 2 * 3) * 3 + 3 + 1;
        while count < 60 {
            let ask = Ask { worker: "me".into(), n: 2, lease: None, evaluation: None };
            let Answer::Evaluate(list) = run.execute(Command::Ask(ask)) else { break };
            for trial in list {
                run.study.definition().space.check(&trial.config).unwrap();
                seen.insert(trial.config.to_string());
                count += 1;
                let value = f64::from(trial.config.to_string().len() as u32);
                let report = match is_multi(name) {
                    true => Report::objective([value, -value]),
                    false => Report::objective(value),
                };
                let (id, attempt) = (trial.id.clone(), None);
                run.execute(Command::Report { trial: id, attempt, report: Box::new(report) });
            }
        }
        if is_counted && name != "random_search" {
            assert_eq!((seen.len(), count), (whole, whole), "{name}");
        }
        assert!(count >= whole, "{name} proposes {count}");
    }
}

/// Of eleven neighbouring whole numbers beyond 2^53, models proposed six, or one: they counted them as
/// floats.
#[test]
fn every_optimizer_tells_large_whole_numbers_apart() {
    // A grid has the points that it is given.
    let is_free = |name: &&str| !needs_fidelity(name) && !is_multi(name) && *name != "grid_search";
    for name in built_in().filter(is_free) {
        for lower in [-5, (1 << 53) - 5, 1 << 60, i64::MAX - 10, i64::MIN] {
            let space = SearchSpace::new([("n", Parameter::int(lower, lower + 10))]).unwrap();
            let definition = Definition::new(space, info(name)).seeded(5);
            let mut run = Run { study: StudyState::new(definition), ..Run::new(name) };
            run.optimizer = from_info(&info(name)).unwrap();
            let mut seen = std::collections::BTreeSet::new();
            // Random search draws some of them again.
            for _ in 0..if name == "random_search" { 200 } else { 11 } {
                let ask = Ask { worker: "me".into(), n: 1, lease: None, evaluation: None };
                let Answer::Evaluate(list) = run.execute(Command::Ask(ask)) else { break };
                seen.insert(list[0].config.int("n").unwrap());
                let report = Box::new(Report::objective(1.0));
                let trial = list[0].id.clone();
                run.execute(Command::Report { trial, attempt: None, report });
            }
            let all: Vec<i64> = (lower..=lower + 10).collect();
            assert_eq!(seen.into_iter().collect::<Vec<_>>(), all, "{name} from {lower}");
        }
    }
}
