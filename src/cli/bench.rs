//! `bench`: what this node and this file system can do.

use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::{Value as Json, json};
use trialmill::runtime::StateCore;
use trialmill::store::Directory;
use trialmill::study::{Answer, Ask, Command};
use trialmill::{
    BoxError, Durability, Error, Parameter, RandomSearch, Report, RunningTrial, SearchSpace,
    Session, Study, StudyBuilder,
};

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
    /// Ways of keeping the study: synced, buffered, memory
    #[arg(long, value_name = "WAY,…", value_delimiter = ',', default_values_t = ["synced", "buffered", "memory"].map(String::from))]
    durability: Vec<String>,
    /// Trials of each measurement
    #[arg(long, value_name = "N", default_value_t = 20_000)]
    trials: u64,
    /// Trials that a worker asks for in one message
    #[arg(long, value_name = "K", default_value_t = 1)]
    batch: usize,
    /// Processes that share the directory
    #[arg(long, value_name = "P", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    processes: u32,
    /// For scripts
    #[arg(long)]
    json: bool,
    /// One of several processes: works in the study that is there
    #[arg(long, hide = true)]
    join: bool,
}

/// One way of keeping a study, with some workers.
struct Row {
    kept: String,
    workers: usize,
    trials_per_second: f64,
    /// Of the process that did least, as a part of its fair share.
    least_share: f64,
    /// p50 and p99 in microseconds of an ask and of a report, each alone in its message.
    ask_us: [f64; 2],
    report_us: [f64; 2],
    bytes_per_trial: Option<u64>,
    memory_per_trial: Option<u64>,
    open_s: Option<f64>,
}

impl Bench {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        if self.join {
            let session = self.session(self.builder("synced", &self.dir)?, self.workers[0])?;
            session.run(objective)?;
            session.close()?;
            return Ok(ExitCode::SUCCESS);
        }
        let name = format!("trialmill-bench-{}", std::process::id());
        let base = Removed(self.dir.join(name));
        std::fs::create_dir_all(&base.0).map_err(|error| {
            Error::Setting(format!("cannot write in {}: {error}", self.dir.display()))
        })?;
        let mut rows = Vec::new();
        for kept in &self.durability {
            for workers in &self.workers {
                let dir = base.0.join(format!("{kept}-{workers}"));
                let fresh = rows.is_empty();
                let row = match self.processes {
                    1 => self.one_process(kept, *workers, &dir, fresh)?,
                    _ => self.several_processes(kept, *workers, &dir)?,
                };
                rows.push(row);
            }
        }
        let parts = if self.processes == 1 { self.parts(&base.0)? } else { Vec::new() };
        if self.json {
            return Ok(print_json(&as_json(&rows, &parts)));
        }
        Ok(print(&as_text(&rows, &parts)))
    }

    fn builder(&self, kept: &str, dir: &Path) -> Result<StudyBuilder, Error> {
        match kept {
            "synced" => Ok(Study::builder(dir)),
            "buffered" => Ok(Study::builder(dir).durability(Durability::Buffered)),
            "memory" => Ok(Study::in_memory()),
            other => Err(Error::Setting(format!(
                "'{other}' is not a way of keeping a study: synced, buffered, memory"
            ))),
        }
    }

    fn session(&self, builder: StudyBuilder, workers: usize) -> Result<Session, Error> {
        let space = SearchSpace::new([
            ("lr", Parameter::float(1e-5, 1e-1).log()),
            ("layers", Parameter::int(1, 8)),
            ("optimizer", Parameter::categorical(["sgd", "adam", "rmsprop"])),
        ])?;
        builder.space(space).workers(workers).batch(self.batch).max_evaluations(self.trials).open()
    }

    /// `fresh`: nothing was measured in this process before, so its memory is the study's.
    fn one_process(
        &self,
        kept: &str,
        workers: usize,
        dir: &Path,
        fresh: bool,
    ) -> Result<Row, Error> {
        let before = resident_bytes();
        let session = self.session(self.builder(kept, dir)?, workers)?;
        let begin = Instant::now();
        session.run(objective)?;
        let seconds = begin.elapsed().as_secs_f64();
        let outcome = session.close()?;
        let memory = resident_bytes().zip(before).map(|(after, before)| {
            after.saturating_sub(before) / outcome.study().trials().len().max(1) as u64
        });
        drop(outcome);
        let (bytes, open_s) = match kept {
            "memory" => (None, None),
            _ => {
                let begin = Instant::now();
                let directory = Directory::open(dir)?;
                let path = directory.journal_path();
                let optimizer = Box::new(RandomSearch::new());
                StateCore::open(directory, Durability::Buffered, optimizer)?;
                let seconds = begin.elapsed().as_secs_f64();
                (path.metadata().ok().map(|data| data.len() / self.trials.max(1)), Some(seconds))
            }
        };
        let (ask_us, report_us) = self.latencies(kept, workers, &dir.with_extension("latency"))?;
        Ok(Row {
            kept: kept.into(),
            workers,
            trials_per_second: self.trials as f64 / seconds,
            least_share: 1.0,
            ask_us,
            report_us,
            bytes_per_trial: bytes,
            // With few trials, what the allocator keeps in reserve hides them.
            memory_per_trial: memory.filter(|_| fresh && self.trials >= 10_000),
            open_s,
        })
    }

    /// Asks and reports in messages of their own, from as many threads as there are workers.
    fn latencies(
        &self,
        kept: &str,
        workers: usize,
        dir: &Path,
    ) -> Result<([f64; 2], [f64; 2]), Error> {
        let session = self.session(self.builder(kept, dir)?, workers)?;
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
                let trial = handed.swap_remove(0).trial.id;
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

    fn several_processes(&self, kept: &str, workers: usize, dir: &Path) -> Result<Row, Error> {
        if kept == "memory" {
            return Err(Error::Setting("several processes need a directory, not memory".into()));
        }
        // Creates the study, so that all processes find the same budget.
        self.session(self.builder(kept, dir)?, workers)?.close()?;
        let program = std::env::current_exe()
            .map_err(|error| Error::Setting(format!("this program is not found: {error}")))?;
        let started: Result<Vec<_>, _> = (0..self.processes)
            .map(|_| {
                std::process::Command::new(&program)
                    .args(["bench", "--join", "--durability", kept])
                    .args(["--workers", &workers.to_string()])
                    .args(["--batch", &self.batch.to_string()])
                    .args(["--trials", &self.trials.to_string()])
                    .arg(dir)
                    .stdout(Stdio::null())
                    .spawn()
            })
            .collect();
        let mut failed = started.is_err();
        for mut child in started.into_iter().flatten() {
            failed |= !child.wait().is_ok_and(|status| status.success());
        }
        if failed {
            return Err(Error::Setting("one of the processes failed".into()));
        }
        let summary = trialmill::Summary::read(dir)?;
        let trials = summary.study().trials();
        let times =
            trials.iter().flat_map(|t| [Some(t.metadata.time_sampled), t.metadata.time_end]);
        let (first, last) =
            times.flatten().fold((f64::MAX, 0.0_f64), |(a, b), t| (a.min(t), b.max(t)));
        let mut shares = std::collections::BTreeMap::<&str, u64>::new();
        for worker in trials.iter().filter_map(|t| t.metadata.evaluating_worker_id.as_deref()) {
            *shares.entry(worker.split('-').next().unwrap_or(worker)).or_default() += 1;
        }
        let least = if shares.len() < self.processes as usize {
            0
        } else {
            shares.values().copied().min().unwrap_or(0)
        };
        Ok(Row {
            kept: format!("{kept} x{}", self.processes),
            workers,
            trials_per_second: trials.len() as f64 / (last - first),
            least_share: least as f64 * f64::from(self.processes) / trials.len() as f64,
            ask_us: [f64::NAN; 2],
            report_us: [f64::NAN; 2],
            bytes_per_trial: None,
            memory_per_trial: None,
            open_s: None,
        })
    }

    /// Where a trial's time goes with one worker: each way of keeping adds something to the last.
    fn parts(&self, base: &Path) -> Result<Vec<(&'static str, f64)>, Error> {
        let session = self.session(Study::in_memory(), 1)?;
        let handle = session.handle();
        let begin = Instant::now();
        let mut turns = 0u32;
        while begin.elapsed() < Duration::from_millis(300) {
            handle.exchange(Vec::new())?;
            turns += 1;
        }
        let message = begin.elapsed().as_secs_f64() * 1e6 / f64::from(turns);
        session.close()?;
        let mut ways = Vec::new();
        for kept in ["memory", "buffered", "synced"] {
            let dir = base.join(format!("parts-{kept}"));
            let session = self.session(self.builder(kept, &dir)?, 1)?;
            let begin = Instant::now();
            session.run(objective)?;
            ways.push(begin.elapsed().as_secs_f64() * 1e6 / self.trials.max(1) as f64);
            session.close()?;
        }
        // With a batch, a message serves many trials.
        let message = message / self.batch as f64;
        Ok(vec![
            ("message to the state actor and back", message),
            ("sampling, deciding, applying", (ways[0] - message).max(0.0)),
            ("lock, serialisation, write", (ways[1] - ways[0]).max(0.0)),
            ("sync", (ways[2] - ways[1]).max(0.0)),
        ])
    }
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

fn as_text(rows: &[Row], parts: &[(&str, f64)]) -> String {
    let mut text = format!(
        "{:<14} {:>7} {:>11} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7}\n{:<14} {:>7} {:>11} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7}\n",
        "kept",
        "workers",
        "trials/s",
        "ask p50",
        "p99",
        "report",
        "p99",
        "disk",
        "memory",
        "open",
        "",
        "",
        "",
        "us",
        "us",
        "p50, us",
        "us",
        "B/trial",
        "B/trial",
        "s",
    );
    let number = |x: f64| if x.is_finite() { format!("{x:.0}") } else { "-".into() };
    let whole = |x: Option<u64>| x.map_or_else(|| "-".into(), |x| x.to_string());
    for row in rows {
        text += &format!(
            "{:<14} {:>7} {:>11.0} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7}",
            row.kept,
            row.workers,
            row.trials_per_second,
            number(row.ask_us[0]),
            number(row.ask_us[1]),
            number(row.report_us[0]),
            number(row.report_us[1]),
            whole(row.bytes_per_trial),
            whole(row.memory_per_trial),
            row.open_s.map_or_else(|| "-".into(), |s| format!("{s:.3}")),
        );
        if row.least_share < 1.0 {
            text += &format!("  the slowest process did {:.2} of its share", row.least_share);
        }
        text += "\n";
    }
    if let Some((limit, _)) = parts.iter().max_by(|a, b| a.1.total_cmp(&b.1)) {
        text += "\na trial of one worker, synced, in microseconds:\n";
        for (part, us) in parts {
            text += &format!("{us:>9.1}  {part}\n");
        }
        text += &format!("the limit: {limit}\n");
    }
    text
}

fn as_json(rows: &[Row], parts: &[(&str, f64)]) -> Json {
    let rows: Vec<Json> = rows
        .iter()
        .map(|row| {
            json!({
                "kept": row.kept,
                "workers": row.workers,
                "trials_per_second": row.trials_per_second,
                "least_share": row.least_share,
                "ask_p50_us": row.ask_us[0],
                "ask_p99_us": row.ask_us[1],
                "report_p50_us": row.report_us[0],
                "report_p99_us": row.report_us[1],
                "bytes_per_trial": row.bytes_per_trial,
                "memory_bytes_per_trial": row.memory_per_trial,
                "open_s": row.open_s,
            })
        })
        .collect();
    let parts: Json = parts.iter().map(|(part, us)| ((*part).to_string(), json!(us))).collect();
    json!({"rows": rows, "microseconds_of_one_worker": parts})
}
