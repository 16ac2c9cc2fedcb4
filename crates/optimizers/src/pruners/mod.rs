//! The built-in pruners, and the registry of their names.
//!
//! A `Rule` judges one step at a time, from a `Track` of the trial's curve so far and from what it
//! has learned of other trials. `Ruled` makes a [`Pruner`] of it: it keeps the tracks, and tells a new
//! attempt's track what the attempt goes on from. What a rule learns does not depend on the order in
//! which trials come, so every process knows the same, and so does a resumed study.

mod halving;
mod quantile;
mod registry;
mod smallest;
mod stagnation;
mod threshold;
mod wilcoxon;

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use trialmill_core::pruner::{Pruner, PrunerInfo, Reached};
use trialmill_core::trial::{Trial, TrialId};

pub use registry::{PRUNERS, info_of, pruner};

/// What is known of a trial's curve: enough for all rules, and little.
#[derive(Debug, Clone)]
struct Track {
    attempt: u32,
    /// How many steps it has.
    count: usize,
    /// The number of the last one.
    last: Option<u64>,
    /// The smallest value; infinite while there is none that is a number.
    best: f64,
    /// The latest values, as many as the rule looks back.
    recent: VecDeque<f64>,
    /// The smallest of the values before those.
    before: f64,
}

impl Track {
    fn new(attempt: u32) -> Self {
        let (best, before) = (f64::INFINITY, f64::INFINITY);
        Track { attempt, count: 0, last: None, best, recent: VecDeque::new(), before }
    }

    fn push(&mut self, step: u64, value: f64, window: usize) {
        self.count += 1;
        self.last = Some(step);
        // A value that is not a number is no minimum.
        self.best = self.best.min(value);
        self.recent.push_back(value);
        while self.recent.len() > window {
            self.before = self.before.min(self.recent.pop_front().unwrap_or(f64::INFINITY));
        }
    }
}

/// A step that a trial has reached.
struct At<'a> {
    reached: &'a Reached<'a>,
    step: u64,
    /// The value there; smaller is better.
    value: f64,
    /// The number of the step before it.
    previous: Option<u64>,
    /// The curve, this step included.
    track: &'a Track,
}

impl At<'_> {
    /// Whether a rule that looks only at every so many steps after the first ones looks at this one:
    /// at the first that it has reached of each such part.
    fn is_due(&self, warmup: u64, interval: u64) -> bool {
        let Some(beyond) = self.step.checked_sub(warmup) else { return false };
        let begin = warmup + beyond / interval.max(1) * interval.max(1);
        self.previous.is_none_or(|previous| previous < begin)
    }
}

/// When an evaluation should end.
trait Rule: Send {
    /// How many of the latest values it looks at.
    fn window(&self) -> usize {
        0
    }

    /// Whether the evaluation should end at this step.
    fn prunes(&self, at: &At<'_>) -> bool;

    /// Takes in a step of any trial.
    fn learn(&mut self, at: &At<'_>) {
        let _ = at;
    }

    /// Takes in the curve of a trial that has ended.
    fn ended(&mut self, trial: &Trial, curve: &[(u64, f64)]) {
        let _ = (trial, curve);
    }
}

/// A rule as a pruner.
struct Ruled {
    info: PrunerInfo,
    rule: Box<dyn Rule>,
    /// Of the trials that have not ended.
    tracks: FxHashMap<TrialId, Track>,
}

impl Ruled {
    /// The track of an attempt before new steps.
    fn track(&self, reached: &Reached<'_>) -> Track {
        match self.tracks.get(&reached.trial.id) {
            Some(track) if track.attempt == reached.attempt => track.clone(),
            _ => {
                let mut track = Track::new(reached.attempt);
                for (step, value) in reached.earlier() {
                    track.push(step, value, self.rule.window());
                }
                track
            }
        }
    }
}

impl Pruner for Ruled {
    fn info(&self) -> PrunerInfo {
        self.info.clone()
    }

    fn judge(&self, reached: &Reached<'_>) -> Option<u64> {
        let mut track = self.track(reached);
        for (step, value) in reached.steps() {
            let previous = track.last;
            track.push(step, value, self.rule.window());
            if self.rule.prunes(&At { reached, step, value, previous, track: &track }) {
                return Some(step);
            }
        }
        None
    }

    fn observe(&mut self, reached: &Reached<'_>) {
        let mut track = self.track(reached);
        for (step, value) in reached.steps() {
            let previous = track.last;
            track.push(step, value, self.rule.window());
            self.rule.learn(&At { reached, step, value, previous, track: &track });
        }
        self.tracks.insert(reached.trial.id.clone(), track);
    }

    fn ended(&mut self, trial: &Trial, curve: &[(u64, f64)]) {
        self.tracks.remove(&trial.id);
        self.rule.ended(trial, curve);
    }
}
