//! `ask`: trials for those who evaluate them elsewhere.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value as Json, json};
use trialmill::event::Reason;
use trialmill::runtime::StateCore;
use trialmill::store::Directory;
use trialmill::study::{Answer, Ask as Wish, Command, Handed};
use trialmill::{Durability, Error};

use super::{Dir, print};

/// Asks for trials to evaluate elsewhere: in a batch system, by hand, on another machine.
///
/// A trial that was asked for belongs to the caller until it is told, released, or its deadline has
/// passed; then it is handed out again.
#[derive(Args)]
pub(super) struct Ask {
    #[command(flatten)]
    dir: Dir,
    /// How many trials
    #[arg(short, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=65536))]
    n: u32,
    /// Who asks, for the records
    #[arg(long, default_value = "ask")]
    caller: String,
    /// How long the trials belong to the caller
    #[arg(long, value_name = "SECONDS", default_value_t = 86_400.0)]
    deadline: f64,
    /// As a JSON array
    #[arg(long)]
    json: bool,
}

/// Opens a study for one turn of a verb that does not stay.
pub(super) fn open(dir: &std::path::Path) -> Result<StateCore, Error> {
    let directory = Directory::open(dir)?;
    let optimizer = trialmill::optimizer::of_study(directory.definition());
    let mut core = StateCore::open(directory, Durability::Synced, optimizer)?;
    core.recover()?;
    Ok(core)
}

/// Runs one command.
pub(super) fn turn(core: &mut StateCore, command: Command) -> Result<Answer, Error> {
    let answer = core.turn(vec![command])?.pop();
    Ok(answer.unwrap_or(Ok(Answer::Done))?)
}

impl Ask {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let deadline = Duration::try_from_secs_f64(self.deadline)
            .map_err(|error| Error::Setting(format!("the deadline: {error}")))?;
        trialmill::event::check_caller(&self.caller).map_err(Error::Setting)?;
        let mut core = open(&self.dir.dir)?;
        let lease = core.directory().map(|directory| directory.place().lease(deadline));
        let wish = Wish { worker: self.caller.as_str().into(), n: self.n as usize, lease };
        let answer = turn(&mut core, Command::Ask(wish))?;
        let handed = match answer {
            Answer::Evaluate(handed) => handed,
            answer => {
                match answer {
                    Answer::Stop(reason) => {
                        super::say(format_args!("nothing to hand out: {reason}"))
                    }
                    _ => super::say(format_args!(
                        "nothing to hand out now: results are needed first"
                    )),
                }
                if self.json {
                    print("[]\n");
                }
                return Ok(ExitCode::from(9));
            }
        };
        let directory = core.directory();
        // `json!` panics on a path that is not UTF-8.
        let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
        let path = |id| directory.map(|directory| text(directory.trial_path(id)));
        let text = if self.json {
            let list: Vec<Json> = handed
                .iter()
                .map(|handed| {
                    let trial = &handed.trial;
                    let previous = &trial.metadata.previous_trial_id;
                    json!({
                        "id": trial.id,
                        "attempt": trial.attempts,
                        "config": trial.config,
                        "location": path(&trial.id),
                        "previous_trial_id": previous,
                        "previous_trial_location": previous.as_ref().and_then(path),
                        "deadline_seconds": self.deadline,
                    })
                })
                .collect();
            format!("{:#}\n", Json::Array(list))
        } else {
            let line = |handed: &Handed| format!("{} {}\n", handed.trial.id, handed.trial.config);
            handed.iter().map(line).collect()
        };
        let Err(error) = super::write(&text) else { return Ok(ExitCode::SUCCESS) };
        // Nobody knows what was handed out, so nobody will report it.
        super::say(format_args!("trialmill: cannot print: {error}; the trials are given back"));
        let release = |handed: Handed| Command::Release {
            trial: handed.trial.id,
            attempt: Some(handed.trial.attempts),
            reason: Reason::Released,
        };
        core.turn(handed.into_iter().map(release).collect())?;
        Ok(ExitCode::from(1))
    }
}
