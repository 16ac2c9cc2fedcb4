//! Instructions per trial, which a busy machine does not change: `cargo bench --bench instructions`.
//!
//! Each case runs under valgrind with N trials and with 2 N; the difference is what N trials take,
//! and what is set up before is not in it. Threads that wait are not counted, so what a message
//! costs is not here. Without valgrind it says so, and measures nothing.

mod support;

use std::process::Command;

use support::{Result, Solo};
use trialmill::{Durability, Parameter, RandomSearch, SearchSpace, Study};

type Case = fn(usize) -> Result<()>;

const CASES: [(&str, Case); 6] = [
    ("turn in memory, batch 64", |n| {
        let mut solo = Solo::in_memory()?;
        (0..n / 64).try_for_each(|_| solo.batch(64))
    }),
    ("turn in memory, one trial", |n| {
        let mut solo = Solo::in_memory()?;
        (0..n).try_for_each(|_| solo.batch(1))
    }),
    ("commit buffered, batch 64", |n| {
        let dir = tempfile::tempdir()?;
        let mut solo = Solo::on_disk(&dir.path().join("s"), Durability::Buffered)?;
        (0..n / 64).try_for_each(|_| solo.batch(64))
    }),
    ("commit buffered, one trial", |n| {
        let dir = tempfile::tempdir()?;
        let mut solo = Solo::on_disk(&dir.path().join("s"), Durability::Buffered)?;
        (0..n).try_for_each(|_| solo.batch(1))
    }),
    // Less the case "commit buffered, batch 64".
    ("write, then open", |n| {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("s");
        let mut solo = Solo::on_disk(&path, Durability::Buffered)?;
        (0..n / 64).try_for_each(|_| solo.batch(64))?;
        Solo::on_disk(&path, Durability::Buffered).map(drop)
    }),
    // With the actors, the closure and what is logged of both: how often a thread looks whether there is work
    // varies, so the last digits do.
    ("run in memory, batch 64", |n| {
        let outcome = Study::in_memory()
            .space(SearchSpace::new([("x", Parameter::float(0.0, 1.0))])?)
            .optimizer(RandomSearch::new())
            .workers(1)
            .batch(64)
            .max_evaluations(n as u64)
            .run(|trial| Ok(trial.config().float("x")?))?;
        assert_eq!(outcome.study().trials().len(), n);
        Ok(())
    }),
];

const TRIALS: usize = 64 * 40;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, case, trials] = &arguments[..]
        && let Ok(case) = case.parse::<usize>()
    {
        return CASES[case].1(trials.parse()?);
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("valgrind is not here: nothing is measured (apt-get install valgrind)");
        return Ok(());
    }
    println!("{:<28} {:>16}", "", "instructions");
    let mut counts = Vec::new();
    for (at, (name, _)) in CASES.iter().enumerate() {
        let count = (instructions(at, 2 * TRIALS)? - instructions(at, TRIALS)?) / TRIALS as i64;
        println!("{name:<28} {count:>9} a trial");
        counts.push(count);
    }
    println!("{:<28} {:>9} a trial", "open", counts[4] - counts[2]);
    Ok(())
}

fn instructions(case: usize, trials: usize) -> Result<i64> {
    let ran = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args([case.to_string(), trials.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&ran.stderr);
    if !ran.status.success() {
        return Err(format!("under valgrind it failed: {text}").into());
    }
    let line = text.lines().find(|line| line.contains("I refs:") || line.contains("I   refs:"));
    let digits: String = line
        .and_then(|line| line.rsplit(':').next())
        .unwrap_or_default()
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    Ok(digits.parse()?)
}
