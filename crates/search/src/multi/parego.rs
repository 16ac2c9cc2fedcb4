//! `ParEGO` with a Gaussian process for each objective: Knowles, "`ParEGO`: A Hybrid Algorithm with
//! On-Line Landscape Approximation for Expensive Multiobjective Optimization Problems", 2006, whose
//! random weights make one objective of several; the models as in Paria et al., "A Flexible Framework
//! for Multi-Objective Bayesian Optimization using Random Scalarizations", 2020.
//!
//! The expected improvement of the weighted objective is a mean over draws of the models.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fronts;
use super::nsga2::usable;
use crate::driver::{Algorithm, Ask, Proposal};
use crate::gp::fit::Fitter;
use crate::gp::model::{Data, MOST, MOST_PENDING, Model, Recipe};
use crate::gp::posterior::Scratch;
use crate::gp::search::{decoded, encoded};
use crate::gp::trend::{self, Trend};
use crate::history::Observation;
use crate::math::{normal, sobol};
use crate::quasi_random::start_point;
use crate::space::{Kind, Point, Space};

/// The weight of the sum beside the largest of the weighted objectives.
const RHO: f64 = 0.05;
/// How many draws of the models are averaged.
const DRAWS: usize = 16;

/// Its arguments.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParEgo {
    /// How many Sobol points come first; by the number of parameters unless said.
    pub initial_design_size: Option<usize>,
    #[serde(skip)]
    fitters: Vec<Fitter>,
    #[serde(skip)]
    trends: Vec<trend::Lazy>,
}

impl Algorithm for ParEgo {
    fn name(&self) -> &'static str {
        "par_ego"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        let initial = ask.transfer.initial(self.initial(ask.space.len()));
        let point = match ask.history.len() < initial || ask.space.is_empty() {
            true => start_point(ask),
            false => self.draw(ask, rng).unwrap_or_else(|| start_point(ask)),
        };
        Proposal::Evaluate(point.into())
    }

    fn parallelism(&self) -> Option<usize> {
        Some(MOST_PENDING)
    }

    fn transfers(&self) -> bool {
        true
    }

    fn is_slow(&self) -> bool {
        true
    }
}

/// What is maximised: how much the weighted objective improves on the best trial's.
struct Improvement<'a> {
    models: &'a [Model],
    /// Each objective's weight, lowest value and span on the front.
    scales: Vec<(f64, f64, f64)>,
    draws: Vec<Vec<f64>>,
    best: f64,
}

impl Improvement<'_> {
    fn weighted(&self, values: impl Iterator<Item = f64>) -> f64 {
        let (mut most, mut sum) = (f64::NEG_INFINITY, 0.0);
        for (value, (weight, low, span)) in values.zip(&self.scales) {
            let x = weight * (value - low) / span;
            most = most.max(x);
            sum += x;
        }
        most + RHO * sum
    }

    fn value(&self, x: &[f64], scratch: &mut Scratch) -> f64 {
        let mut means = vec![Vec::with_capacity(DRAWS); self.models.len()];
        let mut spreads = Vec::with_capacity(self.models.len());
        for (model, means) in self.models.iter().zip(&mut means) {
            spreads.push(model.posterior.spread(x, scratch));
            let fantasies = model.posterior.alphas.len();
            let first = model.posterior.mean(0, scratch);
            let mean = |s| {
                if fantasies > 1 { model.posterior.mean(s % fantasies, scratch) } else { first }
            };
            means.extend((0..DRAWS).map(mean));
        }
        let improvement = |(s, z): (usize, &Vec<f64>)| {
            let values =
                (0..means.len()).map(|m| self.models[m].warp.back(means[m][s] + spreads[m] * z[m]));
            // Softened, so that it has a slope where nothing improves.
            let gap = (self.best - self.weighted(values)) / 0.01;
            if gap > 30.0 { gap } else { gap.exp().ln_1p() }
        };
        (self.draws.iter().enumerate().map(improvement).sum::<f64>() / DRAWS as f64)
            .max(1e-300)
            .ln()
    }
}

impl ParEgo {
    /// How many points come before the models.
    pub(crate) fn initial(&self, parameters: usize) -> usize {
        self.initial_design_size.unwrap_or((2 * parameters + 2).clamp(6, 16))
    }

    /// The models' proposal, or none if there are no models yet.
    pub(crate) fn draw(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Option<Point> {
        let space = ask.space;
        let trials = usable(ask, MOST);
        let objectives = trials.first().map_or(0, |(_, y)| y.len());
        if trials.len() < 3 || objectives == 0 {
            return None;
        }
        self.fitters.resize_with(objectives, Fitter::gentle);
        self.trends.resize_with(objectives, trend::Lazy::default);
        let ended = ask.history.ended();
        let mut models = Vec::with_capacity(objectives);
        for (m, (fitter, trend)) in self.fitters.iter_mut().zip(&mut self.trends).enumerate() {
            let of = |y: &[f64]| (y.len() == objectives).then(|| y[m]);
            let data = |count: usize| {
                let ended = ended.clone().take(count);
                Data::new(space, ended, |t| t.all_objectives().and_then(of), |_| Vec::new())
            };
            let value = |t: &Observation| t.all_objectives().and_then(of);
            let trend = trend.get(|| Trend::basis(space, 0, ask.transfer, &value, &|_| Vec::new()));
            let recipe = Recipe {
                space,
                extra: 0,
                trend,
                version: ask.history.rewritten(),
                ended: ended.len(),
                data: &data,
                pending: ask.history.pending().map(|t| encoded(space, &t.point, &[])).collect(),
                seed: rng.random(),
                stretch: 1.0,
            };
            models.push(recipe.model(fitter)?);
        }

        // The front as the models see it, for the scales and for what is to be beaten.
        let n = models.iter().map(|m| m.at_data.len()).min()?;
        let values: Vec<Vec<f64>> =
            (0..n).map(|i| models.iter().map(|m| m.warp.back(m.at_data[i].0)).collect()).collect();
        let values: Vec<&[f64]> = values.iter().map(|v| &v[..]).collect();
        let front: Vec<usize> =
            fronts::best(&values, n).into_iter().take_while(|f| f.1 == 0).map(|f| f.0).collect();
        let weights = simplex(objectives, rng);
        let scale = |(m, weight): (usize, &f64)| {
            let mut list: Vec<f64> = front.iter().map(|i| values[*i][m]).collect();
            list.sort_by(f64::total_cmp);
            let low = list.first().copied().unwrap_or(0.0);
            // Not the front's end: a point that is best in one objective may be very bad in another.
            let high = list.get(list.len() * 3 / 4).copied().unwrap_or(low);
            (*weight, low, if high - low > 1e-6 { high - low } else { 1.0 })
        };
        let scales = weights.iter().enumerate().map(scale).collect();
        let seed = rng.random();
        let draw = |s: usize| {
            let u = sobol::point(s as u64, objectives, seed);
            u.into_iter().map(|u| normal::quantile(u.clamp(1e-4, 1.0 - 1e-4))).collect()
        };
        let draws = (0..DRAWS).map(draw).collect();
        let mut improvement = Improvement { models: &models, scales, draws, best: 0.0 };
        let worth = |i: &usize| improvement.weighted(values[*i].iter().copied());
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| worth(a).total_cmp(&worth(b)).then(a.cmp(b)));
        improvement.best = worth(order.first()?);
        let good: Vec<Point> =
            order.iter().take(6).map(|i| models[0].posterior.inputs.row(*i)).collect();
        search(ask, &improvement, &good, rng)
    }
}

/// Weights that are equally likely everywhere on the simplex.
pub(super) fn simplex(count: usize, rng: &mut Xoshiro256PlusPlus) -> Vec<f64> {
    let list: Vec<f64> = (0..count).map(|_| -(1.0 - rng.random::<f64>()).max(1e-12).ln()).collect();
    let sum: f64 = list.iter().sum::<f64>().max(1e-12);
    list.into_iter().map(|w| (w / sum).max(1e-3)).collect()
}

/// The best of many candidates, and then of smaller and smaller changes of the best.
fn search(
    ask: &Ask<'_>,
    improvement: &Improvement<'_>,
    good: &[Point],
    rng: &mut Xoshiro256PlusPlus,
) -> Option<Point> {
    const GLOBAL: u64 = 256;
    const ROUNDS: i32 = 6;
    const CHANGES: usize = 40;
    let space = ask.space;
    let mut scratch = Scratch::default();
    let seed = rng.random();
    let mut best: Vec<(f64, Point)> = Vec::new();
    let mut consider = |x: Point, best: &mut Vec<(f64, Point)>| {
        let is_seen = space.is_discrete() && ask.history.has_seen(&decoded(space, &x));
        if !is_seen {
            best.push((improvement.value(&x, &mut scratch), x));
        }
    };
    for at in 0..GLOBAL {
        let mut x = sobol::point(at, space.len(), seed);
        space.snap(&mut x);
        consider(encoded(space, &x, &[]), &mut best);
    }
    for x in good {
        for _ in 0..CHANGES {
            consider(changed(space, x, 0.1, rng), &mut best);
        }
    }
    for round in 0..ROUNDS {
        best.sort_by(|a, b| b.0.total_cmp(&a.0));
        best.truncate(3);
        for at in 0..best.len() {
            let x = best[at].1.clone();
            for _ in 0..CHANGES {
                consider(changed(space, &x, 0.1 * 0.5f64.powi(round), rng), &mut best);
            }
        }
    }
    best.sort_by(|a, b| b.0.total_cmp(&a.0));
    best.first().map(|(_, x)| decoded(space, x))
}

fn changed(space: &Space, x: &[f64], spread: f64, rng: &mut Xoshiro256PlusPlus) -> Point {
    let mut x = x.to_vec();
    let part = if rng.random::<bool>() { 1.0 } else { (2.0 / space.len() as f64).min(1.0) };
    for (x, dimension) in x.iter_mut().zip(&space.dimensions) {
        if rng.random::<f64>() >= part {
            continue;
        }
        if let Kind::Categorical { choices } = dimension.kind {
            if rng.random::<f64>() < 0.3 {
                *x = rng.random_range(0..choices.max(1)) as f64;
            }
            continue;
        }
        let z = normal::quantile(rng.random::<f64>().max(1e-12));
        *x = dimension.snap(*x + spread * z);
    }
    x
}
