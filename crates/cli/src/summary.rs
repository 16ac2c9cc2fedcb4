//! `summary`: the files that NePS writes about a run, of any study.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use trialmill::{Error, State, Summary, Trial};
use trialmill_core::error::StoreError;

use super::print::{Dir, print};

/// Writes what NePS writes about a run: full.csv, short.csv, best_config.txt, best_config_trajectory.txt and
/// incumbent_trajectory.csv.
///
/// The trajectories are of studies with one objective. In a directory that is shared with NePS, NePS's own
/// workers write files of these names to its `summary/`.
#[derive(Args)]
pub(super) struct SummaryVerb {
    #[command(flatten)]
    dir: Dir,
    /// The directory to write them to; it is created
    #[arg(short = 'o', long = "to", value_name = "DIR")]
    to: PathBuf,
}

/// A trial that was better than all that ended before it, and what had been spent when it ended.
struct Incumbent<'a> {
    trial: &'a Trial,
    evaluations: u64,
    cost: f64,
    fidelity: f64,
    seconds: f64,
}

impl SummaryVerb {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let summary = Summary::read(&self.dir.dir)?;
        let study = summary.study();
        let rows: Vec<_> = study.trials().iter().map(|trial| summary.row(trial)).collect();
        let full = super::csv::table(&summary, &rows, false);
        let full = full.map_err(|error| Error::Setting(error.to_string()))?;
        let (incumbents, front) = (incumbents(&summary), study.front());
        let mut best = String::new();
        for trial in front {
            block(&mut best, trial, &summary);
        }
        let mut trajectory = String::new();
        for incumbent in &incumbents {
            block(&mut trajectory, incumbent.trial, &summary);
        }
        let files = [
            ("full.csv", full),
            ("short.csv", short(&summary)),
            ("best_config.txt", best),
            ("best_config_trajectory.txt", trajectory),
            ("incumbent_trajectory.csv", table(&incumbents)),
        ];
        std::fs::create_dir_all(&self.to).map_err(StoreError::io("create", &self.to))?;
        for (name, text) in files {
            let path: &Path = &self.to.join(name);
            std::fs::write(path, text).map_err(StoreError::io("write", path))?;
        }
        Ok(print(&format!("{}: {} trials\n", self.to.display(), rows.len())))
    }
}

fn objective(trial: &Trial) -> String {
    let objective = trial.report.as_ref().and_then(|report| report.objective_to_minimize.as_ref());
    objective.map_or_else(String::new, ToString::to_string)
}

/// In the order in which they ended.
fn incumbents(summary: &Summary) -> Vec<Incumbent<'_>> {
    let study = summary.study();
    let definition = study.definition();
    let mut ended: Vec<&Trial> =
        study.trials().iter().filter(|trial| trial.state.is_finished()).collect();
    let end = |trial: &Trial| trial.metadata.time_end.unwrap_or(f64::INFINITY);
    ended.sort_by(|a, b| end(a).total_cmp(&end(b)));
    let (mut evaluations, mut cost, mut fidelity, mut seconds) = (0, 0.0, 0.0, 0.0);
    let mut best: Option<f64> = None;
    let mut incumbents = Vec::new();
    for trial in ended {
        evaluations += u64::from(trial.state.is_charged());
        if trial.state.is_charged() {
            fidelity += definition.space.fidelity_of(&trial.config).unwrap_or(0.0);
        }
        let report = trial.report.as_deref();
        cost += report.and_then(trialmill::Report::charged_cost).unwrap_or(0.0);
        seconds += report.and_then(|report| report.evaluation_duration).unwrap_or(0.0);
        let counts = matches!(trial.state, State::Success | State::External) && trial.is_feasible();
        let Some(objective) = trial.objective().filter(|x| counts && !x.is_nan()) else { continue };
        if best.is_none_or(|best| !definition.objectives.no_worse(&[best], &[objective])) {
            best = Some(objective);
            incumbents.push(Incumbent { trial, evaluations, cost, fidelity, seconds });
        }
    }
    incumbents
}

/// In NePS's words.
fn block(text: &mut String, trial: &Trial, summary: &Summary) {
    let goals = &summary.study().definition().objectives;
    let what = if goals.maximises() { "Objective" } else { "Objective to minimize" };
    let _ = writeln!(text, "Config ID: {}\n{what}: {}", trial.id, objective(trial));
    if let Some(cost) = trial.report.as_ref().and_then(|report| report.cost) {
        let _ = writeln!(text, "Cost: {cost}");
    }
    let _ = writeln!(text, "Config: {}\n{}", trial.config, "-".repeat(80));
}

fn table(incumbents: &[Incumbent<'_>]) -> String {
    let mut text = String::from(
        "config_id,objective_to_minimize,cumulative_evaluations,cumulative_fidelities,\
         cumulative_cost,cumulative_time\n",
    );
    for Incumbent { trial, evaluations, cost, fidelity, seconds } in incumbents {
        let (id, objective) = (&trial.id, objective(trial));
        let _ = writeln!(text, "{id},{objective},{evaluations},{fidelity},{cost},{seconds}");
    }
    text
}

/// How many trials are in each state, and the best one.
fn short(summary: &Summary) -> String {
    let study = summary.study();
    let mut text = String::from(",0\n");
    for state in State::ALL {
        if study.count(state) > 0 {
            let _ = writeln!(text, "num_{state},{}", study.count(state));
        }
    }
    if let Some(best) = study.best() {
        let _ = writeln!(text, "best_objective_to_minimize,{}", objective(best));
        let _ = writeln!(text, "best_config_id,{}", best.id);
        for (name, value) in best.config.iter() {
            let value = value.to_string();
            let quoted = value.contains([',', '"', '\n']);
            let value = if quoted { format!("\"{}\"", value.replace('"', "\"\"")) } else { value };
            let _ = writeln!(text, "{name},{value}");
        }
    }
    text
}
