//! Trials per second when an evaluation takes no time: the cost of everything else.
//!
//! `cargo bench --bench throughput` prints, for each way of keeping the study and each number of
//! workers, the median of three runs, alternated; then how the cost grows with the trials, and how
//! long a study takes to open again. Directories are made beside this crate's target directory, so
//! that the disk measured is the one you work on; `TRIALMILL_BENCH_DIR` names another.

use std::time::Instant;
use trialmill_layouts::Studies;

use trialmill::{Durability, Parameter, RandomSearch, SearchSpace, Study, StudyBuilder};
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, read_study};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn space() -> Result<SearchSpace> {
    Ok(SearchSpace::new([
        ("lr", Parameter::float(1e-5, 1e-1).log()),
        ("layers", Parameter::int(1, 8)),
        ("optimizer", Parameter::categorical(["sgd", "adam", "rmsprop"])),
    ])?)
}

fn main() -> Result<()> {
    let base = std::env::var("TRIALMILL_BENCH_DIR").unwrap_or_else(|_| "target".into());
    let base = tempfile::tempdir_in(base)?;
    let scale: u64 = std::env::var("TRIALMILL_BENCH_SCALE").map_or(Ok(1), |s| s.parse())?;
    println!("{:<24} {:>8} {:>8} {:>12}", "kept", "workers", "batch", "trials/s");
    let mut number = 0;
    for (kept, batch, trials) in [
        ("journal, synced", 1, 20_000),
        ("journal, buffered", 1, 50_000),
        ("journal, buffered", 64, 200_000),
        ("memory", 1, 50_000),
        ("memory", 64, 400_000),
    ] {
        for workers in [1, 8, 64] {
            let mut rates = Vec::new();
            for _ in 0..3 {
                number += 1;
                let dir = base.path().join(format!("run-{number}"));
                let builder = match kept {
                    "memory" => Study::in_memory(),
                    "journal, synced" => Study::builder(dir),
                    _ => Study::builder(dir).durability(Durability::Buffered),
                };
                rates.push(run(builder, workers, batch, trials / 4 * scale)?);
            }
            rates.sort_by(f64::total_cmp);
            println!("{kept:<24} {workers:>8} {batch:>8} {:>12.0}", rates[1]);
        }
    }
    growth(base.path(), 100_000 * scale)
}

fn run(builder: StudyBuilder, workers: usize, batch: usize, trials: u64) -> Result<f64> {
    let session = builder
        .space(space()?)
        .optimizer(RandomSearch::new())
        .seed(1)
        .workers(workers)
        .batch(batch)
        .max_evaluations(trials)
        .ctrl_c(false)
        .open()?;
    let begin = Instant::now();
    session.run(objective)?;
    let seconds = begin.elapsed().as_secs_f64();
    let outcome = session.close()?;
    assert_eq!(outcome.study().trials().len() as u64, trials);
    Ok(trials as f64 / seconds)
}

fn objective(trial: &trialmill::RunningTrial) -> std::result::Result<f64, trialmill::BoxError> {
    let lr = trial.config().float("lr")?;
    Ok(lr * lr)
}

/// The cost of a trial early and late in one study, and how long it takes to open it.
fn growth(base: &std::path::Path, trials: u64) -> Result<()> {
    let dir = base.join("growth");
    let mut rates = Vec::new();
    let step = 5_000;
    println!("\none study, 8 workers, buffered: microseconds a trial, by trials in the study");
    for at in [1_000, 10_000, trials / 2, trials] {
        let grow = |to: u64| -> Result<f64> {
            let builder = Study::builder(&dir).durability(Durability::Buffered);
            let builder = builder.optimizer(RandomSearch::new());
            let session = builder.space(space()?).seed(1).workers(8).max_evaluations(to).open()?;
            let begin = Instant::now();
            session.run(objective)?;
            let seconds = begin.elapsed().as_secs_f64();
            session.close()?;
            Ok(seconds)
        };
        grow(at)?;
        let mut costs = Vec::new();
        for n in 1..=3 {
            costs.push(grow(at + n * step)? * 1e6 / step as f64);
        }
        costs.sort_by(f64::total_cmp);
        rates.push(costs[1]);
        println!("  {at:>9} trials: {:>7.2} us", costs[1]);
    }
    println!("  the last against the first: {:.2}", rates[rates.len() - 1] / rates[0]);
    let begin = Instant::now();
    let directory = Directory::open(&dir)?;
    let core =
        StateCore::open(directory.clone(), Durability::Synced, Box::new(RandomSearch::new()))?;
    let seconds = begin.elapsed().as_secs_f64();
    let trials = core.study().trials().len();
    let bytes = std::fs::metadata(directory.journal_path())?.len();
    println!("open {trials} trials: {seconds:.3} s; {} bytes a trial", bytes / trials as u64);
    let begin = Instant::now();
    let mut events = 0u64;
    let problem = read_study(&directory, &mut |_| {
        events += 1;
        Ok(())
    })?;
    assert!(problem.is_none());
    println!("read {events} events without applying them: {:.3} s", begin.elapsed().as_secs_f64());
    Ok(())
}
