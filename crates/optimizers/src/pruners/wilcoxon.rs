//! Wilcoxon: for evaluations on several instances or folds. A trial ends when its values are worse than
//! those of the best trial on the same instances, more clearly than chance would have it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use trialmill_core::pruner::{Reached, minimised_curve};

use super::{At, Rule};

/// The arguments of `wilcoxon`. The steps are instances: they may come in any order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Wilcoxon {
    /// How improbable the difference must be.
    pub(super) p_threshold: f64,
    /// How many instances are looked at before anything ends.
    pub(super) startup_steps: usize,
}

impl Default for Wilcoxon {
    fn default() -> Self {
        Wilcoxon { p_threshold: 0.1, startup_steps: 2 }
    }
}

impl Wilcoxon {
    pub(super) fn check(&self) -> Result<(), String> {
        match self.p_threshold {
            p if (0.0..=1.0).contains(&p) => Ok(()),
            _ => Err("p_threshold is 0 to 1".into()),
        }
    }
}

impl Rule for Wilcoxon {
    fn prunes(&self, at: &At<'_>) -> bool {
        let reached = at.reached;
        let Some(best) = reached.best else { return false };
        let best: BTreeMap<u64, f64> =
            minimised_curve(best.steps.as_deref(), reached.objectives).into_iter().collect();
        let mut own: BTreeMap<u64, f64> = reached.earlier().into_iter().collect();
        let steps = reached.trial.steps.as_ref().and_then(|steps| steps.of(reached.attempt));
        let known = steps.map_or(&[][..], |of| &of.steps);
        own.extend(Reached { new: known, ..*reached }.steps());
        let seen = reached.new.iter().position(|step| step.step == at.step).map_or(0, |at| at + 1);
        own.extend(Reached { new: &reached.new[..seen], ..*reached }.steps());
        let differences: Vec<f64> =
            own.iter().filter_map(|(step, own)| Some(own - best.get(step)?)).collect();
        // Of values that are not finite there are no ranks.
        let is_sound = own.values().chain(best.values()).all(|x| x.is_finite());
        let mean = |of: &BTreeMap<u64, f64>| of.values().sum::<f64>() / of.len() as f64;
        // A trial that is better on the whole goes on whatever the ranks say.
        is_sound
            && differences.len() >= self.startup_steps.max(2)
            && mean(&own) > mean(&best)
            && p_of_greater(&differences) < self.p_threshold
    }
}

/// Wilcoxon's signed-rank test: how probable differences as great as these are if they are as often below
/// zero as above. Zeros count for both sides.
fn p_of_greater(differences: &[f64]) -> f64 {
    let n = differences.len();
    let mut sorted: Vec<f64> = differences.to_vec();
    sorted.sort_by(|a, b| a.abs().total_cmp(&b.abs()));
    let (mut sum, mut ties, mut at) = (0.0, 0.0, 0);
    while at < n {
        let end = at + sorted[at..].iter().take_while(|x| x.abs() == sorted[at].abs()).count();
        let rank = (at + 1 + end) as f64 / 2.0;
        for x in &sorted[at..end] {
            sum += rank * if *x == 0.0 { 0.5 } else { f64::from(u8::from(*x > 0.0)) };
        }
        let count = (end - at) as f64;
        ties += count.powi(3) - count;
        at = end;
    }
    let has_zeros = differences.contains(&0.0);
    if n <= 50 && ties == 0.0 && !has_zeros {
        return exact(n, sum);
    }
    let n = n as f64;
    let mean = n * (n + 1.0) / 4.0;
    let deviation = (n * (n + 1.0) * (2.0 * n + 1.0) / 24.0 - ties / 48.0).sqrt();
    if deviation > 0.0 { upper_tail((sum - mean) / deviation) } else { 1.0 }
}

/// How many of all signs of n ranks give a sum at least as great.
fn exact(n: usize, sum: f64) -> f64 {
    let most = n * (n + 1) / 2;
    let mut ways = vec![0.0_f64; most + 1];
    ways[0] = 1.0;
    for rank in 1..=n {
        for sum in (rank..=most).rev() {
            ways[sum] += ways[sum - rank];
        }
    }
    ways[(sum as usize).min(most)..].iter().sum::<f64>() / 2f64.powi(n as i32)
}

/// The upper tail of the normal distribution: Abramowitz and Stegun, 26.2.17; to 1e-7.
fn upper_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - upper_tail(-z);
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let density = (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let terms = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    density * terms.iter().rev().fold(0.0, |sum, term| (sum + term) * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values are those of scipy 1.16: `wilcoxon(d, alternative="greater", zero_method="zsplit")`.
    #[test]
    fn the_test_says_what_scipy_says() {
        for (differences, p) in [
            (vec![1.0, 2.0, 3.0], 0.125),
            (vec![1.0, -2.0, 3.0, 4.0, 5.0], 0.09375),
            (vec![-1.0, -2.0, -3.0], 1.0),
        ] {
            assert!((p_of_greater(&differences) - p).abs() < 1e-9, "{differences:?}");
        }
        assert!((upper_tail(1.0) - 0.158_655_253_9).abs() < 1e-6);
        assert!((upper_tail(-2.0) - 0.977_249_868).abs() < 1e-6);
        // With ties and zeros it is near the exact value, and symmetrical.
        let tied = [1.0, 1.0, 2.0, 0.0, -1.0, 3.0, 3.0];
        let mirrored: Vec<f64> = tied.iter().map(|x| -x).collect();
        assert!((p_of_greater(&tied) + p_of_greater(&mirrored) - 1.0).abs() < 1e-6);
    }
}
