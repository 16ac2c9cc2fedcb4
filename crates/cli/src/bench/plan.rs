//! What is to be measured, and what was.

use std::path::{Path, PathBuf};

use clap::Args;
use trialmill::{
    BoxError, Durability, Error, Parameter, RandomSearch, RunningTrial, SearchSpace, Session,
    Study, StudyBuilder,
};
use trialmill_core::definition::Definition;
use trialmill_core::error::StoreError;
use trialmill_core::optimizer::Optimizer;
use trialmill_store::Layout;

/// A part of a trial's time, and its microseconds.
pub(super) type Part = (&'static str, f64);

/// Measures trials per second on this node and this file system, when an evaluation takes no time:
/// the cost of everything but the evaluation.
///
/// Run it in the directory whose disk you want to know; it removes what it writes.
#[derive(Args)]
pub(crate) struct Bench {
    /// Where to write; a directory of its own is made in it and removed
    #[arg(value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,
    /// Numbers of workers
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 8, 64])]
    pub(super) workers: Vec<usize>,
    /// Layouts of the directory: journal, neps, …
    #[arg(long, value_name = "LAYOUT,…", value_delimiter = ',', default_value = "journal", value_parser = trialmill_layouts::by_name)]
    pub(super) layout: Vec<&'static dyn Layout>,
    /// Ways of keeping the study
    #[arg(long, value_name = "WAY,…", value_delimiter = ',', default_values_t = WAYS.map(String::from), value_parser = WAYS)]
    pub(super) durability: Vec<String>,
    /// Trials of each measurement
    #[arg(long, value_name = "N", default_value_t = 20_000, value_parser = crate::numbers::from_1::<u64>)]
    pub(super) trials: u64,
    /// Steps that each trial reports before its end
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = crate::numbers::count::<u64>)]
    pub(super) steps: u64,
    /// Trials that a worker asks for in one message
    #[arg(long, value_name = "K", default_value_t = 1, value_parser = crate::numbers::whole_in::<usize>(1..=65_536))]
    pub(super) batch: usize,
    /// Processes that share the directory
    #[arg(long, value_name = "P", default_value_t = 1, value_parser = crate::numbers::whole_in::<u32>(1..=64))]
    pub(super) processes: u32,
    /// Trials per second alone, and nothing of the rest
    #[arg(long)]
    pub(super) quick: bool,
    /// For scripts
    #[arg(long)]
    pub(super) json: bool,
    /// One of several processes: works in the study that is there
    #[arg(long, hide = true)]
    pub(super) join: bool,
}

pub(super) const WAYS: [&str; 3] = ["synced", "buffered", "memory"];

/// One way of keeping a study, with some workers.
pub(super) struct Row {
    pub(super) layout: &'static str,
    pub(super) kept: String,
    pub(super) workers: usize,
    pub(super) trials_per_second: f64,
    /// Of the process that did least, as a part of its fair share.
    pub(super) least_share: Option<f64>,
    pub(super) against_one_process: Option<f64>,
    /// p50 and p99 in microseconds of an ask and of a report, each alone in its message.
    pub(super) ask_us: Option<[f64; 2]>,
    pub(super) report_us: Option<[f64; 2]>,
    pub(super) bytes_per_trial: Option<u64>,
    pub(super) memory_per_trial: Option<u64>,
    pub(super) open_s: Option<f64>,
}

impl Row {
    pub(super) fn new(
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
pub(super) struct Measured {
    pub(super) rows: Vec<Row>,
    pub(super) parts: Vec<Part>,
    /// On as many workers as cores, and on twice as many.
    pub(super) evaluation_shares: Option<[f64; 2]>,
}

impl Measured {
    pub(super) fn limit(&self) -> Option<&Part> {
        self.parts.iter().max_by(|a, b| a.1.total_cmp(&b.1))
    }
}

impl Bench {
    pub(super) fn session(&self, builder: StudyBuilder, workers: usize) -> Result<Session, Error> {
        self.session_of(builder, workers, self.trials)
    }

    pub(super) fn session_of(
        &self,
        builder: StudyBuilder,
        workers: usize,
        trials: u64,
    ) -> Result<Session, Error> {
        builder.space(space()?).workers(workers).batch(self.batch).max_evaluations(trials).open()
    }
}

pub(super) fn builder(layout: &'static dyn Layout, kept: &str, dir: &Path) -> StudyBuilder {
    let on_disk = Study::builder(dir).layout(layout);
    let builder = match kept {
        "buffered" => on_disk.durability(Durability::Buffered),
        "memory" => Study::in_memory(),
        _ => on_disk,
    };
    // The runtime is measured, and not a model.
    builder.optimizer(RandomSearch::new())
}

pub(super) fn definition() -> Result<Definition, Error> {
    Ok(Definition::new(space()?, RandomSearch::new().info()))
}

pub(super) fn space() -> Result<SearchSpace, Error> {
    Ok(SearchSpace::new([
        ("lr", Parameter::float(1e-5, 1e-1).log()),
        ("layers", Parameter::int(1, 8)),
        ("optimizer", Parameter::categorical(["sgd", "adam", "rmsprop"])),
    ])?)
}

pub(super) fn objective(trial: &RunningTrial, steps: u64) -> Result<f64, BoxError> {
    let lr = trial.config().float("lr")?;
    for step in 1..=steps {
        trial.report_step(step, lr + 1.0 / step as f64)?;
    }
    Ok(lr * lr)
}

/// The directory of the measurements, removed at the end however it ends.
pub(super) struct Removed(pub(super) PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn median(values: Vec<f64>) -> f64 {
    quantiles(values)[0]
}

pub(super) fn quantiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [0.5, 0.99].map(|q| {
        let at = (values.len() as f64 * q) as usize;
        values.get(at.min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
    })
}

pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
}

/// A file operation that failed.
pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| StoreError::Io { action, path, source }.into()
}
