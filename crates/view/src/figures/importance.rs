//! Which parameters matter: PED-ANOVA (Watanabe, Bansal, Hutter, "PED-ANOVA: Efficiently Quantifying
//! Hyperparameter Importance in Arbitrary Subspaces", IJCAI 2023). A parameter matters as far as the
//! values of the best tenth of the trials are distributed otherwise than those of all: the Pearson
//! divergence of two density estimates on one axis. It needs no model of the objective and takes one
//! pass for each parameter.

use serde::Serialize;

use super::axes::{Axes, AxisKind};
use super::objective;
use crate::live::Live;
use trialmill_core::space::Domain;

/// Steps of a numeric axis.
const STEPS: usize = 50;
/// The best that are compared with all.
const TOP: f64 = 0.1;
/// The weight of the flat prior, in trials.
const PRIOR: f64 = 1.0;

/// How much a parameter matters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Importance {
    /// The parameter.
    pub name: String,
    /// Its share of all importance; the shares add up to 1.
    pub share: f64,
}

/// The importances for objective `k`, the greatest first; empty where fewer than two trials have it.
pub fn importance(live: &Live, k: usize) -> Vec<Importance> {
    let (axes, ends) = (Axes::of(live), live.runs().ends());
    let objective = objective(live, k);
    let rows: Vec<usize> =
        (0..ends.len()).filter(|row| ends.objective(*row, k).is_some()).collect();
    let values: Vec<f64> =
        rows.iter().map(|row| objective.minimised(ends.objectives[k][*row])).collect();
    if values.len() < 2 {
        return Vec::new();
    }
    let mut sorted = values.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let last = ((TOP * values.len() as f64).ceil() as usize).clamp(2, values.len()) - 1;
    let cut = sorted[last];
    let top: Vec<bool> = values.iter().map(|y| *y <= cut).collect();
    let mut found = Vec::new();
    for i in axes.shown() {
        let axis = &axes.list()[i];
        if axis.is_fidelity {
            continue;
        }
        let column = axes.column(live, i, 0);
        let steps = steps(axes.domain(i));
        let (mut all, mut best) = (vec![0.0; steps], vec![0.0; steps]);
        for (row, is_top) in rows.iter().zip(&top) {
            let Some(step) = step(column[*row], axes.domain(i), steps) else { continue };
            all[step] += 1.0;
            best[step] += f64::from(u8::from(*is_top));
        }
        let is_choice = axis.kind == AxisKind::Categorical;
        let (all, best) = (density(&all, is_choice), density(&best, is_choice));
        let divergence: f64 =
            all.iter().zip(&best).map(|(all, best)| (best / all - 1.0).powi(2) * all).sum();
        found.push(Importance { name: axis.name.clone(), share: divergence });
    }
    let sum: f64 = found.iter().map(|one| one.share).sum();
    if sum > 0.0 {
        found.iter_mut().for_each(|one| one.share /= sum);
    }
    found.sort_by(|a, b| b.share.total_cmp(&a.share));
    found
}

fn steps(domain: &Domain) -> usize {
    match domain.cardinality() {
        _ if matches!(domain, Domain::Int { scale, .. } if scale.is_log()) => STEPS,
        Some(n) if matches!(domain, Domain::Categorical { .. }) => n as usize,
        Some(n) => STEPS.min(usize::try_from(n).unwrap_or(STEPS)),
        None => STEPS,
    }
}

fn step(unit: f32, domain: &Domain, steps: usize) -> Option<usize> {
    let unit = f64::from(unit);
    if unit.is_nan() {
        return None;
    }
    let at = match domain {
        // A choice, and a whole number among few, owns a stretch of the axis; a float is a place on it.
        Domain::Float { .. } => (unit * (steps - 1) as f64).round(),
        _ => (unit * steps as f64).floor(),
    };
    Some((at as usize).min(steps - 1))
}

/// A density estimate over the steps, never 0.
fn density(counts: &[f64], is_choice: bool) -> Vec<f64> {
    const NEVER: f64 = 1e-12;
    let (n, total) = (counts.len() as f64, counts.iter().sum::<f64>());
    let weight = total + PRIOR;
    if is_choice {
        let kernels = counts.iter().filter(|count| **count > 0.0).count() as f64 + 1.0;
        let flat = PRIOR / kernels;
        let row = 1.0 + flat * n;
        let of = |count: &f64| {
            (count * (1.0 + flat) + (total - count) * flat) / row / weight + PRIOR / n / weight
        };
        return counts.iter().map(|count| of(count) + NEVER).collect();
    }
    let sigma = bandwidth(counts, total).max(0.5 / 1.64);
    let mut density = vec![NEVER; counts.len()];
    let mut add = |at: f64, sigma: f64, weight: f64| {
        let below = |x: f64| normal_cdf((x - at) / sigma);
        let whole = (below(n - 0.5) - below(-0.5)).max(1e-300);
        let mut left = below(-0.5);
        for (step, density) in density.iter_mut().enumerate() {
            let right = below(step as f64 + 0.5);
            *density += weight * (right - left) / whole;
            left = right;
        }
    };
    for (step, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0.0) {
        add(step as f64, sigma, count / weight);
    }
    add(0.5 * (n - 1.0), n, PRIOR / weight);
    density
}

/// Scott's rule, on the smaller of the deviation and the spread of the middle half.
fn bandwidth(counts: &[f64], total: f64) -> f64 {
    let there: Vec<(f64, f64)> = (0..counts.len())
        .filter(|step| counts[*step] > 0.0)
        .map(|step| (step as f64, counts[step]))
        .collect();
    if there.is_empty() {
        return 0.0;
    }
    let mean = there.iter().map(|(x, count)| x * count).sum::<f64>() / total;
    let spread = there.iter().map(|(x, count)| (x - mean).powi(2) * count).sum::<f64>();
    let deviation = (spread / (total - 1.0).max(1.0)).sqrt();
    let mut sum = 0.0;
    let sums: Vec<f64> = there
        .iter()
        .map(|(_, count)| {
            sum += count;
            sum
        })
        .collect();
    let (first, last) = ((total / 4.0).floor(), (total * 3.0 / 4.0).floor());
    let low = sums.partition_point(|sum| *sum < first);
    let high = sums.partition_point(|sum| *sum <= last).min(there.len() - 1);
    let middle = there[high].0 - there[low].0;
    1.059 * (middle / 1.34).min(deviation) * total.powf(-0.2)
}

/// The standard normal distribution (Abramowitz and Stegun 7.1.26; off by less than 1e-7).
fn normal_cdf(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let tail = 0.5 * poly * (-z * z).exp();
    if x > 0.0 { 1.0 - tail } else { tail }
}
