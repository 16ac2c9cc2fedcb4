//! `bench`: what this node and this file system can do.

mod parts;
mod processes;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;
use trialmill_layouts::Studies;

use clap::Args;
use trialmill::{
    BoxError, Durability, Error, Parameter, RandomSearch, Report, RunningTrial, SearchSpace,
    Session, Study, StudyBuilder,
};
use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;
use trialmill_core::optimizer::Optimizer;
use trialmill_core::study::{Answer, Ask, Command};
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, Layout};

use super::{print, print_json};

/// Measures trials per second on this node and this file system, when an evaluation takes no time:
/// the cost of everything but the evaluation.
///
/// Run it in the directory whose disk you want to know; it removes what it writes.
#[derive(Args)]
pub(super) struct Bench {
    /// Where to write; a directory of its own is made in it and removed
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Numbers of workers
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 8, 64])]
    workers: Vec<usize>,
    /// Layouts of the directory: journal, neps, …
    #[arg(long, value_name = "LAYOUT,…", value_delimiter = ',', default_value = "journal", value_parser = trialmill_layouts::by_name)]
    layout: Vec<&'static dyn Layout>,
    /// Ways of keeping the study
    #[arg(long, value_name = "WAY,…", value_delimiter = ',', default_values_t = WAYS.map(String::from), value_parser = WAYS)]
    durability: Vec<String>,
    /// Trials of each measurement
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..))]
    trials: u64,
    /// Trials that a worker asks for in one message
    #[arg(long, value_name = "K", default_value_t = 1)]
    batch: usize,
    /// Processes that share the directory
    #[arg(long, value_name = "P", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    processes: u32,
    /// Trials per second alone, and nothing of the rest
    #[arg(long)]
    quick: bool,
    /// For scripts
    #[arg(long)]
    json: bool,
    /// One of several processes: works in the study that is there
    #[arg(long, hide = true)]
    join: bool,
}

const WAYS: [&str; 3] = ["synced", "buffered", "memory"];

/// One way of keeping a study, with some workers.
struct Row {
    layout: &'static str,
    kept: String,
    workers: usize,
    trials_per_second: f64,
    /// Of the process that did least, as a part of its fair share.
    least_share: Option<f64>,
    against_one_process: Option<f64>,
    /// p50 and p99 in microseconds of an ask and of a report, each alone in its message.
    ask_us: Option<[f64; 2]>,
    report_us: Option<[f64; 2]>,
    bytes_per_trial: Option<u64>,
    memory_per_trial: Option<u64>,
    open_s: Option<f64>,
}

impl Row {
    fn new(
        layout: &'static dyn Layout,
        kept: &str,
        workers: usize,
        trials_per_second: f64,
    ) -> Self {
        Row {
            layout: layout.name(),
            kept: kept.into(),
            workers,
            trials_per_second,
            least_share: None,
            against_one_process: None,
            ask_us: None,
            report_us: None,
            bytes_per_trial: None,
            memory_per_trial: None,
            open_s: None,
        }
    }
}

/// Everything that was measured.
#[derive(Default)]
struct Measured {
    rows: Vec<Row>,
    parts: Vec<parts::Part>,
    /// On as many workers as cores, and on twice as many.
    evaluation_shares: Option<[f64; 2]>,
}

impl Measured {
    fn limit(&self) -> Option<&parts::Part> {
        self.parts.iter().max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl Bench {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        if self.join {
            let builder = self.builder(self.layout[0], &self.durability[0], &self.dir)?;
            let session = self.session(builder, self.workers[0])?;
            session.run(objective)?;
            session.close()?;
            return Ok(ExitCode::SUCCESS);
        }
        let name = format!("trialmill-bench-{}", std::process::id());
        let base = Removed(self.dir.join(name));
        std::fs::create_dir_all(&base.0).map_err(io("create", &base.0))?;
        let mut measured = Measured::default();
        for layout in self.layout.iter().copied() {
            for kept in &self.durability {
                for workers in &self.workers {
                    let dir = base.0.join(format!("{}-{kept}-{workers}", layout.name()));
                    let fresh = measured.rows.is_empty();
                    let row = match self.processes {
                        1 => self.one_process(layout, kept, *workers, &dir, fresh)?,
                        _ => self.several_processes(layout, kept, *workers, &dir)?,
                    };
                    measured.rows.push(row);
                }
            }
        }
        if self.processes == 1 && !self.quick {
            measured.parts = self.parts(&base.0)?;
            measured.evaluation_shares = Some(self.evaluation_shares(&base.0)?);
        }
        Ok(match self.json {
            true => print_json(&table::as_json(&measured)),
            false => print(&table::as_text(&measured)),
        })
    }

    fn builder(
        &self,
        layout: &'static dyn Layout,
        kept: &str,
        dir: &Path,
    ) -> Result<StudyBuilder, Error> {
        let on_disk = Study::builder(dir).layout(layout);
        match kept {
            "buffered" => Ok(on_disk.durability(Durability::Buffered)),
            "memory" => Ok(Study::in_memory()),
            _ => Ok(on_disk),
        }
    }

    fn session(&self, builder: StudyBuilder, workers: usize) -> Result<Session, Error> {
        self.session_of(builder, workers, self.trials)
    }

    fn session_of(
        &self,
        builder: StudyBuilder,
        workers: usize,
        trials: u64,
    ) -> Result<Session, Error> {
        builder.space(space()?).workers(workers).batch(self.batch).max_evaluations(trials).open()
    }

    fn definition(&self) -> Result<Definition, Error> {
        Ok(Definition::new(space()?, RandomSearch::new().info()))
    }

    /// `fresh`: nothing was measured in this process before, so its memory is the study's.
    fn one_process(
        &self,
        layout: &'static dyn Layout,
        kept: &str,
        workers: usize,
        dir: &Path,
        fresh: bool,
    ) -> Result<Row, Error> {
        let before = resident_bytes();
        let session = self.session(self.builder(layout, kept, dir)?, workers)?;
        let begin = Instant::now();
        let reason = session.run(objective)?;
        let seconds = begin.elapsed().as_secs_f64();
        let outcome = session.close()?;
        let ended = outcome.study().trials().len() as u64;
        if ended != self.trials {
            let problem = format!("the measurement ended after {ended} trials: {reason}");
            return Err(Error::Setting(problem));
        }
        let mut row = Row::new(layout, kept, workers, self.trials as f64 / seconds);
        if self.quick {
            return Ok(row);
        }
        // With few trials, what the allocator keeps in reserve hides them.
        if fresh && self.trials >= 10_000 {
            row.memory_per_trial = resident_bytes().zip(before).map(|(after, before)| {
                after.saturating_sub(before) / outcome.study().trials().len().max(1) as u64
            });
        }
        drop(outcome);
        if kept != "memory" {
            let begin = Instant::now();
            let directory = Directory::open(dir)?;
            let path = directory.journal_path();
            let optimizer = Box::new(RandomSearch::new());
            StateCore::open(directory, Durability::Buffered, optimizer)?;
            row.open_s = Some(begin.elapsed().as_secs_f64());
            let size = path.metadata().ok().filter(|_| !layout.is_shared());
            row.bytes_per_trial = size.map(|data| data.len() / self.trials);
        }
        let dir = dir.with_extension("latency");
        let (ask_us, report_us) = self.latencies(layout, kept, workers, &dir)?;
        (row.ask_us, row.report_us) = (Some(ask_us), Some(report_us));
        Ok(row)
    }

    /// Asks and reports in messages of their own, from as many threads as there are workers.
    fn latencies(
        &self,
        layout: &'static dyn Layout,
        kept: &str,
        workers: usize,
        dir: &Path,
    ) -> Result<([f64; 2], [f64; 2]), Error> {
        let session = self.session(self.builder(layout, kept, dir)?, workers)?;
        let handle = session.handle();
        let each = (self.trials / 4 / workers as u64).clamp(1, 5_000);
        let one = |number: usize| -> Result<(Vec<f64>, Vec<f64>), Error> {
            let (mut asks, mut reports) = (Vec::new(), Vec::new());
            for _ in 0..each {
                let worker = session.worker_id(number);
                let ask = Command::Ask(Ask { worker, n: 1, lease: None });
                let begin = Instant::now();
                let answer = handle.exchange(vec![ask])?.swap_remove(0)?;
                asks.push(begin.elapsed().as_secs_f64() * 1e6);
                let Answer::Evaluate(mut handed) = answer else { break };
                let trial = handed.swap_remove(0).id;
                let report = Box::new(Report::objective(0.5));
                let report = Command::Report { trial, attempt: Some(1), report };
                let begin = Instant::now();
                handle.exchange(vec![report])?.swap_remove(0)?;
                reports.push(begin.elapsed().as_secs_f64() * 1e6);
            }
            Ok((asks, reports))
        };
        let results: Vec<_> = std::thread::scope(|scope| {
            let one = &one;
            let threads: Vec<_> =
                (1..=workers).map(|number| scope.spawn(move || one(number))).collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        });
        let (mut asks, mut reports) = (Vec::new(), Vec::new());
        for result in results {
            let (more_asks, more_reports) = result?;
            asks.extend(more_asks);
            reports.extend(more_reports);
        }
        session.close()?;
        Ok((quantiles(asks), quantiles(reports)))
    }
}

fn space() -> Result<SearchSpace, Error> {
    Ok(SearchSpace::new([
        ("lr", Parameter::float(1e-5, 1e-1).log()),
        ("layers", Parameter::int(1, 8)),
        ("optimizer", Parameter::categorical(["sgd", "adam", "rmsprop"])),
    ])?)
}

fn objective(trial: &RunningTrial) -> Result<f64, BoxError> {
    let lr = trial.config().float("lr")?;
    Ok(lr * lr)
}

/// The directory of the measurements, removed at the end however it ends.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn median(values: Vec<f64>) -> f64 {
    quantiles(values)[0]
}

fn quantiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [0.5, 0.99].map(|q| {
        let at = (values.len() as f64 * q) as usize;
        values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    })
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// A file operation that failed.
fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| StoreError::Io { action, path, source }.into()
}
