//! A small neural network on the handwritten digits: each epoch is reported, what learns too slowly is
//! ended early, and a killed trial goes on at the epoch of its checkpoint.
//!
//! ```text
//! cargo run --release --example checkpoints [-- DIRECTORY]
//! ```
//!
//! It starts itself as a worker, kills that in the middle of an evaluation, and then does the rest. The
//! directory's study, if there is one, is replaced.

mod network;

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use network::{Digits, Network, Training, load};
use trialmill::{
    BoxError, Parameter, PrunerInfo, Report, RunningTrial, SearchSpace, Study, StudyBuilder,
    Summary,
};

const EPOCHS: u64 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "runs/checkpoints".into());
    let digits = load(include_str!("../data/digits.csv"))?;
    if arguments.next().as_deref() == Some("work") {
        described(Study::builder(directory))?.run(|trial| train(trial, &digits))?;
        return Ok(());
    }
    described(Study::builder(&directory).overwrite(true))?.create()?;
    let mut worker = Command::new(std::env::current_exe()?).args([&directory, "work"]).spawn()?;
    // Somewhere in the middle: some epochs are reported, and a trial is under way.
    while worker.try_wait()?.is_none()
        && Summary::read(Path::new(&directory))?.study().spent().steps < 30
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    worker.kill()?;
    worker.wait()?;
    println!("killed the worker after {} epochs\n", epochs(&directory)?);

    let outcome = described(Study::builder(&directory))?.run(|trial| train(trial, &digits))?;
    println!("trial  state    epochs  went on from  rate");
    for trial in outcome.study().trials() {
        let steps = trial.steps.as_deref();
        let from = steps.and_then(|steps| steps.goes_on_from(trial.attempts));
        let from = from.map_or_else(|| "-".into(), |epoch| format!("epoch {epoch}"));
        let count = steps.map_or(0, |steps| steps.curve().count());
        let (id, state) = (trial.id.to_string(), trial.state.to_string());
        println!("{id:>5}  {state:<7}  {count:>6}  {from:<12}  {:.5}", trial.config.float("rate")?);
    }
    println!("\n{outcome}");
    Ok(())
}

fn epochs(directory: &str) -> Result<u64, Box<dyn Error>> {
    Ok(Summary::read(Path::new(directory))?.study().spent().steps)
}

fn described(builder: StudyBuilder) -> Result<StudyBuilder, Box<dyn Error>> {
    let space = SearchSpace::new([("rate", Parameter::float(1e-4, 1.0).log())])?;
    let pruner = PrunerInfo::new("median", [("startup_trials", 3), ("warmup_steps", 2)]);
    Ok(builder.space(space).seed(7).workers(2).max_evaluations(16).pruner(pruner))
}

/// Trains a network, from the checkpoint of an earlier attempt where there is one.
fn train(trial: &RunningTrial, digits: &Digits) -> Result<Report, BoxError> {
    let rate = trial.config().float("rate")? as f32;
    let training = Training { rate, ..Training::default() };
    let checkpoint = trial.dir()?.join("checkpoint.json");
    let mut network = match std::fs::read(&checkpoint) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => Network::new(&training),
    };
    loop {
        if network.epoch > 0 {
            // Also the checkpoint's own epoch: whoever was killed may not have reported it.
            trial.report_step(network.epoch, network.error)?;
        }
        if network.epoch == EPOCHS {
            return Ok(Report::objective(network.error));
        }
        if trial.should_prune() {
            return Ok(Report::pruned());
        }
        if trial.should_stop() {
            return Err("stopped; the next attempt goes on from the checkpoint".into());
        }
        network.epoch(digits, &training);
        // In one piece: whoever is killed in between leaves the old one.
        let new = checkpoint.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(&network)?)?;
        std::fs::rename(&new, &checkpoint)?;
    }
}
