//! A small neural network that reads the handwritten digits in `examples/data`, trained epoch by epoch.

use std::error::Error;

use serde::{Deserialize, Serialize};

const PIXELS: usize = 64;
const CLASSES: usize = 10;

/// Images with a constant 1, and what they show.
pub(crate) struct Digits {
    training: Vec<(Vec<f32>, usize)>,
    validation: Vec<(Vec<f32>, usize)>,
}

/// Of each five digits with the same label, three train and two validate.
pub(crate) fn load(text: &str) -> Result<Digits, Box<dyn Error>> {
    let mut digits = Digits { training: Vec::new(), validation: Vec::new() };
    let mut seen = [0; CLASSES];
    for line in text.lines() {
        let mut values: Vec<usize> = line.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let label = values.pop().filter(|label| *label < CLASSES).ok_or("no label")?;
        let mut pixels: Vec<f32> = values.iter().map(|value| *value as f32 / 16.0).collect();
        pixels.push(1.0);
        let trains = seen[label] % 5 < 3;
        seen[label] += 1;
        let part = if trains { &mut digits.training } else { &mut digits.validation };
        part.push((pixels, label));
    }
    Ok(digits)
}

/// How a network is made and trained.
#[derive(Debug)]
pub(crate) struct Training {
    pub(crate) rate: f32,
    /// Units of the hidden layer.
    pub(crate) hidden: usize,
    /// The share of a step that the next one keeps.
    pub(crate) momentum: f32,
    /// The share of itself that a weight loses in a step at a rate of 1.
    pub(crate) weight_decay: f32,
    /// The largest weight at first.
    pub(crate) scale: f32,
}

impl Default for Training {
    fn default() -> Self {
        Training { rate: 0.01, hidden: 24, momentum: 0.0, weight_decay: 0.0, scale: 0.2 }
    }
}

/// One hidden layer. All of it is in the checkpoint, so to go on is the same as never to have stopped.
#[derive(Serialize, Deserialize)]
pub(crate) struct Network {
    /// How many epochs it was trained.
    pub(crate) epoch: u64,
    /// The share of the validation digits that it gets wrong.
    pub(crate) error: f64,
    first: Layer,
    second: Layer,
}

/// The weights of each unit, and how they last changed.
#[derive(Serialize, Deserialize)]
struct Layer {
    weights: Vec<Vec<f32>>,
    steps: Vec<Vec<f32>>,
}

impl Layer {
    fn new(units: usize, inputs: usize, scale: f32, seed: usize) -> Self {
        // Weights that differ; any others would do.
        let weight = |at: usize| ((at as f32 * 12.9898).sin() * 43_758.547).fract() * scale;
        let row = |unit| (0..inputs).map(|input| weight(seed + unit * inputs + input)).collect();
        Layer { weights: (0..units).map(row).collect(), steps: vec![vec![0.0; inputs]; units] }
    }

    /// What each unit adds up.
    fn sums(&self, x: &[f32]) -> impl Iterator<Item = f32> {
        self.weights.iter().map(move |row| row.iter().zip(x).map(|(w, x)| w * x).sum())
    }

    /// Takes a step against the gradient: `slopes` of the units, each times the input.
    fn step(&mut self, training: &Training, slopes: &[f32], x: &[f32]) {
        let Training { rate, momentum, weight_decay, .. } = *training;
        for ((weights, steps), slope) in self.weights.iter_mut().zip(&mut self.steps).zip(slopes) {
            for ((w, step), x) in weights.iter_mut().zip(steps).zip(x) {
                *step = momentum * *step - rate * (slope * x + weight_decay * *w);
                *w += *step;
            }
        }
    }
}

impl Network {
    /// Not trained yet.
    pub(crate) fn new(training: &Training) -> Self {
        let Training { hidden, scale, .. } = *training;
        Network {
            epoch: 0,
            error: 1.0,
            first: Layer::new(hidden, PIXELS + 1, scale, 1),
            second: Layer::new(CLASSES, hidden + 1, scale, 10_000),
        }
    }

    fn forward(&self, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let mut hidden: Vec<f32> = self.first.sums(x).map(f32::tanh).collect();
        hidden.push(1.0);
        let logits: Vec<f32> = self.second.sums(&hidden).collect();
        let top = logits.iter().copied().fold(f32::MIN, f32::max);
        let odds: Vec<f32> = logits.iter().map(|logit| (logit - top).exp()).collect();
        let sum: f32 = odds.iter().sum();
        (hidden, odds.into_iter().map(|odds| odds / sum).collect())
    }

    /// One pass over the training digits, and the share of the others that it then gets wrong.
    pub(crate) fn epoch(&mut self, digits: &Digits, training: &Training) {
        for (x, label) in &digits.training {
            let (hidden, mut slopes) = self.forward(x);
            slopes[*label] -= 1.0;
            let back = |(unit, h): (usize, &f32)| {
                let second = slopes.iter().zip(&self.second.weights);
                (1.0 - h * h) * second.map(|(slope, row)| slope * row[unit]).sum::<f32>()
            };
            let first: Vec<f32> = hidden[..hidden.len() - 1].iter().enumerate().map(back).collect();
            self.second.step(training, &slopes, &hidden);
            self.first.step(training, &first, x);
        }
        let is_wrong = |(x, label): &&(Vec<f32>, usize)| {
            let (_, odds) = self.forward(x);
            // Also where none of them is a number any more.
            !odds[*label].is_finite()
                || (0..CLASSES).any(|other| other != *label && odds[other] >= odds[*label])
        };
        let wrong = digits.validation.iter().filter(is_wrong).count();
        self.error = wrong as f64 / digits.validation.len() as f64;
        self.epoch += 1;
    }
}
