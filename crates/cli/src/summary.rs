//! `summary`: the files that NePS writes about a run, of any study.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use trialmill::{Error, Summary};
use trialmill_core::error::StoreError;
use trialmill_layouts::write_summary;

use super::print::{Dir, print};

/// Writes what NePS writes about a run: full.csv, short.csv, best_config.txt, best_config_trajectory.txt and
/// incumbent_trajectory.csv.
///
/// The trajectories are of studies with one objective. In a directory that is shared with NePS, runs keep
/// these files in its `summary/`, as NePS's own workers do.
#[derive(Args)]
pub(super) struct SummaryVerb {
    #[command(flatten)]
    dir: Dir,
    /// The directory to write them to; it is created
    #[arg(short = 'o', long = "to", value_name = "DIR")]
    to: PathBuf,
}

impl SummaryVerb {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let summary = Summary::read(&self.dir.dir)?;
        let (study, to) = (summary.study(), &self.to);
        std::fs::create_dir_all(to).map_err(StoreError::io("create", to))?;
        write_summary(to, summary.directory(), study, false)?;
        Ok(print(&format!("{}: {} trials\n", to.display(), study.trials().len())))
    }
}
