//! Which stretch of an objective's values a picture shows.

use serde::Serialize;

use trialmill_core::objectives::Direction;

/// The stretch of an axis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Range {
    /// Its lower end.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Whether its scale is logarithmic.
    pub log: bool,
}

impl Range {
    /// The stretch that shows these values: all that are finite, but far outliers on the worse side. A
    /// value beyond stands at the edge. Logarithmic where all are above zero and orders of magnitude
    /// apart.
    pub fn of(values: &[f64], direction: Direction) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (sorted.first(), sorted.last()) else {
            return Range { low: 0.0, high: 1.0, log: false };
        };
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share).round() as usize];
        if min > 0.0 && at(0.95) / min > 100.0 {
            return Range { low: min, high: max.min(at(0.98) * 10.0), log: true }.padded();
        }
        let middle = (at(0.75) - at(0.25)).clamp(1e-300, f64::MAX);
        let (mut low, mut high) = (min, max);
        match direction {
            Direction::Minimize => high = high.min(at(0.75) + 6.0 * middle).max(at(0.9)),
            Direction::Maximize => low = low.max(at(0.25) - 6.0 * middle).min(at(0.1)),
        }
        Range { low, high, log: false }.padded()
    }

    /// Just these bounds, made into a stretch where they are one point.
    pub fn between(low: f64, high: f64) -> Self {
        match low < high && low.is_finite() && high.is_finite() {
            true => Range { low, high, log: false },
            false => {
                let at = if low.is_finite() { low } else { 0.0 };
                let pad = (at.abs() * 0.1).max(0.5);
                Range { low: at - pad, high: at + pad, log: false }
            }
        }
    }

    fn padded(self) -> Self {
        // Narrower than that, places on it could not be told apart.
        if self.high / 2.0 - self.low / 2.0 <= f64::MIN_POSITIVE {
            return Range::between(self.low, self.low);
        }
        if self.log {
            let part = ((self.high.ln() - self.low.ln()) * 0.04).exp();
            let (low, high) = (self.low / part, self.high * part);
            return Range { low: low.max(f64::MIN_POSITIVE), high: high.min(f64::MAX), log: true };
        }
        let pad = (self.high / 2.0 - self.low / 2.0) * 0.08;
        let (low, high) = ((self.low - pad).max(f64::MIN), (self.high + pad).min(f64::MAX));
        Range { low, high, log: false }
    }

    /// Where a value stands, from 0 to 1; beyond the ends at them.
    pub fn unit(&self, x: f64) -> f64 {
        let unit = match self.log {
            true => {
                let low = self.low.ln();
                (x.max(f64::MIN_POSITIVE).ln() - low) / (self.high.ln() - low)
            }
            // By halves, because the whole range of floats is not a float.
            false => (x / 2.0 - self.low / 2.0) / (self.high / 2.0 - self.low / 2.0),
        };
        if x.is_infinite() { f64::from(u8::from(x > 0.0)) } else { unit.clamp(0.0, 1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_list_of_values_has_a_stretch_and_every_value_a_place_on_it() {
        let many = [f64::NAN, f64::INFINITY, -1e308, 1e308, 0.0, 5e-324, 1.0, 1.0, -3.5];
        for len in 0..=many.len() {
            for start in 0..=many.len() - len {
                let values = &many[start..start + len];
                for direction in [Direction::Minimize, Direction::Maximize] {
                    let range = Range::of(values, direction);
                    assert!(range.low < range.high, "{values:?}: {range:?}");
                    for x in values.iter().filter(|x| !x.is_nan()) {
                        assert!((0.0..=1.0).contains(&range.unit(*x)), "{x} in {range:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn one_diverged_trial_does_not_flatten_all_others() {
        let mut values: Vec<f64> = (0..100).map(|i| 1.0 + f64::from(i) / 100.0).collect();
        values.push(1e9);
        assert!(Range::of(&values, Direction::Minimize).high < 10.0);
        let log: Vec<f64> = (0..100).map(|i| 10f64.powf(f64::from(i) / 20.0)).collect();
        assert!(Range::of(&log, Direction::Minimize).log);
    }
}
