//! What people enqueue, import or put takes nothing away from a design. Before, each of their trials
//! used up a number, and a grid, a Sobol sequence or a Latin hypercube left out the point of that number.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use std::collections::BTreeMap;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde_json::Map;
use trialmill_core::config::Config;
use trialmill_core::definition::{Definition, OptimizerInfo};
use trialmill_core::optimizer::Optimizer;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::study::{Answer, Ask, Command, StopReason, StudyState};
use trialmill_core::trial::{ENQUEUE, IMPORT, MetaData, Report, State, Trial, TrialId};
use trialmill_optimizers::{GridSearch, from_info};

/// A study without a journal, and two processes that propose for it in turn.
struct Run {
    study: StudyState,
    optimizers: [Box<dyn Optimizer>; 2],
    time: f64,
}

impl Run {
    fn new(space: &SearchSpace, make: impl Fn() -> Box<dyn Optimizer>) -> Self {
        let definition = Definition::new(space.clone(), make().info()).seeded(3);
        Run { study: StudyState::new(definition), optimizers: [make(), make()], time: 0.0 }
    }

    /// As process 0 or 1. Both see what happened.
    fn execute(&mut self, who: usize, command: Command) -> Answer {
        self.time += 1.0;
        let (answer, events) =
            self.study.execute(self.time, command, &mut *self.optimizers[who]).unwrap();
        for event in events {
            let Some(trial) = event.kind.trial_id().and_then(|id| self.study.trial(id).cloned())
            else {
                continue;
            };
            for optimizer in &mut self.optimizers {
                optimizer.observe(self.study.definition(), &trial);
            }
        }
        answer
    }

    /// Trials of an optimizer; none when it has finished.
    fn propose(&mut self, who: usize, n: usize) -> Option<Vec<Trial>> {
        match self.execute(who, Command::Sample { n, worker: "p1-w1".into() }) {
            Answer::Evaluate(list) => Some(list),
            Answer::Stop(StopReason::Finished) => None,
            other => panic!("{other:?}"),
        }
    }

    /// In one of the three ways.
    fn bring(&mut self, way: u32, config: Config) {
        let configs = vec![config.clone()];
        let command = match way {
            0 => Command::Enqueue { worker: ENQUEUE.into(), configs },
            1 => Command::Import {
                worker: IMPORT.into(),
                trials: vec![(config, Report::objective(self.time))],
                time: self.time,
            },
            _ => {
                let id = TrialId::Number(self.study.trials().next_number());
                Command::Put(Box::new(Trial::pending(id, config, MetaData::default())))
            }
        };
        self.execute(0, command);
    }
}

/// A random space, conditional or not, whose grid has at most a few hundred points.
fn space(rng: &mut Xoshiro256PlusPlus) -> SearchSpace {
    let parameter = |rng: &mut Xoshiro256PlusPlus| {
        let (lower, span) = (rng.random_range(1..6i64), rng.random_range(1..40i64));
        let near = f64::from_bits(1f64.to_bits() + span as u64);
        match rng.random_range(0..9) {
            0 => Parameter::int(lower, lower + span).log(),
            1 => Parameter::int(-lower, lower + span),
            2 => Parameter::float(1.0, near),
            3 => Parameter::float(1.0, near).log(),
            4 => Parameter::int((1 << 60) + lower, (1 << 60) + lower + span),
            5 => Parameter::float(-0.3, 0.1 * lower as f64).step(0.1),
            6 => Parameter::float(1e-5, 1e-1).log(),
            7 => Parameter::constant("c"),
            _ => Parameter::categorical([lower, -1, -2]),
        }
    };
    let mut parameters = vec![("a", parameter(rng)), ("b", parameter(rng))];
    if rng.random() {
        parameters.push(("kind", Parameter::categorical(["x", "y", "z"])));
        parameters.push(("deep", parameter(rng).when("kind", ["x", "z"])));
        parameters.push(("deeper", Parameter::ordinal(["s", "m"]).when("kind", ["x"])));
    }
    if rng.random() {
        parameters.push(("epochs", Parameter::int(1, 9).fidelity()));
    }
    SearchSpace::new(parameters).unwrap()
}

/// A grid counted what was enqueued or imported as points of its own, and skipped one for each.
#[test]
fn a_grid_visits_each_point_once_whatever_is_brought() {
    for seed in 0..300 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let space = space(&mut rng);
        let points = rng.random_range(1..8);
        let make = || Box::new(GridSearch::new(points).unwrap()) as Box<dyn Optimizer>;

        let mut alone = Run::new(&space, make);
        let mut all: Vec<Config> = Vec::new();
        while let Some(list) = alone.propose(0, 7) {
            all.extend(list.into_iter().map(|trial| trial.config));
        }
        let size = GridSearch::new(points).unwrap().size(&space).unwrap();
        assert_eq!(all.len() as u64, size, "seed {seed}: {space:?}");

        let mut run = Run::new(&space, make);
        loop {
            match rng.random_range(0..5) {
                0 => {
                    let config = all[rng.random_range(0..all.len())].clone();
                    run.bring(rng.random_range(0..3), config);
                }
                1 => {
                    let config = space.config(|(_, parameter)| parameter.sample(&mut rng));
                    run.bring(rng.random_range(0..3), config);
                }
                _ => {
                    let (who, n) = (rng.random_range(0..2), rng.random_range(1..6));
                    if run.propose(who, n).is_none() {
                        break;
                    }
                }
            }
        }
        let mut times: BTreeMap<String, u32> = BTreeMap::new();
        for trial in run.study.trials() {
            let before = times.entry(trial.config.to_string()).or_default();
            assert!(
                trial.is_brought() || *before == 0,
                "seed {seed}: {} is proposed, and was there: {space:?}",
                trial.config
            );
            *before += 1;
        }
        for config in &all {
            assert!(times.contains_key(&config.to_string()), "seed {seed}: {config} is left out");
        }
    }
}

/// One that an earlier version began, with values that stand there twice: what it has had it has had.
#[test]
fn a_grid_goes_on_with_what_the_study_does_not_have() {
    let space = SearchSpace::new([("n", Parameter::int(1, 12).log())]).unwrap();
    for (begun, left) in [
        (&[1, 1, 1][..], &[2, 3, 4, 6, 9, 12][..]),
        (&[1, 2, 3], &[4, 6, 9, 12]),
        (&[12, 5, 3], &[1, 2, 4, 6, 9]),
    ] {
        let mut run = Run::new(&space, || Box::new(GridSearch::new(10).unwrap()));
        for n in begun {
            run.bring(2, space.config(|_| (*n).into()));
        }
        let list = run.propose(0, 20).unwrap();
        let values: Vec<i64> = list.iter().map(|trial| trial.config.int("n").unwrap()).collect();
        assert_eq!(values, left, "after {begun:?}");
        assert!(run.propose(1, 1).is_none());
    }
}

fn learner(name: &str, arguments: &str) -> impl Fn() -> Box<dyn Optimizer> {
    let arguments: Map<String, _> = serde_json::from_str(arguments).unwrap();
    let info = OptimizerInfo { name: name.into(), arguments };
    move || from_info(&info).unwrap()
}

/// What an optimizer proposes in this order, with and without what people bring in between.
fn proposed(
    space: &SearchSpace,
    make: &impl Fn() -> Box<dyn Optimizer>,
    brought: Option<u64>,
) -> Vec<Trial> {
    let mut rng = brought.map(Xoshiro256PlusPlus::seed_from_u64);
    let mut run = Run::new(space, make);
    let mut list = Vec::new();
    while list.len() < 32 {
        if let Some(rng) = &mut rng
            && rng.random_range(0..3) == 0
        {
            let config = space.config(|(_, parameter)| parameter.sample(rng));
            run.bring(rng.random_range(0..2), config);
        }
        // What is enqueued is handed out first, and has a result like all. One by one: of two at a time
        // a scheme of rungs could not know the first when it proposes the second.
        let ask = Ask { worker: "me".into(), n: 1, lease: None, evaluation: None };
        let Answer::Evaluate(handed) = run.execute(list.len() % 2, Command::Ask(ask)) else {
            panic!("nothing to evaluate")
        };
        for trial in handed {
            let number = trial.id.number().unwrap_or(0);
            let value = (number * 7 % 11) as f64 + number as f64 / 100.0;
            let report = Box::new(Report::objective(value));
            run.execute(0, Command::Report { trial: trial.id.clone(), attempt: None, report });
            if !trial.is_brought() {
                list.push(trial);
            }
        }
    }
    assert!(run.study.trials().iter().any(Trial::is_brought) || brought.is_none());
    assert!(run.study.trials().iter().all(|trial| trial.state != State::Crashed));
    list.truncate(32);
    list
}

#[test]
fn a_design_has_all_its_points_whatever_is_brought() {
    let space =
        SearchSpace::new([("a", Parameter::float(0.0, 1.0)), ("b", Parameter::float(0.0, 1.0))])
            .unwrap();
    for seed in 0..10 {
        let sobol = learner("sobol", "{}");
        let configs = |brought| {
            let list = proposed(&space, &sobol, brought);
            list.into_iter().map(|trial| trial.config).collect::<Vec<_>>()
        };
        assert_eq!(configs(Some(seed)), configs(None), "seed {seed}");

        let cube = proposed(&space, &learner("latin_hypercube", r#"{"size": 16}"#), Some(seed));
        for name in ["a", "b"] {
            for cube in cube.chunks(16) {
                let stretch = |trial: &Trial| (trial.config.float(name).unwrap() * 16.0) as u32;
                let mut stretches: Vec<u32> = cube.iter().map(stretch).collect();
                stretches.sort_unstable();
                assert!(stretches.into_iter().eq(0..16), "seed {seed}: a stretch is left out");
            }
        }
    }
}

#[test]
fn a_scheme_of_rungs_goes_on_as_if_nothing_were_brought() {
    let space = SearchSpace::new([
        ("a", Parameter::float(0.0, 1.0).prior(0.5)),
        ("epochs", Parameter::int(1, 9).fidelity()),
    ])
    .unwrap();
    // (async_hb draws by lot at which rung it begins.)
    for name in ["successive_halving", "hyperband", "asha", "priorband"] {
        let make = learner(name, "{}");
        let ids = |brought| {
            let list = proposed(&space, &make, brought);
            list.into_iter().map(|trial| trial.id.to_string()).collect::<Vec<_>>()
        };
        let alone = ids(None);
        for seed in 0..5 {
            assert_eq!(ids(Some(seed)), alone, "{name}, seed {seed}");
        }
    }
}
