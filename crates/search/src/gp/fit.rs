//! Finds the kernel's parameters, and says which warp the data make likeliest.
//!
//! The fits form short chains: a new chain begins at each 25th trial that ended (later at each 50th),
//! and inside a chain each fit goes on from the one before. So what is used follows from the trials
//! alone, and a resumed study makes at most one chain again.

use super::kernel::{Evidence, Inputs, Theta, bounds, default_theta};
use super::warp::{WARPS, warped};
use crate::math::lbfgs::{Stop, minimise};

const CHAIN: usize = 25;
/// From so many trials on, fits are dear: the chains are twice as long, and have two fits.
const DEAR: usize = 150;

/// The number of ended trials at which the chain of a fit began.
fn chain(at: usize) -> usize {
    if at < DEAR { at - at % CHAIN } else { at - at % (2 * CHAIN) }
}

/// What a fit gave.
#[derive(Debug, Clone)]
pub(crate) struct Fitted {
    /// For each warp, where it has been tried in this chain.
    thetas: [Option<Theta>; WARPS],
    /// The one that is used.
    pub(crate) warp: usize,
}

impl Fitted {
    pub(crate) fn theta(&self, d: usize) -> Theta {
        self.thetas[self.warp].clone().unwrap_or_else(|| default_theta(d))
    }
}

/// Data for a fit: the first so many trials that ended.
pub(crate) type Data<'a> = &'a dyn Fn(usize) -> (Inputs, Vec<f64>);

/// Keeps the last fit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fitter {
    last: Option<(u64, usize, Fitted)>,
    /// Whether the additive part is left out.
    joint: bool,
    /// How many of the warps are left out, the sharpest first.
    without: usize,
}

/// The number of ended trials at which the fit for `ended` of them was made.
fn checkpoint(ended: usize) -> usize {
    match ended {
        0..20 => ended,
        20..DEAR => ended - ended % 5,
        _ => ended - ended % CHAIN,
    }
}

impl Fitter {
    /// One that leaves the additive part out.
    pub(crate) fn joint() -> Self {
        Fitter { joint: true, ..Fitter::default() }
    }

    /// One that leaves the sharpest warp out.
    pub(crate) fn gentle() -> Self {
        Fitter { without: 1, ..Fitter::default() }
    }

    /// One that takes the values as they are.
    pub(crate) fn straight() -> Self {
        Fitter { without: WARPS - 1, ..Fitter::default() }
    }

    /// The fit for that many ended trials. `version` changes when the past does.
    pub(crate) fn fitted(&mut self, version: u64, ended: usize, data: Data<'_>) -> Fitted {
        let to = checkpoint(ended);
        let first = chain(to).max(3).min(to);
        let mut from = first;
        let mut fitted = None;
        if let Some((of, at, last)) = &self.last
            && *of == version
            && (first..=to).contains(at)
        {
            if *at == to {
                return last.clone();
            }
            fitted = Some(last.clone());
            from = at + 1;
        }
        for at in (from..=to).filter(|at| checkpoint(*at) == *at) {
            fitted = Some(self.step(at, fitted.as_ref(), data));
        }
        let fitted = fitted.unwrap_or(Fitted { thetas: Default::default(), warp: 0 });
        self.last = Some((version, to, fitted.clone()));
        fitted
    }

    /// The fit to these data alone.
    pub(crate) fn alone(&self, inputs: &Inputs, y: &[f64]) -> Fitted {
        self.step(y.len(), None, &|_| (inputs.clone(), y.to_vec()))
    }

    fn step(&self, at: usize, before: Option<&Fitted>, data: Data<'_>) -> Fitted {
        let (inputs, y) = data(at);
        let d = inputs.d();
        let mut evidence = Evidence::new(&inputs);
        let mut bounds = bounds(d);
        if self.joint {
            bounds[2 * d + 1].1 = bounds[2 * d + 1].0;
        }
        let mut fitted = before.cloned().unwrap_or(Fitted { thetas: Default::default(), warp: 0 });
        // Small data are cheap and their warp not settled.
        let all = before.is_none() || at < 50;
        let mut best = f64::NEG_INFINITY;
        let mut chosen = fitted.warp;
        for way in 0..WARPS - self.without {
            if !all && way != fitted.warp {
                continue;
            }
            let (z, log_slope, _) = warped(&y, way);
            let (mut theta, steps) = match fitted.thetas[way].take() {
                Some(theta) => (theta, 15),
                None => (default_theta(d), if at < DEAR { 40 } else { 25 }),
            };
            let stop = Stop { steps, gain: 1e-5, slope: 1e-2 };
            let value = minimise(&mut theta, &bounds, stop, |t, out| evidence.negative(t, &z, out));
            fitted.thetas[way] = Some(theta);
            if log_slope - value > best {
                (best, chosen) = (log_slope - value, way);
            }
        }
        fitted.warp = chosen;
        fitted
    }
}
