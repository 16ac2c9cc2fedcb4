//! Tree-structured Parzen estimator: Bergstra et al., "Algorithms for Hyper-Parameter Optimization",
//! 2011; multivariate after Falkner et al. (BOHB), 2018, and Watanabe, "Tree-Structured Parzen
//! Estimator: Understanding Its Algorithm Components", 2023.
//!
//! The best tenth of the trials makes one density, the others, and those still running, a second one
//! ("constant liar"); what is likely under the first and unlikely under the second is proposed. Here
//! the narrowest kernel becomes narrower with the number of *all* trials, so the search does not stop
//! at a range's 27th part.

mod mixture;

use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::driver::{Algorithm, Ask, Proposal, Suggestion};
use crate::history::{Observation, State};
use crate::quasi_random::start_point;
use crate::space::{Point, Space};
use mixture::{Mixture, Recipe};

/// The newest of the worse trials that count fully; older ones fade.
const FULL_WEIGHT: usize = 25;
/// After so many trials those of other studies weigh a quarter.
const FADES_AFTER: f64 = 10.0;
/// Of more worse trials than this, only some of the older ones are used.
const MOST_KERNELS: usize = 1500;

/// Its arguments.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tpe {
    /// How many Sobol points come first.
    pub n_startup_trials: usize,
    /// How many draws from the density of the good trials are compared.
    pub n_ei_candidates: usize,
    /// Which part of the trials is good.
    pub gamma: f64,
    /// How many good trials there are at most.
    pub max_good: usize,
    /// The weight of the prior's kernel; a trial's is 1.
    pub prior_weight: f64,
    /// Which part of the draws is from the prior's kernel alone.
    pub prior_draws: f64,
    /// How much more the best of the good trials weighs than the last of them: 0 is not at all, 1 is
    /// by the logarithm of the rank.
    pub rank_weight: f64,
    /// Whether the users' priors are used.
    pub use_priors: bool,
}

impl Default for Tpe {
    fn default() -> Self {
        Tpe {
            n_startup_trials: 10,
            n_ei_candidates: 64,
            gamma: 0.1,
            max_good: 25,
            prior_weight: 1.0,
            prior_draws: 0.0,
            rank_weight: 1.0,
            use_priors: true,
        }
    }
}

impl Algorithm for Tpe {
    fn name(&self) -> &'static str {
        "tpe"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn transfers(&self) -> bool {
        true
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        if ask.history.len() < ask.transfer.initial(self.n_startup_trials) || ask.space.is_empty() {
            return Proposal::Evaluate(Suggestion::from(start_point(ask)));
        }
        Proposal::Evaluate(self.draw(ask, rng).into())
    }
}

/// A trial as TPE sees it: where, and how good; trials without a usable objective come last.
struct Ranked<'a> {
    point: &'a [f64],
    value: f64,
    /// When it was proposed.
    age: usize,
}

/// Other studies' trials, with their weights.
#[derive(Default)]
struct Elsewhere<'a> {
    good: Vec<(&'a [f64], f64)>,
    others: Vec<(&'a [f64], f64)>,
    /// As how many trials all of them count.
    count: f64,
}

impl Tpe {
    /// The model's proposal.
    pub(crate) fn draw(&self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Point {
        self.draw_among(ask, ask.history.trials(), |_, trial| trial.objective(), rng)
    }

    /// The model's proposal from these trials, by that objective.
    pub(crate) fn draw_among(
        &self,
        ask: &Ask<'_>,
        trials: &[Observation],
        objective: impl Fn(usize, &Observation) -> Option<f64>,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Point {
        let (mut ended, mut pending) = (Vec::new(), Vec::new());
        for (age, trial) in trials.iter().enumerate() {
            match trial.state {
                State::Pending => pending.push((&trial.point[..], age)),
                _ => {
                    let value = objective(age, trial).unwrap_or(f64::INFINITY);
                    ended.push(Ranked { point: &trial.point, value, age });
                }
            }
        }
        let usable = ended.iter().filter(|t| t.value.is_finite()).count();
        let n = ended.len();
        let elsewhere = self.elsewhere(ask, n);
        if usable + elsewhere.good.len() < 2 {
            return start_point(ask);
        }
        let good = self.good_among(n).min(usable);
        let by_value =
            |a: &Ranked<'_>, b: &Ranked<'_>| a.value.total_cmp(&b.value).then(a.age.cmp(&b.age));
        if 0 < good && good < n {
            ended.select_nth_unstable_by(good - 1, by_value);
        }
        ended[..good].sort_unstable_by(by_value);
        let (best, rest) = ended.split_at(good);

        // Within half the trials' number, but not below a 400th: the others, to be told apart from
        // the good ones, are as sharp.
        let narrowest = 1.0 / f64::min(400.0, 2.0 + 0.5 * (n as f64 + elsewhere.count));
        let trust = if self.use_priors { mean_confidence(ask.space) } else { 0.0 };
        let prior_weight = self.prior_weight * (1.0 + 4.0 * trust);
        let mixture = |points: &[&[f64]], weights: &[f64]| {
            let (space, use_priors) = (ask.space, self.use_priors);
            Mixture::new(&Recipe { space, points, weights, prior_weight, narrowest, use_priors })
        };
        let mut good_points: Vec<&[f64]> = best.iter().map(|t| t.point).collect();
        let mut good_weights = self.good_weights(good);
        good_points.extend(elsewhere.good.iter().map(|(point, _)| *point));
        good_weights.extend(elsewhere.good.iter().map(|(_, weight)| *weight));
        let good_mixture = mixture(&good_points, &good_weights);
        let mut others: Vec<(&[f64], usize)> =
            rest.iter().map(|t| (t.point, t.age)).chain(pending).collect();
        others.sort_unstable_by_key(|(_, age)| *age);
        let (mut points, mut weights) = faded(&others);
        points.extend(elsewhere.others.iter().map(|(point, _)| *point));
        weights.extend(elsewhere.others.iter().map(|(_, weight)| *weight));
        let other_mixture = mixture(&points, &weights);
        self.choose(ask, &good_mixture, &other_mixture, rng)
    }

    /// How many of so many trials are good.
    fn good_among(&self, n: usize) -> usize {
        ((self.gamma * n as f64).ceil() as usize).clamp(2, self.max_good.max(2))
    }

    /// What the trials of other studies say after `n` of this one, each study's by their own order.
    fn elsewhere<'a>(&self, ask: &Ask<'a>, n: usize) -> Elsewhere<'a> {
        let weight = (FADES_AFTER / (FADES_AFTER + n as f64)).powi(2);
        let mut all = Elsewhere::default();
        for source in &ask.transfer.sources {
            let value = |trial: &'a Observation| Some((trial.objective()?, &trial.point[..]));
            let mut list: Vec<(f64, &[f64])> = source.trials.iter().filter_map(value).collect();
            list.sort_by(|a, b| a.0.total_cmp(&b.0));
            let good = self.good_among(list.len()).min(list.len());
            let weights = self.good_weights(good);
            let (best, rest) = list.split_at(good);
            all.good.extend(best.iter().zip(weights).map(|((_, point), w)| (*point, w * weight)));
            all.others.extend(rest.iter().map(|(_, point)| (*point, weight)));
            all.count += weight * list.len() as f64;
        }
        all
    }

    fn good_weights(&self, good: usize) -> Vec<f64> {
        let k = good as f64;
        let weight = |rank: usize| (k + 0.5).ln() - ((rank + 1) as f64).ln();
        let mean = (0..good).map(weight).sum::<f64>() / k;
        (0..good).map(|rank| 1.0 + self.rank_weight * (weight(rank) / mean - 1.0)).collect()
    }

    fn choose(
        &self,
        ask: &Ask<'_>,
        good: &Mixture,
        others: &Mixture,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Point {
        let count = self.n_ei_candidates.max(1);
        let from_prior = (self.prior_draws * count as f64) as usize;
        let mut scratch = Vec::new();
        let mut draw = |at: usize| {
            let x = good.sample(ask.space, at < from_prior, rng);
            let score = good.log_density(ask.space, &x, &mut scratch)
                - others.log_density(ask.space, &x, &mut scratch);
            (score, x)
        };
        let mut candidates: Vec<(f64, Point)> = (0..count).map(&mut draw).collect();
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        // Only where there are steps can a draw hit a trial by chance.
        let unseen = candidates.iter().position(|(_, x)| !ask.history.has_seen(x));
        candidates.swap_remove(unseen.unwrap_or(0)).1
    }
}

/// The points in their order, with weights that rise from the oldest to the newest; of very many,
/// every k-th of the older ones in the place of k.
fn faded<'a>(others: &[(&'a [f64], usize)]) -> (Vec<&'a [f64]>, Vec<f64>) {
    let n = others.len();
    let old = n.saturating_sub(FULL_WEIGHT);
    let ramp = |at: usize| match at < old {
        true if old == 1 => 1.0 / n as f64,
        true => {
            let first = 1.0 / n as f64;
            first + (1.0 - first) * at as f64 / (old - 1) as f64
        }
        false => 1.0,
    };
    let stride = n.div_ceil(MOST_KERNELS).max(1);
    let kept = |at: &usize| *at >= old || (old - 1 - *at).is_multiple_of(stride);
    let weight = |at: usize| if at < old { ramp(at) * stride as f64 } else { 1.0 };
    let places = (0..n).filter(kept);
    places.map(|at| (others[at].0, weight(at))).unzip()
}

/// How much the priors are trusted, over all parameters.
fn mean_confidence(space: &Space) -> f64 {
    let trust = space.dimensions.iter().map(|d| d.prior.map_or(0.0, |prior| prior.confidence));
    trust.sum::<f64>() / space.len().max(1) as f64
}
