//! Looks for the point that is worth most: many candidates, the best of them improved by L-BFGS, and
//! whole numbers and choices moved one by one, exactly.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::acquisition::Acquisition;
use super::posterior::Scratch;
use crate::math::lbfgs::{Stop, minimise};
use crate::math::{normal, sobol};
use crate::space::{Kind, Point, Space};

/// How much work the search is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    pub(crate) global: usize,
    pub(crate) near_best: usize,
    pub(crate) near_others: usize,
    pub(crate) starts: usize,
    pub(crate) steps: usize,
}

impl Effort {
    /// The more data, the dearer each candidate.
    pub(crate) fn for_data(n: usize) -> Self {
        match n {
            0..150 => Effort { global: 384, near_best: 128, near_others: 32, starts: 5, steps: 30 },
            _ => Effort { global: 192, near_best: 96, near_others: 24, starts: 4, steps: 25 },
        }
    }
}

/// A point as the model has it: categories as the number of the choice; what lies behind the space's
/// own parameters (the fidelity) is `tail`.
pub(crate) fn encoded(space: &Space, point: &[f64], tail: &[f64]) -> Point {
    let place = |(d, x): (&crate::space::Dimension, &f64)| match d.is_categorical() {
        true => d.level(*x) as f64,
        false => *x,
    };
    space.dimensions.iter().zip(point).map(place).chain(tail.iter().copied()).collect()
}

/// The way back.
pub(crate) fn decoded(space: &Space, x: &[f64]) -> Point {
    let place = |(d, x): (&crate::space::Dimension, &f64)| match d.is_categorical() {
        true => d.at_level(*x as u64),
        false => d.snap(*x),
    };
    space.dimensions.iter().zip(x).map(place).collect()
}

pub(crate) struct Search<'a> {
    pub(crate) space: &'a Space,
    pub(crate) acquisition: &'a Acquisition<'a>,
    pub(crate) tail: &'a [f64],
    /// Whether a point may not be proposed again.
    pub(crate) is_seen: &'a dyn Fn(&[f64]) -> bool,
    pub(crate) effort: Effort,
}

impl Search<'_> {
    /// The best point, its worth; `good` are good points so far, the best first, encoded.
    pub(crate) fn best(
        &self,
        good: &[Point],
        rng: &mut Xoshiro256PlusPlus,
    ) -> Option<(f64, Point)> {
        let mut scratch = Scratch::default();
        let mut candidates: Vec<(f64, Point)> = Vec::new();
        let seed = rng.random();
        for at in 0..self.effort.global {
            let mut x = sobol::point(at as u64, self.space.len(), seed);
            self.space.snap(&mut x);
            candidates.push((0.0, encoded(self.space, &x, self.tail)));
        }
        for (rank, point) in good.iter().enumerate() {
            let count = if rank == 0 { self.effort.near_best } else { self.effort.near_others };
            candidates.extend((0..count).map(|_| (0.0, self.perturbed(point, rng))));
        }
        for (value, x) in &mut candidates {
            *value = self.worth(x, &mut scratch);
        }
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut starts: Vec<&(f64, Point)> = Vec::new();
        for candidate in candidates.iter().take(200) {
            let far = |other: &&(f64, Point)| {
                let distance = candidate.1.iter().zip(&other.1).map(|(a, b)| (a - b).abs());
                distance.fold(0.0, f64::max) > 0.03
            };
            if starts.iter().all(far) {
                starts.push(candidate);
            }
            if starts.len() >= self.effort.starts {
                break;
            }
        }
        let mut best: Option<(f64, Point)> = None;
        for (value, start) in starts {
            let found = self.improved(*value, start, &mut scratch);
            if found.0 > f64::NEG_INFINITY && best.as_ref().is_none_or(|best| found.0 > best.0) {
                best = Some(found);
            }
        }
        best
    }

    fn worth(&self, x: &[f64], scratch: &mut Scratch) -> f64 {
        if (self.is_seen)(x) {
            return f64::NEG_INFINITY;
        }
        let value = self.acquisition.value(x, scratch);
        if value.is_nan() { f64::NEG_INFINITY } else { value }
    }

    fn snapped(&self, x: &mut [f64]) {
        for (x, dimension) in x.iter_mut().zip(&self.space.dimensions) {
            if !dimension.is_categorical() {
                *x = dimension.snap(*x);
            }
        }
    }

    /// A point nearby: a step of some size in all parameters, or in about two.
    fn perturbed(&self, point: &[f64], rng: &mut Xoshiro256PlusPlus) -> Point {
        let d = self.space.len();
        let few = (2.0 / d as f64).clamp(0.1, 1.0);
        let part = if rng.random::<bool>() { few } else { 1.0 };
        let scale = libm::exp10(-3.0 + 2.7 * rng.random::<f64>());
        let mut x = point.to_vec();
        for (g, dimension) in self.space.dimensions.iter().enumerate() {
            if rng.random::<f64>() >= part {
                continue;
            }
            if let Kind::Categorical { choices } = dimension.kind {
                if rng.random::<bool>() {
                    x[g] = rng.random_range(0..choices.max(1)) as f64;
                }
                continue;
            }
            let length = (1.0 / self.acquisition.posterior.inverse_lengthscale(g)).min(1.0);
            let z = normal::quantile(rng.random::<f64>().max(1e-12));
            let step = scale * length * z;
            x[g] = (x[g] + step).clamp(0.0, 1.0);
        }
        self.snapped(&mut x);
        x.truncate(d);
        x.extend_from_slice(self.tail);
        x
    }

    /// Climbs from a start, in turns: all numbers as if they were real, then steps and choices.
    fn improved(&self, value: f64, start: &[f64], scratch: &mut Scratch) -> (f64, Point) {
        let (mut value, mut x) = (value, start.to_vec());
        let has_steps = self.space.dimensions.iter().any(|d| d.levels().is_some());
        for _ in 0..if has_steps { 2 } else { 1 } {
            let mut y = self.climbed(&x, scratch);
            self.snapped(&mut y);
            let there = self.worth(&y, scratch);
            if there > value {
                (value, x) = (there, y);
            }
            if !has_steps || !self.moved(&mut value, &mut x, scratch) {
                break;
            }
        }
        (value, x)
    }

    fn climbed(&self, start: &[f64], scratch: &mut Scratch) -> Point {
        let numbers: Vec<usize> =
            (0..self.space.len()).filter(|g| !self.space.dimensions[*g].is_categorical()).collect();
        if numbers.is_empty() {
            return start.to_vec();
        }
        // In units of the lengthscales, so that all directions are alike.
        let unit = |g: &usize| self.acquisition.posterior.inverse_lengthscale(*g).max(1e-3);
        let units: Vec<f64> = numbers.iter().map(unit).collect();
        let bounds: Vec<(f64, f64)> = units.iter().map(|unit| (0.0, *unit)).collect();
        let mut z: Vec<f64> =
            numbers.iter().zip(&units).map(|(g, unit)| start[*g] * unit).collect();
        let (mut x, mut slopes) = (start.to_vec(), vec![0.0; start.len()]);
        let stop = Stop { steps: self.effort.steps, gain: 1e-7, slope: 1e-6 };
        minimise(&mut z, &bounds, stop, |z, out| {
            for ((g, unit), z) in numbers.iter().zip(&units).zip(z) {
                x[*g] = (z / unit).min(1.0);
            }
            let value = self.acquisition.slopes(&x, scratch, &mut slopes);
            for ((g, unit), out) in numbers.iter().zip(&units).zip(out) {
                *out = -slopes[*g] / unit;
            }
            -value
        });
        for ((g, unit), z) in numbers.iter().zip(&units).zip(&z) {
            x[*g] = (z / unit).min(1.0);
        }
        x
    }

    /// Takes the best single move of a whole number or a choice, as long as that helps.
    fn moved(&self, value: &mut f64, x: &mut Point, scratch: &mut Scratch) -> bool {
        let mut any = false;
        for _ in 0..3 {
            let mut best: Option<(f64, usize, f64)> = None;
            for (g, dimension) in self.space.dimensions.iter().enumerate() {
                let Some(levels) = dimension.levels() else { continue };
                let is_category = dimension.is_categorical();
                let now = if is_category { x[g] as u64 } else { dimension.level(x[g]) };
                let around =
                    [-8i64, -4, -2, -1, 1, 2, 4, 8].map(|step| now.checked_add_signed(step));
                let all: Vec<u64> = if levels <= 16 || is_category && levels <= 64 {
                    (0..levels).collect()
                } else {
                    around.into_iter().flatten().filter(|level| *level < levels).collect()
                };
                let keep = x[g];
                for level in all.into_iter().filter(|level| *level != now) {
                    x[g] = if is_category { level as f64 } else { dimension.at_level(level) };
                    let there = self.worth(x, scratch);
                    if there > *value && best.is_none_or(|(best, ..)| there > best) {
                        best = Some((there, g, x[g]));
                    }
                }
                x[g] = keep;
            }
            let Some((there, g, place)) = best else { break };
            (*value, x[g]) = (there, place);
            any = true;
        }
        any
    }
}
