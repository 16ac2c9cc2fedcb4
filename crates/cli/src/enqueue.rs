//! `enqueue`: configurations of one's own, evaluated before the optimizer's.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value as Json;
use trialmill::{DirectClient, Error};
use trialmill_core::json;
use trialmill_core::notation;

use super::print::{Dir, print, print_json};

/// Adds configurations of your own: they are evaluated next, before the optimizer proposes more.
///
/// Constants, and the highest fidelity, need not be given. They count as evaluations, as all trials do.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  trialmill enqueue runs/x --config '{\"lr\": 0.01, \"layers\": 2}'\n  \
                        trialmill enqueue runs/x --config lr=0.01 layers=2"
)]
pub(super) struct Enqueue {
    #[command(flatten)]
    dir: Dir,
    /// A configuration: JSON, or NAME=VALUE for each parameter; may be given several times
    #[arg(long, value_name = "CONFIG", required = true, num_args = 1.., action = clap::ArgAction::Append)]
    config: Vec<String>,
    /// As a JSON array of ids
    #[arg(long)]
    json: bool,
}

impl Enqueue {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let space = client.with_study(|study| study.definition().space.clone())?;
        let mut given: Vec<serde_json::Map<String, Json>> = Vec::new();
        let mut pairs = serde_json::Map::new();
        for text in &self.config {
            match text.trim_start().starts_with('{') {
                true => given.push(object(text).map_err(Error::Setting)?),
                false => {
                    let (name, value) = text.split_once('=').ok_or_else(|| {
                        Error::Setting(format!("--config: '{text}' is neither JSON nor NAME=VALUE"))
                    })?;
                    // Of one name twice the second begins another configuration.
                    if pairs.contains_key(name) {
                        given.push(std::mem::take(&mut pairs));
                    }
                    pairs.insert(name.into(), value.into());
                }
            }
        }
        if !pairs.is_empty() {
            given.push(pairs);
        }
        let configs = given.iter().map(|values| space.given(values)).collect::<Result<_, _>>()?;
        let ids: Vec<String> =
            client.enqueue(configs)?.iter().map(|trial| trial.id.to_string()).collect();
        Ok(match self.json {
            true => print_json(&ids),
            false => print(&format!(
                "{} waiting: {}\n",
                super::text::trials(ids.len() as u64),
                ids.join(" ")
            )),
        })
    }
}

fn object(text: &str) -> Result<serde_json::Map<String, Json>, String> {
    let json = json::read(text).map_err(|problem| format!("--config: {problem}"))?;
    notation::as_object(&json).ok_or_else(|| format!("--config: an object is needed, not {text}"))
}
