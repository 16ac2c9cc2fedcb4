//! What the best is, and how it came about, as text.

use std::fmt::Write as _;

use super::evaluated::{Evaluated, config, objective};
use crate::space::Translation;
use crate::value::Value;
use trialmill_core::study::StudyState;
use trialmill_core::trial::Report;

const TITLE: &str = "Best configs and their objectives across evaluations:\n";

pub(super) fn best(
    study: &StudyState,
    evaluated: &[Evaluated<'_>],
    translation: &Translation,
    ended: bool,
) -> String {
    let front = study.front();
    let mut text = String::new();
    for entry in evaluated.iter().filter(|it| front.iter().any(|best| best.id == it.trial.id)) {
        block(&mut text, entry, study, translation);
    }
    if let Some(Evaluated { usage, .. }) = evaluated.last().filter(|_| ended) {
        let _ = write!(text, "\n{}\nFinal cumulative metrics (Assuming completed run):", line());
        for (name, value) in usage.named() {
            let _ = write!(text, "\ncumulative_{name}: {}", value.repr());
        }
        text.push('\n');
    }
    titled(&text)
}

pub(super) fn trajectory(
    study: &StudyState,
    evaluated: &[Evaluated<'_>],
    translation: &Translation,
) -> String {
    let mut text = String::new();
    for entry in evaluated.iter().filter(|entry| entry.best.is_some_and(|(_, better)| better)) {
        block(&mut text, entry, study, translation);
    }
    titled(&text)
}

/// Empty where there is nothing yet, as NePS's are.
fn titled(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("{TITLE}{}\n{text}", line()) }
}

fn line() -> String {
    "-".repeat(80)
}

fn block(text: &mut String, entry: &Evaluated<'_>, study: &StudyState, translation: &Translation) {
    let Evaluated { trial, usage, .. } = entry;
    let what = if study.definition().objectives.maximises() { "" } else { " to minimize" };
    let _ = writeln!(text, "Config ID: {}\nObjective{what}: {}", trial.id, objective(trial).repr());
    if let Some(cost) = trial.report.as_deref().and_then(Report::charged_cost) {
        let _ = writeln!(text, "Cost: {}", Value::Float(cost).repr());
    }
    let [evaluations, cost, fidelities, time] = usage.named();
    for (name, value) in [evaluations, fidelities, cost, time] {
        let _ = writeln!(text, "Cumulative {name}: {}", value.repr());
    }
    let _ = writeln!(text, "Config: {}\n{}", config(trial, translation).repr(), line());
}
