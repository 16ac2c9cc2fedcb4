//! What was measured, for people and for scripts.

use serde_json::{Value as Json, json};

use super::plan::{Measured, Row};

type Column = (&'static str, &'static str, fn(&Row) -> String);

/// Name, unit, value.
const COLUMNS: [Column; 10] = [
    ("workers", "", |row| row.workers.to_string()),
    ("trials/s", "", |row| format!("{:.0}", row.trials_per_second)),
    ("ask p50", "us", |row| number(row.ask_us.map(|us| us[0]))),
    ("ask p99", "us", |row| number(row.ask_us.map(|us| us[1]))),
    ("report p50", "us", |row| number(row.report_us.map(|us| us[0]))),
    ("report p99", "us", |row| number(row.report_us.map(|us| us[1]))),
    ("disk", "B/trial", |row| number(row.bytes_per_trial.map(|bytes| bytes as f64))),
    ("memory", "B/trial", |row| number(row.memory_per_trial.map(|bytes| bytes as f64))),
    ("open", "s", |row| row.open_s.map_or_else(|| "-".into(), |s| format!("{s:.3}"))),
    ("share", "", |row| row.least_share.map_or_else(|| "-".into(), |s| format!("{s:.2}"))),
];

fn number(x: Option<f64>) -> String {
    x.filter(|x| x.is_finite()).map_or_else(|| "-".into(), |x| format!("{x:.0}"))
}

pub(super) fn as_text(measured: &Measured) -> String {
    let mut text = format!("{:<22}", "kept");
    for (name, ..) in &COLUMNS {
        text += &format!(" {name:>10}");
    }
    text += &format!("\n{:<22}", "");
    for (_, unit, _) in &COLUMNS {
        text += &format!(" {unit:>10}");
    }
    for row in &measured.rows {
        text += &format!("\n{:<22}", format!("{}, {}", row.layout, row.kept));
        for (.., value) in &COLUMNS {
            text += &format!(" {:>10}", value(row));
        }
    }
    text += "\n";
    for row in &measured.rows {
        if let (Some(share), Some(ratio)) = (row.least_share, row.against_one_process) {
            text += &format!(
                "\n{}, {} workers each: {ratio:.2} times one process; the slowest process got \
                 {share:.2} of its fair share\n",
                row.kept, row.workers
            );
        }
    }
    if let Some((limit, _)) = measured.limit() {
        text += "\na trial of one worker, synced, in microseconds:\n";
        for (part, us) in &measured.parts {
            text += &format!("{us:>9.2}  {part}\n");
        }
        text += &format!("the limit: {limit}\n");
    }
    if let Some([share, twice]) = measured.evaluation_shares {
        text += &format!(
            "\nevaluations of 1 ms on all cores get {share:.3} of the cores' time; with two workers for \
             each core, {twice:.3}\n"
        );
    }
    text
}

pub(super) fn as_json(measured: &Measured) -> Json {
    let rows: Vec<Json> = measured
        .rows
        .iter()
        .map(|row| {
            json!({
                "layout": row.layout,
                "kept": row.kept,
                "workers": row.workers,
                "trials_per_second": row.trials_per_second,
                "least_share": row.least_share,
                "against_one_process": row.against_one_process,
                "ask_p50_us": row.ask_us.map(|us| us[0]),
                "ask_p99_us": row.ask_us.map(|us| us[1]),
                "report_p50_us": row.report_us.map(|us| us[0]),
                "report_p99_us": row.report_us.map(|us| us[1]),
                "bytes_per_trial": row.bytes_per_trial,
                "memory_bytes_per_trial": row.memory_per_trial,
                "open_s": row.open_s,
            })
        })
        .collect();
    let parts = measured.parts.iter().map(|(part, us)| ((*part).to_string(), json!(us)));
    json!({
        "rows": rows,
        "microseconds_of_one_worker": parts.collect::<Json>(),
        "limit": measured.limit().map(|(part, _)| part),
        "evaluation_share": measured.evaluation_shares.map(|shares| shares[0]),
        "evaluation_share_of_two_workers_a_core": measured.evaluation_shares.map(|shares| shares[1]),
    })
}
