//! The kernel, and the evidence of its parameters with their slopes.
//!
//! k(x, x') = s M(|x - x'| / l) + (a / d) `Σ_g` `M(|x_g` - x'_g| / `l_g`), where M is Matérn-5/2: one part
//! that knows all parameters together, and one that adds up what each does alone (Duvenaud et al.,
//! "Additive Gaussian Processes", 2011). Two different choices of a category are one apart (the
//! Hamming distance).

use std::sync::Arc;

use super::basis::{Basis, left_over, weights};
use crate::math::exp::exp;
use crate::math::linalg::{Lower, dot};
use crate::space::{Point, Space};

pub(crate) const SQRT_5: f64 = 2.236_067_977_499_79;
/// What is always added to the diagonal.
pub(crate) const JITTER: f64 = 1e-7;

/// Points, one column for each parameter; of a category the number of the choice.
#[derive(Clone)]
pub(crate) struct Inputs {
    pub(crate) n: usize,
    pub(crate) columns: Vec<Vec<f64>>,
    pub(crate) categorical: Vec<bool>,
    /// What other studies say, if there are any, and what it is at the points, in columns.
    pub(crate) trend: Option<Arc<dyn Basis>>,
    pub(crate) features: Vec<Vec<f64>>,
}

impl Inputs {
    pub(crate) fn new(space: &Space, extra: usize) -> Self {
        let d = space.len() + extra;
        let is_category = |g: usize| {
            space.dimensions.get(g).is_some_and(super::super::space::Dimension::is_categorical)
        };
        let categorical = (0..d).map(is_category).collect();
        let columns = vec![Vec::new(); d];
        Inputs { n: 0, columns, categorical, trend: None, features: Vec::new() }
    }

    /// With a trend; there are no points yet.
    pub(crate) fn with_trend(self, trend: Option<Arc<dyn Basis>>) -> Self {
        let features = vec![Vec::new(); trend.as_ref().map_or(0, |trend| trend.len())];
        Inputs { trend, features, ..self }
    }

    pub(crate) fn d(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn push(&mut self, x: &[f64]) {
        self.columns.iter_mut().zip(x).for_each(|(column, x)| column.push(*x));
        if let Some(trend) = &self.trend {
            let mut features = Vec::new();
            trend.at(x, &mut features);
            self.features.iter_mut().zip(features).for_each(|(column, x)| column.push(x));
        }
        self.n += 1;
    }

    /// Takes back the newest points, down to that many.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.columns.iter_mut().chain(&mut self.features).for_each(|column| column.truncate(n));
        self.n = n;
    }

    pub(crate) fn row(&self, i: usize) -> Point {
        self.columns.iter().map(|column| column[i]).collect()
    }
}

/// The logarithms of the kernel's parameters: the joint part's lengthscales, the additive part's,
/// s, a, and the noise.
pub(crate) type Theta = Vec<f64>;

/// Where a fit begins.
pub(crate) fn default_theta(d: usize) -> Theta {
    let joint = 0.5f64.ln() + 0.25 * (d.max(1) as f64).ln();
    let mut theta = vec![joint; d];
    theta.extend(std::iter::repeat_n(0.4f64.ln(), d));
    theta.extend([0.5f64.ln(), 0.5f64.ln(), 1e-3f64.ln()]);
    theta
}

/// Where the parameters may go.
pub(crate) fn bounds(d: usize) -> Vec<(f64, f64)> {
    let mut bounds = vec![(0.01f64.ln(), 60f64.ln()); 2 * d];
    bounds.extend([(-9.0, 4.0), (-9.0, 4.0), (1e-8f64.ln(), 1.0)]);
    bounds
}

/// The logarithm of the prior density of the parameters; adds its slopes.
fn log_prior(theta: &[f64], d: usize, slopes: &mut [f64]) -> f64 {
    let joint = 0.5f64.ln() + 0.25 * (d.max(1) as f64).ln();
    let belief = |at: usize| match at {
        _ if at < d => (joint, 1.0),
        _ if at < 2 * d => (0.5f64.ln(), 1.0),
        _ if at < 2 * d + 2 => (0.5f64.ln(), 1.5),
        _ => (1e-4f64.ln(), 3.0),
    };
    let mut total = 0.0;
    for (at, (theta, slope)) in theta.iter().zip(slopes).enumerate() {
        let (mean, sigma) = belief(at);
        let z = (theta - mean) / sigma;
        total -= 0.5 * z * z;
        *slope -= z / sigma;
    }
    total
}

/// The evidence of the parameters given points and values, made once for a data set.
pub(crate) struct Evidence {
    n: usize,
    d: usize,
    categorical: Vec<bool>,
    features: Vec<Vec<f64>>,
    /// For each parameter the distances of all pairs (i, j < i).
    distances: Vec<Vec<f64>>,
    squares: Vec<f64>,
    joint: Vec<f64>,
    additive: Vec<f64>,
    tails: Vec<f64>,
    slopes: Vec<Vec<f64>>,
    weights: Vec<f64>,
}

impl Evidence {
    pub(crate) fn new(inputs: &Inputs) -> Self {
        let (n, d) = (inputs.n, inputs.d());
        let pairs = n * n.saturating_sub(1) / 2;
        let distance = |(column, category): (&Vec<f64>, &bool)| {
            let mut list = Vec::with_capacity(pairs);
            for i in 0..n {
                let x = column[i];
                list.extend(column[..i].iter().map(|y| match category {
                    true => f64::from(u8::from(x != *y)),
                    false => (x - y).abs(),
                }));
            }
            list
        };
        let distances = inputs.columns.iter().zip(&inputs.categorical).map(distance).collect();
        let empty = || vec![0.0; pairs];
        Evidence {
            n,
            d,
            categorical: inputs.categorical.clone(),
            features: inputs.features.clone(),
            distances,
            squares: empty(),
            joint: empty(),
            additive: empty(),
            tails: empty(),
            slopes: (0..d).map(|_| empty()).collect(),
            weights: empty(),
        }
    }

    /// The logarithm of the evidence times the prior, negative, and its slopes; infinite where the
    /// matrix is not positive definite.
    pub(crate) fn negative(&mut self, theta: &[f64], y: &[f64], out: &mut [f64]) -> f64 {
        let (n, d) = (self.n, self.d);
        let (s, a) = (exp(theta[2 * d]), exp(theta[2 * d + 1]));
        let noise = exp(theta[2 * d + 2]);
        self.correlations(theta, s, a / d.max(1) as f64);
        let mut matrix = vec![0.0; n * n];
        let mut at = 0;
        for i in 0..n {
            for (m, (j, k)) in matrix[i * n..i * n + i]
                .iter_mut()
                .zip(self.joint[at..at + i].iter().zip(&self.additive[at..at + i]))
            {
                *m = j + k;
            }
            at += i;
            matrix[i * n + i] = s + a + noise + JITTER;
        }
        let Some(lower) = Lower::cholesky(matrix, n) else { return f64::INFINITY };
        // The likeliest weights of a trend: what is lost by another theta is lost by theirs, too.
        let (trend, density) = weights(&lower, &self.features, y);
        let y = &left_over(&self.features, &trend, y)[..];
        let alpha = lower.solve(y);
        let ln_2pi = (2.0 * std::f64::consts::PI).ln();
        let mut value =
            density - 0.5 * dot(y, &alpha) - lower.log_diagonal() - 0.5 * n as f64 * ln_2pi;

        // Q = α αᵀ - K⁻¹; half of its product with the slopes of K are the slopes of the evidence.
        let inverse = lower.inverse().transposed_square();
        let mut trace = 0.0;
        let mut at = 0;
        for i in 0..n {
            let row = &inverse[(i * n)..=(i * n + i)];
            let weights = &mut self.weights[at..at + i];
            for (w, (alpha_j, k)) in weights.iter_mut().zip(alpha.iter().zip(row)) {
                *w = alpha[i] * alpha_j - k;
            }
            trace += alpha[i] * alpha[i] - row[i];
            at += i;
        }
        for g in 0..d {
            out[d + g] = a / d as f64 * dot(&self.weights, &self.slopes[g]);
        }
        out[2 * d] = dot(&self.weights, &self.joint) + 0.5 * s * trace;
        out[2 * d + 1] = dot(&self.weights, &self.additive) + 0.5 * a * trace;
        out[2 * d + 2] = 0.5 * noise * trace;
        self.weights.iter_mut().zip(&self.tails).for_each(|(w, t)| *w *= t);
        for g in 0..d {
            let scale = exp(-2.0 * theta[g]);
            out[g] = scale * weighted_squares(&self.weights, &self.distances[g]);
        }
        value += log_prior(theta, d, out);
        for slope in out.iter_mut() {
            *slope = -*slope;
        }
        -value
    }

    /// Fills what the pairs' distances give: both parts of the kernel, and what their slopes need.
    fn correlations(&mut self, theta: &[f64], s: f64, a: f64) {
        let d = self.d;
        self.squares.fill(0.0);
        self.additive.fill(0.0);
        for g in 0..d {
            let (joint, alone) = (exp(-theta[g]), SQRT_5 * exp(-theta[d + g]));
            let distances = &self.distances[g];
            let n = distances.len();
            let (squares, additive) = (&mut self.squares[..n], &mut self.additive[..n]);
            let slopes = &mut self.slopes[g][..n];
            if self.categorical[g] {
                let e = exp(-alone);
                let (m, slope) = (
                    (1.0 + alone + alone * alone / 3.0) * e,
                    alone * alone / 3.0 * (1.0 + alone) * e,
                );
                for p in 0..n {
                    let x = distances[p];
                    squares[p] += x * joint * joint;
                    additive[p] += 1.0 + x * (m - 1.0);
                    slopes[p] = x * slope;
                }
                continue;
            }
            for p in 0..n {
                let x = distances[p];
                let (z, t) = (x * joint, x * alone);
                let e = exp(-t);
                let third = t * t * (1.0 / 3.0);
                squares[p] += z * z;
                additive[p] += (1.0 + t + third) * e;
                slopes[p] = third * (1.0 + t) * e;
            }
        }
        let n = self.squares.len();
        let (squares, joint) = (&self.squares[..n], &mut self.joint[..n]);
        let (additive, tails) = (&mut self.additive[..n], &mut self.tails[..n]);
        for p in 0..n {
            let t = SQRT_5 * squares[p].sqrt();
            let e = s * exp(-t);
            joint[p] = (1.0 + t + t * t * (1.0 / 3.0)) * e;
            tails[p] = (5.0 / 3.0) * (1.0 + t) * e;
            additive[p] *= a;
        }
    }
}

fn weighted_squares(weights: &[f64], x: &[f64]) -> f64 {
    let mut sums = [0.0f64; 8];
    let (cw, cx) = (weights.chunks_exact(8), x.chunks_exact(8));
    let rest: f64 = cw.remainder().iter().zip(cx.remainder()).map(|(w, x)| w * x * x).sum();
    for (w, x) in cw.zip(cx) {
        for i in 0..8 {
            sums[i] += w[i] * x[i] * x[i];
        }
    }
    sums.iter().sum::<f64>() + rest
}
