//! A small neural network on the handwritten digits: each epoch is reported, what learns too slowly is
//! ended early, and a killed trial goes on at the epoch of its checkpoint.
//!
//! ```text
//! cargo run --release --example checkpoints [-- DIRECTORY]
//! ```
//!
//! It starts itself as a worker, kills that in the middle of an evaluation, and then does the rest. The
//! directory's study, if there is one, is replaced.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use trialmill::{
    BoxError, Parameter, PrunerInfo, Report, RunningTrial, SearchSpace, Study, StudyBuilder,
    Summary,
};

const PIXELS: usize = 64;
const HIDDEN: usize = 24;
const CLASSES: usize = 10;
const EPOCHS: u64 = 12;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "runs/checkpoints".into());
    let digits = load(include_str!("data/digits.csv"))?;
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
    let checkpoint = trial.dir()?.join("checkpoint.json");
    let mut network = match std::fs::read(&checkpoint) {
        Ok(bytes) => serde_json::from_slice(&bytes)?,
        Err(_) => Network::new(),
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
        network.epoch(digits, rate);
        // In one piece: whoever is killed in between leaves the old one.
        let new = checkpoint.with_extension("new");
        std::fs::write(&new, serde_json::to_vec(&network)?)?;
        std::fs::rename(&new, &checkpoint)?;
    }
}

/// Images with a constant 1, and what they show.
struct Digits {
    training: Vec<(Vec<f32>, usize)>,
    validation: Vec<(Vec<f32>, usize)>,
}

/// Of each five digits with the same label, three train and two validate.
fn load(text: &str) -> Result<Digits, Box<dyn Error>> {
    let mut digits = Digits { training: Vec::new(), validation: Vec::new() };
    let mut seen = [0; CLASSES];
    for line in text.lines() {
        let mut values: Vec<usize> = line.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let label = values.pop().filter(|label| *label < CLASSES).ok_or("no label")?;
        let mut pixels: Vec<f32> = values.iter().map(|value| *value as f32 / 16.0).collect();
        pixels.push(1.0);
        let trains = seen[label] % 5 < 3;
        seen[label] += 1;
        let part = if trains { &mut digits.training } else { &mut digits.validation };
        part.push((pixels, label));
    }
    Ok(digits)
}

/// One hidden layer. All of it is in the checkpoint, so to go on is the same as never to have stopped.
#[derive(Serialize, Deserialize)]
struct Network {
    epoch: u64,
    error: f64,
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
}

impl Network {
    fn new() -> Self {
        // Small weights that differ; any others would do.
        let weight = |at: usize| ((at as f32 * 12.9898).sin() * 43_758.547).fract() * 0.2;
        let layer = |rows: usize, columns: usize, seed: usize| -> Vec<Vec<f32>> {
            (0..rows)
                .map(|row| {
                    (0..columns).map(|column| weight(seed + row * columns + column)).collect()
                })
                .collect()
        };
        Network {
            epoch: 0,
            error: 1.0,
            first: layer(HIDDEN, PIXELS + 1, 1),
            second: layer(CLASSES, HIDDEN + 1, 10_000),
        }
    }

    fn forward(&self, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let dot = |row: &Vec<f32>, x: &[f32]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
        let mut hidden: Vec<f32> = self.first.iter().map(|row| dot(row, x).tanh()).collect();
        hidden.push(1.0);
        let logits: Vec<f32> = self.second.iter().map(|row| dot(row, &hidden)).collect();
        let top = logits.iter().copied().fold(f32::MIN, f32::max);
        let odds: Vec<f32> = logits.iter().map(|logit| (logit - top).exp()).collect();
        let sum: f32 = odds.iter().sum();
        (hidden, odds.into_iter().map(|odds| odds / sum).collect())
    }

    /// One pass over the training digits, and the share of the others that it then gets wrong.
    fn epoch(&mut self, digits: &Digits, rate: f32) {
        for (x, label) in &digits.training {
            let (hidden, mut delta) = self.forward(x);
            delta[*label] -= 1.0;
            let back: Vec<f32> = (0..HIDDEN)
                .map(|h| delta.iter().zip(&self.second).map(|(d, row)| d * row[h]).sum())
                .collect();
            for (row, d) in self.second.iter_mut().zip(&delta) {
                row.iter_mut().zip(&hidden).for_each(|(w, h)| *w -= rate * d * h);
            }
            for ((row, back), h) in self.first.iter_mut().zip(&back).zip(&hidden) {
                let step = rate * back * (1.0 - h * h);
                row.iter_mut().zip(x).for_each(|(w, x)| *w -= step * x);
            }
        }
        let is_wrong = |(x, label): &&(Vec<f32>, usize)| {
            let (_, odds) = self.forward(x);
            // Also where none of them is a number any more.
            !odds[*label].is_finite()
                || (0..CLASSES).any(|other| other != *label && odds[other] >= odds[*label])
        };
        let wrong = digits.validation.iter().filter(is_wrong).count();
        self.error = wrong as f64 / digits.validation.len() as f64;
        self.epoch += 1;
    }
}
