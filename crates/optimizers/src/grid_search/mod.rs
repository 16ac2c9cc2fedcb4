//! Grid search: every combination of a few values of each parameter, once.

mod axis;
mod walk;

use axis::Axis;
use trialmill_core::definition::OptimizerInfo;
use trialmill_core::error::BoxError;
use trialmill_core::optimizer::{Optimizer, Proposal, SamplingRequest};
use trialmill_core::space::SearchSpace;
use walk::Walk;

/// Walks the grid in order, the last parameter fastest, and then is finished. A conditional parameter is
/// an axis only where it is there.
///
/// Numbers get `points` values, evenly spread on their own scale, the bounds included, each once: a
/// scale that has fewer has those. Choices and short ranges of whole numbers get each value once; the
/// fidelity is its highest value.
///
/// Each point is evaluated once, whoever asked for it: one that was enqueued, or imported with its
/// result, is not proposed again, and all others are.
#[derive(Debug, Clone)]
pub struct GridSearch {
    points: usize,
    walk: Option<Walk>,
}

/// Points of a grid with conditional parameters that are counted.
const MOST_COUNTED: u64 = 1 << 20;

impl Default for GridSearch {
    fn default() -> Self {
        GridSearch { points: 10, walk: None }
    }
}

impl GridSearch {
    /// A grid of that many points for each number.
    ///
    /// # Errors
    /// Fewer than 1 or more than 1,000,000.
    pub fn new(points: usize) -> Result<Self, BoxError> {
        match points {
            1..=1_000_000 => Ok(GridSearch { points, walk: None }),
            _ => Err(format!("grid_search: points is 1 to 1000000, not {points}").into()),
        }
    }

    /// How many combinations there are, or none when they exceed 2⁶⁴; with conditional parameters, when
    /// they exceed a million.
    pub fn size(&self, space: &SearchSpace) -> Option<u64> {
        let axes: Vec<Axis> = walk::axes(space, self.points).collect();
        match space.is_conditional() {
            true => walk::count(space, &axes, MOST_COUNTED),
            false => axes.iter().try_fold(1u64, |size, axis| size.checked_mul(axis.len())),
        }
    }
}

impl Optimizer for GridSearch {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("grid_search", [("points", self.points as u64)])
    }

    fn check(&self, space: &SearchSpace) -> Result<(), BoxError> {
        match space.is_conditional() || self.size(space).is_some() {
            true => Ok(()),
            false => Err("grid_search: the grid has more than 2^64 points; use fewer `points` or \
                         random_search"
                .into()),
        }
    }

    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        let (space, trials) = (request.space(), request.trials());
        let walk = match &mut self.walk {
            Some(walk) if walk.is_of(space, trials) => walk,
            other => other.insert(Walk::new(space, self.points)),
        };
        walk.catch_up(space, trials);
        let configs = walk.propose(space, request.n());
        Ok(match configs.is_empty() {
            true => Proposal::Finished,
            false => Proposal::Evaluate(configs.into_iter().map(Into::into).collect()),
        })
    }
}
