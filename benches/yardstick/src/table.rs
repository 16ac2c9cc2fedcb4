//! Medians, quartiles, and ratios to the stored references.

use std::collections::BTreeMap;

use crate::run::Record;

/// The per-seed results of other optimizers that are kept with the problems.
pub(crate) fn references() -> Vec<Record> {
    let files = [
        include_str!("../../../crates/search/testdata/single-and-multi.jsonl"),
        include_str!("../../../crates/search/testdata/gp-100.jsonl"),
        include_str!("../../../crates/search/testdata/fidelity.jsonl"),
        include_str!("../own.jsonl"),
    ];
    let lines = files.iter().flat_map(|text| text.lines());
    lines.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The quantile of a sorted list, by linear interpolation.
pub(crate) fn quantile(sorted: &[f64], q: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let at = q * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

fn sorted(records: &[Record], problem: &str, sampler: &str, mode: &str, mark: &str) -> Vec<f64> {
    let is_it = |r: &&Record| r.problem == problem && r.sampler == sampler && r.mode == mode;
    let mut list: Vec<f64> =
        records.iter().filter(is_it).filter_map(|r| r.regret.get(mark)).copied().collect();
    list.sort_by(f64::total_cmp);
    list
}

/// The probability that a seed of ours beats a seed of theirs, ties halved.
fn wins(ours: &[f64], theirs: &[f64]) -> f64 {
    let one = |a: &f64, b: &f64| if a < b { 1.0 } else { f64::from(u8::from(a == b)) * 0.5 };
    let total: f64 = ours.iter().map(|a| theirs.iter().map(|b| one(a, b)).sum::<f64>()).sum();
    total / (ours.len() * theirs.len()).max(1) as f64
}

/// How likely ours would be at least so much worse by chance (Mann and Whitney, 1947; normal approximation
/// with ties).
fn chance(ours: &[f64], theirs: &[f64]) -> f64 {
    let (m, n) = (ours.len() as f64, theirs.len() as f64);
    let mut all: Vec<f64> = ours.iter().chain(theirs).copied().collect();
    all.sort_by(f64::total_cmp);
    let ties: f64 =
        all.chunk_by(|a, b| a == b).map(|tie| (tie.len() as f64).powi(3) - tie.len() as f64).sum();
    let total = m + n;
    let variance = m * n / 12.0 * (total + 1.0 - ties / (total * (total - 1.0)).max(1.0));
    let worse = (0.5 - wins(ours, theirs)) * m * n - 0.5;
    if variance <= 0.0 { 1.0 } else { 0.5 * libm::erfc(worse / variance.sqrt() / 2f64.sqrt()) }
}

/// Prints one line for each problem and mark: median and quartiles of ours, then for each
/// reference its median, our ratio to it, and how often we win.
pub(crate) fn print(ours: &[Record], marks: &[String], floor: f64) {
    let references = references();
    let mut keys: Vec<(&str, &str, &str)> = Vec::new();
    for r in ours {
        let key = (r.problem.as_str(), r.sampler.as_str(), r.mode.as_str());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let mut logs: BTreeMap<(String, String, &str), Vec<f64>> = BTreeMap::new();
    for mark in marks {
        for (problem, sampler, mode) in &keys {
            let list = sorted(ours, problem, sampler, mode, mark);
            if list.is_empty() {
                continue;
            }
            let median = quantile(&list, 0.5);
            let (low, high) = (quantile(&list, 0.25), quantile(&list, 0.75));
            let mut line = format!(
                "{mark:>4} {problem:<17} {sampler}/{mode} {median:<9.3e} [{low:.1e}, {high:.1e}] ({})",
                list.len()
            );
            for name in ["tpe", "gp", "cma", "tpe+hyperband", "neps:hyperband", "neps:priorband"] {
                let theirs = sorted(&references, problem, name, mode, mark);
                if theirs.is_empty() {
                    continue;
                }
                let reference = quantile(&theirs, 0.5);
                let ratio = median.max(floor) / reference.max(floor);
                let won = 100.0 * wins(&list, &theirs);
                line += &format!("  {name} {reference:.2e} x{ratio:.2e} {won:.0}%");
                let p = chance(&list, &theirs);
                if ratio > 1.25 && p < 0.05 {
                    line += &format!(" WORSE (p {p:.3})");
                }
                let key = (format!("{sampler}/{mode}"), name.to_string(), mark.as_str());
                logs.entry(key).or_default().push(ratio.ln());
            }
            println!("{line}");
        }
    }
    for ((sampler, name, mark), logs) in logs {
        let mean = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
        println!("at {mark}: {sampler} / {name}: {mean:.3} over {} problems", logs.len());
    }
    for (problem, sampler, mode) in &keys {
        let is_it = |r: &&Record| r.problem == *problem && r.sampler == *sampler && r.mode == *mode;
        let list: Vec<f64> = ours.iter().filter(is_it).map(|r| r.ask_ms).collect();
        let mean = list.iter().sum::<f64>() / list.len().max(1) as f64;
        println!("CPU per ask: {problem:<17} {sampler}/{mode} {mean:.2} ms");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_is_that_of_the_tables() {
        let theirs: Vec<f64> = (0..8).map(f64::from).collect();
        let same = chance(&theirs, &theirs);
        assert!((same - 0.5).abs() < 0.05, "{same}");
        let above: Vec<f64> = theirs.iter().map(|x| x + 0.5).collect();
        let far: Vec<f64> = theirs.iter().map(|x| x + 10.0).collect();
        let (some, none) = (chance(&above, &theirs), chance(&far, &theirs));
        assert!(some > 0.3 && some < 0.5, "{some}");
        assert!(none < 0.001, "{none}");
        assert!(chance(&[1.0, 1.0], &[1.0, 1.0]) > 0.4);
    }
}
