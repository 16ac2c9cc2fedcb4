//! Two searches that people do, on real handwritten digits: does a model find more than chance, and what do
//! epochs as a fidelity save?
//!
//! ```text
//! cargo bench --bench digits [-- SEEDS [forests|networks]]
//! cargo bench --bench digits -- tables > benches/yardstick/digits.json
//! ```
//!
//! 1. A random forest of 5 parameters, 60 trials: `auto` and random search, the smallest error that each found.
//! 2. A network with a hidden layer and 5 parameters, 27 epochs: the best network that was trained to its end, within a
//!    ninth, a third and all of the epochs of 60 whole trainings, by random search, by `auto`, and by optimizers for
//!    which epochs are the fidelity, and which have a third of the epochs in all.
//!
//! `tables` trains both on a grid instead, and prints how many digits each gets wrong: the yardstick searches these
//! tables, where an evaluation takes no time.

#[path = "../examples/digits/model.rs"]
mod model;
#[path = "../examples/checkpoints/network.rs"]
mod network;
#[path = "support/digits_tables.rs"]
mod tables;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use model::Params;
use network::{Network, Training};
use trialmill::{
    BoxError, Config, OptimizerInfo, Outcome, Parameter, Report, RunningTrial, SearchSpace, Study,
};

const TRIALS: u64 = 60;
const EPOCHS: i64 = 27;
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/digits.csv");

fn main() -> Result<(), BoxError> {
    // `cargo bench` adds `--bench`.
    let seeds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(10);
    let only = |part: &str| std::env::args().any(|word| word == part);
    if only("tables") {
        return tables::print(DATA);
    }
    if !only("networks") {
        forests(seeds)?;
    }
    if !only("forests") {
        networks(seeds)?;
    }
    Ok(())
}

/// Runs one study in memory, one trial at a time, until so much is spent. An evaluation says its error and its cost.
fn run(
    space: &SearchSpace,
    optimizer: &str,
    seed: u64,
    cost: u64,
    evaluate: impl Fn(&Config) -> Result<(f64, u64), BoxError> + Send + Sync + 'static,
) -> Result<Outcome, BoxError> {
    let evaluate = move |trial: &RunningTrial| {
        let (error, cost) = evaluate(trial.config())?;
        Ok(Report::objective(error).cost(cost as f64))
    };
    let optimizer = OptimizerInfo::new(optimizer, Vec::<(String, i64)>::new());
    let study = Study::in_memory().space(space.clone()).optimizer_named(optimizer).seed(seed);
    Ok(study.workers(1).max_cost(cost as f64).run(evaluate)?)
}

fn best(outcome: &Outcome) -> f64 {
    outcome.best().and_then(trialmill::Trial::objective).unwrap_or(f64::NAN)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[middle]
    } else {
        f64::midpoint(sorted[middle - 1], sorted[middle])
    }
}

fn forests(seeds: u64) -> Result<(), BoxError> {
    let digits = model::Digits::load(DATA)?;
    let default = model::train(&digits, &Params::default())?.error;
    let digits = Arc::new(digits);
    let space = model::space()?;
    println!(
        "a random forest, {TRIALS} trials; the default parameters: {:.2} % wrong",
        100.0 * default
    );
    println!("seed  random   auto");
    let mut found: [Vec<f64>; 2] = Default::default();
    for seed in 0..seeds {
        for (optimizer, errors) in ["random_search", "auto"].iter().zip(&mut found) {
            let digits = digits.clone();
            let train =
                move |config: &Config| Ok((model::train(&digits, &Params::of(config)?)?.error, 1));
            errors.push(100.0 * best(&run(&space, optimizer, seed, TRIALS, train)?));
        }
        let at = seed as usize;
        println!("{seed:>4}  {:>5.2} %  {:>5.2} %", found[0][at], found[1][at]);
    }
    let wins = found[0].iter().zip(&found[1]).filter(|(random, auto)| auto < random).count();
    let losses = found[0].iter().zip(&found[1]).filter(|(random, auto)| auto > random).count();
    println!("median  {:.2} %  {:.2} %", median(&found[0]), median(&found[1]));
    println!("auto is better {wins} times and worse {losses} times of {seeds}\n");
    Ok(())
}

/// Networks that were trained so far, by their parameters: a longer training of the same goes on.
struct Trained {
    digits: network::Digits,
    networks: Mutex<HashMap<String, Network>>,
    /// The epochs so far, and the errors of whole trainings, each with the epochs by its end.
    log: Mutex<(u64, Vec<(u64, f64)>)>,
}

impl Trained {
    fn new() -> Result<Self, BoxError> {
        let digits = network::load(&std::fs::read_to_string(DATA)?).map_err(|e| e.to_string())?;
        Ok(Trained { digits, networks: Mutex::default(), log: Mutex::default() })
    }

    /// The error of a network, and how many epochs more it was trained.
    fn train(&self, config: &Config) -> Result<(f64, u64), BoxError> {
        let number = |name| config.float(name).map(|value| value as f32);
        let training = Training {
            rate: number("rate")?,
            hidden: config.int("hidden")? as usize,
            momentum: number("momentum")?,
            weight_decay: number("weight_decay")?,
            scale: number("scale")?,
        };
        let epochs = config.int("epochs").unwrap_or(EPOCHS) as u64;
        let mut networks = self.networks.lock().map_err(|e| e.to_string())?;
        let network =
            networks.entry(format!("{training:?}")).or_insert_with(|| Network::new(&training));
        let mut log = self.log.lock().map_err(|e| e.to_string())?;
        let before = log.0;
        while network.epoch < epochs {
            network.epoch(&self.digits, &training);
            log.0 += 1;
        }
        if epochs == EPOCHS as u64 {
            let by = log.0;
            log.1.push((by, network.error));
        }
        Ok((network.error, log.0 - before))
    }

    /// The smallest error of a whole training that ended within so many epochs.
    fn best_within(&self, epochs: u64) -> Result<f64, BoxError> {
        let log = self.log.lock().map_err(|e| e.to_string())?;
        let errors = log.1.iter().filter(|(by, _)| *by <= epochs).map(|(_, error)| *error);
        Ok(errors.fold(f64::INFINITY, f64::min))
    }
}

fn networks(seeds: u64) -> Result<(), BoxError> {
    let whole = [
        ("rate", Parameter::float(1e-4, 1.0).log()),
        ("hidden", Parameter::int(4, 64).log()),
        ("momentum", Parameter::float(0.0, 0.99)),
        ("weight_decay", Parameter::float(1e-6, 0.1).log()),
        ("scale", Parameter::float(0.01, 3.0).log()),
    ];
    let epochs = ("epochs", Parameter::int(1, EPOCHS).fidelity());
    let by_epochs = SearchSpace::new(whole.iter().cloned().chain([epochs]))?;
    let whole = SearchSpace::new(whole)?;
    let all = TRIALS * EPOCHS as u64;
    let marks = [all / 9, all / 3, all];
    println!("a network, {EPOCHS} epochs; the best whole training within {marks:?} epochs");
    let searches = [
        ("random_search", &whole, all),
        ("auto", &whole, all),
        ("freeze_thaw", &by_epochs, all / 3),
        ("async_hb", &by_epochs, all / 3),
    ];
    for (optimizer, space, epochs) in searches {
        let mut found: [Vec<f64>; 3] = Default::default();
        for seed in 0..seeds {
            let trained = Arc::new(Trained::new()?);
            let its = trained.clone();
            run(space, optimizer, seed, epochs, move |config| its.train(config))?;
            for (mark, errors) in marks.iter().zip(&mut found) {
                errors.push(100.0 * trained.best_within(*mark)?);
            }
        }
        let [ninth, third, all] = found.map(|errors| median(&errors));
        println!("{optimizer:<13}  {ninth:>5.2} %  {third:>5.2} %  {all:>5.2} %");
    }
    Ok(())
}
