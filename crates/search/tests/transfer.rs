//! A study that begins with what others found.

// Each test file uses its part of it.
#[allow(dead_code)]
mod common;

use common::{Ended, bowl, feed, make, mixed, run};
use trialmill_search::{
    Answer, Driver, NAMES, Observation, Source, Space, State, Suggestion, by_name, stream,
};

/// What a search of another study found; it did not have the third parameter.
fn other(space: &Space, value: impl Fn(&Suggestion) -> Ended) -> Source {
    let trial = |number| {
        let suggestion = Suggestion::from(space.sample(&mut stream(9, number)));
        let mut trial = Observation::pending(suggestion.point.clone());
        (trial.state, trial.objectives) = value(&suggestion);
        trial.fidelity = space.fidelity.map(|fidelity| fidelity.upper);
        trial.point[2] = f64::NAN;
        trial
    };
    Source { trials: (0..40).map(trial).collect() }
}

fn beginning(name: &str, space: &Space, sources: Vec<Source>) -> Option<Driver> {
    by_name(name, &serde_json::Value::Null).ok().filter(|algorithm| algorithm.transfers())?;
    make(name, space, 7).ok().map(|driver| driver.beginning_with(sources))
}

#[test]
fn every_optimizer_that_learns_from_others_goes_on_as_it_would_have() {
    let mut count = 0;
    for (name, _) in NAMES {
        for fidelity in [false, true] {
            let space = mixed(fidelity);
            let sources =
                || vec![other(&space, bowl), other(&space, |_| (State::Finished, vec![1.0]))];
            let Some(mut old) = beginning(name, &space, sources()) else { continue };
            count += 1;
            let events = run(&mut old, 24, 2, bowl);
            let mut new = beginning(name, &space, sources()).unwrap();
            events.iter().for_each(|event| feed(&mut new, event));
            let first = new.history().len() as u64;
            assert_eq!(old.ask(3, first), new.ask(3, first), "{name}, {fidelity}");
            assert!(
                new.history().trials().iter().all(|trial| trial.point.iter().all(|x| !x.is_nan()))
            );
        }
    }
    assert!(count > 10, "{count}");
}

#[test]
fn what_was_best_elsewhere_comes_first_whatever_its_scale() {
    for name in ["auto", "tpe", "cma_es", "regularized_evolution", "bayesian_optimization"] {
        let space = mixed(false);
        let far = |s: &Suggestion| (State::Finished, vec![1e9 * bowl(s).1[0] - 5e12]);
        let source = other(&space, far);
        let order =
            |a: &&Observation, b: &&Observation| a.objectives[0].total_cmp(&b.objectives[0]);
        let best = source.trials.iter().min_by(order).unwrap().point.clone();
        let mut driver = beginning(name, &space, vec![source]).unwrap();
        let Answer::Evaluate(list) = driver.ask(1, 0) else { panic!("{name}") };
        for (g, (x, y)) in list[0].point.iter().zip(&best).enumerate().filter(|(g, _)| *g != 2) {
            assert!((x - y).abs() < 1e-9, "{name}, parameter {g}");
        }
        run(&mut driver, 20, 1, bowl);
    }
}

/// Empty, useless and odd sources change nothing for the worse than their number of starts.
#[test]
fn odd_sources_are_survived() {
    let odd: [fn(&Suggestion) -> Ended; 6] = [
        |_| (State::Finished, vec![]),
        |_| (State::Failed, vec![1.0]),
        |_| (State::Finished, vec![f64::NAN]),
        |_| (State::Finished, vec![3.0]),
        |s| (State::Finished, vec![bowl(s).1[0] * 1e300]),
        |s| (State::Finished, vec![1.0, bowl(s).1[0], 2.0]),
    ];
    for (name, _) in NAMES {
        for (at, value) in odd.iter().enumerate() {
            for fidelity in [false, true] {
                let space = mixed(fidelity);
                let sources = vec![other(&space, value), Source::default()];
                let Some(mut driver) = beginning(name, &space, sources) else { continue };
                run(&mut driver, 20, 2, bowl);
                assert!(driver.history().len() >= 20, "{name}, {at}");
            }
        }
    }
}
