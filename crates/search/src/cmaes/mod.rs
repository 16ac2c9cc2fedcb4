//! CMA-ES: Hansen and Ostermeier, "Completely Derandomized Self-Adaptation in Evolution Strategies",
//! 2001, with negative weights as in Hansen, "The CMA Evolution Strategy: A Tutorial", 2016, and a
//! larger population after each restart (Auger and Hansen, 2005).
//!
//! It works on the unit cube. A whole number keeps a margin of probability for the values beside
//! (Hamano et al., "CMA-ES with Margin", 2022); a choice has a table of probabilities with a margin,
//! which moves towards what the best have chosen (as in Hamano et al., "`CatCMA` with Margin", 2025, but
//! by a plain step). Every so many trials that end, whoever proposed them, are a generation.

mod distribution;

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::driver::{Algorithm, Ask, Proposal, Suggestion, stream};
use crate::history::{History, Observation};
use crate::math::{normal, sobol};
use crate::quasi_random::start_point;
use crate::space::{Kind, Point, Space};
use distribution::Distribution;

/// Its arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CmaEs {
    /// How many Sobol points come first; the search begins in the middle of the better half of them.
    pub n_startup_trials: usize,
    /// The first step size, in parts of the range.
    pub sigma0: f64,
    /// The population; 4 and the logarithm of the number of parameters unless said. The usual one, with
    /// three times the logarithm, is for thousands of evaluations; restarts make it larger.
    pub popsize: Option<usize>,
    /// What the population is multiplied with at a restart.
    pub inc_popsize: usize,
    #[serde(skip)]
    state: Option<State>,
}

impl Default for CmaEs {
    fn default() -> Self {
        let (n_startup_trials, sigma0) = (10, 0.12);
        CmaEs { n_startup_trials, sigma0, popsize: None, inc_popsize: 2, state: None }
    }
}

/// What the trials so far have led to.
#[derive(Debug, Clone)]
struct State {
    version: u64,
    /// How many of the trials that ended are in it.
    used: usize,
    distribution: Distribution,
    /// For each choice the probabilities.
    tables: Vec<Vec<f64>>,
    popsize: usize,
    restarts: u64,
    best: f64,
    stale: usize,
}

impl Algorithm for CmaEs {
    fn name(&self) -> &'static str {
        "cma_es"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn transfers(&self) -> bool {
        true
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        let point = match ask.history.len() < self.n_startup_trials || ask.space.is_empty() {
            true => start_point(ask),
            false => self.draw(ask, rng).unwrap_or_else(|| start_point(ask)),
        };
        Proposal::Evaluate(Suggestion::from(point))
    }
}

fn numbers(space: &Space) -> Vec<usize> {
    (0..space.len()).filter(|g| !space.dimensions[*g].is_categorical()).collect()
}

impl CmaEs {
    /// A draw from the distribution that the trials so far have led to.
    pub(crate) fn draw(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Option<Point> {
        self.follow(ask);
        let state = self.state.as_ref()?;
        let numbers = numbers(ask.space);
        let margin = 1.0 / (state.popsize * ask.space.len()) as f64;
        let mut point = vec![0.5; ask.space.len()];
        // A draw outside is drawn again, and at last brought inside.
        for attempt in 0..8 {
            let mut inside = true;
            for (g, (x, spread)) in numbers.iter().zip(state.distribution.sample(rng)) {
                let dimension = &ask.space.dimensions[*g];
                let least = dimension.cell(x) / (2.0 * normal::quantile(1.0 - 0.5 * margin));
                let extra = (least * least - spread * spread).max(0.0).sqrt();
                let z = normal::quantile(rng.random::<f64>().max(1e-12));
                let x = if extra > 0.0 { x + extra * z } else { x };
                inside &= (0.0..=1.0).contains(&x);
                point[*g] = x;
            }
            if inside || attempt == 7 {
                break;
            }
        }
        let choices = (0..ask.space.len()).filter(|g| ask.space.dimensions[*g].is_categorical());
        for (g, table) in choices.zip(&state.tables) {
            let mut rest: f64 = rng.random();
            let is_it = |p: &f64| {
                rest -= p;
                rest < 0.0
            };
            let choice = table.iter().position(is_it).unwrap_or(table.len() - 1);
            point[g] = ask.space.dimensions[g].at_level(choice as u64);
        }
        ask.space.snap(&mut point);
        Some(point)
    }

    /// Brings the state up to the trials that have ended.
    fn follow(&mut self, ask: &Ask<'_>) {
        let (history, version) = (ask.history, ask.history.rewritten());
        let ended: Vec<(&[f64], f64)> = history
            .ended()
            .map(|t| (&t.point[..], Observation::objective(t).unwrap_or(f64::INFINITY)))
            .collect();
        if self.state.as_ref().is_some_and(|s| s.version != version || s.used > ended.len()) {
            self.state = None;
        }
        if self.state.is_none() {
            self.state = self.begin(ask, history, &ended);
        }
        let Some(state) = &mut self.state else { return };
        while ended.len() - state.used >= state.popsize {
            let generation = &ended[state.used..state.used + state.popsize];
            state.used += state.popsize;
            state.learn(ask.space, generation);
            if state.is_over() {
                state.restart(ask, self.sigma0, self.inc_popsize);
            }
        }
    }

    fn begin(&self, ask: &Ask<'_>, history: &History, ended: &[(&[f64], f64)]) -> Option<State> {
        let used = self.n_startup_trials.max(1);
        let first = ended.get(..used)?;
        let mut order: Vec<&(&[f64], f64)> = first.iter().collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        let value = order.first()?.1;
        // Not the best alone, which may be anywhere: the better half, as in any other generation.
        let good = used.div_ceil(2);
        let weight = |rank: usize| (good as f64 + 0.5).ln() - ((rank + 1) as f64).ln();
        let total: f64 = (0..good).map(weight).sum();
        let coordinate = |g: &usize| {
            let parts = order.iter().take(good).enumerate();
            parts.map(|(rank, (x, _))| weight(rank) / total * x[*g]).sum()
        };
        let mean = numbers(ask.space).iter().map(coordinate).collect();
        let d = ask.space.len() as f64;
        let popsize = self.popsize.unwrap_or(4 + d.max(1.0).ln() as usize).max(4);
        let mut state = State {
            version: history.rewritten(),
            used,
            distribution: Distribution::new(mean, self.sigma0),
            tables: even(ask.space),
            popsize,
            restarts: 0,
            best: value,
            stale: 0,
        };
        state.learn_choices(ask.space, first);
        Some(state)
    }
}

/// The same probability for all choices.
fn even(space: &Space) -> Vec<Vec<f64>> {
    let table = |kind: &Kind| match kind {
        Kind::Categorical { choices } => Some(vec![1.0 / *choices as f64; *choices]),
        _ => None,
    };
    space.dimensions.iter().filter_map(|d| table(&d.kind)).collect()
}

impl State {
    fn learn(&mut self, space: &Space, generation: &[(&[f64], f64)]) {
        let mut order: Vec<&(&[f64], f64)> = generation.iter().collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        let numbers = numbers(space);
        let points: Vec<Point> =
            order.iter().map(|(x, _)| numbers.iter().map(|g| x[*g]).collect()).collect();
        self.distribution.update(&points);
        self.learn_choices(space, generation);
        let best = order.first().map_or(f64::INFINITY, |(_, y)| *y);
        let better = best < self.best - 1e-12 * self.best.abs();
        self.stale = if better { 0 } else { self.stale + 1 };
        self.best = self.best.min(best);
    }

    fn learn_choices(&mut self, space: &Space, generation: &[(&[f64], f64)]) {
        const RATE: f64 = 0.3;
        let mut order: Vec<&(&[f64], f64)> = generation.iter().collect();
        order.sort_by(|a, b| a.1.total_cmp(&b.1));
        let good = order.len().div_ceil(2);
        let weight = |rank: usize| (good as f64 + 0.5).ln() - ((rank + 1) as f64).ln();
        let total: f64 = (0..good).map(weight).sum();
        let choices = (0..space.len()).filter(|g| space.dimensions[*g].is_categorical());
        for (g, table) in choices.zip(&mut self.tables) {
            for p in table.iter_mut() {
                *p *= 1.0 - RATE;
            }
            for (rank, (x, _)) in order.iter().take(good).enumerate() {
                table[space.dimensions[g].level(x[g]) as usize] += RATE * weight(rank) / total;
            }
            // The margin: no choice dies out.
            let least = 0.27 / (self.popsize.max(2) * table.len()) as f64;
            for p in table.iter_mut() {
                *p = p.max(least);
            }
            let sum: f64 = table.iter().sum();
            for p in table.iter_mut() {
                *p /= sum;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.distribution.is_over() || self.stale > 20 + 30 * self.distribution.d() / self.popsize
    }

    fn restart(&mut self, ask: &Ask<'_>, sigma: f64, factor: usize) {
        self.restarts += 1;
        self.popsize = (self.popsize * factor.max(1)).min(4096);
        let numbers = self.distribution.d();
        let mut rng = stream(ask.seed ^ 0x636d_6165_7300_0000, self.restarts);
        let mean = sobol::point(self.restarts, numbers, rng.random());
        self.distribution = Distribution::new(mean, sigma);
        self.tables = even(ask.space);
        (self.best, self.stale) = (f64::INFINITY, 0);
    }
}
