//! The way through a grid: which of its points the study does not have yet.

use std::collections::BTreeSet;
use std::sync::Arc;

use trialmill_core::config::{Config, Names, Value};
use trialmill_core::space::SearchSpace;
use trialmill_core::trial::{Trial, Trials};

use super::axis::Axis;

/// A point of the grid: its place on each axis that is there, in the order in which
/// [`SearchSpace::config_of_active`] asks for them. Points are walked in ascending order.
type Point = Vec<u32>;

/// A grid, and how far a study has come on it.
///
/// That follows from the study's trials alone, whoever brought them: a point that one of them
/// evaluates is not proposed, and all others are.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    names: Names,
    axes: Vec<Axis>,
    /// The first point that no trial has; none when all have one.
    next: Option<Point>,
    /// The points behind it that some trial has.
    ahead: BTreeSet<Point>,
    /// How many trials were looked at.
    seen: usize,
}

impl Walk {
    /// At its beginning.
    pub(super) fn new(space: &SearchSpace, points: usize) -> Self {
        let axes: Vec<Axis> = axes(space, points).collect();
        let next = Some(follow(space, &axes, &[]).point);
        Walk { names: space.names().clone(), axes, next, ahead: BTreeSet::new(), seen: 0 }
    }

    /// Whether it is a walk through that space, for a study that has come at least as far.
    pub(super) fn is_of(&self, space: &SearchSpace, trials: &Trials) -> bool {
        Arc::ptr_eq(&self.names, space.names()) && self.seen <= trials.len()
    }

    /// Looks at the trials that are new.
    pub(super) fn catch_up(&mut self, space: &SearchSpace, trials: &Trials) {
        for trial in trials.iter().as_slice().iter().skip(self.seen) {
            self.seen += 1;
            let Some(point) = self.point_of(space, trial) else { continue };
            match &self.next {
                Some(next) if point > *next => drop(self.ahead.insert(point)),
                Some(next) if point == *next => {
                    self.next = self.behind(space, &point);
                    while let Some(next) = self.next.take_if(|next| self.ahead.remove(next)) {
                        self.next = self.behind(space, &next);
                    }
                }
                _ => {}
            }
        }
    }

    /// The next `n` configurations that no trial has.
    pub(super) fn propose(&self, space: &SearchSpace, n: usize) -> Vec<Config> {
        let mut at = self.next.clone();
        let mut list = Vec::new();
        while let Some(point) = at.filter(|_| list.len() < n) {
            let step = follow(space, &self.axes, &point);
            at = step.behind(&self.axes).map(|prefix| follow(space, &self.axes, &prefix).point);
            if !self.ahead.contains(&point) {
                list.push(step.config);
            }
        }
        list
    }

    fn behind(&self, space: &SearchSpace, point: &[u32]) -> Option<Point> {
        let prefix = follow(space, &self.axes, point).behind(&self.axes)?;
        Some(follow(space, &self.axes, &prefix).point)
    }

    /// The point that a trial evaluates, if it evaluates one.
    fn point_of(&self, space: &SearchSpace, trial: &Trial) -> Option<Point> {
        let names = space.names();
        let mut point = Some(Point::new());
        let config = space.config_of_active(|at, parameter| {
            let value = trial.config.get(&names[at]);
            let place = value.and_then(|value| self.axes[at].place(parameter, value));
            match (&mut point, place.and_then(|place| u32::try_from(place).ok())) {
                (Some(point), Some(place)) => point.push(place),
                _ => point = None,
            }
            value.cloned().unwrap_or(Value::Null)
        });
        point.filter(|_| config.iter().count() == trial.config.iter().count())
    }
}

pub(super) fn axes(space: &SearchSpace, points: usize) -> impl Iterator<Item = Axis> {
    space.iter().map(move |(_, parameter)| Axis::of(parameter, points))
}

/// A point with what it is.
struct Step {
    point: Point,
    /// The axis of each of its places.
    along: Vec<usize>,
    config: Config,
}

/// The first point that begins like this.
fn follow(space: &SearchSpace, axes: &[Axis], prefix: &[u32]) -> Step {
    let (mut point, mut along) = (prefix.to_vec(), Vec::new());
    let config = space.config_of_active(|at, parameter| {
        if along.len() == point.len() {
            point.push(0);
        }
        let place = point[along.len()];
        along.push(at);
        axes[at].value(parameter, u64::from(place))
    });
    Step { point, along, config }
}

impl Step {
    /// How the next point begins.
    fn behind(&self, axes: &[Axis]) -> Option<Point> {
        let is_last =
            |depth: usize| u64::from(self.point[depth]) + 1 >= axes[self.along[depth]].len();
        let depth = (0..self.point.len()).rev().find(|depth| !is_last(*depth))?;
        let mut prefix = self.point[..=depth].to_vec();
        prefix[depth] += 1;
        Some(prefix)
    }
}

/// How many points the grid of a space with conditional parameters has, if they are at most so many.
pub(super) fn count(space: &SearchSpace, axes: &[Axis], most: u64) -> Option<u64> {
    let (mut count, mut at) = (0, Some(Point::new()));
    while let Some(prefix) = at {
        if count == most {
            return None;
        }
        count += 1;
        at = follow(space, axes, &prefix).behind(axes);
    }
    Some(count)
}
