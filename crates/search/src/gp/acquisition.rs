//! What a point is worth: the logarithm of the expected improvement (Ament et al., 2023), over
//! fantasies of the trials in progress, less where noise would hide it (augmented: Huang et al.,
//! 2006), and more where the user's prior is (`πBO`: Hvarfner et al., 2022).

use super::posterior::{Posterior, Scratch};
use crate::math::exp::{exp, log_sum_exp};
use crate::math::normal::{log_cdf, log_improvement};
use crate::space::{Space, prior_sigma};

pub(crate) struct Acquisition<'a> {
    pub(crate) posterior: &'a Posterior,
    /// What is to be beaten, in each fantasy.
    pub(crate) best: Vec<f64>,
    /// The noise's variance.
    pub(crate) noise: f64,
    /// The space whose priors count, and how much.
    pub(crate) prior: Option<(&'a Space, f64)>,
    /// What is 0 or less where all constraints are kept, if there are some.
    pub(crate) limit: Option<&'a Posterior>,
    /// Not the improvement is wanted, but how low the objective may lie: so many standard deviations below its mean.
    width: Option<f64>,
}

impl<'a> Acquisition<'a> {
    /// To beat `best`, or what the trials in progress give if that is lower.
    pub(crate) fn new(posterior: &'a Posterior, best: f64) -> Self {
        let lowest = |values: &Vec<f64>| values.iter().copied().fold(best, f64::min);
        let best = match posterior.fantasies.is_empty() {
            true => vec![best],
            false => posterior.fantasies.iter().map(lowest).collect(),
        };
        let noise = posterior.real_noise();
        Acquisition { noise, posterior, best, prior: None, limit: None, width: None }
    }

    /// How low the objective may lie, so many standard deviations below its mean; lower is worth more.
    pub(crate) fn lower_end(posterior: &'a Posterior, width: f64) -> Self {
        Acquisition { width: Some(width), ..Acquisition::new(posterior, 0.0) }
    }

    /// The worth of a point.
    pub(crate) fn value(&self, x: &[f64], scratch: &mut Scratch) -> f64 {
        let sigma = self.posterior.spread(x, scratch);
        if let Some(width) = self.width {
            return width * sigma - self.posterior.mean(0, scratch);
        }
        let logs = |m: usize| {
            let mean = self.posterior.mean(m, scratch);
            log_improvement((self.best[m] - mean) / sigma).0
        };
        let count = self.best.len();
        let value = match count {
            1 => logs(0),
            _ => log_sum_exp(&(0..count).map(logs).collect::<Vec<_>>()) - (count as f64).ln(),
        };
        let value = value + sigma.ln() + self.penalty(sigma).0 + self.belief(x, None);
        value + self.feasibility(x, scratch, None)
    }

    /// The worth of a point, and its slopes.
    pub(crate) fn slopes(&self, x: &[f64], scratch: &mut Scratch, out: &mut [f64]) -> f64 {
        let sigma = self.posterior.spread(x, scratch);
        if let Some(width) = self.width {
            let value = width * sigma - self.posterior.mean(0, scratch);
            self.posterior.slopes(x, (&[-1.0], width, sigma), scratch, out);
            return value;
        }
        let count = self.best.len();
        let parts: Vec<(f64, f64, f64)> = (0..count)
            .map(|m| {
                let mean = self.posterior.mean(m, scratch);
                log_improvement((self.best[m] - mean) / sigma)
            })
            .collect();
        let logs: Vec<f64> = parts.iter().map(|part| part.0).collect();
        let total = log_sum_exp(&logs);
        let weights: Vec<f64> = logs.iter().map(|log| exp(log - total)).collect();
        let means: Vec<f64> =
            weights.iter().zip(&parts).map(|(w, (_, mass, _))| -w * mass / sigma).collect();
        let (penalty, penalty_slope) = self.penalty(sigma);
        let spread: f64 =
            weights.iter().zip(&parts).map(|(w, (_, _, density))| w * density / sigma).sum();
        self.posterior.slopes(x, (&means, spread + penalty_slope, sigma), scratch, out);
        let belief = self.belief(x, Some(out));
        let value = total - (count as f64).ln() + sigma.ln() + penalty + belief;
        value + self.feasibility(x, scratch, Some(out))
    }

    /// The logarithm of the probability that all constraints are kept (Gardner et al., "Bayesian
    /// Optimization with Inequality Constraints", 2014); adds its slopes.
    fn feasibility(&self, x: &[f64], scratch: &mut Scratch, slopes: Option<&mut [f64]>) -> f64 {
        let Some(limit) = self.limit else { return 0.0 };
        let sigma = limit.spread(x, scratch);
        let mean = limit.mean(0, scratch);
        let (log, ratio) = log_cdf(-mean / sigma);
        if let Some(slopes) = slopes {
            let mut own = vec![0.0; slopes.len()];
            let weights = (&[-ratio / sigma][..], ratio * mean / (sigma * sigma), sigma);
            limit.slopes(x, weights, scratch, &mut own);
            slopes.iter_mut().zip(own).for_each(|(slope, own)| *slope += own);
        }
        log
    }

    /// What the noise takes, and its slope in the spread.
    fn penalty(&self, sigma: f64) -> (f64, f64) {
        if self.noise <= 0.0 {
            return (0.0, 0.0);
        }
        let q = sigma * sigma + self.noise;
        let kept = (1.0 - (self.noise / q).sqrt()).max(1e-12);
        (kept.ln(), self.noise.sqrt() * sigma / (q * q.sqrt()) / kept)
    }

    fn belief(&self, x: &[f64], slopes: Option<&mut [f64]>) -> f64 {
        let Some((space, weight)) = self.prior else { return 0.0 };
        let mut total = 0.0;
        let mut slopes = slopes;
        for (g, dimension) in space.dimensions.iter().enumerate() {
            let Some(prior) = dimension.prior else { continue };
            if dimension.is_categorical() {
                // Categories are the numbers of their choices here.
                total += dimension.log_prior(dimension.at_level(x[g] as u64));
                continue;
            }
            let (sigma, away) = (prior_sigma(prior), x[g] - prior.centre);
            total -= 0.5 * away * away / (sigma * sigma);
            if let Some(slopes) = &mut slopes {
                slopes[g] -= weight * away / (sigma * sigma);
            }
        }
        weight * total
    }
}
