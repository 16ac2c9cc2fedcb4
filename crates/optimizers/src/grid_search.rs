//! Grid search: every combination of a few values of each parameter, once.

use trialmill_core::config::Value;
use trialmill_core::definition::OptimizerInfo;
use trialmill_core::error::BoxError;
use trialmill_core::optimizer::{Optimizer, Proposal, Request, Suggestion};
use trialmill_core::space::{Domain, Parameter, SearchSpace};

/// Walks the grid in order, the last parameter fastest, and then is finished.
///
/// Numbers get `points` values, evenly spread on their own scale, the bounds included; choices and
/// short ranges of whole numbers get each value once; the fidelity is its highest value.
#[derive(Debug, Clone)]
pub struct GridSearch {
    points: usize,
}

impl Default for GridSearch {
    fn default() -> Self {
        GridSearch { points: 10 }
    }
}

impl GridSearch {
    /// A grid of that many points for each number.
    ///
    /// # Errors
    /// Fewer than 1 or more than 1,000,000.
    pub fn new(points: usize) -> Result<Self, BoxError> {
        match points {
            1..=1_000_000 => Ok(GridSearch { points }),
            _ => Err(format!("grid_search: points is 1 to 1000000, not {points}").into()),
        }
    }

    /// How many combinations there are, or none when they exceed 2⁶⁴.
    pub fn size(&self, space: &SearchSpace) -> Option<u64> {
        space.iter().try_fold(1u64, |size, (_, parameter)| size.checked_mul(self.count(parameter)))
    }

    fn count(&self, parameter: &Parameter) -> u64 {
        if parameter.is_fidelity() {
            return 1;
        }
        match (parameter.domain(), parameter.domain().cardinality()) {
            (Domain::Int { .. }, Some(n)) => n.min(self.points as u64),
            (_, Some(n)) => n,
            (_, None) => self.points as u64,
        }
    }

    fn value(&self, parameter: &Parameter, at: u64) -> Value {
        let count = self.count(parameter);
        let domain = parameter.domain();
        match domain {
            _ if parameter.is_fidelity() => domain.from_unit(1.0),
            Domain::Int { lower, .. } if domain.cardinality() == Some(count) => {
                Value::Int(lower + at as i64)
            }
            // A whole number owns a stretch of the unit interval, a choice too: take the middles.
            Domain::Categorical { .. } | Domain::Constant { .. } => {
                domain.from_unit((at as f64 + 0.5) / count as f64)
            }
            _ if count == 1 => domain.from_unit(0.5),
            _ => domain.from_unit(at as f64 / (count - 1) as f64),
        }
    }
}

impl Optimizer for GridSearch {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("grid_search", [("points", self.points as u64)])
    }

    fn check(&self, space: &SearchSpace) -> Result<(), BoxError> {
        match self.size(space) {
            Some(_) => Ok(()),
            None => Err("grid_search: the grid has more than 2^64 points; use fewer `points` or \
                         random_search"
                .into()),
        }
    }

    fn ask(&mut self, request: &Request<'_>) -> Result<Proposal, BoxError> {
        let size = self.size(request.space()).unwrap_or(u64::MAX);
        let first = request.sample_number(0);
        let numbers = first..size.min(first.saturating_add(request.n() as u64));
        if numbers.is_empty() {
            return Ok(Proposal::Finished);
        }
        let suggestions = numbers.map(|number| {
            // The place on each axis: the digits of the number, in the axes' mixed base.
            let mut rest = number;
            let mut values: Vec<Value> = Vec::with_capacity(request.space().names().len());
            for (_, parameter) in request.space().iter().collect::<Vec<_>>().into_iter().rev() {
                let count = self.count(parameter);
                values.push(self.value(parameter, rest % count));
                rest /= count;
            }
            let mut values = values.into_iter().rev();
            let config = request.space().config(|_| values.next().unwrap_or(Value::Null));
            Suggestion::from(config)
        });
        Ok(Proposal::Evaluate(suggestions.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialmill_core::budget::{Budget, Spent};
    use trialmill_core::trial::Trials;

    fn ask(space: &SearchSpace, grid: &mut GridSearch, first: u64, n: usize) -> Proposal {
        let (trials, budget, spent) = (Trials::default(), Budget::default(), Spent::default());
        grid.ask(&Request {
            n,
            space,
            trials: &trials,
            budget: &budget,
            spent: &spent,
            seed: 0,
            first_sample: first,
            next_number: first + 1,
        })
        .unwrap()
    }

    #[test]
    fn a_grid_visits_every_combination_once_and_then_is_finished() {
        let space = SearchSpace::new([
            ("lr", Parameter::float(1e-4, 1e-2).log()),
            ("layers", Parameter::int(1, 2)),
            ("wide", Parameter::int(0, 1000)),
            ("opt", Parameter::categorical(["a", "b", "c"])),
            ("epochs", Parameter::int(1, 9).fidelity()),
        ])
        .unwrap();
        let mut grid = GridSearch::new(3).unwrap();
        assert_eq!(grid.size(&space), Some(3 * 2 * 3 * 3));
        let mut seen = std::collections::BTreeSet::new();
        let mut at = 0;
        while let Proposal::Evaluate(list) = ask(&space, &mut grid, at, 7) {
            for suggestion in &list {
                assert!(space.check(&suggestion.config).is_ok());
                assert_eq!(suggestion.config.int("epochs").unwrap(), 9);
                seen.insert(suggestion.config.to_string());
            }
            at += list.len() as u64;
        }
        assert_eq!((seen.len(), at), (54, 54));
        let ends: Vec<bool> = ["lr=0.0001 ", "lr=0.01 ", "wide=0 ", "wide=1000 "]
            .map(|v| seen.iter().any(|c| c.contains(v)))
            .into();
        assert_eq!(ends, [true; 4], "the bounds are on the grid: {seen:?}");
    }
}
