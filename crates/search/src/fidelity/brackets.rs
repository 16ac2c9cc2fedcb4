//! Brackets whose rungs are filled before anything goes on.
//!
//! - [`SuccessiveHalving`]: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and
//!   Hyperparameter Optimization", 2016.
//! - [`Hyperband`]: Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter
//!   Optimization", JMLR 2018.
//! - [`PriorBand`]: Mallik et al., "PriorBand: Practical Hyperparameter Optimization in the Age of
//!   Deep Learning", `NeurIPS` 2023.
//!
//! A configuration's number says which bracket it is in. Nobody waits: when all brackets have only
//! trials in progress, the next one begins. A trial that failed holds its place and does not go on.

use rand::rngs::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::rungs::{Rungs, Table, check};
use super::sampler::Sampler;
use crate::driver::{Algorithm, Ask, Proposal, Suggestion};
use crate::space::Space;

macro_rules! bracketed {
    ($(#[$doc:meta])* $type:ident, $name:literal, $sampler:expr, $all:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $type {
            /// A rung has this many times fewer configurations than the one below, at this many
            /// times the fidelity.
            pub eta: usize,
            /// Where new configurations come from.
            pub sampler: Sampler,
        }

        impl Default for $type {
            fn default() -> Self {
                $type { eta: 3, sampler: $sampler }
            }
        }

        impl Algorithm for $type {
            fn name(&self) -> &'static str {
                $name
            }

            fn arguments(&self) -> Json {
                crate::arguments::arguments(self)
            }

            fn check(&self, space: &Space) -> Result<(), String> {
                check($name, space)
            }

            fn transfers(&self) -> bool {
                self.sampler == Sampler::Tpe
            }

            fn propose(&mut self, ask: &Ask<'_>, rng: &mut Xoshiro256PlusPlus) -> Proposal {
                Proposal::Evaluate(next(ask, self.eta, self.sampler, $all, rng))
            }
        }
    };
}

bracketed!(
    /// One bracket after the other, from the lowest rung.
    SuccessiveHalving,
    "successive_halving",
    Sampler::Uniform,
    false
);
bracketed!(
    /// Brackets that begin at each rung in turn, the lowest first.
    Hyperband,
    "hyperband",
    Sampler::Uniform,
    true
);
bracketed!(
    /// Hyperband whose configurations are drawn around the priors, around the best, and uniformly.
    PriorBand,
    "priorband",
    Sampler::Priorband,
    true
);

/// A bracket: its first configuration's number, its lowest rung, and how many each rung has.
struct Bracket {
    first: u64,
    lowest: usize,
    sizes: Vec<usize>,
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
    let layouts = if all { rungs.len() } else { 1 };
    let mut first = 1;
    for number in 0.. {
        let lowest = number % layouts;
        let sizes = rungs.bracket(lowest);
        let bracket = Bracket { first, lowest, sizes };
        first += bracket.sizes[0] as u64;
        if let Some(suggestion) = promotion(&bracket, &table, &rungs) {
            return suggestion;
        }
        // New configurations are numbered in order, so this bracket's begin where the last ended.
        if table.next < first {
            let point = sampler.draw(ask, &table, &rungs, lowest, rng);
            return table.begin(point, &rungs, lowest);
        }
    }
    ask.space.sample(rng).into()
}

/// What goes on in a bracket, if anything can: from the lowest rung that is full and has ended.
fn promotion(bracket: &Bracket, table: &Table<'_>, rungs: &Rungs) -> Option<Suggestion> {
    let last = bracket.first + bracket.sizes[0] as u64;
    let mut expected = bracket.sizes[0];
    for (j, _) in bracket.sizes.iter().enumerate().take(bracket.sizes.len() - 1) {
        let rung = bracket.lowest + j;
        let mut here = table.on(rung);
        here.retain(|(config, _)| (bracket.first..last).contains(config));
        if here.len() < expected || here.iter().any(|(_, entry)| entry.is_pending()) {
            return None;
        }
        here.retain(|(_, entry)| entry.value.is_finite());
        here.sort_by(|a, b| a.1.value.total_cmp(&b.1.value).then(a.0.cmp(&b.0)));
        here.truncate(bracket.sizes[j + 1]);
        expected = here.len();
        let climbs = here.iter().find(|(config, _)| !table.has(*config, rung + 1));
        if let Some((config, _)) = climbs {
            return table.promote(*config, rung, rungs);
        }
    }
    None
}
