//! `tell`, `release`, `retry`: report, release or requeue trials.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;
use trialmill::{DirectClient, Error, Report, ReportOutcome, State, TrialId};
use trialmill_core::error::StudyError;
use trialmill_core::event::check_caller;
use trialmill_core::objectives::Objectives;

use super::print::{Dir, print, print_json};

/// Reports a trial that was asked for.
#[derive(Args)]
#[command(after_help = "Examples:\n  trialmill tell runs/x 17 --objective 0.12 --cost 3\n  \
                        trialmill tell runs/x 18 --result '{\"objective_to_minimize\": 0.1, \
                        \"info_dict\": {\"epochs\": 5}}'\n  \
                        trialmill tell runs/x 19 --crashed 'out of memory'")]
pub(super) struct Tell {
    #[command(flatten)]
    dir: Dir,
    /// The trial
    #[arg(value_name = "ID")]
    id: TrialId,
    /// The objective, or NAME=VALUE where the study names it; give it several times for several
    /// objectives
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true, required_unless_present_any = ["result", "failed", "crashed", "pruned"])]
    objective: Vec<String>,
    /// The value of a constraint, or NAME=VALUE; give it several times for several
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    constraint: Vec<String>,
    /// A whole result as JSON, as a command would print it
    #[arg(long, value_name = "JSON", conflicts_with_all = ["objective", "cost"])]
    result: Option<String>,
    /// The configuration does not work, and why
    #[arg(long, value_name = "WHY", conflicts_with_all = ["objective", "result"])]
    failed: Option<String>,
    /// The evaluation broke, and why
    #[arg(long, value_name = "WHY", conflicts_with_all = ["objective", "result", "failed"])]
    crashed: Option<String>,
    /// It was ended early, because `progress` said so
    #[arg(long, conflicts_with_all = ["objective", "result", "failed", "crashed"])]
    pruned: bool,
    /// What it cost
    #[arg(long, allow_hyphen_values = true, value_parser = crate::numbers::number)]
    cost: Option<f64>,
    /// The attempt that was handed out; the current one if not given
    #[arg(long, value_parser = crate::numbers::from_1::<u32>)]
    attempt: Option<u32>,
}

/// Releases a trial that was asked for; it is handed out again.
#[derive(Args)]
pub(super) struct Release {
    #[command(flatten)]
    dir: Dir,
    /// The trial
    #[arg(value_name = "ID")]
    id: TrialId,
    /// The attempt that was handed out; the current one if not given
    #[arg(long, value_parser = crate::numbers::from_1::<u32>)]
    attempt: Option<u32>,
}

/// Requeues failed or crashed trials; run workers afterwards.
#[derive(Args)]
pub(super) struct Retry {
    #[command(flatten)]
    dir: Dir,
    /// These trials; without, all in the states that --state names
    #[arg(value_name = "ID", value_delimiter = ',')]
    ids: Vec<TrialId>,
    /// All trials in this state: failed or crashed [default: both]
    #[arg(long, conflicts_with = "ids")]
    state: Vec<State>,
    /// As a JSON array of ids
    #[arg(long)]
    json: bool,
}

impl Tell {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let goals = client.with_study(|study| study.definition().objectives.clone())?;
        let mut report = match (&self.result, self.failed, self.crashed) {
            (Some(text), _, _) => {
                trialmill_runtime::evaluate::parse_result(text, &goals).map_err(Error::Setting)?
            }
            (None, Some(why), _) => Report::failed(why),
            (None, None, Some(why)) => Report::crashed("told", why),
            (None, None, None) if self.pruned => Report::pruned(),
            (None, None, None) => told(&self.objective, &goals).map_err(Error::Setting)?,
        };
        if !self.constraint.is_empty() {
            let names: Vec<&str> = goals.constraints().iter().map(String::as_str).collect();
            let values = values("--constraint", &self.constraint, &names, &goals);
            report.constraints = Some(values.map_err(Error::Setting)?.into());
        }
        report.cost = self.cost.or(report.cost);
        let budget = client.with_study(|study| study.policy().budget)?;
        if budget.missing_cost(&report).is_some() {
            let problem = "the study's budget is one of cost, and this result has none: add --cost";
            return Err(Error::Setting(problem.into()));
        }
        Ok(end(&self.id, &client.report(&self.id, self.attempt, report)?))
    }
}

/// What `--objective` says.
fn told(objectives: &[String], goals: &Objectives) -> Result<Report, String> {
    let values = self::objectives("--objective", objectives, goals)?;
    Ok(match values[..] {
        [one] => Report::objective(one),
        _ => Report::objective(values),
    })
}

/// The objectives that an option gives: in the study's order, or each with its name.
pub(super) fn objectives(
    option: &str,
    given: &[String],
    goals: &Objectives,
) -> Result<Vec<f64>, String> {
    let names: Vec<&str> = goals.goals().iter().filter_map(|goal| goal.name.as_deref()).collect();
    values(option, given, &names, goals)
}

/// Numbers in the study's order, or each with its name.
fn values(
    option: &str,
    given: &[String],
    names: &[&str],
    goals: &Objectives,
) -> Result<Vec<f64>, String> {
    let number = |text: &str| {
        text.trim().parse::<f64>().map_err(|_| format!("{option}: '{text}' is not a number"))
    };
    if !given.iter().any(|text| text.contains('=')) {
        return given.iter().map(|text| number(text)).collect();
    }
    let mut values: Vec<Option<f64>> = vec![None; names.len()];
    for text in given {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let at = names.iter().position(|own| *own == name);
        let at = at.ok_or_else(|| match names {
            [] => format!("{option}: '{name}' is no name of the study: give the number alone"),
            names => format!("{option}: '{name}' is none of the study's: {}", names.join(", ")),
        })?;
        if values[at].replace(number(value)?).is_some() {
            return Err(format!("{option}: '{name}' occurs twice"));
        }
    }
    let all: Option<Vec<f64>> = values.into_iter().collect();
    all.ok_or_else(|| format!("{option}: all are needed: {goals}"))
}

impl Release {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let trial = client.trial(&self.id)?;
        // A worker's command still runs: the next attempt would run beside it, in the same directory.
        let holder = trial.metadata.evaluating_worker_id.as_deref();
        let holder = holder.filter(|_| trial.state == State::Evaluating);
        if let Some(worker) = holder.filter(|holder| check_caller(holder).is_err()) {
            let problem = format!(
                "trial '{}' was not asked for: worker {worker} is evaluating it, and only that \
                 worker can hand it back (stop its process with Ctrl-C)",
                trial.id
            );
            return Err(StudyError::Contradiction(problem).into());
        }
        Ok(end(&self.id, &client.release(&self.id, self.attempt)?))
    }
}

fn end(trial: &TrialId, outcome: &ReportOutcome) -> ExitCode {
    match outcome {
        ReportOutcome::Superseded { state, attempts } => superseded(trial, *state, *attempts),
        ReportOutcome::Accepted => ExitCode::SUCCESS,
    }
}

/// Says that the trial is not the caller's any more.
pub(super) fn superseded(trial: &TrialId, state: State, attempts: u32) -> ExitCode {
    super::print::say(format_args!(
        "superseded: trial {trial} is {state} (attempt {attempts}), so nothing was changed. \
         Its deadline passed, somebody released it, or it was told before."
    ));
    ExitCode::from(10)
}

impl Retry {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let client = DirectClient::open(&self.dir.dir)?;
        let states = match self.state.is_empty() {
            true => vec![State::Failed, State::Crashed],
            false => self.state,
        };
        if let Some(state) = states.iter().find(|state| !state.is_error()) {
            let problem = format!("only failed or crashed trials can be tried again, not {state}");
            return Err(Error::Setting(problem));
        }
        let requeued = match self.ids.is_empty() {
            true => client.retry(&states)?,
            false => client.retry_trials(&self.ids)?,
        };
        if self.json {
            return Ok(print_json(&json!(requeued)));
        }
        let ids: Vec<String> = requeued.iter().map(ToString::to_string).collect();
        Ok(print(&match ids.len() {
            0 => "no trial failed or crashed\n".to_string(),
            1 => format!("1 trial waits again: {}\n", ids[0]),
            n => format!("{n} trials wait again: {}\n", ids.join(" ")),
        }))
    }
}
