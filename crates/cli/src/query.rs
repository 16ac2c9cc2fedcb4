//! `status`, `best`, `trials`: read a study, without a lock that a worker would wait for.

use std::process::ExitCode;

use clap::Args;
use trialmill::{Error, State, Trial, TrialId};
use trialmill_view::{Status, Summary, TrialRow};

use super::hints::Hinted;
use super::listing::Listing;
use super::print::{Dir, print, print_json};
use super::text;

/// Looks at a study.
#[derive(Args)]
pub(super) struct Query {
    #[command(flatten)]
    dir: Dir,
    /// For scripts
    #[arg(long)]
    json: bool,
}

/// Lists trials, in the order in which they were sampled.
#[derive(Args)]
pub(super) struct Trials {
    #[command(flatten)]
    dir: Dir,
    /// Only these trials
    #[arg(value_name = "ID", value_delimiter = ',')]
    ids: Vec<TrialId>,
    /// Only trials in this state; may be given several times
    #[arg(long)]
    state: Vec<State>,
    /// As a JSON array, with NePS's names
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// As CSV, a column for each parameter and each extra value
    #[arg(long)]
    csv: bool,
    /// With --csv, texts as they are; else a ' stands before those that a spreadsheet runs as formulas
    #[arg(long, requires = "csv")]
    raw: bool,
    #[command(flatten)]
    listing: Listing,
}

fn read(dir: &std::path::Path) -> Result<Summary, Error> {
    let summary = Summary::read(dir)?;
    if let Some(problem) = summary.problem() {
        super::print::say(format_args!("trialmill: {}", Hinted(problem)));
    }
    Ok(summary)
}

/// The status, with its problem in the program's own phrasing.
pub(super) fn status(summary: &Summary) -> Status<'_> {
    let problem = summary.problem().map(|problem| Hinted(problem).to_string());
    Status { problem, regret: summary.regret(), ..summary.status() }
}

impl Query {
    pub(super) fn status(self) -> Result<ExitCode, Error> {
        let summary = read(&self.dir.dir)?;
        Ok(match self.json {
            true => print_json(&status(&summary)),
            false => print(&text::status(&status(&summary))),
        })
    }

    pub(super) fn best(self) -> Result<ExitCode, Error> {
        let summary = read(&self.dir.dir)?;
        Ok(match self.json {
            true => print_json(&summary.best()),
            false => print(&{
                let study = summary.study();
                let goals = &study.definition().objectives;
                let successes = study.count(State::Success) + study.count(State::External);
                text::best(summary.best().rows(), goals, successes)
            }),
        })
    }
}

impl Trials {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let summary = read(&self.dir.dir)?;
        for id in &self.ids {
            if summary.study().trial(id).is_none() {
                return Err(trialmill_core::error::StudyError::UnknownTrial(id.clone()).into());
            }
        }
        let wanted = |trial: &&Trial| {
            (self.state.is_empty() || self.state.contains(&trial.state))
                && (self.ids.is_empty() || self.ids.contains(&trial.id))
        };
        let trials = summary.study().trials().iter().filter(wanted);
        let trials = self.listing.of(trials, &summary).map_err(Error::Setting)?;
        if self.json {
            return Ok(print_json(
                &trials.iter().map(|trial| summary.row(trial)).collect::<Vec<_>>(),
            ));
        }
        if self.csv {
            let trials: Vec<TrialRow<'_>> = trials.iter().map(|trial| summary.row(trial)).collect();
            return Ok(match super::csv::table(&summary, &trials, self.raw) {
                Ok(table) => print(&table),
                Err(error) => super::print::cannot_print(error),
            });
        }
        Ok(print(&self.listing.lines(&trials, &summary)))
    }
}
