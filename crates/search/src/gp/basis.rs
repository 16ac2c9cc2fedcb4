//! A mean that is a weighted sum of given functions, the first of them a constant (Rasmussen and Williams,
//! "Gaussian Processes for Machine Learning", 2006, 2.7); here the weights are the likeliest ones.

use crate::math::linalg::{Lower, dot};

/// The weights before any data: mean and standard deviation of the constant, and of the sources'
/// weights together.
const CONSTANT: (f64, f64) = (0.0, 2.0);
const SOURCES: (f64, f64) = (0.5, 0.5);

/// The functions.
pub(crate) trait Basis: Send + Sync {
    /// How many weights there are.
    fn len(&self) -> usize;

    /// What the weights are multiplied with at a point, the first being 1.
    fn at(&self, x: &[f64], out: &mut Vec<f64>);

    /// Adds the slopes of the weighted sum, `times` over.
    fn add_slopes(&self, x: &[f64], weights: &[f64], times: f64, out: &mut [f64]);
}

/// The likeliest weights given the factor of the covariance of what is left, and the logarithm of their
/// density. `features` are columns. No source weighs less than nothing: what is good there is not bad
/// here because of a few trials.
pub(crate) fn weights(lower: &Lower, features: &[Vec<f64>], y: &[f64]) -> (Vec<f64>, f64) {
    let count = features.len();
    let sources = count.saturating_sub(1).max(1) as f64;
    let belief = |at: usize| match at {
        0 => CONSTANT,
        _ => (SOURCES.0 / sources, SOURCES.1),
    };
    let solved: Vec<Vec<f64>> = features.iter().map(|column| lower.solve(column)).collect();
    let mut free: Vec<usize> = (0..count).collect();
    loop {
        let n = free.len();
        let (mut matrix, mut right) = (vec![0.0; n * n], vec![0.0; n]);
        for (i, g) in free.iter().enumerate() {
            let (mean, deviation) = belief(*g);
            let precision = 1.0 / (deviation * deviation);
            for (j, h) in free.iter().enumerate() {
                matrix[i * n + j] = dot(&features[*h], &solved[*g]);
            }
            matrix[i * n + i] += precision;
            right[i] = dot(y, &solved[*g]) + precision * mean;
        }
        let mut all = vec![0.0; count];
        let Some(factor) = Lower::cholesky(matrix, n) else { return (all, 0.0) };
        for (g, weight) in free.iter().zip(factor.solve(&right)) {
            all[*g] = weight;
        }
        let lowest = (1..count).min_by(|a, b| all[*a].total_cmp(&all[*b]));
        match lowest.filter(|g| all[*g] < 0.0) {
            Some(lowest) => free.retain(|g| *g != lowest),
            None => {
                let distance = |at: usize| (all[at] - belief(at).0) / belief(at).1;
                let density = (0..count).map(|at| -0.5 * distance(at) * distance(at)).sum();
                return (all, density);
            }
        }
    }
}

/// What the weighted features leave of the values.
pub(crate) fn left_over(features: &[Vec<f64>], weights: &[f64], y: &[f64]) -> Vec<f64> {
    let mut left = y.to_vec();
    for (column, weight) in features.iter().zip(weights) {
        left.iter_mut().zip(column).for_each(|(y, x)| *y -= weight * x);
    }
    left
}
