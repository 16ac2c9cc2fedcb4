//! An upper bound on the regret: on how much worse the best trial is than the best there is (Makarova et al.,
//! "Automatic Termination for Hyperparameter Optimization", 2022).
//!
//! Very probably the objective lies everywhere within √β standard deviations of a Gaussian process's mean (Srinivas
//! et al., "Gaussian Process Optimization in the Bandit Setting", 2010). So the best trial is no worse than the least
//! upper end of the trials, nothing is better than the least lower end of the whole space, and the regret is at most
//! what lies between the two. The process knows the trials that it is given alone, the better half: far from them
//! the objective is of no interest.

use super::acquisition::Acquisition;
use super::kernel::{Evidence, bounds, default_theta};
use super::model::Data;
use super::posterior::Posterior;
use super::search::{Effort, Search};
use crate::driver::stream;
use crate::history::{Observation, State};
use crate::math::lbfgs::{Stop, minimise};
use crate::space::{Point, Space};

/// How probable it is that the bound is none.
const DELTA: f64 = 0.1;
/// β is scaled down by so much, as in both papers' experiments.
const SCALE: f64 = 5.0;

/// The bound, in the unit of the objective, of trials that ended with these values, smaller for the better. The same
/// trials and seed give the same bound. None if there is nothing to be searched, or too little is known.
pub fn regret_bound(space: &Space, trials: &[(Point, f64)], seed: u64) -> Option<f64> {
    let moves = |at: &usize| space.dimensions[*at].levels() != Some(1);
    let active: Vec<usize> = (0..space.len()).filter(moves).collect();
    if active.is_empty() || trials.len() < 2 {
        return None;
    }
    let dimensions = active.iter().map(|at| space.dimensions[*at].clone()).collect();
    let space = Space { dimensions, ..Space::default() };
    let mean = trials.iter().map(|(_, y)| y).sum::<f64>() / trials.len() as f64;
    let square = |(_, y): &(Point, f64)| (y - mean) * (y - mean);
    let spread = (trials.iter().map(square).sum::<f64>() / trials.len() as f64).sqrt().max(1e-10);
    if !spread.is_finite() {
        return None;
    }
    let observed = trials.iter().map(|(point, y)| Observation {
        state: State::Finished,
        objectives: vec![(y - mean) / spread],
        ..Observation::pending(active.iter().map(|at| point[*at]).collect())
    });
    let observed: Vec<Observation> = observed.collect();
    let data = Data::new(&space, observed.iter(), Observation::objective, |_| Vec::new()).thinned();
    let inputs = data.inputs(&space, 0, None);
    let z = &data.values;

    let (d, n) = (space.len(), z.len());
    let mut evidence = Evidence::new(&inputs);
    let mut theta = default_theta(d);
    let stop = Stop { steps: 60, gain: 1e-6, slope: 1e-2 };
    minimise(&mut theta, &bounds(d), stop, |theta, out| evidence.negative(theta, z, out));
    let posterior = Posterior::new(inputs, &theta, z)?;

    let beta =
        2.0 * (d as f64 * (n * n) as f64 * std::f64::consts::PI.powi(2) / (6.0 * DELTA)).ln();
    let width = (beta / SCALE).sqrt();
    let at_data = posterior.at_data(z);
    let least =
        |ends: &dyn Fn(&(f64, f64)) -> f64| at_data.iter().map(ends).fold(f64::INFINITY, f64::min);
    let upper = least(&|(mean, sigma)| mean + width * sigma);
    let lower = least(&|(mean, sigma)| mean - width * sigma);
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| at_data[*a].0.total_cmp(&at_data[*b].0).then(a.cmp(b)));
    let good: Vec<Point> = order.iter().take(5).map(|at| data.points[*at].clone()).collect();
    let acquisition = Acquisition::lower_end(&posterior, width);
    let search = Search {
        space: &space,
        acquisition: &acquisition,
        tail: &[],
        is_seen: &|_| false,
        effort: Effort { global: 1024, ..Effort::for_data(n) },
    };
    let found = search.best(&good, &mut stream(seed, trials.len() as u64));
    let lower = found.map_or(lower, |(worth, _)| lower.min(-worth));
    let bound = (upper - lower).max(0.0) * spread;
    bound.is_finite().then_some(bound)
}
