//! Numbers that somebody wrote, and that come back as they were written.
//!
//! On their way to the unit interval and back 0.001 becomes 0.0010000000000000002, and a default
//! configuration is not the one that stands in the study file. Only floats have this: whatever else there
//! is finds its value again.

use rustc_hash::FxHashMap;
use trialmill_core::config::Value;
use trialmill_core::definition::WarmStart;
use trialmill_core::space::{Domain, SearchSpace};

/// The priors of a space, and the values that other studies found.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Of each parameter, by the bits of what becomes of a value on the way there and back.
    by_place: Vec<FxHashMap<u64, Value>>,
}

/// What becomes of it.
fn there_and_back(domain: &Domain, value: &Value) -> Option<u64> {
    match domain.from_unit(domain.to_unit(value)) {
        Value::Float(x) => Some(x.to_bits()),
        _ => None,
    }
}

impl Written {
    /// Of two that become the same the prior counts, then the better trial.
    pub(crate) fn of(space: &SearchSpace, warm_start: &[WarmStart]) -> Self {
        let values = |(name, parameter): (&str, &trialmill_core::space::Parameter)| {
            let mut values = FxHashMap::default();
            let domain = parameter.domain();
            let prior = parameter.prior_value().map(|(prior, _)| prior);
            let trials = warm_start.iter().flat_map(|other| &other.trials);
            let others = trials.filter_map(|trial| trial.config.get(name));
            for value in prior.into_iter().chain(others.filter(|value| domain.contains(value))) {
                if let Some(place) = there_and_back(domain, value) {
                    values.entry(place).or_insert_with(|| value.clone());
                }
            }
            values
        };
        Written { by_place: space.iter().map(values).collect() }
    }

    /// The value that was written, if what came from the unit interval stands for one.
    pub(crate) fn instead_of(&self, parameter: usize, value: Value) -> Value {
        let Value::Float(x) = value else { return value };
        let written = self.by_place.get(parameter).and_then(|values| values.get(&x.to_bits()));
        written.cloned().unwrap_or(value)
    }
}
