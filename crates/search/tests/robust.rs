//! Bad data does not break a model.

mod common;

use common::{Ended, bowl, feed, make, mixed, run};
use trialmill_search::{Answer, Kind, NAMES, Observation, Space, State, Suggestion, stream};

type Odd = fn(&Suggestion, usize) -> Ended;

#[test]
fn odd_results_are_survived() {
    let odd: [(&str, Odd); 11] = [
        ("constant", |_, _| (State::Finished, vec![1.0])),
        ("all failed", |_, _| (State::Failed, vec![])),
        (
            "not a number",
            |s, n| if n % 2 == 0 { bowl(s) } else { (State::Finished, vec![f64::NAN]) },
        ),
        ("infinite", |s, n| match n % 3 {
            0 => (State::Finished, vec![f64::INFINITY]),
            1 => (State::Finished, vec![f64::NEG_INFINITY]),
            _ => bowl(s),
        }),
        ("huge", |s, n| if n % 3 == 0 { (State::Finished, vec![1e300]) } else { bowl(s) }),
        ("huge and low", |s, n| if n % 5 == 0 { (State::Finished, vec![-1e300]) } else { bowl(s) }),
        ("tiny", |s, _| (State::Finished, vec![bowl(s).1[0] * 1e-300])),
        ("pruned", |s, n| if n % 2 == 0 { bowl(s) } else { (State::Pruned, bowl(s).1) }),
        ("no objective", |_, _| (State::Finished, vec![])),
        ("two objectives, one constant", |s, _| (State::Finished, vec![bowl(s).1[0], 3.0])),
        ("five objectives, some huge or infinite", |s, n| {
            let extreme = [1e300, -1e300, f64::INFINITY, 0.0, 1.0][n % 5];
            (
                State::Finished,
                vec![s.point[0], 1.0 - s.point[0], bowl(s).1[0], extreme, -s.point[2]],
            )
        }),
    ];
    for (name, _) in NAMES {
        for (what, f) in odd {
            for fidelity in [false, true] {
                let Ok(mut driver) = make(name, &mixed(fidelity), 3) else { continue };
                let mut n = 0;
                run(&mut driver, 36, 2, |s| {
                    n += 1;
                    f(s, n)
                });
                assert!(driver.history().len() >= 9, "{name}, {what}: stopped");
            }
        }
    }
}

#[test]
fn odd_spaces_are_survived() {
    let spaces = [
        Space::of([Kind::Constant]),
        Space::of([Kind::Categorical { choices: 2 }]),
        Space::of([
            Kind::Int { lower: -5, upper: 5, log: false },
            Kind::Categorical { choices: 1 },
        ]),
        Space::of([Kind::Float]),
        Space::of((0..200).map(|i| match i % 4 {
            0 => Kind::Int { lower: 1, upper: 1000, log: true },
            1 => Kind::Categorical { choices: 4 },
            _ => Kind::Float,
        })),
    ];
    for (name, _) in NAMES {
        for (at, space) in spaces.iter().enumerate() {
            for fidelity in [false, true] {
                let mut space = space.clone();
                space.fidelity = mixed(fidelity).fidelity;
                let Ok(mut driver) = make(name, &space, 3) else { continue };
                run(&mut driver, if at == 4 { 16 } else { 30 }, 2, bowl);
                let seen = driver.history().len();
                assert!(
                    seen >= [1, 2, 11, 15, 15][at].min(seen.max(1)),
                    "{name}, space {at}: {seen}"
                );
            }
        }
    }
}

#[test]
fn a_discrete_space_is_enumerated_and_then_finished() {
    let space =
        Space::of([Kind::Categorical { choices: 3 }, Kind::Int { lower: 1, upper: 4, log: false }]);
    for (name, _) in NAMES {
        let Ok(mut driver) = make(name, &space, 3) else { continue };
        run(&mut driver, 40, 2, bowl);
        assert_eq!(driver.history().len(), 12, "{name}");
        assert_eq!(driver.ask(1, 12), Answer::Finished, "{name}");
    }
}

#[test]
fn duplicates_and_one_trial_are_survived() {
    for (name, _) in NAMES {
        for fidelity in [false, true] {
            let Ok(mut driver) = make(name, &mixed(fidelity), 3) else { continue };
            for _ in 0..30 {
                let mut trial = Observation::pending(vec![0.5; 7]);
                trial.fidelity = fidelity.then_some(9.0);
                let at = driver.observe(trial);
                driver.end(at, State::Finished, vec![0.5]);
                let number = driver.history().len() as u64;
                assert_ne!(driver.ask(2, number), Answer::Finished, "{name}");
            }
        }
    }
}

#[test]
fn ten_thousand_trials_are_survived() {
    for (name, _) in NAMES {
        let space = mixed(false);
        let Ok(mut driver) = make(name, &space, 3) else { continue };
        for number in 0..10_000 {
            let suggestion = Suggestion::from(space.sample(&mut stream(5, number)));
            let at = driver.observe(Observation::pending(suggestion.point.clone()));
            let (state, y) = bowl(&suggestion);
            feed(&mut driver, &common::Event::Ended(at, (state, y)));
        }
        assert!(
            matches!(driver.ask(2, 10_000), Answer::Evaluate(list) if list.len() == 2),
            "{name}"
        );
    }
}
