//! The normal distribution of CMA-ES, and how it learns.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::math::linalg::{dot, symmetric_eigen};
use crate::math::normal;

#[derive(Debug, Clone)]
pub(super) struct Distribution {
    d: usize,
    mean: Vec<f64>,
    sigma: f64,
    covariance: Vec<f64>,
    /// The eigenvectors of the covariance in rows, and the roots of its eigenvalues.
    axes: Vec<f64>,
    lengths: Vec<f64>,
    sigma_path: Vec<f64>,
    path: Vec<f64>,
    generation: f64,
}

/// The weights of a generation and what follows from them (the tutorial's table 1).
struct Weights {
    list: Vec<f64>,
    effective: f64,
    c_sigma: f64,
    d_sigma: f64,
    c_c: f64,
    c_1: f64,
    c_mu: f64,
}

impl Weights {
    fn new(population: usize, d: usize) -> Self {
        let (n, d) = (population as f64, d as f64);
        let raw: Vec<f64> =
            (1..=population).map(|i| f64::midpoint(n, 1.0).ln() - (i as f64).ln()).collect();
        let sums = |list: &[f64]| -> (f64, f64) {
            (list.iter().sum::<f64>(), list.iter().map(|w| w * w).sum::<f64>())
        };
        let split = raw.iter().position(|w| *w <= 0.0).unwrap_or(population);
        let (sum, squares) = sums(&raw[..split]);
        let (minus, minus_squares) = sums(&raw[split..]);
        let effective = sum * sum / squares;
        let minus_effective = minus * minus / minus_squares.max(1e-300);
        let c_1 = 2.0 / ((d + 1.3) * (d + 1.3) + effective);
        let c_mu = (2.0 * (effective - 2.0 + 1.0 / effective)
            / ((d + 2.0) * (d + 2.0) + effective))
            .min(1.0 - c_1);
        let c_sigma = (effective + 2.0) / (d + effective + 5.0);
        let alpha = (1.0 + c_1 / c_mu.max(1e-12))
            .min(1.0 + 2.0 * minus_effective / (effective + 2.0))
            .min((1.0 - c_1 - c_mu) / (d * c_mu).max(1e-12));
        let list = raw
            .iter()
            .map(|w| if *w > 0.0 { w / sum } else { alpha * w / minus.abs().max(1e-300) })
            .collect();
        let more = 2.0 * (((effective - 1.0) / (d + 1.0)).max(0.0).sqrt() - 1.0).max(0.0);
        Weights {
            list,
            effective,
            c_sigma,
            d_sigma: 1.0 + more + c_sigma,
            c_c: (4.0 + effective / d) / (d + 4.0 + 2.0 * effective / d),
            c_1,
            c_mu,
        }
    }
}

impl Distribution {
    pub(super) fn new(mean: Vec<f64>, sigma: f64) -> Self {
        let d = mean.len();
        let unit: Vec<f64> = (0..d * d).map(|k| f64::from(u8::from(k / d == k % d))).collect();
        Distribution {
            d,
            mean,
            sigma: sigma.clamp(1e-6, 1.0),
            covariance: unit.clone(),
            axes: unit,
            lengths: vec![1.0; d],
            sigma_path: vec![0.0; d],
            path: vec![0.0; d],
            generation: 0.0,
        }
    }

    pub(super) fn d(&self) -> usize {
        self.d
    }

    /// A draw, and the spread of each coordinate.
    pub(super) fn sample(&self, rng: &mut Xoshiro256PlusPlus) -> Vec<(f64, f64)> {
        let mut draw = |length: &f64| length * normal::quantile(rng.random::<f64>().max(1e-12));
        let z: Vec<f64> = self.lengths.iter().map(&mut draw).collect();
        let place = |g: usize| {
            let step: f64 = (0..self.d).map(|k| z[k] * self.axes[k * self.d + g]).sum();
            let spread = self.sigma * self.covariance[g * self.d + g].max(0.0).sqrt();
            (self.mean[g] + self.sigma * step, spread)
        };
        (0..self.d).map(place).collect()
    }

    /// The product of a vector with the inverse root of the covariance.
    fn whitened(&self, y: &[f64]) -> Vec<f64> {
        let d = self.d;
        let along: Vec<f64> = (0..d)
            .map(|k| dot(&self.axes[k * d..(k + 1) * d], y) / self.lengths[k].max(1e-150))
            .collect();
        (0..d).map(|g| (0..d).map(|k| along[k] * self.axes[k * d + g]).sum()).collect()
    }

    /// Learns from a generation, the best first.
    pub(super) fn update(&mut self, points: &[Vec<f64>]) {
        let d = self.d;
        if d == 0 {
            return;
        }
        let w = Weights::new(points.len(), d);
        self.generation += 1.0;
        let root = (d as f64).sqrt();
        let typical = root * (1.0 - 1.0 / (4.0 * d as f64) + 1.0 / (21.0 * (d * d) as f64));
        // Points that others proposed may be far away: their steps are cut (Hansen, "Injecting
        // External Solutions Into CMA-ES", 2011).
        let farthest = root + 2.0 * d as f64 / (d as f64 + 2.0);
        let steps: Vec<(Vec<f64>, f64)> = points
            .iter()
            .map(|x| {
                let mut y: Vec<f64> =
                    x.iter().zip(&self.mean).map(|(x, m)| (x - m) / self.sigma).collect();
                let white = self.whitened(&y);
                let length = dot(&white, &white).sqrt();
                let cut = (farthest / length.max(1e-300)).min(1.0);
                for y in &mut y {
                    *y *= cut;
                }
                (y, length * cut)
            })
            .collect();
        let mut step = vec![0.0; d];
        for ((y, _), weight) in steps.iter().zip(&w.list).filter(|(_, w)| **w > 0.0) {
            step.iter_mut().zip(y).for_each(|(s, y)| *s += weight * y);
        }
        for (m, s) in self.mean.iter_mut().zip(&step) {
            *m = (*m + self.sigma * s).clamp(0.0, 1.0);
        }
        let white = self.whitened(&step);
        let scale = (w.c_sigma * (2.0 - w.c_sigma) * w.effective).sqrt();
        for (p, s) in self.sigma_path.iter_mut().zip(&white) {
            *p = (1.0 - w.c_sigma) * *p + scale * s;
        }
        let length = dot(&self.sigma_path, &self.sigma_path).sqrt();
        let settled = (1.0 - (1.0 - w.c_sigma).powf(2.0 * self.generation)).sqrt();
        let moves = length / settled < (1.4 + 2.0 / (d as f64 + 1.0)) * typical;
        let scale = (w.c_c * (2.0 - w.c_c) * w.effective).sqrt();
        for (p, s) in self.path.iter_mut().zip(&step) {
            *p = (1.0 - w.c_c) * *p + if moves { scale * s } else { 0.0 };
        }
        let lost = if moves { 0.0 } else { w.c_1 * w.c_c * (2.0 - w.c_c) };
        let total: f64 = w.list.iter().sum();
        let keep = 1.0 + lost - w.c_1 - w.c_mu * total;
        for g in 0..d {
            for h in 0..=g {
                let mut c = keep * self.covariance[g * d + h] + w.c_1 * self.path[g] * self.path[h];
                for ((y, length), weight) in steps.iter().zip(&w.list) {
                    let weight = if *weight >= 0.0 {
                        *weight
                    } else {
                        weight * d as f64 / (length * length).max(1e-12)
                    };
                    c += w.c_mu * weight * y[g] * y[h];
                }
                self.covariance[g * d + h] = c;
                self.covariance[h * d + g] = c;
            }
        }
        let change = (w.c_sigma / w.d_sigma * (length / typical - 1.0)).clamp(-1.0, 1.0);
        self.sigma = (self.sigma * change.exp()).clamp(1e-12, 1.0);
        let (values, axes) = symmetric_eigen(self.covariance.clone(), d);
        self.axes = axes;
        self.lengths = values.into_iter().map(|v| v.max(1e-20).sqrt()).collect();
    }

    /// Whether it has shrunk to a point or to a needle.
    pub(super) fn is_over(&self) -> bool {
        let longest = self.lengths.iter().copied().fold(0.0, f64::max);
        let shortest = self.lengths.iter().copied().fold(f64::INFINITY, f64::min);
        self.d > 0
            && (self.sigma * longest < 1e-9
                || longest > 1e7 * shortest
                || !self.sigma.is_finite()
                || self.mean.iter().any(|m| !m.is_finite()))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn the_weights_are_those_of_the_tutorial() {
        // Computed from the tutorial's formulas for a population of 10 in 10 dimensions.
        let w = Weights::new(10, 10);
        let plus: f64 = w.list.iter().filter(|w| **w > 0.0).sum();
        assert!((plus - 1.0).abs() < 1e-12);
        assert!(w.list.windows(2).all(|pair| pair[0] > pair[1]));
        assert!((w.list[0] - 0.456_272_646_903).abs() < 1e-9, "{:?}", w.list);
        assert!((w.effective - 3.167_299_281_41).abs() < 1e-9, "{}", w.effective);
        assert!((w.c_sigma - 5.167_299_281_41 / 18.167_299_281_41).abs() < 1e-9);
    }

    #[test]
    fn it_finds_the_bottom_of_a_narrow_ellipsoid() {
        let f = |x: &[f64]| -> f64 {
            x.iter().enumerate().map(|(i, x)| 10f64.powi(i as i32) * (x - 0.37).powi(2)).sum()
        };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut distribution = Distribution::new(vec![0.8; 5], 0.2);
        let mut best = f64::INFINITY;
        for _ in 0..250 {
            let mut points: Vec<Vec<f64>> = (0..8)
                .map(|_| distribution.sample(&mut rng).into_iter().map(|(x, _)| x).collect())
                .collect();
            points.sort_by(|a, b| f(a).total_cmp(&f(b)));
            best = best.min(f(&points[0]));
            distribution.update(&points);
        }
        assert!(best < 1e-9, "{best}");
    }
}
