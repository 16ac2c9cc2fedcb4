//! What callers may rely on, beside what `replay` and `robust` check.

// Each test file uses its part of it.
#[allow(dead_code)]
mod common;

use common::{bowl, make, mixed, run};
use trialmill_search::{
    Answer, Condition, Driver, Kind, NAMES, Observation, Space, State, Suggestion, by_name,
};

#[test]
fn arguments_are_read_back_and_unknown_ones_refused() {
    for (name, others) in NAMES {
        let algorithm = by_name(name, &serde_json::Value::Null).unwrap();
        assert_eq!(algorithm.name(), *name);
        let again = by_name(name, &algorithm.arguments()).unwrap();
        assert_eq!(again.arguments(), algorithm.arguments());
        assert!(by_name(name, &serde_json::json!({"no_such_argument": 1})).is_err(), "{name}");
        for other in *others {
            assert_eq!(by_name(other, &serde_json::Value::Null).unwrap().name(), *name);
        }
    }
    assert!(by_name("nothing", &serde_json::Value::Null).is_err());
}

/// A study stores its optimizer's arguments, and is refused where another program fills in one more.
#[test]
fn a_study_from_before_an_argument_is_still_the_same() {
    let plain = by_name("tpe", &serde_json::Value::Null).unwrap().arguments();
    assert!(plain.get("group").is_none(), "{plain}");
    let other = by_name("tpe", &serde_json::json!({"group": false})).unwrap().arguments();
    assert_eq!(other["group"], false);
}

#[test]
fn several_at_once_are_those_that_come_one_by_one() {
    for (name, _) in NAMES {
        let space = mixed(true);
        let mut at_once = make(name, &space, 5).unwrap();
        run(&mut at_once, 24, 1, bowl);
        let first = at_once.history().len() as u64;
        let Answer::Evaluate(three) = at_once.ask(3, first) else { panic!("{name}") };
        for (number, expected) in (first..).zip(three) {
            let Answer::Evaluate(one) = at_once.ask(1, number) else { panic!("{name}") };
            assert_eq!(one[0], expected, "{name}");
            let mut trial = Observation::pending(expected.point.clone());
            (trial.fidelity, trial.id) = (expected.fidelity, expected.id);
            at_once.observe(trial);
        }
    }
}

#[test]
fn values_that_move_on_their_way_are_settled_before_they_are_seen() {
    let space = Space::of([Kind::Float, Kind::Float]);
    let coarse = |x: f64| (x * 10.0).round() / 10.0;
    let driver = Driver::new(space, by_name("gp", &serde_json::Value::Null).unwrap(), 5).unwrap();
    let mut driver =
        driver.settle_with(move |point| point.iter_mut().for_each(|x| *x = coarse(*x)));
    run(&mut driver, 20, 2, |s: &Suggestion| {
        assert!(s.point.iter().all(|x| *x == coarse(*x)));
        bowl(s)
    });
}

#[test]
fn constants_are_left_out_and_come_back() {
    let space = Space::of([Kind::Constant, Kind::Float, Kind::Categorical { choices: 1 }]);
    let mut driver = make("tpe", &space, 5).unwrap();
    run(&mut driver, 20, 1, |s| {
        assert_eq!(s.point.len(), 3);
        bowl(s)
    });
    assert!(driver.history().trials().iter().all(|t| t.point.len() == 1));
}

#[test]
fn models_beat_random_search_on_a_bowl() {
    let best = |name: &str, seed| {
        let space = Space::of([Kind::Float, Kind::Float, Kind::Float, Kind::Float]);
        let mut driver = make(name, &space, seed).unwrap();
        run(&mut driver, 60, 4, bowl);
        let values = driver.history().trials().iter().filter_map(Observation::objective);
        values.fold(f64::INFINITY, f64::min) - 1.0 / 9.0
    };
    for name in ["auto", "bayesian_optimization", "tpe", "cma_es", "regularized_evolution"] {
        let wins = (0..5).filter(|seed| best(name, *seed) < best("random_search", *seed)).count();
        assert!(wins >= 4, "{name}: {wins} of 5");
    }
    assert!(best("bayesian_optimization", 1) < 1e-4);
}

#[test]
fn a_study_of_several_objectives_gets_a_front() {
    for name in ["auto", "ehvi", "par_ego", "mo_tpe", "nsga2"] {
        let space = Space::of([Kind::Float, Kind::Float, Kind::Float]);
        let mut driver = make(name, &space, 5).unwrap();
        run(&mut driver, 60, 3, |s| {
            let off = 2.0 * s.point[1..].iter().map(|x| (x - 0.3).abs()).sum::<f64>();
            (State::Finished, vec![s.point[0] + off, 1.0 - s.point[0] + off])
        });
        let front: Vec<&[f64]> =
            driver.history().trials().iter().filter_map(Observation::all_objectives).collect();
        let volume = trialmill_search::hypervolume(&front, &[1.5, 1.5]);
        assert!(volume > 0.7, "{name}: {volume}");
    }
}

/// Twenty workers on three objectives: what is imagined of the trials in progress keeps the proposals apart, and with
/// the results as they come the front is covered.
#[test]
fn proposals_for_many_workers_are_spread_over_the_front() {
    let space = Space::of([Kind::Float, Kind::Float, Kind::Float]);
    let of = |s: &Suggestion| {
        let (x, y) = (1.6 * s.point[0], 1.6 * s.point[1]);
        let far = 1.0 + (s.point[2] - 0.4).abs();
        vec![far * x.cos() * y.cos(), far * x.cos() * y.sin(), far * x.sin()]
    };
    let volume = |name: &str| {
        let mut driver = make(name, &space, 5).unwrap();
        run(&mut driver, 80, 20, |s| (State::Finished, of(s)));
        let points: Vec<&[f64]> =
            driver.history().trials().iter().filter_map(Observation::all_objectives).collect();
        trialmill_search::hypervolume(&points, &[1.5; 3])
    };
    let (random, model) = (volume("random_search"), volume("ehvi"));
    assert!(model > random + 0.2, "{random} at random, {model} by the model");
}

/// Of a space with three kinds, each with parameters of its own, the best kind's own are found.
#[test]
fn a_space_with_conditions_is_searched_in_groups() {
    let mut space = Space::of([
        Kind::Categorical { choices: 3 },
        Kind::Float,
        Kind::Int { lower: 1, upper: 9, log: false },
        Kind::Float,
        Kind::Constant,
    ]);
    let place = |choice: u64| space.dimensions[0].at_level(choice);
    let on = |choice| vec![(0, vec![place(choice)]), (4, vec![0.5])];
    space.conditions = vec![
        Condition { dimension: 3, on: vec![(2, vec![space.dimensions[2].at_level(4)])] },
        Condition { dimension: 1, on: on(0) },
        Condition { dimension: 2, on: on(2) },
    ];
    let inside = space.clone();
    // A parameter waits for one that waits itself.
    assert_eq!(space.present(&[place(0), 0.1, 0.5, 0.1, 0.5]), [true, true, false, false, true]);
    let fifth = space.dimensions[2].at_level(4);
    assert_eq!(space.present(&[place(2), 0.1, fifth, 0.1, 0.5]), [true, false, true, true, true]);
    let value = |s: &Suggestion| {
        let there = inside.present(&s.point);
        let y = match inside.dimensions[0].level(s.point[0]) {
            0 => 0.5 + (s.point[1] - 0.8).abs(),
            1 => 0.9,
            _ if there[3] => (s.point[3] - 0.2).abs(),
            _ => 0.6 + (s.point[2] - 0.5).abs(),
        };
        (State::Finished, vec![y])
    };
    let best = |name: &str, arguments: serde_json::Value, seed| {
        let algorithm = by_name(name, &arguments).unwrap();
        let inside = space.clone();
        let driver = Driver::new(space.clone(), algorithm, seed).unwrap();
        let mut driver = driver.settle_with(move |point| {
            let there = inside.present(point);
            point.iter_mut().zip(there).filter(|(_, there)| !there).for_each(|(x, _)| *x = 0.5);
        });
        run(&mut driver, 60, 2, value);
        let values = driver.history().trials().iter().filter_map(Observation::objective);
        values.fold(f64::INFINITY, f64::min)
    };
    for (name, arguments) in [("tpe", "{}"), ("tpe", r#"{"group": false}"#), ("auto", "{}")] {
        let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap();
        let wins = (0..5).filter(|seed| {
            best(name, arguments.clone(), *seed)
                < best("random_search", serde_json::Value::Null, *seed)
        });
        assert!(wins.count() >= 4, "{name} {arguments}");
    }
}

/// The best that keeps to a constraint is on its border; TPE and the Gaussian process come nearer to it when
/// they are told by how much it is violated than when they are told only that it is.
#[test]
fn models_know_constraints() {
    let space = Space::of([Kind::Float, Kind::Float, Kind::Float, Kind::Float]);
    let best = |name: &str, told: bool, seed| {
        let mut driver = make(name, &space, seed).unwrap();
        let mut best = f64::INFINITY;
        for number in 0..50 {
            let Answer::Evaluate(list) = driver.ask(1, number) else { panic!("{name}") };
            let x = list[0].point.clone();
            let at = driver.observe(Observation::pending(x.clone()));
            // Three conditions, of units of their own: a sixteenth of the space.
            let limits = vec![5e4 * (x[0] + x[1] - 0.5), 1e-3 * (0.6 - x[2]), 0.7 - x[3]];
            let is_in = limits.iter().all(|limit| *limit <= 0.0);
            let y = x.iter().map(|x| (x - 0.5) * (x - 0.5)).sum::<f64>();
            if told {
                driver.constrain(at, limits);
            }
            driver.end(at, if is_in { State::Finished } else { State::Failed }, vec![y]);
            best = if is_in { best.min(y) } else { best };
        }
        best
    };
    for name in ["auto", "bayesian_optimization", "tpe"] {
        let wins = (0..5).filter(|seed| best(name, true, *seed) < best(name, false, *seed)).count();
        assert!(wins >= 3, "{name}: {wins} of 5");
    }
}

#[test]
fn odd_constraints_are_survived() {
    let odd: [fn(usize) -> Vec<f64>; 6] = [
        |_| vec![1.0],
        |_| vec![f64::NAN, f64::INFINITY],
        |n| vec![f64::NEG_INFINITY; n % 4],
        |n| vec![1e300 * (n as f64 - 9.0), 1e-300],
        |_| vec![0.0, -0.0],
        |n| vec![if n % 2 == 0 { -1.0 } else { 1.0 }],
    ];
    for (name, _) in NAMES {
        for (way, limits) in odd.iter().enumerate() {
            let Ok(mut driver) = make(name, &mixed(false), 3) else { continue };
            for number in 0..24 {
                let Answer::Evaluate(list) = driver.ask(1, number) else { panic!("{name}, {way}") };
                let at = driver.observe(Observation::pending(list[0].point.clone()));
                let limits = limits(number as usize);
                let is_in = limits.iter().all(|limit| *limit <= 0.0);
                driver.constrain(at, limits);
                let state = if is_in { State::Finished } else { State::Failed };
                driver.end(at, state, bowl(&list[0]).1);
            }
        }
    }
}
