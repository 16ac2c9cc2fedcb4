//! Tree-structured Parzen estimator: Bergstra et al., "Algorithms for Hyper-Parameter Optimization",
//! 2011; multivariate after Falkner et al. (BOHB), 2018, and Watanabe, "Tree-Structured Parzen
//! Estimator: Understanding Its Algorithm Components", 2023.
//!
//! The best tenth of the trials makes one density, the others, and those still running, a second one
//! ("constant liar"); what is likely under the first and unlikely under the second is proposed. Here
//! the narrowest kernel becomes narrower with the number of *all* trials, so the search does not stop
//! at a range's 27th part. In a space with conditions the parameters that are there together are a group:
//! which group is proposed is said by all trials, and its values by those of the group alone.

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
    /// Whether parameters that are there together have estimators of their own, in a space with conditions.
    // Left out at its default, so that a study from before it is still the same.
    #[serde(skip_serializing_if = "bool::clone")]
    pub group: bool,
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
            group: true,
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
#[derive(Clone, Copy)]
struct Ranked<'a> {
    point: &'a [f64],
    /// 0 if it has an objective, 1 if it only violates constraints.
    class: u8,
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
                    // Behind all that keep to the constraints come those that nearly do.
                    let (class, value) = match (objective(age, trial), trial.violation()) {
                        (Some(value), _) => (0, value),
                        (None, Some(violation)) => (1, violation),
                        (None, None) => (2, f64::INFINITY),
                    };
                    ended.push(Ranked { point: &trial.point, class, value, age });
                }
            }
        }
        let usable = ended.iter().filter(|t| t.class < 2).count();
        let n = ended.len();
        let elsewhere = self.elsewhere(ask, n);
        if usable + elsewhere.good.len() < 2 {
            return start_point(ask);
        }
        let space = ask.space;
        let groups = self.group && !space.conditions.is_empty();
        let of = |point: &[f64]| if groups { space.present(point) } else { Vec::new() };
        let is_seen = |x: &[f64]| ask.history.has_seen(x);
        let point = self.drawn(space, &is_seen, ended.clone(), pending.clone(), elsewhere, rng);
        let group = of(&point);
        ended.retain(|trial| of(trial.point) == group);
        if !groups || ended.iter().filter(|t| t.class < 2).count() < self.n_startup_trials {
            return point;
        }
        // Which parameters are there is chosen; what they are is said by the trials that have these.
        let there: Vec<usize> = (0..space.len()).filter(|g| group[*g]).collect();
        let part = |point: &[f64]| there.iter().map(|g| point[*g]).collect::<Point>();
        let whole = |x: &[f64]| {
            let mut point = vec![0.5; space.len()];
            there.iter().zip(x).for_each(|(g, x)| point[*g] = *x);
            point
        };
        pending.retain(|(point, _)| of(point) == group);
        let points: Vec<Point> = ended.iter().map(|trial| part(trial.point)).collect();
        let own =
            ended.iter().zip(&points).map(|(trial, point)| Ranked { point, ..*trial }).collect();
        let points: Vec<(Point, usize)> = pending.iter().map(|(p, age)| (part(p), *age)).collect();
        let pending = points.iter().map(|(point, age)| (&point[..], *age)).collect();
        let is_seen = |x: &[f64]| {
            let point = whole(x);
            of(&point) != group || ask.history.has_seen(&point)
        };
        let space = space.part(&there);
        let x = self.drawn(&space, &is_seen, own, pending, Elsewhere::default(), rng);
        let x = whole(&x);
        if of(&x) == group { x } else { point }
    }

    /// A draw by the estimators of these trials; at least two of them, or of other studies', are usable.
    fn drawn(
        &self,
        space: &Space,
        is_seen: &dyn Fn(&[f64]) -> bool,
        mut ended: Vec<Ranked<'_>>,
        pending: Vec<(&[f64], usize)>,
        elsewhere: Elsewhere<'_>,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Point {
        let n = ended.len();
        let usable = ended.iter().filter(|t| t.class < 2).count();
        let good = self.good_among(n).min(usable);
        let by_value = |a: &Ranked<'_>, b: &Ranked<'_>| {
            a.class.cmp(&b.class).then(a.value.total_cmp(&b.value)).then(a.age.cmp(&b.age))
        };
        if 0 < good && good < n {
            ended.select_nth_unstable_by(good - 1, by_value);
        }
        ended[..good].sort_unstable_by(by_value);
        let (best, rest) = ended.split_at(good);

        // Within half the trials' number, but not below a 400th: the others, to be told apart from
        // the good ones, are as sharp.
        let narrowest = 1.0 / f64::min(400.0, 2.0 + 0.5 * (n as f64 + elsewhere.count));
        let trust = if self.use_priors { mean_confidence(space) } else { 0.0 };
        let prior_weight = self.prior_weight * (1.0 + 4.0 * trust);
        let mixture = |kernels: &mut dyn Iterator<Item = (&[f64], f64)>| {
            let (points, weights): (Vec<&[f64]>, Vec<f64>) = kernels.unzip();
            let (points, weights, use_priors) = (&points, &weights, self.use_priors);
            Mixture::new(&Recipe { space, points, weights, prior_weight, narrowest, use_priors })
        };
        let own = best.iter().map(|t| t.point).zip(self.good_weights(good));
        let good = mixture(&mut own.chain(elsewhere.good));
        let mut others: Vec<(&[f64], usize)> =
            rest.iter().map(|t| (t.point, t.age)).chain(pending).collect();
        others.sort_unstable_by_key(|(_, age)| *age);
        let (points, weights) = faded(&others);
        let others = mixture(&mut points.into_iter().zip(weights).chain(elsewhere.others));
        self.choose(space, is_seen, &good, &others, rng)
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
        space: &Space,
        is_seen: &dyn Fn(&[f64]) -> bool,
        good: &Mixture,
        others: &Mixture,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Point {
        let count = self.n_ei_candidates.max(1);
        let from_prior = (self.prior_draws * count as f64) as usize;
        let mut scratch = Vec::new();
        let mut draw = |at: usize| {
            let x = good.sample(space, at < from_prior, rng);
            let score = good.log_density(space, &x, &mut scratch)
                - others.log_density(space, &x, &mut scratch);
            (score, x)
        };
        let mut candidates: Vec<(f64, Point)> = (0..count).map(&mut draw).collect();
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
        // Only where there are steps can a draw hit a trial by chance.
        let unseen = candidates.iter().position(|(_, x)| !is_seen(x));
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
