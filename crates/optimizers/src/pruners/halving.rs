//! Asynchronous successive halving over steps, and Hyperband, which is several of them.
//!
//! A trial that reaches a rung goes on if it is among the best 1 in `reduction_factor` of all trials that
//! have reached it so far; whoever comes first goes on. (Li et al., "A System for Massively Parallel
//! Hyperparameter Tuning", MLSys 2020, in the variant that stops instead of promoting.)

use serde::{Deserialize, Serialize};

use super::smallest::Smallest;
use super::{At, Rule};

/// The arguments of `successive_halving`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Halving {
    /// The step of the first rung.
    pub(super) min_steps: u64,
    /// One in so many goes on; and each rung has so many times the steps of the one before.
    pub(super) reduction_factor: u64,
    /// How many rungs are left out at the beginning.
    pub(super) skipped_rungs: u32,
    /// How many trials pass a rung before anything ends there.
    pub(super) startup_trials: usize,
}

impl Default for Halving {
    fn default() -> Self {
        Halving { min_steps: 1, reduction_factor: 4, skipped_rungs: 0, startup_trials: 0 }
    }
}

impl Halving {
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.min_steps, self.reduction_factor) {
            (0, _) => Err("min_steps is 1 or more".into()),
            (_, 0 | 1) => Err("reduction_factor is 2 or more".into()),
            _ => Ok(()),
        }
    }
}

/// The values at each rung.
pub(super) struct Rungs {
    settings: Halving,
    rungs: Vec<Smallest>,
}

impl Rungs {
    pub(super) fn new(settings: Halving) -> Self {
        Rungs { settings, rungs: Vec::new() }
    }

    /// The rungs that are reached with a step, and were not with the one before.
    fn reached(&self, at: &At<'_>) -> std::ops::Range<usize> {
        let rungs_up_to = |step: u64| {
            let Halving { min_steps, reduction_factor, skipped_rungs, .. } = self.settings;
            let mut steps = reduction_factor
                .checked_pow(skipped_rungs)
                .and_then(|factor| factor.checked_mul(min_steps));
            let mut count = 0;
            while let Some(needed) = steps.filter(|needed| *needed <= step) {
                count += 1;
                steps = needed.checked_mul(reduction_factor);
            }
            count
        };
        at.previous.map_or(0, rungs_up_to)..rungs_up_to(at.step)
    }

    /// How many of `n` trials go on.
    fn part(&self, n: usize) -> usize {
        (n / self.settings.reduction_factor as usize).max(1)
    }

    /// Whether a value is among the best at a rung, if it comes to those that are there.
    fn goes_on(&self, rung: usize, value: f64) -> bool {
        let Some(there) = self.rungs.get(rung) else {
            return self.settings.startup_trials > 0 || !value.is_nan();
        };
        let n = there.len() + 1;
        if n <= self.settings.startup_trials {
            return true;
        }
        if value.is_nan() {
            return false;
        }
        // The part-th smallest of the others: with it, so many are better than this one.
        let nth = if self.part(n) > there.k() { there.next() } else { there.kth() };
        nth.is_none_or(|nth| value <= nth)
    }
}

impl Rule for Rungs {
    fn prunes(&self, at: &At<'_>) -> bool {
        self.reached(at).any(|rung| !self.goes_on(rung, at.value))
    }

    fn learn(&mut self, at: &At<'_>) {
        for rung in self.reached(at) {
            if self.rungs.len() <= rung {
                self.rungs.resize_with(rung + 1, Smallest::default);
            }
            let factor = self.settings.reduction_factor as usize;
            self.rungs[rung].add(at.value, |n| (n / factor).max(1));
        }
    }
}

/// The arguments of `hyperband`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Band {
    /// The step of the first rung of the first bracket.
    pub(super) min_steps: u64,
    /// How many steps a whole evaluation has.
    pub(super) max_steps: Option<u64>,
    /// As of successive halving.
    pub(super) reduction_factor: u64,
    /// As of successive halving.
    pub(super) startup_trials: usize,
}

impl Default for Band {
    fn default() -> Self {
        Band { min_steps: 1, max_steps: None, reduction_factor: 3, startup_trials: 0 }
    }
}

impl Band {
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(max_steps) = self.max_steps else {
            return Err("it needs `max_steps`: how many steps a whole evaluation has".into());
        };
        let halving = Halving {
            min_steps: self.min_steps,
            reduction_factor: self.reduction_factor,
            ..Halving::default()
        };
        halving.check()?;
        match max_steps < self.min_steps {
            true => Err(format!("max_steps ({max_steps}) is below min_steps ({})", self.min_steps)),
            false => Ok(()),
        }
    }
}

/// Several successive halvings: each next bracket begins one rung later, and gets fewer trials.
pub(super) struct Brackets {
    brackets: Vec<Rungs>,
    /// Of the trials that are not in the brackets before, the part that goes on to the brackets behind.
    beyond: Vec<f64>,
}

impl Brackets {
    pub(super) fn new(settings: &Band) -> Self {
        let Band { min_steps, max_steps, reduction_factor, startup_trials } = *settings;
        let longest = max_steps.unwrap_or(min_steps);
        let mut count = 1;
        let mut steps = min_steps;
        while let Some(next) = steps.checked_mul(reduction_factor).filter(|next| *next <= longest) {
            (steps, count) = (next, count + 1);
        }
        let bracket = |skipped_rungs| {
            Rungs::new(Halving { min_steps, reduction_factor, skipped_rungs, startup_trials })
        };
        let brackets: Vec<Rungs> = (0..count).map(bracket).collect();
        // Hyperband's own numbers of trials, with the widest bracket first.
        let trials = |bracket: u32| {
            let s = count - 1 - bracket;
            let n = f64::from(count) / f64::from(s + 1) * (reduction_factor as f64).powi(s as i32);
            n.ceil()
        };
        let from = |bracket: u32| (bracket..count).map(trials).sum::<f64>();
        let beyond = (0..count).map(|bracket| from(bracket + 1) / from(bracket)).collect();
        Brackets { brackets, beyond }
    }

    /// The bracket of a trial, by its number: any few trials in a row are in the right proportions, and a narrow
    /// bracket begins as late as these allow, because the first trial of each passes all rungs.
    fn bracket(&self, mut number: u64) -> usize {
        for (bracket, beyond) in self.beyond.iter().enumerate() {
            let up_to = |number: u64| (number as f64 * beyond) as u64;
            let passed = up_to(number);
            if passed == up_to(number.saturating_sub(1)) {
                return bracket;
            }
            number = passed;
        }
        0
    }
}

impl Rule for Brackets {
    fn prunes(&self, at: &At<'_>) -> bool {
        self.brackets[self.bracket(number(at))].prunes(at)
    }

    fn learn(&mut self, at: &At<'_>) {
        let bracket = self.bracket(number(at));
        self.brackets[bracket].learn(at);
    }
}

fn number(at: &At<'_>) -> u64 {
    at.reached.trial.id.number().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Brackets in the order of a golden section met the narrow ones among the first trials, each of which goes on
    /// to the end: 324 of the first 405 epochs.
    #[test]
    fn brackets_have_their_proportions_at_any_time_and_narrow_ones_begin_late() {
        let brackets = Brackets::new(&Band { max_steps: Some(81), ..Band::default() });
        let wanted = [81.0, 34.0, 15.0, 8.0, 5.0].map(|trials| trials / 143.0);
        let (mut counts, mut first) = ([0u32; 5], [0u64; 5]);
        for number in 1..=2_000 {
            let bracket = brackets.bracket(number);
            counts[bracket] += 1;
            first[bracket] = if first[bracket] == 0 { number } else { first[bracket] };
            for (count, share) in counts.iter().zip(wanted) {
                let off = f64::from(*count) - share * number as f64;
                assert!(off.abs() < 2.5, "{off} of {share} at {number}");
            }
        }
        assert_eq!(first, [1, 3, 7, 17, 37]);
        let huge: Vec<usize> = (0..9).map(|less| brackets.bracket(u64::MAX - less)).collect();
        assert!(huge.iter().all(|bracket| *bracket < 5), "{huge:?}");
    }
}
