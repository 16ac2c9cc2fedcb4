//! Where the new configurations of a multi-fidelity scheme come from.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

use super::rungs::{Rungs, Table};
use crate::driver::Ask;
use crate::math::exp::log_sum_exp;
use crate::math::normal;
use crate::quasi_random::start_point;
use crate::space::{Dimension, Kind, Point};
use crate::tpe::Tpe;

/// How new configurations are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sampler {
    /// Uniformly.
    #[default]
    Uniform,
    /// Around the priors.
    Prior,
    /// `PriorBand`'s mixture of both and of the neighbourhood of the best (Mallik et al., "PriorBand:
    /// Practical Hyperparameter Optimization in the Age of Deep Learning", 2023).
    Priorband,
    /// TPE on the results of the highest rung that has enough (BOHB: Falkner et al., 2018).
    Tpe,
}

impl Sampler {
    pub(super) fn draw(
        self,
        ask: &Ask<'_>,
        table: &Table<'_>,
        rungs: &Rungs,
        rung: usize,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Point {
        match self {
            Sampler::Uniform => ask.space.sample(rng),
            Sampler::Prior => ask.space.sample_prior(rng),
            Sampler::Priorband => priorband(ask, table, rungs, rung, rng),
            Sampler::Tpe => tpe(ask, table, rungs, rng),
        }
    }
}

/// A third of the draws stay uniform, as in BOHB.
fn tpe(ask: &Ask<'_>, table: &Table<'_>, rungs: &Rungs, rng: &mut Xoshiro256PlusPlus) -> Point {
    let enough = ask.space.len() + 2;
    let usable = |rung: &usize| {
        table.on(*rung).iter().filter(|(_, e)| e.value.is_finite()).count() >= enough
    };
    let rung = (0..rungs.len()).rev().find(usable);
    let Some(rung) = rung.filter(|_| rng.random::<f64>() >= 0.2) else {
        return if ask.history.len() < 10 { start_point(ask) } else { ask.space.sample(rng) };
    };
    let here: Vec<_> = table.on(rung).into_iter().map(|(_, e)| e.trial.clone()).collect();
    Tpe::default().draw_among(ask, &here, |_, trial| trial.objective(), rng)
}

/// As in the paper: uniform with 1 / (1 + etaʳ); the rest shared by the prior and the neighbourhood
/// of the best, by how likely the good ones are under each. The latter begins when a configuration
/// has got to the top and a bracket's worth has been spent. (Two guards of NePS that are to say so
/// never hold back anything.)
fn priorband(
    ask: &Ask<'_>,
    table: &Table<'_>,
    rungs: &Rungs,
    rung: usize,
    rng: &mut Xoshiro256PlusPlus,
) -> Point {
    if ask.space.has_priors() && ask.history.is_empty() {
        return ask.space.default_point();
    }
    let uniform = 1.0 / (1.0 + rungs.eta.powi(rung as i32));
    let (mut prior, mut near) = (1.0 - uniform, 0.0);
    let best = incumbent(table, rungs);
    if let Some((best, good)) = &best {
        let k = good.len();
        let score = |density: &dyn Fn(&[f64]) -> f64| {
            let weighted = |(rank, x): (usize, &&[f64])| ((k - rank) as f64).ln() + density(x);
            log_sum_exp(&good.iter().enumerate().map(weighted).collect::<Vec<_>>())
        };
        let by_prior = score(&|x| ask.space.log_prior(x));
        let by_best = score(&|x| {
            let near = |((d, x), b): ((&Dimension, &f64), &f64)| log_near(d, *x, *b);
            ask.space.dimensions.iter().zip(x).zip(*best).map(near).sum()
        });
        let share = 1.0 / (1.0 + (by_best - by_prior).clamp(-500.0, 500.0).exp());
        (prior, near) = (prior * share, prior * (1.0 - share));
    }
    let u = rng.random::<f64>();
    match &best {
        Some((best, _)) if u < near => {
            let mut x = best.to_vec();
            for (dimension, x) in ask.space.dimensions.iter().zip(&mut x) {
                if rng.random::<bool>() {
                    *x = move_near(dimension, *x, rng);
                }
            }
            x
        }
        _ if u < near + prior => ask.space.sample_prior(rng),
        _ => ask.space.sample(rng),
    }
}

/// The best configuration, and the good ones, the best first, of the highest rung with at least eta
/// results.
fn incumbent<'a>(table: &Table<'a>, rungs: &Rungs) -> Option<(&'a [f64], Vec<&'a [f64]>)> {
    let top = rungs.len() - 1;
    let at_top = table.on(top).iter().any(|(_, e)| e.value.is_finite());
    let cost = |rung: usize| {
        let below = if rung > 0 { rungs.fidelities[rung - 1] } else { 0.0 };
        table.on(rung).iter().filter(|(_, e)| !e.is_pending()).count() as f64
            * (rungs.fidelities[rung] - below)
    };
    let spent: f64 = (0..=top).map(cost).sum();
    if !at_top || spent < rungs.len() as f64 * rungs.fidelities[top] {
        return None;
    }
    for rung in (0..=top).rev() {
        let mut here: Vec<(f64, &[f64])> = table
            .on(rung)
            .into_iter()
            .filter(|(_, e)| e.value.is_finite())
            .map(|(_, e)| (e.value, &e.trial.point[..]))
            .collect();
        if here.len() < rungs.eta as usize {
            continue;
        }
        here.sort_by(|a, b| a.0.total_cmp(&b.0));
        here.truncate((here.len() / rungs.eta as usize).max(1));
        // The best of all at the highest fidelity is the centre.
        let best = table
            .on(top)
            .into_iter()
            .min_by(|a, b| a.1.value.total_cmp(&b.1.value))
            .map(|(_, e)| &e.trial.point[..])?;
        return Some((best, here.into_iter().map(|(_, x)| x).collect()));
    }
    None
}

const SPREAD: f64 = 0.25;

fn move_near(dimension: &Dimension, x: f64, rng: &mut Xoshiro256PlusPlus) -> f64 {
    match dimension.kind {
        Kind::Categorical { .. } => dimension.snap(rng.random()),
        _ => dimension.snap(normal::sample_truncated(x, SPREAD, rng.random())),
    }
}

/// The logarithm of the density of one parameter near the best.
fn log_near(dimension: &Dimension, x: f64, best: f64) -> f64 {
    match dimension.kind {
        Kind::Categorical { choices } => {
            let k = choices.max(1) as f64;
            let same = dimension.level(x) == dimension.level(best);
            (0.5 * f64::from(u8::from(same)) * k + 0.5).ln()
        }
        _ => normal::log_pdf_truncated(x, best, SPREAD),
    }
}
