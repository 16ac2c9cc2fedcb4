//! `enqueue`: configurations of one's own, evaluated before the optimizer's.

use std::process::ExitCode;

use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches};
use serde_json::{Map, Value as Json};
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
    #[command(flatten)]
    configs: Configs,
    /// As a JSON array of ids
    #[arg(long)]
    json: bool,
}

/// What was said of each configuration.
struct Configs(Vec<Vec<String>>);

/// Derived it would be one list of all words, and nobody would know with which word the second configuration
/// begins.
impl FromArgMatches for Configs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let said = matches.get_occurrences::<String>("config").into_iter().flatten();
        Ok(Configs(said.map(|words| words.cloned().collect()).collect()))
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Configs {
    fn augment_args(verb: clap::Command) -> clap::Command {
        verb.arg(
            Arg::new("config")
                .long("config")
                .value_name("CONFIG")
                .help("A configuration: JSON, or NAME=VALUE for each parameter; may be given several times")
                .required(true)
                .num_args(1..)
                .action(ArgAction::Append),
        )
    }
    fn augment_args_for_update(verb: clap::Command) -> clap::Command {
        Self::augment_args(verb)
    }
}

impl Enqueue {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let space = client.with_study(|study| study.definition().space.clone())?;
        let given: Vec<_> = self
            .configs
            .0
            .iter()
            .map(|words| values(words))
            .collect::<Result<Vec<_>, _>>()?
            .concat();
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

/// The configurations that the words after one `--config` say: each JSON is one, and all `NAME=VALUE` together.
fn values(words: &[String]) -> Result<Vec<Map<String, Json>>, Error> {
    let mut given = Vec::new();
    let mut pairs = Map::new();
    for text in words {
        if text.trim_start().starts_with('{') {
            given.push(object(text).map_err(Error::Setting)?);
            continue;
        }
        let (name, value) = text.split_once('=').ok_or_else(|| {
            Error::Setting(format!("--config: '{text}' is neither JSON nor NAME=VALUE"))
        })?;
        if pairs.insert(name.to_string(), value.into()).is_some() {
            return Err(Error::Setting(format!(
                "--config: '{name}' is there twice; another configuration begins with another --config"
            )));
        }
    }
    if !pairs.is_empty() {
        given.push(pairs);
    }
    Ok(given)
}

fn object(text: &str) -> Result<Map<String, Json>, String> {
    let json = json::read(text).map_err(|problem| format!("--config: {problem}"))?;
    notation::as_object(&json).ok_or_else(|| format!("--config: an object is needed, not {text}"))
}
