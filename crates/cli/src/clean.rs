//! `clean`: forgets what came of trials, or deletes them.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use trialmill::{DirectClient, Error, State, StudyError, Summary, TrialId};
use trialmill_layouts::Studies;
use trialmill_store::Directory;

use super::print::{Dir, print, print_json};

/// Forgets what came of trials, also of successes: they wait again, and are evaluated anew.
///
/// Their ids, configurations and the number of their attempts stay, and so does what they cost (but in
/// directories of NePS 0.13 and later, where the cost is what stands in the results); files of their own in
/// their directories are not touched. In a directory that is shared with NePS, its log of errors forgets
/// them too. (Failed and crashed ones alone: `retry`.)
///
/// With --delete they are gone for good, with their directories and all that they cost: the budget has them again,
/// and their ids are not used again. No process may take part in the study then, and a trial that another
/// one continues is deleted with that one, or not at all.
#[derive(Args)]
#[command(after_help = "Examples:\n  trialmill clean runs/x 17 18\n  \
                        trialmill clean runs/x --state success --state corrupted --dry-run\n  \
                        trialmill clean runs/x --state crashed --delete")]
pub(super) struct Clean {
    #[command(flatten)]
    dir: Dir,
    /// These trials
    #[arg(value_name = "ID", required_unless_present = "state")]
    ids: Vec<TrialId>,
    /// All trials in this state; may be given several times
    #[arg(long, conflicts_with = "ids")]
    state: Vec<State>,
    /// Delete them for good, and their directories
    #[arg(long)]
    delete: bool,
    /// Only say which trials these are
    #[arg(long)]
    dry_run: bool,
    /// As a JSON array of ids
    #[arg(long)]
    json: bool,
}

impl Clean {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let summary = Summary::read(&self.dir.dir)?;
        let study = summary.study();
        if let Some(id) = self.ids.iter().find(|id| study.trial(id).is_none()) {
            return Err(StudyError::UnknownTrial(id.clone()).into());
        }
        // Of trials that wait there is nothing to forget.
        let is_idle = |state: State| state == State::Pending && !self.delete;
        let is_meant = |state: State| !is_idle(state) && self.state.contains(&state);
        let ids: Vec<TrialId> = match self.ids.is_empty() {
            true => {
                study.trials().iter().filter(|t| is_meant(t.state)).map(|t| t.id.clone()).collect()
            }
            false => self.ids,
        };
        if self.delete {
            study.check_deletion(&ids)?;
        }
        match (self.dry_run || ids.is_empty(), self.delete) {
            (true, _) => {}
            (false, false) => drop(DirectClient::open(&self.dir.dir)?.reset(&ids)?),
            (false, true) => {
                // Requeues what dead processes held, and mends what they left.
                drop(DirectClient::open(&self.dir.dir)?);
                Directory::open(&self.dir.dir)?.delete(&ids)?;
            }
        }
        if self.json {
            return Ok(print_json(&json!(ids)));
        }
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let (n, names) = (ids.len(), names.join(" "));
        let what = match (n, self.dry_run, self.delete) {
            (0, ..) => return Ok(print("there is no such trial\n")),
            (1, false, false) => "waits again",
            (_, false, false) => "wait again",
            (_, true, false) => "would wait again",
            (1, false, true) => "is deleted",
            (_, false, true) => "are deleted",
            (_, true, true) => "would be deleted",
        };
        Ok(print(&format!("{} {what}: {names}\n", super::text::trials(n as u64))))
    }
}
