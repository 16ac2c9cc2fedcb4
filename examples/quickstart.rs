//! The whole of it in one page: a search space, an evaluation, a study on disk, and its outcome.
//!
//! ```text
//! cargo run --release --example quickstart [-- DIRECTORY]
//! ```
//!
//! We tune gradient descent on Rosenbrock's valley: how long are its steps, how much momentum do
//! they keep, how many are there. Run it again, and it says that the study is complete; remove the
//! directory, or name another, for a new one.

use std::error::Error;

use trialmill::{
    BoxError, Config, Parameter, RandomSearch, Report, RunningTrial, SearchSpace, Study,
};

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "runs/quickstart".into());
    let space = SearchSpace::new([
        ("rate", Parameter::float(1e-5, 1e-2).log()),
        ("momentum", Parameter::float(0.0, 0.99)),
        ("steps", Parameter::int(10, 1000).log()),
        ("method", Parameter::categorical(["plain", "nesterov"])),
    ])?;

    let outcome = Study::builder(&directory) // created, or resumed
        .space(space)
        .optimizer(RandomSearch::new())
        .seed(7)
        .workers(4)
        .max_evaluations(200)
        .run(|trial: &RunningTrial| descend(trial.config()))?;

    println!("{outcome}");
    if let Some(best) = outcome.best()
        && let Some(report) = &best.report
        && let Some(extra) = &report.extra
    {
        let curve = report.learning_curve.iter().flatten();
        let curve: Vec<String> = curve.map(ToString::to_string).collect();
        println!("it cost {} steps and ended at {}", report.cost.unwrap_or(0.0), extra["end"]);
        println!("its learning curve: {}", curve.join(" "));
    }
    println!("everything is in {directory}");
    Ok(())
}

/// One evaluation: goes down the valley, and reports how high it still is at the end.
fn descend(config: &Config) -> Result<Report, BoxError> {
    let (rate, momentum) = (config.float("rate")?, config.float("momentum")?);
    let steps = config.int("steps")?;
    let looks_ahead = config.str("method")? == "nesterov";

    let (mut at, mut speed) = ([-1.2, 1.0], [0.0, 0.0]);
    let mut curve = Vec::new();
    for step in 1..=steps {
        let ahead = if looks_ahead { momentum } else { 0.0 };
        let slope = slope([at[0] + ahead * speed[0], at[1] + ahead * speed[1]]);
        for axis in 0..2 {
            speed[axis] = momentum * speed[axis] - rate * slope[axis];
            at[axis] += speed[axis];
        }
        if !height(at).is_finite() {
            // The configuration was evaluated, and it does not work.
            return Ok(Report::failed(format!("diverged at step {step}")).cost(step as f64));
        }
        if step % (steps / 5).max(1) == 0 {
            curve.push(height(at));
        }
    }
    let report = Report::objective(height(at)).cost(steps as f64).learning_curve(curve);
    Ok(report.extra("end", at.to_vec()))
}

/// Rosenbrock's valley; its lowest point is (1, 1).
fn height([x, y]: [f64; 2]) -> f64 {
    (1.0 - x).powi(2) + 100.0 * (y - x * x).powi(2)
}

fn slope([x, y]: [f64; 2]) -> [f64; 2] {
    [-2.0 * (1.0 - x) - 400.0 * x * (y - x * x), 200.0 * (y - x * x)]
}
