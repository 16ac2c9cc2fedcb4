//! The density that TPE makes of a set of trials: one kernel for each, and one for the prior.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use crate::math::exp::log_sum_exp;
use crate::math::normal;
use crate::space::{Dimension, Kind, Point, Space, prior_sigma};

const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_7;

/// Kernels: products over the parameters of cut normal densities, or of tables for choices.
pub(super) struct Mixture {
    /// The weights, the prior's kernel last, as running sums up to 1.
    cumulative: Vec<f64>,
    log_weights: Vec<f64>,
    columns: Vec<Column>,
}

enum Column {
    Number {
        mu: Vec<f64>,
        sigma: Vec<f64>,
        precision: Vec<f64>,
        log_norm: Vec<f64>,
    },
    /// The probability of choice `c` in kernel `k` at `k * choices + c`, and its logarithm at
    /// `c * kernels + k`.
    Choice {
        choices: usize,
        p: Vec<f64>,
        log_p: Vec<f64>,
    },
}

/// What a mixture is made from.
pub(super) struct Recipe<'a> {
    pub(super) space: &'a Space,
    pub(super) points: &'a [&'a [f64]],
    pub(super) weights: &'a [f64],
    pub(super) prior_weight: f64,
    /// No kernel is narrower than this part of the range.
    pub(super) narrowest: f64,
    pub(super) use_priors: bool,
}

impl Mixture {
    pub(super) fn new(recipe: &Recipe<'_>) -> Self {
        let weights = recipe.weights.iter().copied().chain([recipe.prior_weight]);
        let total: f64 = weights.clone().sum();
        let mut sum = 0.0;
        let running = |w: f64| {
            sum += w / total;
            sum
        };
        let cumulative = weights.clone().map(running).collect();
        let log_weights = weights.map(|w| (w / total).max(1e-300).ln()).collect();
        let column = |(g, dimension)| column(recipe, g, dimension);
        let columns = recipe.space.dimensions.iter().enumerate().map(column).collect();
        Mixture { cumulative, log_weights, columns }
    }

    fn kernels(&self) -> usize {
        self.cumulative.len()
    }

    /// A draw; from the prior's kernel alone if that is wanted.
    pub(super) fn sample(
        &self,
        space: &Space,
        from_prior: bool,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Point {
        let u: f64 = rng.random();
        let last = self.kernels() - 1;
        let k =
            if from_prior { last } else { self.cumulative.partition_point(|c| *c < u).min(last) };
        let draw = |(column, dimension): (&Column, &Dimension)| {
            let u: f64 = rng.random();
            dimension.snap(match column {
                Column::Number { mu, sigma, .. } => normal::sample_truncated(mu[k], sigma[k], u),
                Column::Choice { choices, p, .. } => {
                    let mut rest = u;
                    let is_it = |p: &f64| {
                        rest -= p;
                        rest < 0.0
                    };
                    let p = &p[k * choices..(k + 1) * choices];
                    let choice = p.iter().position(is_it).unwrap_or(choices - 1);
                    dimension.at_level(choice as u64)
                }
            })
        };
        self.columns.iter().zip(&space.dimensions).map(draw).collect()
    }

    /// The logarithm of the density at a point; `scratch` is only there to be reused.
    pub(super) fn log_density(&self, space: &Space, x: &[f64], scratch: &mut Vec<f64>) -> f64 {
        scratch.clear();
        scratch.extend_from_slice(&self.log_weights);
        let n = scratch.len();
        for (g, column) in self.columns.iter().enumerate() {
            match column {
                Column::Number { mu, precision, log_norm, .. } => {
                    let (mu, precision, log_norm) = (&mu[..n], &precision[..n], &log_norm[..n]);
                    let x = x[g];
                    for k in 0..n {
                        let z = (x - mu[k]) * precision[k];
                        scratch[k] += log_norm[k] - 0.5 * z * z;
                    }
                }
                Column::Choice { log_p, .. } => {
                    let choice = space.dimensions[g].level(x[g]) as usize;
                    let table = &log_p[choice * n..(choice + 1) * n];
                    scratch.iter_mut().zip(table).for_each(|(s, p)| *s += p);
                }
            }
        }
        log_sum_exp(scratch)
    }
}

fn column(recipe: &Recipe<'_>, g: usize, dimension: &Dimension) -> Column {
    let prior = dimension.prior.filter(|_| recipe.use_priors);
    if let Kind::Categorical { choices } = dimension.kind {
        let n = recipe.points.len();
        let base = recipe.prior_weight.max(1e-3) / (n + 1) as f64;
        let mut p = vec![base; (n + 1) * choices];
        for (k, point) in recipe.points.iter().enumerate() {
            if !point[g].is_nan() {
                p[k * choices + dimension.level(point[g]) as usize] += 1.0;
            }
        }
        if let Some(prior) = prior {
            let row = &mut p[n * choices..];
            row.fill((1.0 - prior.confidence) / choices as f64);
            row[dimension.level(prior.centre) as usize] += prior.confidence;
        }
        for row in p.chunks_exact_mut(choices) {
            let total: f64 = row.iter().sum();
            for p in row.iter_mut() {
                *p /= total;
            }
        }
        let transposed = |at: usize| p[(at % (n + 1)) * choices + at / (n + 1)].ln();
        let log_p = (0..p.len()).map(transposed).collect();
        return Column::Choice { choices, p, log_p };
    }
    let known: Vec<f64> = recipe.points.iter().map(|p| p[g]).filter(|x| !x.is_nan()).collect();
    let mut widths = neighbours(&known).into_iter();
    let whole = (prior.map_or(0.5, |prior| prior.centre), prior.map_or(1.0, prior_sigma));
    let kernel = |point: &&[f64]| match point[g] {
        // Nothing is known of it there.
        x if x.is_nan() => whole,
        x => {
            let width = widths.next().unwrap_or(1.0);
            (x, width.clamp(recipe.narrowest, 1.0).max(0.5 * dimension.cell(x)))
        }
    };
    let (mut mu, mut sigma): (Vec<f64>, Vec<f64>) = recipe.points.iter().map(kernel).unzip();
    mu.push(whole.0);
    sigma.push(whole.1);
    let norm =
        |(mu, sigma): (&f64, &f64)| -LN_SQRT_2PI - sigma.ln() - normal::log_mass(*mu, *sigma);
    let log_norm = mu.iter().zip(&sigma).map(norm).collect();
    let precision = sigma.iter().map(|s| 1.0 / s).collect();
    Column::Number { mu, sigma, precision, log_norm }
}

/// For each of the points on [0, 1], the distance to the farther of its two neighbours; the bounds
/// are neighbours too, but not for the outermost points if there are others.
fn neighbours(points: &[f64]) -> Vec<f64> {
    let n = points.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| points[*a].total_cmp(&points[*b]).then(a.cmp(b)));
    let mut widths = vec![1.0; n];
    for (at, &k) in order.iter().enumerate() {
        let left = if at > 0 { points[order[at - 1]] } else { 0.0 };
        let right = if at + 1 < n { points[order[at + 1]] } else { 1.0 };
        let (left, right) = (points[k] - left, right - points[k]);
        widths[k] = match at {
            0 if n >= 2 => right,
            _ if n >= 2 && at + 1 == n => left,
            _ => left.max(right),
        };
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_those_of_the_sorted_points() {
        let widths = neighbours(&[0.5, 0.1, 0.8]);
        let expected = [0.4, 0.4, 0.3];
        widths.iter().zip(expected).for_each(|(a, b)| assert!((a - b).abs() < 1e-12));
        assert_eq!(neighbours(&[0.25]), [0.75]);
        assert!(neighbours(&[]).is_empty());
    }

    #[test]
    fn the_density_integrates_to_one() {
        let space = Space::of([Kind::Float, Kind::Categorical { choices: 3 }]);
        let points = [[0.1, 1.0 / 6.0], [0.9, 0.5], [0.85, 0.5]];
        let points: Vec<&[f64]> = points.iter().map(|p| &p[..]).collect();
        let recipe = Recipe {
            space: &space,
            points: &points,
            weights: &[1.0, 2.0, 1.0],
            prior_weight: 1.0,
            narrowest: 0.05,
            use_priors: true,
        };
        let mixture = Mixture::new(&recipe);
        let (mut total, mut scratch) = (0.0, Vec::new());
        for i in 0..2000 {
            for c in 0..3 {
                let x = [(f64::from(i) + 0.5) / 2000.0, (f64::from(c) + 0.5) / 3.0];
                total += mixture.log_density(&space, &x, &mut scratch).exp() / 2000.0;
            }
        }
        assert!((total - 1.0).abs() < 1e-4, "{total}");
    }
}
