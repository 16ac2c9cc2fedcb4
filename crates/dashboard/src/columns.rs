//! The ends of trials as columns of numbers: what a page draws a million points of.
//!
//! ```text
//! u32 magic "TMC1" | u32 epoch | u32 from | u32 rows | u32 objectives
//! f32 × rows  seconds since the study's first event
//! f32 × rows  cost so far
//! f32 × rows  duration
//! u32 × rows  number of the trial; 0xffffffff where its id is no number
//! u32 × rows  its place among the trials
//! f32 × rows  each objective in turn
//! u8  × rows  state
//! ```

use trialmill_core::trial::{State, TrialId};
use trialmill_view::Live;
use trialmill_view::figures::Axes;

const MAGIC: u32 = u32::from_le_bytes(*b"TMC1");

/// Rows that one answer has at the most: a page asks again for the others.
const MOST: usize = 2_000_000;

/// The rows from `from` on; all of them where the asker has those of another epoch.
pub(crate) fn columns(live: &Live, epoch: u32, from: usize) -> Vec<u8> {
    let (ends, trials) = (live.runs().ends(), live.study().trials());
    let now = live.epoch() as u32;
    let from = if epoch == now { from.min(ends.len()) } else { 0 };
    let until = ends.len().min(from + MOST);
    let rows = from..until;
    let k = ends.objectives.len();
    let mut out = Vec::with_capacity(20 + rows.len() * (21 + 4 * k));
    for word in [MAGIC, now, from as u32, rows.len() as u32, k as u32] {
        out.extend(word.to_le_bytes());
    }
    let first = live.runs().span().map_or(0.0, |(first, _)| first);
    let mut real = |x: f64| out.extend((x as f32).to_le_bytes());
    ends.time[rows.clone()].iter().for_each(|time| real(time - first));
    let mut sum: f64 = ends.cost[..from].iter().map(|cost| cost.max(0.0)).sum();
    for cost in &ends.cost[rows.clone()] {
        sum += cost.max(0.0);
        real(sum);
    }
    ends.duration[rows.clone()].iter().for_each(|duration| real(*duration));
    for at in &ends.trial[rows.clone()] {
        let number = match trials.at(*at).id {
            TrialId::Number(n) => u32::try_from(n).unwrap_or(u32::MAX),
            _ => u32::MAX,
        };
        out.extend(number.to_le_bytes());
    }
    ends.trial[rows.clone()].iter().for_each(|at| out.extend(at.to_le_bytes()));
    for objective in &ends.objectives {
        objective[rows.clone()].iter().for_each(|x| out.extend((*x as f32).to_le_bytes()));
    }
    out.extend(ends.state[rows].iter().map(|state| code(*state)));
    out
}

/// Where the rows stand on some axes: `u32 magic, epoch, from, rows, axes`, then a column for each.
pub(crate) fn places(live: &Live, wanted: &[usize], epoch: u32, from: usize) -> Vec<u8> {
    let (ends, now) = (live.runs().ends(), live.epoch() as u32);
    let from = if epoch == now { from.min(ends.len()) } else { 0 };
    let axes = Axes::of(live);
    let wanted: Vec<usize> = wanted.iter().copied().filter(|i| *i < axes.list().len()).collect();
    let mut out = Vec::with_capacity(20 + (ends.len() - from) * 4 * wanted.len());
    for word in [MAGIC, now, from as u32, (ends.len() - from) as u32, wanted.len() as u32] {
        out.extend(word.to_le_bytes());
    }
    for i in wanted {
        axes.column(live, i, from).iter().for_each(|x| out.extend(x.to_le_bytes()));
    }
    out
}

/// The place of a state among all.
fn code(state: State) -> u8 {
    State::ALL.iter().position(|own| *own == state).unwrap_or(255) as u8
}
