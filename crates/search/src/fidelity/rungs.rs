//! The rungs, and which configurations stand on them.

use std::collections::BTreeMap;

use crate::driver::Suggestion;
use crate::history::{History, Observation, RungId, State};
use crate::space::{Fidelity, Point, Space};

/// The fidelities of the rungs, the lowest first: the highest divided by powers of eta, as NePS
/// computes them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rungs {
    pub(super) fidelities: Vec<f64>,
    pub(super) eta: f64,
}

impl Rungs {
    pub(super) fn new(fidelity: Fidelity, eta: usize) -> Self {
        let eta = eta.max(2) as f64;
        let (lower, upper) = (fidelity.lower.max(1e-12), fidelity.upper);
        // The small number is against ln 243 / ln 3 = 4.999….
        let count = ((upper / lower).ln() / eta.ln() + 1e-9).floor().clamp(0.0, 40.0) as usize + 1;
        let at = |i: usize| {
            let value = upper / eta.powi((count - 1 - i) as i32);
            if fidelity.whole { (value + 1e-9).floor().max(lower) } else { value }
        };
        Rungs { fidelities: (0..count).map(at).collect(), eta }
    }

    pub(super) fn len(&self) -> usize {
        self.fidelities.len()
    }

    /// The size of the lowest rung of Hyperband's bracket that begins `s` rungs below the top.
    pub(super) fn base_size(&self, s: usize) -> usize {
        (self.len() / (s + 1)) * self.eta.powi(s as i32) as usize
    }

    /// The bracket that begins at a rung: how many configurations each rung has, from that one on.
    pub(super) fn bracket(&self, lowest: usize) -> Vec<usize> {
        let s = self.len() - 1 - lowest;
        let size = self.base_size(s) as f64;
        (0..=s).map(|j| ((size / self.eta.powi(j as i32)) as usize).max(1)).collect()
    }
}

/// What is known of a configuration at a rung.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) trial: &'a Observation,
    /// Its objective; infinite without a usable one.
    pub(super) value: f64,
}

impl Entry<'_> {
    pub(super) fn is_pending(&self) -> bool {
        self.trial.state == State::Pending
    }
}

/// All trials with an id, by configuration and rung.
pub(super) struct Table<'a> {
    pub(super) entries: BTreeMap<RungId, Entry<'a>>,
    /// One more than the highest number of a configuration.
    pub(super) next: u64,
}

impl<'a> Table<'a> {
    pub(super) fn new(history: &'a History) -> Self {
        let (mut entries, mut next) = (BTreeMap::new(), 1);
        for trial in history.trials() {
            let Some(id) = trial.id else { continue };
            let value = trial.objective().unwrap_or(f64::INFINITY);
            entries.insert(id, Entry { trial, value });
            next = next.max(id.config.saturating_add(1));
        }
        Table { entries, next }
    }

    pub(super) fn has(&self, config: u64, rung: usize) -> bool {
        self.entries.contains_key(&RungId { config, rung: rung as u32 })
    }

    /// The configurations on a rung with their entries, by number.
    pub(super) fn on(&self, rung: usize) -> Vec<(u64, Entry<'a>)> {
        let is_here = |id: &RungId| id.rung as usize == rung;
        let here = self.entries.iter().filter(|(id, _)| is_here(id));
        here.map(|(id, entry)| (id.config, *entry)).collect()
    }

    /// A new configuration at a rung.
    pub(super) fn begin(&self, point: Point, rungs: &Rungs, rung: usize) -> Suggestion {
        Suggestion {
            point,
            fidelity: rungs.fidelities.get(rung).copied(),
            id: Some(RungId { config: self.next, rung: rung as u32 }),
            previous: None,
        }
    }

    /// A configuration goes on to the next rung.
    pub(super) fn promote(&self, config: u64, from: usize, rungs: &Rungs) -> Option<Suggestion> {
        let previous = RungId { config, rung: from as u32 };
        let entry = self.entries.get(&previous)?;
        let to = from + 1;
        Some(Suggestion {
            point: entry.trial.point.clone(),
            fidelity: Some(*rungs.fidelities.get(to)?),
            id: Some(RungId { config, rung: to as u32 }),
            previous: Some(previous),
        })
    }
}

/// Why a space cannot be searched here.
pub(super) fn check(name: &str, space: &Space) -> Result<(), String> {
    match space.fidelity {
        None => Err(format!("{name}: the space has no fidelity")),
        Some(f) if f.lower.is_nan() || f.lower <= 0.0 || f.lower > f.upper => {
            Err(format!("{name}: the fidelity must begin above 0"))
        }
        Some(_) => Ok(()),
    }
}
