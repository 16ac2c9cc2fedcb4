//! Ranges that are counted: whole numbers where floats are too coarse, and numbers with a step.

/// From here on two neighbouring whole numbers, or the halves between them, are one float; and from
/// there on their logarithms are.
const COARSE: u64 = 1 << 51;
const COARSE_LOG: u64 = 1 << 40;

/// The most steps of a range: more are not told apart.
pub(super) const MAX_STEPS: f64 = (1u64 << 51) as f64;

/// A range of whole numbers where floats are too coarse: counted from the lower bound.
pub(super) struct Offsets {
    lower: i64,
    /// How many there are.
    count: f64,
    /// The whole range on a logarithmic scale, and where it begins.
    log: Option<(f64, f64)>,
}

impl Offsets {
    pub(super) fn of(lower: i64, upper: i64, log: bool) -> Option<Self> {
        let coarse = if log { COARSE_LOG } else { COARSE };
        if lower.unsigned_abs().max(upper.unsigned_abs()) < coarse {
            return None;
        }
        let count = upper.wrapping_sub(lower) as u64 as f64 + 1.0;
        let low = lower as f64 - 0.5;
        let log = log.then(|| ((count / low).ln_1p(), low));
        Some(Offsets { lower, count, log })
    }

    pub(super) fn value(&self, unit: f64) -> i64 {
        let offset = match self.log {
            Some((range, low)) => low * (unit * range).exp_m1(),
            None => unit * self.count,
        };
        let offset = offset.clamp(0.0, self.count - 1.0) as u64;
        self.lower.wrapping_add(offset as i64)
    }

    pub(super) fn unit(&self, x: i64) -> f64 {
        let offset = x.saturating_sub(self.lower) as f64 + 0.5;
        match self.log {
            Some((range, low)) => (offset / low).ln_1p() / range,
            None => offset / self.count,
        }
        .clamp(0.0, 1.0)
    }
}

/// The place of the k-th of n values that are equally likely, and back.
pub(super) fn unit_of(at: u64, count: u64) -> f64 {
    (at as f64 + 0.5) / count as f64
}

pub(super) fn at_unit(unit: f64, count: u64) -> u64 {
    ((unit * count as f64) as u64).min(count.saturating_sub(1))
}

/// The floats `lower`, `lower + step`, … up to `upper`.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    pub(super) lower: f64,
    pub(super) upper: f64,
    pub(super) step: f64,
}

impl Steps {
    pub(super) fn count(self) -> u64 {
        // A tenth is none in binary: ten of them may be a bit more than one.
        ((self.upper - self.lower) / self.step + 1e-9).floor() as u64 + 1
    }

    /// The number that a person writes there: 0.3, where 0.1 + 2 * 0.1 is 0.30000000000000004.
    pub(super) fn value(self, at: u64) -> f64 {
        let x = self.lower + at as f64 * self.step;
        let decimals = decimals(self.lower).max(decimals(self.step));
        let written = match decimals {
            0..=17 => format!("{x:.decimals$}").parse().unwrap_or(x),
            _ => x,
        };
        written.clamp(self.lower, self.upper)
    }

    /// Which of them a number is.
    pub(super) fn position(self, x: f64) -> Option<u64> {
        let at = self.nearest(x);
        ((self.value(at) - x).abs() <= 1e-9 * self.step).then_some(at)
    }

    pub(super) fn nearest(self, x: f64) -> u64 {
        let at = ((x - self.lower) / self.step).round().max(0.0) as u64;
        at.min(self.count() - 1)
    }

    pub(super) fn check(self) -> Result<(), String> {
        let Steps { lower, upper, step } = self;
        if !step.is_finite() || step <= 0.0 {
            return Err(format!("a step is a number above 0, not {step}"));
        }
        if step > upper - lower {
            return Err(format!("the step {step} is wider than the range from {lower} to {upper}"));
        }
        let last = self.count() - 1;
        if (upper - lower) / step > MAX_STEPS
            || self.value(1) <= lower
            || self.value(last) <= self.value(last - 1)
        {
            return Err(format!("the step {step} is too small for {lower} to {upper}"));
        }
        Ok(())
    }
}

/// How many digits stand behind the point of a number as it is written.
fn decimals(x: f64) -> usize {
    x.to_string().split_once('.').map_or(0, |(_, digits)| digits.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_the_numbers_that_a_person_would_write() {
        let tenths = Steps { lower: 0.1, upper: 1.0, step: 0.1 };
        let values: Vec<f64> = (0..tenths.count()).map(|at| tenths.value(at)).collect();
        assert_eq!(values, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]);
        assert_eq!(Steps { lower: 0.0, upper: 1.0, step: 0.3 }.count(), 4);
        let small = Steps { lower: 1e-7, upper: 1e-6, step: 1e-7 };
        assert_eq!((small.count(), small.value(2)), (10, 3e-7));
        for steps in [tenths, small, Steps { lower: -3.5, upper: 1e6, step: 0.25 }] {
            for at in (0..steps.count()).step_by(7) {
                assert_eq!(steps.position(steps.value(at)), Some(at));
            }
            assert_eq!(steps.position(steps.value(0) + steps.step / 2.0), None);
        }
        for (step, says) in [
            (0.0, "above 0"),
            (-1.0, "above 0"),
            (f64::NAN, "above 0"),
            (2.0, "wider"),
            (1e-17, "too small"),
        ] {
            let problem = Steps { lower: 0.0, upper: 1.0, step }.check().unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
    }
}
