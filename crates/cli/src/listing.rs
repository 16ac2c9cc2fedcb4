//! Trials as lines for people: which of them, in which order, and with what beside.

use std::cmp::Ordering;
use std::fmt::Write;
use std::io::IsTerminal;

use clap::Args;
use trialmill::Trial;
use trialmill_core::objectives::Objectives;
use trialmill_core::trial::printable;
use trialmill_view::Summary;

use super::text;

/// How trials are listed.
#[derive(Args, Default)]
pub(super) struct Listing {
    /// By objective (the best first) or its name, id, cost, duration, start, or a parameter's name
    #[arg(long, value_name = "BY")]
    sort: Option<String>,
    /// The other way round
    #[arg(long)]
    reverse: bool,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = crate::numbers::count::<usize>)]
    limit: Option<usize>,
    /// With when it began, how long it took, its cost, its attempts, who evaluated it and where, and its directory
    #[arg(long, conflicts_with_all = ["json", "csv"])]
    long: bool,
}

/// What trials are sorted by besides parameters.
const KEYS: [&str; 5] = ["objective", "id", "cost", "duration", "start"];

impl Listing {
    /// The trials in the order that is wanted, and no more than that.
    pub(super) fn of<'a>(
        &self,
        trials: impl Iterator<Item = &'a Trial>,
        summary: &Summary,
    ) -> Result<Vec<&'a Trial>, String> {
        let mut trials: Vec<&Trial> = trials.collect();
        let definition = summary.study().definition();
        if let Some(by) = self.sort.as_deref().filter(|by| *by != "id") {
            let goals = &definition.objectives;
            let known = KEYS.contains(&by)
                || goals.position(by).is_some()
                || definition.space.get(by).is_some();
            if !known && !trials.iter().any(|trial| trial.config.get(by).is_some()) {
                let names = definition.space.iter().map(|(name, _)| name);
                let goals = goals.goals().iter().filter_map(|goal| goal.name.as_deref());
                let known: Vec<&str> = KEYS.into_iter().chain(goals).chain(names).collect();
                return Err(trialmill_core::words::unknown(by, "something to sort by", &known));
            }
            trials.sort_by(|a, b| order(by, a, b, &definition.objectives));
        }
        if self.reverse {
            trials.reverse();
        }
        trials.truncate(self.limit.unwrap_or(usize::MAX));
        Ok(trials)
    }

    /// The lines; with a header where a person looks at them.
    pub(super) fn lines(&self, trials: &[&Trial], summary: &Summary) -> String {
        let goals = &summary.study().definition().objectives;
        let mut lines = String::new();
        // Writing to a `String` does not fail.
        match (self.long, std::io::stdout().is_terminal()) {
            (true, _) => {
                let _ = writeln!(
                    lines,
                    "{:<8} {:<10} {:<19} {:>9} {:>9} {:>8} {:<8} {:<10} config  result  directory",
                    "id", "state", "started (UTC)", "seconds", "cost", "attempts", "worker", "host"
                );
            }
            (false, true) => {
                let _ = writeln!(lines, "{:<8} {:<10} config  result", "id", "state");
            }
            (false, false) => {}
        }
        for trial in trials {
            let (id, end) = (trial.id.to_string(), end(trial, goals));
            if !self.long {
                let _ = writeln!(lines, "{id:<8} {:<10} {}  {end}", trial.state, trial.config);
                continue;
            }
            let row = summary.row(trial);
            let (meta, report) = (&trial.metadata, trial.report.as_deref());
            let number = |x: Option<f64>| x.map_or_else(String::new, text::short);
            let _ = writeln!(
                lines,
                "{id:<8} {:<10} {:<19} {:>9} {:>9} {:>8} {:<8} {:<10} {}  {end}  {}",
                trial.state,
                meta.time_started.map(text::utc).unwrap_or_default(),
                number(meta.evaluation_duration),
                number(report.and_then(|report| report.cost)),
                trial.attempts,
                printable(meta.evaluating_worker_id.as_deref().unwrap_or("")),
                printable(row.metadata.evaluating_host.unwrap_or("")),
                trial.config,
                row.metadata.location,
            );
        }
        lines
    }
}

/// The objective, or what went wrong.
fn end(trial: &Trial, goals: &Objectives) -> String {
    let report = trial.report.as_deref();
    let objective = report.and_then(|report| report.objective_to_minimize.as_ref());
    let failure = report.and_then(|report| report.failure.as_ref());
    match (objective, failure) {
        (Some(objective), _) => goals.shown(objective.as_slice()),
        (None, Some(failure)) => printable(failure.err.lines().next().unwrap_or("")),
        (None, None) => String::new(),
    }
}

/// Whatever is missing, or is no number, comes last.
fn order(by: &str, a: &Trial, b: &Trial, goals: &Objectives) -> Ordering {
    let goal = goals.position(by);
    let number = |trial: &Trial| match by {
        _ if goal.is_some() => {
            goal.and_then(|at| goals.minimised(trial.objectives()).get(at).copied())
        }
        "objective" => goals.minimised(trial.objectives()).first().copied(),
        "cost" => trial.report.as_ref().and_then(|report| report.cost),
        "duration" => trial.metadata.evaluation_duration,
        "start" => trial.metadata.time_started,
        name => trial.config.get(name).and_then(trialmill::Value::as_f64),
    };
    let missing = |x: Option<f64>| x.filter(|x| !x.is_nan());
    match (missing(number(a)), missing(number(b))) {
        (Some(x), Some(y)) => x.total_cmp(&y),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => {
            let text = |trial: &Trial| trial.config.get(by).map(ToString::to_string);
            text(a).cmp(&text(b))
        }
    }
}
