//! The algorithms of the crate `trialmill-search` as [`Optimizer`]s.
//!
//! That crate knows parameters as places on the unit interval and trials as places in a list; here
//! they become configurations and ids. What an optimizer knows follows from the events, in the
//! order of the journal: [`Optimizer::observe`] takes them one by one, and so does an opened study.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use trialmill_core::config::{Config, Value};
use trialmill_core::definition::{Definition, KnownTrial, OptimizerInfo, WarmStart};
use trialmill_core::error::BoxError;
use trialmill_core::optimizer::{Optimizer, Proposal, SamplingRequest, Suggestion};
use trialmill_core::space::{Confidence, Domain, Parameter, Scale, SearchSpace};
use trialmill_core::study::StudyState;
use trialmill_core::trial::{State, Trial, TrialId};
use trialmill_search as models;

use crate::written::Written;

/// One of the crate's optimizers, for a study.
pub struct Learner {
    info: OptimizerInfo,
    driver: Option<models::Driver>,
    written: Arc<Written>,
    places: FxHashMap<TrialId, (usize, State)>,
}

impl Learner {
    /// An optimizer of that name and these arguments.
    ///
    /// # Errors
    /// The name or an argument is unknown.
    pub fn new(info: OptimizerInfo) -> Result<Self, BoxError> {
        let algorithm = models::by_name(&info.name, &info.arguments.clone().into())?;
        let arguments = algorithm.arguments().as_object().cloned().unwrap_or_default();
        let info = OptimizerInfo { name: algorithm.name().into(), arguments };
        let (written, places) = (Arc::default(), FxHashMap::default());
        Ok(Learner { info, driver: None, written, places })
    }

    fn algorithm(&self) -> Result<Box<dyn models::Algorithm>, BoxError> {
        Ok(models::by_name(&self.info.name, &self.info.arguments.clone().into())?)
    }

    fn driver(
        &mut self,
        space: &SearchSpace,
        warm_start: &[WarmStart],
        seed: u64,
    ) -> Result<&mut models::Driver, BoxError> {
        if self.driver.is_none() {
            let (owned, written) = (space.clone(), Arc::new(Written::of(space, warm_start)));
            self.written = Arc::clone(&written);
            let driver = models::Driver::new(space_of(space), self.algorithm()?, seed)?
                .beginning_with(sources_of(space, warm_start));
            self.driver = Some(driver.settle_with(move |point| {
                *point = point_of(&owned, &config_of(&owned, &written, point, None));
            }));
        }
        self.driver.as_mut().ok_or_else(|| "there is no driver".into())
    }

    fn follow(&mut self, definition: &Definition, trial: &Trial) {
        let space = &*definition.space;
        let Some(driver) = &mut self.driver else { return };
        let (at, known) = match self.places.get(&trial.id) {
            Some(place) => *place,
            None => {
                let mut observation = models::Observation::pending(point_of(space, &trial.config));
                observation.fidelity = space.fidelity_of(&trial.config);
                observation.id = rung_id(&trial.id);
                let at = match trial.is_brought() {
                    true => driver.bring(observation),
                    false => driver.observe(observation),
                };
                (at, State::Pending)
            }
        };
        match (has_ended(known), has_ended(trial.state)) {
            (false, true) => {
                let state = match trial.state {
                    State::Success | State::External if trial.is_feasible() => {
                        models::State::Finished
                    }
                    State::Pruned => models::State::Pruned,
                    _ => models::State::Failed,
                };
                // A pruned trial has its last value, which is of a lower fidelity.
                let last = || trial.steps.as_ref()?.curve().last().map(|step| &step.value);
                let given = match trial.state {
                    State::Pruned => last().map_or(&[][..], |value| value.as_slice()),
                    _ => trial.objectives(),
                };
                let constraints =
                    trial.report.as_ref().and_then(|report| report.constraints.clone());
                driver.constrain(at, constraints.unwrap_or_default().into());
                driver.end(at, state, definition.objectives.minimised(given).into_owned());
            }
            (true, false) => driver.reopen(at),
            _ => {}
        }
        self.places.insert(trial.id.clone(), (at, trial.state));
    }
}

impl Optimizer for Learner {
    fn info(&self) -> OptimizerInfo {
        self.info.clone()
    }

    fn check(&self, space: &SearchSpace) -> Result<(), BoxError> {
        models::Driver::new(space_of(space), self.algorithm()?, 0)?;
        Ok(())
    }

    fn is_slow(&self) -> bool {
        self.algorithm().is_ok_and(|algorithm| algorithm.is_slow())
    }

    fn observes(&self) -> bool {
        true
    }

    fn parallelism(&self) -> Option<usize> {
        self.algorithm().ok()?.parallelism()
    }

    fn transfers(&self) -> bool {
        self.algorithm().is_ok_and(|algorithm| algorithm.transfers())
    }

    fn observe(&mut self, definition: &Definition, trial: &Trial) {
        // A space that the algorithm cannot search was refused by `check` before.
        if self.driver(&definition.space, &definition.warm_start, definition.seed).is_ok() {
            self.follow(definition, trial);
        }
    }

    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        let space = request.space();
        let driver = self.driver(space, request.warm_start(), request.seed)?;
        let answer = driver.ask(request.n(), request.sample_number(0));
        Ok(match answer {
            models::Answer::Wait => Proposal::Wait,
            models::Answer::Finished => Proposal::Finished,
            models::Answer::Evaluate(list) => {
                let suggestion = |s: &models::Suggestion| {
                    let previous = s.previous.map(trial_id);
                    let mut config = config_of(space, &self.written, &s.point, s.fidelity);
                    if let Some(trial) = previous.as_ref().and_then(|id| request.trials().get(id)) {
                        config = continued(space, config, &trial.config);
                    }
                    Suggestion { config, id: s.id.map(trial_id), previous }
                };
                Proposal::Evaluate(list.iter().map(suggestion).collect())
            }
        })
    }
}

/// What `auto` proposes by at this point of a study, and why; nothing for another optimizer.
pub fn chosen_by_auto(study: &StudyState) -> Option<&'static str> {
    let definition = study.definition();
    if definition.optimizer.name != "auto" || definition.space.is_unknown() {
        return None;
    }
    let (trials, ended) = (study.trials().len(), State::ALL.into_iter().filter(|s| has_ended(*s)));
    let ended = ended.map(|state| study.count(state)).sum::<u64>() as usize;
    let objectives = study.front().first().map_or(1, |best| best.objectives().len());
    let space = space_of(&definition.space);
    let sources = sources_of(&definition.space, &definition.warm_start);
    let transfer = models::Transfer::new(&space, sources);
    Some(models::Method::of(&space, trials, ended, objectives, &transfer).reason())
}

fn has_ended(state: State) -> bool {
    state.is_finished() || state == State::Corrupted
}

fn trial_id(id: models::RungId) -> TrialId {
    TrialId::Rung(id.config, id.rung)
}

fn rung_id(id: &TrialId) -> Option<models::RungId> {
    match id {
        TrialId::Rung(config, rung) => Some(models::RungId { config: *config, rung: *rung }),
        _ => None,
    }
}

/// The parameters that are searched: all but the fidelity.
fn searched(space: &SearchSpace) -> impl Iterator<Item = (&str, &Parameter)> {
    space.iter().filter(|(_, parameter)| !parameter.is_fidelity())
}

/// A space as the crate has it. The trust in a prior is NePS's.
pub(crate) fn space_of(space: &SearchSpace) -> models::Space {
    let dimension = |(_, parameter): (&str, &Parameter)| {
        let int = |lower, upper, log| models::Kind::Int { lower, upper, log };
        let kind = match parameter.domain() {
            domain if domain.cardinality() == Some(1) => models::Kind::Constant,
            // Steps and ordered choices, counted.
            domain if domain.equal_levels().is_some() => {
                let levels = domain.equal_levels().unwrap_or(1);
                int(0, i64::try_from(levels - 1).unwrap_or(i64::MAX), false)
            }
            // Counted too: beyond 2^53 the values themselves are no numbers of the unit interval.
            Domain::Int { lower, upper, scale: Scale::Linear, .. } => {
                int(0, upper.checked_sub(*lower).unwrap_or(i64::MAX), false)
            }
            Domain::Int { lower, upper, scale: Scale::Log, .. } => int(*lower, *upper, true),
            // Whole numbers of a distribution are not evenly apart on the unit interval.
            Domain::Float { .. } | Domain::Int { .. } => models::Kind::Float,
            Domain::Categorical { choices, .. } => {
                models::Kind::Categorical { choices: choices.len() }
            }
            Domain::Constant { .. } => models::Kind::Constant,
        };
        let prior = parameter.prior_value().map(|(value, trust)| models::Prior {
            centre: parameter.domain().to_unit(value),
            confidence: match trust {
                Confidence::Low => 0.25,
                Confidence::Medium => 0.5,
                Confidence::High => 0.75,
            },
        });
        models::Dimension { kind, prior }
    };
    let fidelity = space.fidelity().and_then(|(_, parameter)| match parameter.domain() {
        Domain::Float { lower, upper, .. } => {
            Some(models::Fidelity { lower: *lower, upper: *upper, whole: false })
        }
        Domain::Int { lower, upper, .. } => {
            Some(models::Fidelity { lower: *lower as f64, upper: *upper as f64, whole: true })
        }
        _ => None,
    });
    let dimensions = searched(space).map(dimension).collect();
    models::Space { dimensions, fidelity, conditions: conditions_of(space) }
}

/// Which parameters are there only where others have certain values.
fn conditions_of(space: &SearchSpace) -> Vec<models::Condition> {
    let place = |wanted: &str| searched(space).position(|(name, _)| name == wanted);
    let on = |condition: &trialmill_core::space::Condition| {
        let domain = space.get(&condition.parameter)?.domain();
        let places = condition.values.iter().map(|value| domain.to_unit(value)).collect();
        Some((place(&condition.parameter)?, places))
    };
    let condition = |(dimension, (_, parameter)): (usize, (&str, &Parameter))| {
        let on: Vec<_> = parameter.conditions().iter().filter_map(on).collect();
        (!on.is_empty()).then_some(models::Condition { dimension, on })
    };
    searched(space).enumerate().filter_map(condition).collect()
}

pub(crate) fn point_of(space: &SearchSpace, config: &Config) -> models::Point {
    let place = |(name, parameter): (&str, &Parameter)| {
        config.get(name).map_or(0.5, |value| parameter.domain().to_unit(value))
    };
    searched(space).map(place).collect()
}

/// What other studies found, as the crate has it; what a trial has no value of is not a number.
fn sources_of(space: &SearchSpace, warm_start: &[WarmStart]) -> Vec<models::Source> {
    let source = |other: &WarmStart| {
        let names = other.parameters();
        let trial = |trial: &KnownTrial| {
            let place = |(name, parameter): (&str, &Parameter)| {
                let value =
                    trial.config.get(name).filter(|value| parameter.domain().contains(value));
                // What is not there under a condition stands as it does here.
                let absent = if names.contains(&name) { 0.5 } else { f64::NAN };
                value.map_or(absent, |value| parameter.domain().to_unit(value))
            };
            let mut known = models::Observation::pending(searched(space).map(place).collect());
            known.fidelity = space.fidelity_of(&trial.config);
            known.state = models::State::Finished;
            known.objectives.clone_from(&trial.objectives);
            known
        };
        models::Source { trials: other.trials.iter().map(trial).collect() }
    };
    warm_start.iter().map(source).collect()
}

fn config_of(
    space: &SearchSpace,
    written: &Written,
    point: &[f64],
    fidelity: Option<f64>,
) -> Config {
    let mut point = point.iter();
    let mut at = 0..;
    space.config(|(_, parameter)| {
        let at = at.next().unwrap_or(0);
        match (parameter.is_fidelity(), parameter.domain(), fidelity) {
            (true, domain, Some(x)) => domain.nearest(x),
            (true, domain, None) => domain.from_unit(1.0),
            (false, domain, _) => {
                let unit = point.next().copied().unwrap_or(0.5);
                written.instead_of(at, domain.from_unit(unit))
            }
        }
    })
}

/// The configuration of a trial that is continued at another fidelity, value by value: on the way there
/// and back numbers may change by a rounding error.
fn continued(space: &SearchSpace, proposed: Config, before: &Config) -> Config {
    let is_near = |a: &f64, b: &f64| (a - b).abs() < 1e-9;
    let (own, known) = (point_of(space, &proposed), point_of(space, before));
    if !own.iter().zip(&known).all(|(a, b)| is_near(a, b)) {
        return proposed;
    }
    space.config(|(name, parameter)| {
        let from = if parameter.is_fidelity() { &proposed } else { before };
        from.get(name).or_else(|| proposed.get(name)).cloned().unwrap_or(Value::Null)
    })
}
