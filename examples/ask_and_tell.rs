//! Ask and tell: for those who evaluate elsewhere, on a cluster's queue say. We ask for trials,
//! start a job for each, and report what comes back, in any order.
//!
//! ```text
//! cargo run --release --example ask_and_tell [-- DIRECTORY]
//! ```
//!
//! A trial belongs to whoever asked for it until it is reported, released, or past its deadline.
//! The study that is in the directory, if any, is replaced.

use std::error::Error;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use trialmill::{AskOutcome, Config, Parameter, Report, ReportOutcome, SearchSpace, Study};

const JOBS: usize = 4;
const DEADLINE: Duration = Duration::from_mins(1);

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "runs/ask_and_tell".into());
    let session = Study::builder(directory)
        .overwrite(true)
        .space(SearchSpace::new([("x", Parameter::float(-1.0, 1.0))])?)
        .seed(7)
        .max_evaluations(12)
        .open()?;
    let handle = session.handle();

    // A job that we give up: its trial goes to whoever asks next, and what it may still say is late.
    if let AskOutcome::Trials(trials) = handle.ask("me", 1, DEADLINE)? {
        let trial = &trials[0];
        let released = handle.release(&trial.id, Some(trial.attempts))?;
        assert_eq!(released, ReportOutcome::Accepted);
        let late = handle.report(&trial.id, Some(trial.attempts), Report::objective(0.0))?;
        println!("trial {} attempt {} released, then: {late:?}", trial.id, trial.attempts);
    }

    thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let (done, results) = mpsc::channel();
        let mut running = 0;
        loop {
            let trials = match handle.ask("me", JOBS - running, DEADLINE)? {
                AskOutcome::Trials(trials) => trials,
                // Nothing now, or nothing any more: what is running must end first.
                AskOutcome::Wait | AskOutcome::Stop(_) => Vec::new(),
            };
            for trial in trials {
                let done = done.clone();
                running += 1;
                scope.spawn(move || {
                    let report = job(&trial.config);
                    drop(done.send((trial, report)));
                });
            }
            if running == 0 {
                return Ok(());
            }
            let (trial, report) = results.recv()?;
            running -= 1;
            // The number of the attempt tells a late report from that of a later attempt.
            let reported = handle.report(&trial.id, Some(trial.attempts), report)?;
            println!("trial {} attempt {}: {reported:?}", trial.id, trial.attempts);
        }
    })?;

    println!("{}", session.close()?);
    Ok(())
}

/// Stands for a job on another machine.
fn job(config: &Config) -> Report {
    thread::sleep(Duration::from_millis(50));
    match config.float("x") {
        Ok(x) => Report::objective(x * x),
        Err(error) => Report::crashed("error", error.to_string()),
    }
}
