//! Freeze-thaw Bayesian optimisation (Swersky et al., "Freeze-Thaw Bayesian Optimization", 2014): one
//! Gaussian process over the configuration and the logarithm of the fidelity. What has the largest
//! expected improvement at the *highest* fidelity is begun at the lowest rung, or goes on to the next.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::rungs::{Rungs, Table, check};
use crate::driver::{Algorithm, Ask, Proposal, Suggestion};
use crate::gp::acquisition::Acquisition;
use crate::gp::fit::Fitter;
use crate::gp::model::{Data, MOST_PENDING, Recipe};
use crate::gp::posterior::Scratch;
use crate::gp::search::{Effort, Search, decoded, encoded};
use crate::gp::trend::{self, Trend};
use crate::history::{Observation, State};
use crate::quasi_random::start_point;
use crate::space::{Fidelity, Space};

/// How many configurations are trained to the end before the model begins.
const FULL: u64 = 2;
/// How much less a configuration that has begun may promise than a new one: a factor of 3.
const PATIENCE: f64 = 1.098_612_288_668_109_8;

/// Its arguments.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FreezeThaw {
    /// How many Sobol points come first.
    pub initial_design_size: usize,
    /// A rung has this many times the fidelity of the one below.
    pub eta: usize,
    /// Whether the users' priors are used.
    pub use_priors: bool,
    #[serde(skip)]
    fitter: Fitter,
    #[serde(skip)]
    trend: trend::Lazy,
}

impl Default for FreezeThaw {
    fn default() -> Self {
        let (fitter, trend) = (Fitter::default(), trend::Lazy::default());
        FreezeThaw { initial_design_size: 8, eta: 3, use_priors: true, fitter, trend }
    }
}

impl Algorithm for FreezeThaw {
    fn name(&self) -> &'static str {
        "freeze_thaw"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn check(&self, space: &Space) -> Result<(), String> {
        check("freeze_thaw", space)
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        let Some(fidelity) = ask.space.fidelity else {
            return Proposal::Evaluate(start_point(ask).into());
        };
        let rungs = Rungs::new(fidelity, self.eta);
        let table = Table::new(ask.history);
        let first = self.first(ask, &table, &rungs);
        let begin = || table.begin(start_point(ask), &rungs, 0);
        let suggestion = first.or_else(|| self.draw(ask, &table, &rungs, fidelity, rng));
        Proposal::Evaluate(suggestion.unwrap_or_else(begin))
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

/// Where a fidelity stands between the lowest and the highest, on a logarithmic scale.
fn place(fidelity: Fidelity, at: f64) -> f64 {
    let span = (fidelity.upper / fidelity.lower).ln();
    if span > 0.0 { ((at / fidelity.lower).ln() / span).clamp(0.0, 1.0) } else { 1.0 }
}

/// Spearman's rank correlation; 1 where there are too few to tell.
fn rank_correlation(pairs: &[(f64, f64)]) -> f64 {
    let ranks = |of: &dyn Fn(&(f64, f64)) -> f64| {
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        order.sort_by(|a, b| of(&pairs[*a]).total_cmp(&of(&pairs[*b])));
        let mut ranks = vec![0.0; pairs.len()];
        order.into_iter().enumerate().for_each(|(rank, at)| ranks[at] = rank as f64);
        ranks
    };
    let n = pairs.len() as f64;
    if n < 3.0 {
        return 1.0;
    }
    let squares: f64 =
        ranks(&|pair| pair.0).iter().zip(ranks(&|pair| pair.1)).map(|(a, b)| (a - b).powi(2)).sum();
    1.0 - 6.0 * squares / (n * (n * n - 1.0))
}

impl FreezeThaw {
    /// The first design: some Sobol points, of which two go to the top.
    fn first(&self, ask: &Ask<'_>, table: &Table<'_>, rungs: &Rungs) -> Option<Suggestion> {
        let ready = |config: u64| {
            let newest = (0..rungs.len()).rev().find(|rung| table.has(config, *rung))?;
            let here = table.on(newest).into_iter().find(|(c, _)| *c == config)?;
            (here.1.trial.state == State::Finished).then_some(newest)
        };
        for config in 1..=FULL {
            if let Some(rung) = ready(config)
                && let Some(suggestion) = table.promote(config, rung, rungs)
            {
                return Some(suggestion);
            }
        }
        let is_short = table.next <= ask.transfer.initial(self.initial_design_size) as u64;
        is_short.then(|| table.begin(start_point(&Ask { place: table.next - 1, ..*ask }), rungs, 0))
    }

    fn draw(
        &mut self,
        ask: &Ask<'_>,
        table: &Table<'_>,
        rungs: &Rungs,
        fidelity: Fidelity,
        rng: &mut Xoshiro256PlusPlus,
    ) -> Option<Suggestion> {
        let space = ask.space;
        let tail = |t: &Observation| vec![place(fidelity, t.fidelity.unwrap_or(fidelity.upper))];
        let ended = ask.history.ended();
        let data = |count: usize| {
            Data::new(space, ended.clone().take(count), Observation::objective, tail)
        };
        if space.is_empty() || data(ended.len()).usable < 3 {
            return None;
        }
        let trend = || Trend::basis(space, 1, ask.transfer, &Observation::objective, &tail);
        let recipe = Recipe {
            space,
            extra: 1,
            trend: self.trend.get(trend),
            version: ask.history.rewritten(),
            ended: ended.len(),
            data: &data,
            pending: ask.history.pending().map(|t| encoded(space, &t.point, &tail(t))).collect(),
            seed: rng.random(),
            stretch: 1.0,
        };
        let model = recipe.model(&mut self.fitter)?;

        // What could go on, as it would be at the top.
        let top = rungs.len() - 1;
        let mut open = Vec::new();
        for rung in 0..top {
            for (config, entry) in table.on(rung) {
                if entry.trial.state == State::Finished
                    && entry.value.is_finite()
                    && !table.has(config, rung + 1)
                {
                    open.push((config, rung, encoded(space, &entry.trial.point, &[1.0])));
                }
            }
        }
        // To be beaten is the best at the top; before there is one, the best promise.
        let mut scratch = Scratch::default();
        let at_top = (0..model.at_data.len())
            .filter(|i| model.posterior.inputs.columns[space.len()][*i] > 0.999)
            .map(|i| model.at_data[i].0)
            .reduce(f64::min);
        let promised = || {
            let mean = |x: &Vec<f64>| {
                model.posterior.spread(x, &mut scratch);
                model.posterior.mean(0, &scratch)
            };
            open.iter().map(|(_, _, x)| x).map(mean).reduce(f64::min)
        };
        let best = at_top.or_else(promised)?;
        // A trial in progress below the top says little of the top, so its fantasies are not to be
        // beaten; those at the top are.
        let mut acquisition = Acquisition::new(&model.posterior, best);
        acquisition.best = vec![best; acquisition.best.len()];
        if self.use_priors && space.has_priors() {
            let at_top = table.on(0).into_iter().map(|(_, entry)| {
                model.posterior.spread(&encoded(space, &entry.trial.point, &[1.0]), &mut scratch);
                let promised = model.posterior.mean(0, &scratch);
                (space.log_prior(&entry.trial.point), -promised)
            });
            // A guess is followed as far as the results bear it out, for certain: not by one standard error.
            let pairs: Vec<(f64, f64)> = at_top.collect();
            let by_chance = (pairs.len() as f64).sqrt().recip();
            let borne_out = (rank_correlation(&pairs) - by_chance).max(0.0);
            acquisition.prior = Some((space, borne_out * 10.0 / ended.len() as f64));
        }
        let seen = |x: &[f64]| space.is_discrete() && ask.history.has_seen(&decoded(space, x));
        let search = Search {
            space,
            acquisition: &acquisition,
            tail: &[1.0],
            is_seen: &seen,
            effort: Effort::for_data(model.posterior.inputs.n),
        };
        let good: Vec<Vec<f64>> = model
            .good
            .iter()
            .map(|x| {
                let mut x = x.clone();
                x[space.len()] = 1.0;
                x
            })
            .collect();
        let new = search.best(&good, rng);
        let mut scratch = Scratch::default();
        let worth = |x: &Vec<f64>, scratch: &mut Scratch| acquisition.value(x, scratch);
        let goes_on = open
            .iter()
            .map(|(config, rung, x)| (worth(x, &mut scratch), *config, *rung))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        match (new, goes_on) {
            (Some((new, _)), Some((old, config, rung))) if old >= new - PATIENCE => {
                table.promote(config, rung, rungs)
            }
            (Some((_, x)), _) => Some(table.begin(decoded(space, &x), rungs, 0)),
            (None, Some((_, config, rung))) => table.promote(config, rung, rungs),
            (None, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rank_correlation;

    /// The formula's own values: the same order, the opposite one, and one that is worked out by hand.
    #[test]
    fn ranks_agree_differ_or_are_opposite() {
        let pairs = |values: &[f64]| -> Vec<(f64, f64)> {
            values.iter().enumerate().map(|(at, value)| ((at as f64).exp(), *value)).collect()
        };
        let table: [(&[f64], f64); 5] = [
            (&[1.0, 5.0, 7.0, 90.0], 1.0),
            (&[90.0, 7.0, 5.0, 1.0], -1.0),
            // Squared differences of ranks: 1, 1, 1, 1; 1 - 6 * 4 / (4 * 15) = 0.6.
            (&[5.0, 1.0, 90.0, 7.0], 0.6),
            (&[2.0, 1.0], 1.0),
            (&[], 1.0),
        ];
        for (values, expected) in table {
            assert!((rank_correlation(&pairs(values)) - expected).abs() < 1e-12, "{values:?}");
        }
    }
}
