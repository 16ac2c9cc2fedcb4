//! What somebody wrote is proposed as it was written. A prior of 0.001 on a log scale was proposed as
//! 0.0010000000000000002, and one of 0.3 between -3 and 7 as 0.2999999999999998: the default configuration
//! was evaluated at other numbers than those of the study file. So it was with the best trials of other
//! studies, and with a trial of one's own that went on to the next rung.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use serde_json::Map;
use trialmill_core::config::{Config, Value};
use trialmill_core::definition::{Definition, KnownTrial, OptimizerInfo, WarmStart};
use trialmill_core::optimizer::Optimizer;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::study::{Answer, Ask, Command, StudyState};
use trialmill_core::trial::{ENQUEUE, Report, Trial, TrialId};
use trialmill_optimizers::from_info;

/// Those that begin with the default configuration.
const WITH_ONE: [&str; 11] = [
    "auto",
    "bayesian_optimization",
    "tpe",
    "cma_es",
    "sobol",
    "regularized_evolution",
    "ehvi",
    "par_ego",
    "nsga2",
    "priorband",
    "freeze_thaw",
];

fn has_rungs(name: &str) -> bool {
    ["successive_halving", "hyperband", "asha", "priorband", "freeze_thaw"].contains(&name)
}

/// A number as people write it: some digits and a power of ten.
fn written(rng: &mut Xoshiro256PlusPlus, lowest: i32, highest: i32) -> f64 {
    let (digits, power) = (rng.random_range(1..1000), rng.random_range(lowest..highest));
    format!("{digits}e{power}").parse().unwrap()
}

/// A parameter, and a value in it that a person might write.
fn parameter(rng: &mut Xoshiro256PlusPlus) -> (Parameter, Value) {
    match rng.random_range(0..8) {
        kind @ 0..4 => {
            let mut three = loop {
                let three = [(); 3].map(|()| written(rng, -9, 3));
                if three[0] != three[1] && three[1] != three[2] && three[0] != three[2] {
                    break three;
                }
            };
            three.sort_unstable_by(f64::total_cmp);
            let [lower, mut x, upper] = three;
            // The bounds themselves, too.
            match rng.random_range(0..10) {
                0 => x = lower,
                1 => x = upper,
                _ => {}
            }
            let sign = if kind == 1 { -1.0 } else { 1.0 };
            let float = match sign < 0.0 {
                true => Parameter::float(-upper, -lower),
                false => Parameter::float(lower, upper),
            };
            let float = match kind {
                2 => float.log(),
                3 => float.normal(x, (upper - lower) / 3.0),
                _ => float,
            };
            (float, (sign * x).into())
        }
        4 => {
            let (tenths, at) = (rng.random_range(2..90), rng.random_range(0..2));
            let float = Parameter::float(0.0, f64::from(tenths) / 10.0).step(0.1);
            // Both are that step: 0.1 + 0.2 is not what a person writes, but a program does.
            (float, [0.2, 0.1 + 0.1][at].into())
        }
        5 => {
            let (lower, span) =
                (rng.random_range(-50..1i64 << 40), rng.random_range(1..1i64 << 45));
            (Parameter::int(lower, lower + span), (lower + rng.random_range(0..=span)).into())
        }
        6 => {
            let (lower, span) = (rng.random_range(1..1i64 << 30), rng.random_range(1..1i64 << 45));
            (Parameter::int(lower, lower + span).log(), (lower + rng.random_range(0..=span)).into())
        }
        _ => (Parameter::ordinal([1, 2, 3, 5, 8]), [1, 3, 8][rng.random_range(0..3)].into()),
    }
}

/// A space, and a configuration in it that was written.
fn space(rng: &mut Xoshiro256PlusPlus, with_priors: bool, rungs: bool) -> (SearchSpace, Config) {
    let mut parameters = Vec::new();
    let mut values = Vec::new();
    for name in ["a", "b", "c"] {
        let (parameter, value) = parameter(rng);
        values.push(value.clone());
        let parameter = if with_priors { parameter.prior(value) } else { parameter };
        parameters.push((name, parameter));
    }
    if rungs {
        // Not at the end: places in the space are not those among what is searched.
        parameters.insert(0, ("epochs", Parameter::int(1, 9).fidelity()));
        values.insert(0, 9.into());
    }
    let space = SearchSpace::new(parameters).unwrap();
    let mut values = values.into_iter();
    let config = space.config(|_| values.next().unwrap());
    space.check(&config).unwrap();
    (space, config)
}

struct Run {
    study: StudyState,
    optimizer: Box<dyn Optimizer>,
    time: f64,
}

impl Run {
    fn new(name: &str, space: SearchSpace, warm_start: Vec<WarmStart>) -> Self {
        let info = OptimizerInfo { name: name.into(), arguments: Map::new() };
        let optimizer = from_info(&info).unwrap();
        let definition =
            Definition { warm_start: warm_start.into(), ..Definition::new(space, info).seeded(7) };
        Run { study: StudyState::new(definition), optimizer, time: 0.0 }
    }

    fn execute(&mut self, command: Command) -> Answer {
        self.time += 1.0;
        let (answer, events) =
            self.study.execute(self.time, command, &mut *self.optimizer).unwrap();
        for event in events {
            if let Some(trial) = event.kind.trial_id().and_then(|id| self.study.trial(id).cloned())
            {
                self.optimizer.observe(self.study.definition(), &trial);
            }
        }
        answer
    }

    fn ask(&mut self) -> Trial {
        let ask = Ask { worker: "me".into(), n: 1, lease: None, evaluation: None };
        match self.execute(Command::Ask(ask)) {
            Answer::Evaluate(list) => list.into_iter().next().unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

/// Bit for bit, whatever the fidelity.
fn assert_same(found: &Config, wanted: &Config, what: &str) {
    let values = |config: &Config| {
        let searched = config.iter().filter(|(name, _)| *name != "epochs");
        searched.map(|(name, value)| format!("{name}={value:?}")).collect::<Vec<_>>()
    };
    assert_eq!(values(found), values(wanted), "{what}");
}

#[test]
fn a_default_configuration_is_proposed_as_it_was_written() {
    for seed in 0..400 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        for name in WITH_ONE {
            let (space, wanted) = space(&mut rng, true, has_rungs(name));
            let what = format!("{name}, seed {seed}: {space:?}");
            let found = Run::new(name, space, Vec::new()).ask().config;
            assert_same(&found, &wanted, &what);
        }
    }
}

#[test]
fn what_was_best_in_another_study_is_proposed_as_it_was_there() {
    for seed in 0..400 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        for name in ["auto", "bayesian_optimization", "tpe"] {
            let (space, wanted) = space(&mut rng, false, false);
            let trials = vec![KnownTrial { config: wanted.clone(), objectives: vec![0.5] }];
            let (directory, study_id) = ("runs/other".into(), "other".into());
            let other = WarmStart { directory, study_id, of: 1, trials };
            let what = format!("{name}, seed {seed}: {space:?}");
            let found = Run::new(name, space, vec![other]).ask().config;
            assert_same(&found, &wanted, &what);
        }
    }
}

#[test]
fn a_trial_that_goes_on_to_the_next_rung_keeps_its_values() {
    for seed in 0..100 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        for name in ["successive_halving", "hyperband", "asha", "priorband"] {
            let (space, _) = space(&mut rng, seed % 2 == 0, true);
            let what = format!("{name}, seed {seed}: {space:?}");
            let mut run = Run::new(name, space, Vec::new());
            let mut continued = 0;
            for at in 0..20 {
                let trial = run.ask();
                if let Some(previous) = &trial.metadata.previous_trial_id {
                    let before = run.study.trial(previous).unwrap().config.clone();
                    assert_same(&trial.config, &before, &what);
                    continued += 1;
                }
                let report = Box::new(Report::objective(f64::from(at * 7 % 11)));
                run.execute(Command::Report { trial: trial.id, attempt: None, report });
            }
            assert!(continued > 0, "{what}");
        }
    }
}

#[test]
fn what_is_enqueued_is_handed_out_as_it_was_written() {
    for seed in 0..400 {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (space, wanted) = space(&mut rng, true, false);
        let mut run = Run::new("tpe", space, Vec::new());
        let configs = vec![wanted.clone()];
        run.execute(Command::Enqueue { worker: ENQUEUE.into(), configs });
        assert_same(&run.ask().config, &wanted, &format!("seed {seed}"));
        assert!(run.study.trial(&TrialId::Number(1)).is_some());
    }
}
