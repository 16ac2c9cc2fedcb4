//! `/metrics`, for Prometheus.

use std::fmt::Write;

use trialmill_core::trial::State;
use trialmill_store::clock::now_s;
use trialmill_view::Live;
use trialmill_view::figures::BudgetFigure;

use super::studies::Studies;

/// All studies that are shown, in Prometheus' text format.
pub(crate) fn metrics(studies: &Studies) -> String {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    let names = [
        ("trialmill_trials", "gauge", "Trials, by state."),
        ("trialmill_best_objective", "gauge", "The best objective so far, of studies with one."),
        ("trialmill_budget_spent", "counter", "What was spent, by kind of budget."),
        ("trialmill_budget_limit", "gauge", "What may be spent, by kind of budget."),
        ("trialmill_processes_alive", "gauge", "Processes that take part and live."),
        ("trialmill_requeues_total", "counter", "Attempts that ended without a report."),
        ("trialmill_claims_total", "counter", "Evaluations that were started."),
        ("trialmill_seconds_left", "gauge", "Forecast of the time until the budget is used up."),
    ];
    for (name, kind, help) in names {
        lines.push((format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"), Vec::new()));
    }
    for shown in studies.list() {
        let key = escaped(&shown.key);
        let _ = shown.look(|live| add(&mut lines, &key, live));
    }
    let mut out = String::new();
    for (head, samples) in lines.iter().filter(|(_, samples)| !samples.is_empty()) {
        out += head;
        samples.iter().for_each(|sample| out += sample);
    }
    out
}

fn add(lines: &mut [(String, Vec<String>)], key: &str, live: &Live) {
    let study = live.study();
    let mut sample = |at: usize, label: &str, value: f64| {
        let name = lines[at].0.split(' ').nth(2).unwrap_or("").to_string();
        let mut line = String::new();
        // Writing to a `String` does not fail.
        let _ = writeln!(line, "{name}{{study=\"{key}\"{label}}} {value}");
        lines[at].1.push(line);
    };
    for state in State::ALL.into_iter().filter(|state| study.count(*state) > 0) {
        sample(0, &format!(",state=\"{state}\""), study.count(state) as f64);
    }
    if let Some(best) = study.best().and_then(trialmill_core::trial::Trial::objective) {
        sample(1, "", best);
    }
    let budget = BudgetFigure::of(live, now_s());
    for burn in &budget.burns {
        let label = format!(",budget=\"{}\"", burn.name);
        sample(2, &label, burn.spent);
        if let Some(limit) = burn.limit {
            sample(3, &label, limit);
        }
    }
    let alive = study.processes().filter(|process| live.directory().is_alive(process)).count();
    sample(4, "", alive as f64);
    sample(5, "", study.requeues() as f64);
    sample(6, "", study.claims() as f64);
    if let Some(left) = budget.seconds_left.filter(|_| alive > 0) {
        sample(7, "", left);
    }
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
