//! From the trials to a posterior with all that a search needs.

use std::sync::Arc;

use super::basis::Basis;
use super::fit::Fitter;
use super::kernel::Inputs;
use super::posterior::Posterior;
use super::search::encoded;
use super::warp::{Warp, warped};
use crate::history::Observation;
use crate::space::{Point, Space};

/// How many data a model has at most.
pub(crate) const MOST: usize = 300;
/// In how many ways the trials in progress may end.
const FANTASIES: usize = 16;
/// Of more trials in progress, the newest count.
pub(crate) const MOST_PENDING: usize = 48;

/// Points with values.
#[derive(Debug, Clone, Default)]
pub(crate) struct Data {
    pub(crate) points: Vec<Point>,
    pub(crate) values: Vec<f64>,
    /// Whether each keeps to the constraints.
    pub(crate) feasible: Vec<bool>,
    /// How many of the values were really reported.
    pub(crate) usable: usize,
}

impl Data {
    /// The trials that have ended, encoded. One without a usable value counts like the worst with one.
    pub(crate) fn new<'a>(
        space: &Space,
        trials: impl Iterator<Item = &'a Observation>,
        value: impl Fn(&Observation) -> Option<f64>,
        tail: impl Fn(&Observation) -> Vec<f64>,
    ) -> Self {
        let mut data = Data::default();
        for trial in trials {
            data.points.push(encoded(space, &trial.point, &tail(trial)));
            data.values.push(value(trial).unwrap_or(f64::NAN));
            data.feasible.push(trial.is_feasible());
        }
        let finite = data.values.iter().copied().filter(|y| y.is_finite());
        let worst = finite.clone().fold(f64::NEG_INFINITY, f64::max);
        data.usable = finite.count();
        let worst = if worst.is_finite() { worst } else { 0.0 };
        data.values.iter_mut().filter(|y| !y.is_finite()).for_each(|y| *y = worst);
        data
    }

    /// At most [`MOST`] of them: the best third, the newest third, and those nearest to the best.
    pub(crate) fn thinned(mut self) -> Self {
        let n = self.points.len();
        if n <= MOST {
            return self;
        }
        let mut keep = vec![false; n];
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| self.values[*a].total_cmp(&self.values[*b]).then(a.cmp(b)));
        order.iter().take(MOST / 3).for_each(|at| keep[*at] = true);
        keep[n - MOST / 3..].fill(true);
        let best = &self.points[order[0]];
        let distance = |at: usize| -> f64 {
            best.iter().zip(&self.points[at]).map(|(a, b)| ((a - b) * (a - b)).min(1.0)).sum()
        };
        let mut near: Vec<(f64, usize)> = (0..n).map(|at| (distance(at), at)).collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let mut left = MOST - keep.iter().filter(|keep| **keep).count();
        for (_, at) in near {
            if left > 0 && !keep[at] {
                keep[at] = true;
                left -= 1;
            }
        }
        let kept = |at: &usize| keep[*at];
        self.points = (0..n).filter(kept).map(|at| std::mem::take(&mut self.points[at])).collect();
        self.values = (0..n).filter(kept).map(|at| self.values[at]).collect();
        self.feasible = (0..n).filter(kept).map(|at| self.feasible[at]).collect();
        self
    }

    pub(crate) fn inputs(
        &self,
        space: &Space,
        extra: usize,
        trend: Option<&Arc<dyn Basis>>,
    ) -> Inputs {
        let mut inputs = Inputs::new(space, extra).with_trend(trend.cloned());
        self.points.iter().for_each(|point| inputs.push(point));
        inputs
    }
}

/// A posterior, and what is known of the points in it.
pub(crate) struct Model {
    pub(crate) posterior: Posterior,
    /// Mean and spread at each.
    pub(crate) at_data: Vec<(f64, f64)>,
    /// The mean at the point that is best for certain.
    pub(crate) best: f64,
    /// The points with the best means, the best first.
    pub(crate) good: Vec<Point>,
    /// How the objective is warped.
    pub(crate) warp: Warp,
}

/// What a model is made from.
pub(crate) struct Recipe<'a> {
    pub(crate) space: &'a Space,
    /// Coordinates behind the space's own.
    pub(crate) extra: usize,
    /// What other studies say.
    pub(crate) trend: Option<Arc<dyn Basis>>,
    /// Changes when the past does.
    pub(crate) version: u64,
    /// How many trials have ended.
    pub(crate) ended: usize,
    /// The first so many of them.
    pub(crate) data: &'a dyn Fn(usize) -> Data,
    /// Points in progress, encoded.
    pub(crate) pending: Vec<Point>,
    pub(crate) seed: u64,
    /// What the lengthscales are multiplied with after the fit.
    pub(crate) stretch: f64,
}

impl Recipe<'_> {
    pub(crate) fn model(self, fitter: &mut Fitter) -> Option<Model> {
        let for_fit = |ended: usize| {
            let data = (self.data)(ended).thinned();
            (data.inputs(self.space, self.extra, self.trend.as_ref()), data.values)
        };
        let fitted = fitter.fitted(self.version, self.ended, &for_fit);
        let data = (self.data)(self.ended).thinned();
        let inputs = data.inputs(self.space, self.extra, self.trend.as_ref());
        let (z, _, warp) = warped(&data.values, fitted.warp);
        let d = self.space.len() + self.extra;
        let mut theta = fitted.theta(d);
        theta[..2 * d].iter_mut().for_each(|theta| *theta += self.stretch.ln());
        let mut posterior = Posterior::new(inputs, &theta, &z)?;
        let at_data = posterior.at_data(&z);
        let certain = |at: &usize| at_data[*at].0 + at_data[*at].1;
        let feasible = (0..z.len()).filter(|at| data.feasible[*at]);
        let best = feasible.min_by(|a, b| certain(a).total_cmp(&certain(b)));
        // Where nothing keeps to the constraints yet, anything that does is an improvement.
        let most = || at_data.iter().map(|(mean, _)| *mean).fold(f64::NEG_INFINITY, f64::max);
        let best = best.map_or_else(most, |at| at_data[at].0);
        let mut order: Vec<usize> = (0..z.len()).collect();
        let key = |at: usize| (!data.feasible[at], at_data[at].0);
        order.sort_by(|a, b| {
            let (a, b) = (key(*a), key(*b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        let good = order.iter().take(5).map(|at| data.points[*at].clone()).collect();
        let newest = self.pending.len().saturating_sub(MOST_PENDING);
        posterior.imagine(&self.pending[newest..], &z, FANTASIES, self.seed);
        Some(Model { posterior, at_data, best, good, warp })
    }
}
