//! Rungs that need not be full before something goes on.
//!
//! - [`Asha`]: Li et al., "A System for Massively Parallel Hyperparameter Tuning", `MLSys` 2020.
//! - [`AsyncHyperband`]: the same with the lowest rung drawn anew for each configuration, as in
//!   Klein et al., "Model-based Asynchronous Hyperparameter and Neural Architecture Search", 2020.

use rand::RngExt;
use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::rungs::{Rungs, Table, check};
use super::sampler::Sampler;
use crate::driver::{Algorithm, Ask, Proposal, Suggestion};
use crate::space::Space;

/// Asynchronous successive halving: what is in the top part of its rung goes on at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Asha {
    /// One in so many goes on.
    pub eta: usize,
    /// Where new configurations come from.
    pub sampler: Sampler,
}

/// Asynchronous Hyperband: ASHA whose new configurations begin at different rungs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AsyncHyperband {
    /// One in so many goes on.
    pub eta: usize,
    /// Where new configurations come from.
    pub sampler: Sampler,
}

impl Default for Asha {
    fn default() -> Self {
        Asha { eta: 3, sampler: Sampler::Uniform }
    }
}

impl Default for AsyncHyperband {
    fn default() -> Self {
        AsyncHyperband { eta: 3, sampler: Sampler::Uniform }
    }
}

impl Algorithm for Asha {
    fn name(&self) -> &'static str {
        "asha"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn check(&self, space: &Space) -> Result<(), String> {
        check("asha", space)
    }

    fn transfers(&self) -> bool {
        self.sampler == Sampler::Tpe
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        Proposal::Evaluate(next(ask, self.eta, self.sampler, false, rng))
    }
}

impl Algorithm for AsyncHyperband {
    fn name(&self) -> &'static str {
        "async_hb"
    }

    fn arguments(&self) -> Json {
        crate::arguments::arguments(self)
    }

    fn check(&self, space: &Space) -> Result<(), String> {
        check("async_hb", space)
    }

    fn transfers(&self) -> bool {
        self.sampler == Sampler::Tpe
    }

    fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
        Proposal::Evaluate(next(ask, self.eta, self.sampler, true, rng))
    }
}

fn next(
    ask: &Ask<'_>,
    eta: usize,
    sampler: Sampler,
    all: bool,
    rng: &mut Xoshiro256PlusPlus,
) -> Suggestion {
    let Some(fidelity) = ask.space.fidelity else { return ask.space.sample(rng).into() };
    let rungs = Rungs::new(fidelity, eta);
    let table = Table::new(ask.history);
    // The bracket is drawn first; what can go on above its lowest rung goes before a new one.
    let lowest = if all { lowest(&rungs, rng) } else { 0 };
    for rung in (lowest..rungs.len() - 1).rev() {
        let mut here = table.on(rung);
        here.retain(|(_, entry)| !entry.is_pending());
        let top = here.len() / rungs.eta as usize;
        here.sort_by(|a, b| a.1.value.total_cmp(&b.1.value).then(a.0.cmp(&b.0)));
        let climbs = here
            .iter()
            .take(top)
            .find(|(config, e)| e.value.is_finite() && !table.has(*config, rung + 1));
        if let Some((config, _)) = climbs
            && let Some(suggestion) = table.promote(*config, rung, &rungs)
        {
            return suggestion;
        }
    }
    let point = sampler.draw(ask, &table, &rungs, lowest, rng);
    table.begin(point, &rungs, lowest)
}

/// The lowest rung of a bracket, drawn with eta^(K - s) (K + 1) / (K - s + 1) for the s-th, where K
/// is the highest rung: as often as Hyperband would begin there.
fn lowest(rungs: &Rungs, rng: &mut Xoshiro256PlusPlus) -> usize {
    let top = rungs.len() - 1;
    let weight =
        |s: usize| rungs.eta.powi((top - s) as i32) * (top + 1) as f64 / (top - s + 1) as f64;
    let total: f64 = (0..=top).map(weight).sum();
    let mut rest = rng.random::<f64>() * total;
    for s in 0..=top {
        rest -= weight(s);
        if rest < 0.0 {
            return s;
        }
    }
    top
}
