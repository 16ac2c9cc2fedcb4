//! What an optimizer proposes follows from the history alone: fed bit by bit while it works, or all
//! at once into a new one, the next proposals are the same.

mod common;

use common::{bowl, feed, make, mixed, run};
use trialmill_search::{NAMES, State};

#[test]
fn a_new_optimizer_goes_on_as_the_old_one_would_have() {
    for (name, _) in NAMES {
        for (trials, parallel) in [(0, 1), (3, 1), (23, 1), (41, 3), (64, 2)] {
            for fidelity in [false, true] {
                let space = mixed(fidelity);
                let Ok(mut old) = make(name, &space, 7) else { continue };
                let mut failures = 0;
                let events = run(&mut old, trials, parallel, |s| {
                    failures += 1;
                    if failures % 7 == 0 { (State::Failed, Vec::new()) } else { bowl(s) }
                });
                let mut new = make(name, &space, 7).unwrap();
                for event in &events {
                    feed(&mut new, event);
                }
                let first = new.history().len() as u64;
                let (a, b) = (old.ask(3, first), new.ask(3, first));
                assert_eq!(a, b, "{name}, {trials} trials, {parallel} at once, {fidelity}");
                // Asking changes nothing, and three at once are three one by one.
                assert_eq!(a, old.ask(3, first), "{name}: asked again");
            }
        }
    }
}

#[test]
fn seeds_and_samples_differ() {
    for (name, _) in NAMES {
        let space = mixed(true);
        let Ok(mut one) = make(name, &space, 7) else { continue };
        let mut other = make(name, &space, 8).unwrap();
        run(&mut one, 20, 1, bowl);
        run(&mut other, 20, 1, bowl);
        let same = one
            .history()
            .trials()
            .iter()
            .zip(other.history().trials())
            // What goes on is the same configuration again.
            .filter(|(a, b)| a.point == b.point && a.fidelity.is_none_or(|at| at == 1.0))
            .count();
        assert!(same <= 5, "{name}: {same} of 20 are the same");
    }
}
