//! A command per trial, in any language: each runs `python3 examples/train_digits.py`, with the
//! trial's parameters as its arguments, and reports by the last line that it prints.
//!
//! ```text
//! cargo run --release --example external_command [-- DIRECTORY]
//! ```
//!
//! `examples/digits.yaml` is the same as a study file, for the command line program.

use std::error::Error;
use std::process::{Command, Stdio};
use std::time::Duration;

use trialmill::{Parameter, SearchSpace, Study};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/train_digits.py");

fn main() -> Result<(), Box<dyn Error>> {
    let python = Command::new("python3").arg("--version").stdout(Stdio::null()).status();
    if !python.is_ok_and(|status| status.success()) {
        println!("this example trains in Python, and there is no python3 here");
        return Ok(());
    }
    let directory = std::env::args().nth(1).unwrap_or_else(|| "runs/external_command".into());
    let space = SearchSpace::new([
        ("learning_rate", Parameter::float(1e-3, 1.0).log().prior(0.1)),
        ("l2", Parameter::float(1e-6, 1e-1).log()),
        ("batch", Parameter::int(8, 128).log()),
    ])?;
    #[rustfmt::skip]
    let command = [
        "python3", SCRIPT,
        "--learning-rate", "{learning_rate}",
        "--l2", "{l2}",
        "--batch", "{batch}",
        "--epochs", "2",
    ];
    let outcome = Study::builder(&directory)
        .space(space)
        .seed(7)
        .workers(2)
        .max_evaluations(6)
        .timeout(Duration::from_mins(1))
        .run_command(&command)?;

    println!("{outcome}\n\ntrial  seconds  validation error after each epoch");
    for trial in outcome.study().trials() {
        let report = trial.report.as_ref();
        let seconds = trial.metadata.evaluation_duration.unwrap_or(f64::NAN);
        let curve = report.and_then(|report| report.learning_curve.as_deref()).unwrap_or_default();
        let curve: Vec<String> = curve.iter().map(ToString::to_string).collect();
        println!("{:>5}  {seconds:>7.2}  {}", trial.id.to_string(), curve.join(" "));
    }
    println!("\n`trialmill logs {directory} 1` shows what a command printed");
    Ok(())
}
