//! A Gaussian process for each of several objectives, and the search for the point that promises most by them.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;

use super::fronts;
use super::nsga2::usable;
use crate::driver::Ask;
use crate::gp::fit::Fitter;
use crate::gp::model::{Data, MOST, MOST_PENDING, Model, Recipe};
use crate::gp::posterior::Scratch;
use crate::gp::search::{decoded, encoded};
use crate::gp::trend::{self, Trend};
use crate::history::Observation;
use crate::math::{normal, sobol};
use crate::space::{Kind, Point, Space};

/// How many draws of the models are averaged.
pub(super) const DRAWS: usize = 16;

/// What is kept of the models from one proposal to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Fitters {
    fitters: Vec<Fitter>,
    trends: Vec<trend::Lazy>,
}

/// The models of one proposal.
pub(super) struct Models {
    models: Vec<Model>,
    /// The objectives at the data, as the models see them.
    pub(super) values: Vec<Vec<f64>>,
    /// Which of the data no other dominates.
    pub(super) front: Vec<usize>,
    /// The trials in progress, encoded.
    pending: Vec<Point>,
    /// Standard normal numbers, one for each draw and objective.
    draws: Vec<Vec<f64>>,
}

impl Fitters {
    /// The models of the trials so far, or none if there are too few.
    pub(super) fn models(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Option<Models> {
        let space = ask.space;
        let trials = usable(ask, MOST);
        let objectives = trials.first().map_or(0, |(_, y)| y.len());
        if trials.len() < 3 || objectives == 0 {
            return None;
        }
        self.fitters.resize_with(objectives, Fitter::gentle);
        self.trends.resize_with(objectives, trend::Lazy::default);
        let ended = ask.history.ended();
        let pending: Vec<Point> =
            ask.history.pending().map(|t| encoded(space, &t.point, &[])).collect();
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
                pending: pending.clone(),
                seed: rng.random(),
                stretch: 1.0,
            };
            models.push(recipe.model(fitter)?);
        }
        let n = models.iter().map(|m| m.at_data.len()).min()?;
        let values: Vec<Vec<f64>> =
            (0..n).map(|i| models.iter().map(|m| m.warp.back(m.at_data[i].0)).collect()).collect();
        let points: Vec<&[f64]> = values.iter().map(|v| &v[..]).collect();
        let front = fronts::best(&points, n).into_iter().take_while(|f| f.1 == 0).map(|f| f.0);
        let front = front.collect();
        let seed = rng.random();
        let draw = |s: usize| {
            let u = sobol::point(s as u64, objectives, seed);
            u.into_iter().map(|u| normal::quantile(u.clamp(1e-4, 1.0 - 1e-4))).collect()
        };
        Some(Models { models, values, front, pending, draws: (0..DRAWS).map(draw).collect() })
    }
}

impl Models {
    /// How many objectives there are.
    pub(super) fn objectives(&self) -> usize {
        self.models.len()
    }

    /// What the objectives of a point may be: `each` gets the number of the draw, and the draw.
    pub(super) fn outcomes(
        &self,
        x: &[f64],
        scratch: &mut Scratch,
        mut each: impl FnMut(usize, &[f64]),
    ) {
        let mut outcomes = vec![vec![0.0; self.models.len()]; DRAWS];
        for (m, model) in self.models.iter().enumerate() {
            let spread = model.posterior.spread(x, scratch);
            let fantasies = model.posterior.alphas.len();
            let first = model.posterior.mean(0, scratch);
            for (s, outcome) in outcomes.iter_mut().enumerate() {
                let mean = match fantasies > 1 {
                    true => model.posterior.mean(s % fantasies, scratch),
                    false => first,
                };
                outcome[m] = model.warp.back(mean + spread * self.draws[s][m]);
            }
        }
        outcomes.iter().enumerate().for_each(|(s, outcome)| each(s, outcome));
    }

    /// What the trials in progress are imagined to give in a draw; none if there are none.
    pub(super) fn imagined(&self, draw: usize) -> Vec<Vec<f64>> {
        let mut scratch = Scratch::default();
        let newest = self.pending.len().saturating_sub(MOST_PENDING);
        let mut outcome = |x: &Point| {
            let mean = |model: &Model| {
                model.posterior.spread(x, &mut scratch);
                let fantasy = draw % model.posterior.alphas.len();
                model.warp.back(model.posterior.mean(fantasy, &scratch))
            };
            self.models.iter().map(mean).collect()
        };
        self.pending[newest..].iter().map(&mut outcome).collect()
    }

    /// The encoded point of a datum.
    pub(super) fn point(&self, datum: usize) -> Point {
        self.models[0].posterior.inputs.row(datum)
    }
}

/// The best by `worth` of many candidates, and then of smaller and smaller changes of the best. `good` are
/// encoded points to begin at.
pub(super) fn search(
    ask: &Ask<'_>,
    worth: &dyn Fn(&[f64], &mut Scratch) -> f64,
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
            best.push((worth(&x, &mut scratch), x));
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
