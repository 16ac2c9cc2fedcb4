//! Rungs and promotions.

use super::rungs::Rungs;
use crate::driver::{Answer, Driver};
use crate::history::{Observation, State};
use crate::space::{Fidelity, Kind, Space};

fn space() -> Space {
    let mut space = Space::of([Kind::Float, Kind::Float]);
    space.fidelity = Some(Fidelity { lower: 1.0, upper: 81.0, whole: true });
    space
}

#[test]
fn rungs_and_sizes_are_those_of_neps() {
    let rungs = Rungs::new(Fidelity { lower: 1.0, upper: 81.0, whole: true }, 3);
    assert_eq!(rungs.fidelities, [1.0, 3.0, 9.0, 27.0, 81.0]);
    let sizes: Vec<usize> = (0..5).rev().map(|s| rungs.base_size(s)).collect();
    assert_eq!(sizes, [81, 27, 9, 6, 5]);
    assert_eq!(rungs.bracket(0), [81, 27, 9, 3, 1]);
    assert_eq!(rungs.bracket(3), [6, 2]);
    let rungs = Rungs::new(Fidelity { lower: 3.0, upper: 100.0, whole: true }, 3);
    assert_eq!(rungs.fidelities, [3.0, 11.0, 33.0, 100.0]);
    let rungs = Rungs::new(Fidelity { lower: 1.0, upper: 243.0, whole: true }, 3);
    assert_eq!(rungs.len(), 6);
}

/// Runs one by one; trial `fails` has no result. Gives the ids in order.
fn trace(name: &str, count: u64, fails: u64) -> Vec<String> {
    let algorithm = crate::by_name(name, &serde_json::Value::Null).unwrap();
    let mut driver = Driver::new(space(), algorithm, 5).unwrap();
    let mut ids = Vec::new();
    for number in 0..count {
        let Answer::Evaluate(list) = driver.ask(1, number) else { break };
        let s = &list[0];
        let id = s.id.unwrap();
        assert_eq!(s.fidelity, Some([1.0, 3.0, 9.0, 27.0, 81.0][id.rung as usize]));
        if let Some(previous) = s.previous {
            assert_eq!((previous.config, previous.rung + 1), (id.config, id.rung));
        }
        ids.push(format!("{}_rung_{}", id.config, id.rung));
        let mut trial = Observation::pending(s.point.clone());
        (trial.fidelity, trial.id) = (s.fidelity, s.id);
        let at = driver.observe(trial);
        let state = if number == fails { State::Failed } else { State::Finished };
        // The higher the number the better.
        let y = vec![100.0 - id.config as f64];
        driver.end(at, state, if state == State::Failed { vec![] } else { y });
    }
    ids
}

#[test]
fn successive_halving_fills_each_rung_before_the_next() {
    let ids = trace("successive_halving", 122, 80);
    assert_eq!(ids[0], "1_rung_0");
    assert_eq!(ids[80], "81_rung_0");
    // 81 failed: the best 27 of the others go on.
    assert_eq!(ids[81], "80_rung_1");
    assert_eq!(ids[107], "54_rung_1");
    assert_eq!(ids[108..117], (0..9).map(|i| format!("{}_rung_2", 80 - i)).collect::<Vec<_>>());
    assert_eq!(ids[117..121], ["80_rung_3", "79_rung_3", "78_rung_3", "80_rung_4"]);
    assert_eq!(ids[121], "82_rung_0", "the next bracket");
}

#[test]
fn hyperband_begins_at_each_rung_in_turn() {
    let ids = trace("hyperband", 121 + 40 + 13, 1000);
    assert_eq!(ids[120], "81_rung_4");
    assert_eq!(ids[121], "82_rung_1");
    assert_eq!(ids[121 + 27], "108_rung_2");
    assert_eq!(ids[121 + 40], "109_rung_2");
}

#[test]
fn asha_promotes_as_soon_as_it_can() {
    let ids = trace("asha", 9, 1000);
    assert_eq!(
        ids,
        [
            "1_rung_0", "2_rung_0", "3_rung_0", "3_rung_1", "4_rung_0", "4_rung_1", "5_rung_0",
            "5_rung_1", "5_rung_2"
        ]
    );
}

/// Eight workers that die and come back: their trials wait for a while, or crash, or end late. Nobody waits
/// for ever, no rung of a configuration is proposed twice, what goes on has ended below, and no rung of a
/// bracket has more than it is to have.
#[test]
fn brackets_neither_stop_nor_sample_too_much_when_workers_die() {
    use rand::{RngExt, SeedableRng};
    for name in ["successive_halving", "hyperband", "asha", "async_hb", "priorband"] {
        for seed in 0..6 {
            let algorithm = crate::by_name(name, &serde_json::Value::Null).unwrap();
            let mut driver = Driver::new(space(), algorithm, seed).unwrap();
            let mut rng = rand::rngs::Xoshiro256PlusPlus::seed_from_u64(seed);
            let (mut running, mut seen, mut ended) = (Vec::new(), Vec::new(), Vec::new());
            for number in 0..300 {
                let Answer::Evaluate(list) = driver.ask(1, number) else {
                    panic!("{name}, seed {seed}: it waits after {number} trials")
                };
                let (s, id) = (&list[0], list[0].id.unwrap());
                assert!(!seen.contains(&id), "{name}, seed {seed}: {id:?} a second time");
                assert!(
                    s.previous.is_none_or(|previous| ended.contains(&previous)),
                    "{name}: {id:?}"
                );
                seen.push(id);
                let mut trial = Observation::pending(s.point.clone());
                (trial.fidelity, trial.id) = (s.fidelity, s.id);
                running.push((driver.observe(trial), id));
                while running.len() >= 8 {
                    // A dead worker's trial is there until another has evaluated it: anyone may be next.
                    let (at, id) = running.swap_remove(rng.random_range(0..running.len()));
                    if rng.random::<f64>() < 0.2 {
                        driver.end(at, State::Failed, vec![]);
                        continue;
                    }
                    driver.end(at, State::Finished, vec![rng.random()]);
                    ended.push(id);
                }
            }
            let on = |rung: u32| seen.iter().filter(|id| id.rung == rung).count();
            match name {
                // 81, 27, 9, 3, 1: of the first bracket as many as of each that follows.
                "successive_halving" => {
                    let first = |rung: u32| {
                        seen.iter().filter(|id| id.rung == rung && id.config <= 81).count()
                    };
                    let sizes = [81, 27, 9, 3, 1];
                    (0..5).for_each(|rung| assert!(first(rung) <= sizes[rung as usize], "{rung}"));
                    assert!(first(3) > 0, "seed {seed}: the first bracket stands still");
                }
                // The best third changes, so more than a third goes on.
                "asha" => {
                    assert!(on(1) * 2 <= on(0), "seed {seed}: {} of {}", on(1), on(0));
                    (0..4).for_each(|rung| assert!(on(rung + 1) <= on(rung), "{rung}"));
                }
                _ => assert!((0..5).all(|rung| on(rung) > 0), "{name}, seed {seed}"),
            }
        }
    }
}
