//! Trains forests and networks on a grid, and prints the tables that the yardstick searches.

use std::fs;

use serde_json::{Value as Json, json};
use smartcore::tree::decision_tree_classifier::SplitCriterion;
use trialmill::BoxError;

use crate::model::{self, Params};
use crate::network::{self, Network, Training};

/// The epochs after which a network is looked at.
const EPOCHS: [u64; 4] = [1, 3, 9, 27];
/// How many digits validate, in both splits.
const VALIDATED: usize = 712;

const TREES: [u16; 6] = [8, 12, 16, 24, 34, 48];
const DEPTHS: [u16; 6] = [3, 5, 7, 9, 12, 16];
const LEAVES: [usize; 6] = [1, 2, 4, 8, 16, 32];
const FEATURES: [f64; 6] = [0.02, 0.04, 0.08, 0.15, 0.3, 0.5];
const CRITERIA: [&str; 3] = ["gini", "entropy", "classification_error"];

const RATES: [f32; 9] = [1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0];
const UNITS: [usize; 5] = [4, 8, 16, 32, 64];
const MOMENTA: [f32; 6] = [0.0, 0.5, 0.8, 0.9, 0.95, 0.99];
const DECAYS: [f32; 4] = [1e-6, 1e-4, 1e-3, 0.01];
const SCALES: [f32; 4] = [0.01, 0.1, 0.3, 1.0];

/// Prints both tables, and the problems that are searched in them. A number is the place on the grid.
pub(crate) fn print(data: &str) -> Result<(), BoxError> {
    let place = |(name, count): (&str, usize)| json!({"type": "int", "name": name, "lower": 0, "upper": count - 1, "log": false});
    let forest = [("trees", 6), ("max_depth", 6), ("min_leaf", 6), ("max_features", 6)];
    let mut forest: Vec<Json> = forest.into_iter().map(place).collect();
    forest.push(json!({"type": "categorical", "name": "criterion", "choices": CRITERIA}));
    let network = [("rate", 9), ("hidden", 5), ("momentum", 6), ("weight_decay", 4), ("scale", 4)];
    let network: Vec<Json> = network.into_iter().map(place).collect();
    let (forests, networks) = (forests(data)?, networks(data)?);
    let least = |wrong: &[Vec<usize>]| {
        let last = wrong.iter().filter_map(|row| row.last());
        100.0 * *last.min().unwrap_or(&0) as f64 / VALIDATED as f64
    };
    let problem = |name: &str, params: &[Json], table: &str, least: f64| json!({"name": name, "params": params, "optimum": least, "budget": 200, "kind": "own", "table": table});
    let mut by_epochs = problem("digits-network-epochs", &network, "network", least(&networks));
    by_epochs["kind"] = "fidelity".into();
    by_epochs["budget"] = 1620.into();
    by_epochs["fidelity"] = json!({"lower": 1, "upper": 27});
    let file = json!({
        "problems": [
            problem("digits-forest", &forest, "forest", least(&forests)),
            problem("digits-network", &network, "network", least(&networks)),
            by_epochs,
        ],
        "tables": {
            "forest": {"sizes": [6, 6, 6, 6, 3], "epochs": [0], "of": VALIDATED, "wrong": forests},
            "network": {"sizes": [9, 5, 6, 4, 4], "epochs": EPOCHS, "of": VALIDATED, "wrong": networks},
        },
    });
    println!("{file}");
    Ok(())
}

/// How many digits are wrong, of each forest; the last parameter changes fastest.
fn forests(data: &str) -> Result<Vec<Vec<usize>>, BoxError> {
    let digits = model::Digits::load(data)?;
    let mut wrong = Vec::new();
    for trees in TREES {
        for max_depth in DEPTHS {
            for min_leaf in LEAVES {
                for max_features in FEATURES {
                    let criteria = [
                        SplitCriterion::Gini,
                        SplitCriterion::Entropy,
                        SplitCriterion::ClassificationError,
                    ];
                    for criterion in criteria {
                        let params = Params { trees, max_depth, min_leaf, max_features, criterion };
                        wrong.push(vec![count(model::train(&digits, &params)?.error)]);
                    }
                }
            }
        }
        eprintln!("forests of {trees} trees are trained");
    }
    Ok(wrong)
}

/// The same of each network, after each of the epochs.
fn networks(data: &str) -> Result<Vec<Vec<usize>>, BoxError> {
    let digits = network::load(&fs::read_to_string(data)?).map_err(|e| e.to_string())?;
    let mut wrong = Vec::new();
    for rate in RATES {
        for hidden in UNITS {
            for momentum in MOMENTA {
                for weight_decay in DECAYS {
                    for scale in SCALES {
                        let training = Training { rate, hidden, momentum, weight_decay, scale };
                        let mut network = Network::new(&training);
                        let mut after = |epochs: u64| {
                            while network.epoch < epochs {
                                network.epoch(&digits, &training);
                            }
                            count(network.error)
                        };
                        wrong.push(EPOCHS.map(&mut after).to_vec());
                    }
                }
            }
        }
        eprintln!("networks with a rate of {rate} are trained");
    }
    Ok(wrong)
}

fn count(error: f64) -> usize {
    (error * VALIDATED as f64).round() as usize
}
