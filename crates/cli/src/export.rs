//! `export` and `import-optuna`: a study in the formats of other tools, and back.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use trialmill::{DirectClient, Error, Study, StudySpec, Summary};
use trialmill_core::error::StoreError;
use trialmill_core::limits::MAX_CACHE_BYTES;
use trialmill_export::{Optuna, read_optuna, tensorboard};
use trialmill_store::plain;
use trialmill_view::Live;

use super::hints::Hinted;
use super::print::{Dir, print, say};
use super::text;

/// How often a study that is followed is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// Trials that are stored together.
const BATCH: usize = 1_000;

/// Writes a study for another tool. (For tables: `trials --csv` and `trials --json`.)
#[derive(Args)]
#[command(after_help = "Examples:\n  trialmill export runs/x --to optuna -o x.log --follow\n  \
                        optuna-dashboard x.log\n  trialmill export runs/x --to tensorboard -o logs\n  \
                        tensorboard --logdir logs")]
pub(super) struct Export {
    #[command(flatten)]
    dir: Dir,
    /// The other tool
    #[arg(long, value_enum)]
    to: Tool,
    /// Where it goes: a new file, or for tensorboard a new directory
    #[arg(short, long, value_name = "PATH")]
    output: PathBuf,
    /// Go on writing while the study runs (optuna)
    #[arg(long)]
    follow: bool,
    /// The best trials, at the most (tensorboard: a directory for each)
    #[arg(long, default_value_t = 1_000, value_name = "N", value_parser = crate::numbers::from_1::<usize>)]
    top: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Tool {
    /// A journal file, for Optuna and its dashboard
    Optuna,
    /// A run for each trial, with HParams
    Tensorboard,
    /// A table with a row for each trial, for polars, pandas and DuckDB
    #[cfg(feature = "parquet")]
    Parquet,
}

/// Makes a new study of an Optuna journal file, with all trials that ended.
///
/// Other storages of Optuna's: copy the study into a journal first, with `optuna.copy_study`.
#[derive(Args)]
#[command(
    after_help = "Example:\n  trialmill import-optuna x.log --dir runs/x\n  trialmill worker runs/x -- python3 train.py --lr {lr}"
)]
pub(super) struct ImportOptuna {
    /// The journal file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The new study's directory
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// The study in it, where there are several
    #[arg(long, value_name = "NAME")]
    study: Option<String>,
    /// The optimizer that goes on with it [default: auto]
    #[arg(long, value_name = "NAME")]
    optimizer: Option<String>,
}

impl Export {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        if self.follow && self.to != Tool::Optuna {
            return Err(Error::Setting("only an export to optuna can be followed".into()));
        }
        let mut live = Live::open(&self.dir.dir)?;
        if let Some(problem) = live.summary().problem() {
            say(format_args!("trialmill: {}", Hinted(problem)));
        }
        let to = &self.output;
        match self.to {
            Tool::Tensorboard => {
                let n = tensorboard(&live, to, self.top).map_err(|error| unwritten(to, error))?;
                let ended = live.study().finished();
                let more =
                    if (n as u64) < ended { format!(" of {ended} (--top)") } else { String::new() };
                say(format_args!("{n} trials{more} are in {}", to.display()));
            }
            #[cfg(feature = "parquet")]
            Tool::Parquet => {
                let failed = |error| Error::from(StoreError::io("write", to)(error));
                let file = new_file(to)?;
                let n = trialmill_export::parquet(&live, file).map_err(failed)?;
                say(format_args!("{} are in {}", text::trials(n as u64), to.display()));
            }
            Tool::Optuna => follow(&mut live, to, self.follow)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A file that is not there yet: appending to another export would double it.
fn new_file(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    file.map_err(|error| unwritten(path, error))
}

fn unwritten(path: &Path, error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::AlreadyExists => Error::Setting(format!(
            "{} is there already, and nothing is written over: name another with -o, or remove it first",
            path.display()
        )),
        _ => StoreError::io("write", path)(error).into(),
    }
}

fn follow(live: &mut Live, to: &Path, on: bool) -> Result<(), Error> {
    let failed = |error| Error::from(StoreError::io("write", to)(error));
    let mut file = new_file(to)?;
    let (mut optuna, mut text, epoch) = (Optuna::new(), String::new(), live.epoch());
    loop {
        optuna.update(live, &mut text);
        file.write_all(text.as_bytes()).map_err(failed)?;
        text.clear();
        if !on || !live.is_worked_on() {
            return Ok(());
        }
        std::thread::sleep(LOOK);
        live.catch_up()?;
        if live.epoch() != epoch && !live.directory().layout().is_shared() {
            let problem = "the study's journal was replaced meanwhile; export it anew";
            return Err(Error::Setting(problem.into()));
        }
    }
}

impl ImportOptuna {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let read =
            plain::read(&self.file, MAX_CACHE_BYTES).map_err(StoreError::io("read", &self.file))?;
        let wrong = |why: String| Error::Setting(format!("{}: {why}", self.file.display()));
        let text = String::from_utf8(read).map_err(|error| wrong(error.to_string()))?;
        let imported = read_optuna(&text, self.study.as_deref()).map_err(wrong)?;
        if self.dir.join("study.json").exists() {
            return Err(StoreError::Exists { path: self.dir }.into());
        }
        let named = self.optimizer.as_ref().map(|name| {
            let file = serde_json::json!({"space": {"x": 0}, "optimizer": name});
            crate::study_file::StudyFile::from_json(file).map(|file| file.spec.optimizer)
        });
        let spec = StudySpec {
            space: Some(imported.space),
            objectives: Some(imported.objectives).filter(|own| !own.is_unsaid()),
            optimizer: named.transpose()?.flatten(),
            ..StudySpec::default()
        };
        Study::builder(&self.dir).spec(spec).create()?;
        let client = DirectClient::open(&self.dir)?;
        let n = imported.trials.len();
        let mut trials = imported.trials.into_iter().peekable();
        while trials.peek().is_some() {
            client.put_all(trials.by_ref().take(BATCH).collect::<Vec<_>>())?;
        }
        drop(client);
        for why in imported.left_out.iter().take(10) {
            say(format_args!("left out: {why}"));
        }
        if imported.left_out.len() > 10 {
            say(format_args!("left out: {} more", imported.left_out.len() - 10));
        }
        say(format_args!("{n} trials of '{}' are in {}", imported.name, self.dir.display()));
        Ok(print(&text::status(&Summary::read(&self.dir)?.status())))
    }
}
