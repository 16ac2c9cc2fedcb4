//! A study that stops half-way, is opened again with a larger budget, and goes on as if nothing had
//! happened.
//!
//! ```text
//! cargo run --release --example resume [-- DIRECTORY]
//! ```
//!
//! The directory's study, if there is one, is replaced. A run that was killed, at any moment, goes
//! on in the same way: what was reported is there, and what was being evaluated is tried again.

use std::error::Error;

use trialmill::{BoxError, Budget, Parameter, RunningTrial, SearchSpace, Study, StudyBuilder};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "runs/resume".into());

    // Each worker of this run makes 5 evaluations, then it stops, though the study has room for 8.
    let half = described(Study::builder(&directory).overwrite(true))?
        .max_evaluations(8)
        .per_worker(Budget { evaluations: Some(5), ..Budget::default() })
        .run(bowl)?;
    println!("the first run:  {half}\n");

    // The directory knows its space, its optimizer and its seed. Only the budget is new.
    let whole = Study::builder(&directory).workers(1).max_evaluations(12).run(bowl)?;
    println!("the second run: {whole}\n");

    // What one run without a stop would have been.
    let uninterrupted = described(Study::in_memory())?.max_evaluations(12).run(bowl)?;

    println!("trial  worker  configuration                                 uninterrupted");
    for (trial, other) in whole.study().trials().iter().zip(uninterrupted.study().trials()) {
        let worker = trial.metadata.evaluating_worker_id.as_deref().unwrap_or("nobody");
        let same = (&trial.id, &trial.config) == (&other.id, &other.config);
        let (id, config) = (trial.id.to_string(), trial.config.to_string());
        println!(
            "{id:>5}  {worker:<6}  {config:<44}  {}",
            if same { "the same" } else { "differs" }
        );
    }
    Ok(())
}

/// With one worker, equal seeds give equal runs.
fn described(builder: StudyBuilder) -> Result<StudyBuilder, Box<dyn Error>> {
    let space =
        SearchSpace::new([("x", Parameter::float(-1.0, 1.0)), ("y", Parameter::float(-1.0, 1.0))])?;
    Ok(builder.space(space).seed(7).workers(1))
}

fn bowl(trial: &RunningTrial) -> Result<f64, BoxError> {
    let (x, y) = (trial.config().float("x")?, trial.config().float("y")?);
    Ok(x * x + y * y)
}
