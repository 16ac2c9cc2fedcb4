//! What the command line says about the commands that evaluate trials.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use trialmill::Error;
use trialmill_runtime::{Evaluation, EvaluationChanges};

/// The command that evaluates a trial, and how it runs.
#[derive(Args)]
pub(super) struct Evaluated {
    /// How long one evaluation may take before it is killed
    #[arg(long, value_name = "TIME", value_parser = crate::numbers::seconds)]
    timeout: Option<f64>,
    /// How long a command has to end when it is asked to, before it is killed [default: 5]
    #[arg(long, value_name = "TIME", value_parser = crate::numbers::seconds)]
    grace: Option<f64>,
    /// A variable for the commands, besides those of this process; may be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,
    /// Where the commands run [default: where `run` was started]
    #[arg(long, value_name = "DIR")]
    working_directory: Option<PathBuf>,
    /// The command that evaluates a trial
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.into(), value.into())),
        _ => Err("write NAME=VALUE".into()),
    }
}

impl Evaluated {
    /// What is said here.
    pub(super) fn changes(&self) -> Result<EvaluationChanges, Error> {
        let command = (!self.command.is_empty()).then(|| self.command.clone());
        let changes = EvaluationChanges {
            // A command that is named here has words that mean something here.
            directory: match (&self.working_directory, &command) {
                (None, None) => None,
                (directory, _) => here(directory.clone().unwrap_or_default())?,
            },
            command,
            timeout_seconds: self.timeout,
            grace_seconds: self.grace,
            environment: self.env.iter().cloned().collect::<BTreeMap<_, _>>(),
        };
        let any = Evaluation { command: vec!["any".into()], ..Evaluation::default() };
        let checked = EvaluationChanges { command: None, ..changes.clone() }.over(&any);
        checked.check().map_err(Error::Setting)?;
        Ok(changes)
    }
}

/// A directory by its whole path; nothing where that is no text.
pub(super) fn here(directory: PathBuf) -> Result<Option<String>, Error> {
    let whole = if directory.as_os_str().is_empty() {
        std::env::current_dir().unwrap_or_default()
    } else if directory.is_dir() {
        std::path::absolute(&directory).unwrap_or(directory)
    } else {
        let problem = format!("the working directory {} is not there", directory.display());
        return Err(Error::Setting(problem));
    };
    Ok(whole.into_os_string().into_string().ok().filter(|text| !text.is_empty()))
}
