//! Upper bounds on the regret, from trials that Optuna's terminator gets too (`optuna_regret.py`).

use serde_json::{Value as Json, json};
use trialmill_search::{Answer, Driver, Kind, Observation, Point, State, by_name, regret_bound};

use crate::problems::Problem;
use crate::run::cpu_seconds;

const MARKS: [usize; 3] = [20, 50, 100];

/// The bounds of one run, at each of the marks, with the trials that they come from.
pub(crate) fn run(problem: &Problem, optimizer: &str, seed: u64) -> Result<Vec<Json>, String> {
    let space = problem.space();
    let mut driver = Driver::new(space.clone(), by_name(optimizer, &Json::Null)?, seed)?;
    let (mut trials, mut lines) = (Vec::<(Point, f64)>::new(), Vec::new());
    let mut best = (f64::INFINITY, f64::INFINITY);
    for number in 0..MARKS[MARKS.len() - 1] {
        let Answer::Evaluate(list) = driver.ask(1, number as u64) else { break };
        let point = list[0].point.clone();
        let (noisy, exact) = problem.evaluate(&problem.values(&point), f64::NAN);
        let at = driver.observe(Observation::pending(point.clone()));
        driver.end(at, State::Finished, noisy.clone());
        if noisy[0] < best.0 {
            best = (noisy[0], exact[0]);
        }
        trials.push((point, noisy[0]));
        if !MARKS.contains(&trials.len()) {
            continue;
        }
        // As a study's checkpoints are.
        let mut top = trials.clone();
        top.sort_by(|a, b| a.1.total_cmp(&b.1));
        top.truncate((top.len() / 2).max(20));
        let before = cpu_seconds();
        let bound = regret_bound(&space, &top, seed);
        let choices = space.dimensions.iter().map(|dimension| match dimension.kind {
            Kind::Categorical { choices } => choices,
            _ => 0,
        });
        lines.push(json!({
            "problem": problem.name, "optimizer": optimizer, "seed": seed, "n": trials.len(),
            "bound": bound, "ms": 1000.0 * (cpu_seconds() - before),
            "regret": (best.1 - problem.optimum).max(0.0),
            "choices": choices.collect::<Vec<_>>(), "trials": trials,
        }));
    }
    Ok(lines)
}
