//! Runs the optimizers on the problems of `functions.json` and compares with the stored references.
//!
//! ```text
//! yardstick run NAME [--mode seq|par8] [--seeds 0-5] [--budget 100] [--problems single|a,b]
//!                    [--arguments JSON] [--marks 50,100] [--out FILE]
//!                    [--blind yes] [--transfer same|shifted|negated|mirrored]
//! yardstick table FILE... [--marks 50,100]
//! yardstick curves [--seeds 0-20]
//! yardstick prune [--seeds 0-20] [--pruner hyperband]
//! yardstick regret [--seeds 0-5] [--problems single|a,b]
//! yardstick time NAME PROBLEM N... [--arguments JSON]
//! ```

mod own;
mod problems;
mod prune;
mod regret;
mod run;
mod table;
mod tables;
mod transfer;

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;

use serde_json::{Value as Json, json};
use trialmill_search::{Driver, Observation, State, by_name, stream};

use problems::Problem;
use run::{Record, Setup, cpu_seconds};

const FLOOR: f64 = 1e-6;

struct Options {
    words: Vec<String>,
    flags: Vec<(String, String)>,
}

impl Options {
    fn read() -> Self {
        let (mut words, mut flags) = (Vec::new(), Vec::new());
        let mut arguments = std::env::args().skip(1);
        while let Some(word) = arguments.next() {
            match word.strip_prefix("--") {
                Some(flag) => flags.push((flag.into(), arguments.next().unwrap_or_default())),
                None => words.push(word),
            }
        }
        Options { words, flags }
    }

    fn flag<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.flags.iter().rev().find(|(n, _)| n == name).map_or(default, |(_, value)| value)
    }

    fn marks(&self, default: &str) -> Vec<String> {
        self.flag("marks", default).split(',').map(str::to_string).collect()
    }
}

fn main() -> ExitCode {
    match start(&Options::read()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("yardstick: {problem}");
            ExitCode::from(2)
        }
    }
}

fn start(options: &Options) -> Result<(), String> {
    let words: Vec<&str> = options.words.iter().map(String::as_str).collect();
    match words[..] {
        ["run", name] => runs(name, options),
        ["table", ref files @ ..] => {
            let mut records: Vec<Record> = Vec::new();
            for file in files {
                let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
                records.extend(text.lines().filter_map(|line| serde_json::from_str(line).ok()));
            }
            table::print(&records, &options.marks("50,100"), FLOOR);
            Ok(())
        }
        ["curves"] => each_curve_problem(options, |problem, seed| {
            println!("{}", prune::export(problem, seed));
            Ok(())
        }),
        ["prune"] => each_curve_problem(options, |problem, seed| {
            prune_all(problem, seed, options.flag("pruner", "all"))
        }),
        ["regret"] => regrets(options),
        ["time", name, problem, ref sizes @ ..] => times(name, problem, sizes, options),
        _ => Err("run NAME, table FILE..., curves, prune, regret or time NAME PROBLEM N...".into()),
    }
}

fn chosen(text: &str) -> Result<Vec<Problem>, String> {
    const NUMERIC: [&str; 8] = [
        "sphere5",
        "rosenbrock5",
        "branin",
        "hartmann3",
        "hartmann6",
        "ackley10",
        "rastrigin4",
        "levy8",
    ];
    let all = problems::all().map_err(|e| e.to_string())?;
    let is_chosen = |p: &Problem| match text {
        "all" => true,
        "numeric" => NUMERIC.contains(&p.name.as_str()),
        "single" | "fidelity" | "multi" => p.kind == text,
        list => list.split(',').any(|name| name == p.name),
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}

fn each_curve_problem(
    options: &Options,
    each: impl Fn(&Problem, u64) -> Result<(), String>,
) -> Result<(), String> {
    let number = |text: &str| text.parse::<u64>().map_err(|e| format!("'{text}': {e}"));
    let seeds = options.flag("seeds", "0-20");
    let (from, to) = seeds.split_once('-').unwrap_or(("0", seeds));
    for problem in chosen("curves-aligned,curves-crossing")? {
        for seed in number(from)?..number(to)? {
            each(&problem, seed)?;
        }
    }
    Ok(())
}

fn regrets(options: &Options) -> Result<(), String> {
    let number = |text: &str| text.parse::<u64>().map_err(|e| format!("'{text}': {e}"));
    let seeds = options.flag("seeds", "0-5");
    let (from, to) = seeds.split_once('-').unwrap_or(("0", seeds));
    for problem in chosen(options.flag("problems", "single"))? {
        for optimizer in ["random_search", "tpe"] {
            for seed in number(from)?..number(to)? {
                regret::run(&problem, optimizer, seed)?.iter().for_each(|line| println!("{line}"));
            }
        }
    }
    Ok(())
}

/// Every pruner that Optuna has too, and none.
fn prune_all(problem: &Problem, seed: u64, wanted: &str) -> Result<(), String> {
    for (name, arguments) in [
        ("none", json!({})),
        ("median", json!({})),
        ("percentile", json!({})),
        ("successive_halving", json!({"reduction_factor": 3})),
        ("hyperband", json!({"max_steps": 81})),
        ("patience", json!({"patience": 2, "pruner": "median"})),
    ] {
        if wanted != "all" && wanted != name {
            continue;
        }
        let arguments = arguments.as_object().cloned().unwrap_or_default();
        for workers in [1, 8] {
            let run = prune::run(problem, name, &arguments, workers, seed)?;
            println!("{}", serde_json::to_string(&run).map_err(|e| e.to_string())?);
        }
    }
    Ok(())
}

fn runs(name: &str, options: &Options) -> Result<(), String> {
    let number = |text: &str| text.parse::<u64>().map_err(|e| format!("'{text}': {e}"));
    let seeds = options.flag("seeds", "0-5");
    let (from, to) = seeds.split_once('-').unwrap_or(("0", seeds));
    let arguments: Json =
        serde_json::from_str(options.flag("arguments", "null")).map_err(|e| e.to_string())?;
    let parallel = match options.flag("mode", "seq").strip_prefix("par") {
        Some(count) => number(count)? as usize,
        None => 1,
    };
    let budget = number(options.flag("budget", "100"))? as usize;
    let transfer = transfer::Kind::read(options.flag("transfer", ""))?;
    let blind = options.flag("blind", "") == "yes";
    let setup = Setup { name, arguments: &arguments, parallel, budget, blind, transfer };
    let mut records = Vec::new();
    for problem in chosen(options.flag("problems", "single"))? {
        for seed in number(from)?..number(to)? {
            let record = run::run(&problem, &setup, seed)?;
            let out = options.flag("out", "");
            if !out.is_empty() {
                let line = serde_json::to_string(&record).map_err(|e| e.to_string())?;
                let file = OpenOptions::new().create(true).append(true).open(out);
                file.and_then(|mut f| writeln!(f, "{line}")).map_err(|e| format!("{out}: {e}"))?;
            }
            records.push(record);
        }
    }
    table::print(&records, &options.marks("50,100,200"), FLOOR);
    Ok(())
}

/// The CPU time of an ask and its tell, with that many random trials behind it.
fn times(name: &str, problem: &str, sizes: &[&str], options: &Options) -> Result<(), String> {
    let arguments: Json =
        serde_json::from_str(options.flag("arguments", "null")).map_err(|e| e.to_string())?;
    for problem in chosen(problem)? {
        for size in sizes {
            let size: u64 = size.parse().map_err(|e| format!("'{size}': {e}"))?;
            let mut driver = Driver::new(problem.space(), by_name(name, &arguments)?, 1)?;
            for number in 0..size {
                let mut trial =
                    Observation::pending(problem.space().sample(&mut stream(1, number)));
                trial.fidelity = problem.space().fidelity.map(|f| f.upper);
                let (y, _) = problem.evaluate(&problem.values(&trial.point), 81.0);
                let at = driver.observe(trial);
                driver.end(at, State::Finished, y);
            }
            // The first ask derives everything; a study pays that once.
            let before = cpu_seconds();
            let mut first = 0.0;
            let asks: u64 = if name == "tpe" { 100 } else { 50 };
            for number in size..=(size + asks) {
                let answer = driver.ask(1, number);
                if number == size {
                    first = cpu_seconds() - before;
                }
                let trialmill_search::Answer::Evaluate(list) = answer else { break };
                for suggestion in list {
                    let (y, _) = problem.evaluate(&problem.values(&suggestion.point), 81.0);
                    let at = driver.observe(Observation::pending(suggestion.point));
                    driver.end(at, State::Finished, y);
                }
            }
            let each = (cpu_seconds() - before - first) / asks as f64;
            println!(
                "{} {name} n={size}: {:.2} ms, the first {:.2} ms",
                problem.name,
                1000.0 * each,
                1000.0 * first
            );
        }
    }
    Ok(())
}
