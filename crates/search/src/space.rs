//! What is searched, as the optimizers see it: every parameter on the unit interval.
//!
//! A number stands at its place between its bounds, on its own scale. A whole number owns the
//! stretch from half below to half above it and stands in the middle. Choice `i` of `k` stands at
//! `(i + 0.5) / k`.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use crate::math::normal;

/// A configuration: one coordinate in [0, 1] for each parameter.
pub type Point = Vec<f64>;

/// What kind of values a parameter takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Kind {
    /// A real number; its scale is the caller's business.
    Float,
    /// A whole number from `lower` to `upper`, both included.
    Int {
        /// The smallest value.
        lower: i64,
        /// The largest value.
        upper: i64,
        /// Whether the scale is logarithmic.
        log: bool,
    },
    /// One of that many choices.
    Categorical {
        /// How many.
        choices: usize,
    },
    /// Always the same.
    Constant,
}

/// What the user believes to be good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prior {
    /// Where, on the unit interval.
    pub centre: f64,
    /// How much it is trusted: NePS has 0.25 for low, 0.5 for medium and 0.75 for high. Numbers are
    /// drawn with a standard deviation of one less this.
    pub confidence: f64,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dimension {
    /// What it takes.
    pub kind: Kind,
    /// What is believed about it.
    #[serde(default)]
    pub prior: Option<Prior>,
}

/// The parameter that says how much is spent on one evaluation, in its own unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// The least.
    pub lower: f64,
    /// The most, which is what counts in the end.
    pub upper: f64,
    /// Whether it is a whole number.
    pub whole: bool,
}

/// All parameters, and the fidelity if there is one.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Space {
    /// The parameters, without the fidelity.
    pub dimensions: Vec<Dimension>,
    /// The fidelity.
    #[serde(default)]
    pub fidelity: Option<Fidelity>,
    /// Which parameters are there only sometimes. One that is not there stands in the middle.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// A parameter that is there only where others, which are there, have certain values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The parameter.
    pub dimension: usize,
    /// The others, with the places of the values that they must have; all of them.
    pub on: Vec<(usize, Vec<f64>)>,
}

impl Condition {
    fn holds(&self, point: &[f64], present: &[bool]) -> bool {
        let is_one = |x: f64, places: &[f64]| places.iter().any(|place| (x - place).abs() < 1e-9);
        self.on.iter().all(|(other, places)| present[*other] && is_one(point[*other], places))
    }
}

impl Dimension {
    /// A parameter without a prior.
    pub fn new(kind: Kind) -> Self {
        Dimension { kind, prior: None }
    }

    /// How many values there are, where they can be counted.
    pub fn levels(&self) -> Option<u64> {
        match self.kind {
            Kind::Float => None,
            Kind::Int { lower, upper, .. } => Some(upper.abs_diff(lower).saturating_add(1)),
            Kind::Categorical { choices } => Some(choices.max(1) as u64),
            Kind::Constant => Some(1),
        }
    }

    /// Whether its values have no order.
    pub fn is_categorical(&self) -> bool {
        matches!(self.kind, Kind::Categorical { .. })
    }

    /// Which of its values a coordinate means; 0 for a real number.
    pub fn level(&self, unit: f64) -> u64 {
        let unit = if unit.is_nan() { 0.5 } else { unit.clamp(0.0, 1.0) };
        match self.kind {
            Kind::Float | Kind::Constant => 0,
            Kind::Categorical { choices } => {
                ((unit * choices as f64) as u64).min((choices.max(1) - 1) as u64)
            }
            Kind::Int { lower, upper, log } => {
                let (low, high) = (lower as f64 - 0.5, upper as f64 + 0.5);
                let x = if log {
                    libm::exp(libm::log(low) + unit * (libm::log(high) - libm::log(low)))
                } else {
                    low + unit * (high - low)
                };
                (x.round() as i64).clamp(lower, upper).abs_diff(lower)
            }
        }
    }

    /// Where a value stands.
    pub fn at_level(&self, level: u64) -> f64 {
        match self.kind {
            Kind::Float | Kind::Constant => 0.5,
            Kind::Categorical { choices } => {
                let choices = choices.max(1) as f64;
                ((level as f64 + 0.5) / choices).min(1.0)
            }
            Kind::Int { lower, upper, log } => {
                let (low, high) = (lower as f64 - 0.5, upper as f64 + 0.5);
                let x = lower as f64 + level as f64;
                let unit = if log {
                    libm::log(x / low) / libm::log(high / low)
                } else {
                    (x - low) / (high - low)
                };
                unit.clamp(0.0, 1.0)
            }
        }
    }

    /// The coordinate of the value that a coordinate means.
    pub fn snap(&self, unit: f64) -> f64 {
        match self.kind {
            Kind::Float if unit.is_nan() => 0.5,
            Kind::Float => unit.clamp(0.0, 1.0),
            _ => self.at_level(self.level(unit)),
        }
    }

    /// How wide the stretch of a whole number is there; 0 for anything else.
    pub fn cell(&self, unit: f64) -> f64 {
        match self.kind {
            Kind::Int { lower, upper, log } => {
                let span = (upper as f64 - lower as f64) + 1.0;
                if !log {
                    return 1.0 / span;
                }
                let x = lower as f64 + self.level(unit) as f64;
                let (low, high) = (lower as f64 - 0.5, upper as f64 + 0.5);
                libm::log((x + 0.5) / (x - 0.5)) / libm::log(high / low)
            }
            _ => 0.0,
        }
    }

    /// A draw around the prior; uniform without one.
    pub fn sample_prior(&self, rng: &mut dyn Rng) -> f64 {
        let Some(prior) = self.prior else { return self.snap(rng.random()) };
        if self.is_categorical() {
            let keep = rng.random::<f64>() < prior.confidence;
            return self.snap(if keep { prior.centre } else { rng.random() });
        }
        let sigma = prior_sigma(prior);
        self.snap(normal::sample_truncated(prior.centre, sigma, rng.random()))
    }

    /// The logarithm of the prior's density; 0 without one.
    pub fn log_prior(&self, unit: f64) -> f64 {
        let Some(prior) = self.prior else { return 0.0 };
        if let Kind::Categorical { choices } = self.kind {
            let rest = (1.0 - prior.confidence) / choices.max(1) as f64;
            let hit = self.level(unit) == self.level(prior.centre);
            let p = if hit { prior.confidence + rest } else { rest };
            return (p * choices.max(1) as f64).max(1e-12).ln();
        }
        normal::log_pdf_truncated(unit, prior.centre, prior_sigma(prior))
    }
}

/// The spread of draws around a prior.
pub(crate) fn prior_sigma(prior: Prior) -> f64 {
    (1.0 - prior.confidence).clamp(0.02, 1.0)
}

impl Space {
    /// A space without a fidelity or priors.
    pub fn of(kinds: impl IntoIterator<Item = Kind>) -> Self {
        let dimensions = kinds.into_iter().map(Dimension::new).collect();
        Space { dimensions, fidelity: None, conditions: Vec::new() }
    }

    /// How many parameters there are.
    pub fn len(&self) -> usize {
        self.dimensions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.dimensions.is_empty()
    }

    /// Which parameters are there at a point.
    pub fn present(&self, point: &[f64]) -> Vec<bool> {
        let mut present = vec![true; self.len()];
        // A condition may wait for a parameter that has one of its own.
        for _ in &self.conditions {
            let before = present.clone();
            for condition in &self.conditions {
                present[condition.dimension] = condition.holds(point, &present);
            }
            if present == before {
                break;
            }
        }
        present
    }

    /// A space of some of its parameters, all of which are there.
    pub(crate) fn part(&self, of: &[usize]) -> Space {
        let dimensions = of.iter().map(|g| self.dimensions[*g].clone()).collect();
        Space { dimensions, ..Space::default() }
    }

    /// Moves each coordinate to the value it means.
    pub fn snap(&self, point: &mut [f64]) {
        for (x, dimension) in point.iter_mut().zip(&self.dimensions) {
            *x = dimension.snap(*x);
        }
    }

    /// A uniform draw.
    pub fn sample(&self, rng: &mut dyn Rng) -> Point {
        self.dimensions.iter().map(|dimension| dimension.snap(rng.random())).collect()
    }

    /// A draw around the priors.
    pub fn sample_prior(&self, rng: &mut dyn Rng) -> Point {
        self.dimensions.iter().map(|dimension| dimension.sample_prior(rng)).collect()
    }

    /// The priors' middle; the space's own middle where there is none.
    pub fn default_point(&self) -> Point {
        let middle = |d: &Dimension| d.snap(d.prior.map_or(0.5, |prior| prior.centre));
        self.dimensions.iter().map(middle).collect()
    }

    /// Whether any parameter has a prior.
    pub fn has_priors(&self) -> bool {
        self.dimensions.iter().any(|dimension| dimension.prior.is_some())
    }

    /// The logarithm of the priors' joint density.
    pub fn log_prior(&self, point: &[f64]) -> f64 {
        self.dimensions.iter().zip(point).map(|(d, x)| d.log_prior(*x)).sum()
    }

    /// How many configurations there are, where they can be counted.
    pub fn cardinality(&self) -> Option<u64> {
        self.dimensions.iter().try_fold(1u64, |size, d| size.checked_mul(d.levels()?))
    }

    /// Whether no parameter is a real number.
    pub fn is_discrete(&self) -> bool {
        !self.dimensions.is_empty() && self.dimensions.iter().all(|d| d.levels().is_some())
    }

    /// The `at`-th configuration of a space that can be counted.
    pub(crate) fn nth(&self, mut at: u64) -> Point {
        let mut place = |d: &Dimension| {
            let levels = d.levels().unwrap_or(1);
            let level = at % levels;
            at /= levels;
            d.at_level(level)
        };
        self.dimensions.iter().map(&mut place).collect()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn levels_and_coordinates_go_there_and_back() {
        for kind in [
            Kind::Int { lower: 1, upper: 8, log: false },
            Kind::Int { lower: 8, upper: 1024, log: true },
            Kind::Int { lower: -3, upper: 3, log: false },
            Kind::Categorical { choices: 5 },
        ] {
            let d = Dimension::new(kind);
            for level in 0..d.levels().unwrap() {
                assert_eq!(d.level(d.at_level(level)), level, "{d:?}");
            }
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
            for _ in 0..100 {
                let x = d.snap(rng.random());
                assert_eq!(d.snap(x), x);
            }
        }
    }

    #[test]
    fn draws_around_a_prior_are_near_it() {
        let prior = Some(Prior { centre: 0.2, confidence: 0.75 });
        let d = Dimension { kind: Kind::Float, prior };
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        let mean = (0..2000).map(|_| (d.sample_prior(&mut rng) - 0.2).abs()).sum::<f64>() / 2000.0;
        assert!(mean < 0.22, "{mean}");
        // The density integrates to one.
        let total: f64 = (0..1000).map(|i| d.log_prior((f64::from(i) + 0.5) / 1000.0).exp()).sum();
        assert!((total / 1000.0 - 1.0).abs() < 1e-3, "{total}");
    }
}
