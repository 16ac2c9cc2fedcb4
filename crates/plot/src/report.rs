//! The report of a study: one page with everything in it, to keep or to mail.

use std::fmt::Write;

use trialmill_core::trial::State;
use trialmill_view::figures::{BudgetFigure, errors, importance, number, objectives, seconds};
use trialmill_view::{Live, TrialRow};

use super::pictures::{Options, Plot};
use super::svg::{escaped, themed};

/// Trials in the table of the best.
const BEST: usize = 20;

const STYLE: &str = include_str!("report.css");

/// The page, as HTML that loads nothing and runs nothing.
pub fn report(live: &Live, options: &Options) -> String {
    let summary = live.summary();
    let status = summary.status();
    let study = live.study();
    let name = live.directory().path().file_name();
    let name = name.map_or("study".into(), |name| name.to_string_lossy());
    let name = escaped(&name);
    let mut out = String::new();
    let _ = write!(
        out,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{name} – trialmill</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <style>\n{STYLE}</style></head><body><main>\n<h1>{name}</h1>\n<p class=\"lead\">{}, {}</p>\n",
        escaped(&status.optimizer.to_string()),
        status.seed.map_or("no seed yet".into(), |seed| format!("seed {seed}")),
    );
    let budget = BudgetFigure::of(live, options.now);
    let span = live.runs().span().map_or(0.0, |(first, last)| last - first);
    out += "<dl class=\"facts\">";
    let mut fact = |name: &str, value: String| {
        let _ = write!(out, "<div><dt>{name}</dt><dd>{}</dd></div>", escaped(&value));
    };
    match &status.best {
        Some(best) => fact("best", best.objective().map(ToString::to_string).unwrap_or_default()),
        None if status.front.len() > 1 => fact("on the front", status.front.len().to_string()),
        None => fact("best", "none yet".into()),
    }
    fact("trials", status.trials.to_string());
    for state in State::ALL {
        if study.count(state) > 0 {
            fact(state.name(), study.count(state).to_string());
        }
    }
    fact("took", seconds(span));
    if let Some(rate) = budget.trials_per_second {
        fact("trials a second", number(rate));
    }
    if status.requeues > 0 {
        fact("given back", format!("{} times", status.requeues));
    }
    out += "</dl>\n";
    if let Some(problem) = &status.problem {
        let _ = writeln!(out, "<p class=\"problem\" role=\"alert\">{}</p>", escaped(problem));
    }
    for plot in Plot::ALL {
        if let Ok(scene) = plot.draw(live, options) {
            let _ = writeln!(out, "<figure id=\"{plot}\">{}</figure>", themed(&scene));
        }
    }
    best_table(&mut out, live);
    let kinds = errors(live);
    if !kinds.is_empty() {
        out += "<h2>Errors by kind</h2><table><thead><tr><th>kind</th><th class=\"n\">trials</th>\
                <th>last message</th><th>last trial</th></tr></thead><tbody>";
        for kind in kinds {
            let (name, message) = (escaped(&kind.err_type), escaped(&kind.message));
            let (n, trial) = (kind.count, escaped(&kind.trial));
            let _ = write!(
                out,
                "<tr><td>{name}</td><td class=\"n\">{n}</td><td>{message}</td><td>{trial}</td></tr>"
            );
        }
        out += "</tbody></table>\n";
    }
    let shares = importance(live, options.objective);
    if !shares.is_empty() {
        out += "<h2>Importance</h2><table><thead><tr><th>parameter</th><th class=\"n\">share</th></tr>\
                </thead><tbody>";
        for one in shares.iter().take(100) {
            let (name, share) = (escaped(&one.name), one.share * 100.0);
            let _ = write!(out, "<tr><td>{name}</td><td class=\"n\">{share:.1} %</td></tr>");
        }
        out += "</tbody></table>\n";
    }
    let _ = writeln!(
        out,
        "<p class=\"foot\">Study {}, written by trialmill {}.</p></main></body></html>",
        escaped(status.study_id),
        env!("CARGO_PKG_VERSION")
    );
    out
}

fn best_table(out: &mut String, live: &Live) {
    let summary = live.summary();
    let objective = &objectives(live)[0];
    let trials = live.study().trials().iter().filter(|trial| trial.state == State::Success);
    let value = |objectives: &[f64]| objectives.first().map(|x| objective.minimised(*x));
    let mut best: Vec<_> =
        trials.filter_map(|trial| Some((value(trial.objectives())?, trial))).collect();
    if best.is_empty() {
        return;
    }
    best.sort_by(|a, b| a.0.total_cmp(&b.0));
    let rows: Vec<TrialRow<'_>> =
        best.iter().take(BEST).map(|(_, trial)| summary.row(trial)).collect();
    let names: Vec<&str> = rows[0].config.iter().map(|(name, _)| name).take(24).collect();
    *out +=
        "<h2>The best trials</h2><table><thead><tr><th>trial</th><th class=\"n\">objective</th>";
    for name in &names {
        let _ = write!(out, "<th>{}</th>", escaped(name));
    }
    *out += "<th class=\"n\">took</th></tr></thead><tbody>";
    for row in &rows {
        let (id, objective) =
            (row.id, row.objective().map(ToString::to_string).unwrap_or_default());
        let _ = write!(out, "<tr><td>{id}</td><td class=\"n\">{}</td>", escaped(&objective));
        for name in &names {
            let value = row.config.get(name).map(ToString::to_string).unwrap_or_default();
            let value: String = value.chars().take(80).collect();
            let _ = write!(out, "<td>{}</td>", escaped(&value));
        }
        let took = row.metadata.evaluation_duration.map_or(String::new(), seconds);
        let _ = write!(out, "<td class=\"n\">{took}</td></tr>");
    }
    *out += "</tbody></table>\n";
}
