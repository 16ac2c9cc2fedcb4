//! One measurement of the `optimizer` crate: optimizer-peer memory|journal threads|processes WORKERS
//! TRIALS DIR. Prints {"seconds": …, "trials": …}: from the start of all workers until the last has
//! ended, and how many trials with different ids the store then has.

use std::collections::HashSet;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use optimizer::prelude::*;
use optimizer::sampler::random::RandomSampler;
use optimizer::storage::JournalStorage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn study(store: &str, dir: &Path) -> Result<Study<f64>> {
    let builder = Study::builder().minimize().sampler(RandomSampler::new());
    Ok(match store {
        "memory" => builder.build(),
        _ => builder.storage(JournalStorage::<f64>::open(dir.join("journal.jsonl"))?).build(),
    })
}

fn work(study: &Study<f64>, trials: usize) -> optimizer::Result<()> {
    let lr = FloatParam::new(1e-5, 1e-1).log_scale().name("lr");
    let layers = IntParam::new(1, 8).name("layers");
    let kind = CategoricalParam::new(vec!["sgd", "adam", "rmsprop"]).name("optimizer");
    study.optimize(trials, |trial: &mut Trial| {
        let x = lr.suggest(trial)?;
        layers.suggest(trial)?;
        kind.suggest(trial)?;
        Ok::<_, optimizer::Error>(x * x)
    })
}

fn in_threads(study: &Study<f64>, shares: &[usize]) -> Result<f64> {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            shares.iter().map(|share| scope.spawn(|| work(study, *share))).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result.map_err(Box::<dyn Error>::from),
            Err(_) => Err("a worker panicked".into()),
        })
    })?;
    Ok(begin.elapsed().as_secs_f64())
}

/// Each process says that it is ready, and begins when it is told to.
fn in_processes(dir: &Path, shares: &[usize]) -> Result<f64> {
    let mut children = Vec::new();
    for share in shares {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["journal", "worker", "1", &share.to_string()])
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no stdout")?).read_line(&mut line)?;
        children.push(child);
    }
    let begin = Instant::now();
    for child in &mut children {
        child.stdin.take().ok_or("no stdin")?.write_all(b"go\n")?;
    }
    for mut child in children {
        if !child.wait()?.success() {
            return Err("a worker process failed".into());
        }
    }
    Ok(begin.elapsed().as_secs_f64())
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [store, way, workers, trials, dir] = &args[..] else {
        return Err("arguments: memory|journal threads|processes WORKERS TRIALS DIR".into());
    };
    let (workers, trials, dir): (usize, usize, PathBuf) =
        (workers.parse()?, trials.parse()?, dir.into());
    if way == "worker" {
        let study = study(store, &dir)?;
        println!("ready");
        std::io::stdin().read_line(&mut String::new())?;
        return Ok(work(&study, trials)?);
    }
    let shares: Vec<usize> =
        (0..workers).map(|n| trials / workers + usize::from(n < trials % workers)).collect();
    let shared = study(store, &dir)?;
    let seconds = match way.as_str() {
        "processes" => in_processes(&dir, &shares)?,
        _ => in_threads(&shared, &shares)?,
    };
    let kept = if store == "journal" { study(store, &dir)? } else { shared };
    let ids: HashSet<u64> = kept.trials().iter().map(|trial| trial.id).collect();
    println!("{{\"seconds\": {seconds}, \"trials\": {}}}", ids.len());
    Ok(())
}
