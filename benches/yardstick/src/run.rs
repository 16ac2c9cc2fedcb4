//! The protocol: runs an optimizer on a problem and notes the regret at the checkpoints.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use trialmill_search::{
    Answer, Driver, Observation, RungId, State, Suggestion, by_name, hypervolume,
};

use crate::own;
use crate::problems::Problem;
use crate::transfer;

const MARKS: [usize; 8] = [10, 25, 50, 75, 100, 150, 200, 300];
const EPOCH_MARKS: [usize; 4] = [162, 405, 810, 1620];

/// One run, as the reference files have them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) problem: String,
    pub(crate) sampler: String,
    pub(crate) mode: String,
    pub(crate) seed: u64,
    pub(crate) regret: BTreeMap<String, f64>,
    /// CPU milliseconds for each ask, its tell included.
    #[serde(default)]
    pub(crate) ask_ms: f64,
}

/// How to run.
pub(crate) struct Setup<'a> {
    pub(crate) name: &'a str,
    pub(crate) arguments: &'a Json,
    pub(crate) parallel: usize,
    pub(crate) budget: usize,
    /// Whether constraints are not told, only that a trial failed.
    pub(crate) blind: bool,
    /// What other study it begins with.
    pub(crate) transfer: Option<transfer::Kind>,
}

/// CPU seconds of this thread.
pub(crate) fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split_whitespace().next().and_then(|word| word.parse::<f64>().ok());
    nanoseconds.unwrap_or(0.0) * 1e-9
}

/// Runs once.
pub(crate) fn run(problem: &Problem, setup: &Setup<'_>, seed: u64) -> Result<Record, String> {
    let algorithm = by_name(setup.name, setup.arguments)?;
    let mut driver = Driver::new(problem.space(), algorithm, seed)?;
    let space = problem.space();
    if !space.conditions.is_empty() {
        // As a study does it: what is not there stands in the middle.
        driver = driver.settle_with(move |point| {
            let present = space.present(point);
            point.iter_mut().zip(present).filter(|(_, there)| !there).for_each(|(x, _)| *x = 0.5);
        });
    }
    if let Some(kind) = setup.transfer {
        driver = driver.beginning_with(vec![transfer::source(problem, kind, seed)?]);
    }
    let mode = if setup.parallel > 1 { format!("par{}", setup.parallel) } else { "seq".into() };
    let (regret, ask_ms) = if problem.kind.starts_with("fidelity") {
        with_fidelity(problem, driver, setup)
    } else {
        evaluations(problem, driver, setup)
    };
    let (problem, sampler) = (problem.name.clone(), setup.name.to_string());
    Ok(Record { problem, sampler, mode, seed, regret, ask_ms })
}

fn observed(driver: &mut Driver, suggestion: &Suggestion) -> usize {
    let mut trial = Observation::pending(suggestion.point.clone());
    (trial.fidelity, trial.id) = (suggestion.fidelity, suggestion.id);
    driver.observe(trial)
}

fn evaluations(
    problem: &Problem,
    mut driver: Driver,
    setup: &Setup<'_>,
) -> (BTreeMap<String, f64>, f64) {
    let (mut pending, mut told, mut asked) = (VecDeque::new(), 0, 0);
    let mut best: Option<(f64, f64)> = None;
    let mut front: Vec<Vec<f64>> = Vec::new();
    let (mut regret, mut cpu) = (BTreeMap::new(), 0.0);
    let budget = setup.budget.min(problem.budget);
    while told < budget {
        while pending.len() < setup.parallel && asked < budget {
            let before = cpu_seconds();
            let answer = driver.ask(1, asked as u64);
            cpu += cpu_seconds() - before;
            let Answer::Evaluate(list) = answer else { break };
            for suggestion in list {
                pending.push_back((observed(&mut driver, &suggestion), suggestion));
                asked += 1;
            }
        }
        let Some((at, suggestion)) = pending.pop_front() else { break };
        let (noisy, exact) = problem.evaluate(&problem.values(&suggestion.point), f64::NAN);
        let constraints = own::constraints(&problem.name, &problem.values(&suggestion.point));
        let is_feasible = constraints.iter().all(|x| *x <= 0.0);
        if !setup.blind {
            driver.constrain(at, constraints);
        }
        let state = if is_feasible { State::Finished } else { State::Failed };
        driver.end(at, state, noisy.clone());
        told += 1;
        if !is_feasible {
            // Neither the best nor on the front.
        } else if noisy.len() == 1 {
            if best.is_none_or(|(value, _)| noisy[0] < value) {
                best = Some((noisy[0], exact[0]));
            }
        } else {
            front.push(noisy);
        }
        if MARKS.contains(&told) || told == budget {
            let value = match best {
                Some((_, exact)) => (exact - problem.optimum).max(0.0),
                None if problem.reference.is_empty() => f64::INFINITY,
                None => problem.optimum - hypervolume(&front, &problem.reference),
            };
            regret.insert(told.to_string(), value);
        }
    }
    (regret, 1000.0 * cpu / told.max(1) as f64)
}

/// Cost is epochs; what continues a trial costs the difference.
fn with_fidelity(
    problem: &Problem,
    mut driver: Driver,
    setup: &Setup<'_>,
) -> (BTreeMap<String, f64>, f64) {
    let total = 1620.min(problem.budget) as f64;
    let whole = problem.space().fidelity.map_or(81.0, |fidelity| fidelity.upper);
    let (mut spent, mut best, mut regret) = (0.0, None::<(f64, f64)>, BTreeMap::new());
    let mut running: Vec<(f64, usize, Suggestion, f64)> = Vec::new();
    let mut reached: HashMap<RungId, f64> = HashMap::new();
    let (mut now, mut asked, mut told, mut cpu) = (0.0, 0, 0, 0.0);
    while spent < total {
        while running.len() < setup.parallel {
            let before = cpu_seconds();
            let answer = driver.ask(1, asked);
            cpu += cpu_seconds() - before;
            let Answer::Evaluate(list) = answer else { break };
            for suggestion in list {
                let at = observed(&mut driver, &suggestion);
                let epochs = suggestion.fidelity.unwrap_or(whole);
                let from = suggestion.previous.and_then(|id| reached.get(&id)).copied();
                let cost = epochs - from.unwrap_or(0.0);
                running.push((now + cost, at, suggestion, cost));
                asked += 1;
            }
        }
        running.sort_by(|a, b| b.0.total_cmp(&a.0));
        let Some((end, at, suggestion, cost)) = running.pop() else { break };
        now = end;
        let epochs = suggestion.fidelity.unwrap_or(whole);
        let (noisy, exact) = problem.evaluate(&problem.values(&suggestion.point), epochs);
        if let Some(id) = suggestion.id {
            reached.insert(id, epochs);
        }
        driver.end(at, State::Finished, noisy.clone());
        told += 1;
        if let Some((_, exact)) = best {
            for mark in EPOCH_MARKS.into_iter().filter(|mark| spent + cost > *mark as f64) {
                regret.entry(mark.to_string()).or_insert((exact - problem.optimum).max(0.0));
            }
        }
        spent += cost;
        if best.is_none_or(|(value, _)| noisy[0] < value) {
            best = Some((noisy[0], exact[0]));
        }
    }
    let last = best.map_or(f64::NAN, |(_, exact)| (exact - problem.optimum).max(0.0));
    for mark in EPOCH_MARKS {
        regret.entry(mark.to_string()).or_insert(last);
    }
    (regret, 1000.0 * cpu / f64::from(told.max(1)))
}
