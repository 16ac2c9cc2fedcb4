//! Pruners on learning curves: random configurations, an epoch a step, so many epochs in all.
//!
//! The same configurations are given to Optuna's pruners (`optuna_pruners.py`), so that only the pruners
//! differ. Eight workers take turns by a clock of epochs, the first that is free first.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value as Json, json};
use trialmill_core::definition::Definition;
use trialmill_core::event::Process;
use trialmill_core::optimizer::Optimizer;
use trialmill_core::pruner::PrunerInfo;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::study::{Answer, Ask, Command, StudyState};
use trialmill_core::trial::{Report, Step, TrialId};
use trialmill_optimizers::{RandomSearch, pruners};
use trialmill_search::stream;

use crate::problems::Problem;

const EPOCHS: u64 = 81;
const BUDGET: u64 = 1620;

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    problem: String,
    pruner: String,
    of: &'static str,
    mode: String,
    seed: u64,
    trials: usize,
    finished: usize,
    /// The regret of the best configuration so far, as the epochs spent grow: each change of it.
    regret: Vec<(u64, f64)>,
}

/// The curves of a configuration: what is observed, and without noise.
fn curves(problem: &Problem, seed: u64, number: u64) -> (Vec<f64>, Vec<f64>) {
    let values = problem.values(&problem.space().sample(&mut stream(seed, number)));
    (1..=EPOCHS)
        .map(|epoch| {
            let (noisy, exact) = problem.evaluate(&values, epoch as f64);
            (noisy[0], exact[0])
        })
        .unzip()
}

/// The curves of all configurations that a run may need, for others.
pub(crate) fn export(problem: &Problem, seed: u64) -> Json {
    let all: Vec<_> = (0..BUDGET).map(|number| curves(problem, seed, number)).collect();
    json!({"problem": problem.name, "seed": seed, "optimum": problem.optimum, "curves": all})
}

/// Runs a pruner, `none` for none.
pub(crate) fn run(
    problem: &Problem,
    name: &str,
    arguments: &Map<String, Json>,
    workers: usize,
    seed: u64,
) -> Result<Run, String> {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).map_err(|e| e.to_string())?;
    let mut optimizer = RandomSearch::new();
    let mut study = StudyState::new(Definition::new(space, optimizer.info()).seeded(seed));
    if name != "none" {
        let info = PrunerInfo { name: name.into(), arguments: arguments.clone() };
        study.set_pruner(Some(pruners::pruner(&info)?));
    }
    let mut execute = |command| {
        study
            .execute(1.0, command, &mut optimizer)
            .map(|(answer, _)| answer)
            .map_err(|e| e.to_string())
    };
    let process = Process {
        process: 0,
        host: "h".into(),
        boot: "b".into(),
        pid: 1,
        job: None,
        worker_id: None,
    };
    execute(Command::Join(process))?;
    let (mut running, mut trials, mut finished) = (BTreeMap::new(), 0, 0);
    let (mut spent, mut turn, mut now) = (0, 0u64, 0u64);
    let (mut best, mut regret) = (f64::INFINITY, Vec::new());
    type Running = (TrialId, (Vec<f64>, Vec<f64>), u64);
    while spent < BUDGET {
        while running.len() < workers {
            let ask = Ask { worker: "p1-w1".into(), n: 1, lease: None, evaluation: None };
            let Answer::Evaluate(list) = execute(Command::Ask(ask))? else { break };
            let begun: Running = (list[0].id.clone(), curves(problem, seed, trials), 0);
            running.insert((now + 1, turn), begun);
            (trials, turn) = (trials + 1, turn + 1);
        }
        let Some(((time, _), (id, curves, epoch))) = running.pop_first() else { break };
        (now, spent) = (time, spent + 1);
        let (noisy, exact) = (curves.0[epoch as usize], curves.1[epoch as usize]);
        if noisy < best {
            best = noisy;
            regret.push((spent, (exact - problem.optimum).max(0.0)));
        }
        let steps = vec![Step::new(epoch + 1, noisy)];
        let answer = execute(Command::Step { trial: id.clone(), attempt: None, steps })?;
        let report = match answer {
            Answer::Stepped { prune: true } => Some(Report::pruned()),
            _ if epoch + 1 == EPOCHS => Some(Report::objective(noisy)),
            _ => None,
        };
        if let Some(report) = report {
            finished += usize::from(report.is_success());
            let report = Box::new(report);
            execute(Command::Report { trial: id, attempt: None, report })?;
        } else {
            running.insert((now + 1, turn), (id, curves, epoch + 1));
            turn += 1;
        }
    }
    let mode = if workers > 1 { format!("par{workers}") } else { "seq".into() };
    let (problem, pruner, trials) = (problem.name.clone(), name.to_string(), trials as usize);
    Ok(Run { problem, pruner, of: "trialmill", mode, seed, trials, finished, regret })
}
