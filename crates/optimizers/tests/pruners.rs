//! What the pruners say: as Optuna's of the same names, and as a pruner that comes later would.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use proptest::prelude::*;
use serde_json::{Value as Json, json};
use trialmill_core::definition::Definition;
use trialmill_core::event::{Event, Process};
use trialmill_core::objectives::Objectives;
use trialmill_core::optimizer::Optimizer;
use trialmill_core::pruner::PrunerInfo;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::study::{Answer, Ask, Command, StudyState};
use trialmill_core::trial::{Report, State, Step, TrialId};
use trialmill_optimizers::RandomSearch;
use trialmill_optimizers::pruners::{PRUNERS, info_of, pruner};

/// A study with a pruner, whose trials report what they are told to.
struct Driven {
    study: StudyState,
    journal: Vec<Event>,
    optimizer: RandomSearch,
}

fn definition(direction: &str) -> Definition {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let mut definition = Definition::new(space, RandomSearch::new().info()).seeded(1);
    definition.objectives = Objectives::from_direction(&json!(direction)).unwrap();
    definition
}

impl Driven {
    fn new(info: &PrunerInfo, direction: &str) -> Self {
        let mut study = StudyState::new(definition(direction));
        study.set_pruner(Some(pruner(info).unwrap()));
        let mut driven = Driven { study, journal: Vec::new(), optimizer: RandomSearch::new() };
        let (host, boot) = ("h".into(), "b".into());
        driven.run(Command::Join(Process {
            process: 0,
            host,
            boot,
            pid: 1,
            job: None,
            worker_id: None,
        }));
        driven
    }

    fn run(&mut self, command: Command) -> Answer {
        let (answer, events) = self.study.execute(1.0, command, &mut self.optimizer).unwrap();
        self.journal.extend(events);
        answer
    }

    fn begin(&mut self) -> TrialId {
        let ask = Ask { worker: "p1-w1".into(), n: 1, lease: None, evaluation: None };
        match self.run(Command::Ask(ask)) {
            Answer::Evaluate(list) => list[0].id.clone(),
            other => panic!("{other:?}"),
        }
    }

    /// Reports a step; returns whether the trial should end.
    fn step(&mut self, id: &TrialId, step: u64, value: f64) -> bool {
        let steps = vec![Step::new(step, value)];
        match self.run(Command::Step { trial: id.clone(), attempt: None, steps }) {
            Answer::Stepped { prune } => prune,
            other => panic!("{other:?}"),
        }
    }

    fn end(&mut self, id: &TrialId, report: Report) {
        let report = Box::new(report);
        self.run(Command::Report { trial: id.clone(), attempt: None, report });
    }

    /// The study as another process reads it, with a pruner of its own that comes at the end.
    fn read_again(&self, info: &PrunerInfo, direction: &str) -> StudyState {
        let mut again = StudyState::new(definition(direction));
        self.journal.iter().for_each(|event| again.apply(event.clone()).unwrap());
        again.set_pruner(Some(pruner(info).unwrap()));
        again
    }
}

fn info(name: &str, arguments: &Json) -> PrunerInfo {
    let arguments = arguments.as_object().unwrap().clone();
    PrunerInfo { name: name.into(), arguments }
}

/// Every verdict of Optuna 5.0 in `testdata/optuna_pruners.json`, also with all signs turned around.
#[test]
fn each_verdict_is_that_of_optuna_s_pruner_of_the_same_name() {
    let cases: Vec<Json> =
        serde_json::from_str(include_str!("../testdata/optuna_pruners.json")).unwrap();
    let mut verdicts = 0;
    for (case, direction) in cases.iter().flat_map(|case| [(case, "minimize"), (case, "maximize")])
    {
        let info = info(case["name"].as_str().unwrap(), &case["arguments"]);
        // Its bounds are values as they are given.
        if info.name == "threshold" && direction == "maximize" {
            continue;
        }
        let sign = if direction == "maximize" { -1.0 } else { 1.0 };
        let mut driven = Driven::new(&info, direction);
        let mut ids = Vec::new();
        for line in case["lines"].as_array().unwrap() {
            let number = line[0].as_u64().unwrap() as usize;
            while ids.len() < number {
                ids.push(driven.begin());
            }
            let (id, step) = (ids[number - 1].clone(), line[1].as_u64().unwrap());
            let value = sign * line[2].as_f64().unwrap_or(f64::NAN);
            let verdict = driven.step(&id, step, value);
            assert_eq!(Some(verdict), line[3].as_bool(), "{info} {direction}: {line}");
            verdicts += 1;
            if verdict {
                driven.end(&id, Report::pruned());
            } else if step == 16 {
                driven.end(&id, Report::objective(if value.is_nan() { sign } else { value }));
            }
        }
    }
    assert!(verdicts > 29_000, "{verdicts}");
}

/// One of each, with arguments that make it say something in a few steps.
fn each() -> Vec<PrunerInfo> {
    let arguments = |name: &str| match name {
        "median" | "percentile" => json!({"startup_trials": 1}),
        "threshold" => json!({"upper": 5.0}),
        "patience" => json!({"patience": 1, "pruner": {"name": "median", "startup_trials": 1}}),
        "plateau" => json!({"deviation": 1.0}),
        "hyperband" => json!({"max_steps": 9}),
        "successive_halving" => json!({"reduction_factor": 2}),
        _ => json!({"p_threshold": 0.4}),
    };
    PRUNERS.iter().map(|name| info(name, &arguments(name))).collect()
}

proptest! {
    /// Whatever parallel trials report, in whatever portions, whether attempts go on or start over: a
    /// process that comes later says of the next step what the one says that was there from the start.
    #[test]
    fn a_pruner_that_comes_later_says_the_same(
        which in 0usize..8,
        maximize: bool,
        operations in prop::collection::vec((0u8..8, 0usize..4, 1u64..4, 0i32..12), 1..60),
    ) {
        let info = &each()[which];
        let direction = if maximize { "maximize" } else { "minimize" };
        let mut driven = Driven::new(info, direction);
        let mut running: Vec<(TrialId, u64)> = Vec::new();
        for (operation, at, count, value) in operations {
            if running.len() < 4 && (operation == 0 || running.is_empty()) {
                running.push((driven.begin(), 0));
                continue;
            }
            let at = at % running.len();
            let (id, reached) = running[at].clone();
            match operation {
                1 => {
                    driven.end(&id, Report::objective(f64::from(value)));
                    running.remove(at);
                }
                2 => {
                    let trial = driven.study.trial(&id).unwrap();
                    let attempt = Some(trial.attempts);
                    let reason = trialmill_core::event::Reason::Released;
                    driven.run(Command::Release { trial: id.clone(), attempt, reason });
                    running.remove(at);
                    // The next attempt goes on behind it, or starts over.
                    let from = if value % 2 == 0 { reached } else { 0 };
                    running.push((driven.begin(), from));
                }
                _ => {
                    let steps: Vec<Step> = (reached + 1..=reached + count)
                        .map(|step| Step::new(step, f64::from(value) - (step % 3) as f64))
                        .collect();
                    let command =
                        Command::Step { trial: id.clone(), attempt: None, steps: steps.clone() };
                    let later = driven.read_again(info, direction);
                    let said = later.decide(command.clone(), None).unwrap();
                    // All at once, or one after the other: the verdict comes at the same step.
                    let prune = if value % 3 == 0 {
                        matches!(driven.run(command), Answer::Stepped { prune: true })
                    } else {
                        let mut prune = false;
                        for step in steps {
                            prune = driven.step(&id, step.step, step.single().unwrap());
                        }
                        prune
                    };
                    let same = matches!(said.answer, Answer::Stepped { prune: other } if other == prune);
                    prop_assert!(same, "{:?}, and it was {prune}", said.answer);
                    running[at].1 = reached + count;
                    if prune {
                        driven.end(&id, Report::pruned());
                        running.remove(at);
                    }
                }
            }
        }
        prop_assert_eq!(driven.study.count(State::Crashed), 0);
    }
}

/// One worker, eight steps a trial; the process dies after each event in turn, and another one goes on
/// from what the journal has.
#[test]
fn a_run_resumed_at_any_event_prunes_as_the_uninterrupted_one() {
    for info in each() {
        let whole = |crash_at: Option<usize>| {
            let mut driven = Driven::new(&info, "minimize");
            while driven.study.trials().len() < 16 || driven.study.evaluating().next().is_some() {
                if crash_at == Some(driven.journal.len()) {
                    driven.study = driven.read_again(&info, "minimize");
                }
                let Some(trial) = driven.study.evaluating().next().cloned() else {
                    driven.begin();
                    continue;
                };
                let level = (trial.id.number().unwrap() * 7 % 11) as f64;
                let step = trial.steps.as_ref().map_or(0, |steps| steps.len()) as u64 + 1;
                if trial.should_prune() {
                    driven.end(&trial.id, Report::pruned());
                } else if step > 8 {
                    driven.end(&trial.id, Report::objective(level));
                } else {
                    driven.step(&trial.id, step, level + (step % 3) as f64);
                }
            }
            assert!(driven.study.count(State::Pruned) > 0, "{info}");
            format!("{:?}", driven.journal)
        };
        let uninterrupted = whole(None);
        for crash_at in 0..200 {
            assert_eq!(uninterrupted, whole(Some(crash_at)), "{info}: after event {crash_at}");
        }
    }
}

/// Arguments at the ends of what they may be, and steps too: nothing overflows, whatever the verdicts are.
#[test]
fn the_greatest_arguments_and_steps_break_no_pruner() {
    const MOST: u64 = u64::MAX;
    for json in [
        json!({"name": "median", "startup_trials": MOST, "warmup_steps": MOST, "min_trials": MOST}),
        json!({"name": "percentile", "interval_steps": MOST, "warmup_steps": 1, "startup_trials": 0}),
        json!({"name": "threshold", "upper": 0.5, "warmup_steps": MOST, "interval_steps": MOST}),
        json!({"name": "patience", "patience": MOST}),
        json!({"name": "patience", "patience": 0, "min_delta": f64::MAX}),
        json!({"name": "plateau", "window": MOST, "warmup_steps": MOST}),
        json!({"name": "asha", "min_steps": MOST, "reduction_factor": MOST, "skipped_rungs": u32::MAX}),
        json!({"name": "asha", "reduction_factor": MOST, "startup_trials": MOST}),
        json!({"name": "hyperband", "max_steps": MOST, "reduction_factor": 2}),
        json!({"name": "wilcoxon", "startup_steps": MOST}),
        json!("wilcoxon"),
    ] {
        for direction in ["minimize", "maximize"] {
            let mut driven = Driven::new(&info_of(&json).unwrap(), direction);
            for _ in 0..6 {
                let id = driven.begin();
                for (step, value) in [
                    (MOST, 0.5),
                    (0, f64::INFINITY),
                    (1 << 63, f64::NEG_INFINITY),
                    (3, f64::NAN),
                    (2, -0.0),
                    (MOST - 1, f64::MAX),
                ] {
                    driven.step(&id, step, value);
                }
                driven.end(&id, Report::objective(f64::MIN));
            }
            assert_eq!(driven.study.count(State::Success), 6);
        }
    }
}

#[test]
fn a_pruner_keeps_all_its_arguments_and_a_wrong_one_is_named_with_the_right_ones() {
    for (json, kept) in [
        (
            json!("median"),
            json!({"startup_trials": 5, "warmup_steps": 0, "interval_steps": 1, "min_trials": 1}),
        ),
        (
            json!({"name": "asha", "min_steps": 2}),
            json!({"min_steps": 2, "reduction_factor": 4, "skipped_rungs": 0, "startup_trials": 0}),
        ),
        (
            json!({"name": "threshold", "upper": 1}),
            json!({"upper": 1.0, "warmup_steps": 0, "interval_steps": 1}),
        ),
    ] {
        let made = pruner(&info_of(&json).unwrap()).unwrap().info();
        assert_eq!(Json::from(made.arguments.clone()), kept);
        assert_eq!(pruner(&made).unwrap().info(), made, "it is read as it is kept");
    }
    for (json, says) in [
        (json!("medain"), "did you mean `median`?"),
        (json!({"name": "median", "warmup_step": 5}), "did you mean `warmup_steps`?"),
        (json!({"name": "median", "warmup_steps": -1}), "warmup_steps: a whole number"),
        (json!({"name": "percentile", "percentile": 101}), "0 to 100"),
        (json!("threshold"), "`lower` or `upper`"),
        (json!("hyperband"), "`max_steps`"),
        (json!({"name": "successive_halving", "reduction_factor": 1}), "2 or more"),
        (json!({"name": "patience", "pruner": "medain"}), "did you mean `median`?"),
        (json!({"warmup_steps": 5}), "a `name`"),
        (json!(5), "a name"),
    ] {
        let problem = info_of(&json).and_then(|info| pruner(&info).map(drop)).unwrap_err();
        assert!(problem.contains(says), "{json}: {problem}");
    }
}
