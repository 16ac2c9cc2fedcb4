//! The scale of a number: how the unit interval is laid over its range.

use std::fmt;

/// How the unit interval is laid over the range of a number, so that equal stretches are equally likely.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Scale {
    /// Evenly.
    #[default]
    Linear,
    /// Evenly on a logarithmic scale.
    Log,
    /// As a normal distribution, cut at the bounds.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation.
        sd: f64,
    },
    /// As a distribution whose logarithm is normal, cut at the bounds.
    LogNormal {
        /// The mean of the natural logarithm.
        mean: f64,
        /// Its standard deviation.
        sd: f64,
    },
}

/// A normal distribution between two places, which are given in standard deviations from its mean.
struct Cut {
    low: f64,
    high: f64,
    below: f64,
    mass: f64,
}

/// The distribution function of the standard normal distribution.
fn cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

impl Cut {
    fn new(low: f64, high: f64) -> Self {
        let below = cdf(low);
        Cut { low, high, below, mass: cdf(high) - below }
    }

    fn place(&self, unit: f64) -> f64 {
        let wanted = self.below + unit * self.mass;
        let (mut low, mut high) = (self.low, self.high);
        // To the last bit, and never outside.
        for _ in 0..80 {
            let middle = low + (high - low) / 2.0;
            if cdf(middle) < wanted { low = middle } else { high = middle }
        }
        low + (high - low) / 2.0
    }

    fn unit(&self, place: f64) -> f64 {
        ((cdf(place) - self.below) / self.mass).clamp(0.0, 1.0)
    }
}

impl Scale {
    /// Whether it is laid over the logarithm.
    pub fn is_log(self) -> bool {
        matches!(self, Scale::Log | Scale::LogNormal { .. })
    }

    fn cut(self, lower: f64, upper: f64) -> Option<(Cut, f64, f64)> {
        let (mean, sd, lower, upper) = match self {
            Scale::Normal { mean, sd } => (mean, sd, lower, upper),
            Scale::LogNormal { mean, sd } => (mean, sd, lower.ln(), upper.ln()),
            Scale::Linear | Scale::Log => return None,
        };
        Some((Cut::new((lower - mean) / sd, (upper - mean) / sd), mean, sd))
    }

    /// What a scale of this kind cannot be.
    pub(super) fn check(self, lower: f64, upper: f64) -> Result<(), String> {
        if self.is_log() && lower <= 0.0 {
            return Err(format!("a log scale needs bounds above 0, and lower is {lower}"));
        }
        let (Scale::Normal { mean, sd } | Scale::LogNormal { mean, sd }) = self else {
            return Ok(());
        };
        if !mean.is_finite() || !sd.is_finite() || sd <= 0.0 {
            return Err(format!("a mean is a number and an sd one above 0, not {mean} and {sd}"));
        }
        match self.cut(lower, upper) {
            Some((cut, ..)) if cut.mass < 1e-6 => Err(format!(
                "next to nothing of {self} lies between the bounds {lower} and {upper}"
            )),
            _ => Ok(()),
        }
    }

    /// The number at a place of the unit interval, between the bounds.
    pub(super) fn value(self, unit: f64, lower: f64, upper: f64) -> f64 {
        let x = match (self, self.cut(lower, upper)) {
            (_, Some((cut, mean, sd))) => mean + sd * cut.place(unit),
            (Scale::Log, None) => lower.ln() + unit * (upper.ln() - lower.ln()),
            (_, None) => lower + unit * (upper - lower),
        };
        if self.is_log() { x.exp() } else { x }
    }

    /// The place of a number.
    pub(super) fn unit(self, x: f64, lower: f64, upper: f64) -> f64 {
        let place = if self.is_log() { x.ln() } else { x };
        let even = |low: f64, high: f64| ((place - low) / (high - low)).clamp(0.0, 1.0);
        match (self, self.cut(lower, upper)) {
            (_, Some((cut, mean, sd))) => cut.unit((place - mean) / sd),
            (Scale::Log, None) => even(lower.ln(), upper.ln()),
            (_, None) => even(lower, upper),
        }
    }

    /// The bounds of a distribution that has none: five standard deviations around its middle, outside
    /// of which lies less than a millionth.
    pub(super) fn own_bounds(self) -> Option<(f64, f64)> {
        const WIDTH: f64 = 5.0;
        match self {
            Scale::Normal { mean, sd } => Some((mean - WIDTH * sd, mean + WIDTH * sd)),
            Scale::LogNormal { mean, sd } => {
                Some(((mean - WIDTH * sd).exp(), (mean + WIDTH * sd).exp()))
            }
            Scale::Linear | Scale::Log => None,
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scale::Linear => f.write_str("linear"),
            Scale::Log => f.write_str("log"),
            Scale::Normal { mean, sd } => write!(f, "normal({mean:?}, {sd:?})"),
            Scale::LogNormal { mean, sd } => write!(f, "lognormal({mean:?}, {sd:?})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shares of a normal distribution within one and two standard deviations, and its middle.
    #[test]
    fn a_normal_scale_is_a_normal_distribution() {
        let normal = Scale::Normal { mean: 3.0, sd: 2.0 };
        let share =
            |low: f64, high: f64| normal.unit(high, -7.0, 13.0) - normal.unit(low, -7.0, 13.0);
        assert!((share(1.0, 5.0) - 0.682_69).abs() < 1e-4);
        assert!((share(-1.0, 7.0) - 0.954_50).abs() < 1e-4);
        assert!((normal.value(0.5, -7.0, 13.0) - 3.0).abs() < 1e-9);
        let log = Scale::LogNormal { mean: 0.0, sd: 1.0 };
        assert!((log.value(0.5, 0.01, 100.0) - 1.0).abs() < 1e-9);
        assert!((log.value(0.841_34, 1e-3, 1e3) - 1f64.exp()).abs() < 1e-3);
        for at in 0..=100 {
            let unit = f64::from(at) / 100.0;
            for scale in [normal, Scale::Normal { mean: 90.0, sd: 20.0 }] {
                let x = scale.value(unit, -7.0, 13.0);
                assert!((-7.0..=13.0).contains(&x), "{x}");
                assert!((scale.unit(x, -7.0, 13.0) - unit).abs() < 1e-6, "{scale} {unit}");
            }
        }
    }

    #[test]
    fn a_distribution_that_its_bounds_cut_away_is_refused() {
        let normal = Scale::Normal { mean: 0.0, sd: 1.0 };
        assert!(normal.check(9.0, 10.0).unwrap_err().contains("next to nothing"));
        assert!(normal.check(-1.0, 10.0).is_ok());
        assert!(Scale::Normal { mean: 0.0, sd: 0.0 }.check(0.0, 1.0).is_err());
        assert!(Scale::Normal { mean: f64::NAN, sd: 1.0 }.check(0.0, 1.0).is_err());
        assert!(
            Scale::LogNormal { mean: 0.0, sd: 1.0 }
                .check(0.0, 1.0)
                .unwrap_err()
                .contains("above 0")
        );
    }
}
