//! Runs an optimizer on a function, with some trials in progress.

use std::collections::VecDeque;

use trialmill_search::{
    Answer, Dimension, Driver, Fidelity, Kind, Observation, Prior, Space, State, Suggestion,
    by_name,
};

/// One optimizer of each name, with small arguments so that everything in it is reached soon.
pub(crate) fn make(name: &str, space: &Space, seed: u64) -> Result<Driver, String> {
    Driver::new(space.clone(), by_name(name, &serde_json::Value::Null)?, seed)
}

pub(crate) fn mixed(fidelity: bool) -> Space {
    let prior = Some(Prior { centre: 0.3, confidence: 0.5 });
    let kinds = [
        Kind::Float,
        Kind::Constant,
        Kind::Int { lower: 1, upper: 8, log: false },
        Kind::Int { lower: 8, upper: 512, log: true },
        Kind::Categorical { choices: 3 },
        Kind::Categorical { choices: 1 },
    ];
    let mut space = Space::of(kinds);
    space.dimensions.push(Dimension { kind: Kind::Float, prior });
    space.fidelity = fidelity.then_some(Fidelity { lower: 1.0, upper: 9.0, whole: true });
    space
}

pub(crate) type Ended = (State, Vec<f64>);

/// A bowl: the more is spent the lower.
pub(crate) fn bowl(s: &Suggestion) -> Ended {
    let y: f64 = s.point.iter().map(|x| (x - 0.4) * (x - 0.4)).sum();
    (State::Finished, vec![y + 1.0 / s.fidelity.unwrap_or(9.0)])
}

/// What happened, in order.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Proposed(Observation),
    Ended(usize, Ended),
}

pub(crate) fn feed(driver: &mut Driver, event: &Event) {
    match event {
        Event::Proposed(trial) => {
            driver.observe(trial.clone());
        }
        Event::Ended(at, (state, objectives)) => driver.end(*at, *state, objectives.clone()),
    }
}

/// Runs up to that many trials, `parallel` at once; they end out of order.
pub(crate) fn run(
    driver: &mut Driver,
    trials: usize,
    parallel: usize,
    mut f: impl FnMut(&Suggestion) -> Ended,
) -> Vec<Event> {
    let (mut events, mut pending, mut asked) = (Vec::new(), VecDeque::new(), 0);
    while asked < trials || !pending.is_empty() {
        let wanted = parallel.saturating_sub(pending.len()).min(trials - asked);
        let answer = if wanted > 0 { driver.ask(wanted, asked as u64) } else { Answer::Wait };
        if let Answer::Evaluate(list) = answer {
            assert!(!list.is_empty() && list.len() <= wanted);
            for suggestion in list {
                let mut trial = Observation::pending(suggestion.point.clone());
                (trial.fidelity, trial.id) = (suggestion.fidelity, suggestion.id);
                assert!(suggestion.point.iter().all(|x| (0.0..=1.0).contains(x)), "{suggestion:?}");
                events.push(Event::Proposed(trial.clone()));
                pending.push_back((driver.observe(trial), suggestion));
                asked += 1;
            }
        } else if pending.is_empty() {
            break;
        }
        if asked % 3 == 0 {
            pending.rotate_left(1);
        }
        let Some((at, suggestion)) = pending.pop_front() else { continue };
        let ended = f(&suggestion);
        events.push(Event::Ended(at, ended.clone()));
        driver.end(at, ended.0, ended.1);
    }
    events
}
