//! `ask`: hands out trials to callers that evaluate them elsewhere.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use trialmill::{AskOutcome, DirectClient, Error, Trial, TrialId};
use trialmill_core::config::ShownConfig;
use trialmill_core::event::check_caller;

use super::print::{Dir, print};

/// Asks for trials to evaluate elsewhere: in a batch system, by hand, on another machine.
///
/// A trial that was asked for belongs to the caller until it is reported or released, or its deadline
/// has passed; then it is handed out again. What cannot be printed is given back at once.
#[derive(Args)]
pub(super) struct Ask {
    #[command(flatten)]
    dir: Dir,
    /// How many trials
    #[arg(short, default_value_t = 1, value_parser = crate::numbers::whole_in::<u32>(1..=65_536))]
    n: u32,
    /// Who asks, for the records
    #[arg(long, default_value = "ask")]
    caller: String,
    /// How long the trials belong to the caller
    #[arg(long, value_name = "TIME", default_value_t = 86_400.0, value_parser = crate::numbers::seconds)]
    deadline: f64,
    /// As a JSON array
    #[arg(long)]
    json: bool,
}

impl Ask {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let deadline = Duration::try_from_secs_f64(self.deadline).map_err(|_| {
            Error::Setting(format!("the deadline of {} s is too long", self.deadline))
        })?;
        // Before the directory is touched.
        check_caller(&self.caller).map_err(Error::Setting)?;
        if super::print::is_closed() {
            let nobody = "stdout is closed, so nobody would learn which trials these are: none is handed out";
            return Ok(super::print::cannot_print(nobody));
        }
        let client = DirectClient::open(&self.dir.dir)?;
        let trials = match client.ask(&self.caller, self.n as usize, deadline)? {
            AskOutcome::Trials(trials) => trials,
            AskOutcome::Stop(reason) => {
                return Ok(self.nothing(format_args!("nothing to hand out: {reason}")));
            }
            AskOutcome::Wait => {
                let paused = client.with_study(|study| study.policy().paused)?;
                return Ok(self.nothing(match paused {
                    true => "nothing to hand out now: the study is paused (`trialmill resume`)",
                    false => "nothing to hand out now: results are needed first",
                }));
            }
        };
        let text = match self.json {
            true => self.json(&client, &trials),
            false => {
                trials.iter().map(|trial| format!("{} {}\n", trial.id, trial.config)).collect()
            }
        };
        let Err(error) = super::print::write(&text) else { return Ok(ExitCode::SUCCESS) };
        // The caller never saw these trials, so it cannot report them.
        super::print::say(format_args!(
            "trialmill: cannot print: {error}; the trials are released"
        ));
        client.release_all(&trials)?;
        Ok(ExitCode::from(1))
    }

    fn nothing(&self, why: impl std::fmt::Display) -> ExitCode {
        super::print::say(why);
        if self.json {
            print("[]\n");
        }
        ExitCode::from(9)
    }

    fn json(&self, client: &DirectClient, trials: &[Trial]) -> String {
        let location =
            |id: &TrialId| client.trial_dir(id).map(|path| path.to_string_lossy().into_owned());
        // Not by way of `json!` alone, which would make a float of a long whole number.
        let handed = trials.iter().map(|trial| Handed::of(trial, &location, self.deadline));
        let handed: Vec<Handed<'_>> = handed.collect();
        serde_json::to_string_pretty(&handed).unwrap_or_default() + "\n"
    }
}

/// A trial that was handed out, as it is printed.
#[derive(Serialize)]
struct Handed<'a> {
    id: &'a TrialId,
    attempt: u32,
    config: ShownConfig<'a>,
    location: Option<String>,
    previous_trial_id: Option<&'a TrialId>,
    previous_trial_location: Option<String>,
    deadline_seconds: f64,
}

impl<'a> Handed<'a> {
    fn of(
        trial: &'a Trial,
        location: &dyn Fn(&TrialId) -> Option<String>,
        deadline_seconds: f64,
    ) -> Self {
        let Trial { id, attempts, config, .. } = trial;
        let previous = trial.metadata.previous_trial_id.as_ref();
        Handed {
            id,
            attempt: *attempts,
            config: ShownConfig(config),
            location: location(id),
            previous_trial_id: previous,
            previous_trial_location: previous.and_then(location),
            deadline_seconds,
        }
    }
}
