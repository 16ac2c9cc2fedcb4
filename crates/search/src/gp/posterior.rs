//! The Gaussian process given its data: means, spreads and their slopes.

use super::basis::{left_over, weights};
use super::kernel::{Inputs, JITTER, SQRT_5};
use crate::math::exp::exp;
use crate::math::linalg::{Lower, dot};
use crate::math::{normal, sobol};

/// A kernel with parameters, and data.
pub(crate) struct Posterior {
    pub(crate) inputs: Inputs,
    joint: Vec<f64>,
    alone: Vec<f64>,
    s: f64,
    a: f64,
    noise: f64,
    lower: Lower,
    inverse: Lower,
    /// The weights of the trend, if there is one.
    trend: Vec<f64>,
    /// K⁻¹ y, for each fantasy.
    pub(crate) alphas: Vec<Vec<f64>>,
    /// What the trials in progress give, in each fantasy.
    pub(crate) fantasies: Vec<Vec<f64>>,
}

/// What is reused from one prediction to the next.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) k: Vec<f64>,
    squares: Vec<f64>,
    tails: Vec<f64>,
    features: Vec<f64>,
    /// The trend at the point.
    trend: f64,
}

impl Posterior {
    /// None if the matrix is not positive definite even with more on its diagonal.
    pub(crate) fn new(inputs: Inputs, theta: &[f64], y: &[f64]) -> Option<Self> {
        let d = inputs.d();
        let mut posterior = Posterior {
            joint: theta[..d].iter().map(|t| exp(-t)).collect(),
            alone: theta[d..2 * d].iter().map(|t| exp(-t)).collect(),
            s: exp(theta[2 * d]),
            a: exp(theta[2 * d + 1]),
            noise: exp(theta[2 * d + 2]) + JITTER,
            lower: Lower::default(),
            inverse: Lower::default(),
            trend: Vec::new(),
            alphas: Vec::new(),
            fantasies: Vec::new(),
            inputs,
        };
        posterior.factor(0)?;
        posterior.trend = weights(&posterior.lower, &posterior.inputs.features, y).0;
        posterior.alphas = vec![posterior.lower.solve(&posterior.left_over(y))];
        Some(posterior)
    }

    /// What the trend leaves of the values of the first points.
    fn left_over(&self, y: &[f64]) -> Vec<f64> {
        left_over(&self.inputs.features, &self.trend, y)
    }

    /// Makes the factor of the covariance; the last `exact` points are without noise.
    fn factor(&mut self, exact: usize) -> Option<()> {
        let n = self.inputs.n;
        let mut matrix = vec![0.0; n * n];
        let mut scratch = Scratch::default();
        for i in 0..n {
            self.covariances(&self.inputs.row(i), i, &mut scratch);
            matrix[i * n..i * n + i].copy_from_slice(&scratch.k);
            let noise = if i + exact >= n { JITTER + 1e-6 * self.variance() } else { self.noise };
            matrix[i * n + i] = self.variance() + noise;
        }
        for more in [0.0, 1e-6, 1e-4, 1e-2] {
            let mut matrix = matrix.clone();
            (0..n).for_each(|i| matrix[i * n + i] += more * self.variance());
            if let Some(lower) = Lower::cholesky(matrix, n) {
                self.inverse = lower.inverse();
                self.lower = lower;
                return Some(());
            }
        }
        None
    }

    /// The variance before any data.
    pub(crate) fn variance(&self) -> f64 {
        self.s + self.a
    }

    /// The variance of the noise that is more than a numerical need.
    pub(crate) fn real_noise(&self) -> f64 {
        (self.noise - 1e-3 * self.variance()).max(0.0)
    }

    /// One over the joint lengthscale of a parameter.
    pub(crate) fn inverse_lengthscale(&self, g: usize) -> f64 {
        self.joint[g]
    }

    /// Means and spreads at the data themselves.
    pub(crate) fn at_data(&self, y: &[f64]) -> Vec<(f64, f64)> {
        let n = self.inputs.n;
        let mut diagonal = vec![0.0; n];
        for i in 0..n {
            diagonal.iter_mut().zip(self.inverse.row(i)).for_each(|(sum, x)| *sum += x * x);
        }
        let at = |i: usize| {
            let mean = y[i] - self.noise * self.alphas[0][i];
            let variance = self.noise - self.noise * self.noise * diagonal[i];
            (mean, variance.max(1e-12).sqrt())
        };
        (0..n).map(at).collect()
    }

    /// Adds points whose values are not known yet: in each of the fantasies they are a draw from
    /// what is believed now (Snoek et al., "Practical Bayesian Optimization", 2012).
    pub(crate) fn imagine(&mut self, points: &[Vec<f64>], y: &[f64], count: usize, seed: u64) {
        if points.is_empty() {
            return;
        }
        let (old, p) = (self.inputs.n, points.len());
        for point in points {
            self.inputs.push(point);
        }
        let kept = (self.lower.clone(), self.inverse.clone());
        if self.factor(p).is_none() {
            self.inputs.truncate(old);
            (self.lower, self.inverse) = kept;
            return;
        }
        // The new rows of the factor hold the posterior of the new points: its mean given the data
        // is their first part times L⁻¹ y, and its covariance's factor is their second part.
        let mut left = self.left_over(y);
        left.resize(old + p, 0.0);
        let white = self.lower.forward(&left);
        self.alphas.clear();
        for at in 0..count {
            let z = sobol::point(at as u64, p, seed);
            let mut whitened = white[..old].to_vec();
            whitened.extend(z.iter().map(|u| normal::quantile(u.clamp(1e-6, 1.0 - 1e-6))));
            let trend = |i: usize| -> f64 {
                self.trend.iter().zip(&self.inputs.features).map(|(w, f)| w * f[i]).sum()
            };
            let values: Vec<f64> =
                (old..old + p).map(|i| dot(self.lower.row(i), &whitened) + trend(i)).collect();
            self.alphas.push(self.lower.backward(&whitened));
            self.fantasies.push(values);
        }
    }

    /// The covariances of a point with the first `n` data.
    fn covariances(&self, x: &[f64], n: usize, scratch: &mut Scratch) {
        let d = self.inputs.d();
        let Scratch { k, squares, .. } = scratch;
        k.clear();
        k.resize(n, 0.0);
        squares.clear();
        squares.resize(n, 0.0);
        let (k, squares) = (&mut k[..n], &mut squares[..n]);
        for g in 0..d {
            let column = &self.inputs.columns[g][..n];
            let (joint, alone) = (self.joint[g], SQRT_5 * self.alone[g]);
            let x = x[g];
            if self.inputs.categorical[g] {
                let m = (1.0 + alone + alone * alone / 3.0) * exp(-alone);
                for i in 0..n {
                    let differs = if column[i] == x { 0.0 } else { 1.0 };
                    squares[i] += differs * joint * joint;
                    k[i] += 1.0 + differs * (m - 1.0);
                }
                continue;
            }
            for i in 0..n {
                let distance = (x - column[i]).abs();
                let (z, t) = (distance * joint, distance * alone);
                squares[i] += z * z;
                k[i] += (1.0 + t + t * t * (1.0 / 3.0)) * exp(-t);
            }
        }
        let (s, a) = (self.s, self.a / d.max(1) as f64);
        for i in 0..n {
            let t = SQRT_5 * squares[i].sqrt();
            k[i] = s * (1.0 + t + t * t * (1.0 / 3.0)) * exp(-t) + a * k[i];
        }
    }

    /// The spread at a point; leaves its covariances in the scratch, from which
    /// [`mean`](Self::mean) takes them.
    pub(crate) fn spread(&self, x: &[f64], scratch: &mut Scratch) -> f64 {
        self.covariances(x, self.inputs.n, scratch);
        self.follow_trend(x, scratch);
        let explained: f64 = (0..self.inputs.n)
            .map(|i| {
                let v = dot(self.inverse.row(i), &scratch.k);
                v * v
            })
            .sum();
        (self.variance() - explained).max(1e-12).sqrt()
    }

    fn follow_trend(&self, x: &[f64], scratch: &mut Scratch) {
        scratch.trend = 0.0;
        if let Some(trend) = &self.inputs.trend {
            trend.at(x, &mut scratch.features);
            scratch.trend = dot(&self.trend, &scratch.features);
        }
    }

    /// The mean in a fantasy, at the point of the last [`spread`](Self::spread).
    pub(crate) fn mean(&self, fantasy: usize, scratch: &Scratch) -> f64 {
        dot(&self.alphas[fantasy], &scratch.k) + scratch.trend
    }

    /// The mean at a point, for whoever does not need its spread.
    pub(crate) fn mean_at(&self, x: &[f64], scratch: &mut Scratch) -> f64 {
        self.covariances(x, self.inputs.n, scratch);
        self.follow_trend(x, scratch);
        self.mean(0, scratch)
    }

    /// The slopes of a combination of the means and the spread at the point of the last
    /// [`spread`](Self::spread): Σ `means[m]` `mean_m` + `spread` σ. Categories have none.
    pub(crate) fn slopes(
        &self,
        x: &[f64],
        (means, spread, sigma): (&[f64], f64, f64),
        scratch: &mut Scratch,
        out: &mut [f64],
    ) {
        let n = self.inputs.n;
        let Scratch { k, squares, tails, .. } = scratch;
        let mut coefficients = vec![0.0; n];
        if spread != 0.0 {
            coefficients = self.inverse.transposed_times(&self.inverse.times(k));
            for c in &mut coefficients {
                *c *= -spread / sigma;
            }
        }
        for (weight, alpha) in means.iter().zip(&self.alphas) {
            coefficients.iter_mut().zip(alpha).for_each(|(c, a)| *c += weight * a);
        }
        // The joint part's slope is the same for all parameters but for the distance.
        tails.clear();
        tails.extend(squares.iter().zip(&coefficients).map(|(r2, c)| {
            let t = SQRT_5 * r2.sqrt();
            c * self.s * (5.0 / 3.0) * (1.0 + t) * exp(-t)
        }));
        let a = self.a / self.inputs.d().max(1) as f64 * (5.0 / 3.0);
        for (g, slope) in out.iter_mut().enumerate() {
            *slope = 0.0;
            if self.inputs.categorical[g] {
                continue;
            }
            let (column, x) = (&self.inputs.columns[g][..n], x[g]);
            let (joint, alone) = (self.joint[g] * self.joint[g], self.alone[g] * self.alone[g]);
            let own = SQRT_5 * self.alone[g];
            let (tails, coefficients) = (&tails[..n], &coefficients[..n]);
            let mut sums = [0.0; 4];
            for i in 0..n {
                let difference = x - column[i];
                let t = difference.abs() * own;
                let additive = a * alone * (1.0 + t) * exp(-t) * coefficients[i];
                sums[i % 4] -= difference * (tails[i] * joint + additive);
            }
            *slope = sums.iter().sum();
        }
        if let Some(trend) = &self.inputs.trend {
            trend.add_slopes(x, &self.trend, means.iter().sum(), out);
        }
    }
}
