//! Tunes a random forest that reads handwritten digits, in this process, on all cores.
//!
//! ```text
//! cargo run --release --example digits [-- DIRECTORY [TRIALS]]
//! ```
//!
//! Stop it with Ctrl-C, or kill it, and run it again: it goes on where it was. When all trials are
//! done, another run only shows the table; ask for more TRIALS, and it goes on.

mod model;

use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use trialmill::{BoxError, Outcome, RandomSearch, Report, RunningTrial, Study, StudyHandle, Trial};

use model::{Digits, Params, train};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits.csv");

fn main() -> Result<(), BoxError> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().unwrap_or_else(|| "runs/digits".into());
    let trials: u64 = arguments.next().map_or(Ok(200), |number| number.parse())?;

    let digits = Digits::load(DATA)?;
    let default = train(&digits, &Params::default())?;
    println!("the default parameters get {:.2} % of the digits wrong", 100.0 * default.error);

    let session = Study::builder(&directory)
        .space(model::space()?)
        .optimizer(RandomSearch::new())
        .seed(7)
        .max_evaluations(trials)
        .open()?;
    let before = session.handle().snapshot().finished();
    match before {
        0 => {}
        n if n < trials => println!("{directory} has {n} trials already: we go on"),
        n => println!("{directory} has all its {n} trials: the study is complete"),
    }

    let evaluate = |trial: &RunningTrial| -> Result<Report, BoxError> {
        let score = train(&digits, &Params::of(trial.config())?)?;
        Ok(Report::objective(score.error).extra("training_error", score.training_error))
    };
    let began = Instant::now();
    let (handle, (running, ended)) = (session.handle(), mpsc::channel());
    thread::scope(|scope| {
        scope.spawn(|| show_progress(&handle, trials, ended));
        let reason = session.run(evaluate);
        drop(running);
        reason
    })?;
    let (new, seconds) = (handle.snapshot().finished() - before, began.elapsed().as_secs_f64());
    let outcome = session.close()?;
    if new > 0 {
        println!("{new} trials in {seconds:.1} s: {:.1} a second", new as f64 / seconds);
    }
    show_table(&outcome, default.error)?;
    println!();
    for (file, what) in [("study.json", "what is searched"), ("journal.jsonl", "what happened")] {
        let path = Path::new(&directory).join(file);
        println!("{}: {what}, {} bytes", path.display(), path.metadata()?.len());
    }
    Ok(())
}

/// Prints a line every two seconds, until the other end of `ended` is dropped.
fn show_progress(handle: &StudyHandle, trials: u64, ended: Receiver<()>) {
    while ended.recv_timeout(Duration::from_secs(2)) == Err(RecvTimeoutError::Timeout) {
        let now = handle.snapshot();
        let best = now.best.as_ref().map_or(f64::NAN, |(_, error)| *error);
        println!("{:>4} of {trials} trials; best {:.2} %", now.finished(), 100.0 * best);
    }
}

fn show_table(outcome: &Outcome, default: f64) -> Result<(), BoxError> {
    let mut trials: Vec<(f64, &Trial)> =
        outcome.study().trials().iter().filter_map(|t| Some((t.objective()?, t))).collect();
    trials.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    println!("\n  trial   wrong  trees  max_depth  min_leaf  max_features  criterion");
    show_row("default", default, &Params::default());
    for (error, trial) in trials.into_iter().take(5) {
        show_row(&trial.id.to_string(), error, &Params::of(&trial.config)?);
    }
    Ok(())
}

fn show_row(name: &str, error: f64, params: &Params) {
    let Params { trees, max_depth, min_leaf, max_features, criterion } = params;
    print!("{name:>7} {:>5.2} %  {trees:>5}  {max_depth:>9}  {min_leaf:>8}", 100.0 * error);
    println!("  {max_features:>12.3}  {criterion:?}");
}
