//! A study as text for a terminal.

use std::fmt::Write;

use trialmill::{GridSearch, State};
use trialmill_core::definition::Definition;
use trialmill_core::objectives::Objectives;
use trialmill_core::trial::printable;
use trialmill_view::{EvaluationRow, GaveUpRow, ProcessRow, Status, TrialRow, WarmStartRow};

/// The maximum number of trials that a line names.
const NAMED: usize = 8;

/// The status of a study.
pub(super) fn status(status: &Status<'_>) -> String {
    // Writing to a `String` does not fail.
    let seed = status.seed.map_or_else(|| "no seed yet".into(), |seed| format!("seed {seed}"));
    let mut text = format!("{}: {}, {seed}\n", status.directory, status.optimizer);
    if let Some(chosen) = status.chosen {
        let _ = writeln!(text, "auto       {chosen}");
    }
    for source in &status.warm_start {
        let WarmStartRow { directory, trials, of, parameters } = source;
        let parameters = parameters.join(", ");
        let _ = writeln!(text, "began with {trials} of {of} trials of {directory}: {parameters}");
    }
    if !status.objectives.is_unsaid() || !status.constraints.is_empty() {
        let _ = writeln!(text, "objective  {}", status.objectives);
    }
    text += &spent(status);
    let counts: Vec<String> = State::ALL
        .into_iter()
        .filter_map(|state| status.counts.get(&state).map(|n| (state, *n)))
        .filter(|(_, n)| *n > 0)
        .map(|(state, n)| format!("{n} {state}"))
        .collect();
    let counts = if counts.is_empty() { "none".into() } else { counts.join(", ") };
    let _ = writeln!(text, "\ntrials     {counts}");
    if status.paused {
        text += "PAUSED     nothing is handed out until `trialmill resume`\n";
    }
    if let Some(infeasible) = status.infeasible.filter(|n| *n > 0) {
        let _ = writeln!(text, "infeasible {infeasible} of them violate a constraint");
    }
    if status.requeues > 0 {
        let _ = writeln!(text, "requeued   {} times", status.requeues);
    }
    text += &evaluations(&status.evaluations);
    if status.max_failures > 0 {
        let _ = writeln!(text, "crashed    are tried again {} times", status.max_failures);
    }
    for GaveUpRow { process, host, errors_in_a_row: n, time } in
        status.gave_up.iter().rev().take(NAMED)
    {
        let when = utc(*time);
        let _ = writeln!(
            text,
            "gave up    {process} on {host} at {when} UTC: {n} errors in a row, each sooner than a success \
             (`--give-up-after`); something may be missing there"
        );
    }
    if let Some(pruner) = status.pruner {
        let _ = writeln!(text, "pruner     {pruner}");
    }
    if !status.stop_early.is_unset() {
        let _ = writeln!(text, "ends early {}", status.stop_early);
    }
    if let Some(regret) = status.regret {
        let number = |x: Option<f64>| x.map_or_else(|| "not known".into(), |x| format!("{x:.3e}"));
        let (now, end) = (number(regret.at_most), number(regret.ends_at));
        let _ = writeln!(
            text,
            "regret     at most {now} after {} results; ends at {end}",
            regret.results
        );
    }
    if let Some(reason) = status.ended_early {
        let _ = writeln!(text, "ended      {reason}");
    }
    if let Some(rate) = status.trials_per_second {
        let _ = writeln!(text, "rate       {rate:.3} trials a second");
    }
    text.extend(status.processes.iter().map(process));
    for lease in status.leases.iter().take(NAMED) {
        let (trial, holder) = (lease.trial, printable(lease.holder.unwrap_or("?")));
        let _ = writeln!(text, "leased     trial {trial} to {holder} for {:.0} s", lease.seconds);
    }
    if let Some(error) = &status.last_error {
        let message = error.message.unwrap_or("no reason given");
        let message = printable(message.lines().next().unwrap_or(""));
        let _ = writeln!(text, "last error trial {}: {message}", error.trial);
    }
    let successes = [State::Success, State::External].iter().filter_map(|s| status.counts.get(s));
    text += &best(&status.front, status.objectives, successes.sum());
    if let Some(problem) = &status.problem {
        let _ = writeln!(text, "PROBLEM    {problem}");
    }
    text
}

/// What evaluates trials: the study's own, and where there was more than one, which trials ran which.
fn evaluations(rows: &[EvaluationRow<'_>]) -> String {
    let mut text = String::new();
    let skipped = rows.len().saturating_sub(NAMED);
    if skipped > 0 {
        let _ = writeln!(text, "evaluation … {skipped} earlier ones: --json has them");
    }
    let shown = rows.iter().enumerate().filter(|(at, row)| *at >= skipped || row.current);
    for (_, EvaluationRow { number, current, trials: n, evaluation }) in shown {
        let _ = match (rows.len(), current) {
            (1, true) => writeln!(text, "command    {evaluation}"),
            (_, true) => {
                writeln!(text, "evaluation {number}, now: {evaluation}: {}", trials(*n as u64))
            }
            (_, false) => {
                writeln!(text, "evaluation {number}: {evaluation}: {}", trials(*n as u64))
            }
        };
    }
    text
}

fn spent(status: &Status<'_>) -> String {
    let (budget, spent) = (&status.budget, &status.spent);
    let limit = |limit: Option<f64>| limit.map_or_else(String::new, |l| format!(" of {l}"));
    let evaluations = limit(budget.evaluations.map(|n| n as f64));
    let mut text = format!("spent      {}{evaluations} evaluations", spent.evaluations);
    for (name, spent, budget) in [
        ("cost", spent.cost, budget.cost),
        ("fidelity", spent.fidelity, budget.fidelity),
        ("seconds of evaluation", spent.evaluation_seconds, budget.evaluation_seconds),
    ] {
        if budget.is_some() || spent > 0.0 {
            let _ = write!(text, ", {}{} {name}", short(spent), limit(budget));
        }
    }
    if budget.steps.is_some() || spent.steps > 0 {
        let _ = write!(text, ", {}{} steps", spent.steps, limit(budget.steps.map(|n| n as f64)));
    }
    text
}

fn process(process: &ProcessRow<'_>) -> String {
    let ProcessRow { process, worker_id, host, pid, alive, evaluating } = process;
    let called = worker_id.map_or(String::new(), |id| format!(" ({})", printable(id)));
    let held = evaluating.iter().take(NAMED);
    let held: Vec<_> = held.map(|held| format!("{} ({:.0} s)", held.trial, held.seconds)).collect();
    let host = printable(host);
    let alive = match alive {
        true => "alive",
        false => "DEAD: the next worker that comes takes its trials back",
    };
    let (n, named) = (evaluating.len(), held.join(", "));
    let more = if n > held.len() { ", …" } else { "" };
    format!(
        "process    {process}{called} on {host} (pid {pid}) {alive}, evaluating {n}: {named}{more}\n"
    )
}

/// A number in few characters: 1e300 has 301 digits.
pub(super) fn short(x: f64) -> String {
    if x != 0.0 && !(1e-4..1e12).contains(&x.abs()) {
        return format!("{x:.6e}").replace(".000000", "");
    }
    let text = format!("{x:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_string()
}

/// `1 trial`, `2 trials`.
pub(super) fn trials(n: u64) -> String {
    format!("{n} trial{}", if n == 1 { "" } else { "s" })
}

/// The best trial, or with several objectives the Pareto front.
pub(super) fn best(front: &[TrialRow<'_>], goals: &Objectives, successes: u64) -> String {
    let line = |row: &TrialRow<'_>| {
        let objective = row.objective().map(|given| goals.shown(given.as_slice()));
        let (objective, id) = (objective.unwrap_or_default(), row.id);
        let location = &row.metadata.location;
        format!("best       {objective} by trial {id}: {}\n           in {location}\n", row.config)
    };
    match front {
        [] => format!("best       {}\n", goals.why_none_is_best(successes)),
        front => front.iter().map(line).collect(),
    }
}

/// What is said of a run that has no budget: when it ends.
pub(super) fn endless(definition: &Definition) -> String {
    let (space, info) = (&definition.space, &definition.optimizer);
    let points = || info.arguments.get("points")?.as_u64()?.try_into().ok();
    let grid = || GridSearch::new(points()?).ok()?.size(space);
    let counted = || space.iter().all(|(_, parameter)| parameter.domain().cardinality().is_some());
    let end = match info.name.as_str() {
        "grid_search" => match grid() {
            Some(points) => format!("all {points} points of the grid are evaluated, or "),
            None => "all points of the grid are evaluated, or ".into(),
        },
        // Of those that can be counted, only random search draws configurations again.
        name if counted() && !name.ends_with("random_search") => {
            "the optimizer has nothing more to propose, or ".into()
        }
        _ => String::new(),
    };
    format!("no budget is set: this runs until {end}it is stopped (Ctrl-C)")
}

/// Seconds since the Unix epoch as a date and a time.
pub(super) fn utc(time: f64) -> String {
    let seconds = time.clamp(0.0, 4e11) as i64;
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Days to a date, with years that begin in March.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let date = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{date:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_date() {
        for (time, text) in [
            (0.0, "1970-01-01 00:00:00"),
            (951_782_400.0, "2000-02-29 00:00:00"),
            (1_795_657_199.9, "2026-11-26 01:39:59"),
            (4_102_444_800.0, "2100-01-01 00:00:00"),
        ] {
            assert_eq!(utc(time), text);
        }
    }
}
