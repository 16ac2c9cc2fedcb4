//! `note`: values of one's own about a trial.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Map, Value as Json};
use trialmill::{DirectClient, Error, TrialId};

use super::numbers::json_or_text;
use super::print::Dir;

/// Notes something about a trial, of whatever state: values of your own, by name.
///
/// `show`, `trials --json` and `--csv` have them, and nothing here reads them. A trial keeps its notes when it is
/// evaluated again. All of them together take 64 KiB at most.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  trialmill note runs/x 17 seen=true model='{\"url\": \"s3://…\"}'\n  \
                        trialmill note runs/x 17 --remove seen"
)]
pub(super) struct Note {
    #[command(flatten)]
    dir: Dir,
    /// The trial
    #[arg(value_name = "ID")]
    id: TrialId,
    /// What is noted: the value is JSON, or else a text, as it is written
    #[arg(value_name = "NAME=VALUE", required_unless_present = "remove")]
    notes: Vec<String>,
    /// Take the note of this name away; may be given several times
    #[arg(long, value_name = "NAME")]
    remove: Vec<String>,
}

impl Note {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let mut notes = Map::new();
        for text in &self.notes {
            let (name, value) = text
                .split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .ok_or_else(|| Error::Setting(format!("'{text}' is not NAME=VALUE")))?;
            let value = json_or_text(value);
            if notes.insert(name.to_string(), value).is_some() {
                return Err(Error::Setting(format!("'{name}' is noted twice")));
            }
        }
        for name in self.remove {
            if notes.insert(name.clone(), Json::Null).is_some() {
                return Err(Error::Setting(format!("'{name}' is noted and taken away")));
            }
        }
        DirectClient::open(&self.dir.dir)?.note(&self.id, notes)?;
        Ok(ExitCode::SUCCESS)
    }
}
