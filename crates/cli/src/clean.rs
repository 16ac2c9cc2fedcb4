//! `clean`: forgets what came of trials.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use trialmill::{DirectClient, Error, State, StudyError, Summary, TrialId};

use super::print::{Dir, print, print_json};

/// Forgets what came of trials, also of successes: they wait again, and are evaluated anew.
///
/// Their ids, configurations and the number of their attempts stay, and so does what they cost (but in
/// directories of NePS 0.13 and later, where the cost is what stands in the results); files of their own in
/// their directories are not touched. In a directory that is shared with NePS, its log of errors forgets
/// them too. (Failed and crashed ones alone: `retry`.)
#[derive(Args)]
#[command(after_help = "Examples:\n  trialmill clean runs/x 17 18\n  \
                        trialmill clean runs/x --state success --state corrupted --dry-run")]
pub(super) struct Clean {
    #[command(flatten)]
    dir: Dir,
    /// These trials
    #[arg(value_name = "ID", required_unless_present = "state")]
    ids: Vec<TrialId>,
    /// All trials in this state; may be given several times
    #[arg(long, conflicts_with = "ids")]
    state: Vec<State>,
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
        let is_meant = |state: State| state != State::Pending && self.state.contains(&state);
        let ids: Vec<TrialId> = match self.ids.is_empty() {
            true => {
                study.trials().iter().filter(|t| is_meant(t.state)).map(|t| t.id.clone()).collect()
            }
            false => self.ids,
        };
        if !self.dry_run && !ids.is_empty() {
            DirectClient::open(&self.dir.dir)?.reset(&ids)?;
        }
        if self.json {
            return Ok(print_json(&json!(ids)));
        }
        let names: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let (n, names) = (ids.len(), names.join(" "));
        Ok(print(&match (n, self.dry_run) {
            (0, _) => "there is no such trial\n".to_string(),
            (1, false) => format!("1 trial waits again: {names}\n"),
            (n, false) => format!("{n} trials wait again: {names}\n"),
            (1, true) => format!("1 trial would wait again: {names}\n"),
            (n, true) => format!("{n} trials would wait again: {names}\n"),
        }))
    }
}
