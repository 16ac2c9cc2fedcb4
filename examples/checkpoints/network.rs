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

/// One hidden layer. All of it is in the checkpoint, so to go on is the same as never to have stopped.
#[derive(Serialize, Deserialize)]
pub(crate) struct Network {
    /// How many epochs it was trained.
    pub(crate) epoch: u64,
    /// The share of the validation digits that it gets wrong.
    pub(crate) error: f64,
    first: Vec<Vec<f32>>,
    second: Vec<Vec<f32>>,
}

impl Network {
    /// With so many hidden units, not trained yet.
    pub(crate) fn new(hidden: usize) -> Self {
        // Small weights that differ; any others would do.
        let weight = |at: usize| ((at as f32 * 12.9898).sin() * 43_758.547).fract() * 0.2;
        let layer = |rows: usize, columns: usize, seed: usize| -> Vec<Vec<f32>> {
            (0..rows)
                .map(|row| {
                    (0..columns).map(|column| weight(seed + row * columns + column)).collect()
                })
                .collect()
        };
        Network {
            epoch: 0,
            error: 1.0,
            first: layer(hidden, PIXELS + 1, 1),
            second: layer(CLASSES, hidden + 1, 10_000),
        }
    }

    fn forward(&self, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let dot = |row: &Vec<f32>, x: &[f32]| row.iter().zip(x).map(|(w, x)| w * x).sum::<f32>();
        let mut hidden: Vec<f32> = self.first.iter().map(|row| dot(row, x).tanh()).collect();
        hidden.push(1.0);
        let logits: Vec<f32> = self.second.iter().map(|row| dot(row, &hidden)).collect();
        let top = logits.iter().copied().fold(f32::MIN, f32::max);
        let odds: Vec<f32> = logits.iter().map(|logit| (logit - top).exp()).collect();
        let sum: f32 = odds.iter().sum();
        (hidden, odds.into_iter().map(|odds| odds / sum).collect())
    }

    /// One pass over the training digits, and the share of the others that it then gets wrong.
    pub(crate) fn epoch(&mut self, digits: &Digits, rate: f32) {
        for (x, label) in &digits.training {
            let (hidden, mut delta) = self.forward(x);
            delta[*label] -= 1.0;
            let back: Vec<f32> = (0..self.first.len())
                .map(|h| delta.iter().zip(&self.second).map(|(d, row)| d * row[h]).sum())
                .collect();
            for (row, d) in self.second.iter_mut().zip(&delta) {
                row.iter_mut().zip(&hidden).for_each(|(w, h)| *w -= rate * d * h);
            }
            for ((row, back), h) in self.first.iter_mut().zip(&back).zip(&hidden) {
                let step = rate * back * (1.0 - h * h);
                row.iter_mut().zip(x).for_each(|(w, x)| *w -= step * x);
            }
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
