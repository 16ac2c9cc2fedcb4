//! `sample`: keeps trials waiting for workers that only evaluate.

use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Args;
use trialmill::{Error, StopReason, StudyBuilder};
use trialmill_layouts::Studies;
use trialmill_runtime::RunOptions;
use trialmill_store::Directory;

use super::print::{Dir, print};
use super::text::trials;

/// NePS's own optimizers propose in Python.
const NEPS_SAMPLER: &str = include_str!("neps_sampler.py");

/// Samples trials that wait for workers, and evaluates nothing; it ends with the budget, or when it is
/// asked to (Ctrl-C, `trialmill stop`).
///
/// One such process lets workers on any machine go on evaluating while a model is fitted. In a directory
/// of NePS whose optimizer is one of NePS's own, the command after `--` is a Python that has NePS; it
/// samples there with NePS's own code, and `trialmill worker DIR` evaluates.
#[derive(Args)]
#[command(after_help = "Examples:\n  trialmill sample runs/x --ahead 4\n  \
                        trialmill sample neps-run --ahead 4 -- .venv/bin/python3")]
pub(super) struct Sample {
    #[command(flatten)]
    dir: Dir,
    /// How many trials wait at a time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = crate::numbers::whole_in::<u32>(1..=65_536))]
    ahead: u32,
    /// A Python that has NePS, where NePS samples
    #[arg(last = true, value_name = "PYTHON")]
    python: Vec<String>,
}

impl Sample {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let dir = &self.dir.dir;
        let directory = Directory::open(dir)?;
        let is_shared = directory.layout().is_shared();
        let known = trialmill_runtime::optimizer_of(&directory, true);
        match (known.is_elsewhere(), is_shared) {
            (false, _) if !self.python.is_empty() => Err(Error::Setting(format!(
                "the optimizer of {} is built in: leave out what is after `--`",
                dir.display()
            ))),
            (false, _) => self.sample(directory),
            (true, true) => self.let_neps_sample(dir),
            (true, false) => Err(Error::Setting(format!(
                "'{}' is not an optimizer that can be named: only the program that defines it can \
                 sample, with `StudyHandle::sample`",
                directory.definition().optimizer.name
            ))),
        }
    }

    fn sample(&self, directory: Directory) -> Result<ExitCode, Error> {
        let options = RunOptions { workers: 1, ..RunOptions::default() };
        let session = StudyBuilder::resume(directory).options(options).open()?;
        let (sampled, reason) = session.sample_ahead(u64::from(self.ahead))?;
        session.close()?;
        let printed = print(&format!("sampled {}; {reason}\n", trials(sampled as u64)));
        Ok(match reason {
            StopReason::Interrupted | StopReason::Stopped => ExitCode::from(130),
            _ => printed,
        })
    }

    fn let_neps_sample(&self, dir: &Path) -> Result<ExitCode, Error> {
        let python =
            if self.python.is_empty() { vec!["python3".into()] } else { self.python.clone() };
        let mut command = Command::new(&python[0]);
        command.args(&python[1..]).arg("-c").arg(NEPS_SAMPLER).arg(dir);
        command.arg("--ahead").arg(self.ahead.to_string());
        let status = command.status().map_err(|error| {
            Error::Setting(format!("{} cannot be started: {error}", python.join(" ")))
        })?;
        if status.success() {
            return Ok(ExitCode::SUCCESS);
        }
        Err(Error::Setting(format!(
            "NePS did not sample ({status}): what it said is above. `{}` must be a Python that has NePS \
             (`pip install neural-pipeline-search`)",
            python.join(" ")
        )))
    }
}
