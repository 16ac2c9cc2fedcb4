//! Grid search: every combination of a few values of each parameter, once.

use std::sync::Arc;

use trialmill_core::config::{Config, Names, Value};
use trialmill_core::definition::OptimizerInfo;
use trialmill_core::error::BoxError;
use trialmill_core::optimizer::{Optimizer, Proposal, SamplingRequest, Suggestion};
use trialmill_core::space::{Domain, Parameter, SearchSpace};

/// Walks the grid in order, the last parameter fastest, and then is finished. A conditional parameter is
/// an axis only where it is there.
///
/// Numbers get `points` values, evenly spread on their own scale, the bounds included, each once: a
/// scale that has fewer has those. Choices and short ranges of whole numbers get each value once; the
/// fidelity is its highest value.
#[derive(Debug, Clone)]
pub struct GridSearch {
    points: usize,
    walk: Option<Walk>,
}

/// The axes of a space, as they are walked.
#[derive(Debug, Clone)]
struct Walk {
    names: Names,
    axes: Vec<Axis>,
    /// Of a space with conditional parameters.
    tree: Option<Tree>,
}

/// A walk through a space with conditional parameters: which point of each axis was taken where a
/// parameter was there, and how many there were. The next place is the same but for the last choice.
#[derive(Debug, Clone, Default)]
struct Tree {
    next: u64,
    choices: Vec<(u64, u64)>,
    is_done: bool,
}

impl Tree {
    /// The configuration at the place, and on to the next.
    fn step(&mut self, grid: &GridSearch, space: &SearchSpace, axes: &[Axis]) -> Option<Config> {
        if self.is_done {
            return None;
        }
        let mut depth = 0;
        let config = space.config_of_active(|at, parameter| {
            if depth == self.choices.len() {
                self.choices.push((0, axes[at].len().max(1)));
            }
            let (choice, _) = self.choices[depth];
            depth += 1;
            grid.point(&axes[at], parameter, choice)
        });
        self.next += 1;
        while self.choices.last().is_some_and(|(choice, count)| choice + 1 == *count) {
            self.choices.pop();
        }
        match self.choices.last_mut() {
            Some((choice, _)) => *choice += 1,
            None => self.is_done = true,
        }
        Some(config)
    }
}

/// Places of a grid with conditional parameters that are counted.
const MOST_COUNTED: u64 = 1 << 20;

/// The values of a parameter.
#[derive(Debug, Clone)]
enum Axis {
    /// That many, all different; each is worked out when it is needed.
    Spread(u64),
    /// Those that are left of a spread where some are the same: 1 1 1 1 2 3 of a short log scale.
    Listed(Vec<Value>),
}

impl Axis {
    fn len(&self) -> u64 {
        match self {
            Axis::Spread(count) => *count,
            Axis::Listed(values) => values.len() as u64,
        }
    }
}

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
        let axes = self.axes(space);
        if !space.is_conditional() {
            return size(&axes);
        }
        let mut tree = Tree::default();
        while tree.next < MOST_COUNTED && tree.step(self, space, &axes).is_some() {}
        tree.is_done.then_some(tree.next)
    }

    fn axes(&self, space: &SearchSpace) -> Vec<Axis> {
        space.iter().map(|(_, parameter)| self.axis(parameter)).collect()
    }

    fn axis(&self, parameter: &Parameter) -> Axis {
        let count = self.count(parameter);
        let is_number = parameter.domain().is_number();
        let values = || (0..count).map(|at| self.value(parameter, at));
        // They ascend, so equal ones are neighbours.
        let twice = is_number && values().zip(values().skip(1)).any(|(a, b)| a == b);
        if !twice {
            return Axis::Spread(count);
        }
        let mut values: Vec<Value> = values().collect();
        values.dedup();
        Axis::Listed(values)
    }

    /// The configuration at a place of the grid: on each axis a digit of the number, in the mixed base
    /// of the axes.
    fn config(&self, space: &SearchSpace, axes: &[Axis], number: u64) -> Config {
        let mut rest = number;
        let mut values: Vec<Value> = Vec::with_capacity(axes.len());
        let parameters: Vec<&Parameter> = space.iter().map(|(_, parameter)| parameter).collect();
        for (parameter, axis) in parameters.into_iter().zip(axes).rev() {
            let at = rest % axis.len().max(1);
            rest /= axis.len().max(1);
            values.push(self.point(axis, parameter, at));
        }
        let mut values = values.into_iter().rev();
        space.config(|_| values.next().unwrap_or(Value::Null))
    }

    fn point(&self, axis: &Axis, parameter: &Parameter, at: u64) -> Value {
        match axis {
            Axis::Spread(_) => self.value(parameter, at),
            Axis::Listed(values) => values[at as usize].clone(),
        }
    }

    /// How a study is walked. One that an earlier version began, with values that stand there twice, is
    /// walked on as it began: on other axes its next number would be some other place.
    fn walk(&self, request: &SamplingRequest<'_>) -> Walk {
        let space = request.space();
        let axes = self.axes(space);
        if space.is_conditional() {
            let (names, tree) = (space.names().clone(), Some(Tree::default()));
            return Walk { names, axes, tree };
        }
        let spreads = space.iter().map(|(_, parameter)| Axis::Spread(self.count(parameter)));
        let before: Vec<Axis> = spreads.collect();
        let began_before = axes.iter().any(|axis| matches!(axis, Axis::Listed(_)))
            && (0..).zip(request.trials().iter()).any(|(number, trial)| {
                trial.config != self.config(space, &axes, number)
                    && trial.config == self.config(space, &before, number)
            });
        let axes = if began_before { before } else { axes };
        Walk { names: space.names().clone(), axes, tree: None }
    }

    fn count(&self, parameter: &Parameter) -> u64 {
        if parameter.is_fidelity() {
            return 1;
        }
        match (parameter.domain(), parameter.domain().cardinality()) {
            (Domain::Int { .. } | Domain::Float { .. }, Some(n)) => n.min(self.points as u64),
            (_, Some(n)) => n,
            (_, None) => self.points as u64,
        }
    }

    fn value(&self, parameter: &Parameter, at: u64) -> Value {
        let count = self.count(parameter);
        let domain = parameter.domain();
        match domain {
            _ if parameter.is_fidelity() => domain.from_unit(1.0),
            Domain::Int { lower, step, .. } if domain.cardinality() == Some(count) => {
                Value::Int(lower + at as i64 * step)
            }
            // A whole number owns a stretch of the unit interval, a choice too: take the middles.
            Domain::Float { step: Some(_), .. } if domain.cardinality() == Some(count) => {
                domain.from_unit((at as f64 + 0.5) / count as f64)
            }
            Domain::Categorical { .. } | Domain::Constant { .. } => {
                domain.from_unit((at as f64 + 0.5) / count as f64)
            }
            _ if count == 1 => domain.from_unit(0.5),
            _ => domain.from_unit(at as f64 / (count - 1) as f64),
        }
    }
}

fn size(axes: &[Axis]) -> Option<u64> {
    axes.iter().try_fold(1u64, |size, axis| size.checked_mul(axis.len()))
}

impl Optimizer for GridSearch {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("grid_search", [("points", self.points as u64)])
    }

    fn check(&self, space: &SearchSpace) -> Result<(), BoxError> {
        match size(&self.axes(space)) {
            _ if space.is_conditional() => Ok(()),
            Some(_) => Ok(()),
            None => Err("grid_search: the grid has more than 2^64 points; use fewer `points` or \
                         random_search"
                .into()),
        }
    }

    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        let names = request.space().names();
        let mut walk = match self.walk.take().filter(|walk| Arc::ptr_eq(&walk.names, names)) {
            Some(walk) => walk,
            None => self.walk(request),
        };
        let (space, first) = (request.space(), request.sample_number(0));
        let suggestions: Vec<Suggestion> = match walk.tree.take() {
            None => {
                let size = size(&walk.axes).unwrap_or(u64::MAX);
                let numbers = first..size.min(first.saturating_add(request.n() as u64));
                numbers.map(|number| self.config(space, &walk.axes, number).into()).collect()
            }
            Some(mut tree) => {
                // Another process may have gone on, or a proposal of ours was not taken.
                if tree.next > first {
                    tree = Tree::default();
                }
                while tree.next < first && tree.step(self, space, &walk.axes).is_some() {}
                let mut next = || tree.step(self, space, &walk.axes).map(Suggestion::from);
                let suggestions = (0..request.n()).map_while(|_| next()).collect();
                walk.tree = Some(tree);
                suggestions
            }
        };
        self.walk = Some(walk);
        match suggestions.is_empty() {
            true => Ok(Proposal::Finished),
            false => Ok(Proposal::Evaluate(suggestions)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trialmill_core::budget::{Budget, Spent};
    use trialmill_core::objectives::Objectives;
    use trialmill_core::trial::{Trial, TrialId, Trials};

    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};

    fn ask(space: &SearchSpace, grid: &mut GridSearch, first: u64, n: usize) -> Proposal {
        ask_after(&Trials::default(), space, grid, first, n)
    }

    fn ask_after(
        trials: &Trials,
        space: &SearchSpace,
        grid: &mut GridSearch,
        first: u64,
        n: usize,
    ) -> Proposal {
        let (budget, spent) = (Budget::default(), Spent::default());
        let objectives = Objectives::default();
        grid.ask(&SamplingRequest {
            n,
            space,
            objectives: &objectives,
            trials,
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

    /// A log scale of 1 to 12 with ten points was 1 1 1 1 2 3 4 6 9 12: a third of the budget went to
    /// what was known.
    #[test]
    fn no_space_has_a_point_twice() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(6);
        for _ in 0..300 {
            let mut number = |below: i64| rng.random_range(0..below);
            let mut parameter = || {
                let (lower, span) = (1 + number(5), 1 + number(40));
                let near = f64::from_bits(1f64.to_bits() + span as u64);
                match number(6) {
                    0 => Parameter::int(lower, lower + span).log(),
                    1 => Parameter::int(-lower, lower + span),
                    2 => Parameter::float(1.0, near),
                    3 => Parameter::float(1.0, near).log(),
                    4 => Parameter::int((1 << 60) + lower, (1 << 60) + lower + span),
                    _ => Parameter::categorical([lower, -1, -2]),
                }
            };
            let space = SearchSpace::new([("a", parameter()), ("b", parameter())]).unwrap();
            let mut grid = GridSearch::new(1 + number(12) as usize).unwrap();
            let size = grid.size(&space).unwrap();
            let mut seen = std::collections::BTreeSet::new();
            let mut at = 0;
            while let Proposal::Evaluate(list) = ask(&space, &mut grid, at, 50) {
                seen.extend(list.iter().map(|suggestion| suggestion.config.to_string()));
                at += list.len() as u64;
            }
            assert_eq!((seen.len() as u64, at), (size, size), "{space:?}");
        }
    }

    /// An axis of a parameter that is not there would be the same configuration several times.
    #[test]
    fn a_conditional_grid_has_each_configuration_once_and_can_be_gone_on_with() {
        let space = SearchSpace::new([
            ("momentum", Parameter::float(0.0, 1.0).when("optimizer", ["sgd"])),
            ("optimizer", Parameter::categorical(["sgd", "adam", "none"])),
            ("nesterov", Parameter::categorical([true, false]).when("momentum", [0.5, 1.0])),
            ("size", Parameter::ordinal(["s", "m", "l"])),
            ("width", Parameter::float(0.1, 0.5).step(0.2).when("optimizer", ["adam", "sgd"])),
        ])
        .unwrap();
        let mut grid = GridSearch::new(3).unwrap();
        // sgd: momentum 0, 0.5 and 1, of which two have nesterov; adam; none has no width.
        let size = 3 * ((1 + 2 + 2) * 3 + 3 + 1);
        assert_eq!(grid.size(&space), Some(size));
        let mut all = Vec::new();
        while let Proposal::Evaluate(list) = ask(&space, &mut grid, all.len() as u64, 4) {
            all.extend(list.into_iter().map(|suggestion| suggestion.config));
        }
        assert!(all.iter().all(|config| space.check(config).is_ok()));
        let seen: std::collections::BTreeSet<String> = all.iter().map(Config::to_string).collect();
        assert_eq!((seen.len() as u64, all.len() as u64), (size, size));
        // Another process begins in the middle, and goes back where a proposal was not taken.
        let mut other = GridSearch::new(3).unwrap();
        for from in [17, 40, 5] {
            let Proposal::Evaluate(list) = ask(&space, &mut other, from, 2) else { panic!() };
            let two: Vec<&Config> = list.iter().map(|suggestion| &suggestion.config).collect();
            assert_eq!(two, [&all[from as usize], &all[from as usize + 1]]);
        }
    }

    #[test]
    fn a_grid_that_an_earlier_version_began_is_walked_on_as_it_began() {
        let space = SearchSpace::new([("n", Parameter::int(1, 12).log())]).unwrap();
        let next = |first: &[i64]| {
            let mut trials = Trials::default();
            for (at, n) in first.iter().enumerate() {
                let config = space.config(|_| Value::Int(*n));
                let id = TrialId::Number(at as u64 + 1);
                trials.push(Trial::sampled(id, config, None, "p1-w1".into(), true, 0.0));
            }
            let mut grid = GridSearch::new(10).unwrap();
            match ask_after(&trials, &space, &mut grid, first.len() as u64, 20) {
                Proposal::Evaluate(list) => {
                    list.iter().map(|s| s.config.int("n").unwrap()).collect::<Vec<_>>()
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(next(&[1, 1, 1]), [1, 2, 3, 4, 6, 9, 12]);
        assert_eq!(next(&[1, 2, 3]), [4, 6, 9, 12]);
    }
}
