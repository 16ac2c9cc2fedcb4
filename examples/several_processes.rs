//! Four processes work on one study, and one of them is killed in the middle of it. Others evaluate
//! what it was evaluating, and in the end there are exactly as many results as were asked for.
//!
//! ```text
//! cargo run --release --example several_processes [-- DIRECTORY]
//! ```
//!
//! The processes share nothing but the directory. The study that is in it, if any, is replaced.

use std::collections::BTreeMap;
use std::error::Error;
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use trialmill::{BoxError, Parameter, RunningTrial, SearchSpace, Study, StudyHandle};

const EVALUATIONS: u64 = 100;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    match (arguments.next(), arguments.next()) {
        (Some(word), Some(directory)) if word == "join" => join(&directory),
        (directory, _) => lead(directory.as_deref().unwrap_or("runs/several_processes")),
    }
}

/// The directory knows its space, its optimizer and its budget.
fn join(directory: &str) -> Result<(), Box<dyn Error>> {
    Study::builder(directory).workers(2).run(evaluate)?;
    Ok(())
}

fn lead(directory: &str) -> Result<(), Box<dyn Error>> {
    let session = Study::builder(directory)
        .overwrite(true)
        .space(SearchSpace::new([("x", Parameter::float(-1.0, 1.0))])?)
        .seed(7)
        .workers(2)
        .max_evaluations(EVALUATIONS)
        .open()?;

    let program = std::env::current_exe()?;
    let start = || Command::new(&program).args(["join", directory]).spawn();
    let mut children = [start()?, start()?, start()?];
    kill_in_the_middle(&mut children[0], &session.handle())?;

    // We work too, until all is done that the others still have in hand.
    session.run(evaluate)?;
    for child in &mut children {
        child.wait()?;
    }
    let outcome = session.close()?;

    println!("{outcome}\n");
    let study = outcome.study();
    let mut done_by: BTreeMap<&str, u32> = BTreeMap::new();
    for worker in study.trials().iter().filter_map(|t| t.metadata.evaluating_worker_id.as_deref()) {
        *done_by.entry(worker).or_default() += 1;
    }
    for (worker, evaluations) in done_by {
        println!("{worker}: {evaluations} evaluations");
    }
    for trial in study.trials().iter().filter(|trial| trial.attempts > 1) {
        println!("trial {}: {} at attempt {}", trial.id, trial.state, trial.attempts);
    }
    let (claims, requeues) = (study.claims(), study.requeues());
    println!("{claims} evaluations were begun, {requeues} given back: {} count", claims - requeues);
    Ok(())
}

/// Waits until a third is done and `child` is evaluating something, and kills it.
fn kill_in_the_middle(child: &mut Child, handle: &StudyHandle) -> Result<(), Box<dyn Error>> {
    let pid = child.id();
    while handle.snapshot().finished() < EVALUATIONS {
        sleep(Duration::from_millis(10));
        let name = handle.with_study(move |study| {
            let process = study.processes().find(|process| process.pid == pid)?.process;
            study.evaluating_by(process).next().map(|_| format!("p{process}"))
        })?;
        if let Some(name) = name
            && handle.snapshot().finished() >= EVALUATIONS / 3
        {
            child.kill()?; // SIGKILL: it cannot say goodbye
            println!("killed {name} after {} evaluations", handle.snapshot().finished());
            break;
        }
    }
    Ok(())
}

fn evaluate(trial: &RunningTrial) -> Result<f64, BoxError> {
    sleep(Duration::from_millis(100));
    Ok(trial.config().float("x")?.powi(2))
}
