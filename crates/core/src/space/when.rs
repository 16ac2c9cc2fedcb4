//! Which parameters of a space are there, given the values of those that others depend on.

use std::sync::Arc;

use super::condition::Order;
use super::{Parameter, SearchSpace, SpaceError};
use crate::config::{Config, Value};

impl SearchSpace {
    /// Finds the order in which it can be said which parameters are there.
    pub(super) fn order_of(
        names: &[Box<str>],
        parameters: &[Parameter],
    ) -> Result<Order, SpaceError> {
        let mut order: Order = Vec::new();
        let mut waiting: Vec<usize> = Vec::new();
        for (at, (name, parameter)) in names.iter().zip(parameters).enumerate() {
            if parameter.when.is_empty() {
                continue;
            }
            waiting.push(at);
            if parameter.is_fidelity() {
                return Err(SpaceError::at(name, "the fidelity is there in every configuration"));
            }
            for (number, condition) in parameter.when.iter().enumerate() {
                let other = &condition.parameter;
                let problem = match names.iter().position(|name| **name == **other) {
                    None => Some(format!("`when` names '{other}', which is no parameter")),
                    Some(other) if other == at => Some("`when` names the parameter itself".into()),
                    Some(_) if condition.values.is_empty() => {
                        Some(format!("`when` has no value of '{other}'"))
                    }
                    Some(_) if parameter.when[..number].iter().any(|c| c.parameter == *other) => {
                        Some(format!("`when` names '{other}' twice"))
                    }
                    Some(other) => condition.values.iter().find_map(|value| {
                        let domain = parameters[other].domain();
                        let is_in = domain.contains(value);
                        (!is_in)
                            .then(|| format!("`when` waits for {value}, which is not in {domain}"))
                    }),
                };
                if let Some(problem) = problem {
                    return Err(SpaceError::at(name, problem));
                }
            }
        }
        // Whatever waits for nothing that still waits comes next.
        while !waiting.is_empty() {
            let place = |other: &str| names.iter().position(|name| **name == *other).unwrap_or(0);
            let is_free = |at: &usize| {
                parameters[*at].when.iter().all(|c| !waiting.contains(&place(&c.parameter)))
            };
            let (free, rest): (Vec<usize>, Vec<usize>) = waiting.iter().copied().partition(is_free);
            if free.is_empty() {
                let problem = "waits for itself, by way of the parameters that `when` names";
                return Err(SpaceError::at(&names[rest[0]], problem));
            }
            for at in free {
                let conditions = parameters[at].when.iter();
                let conditions = conditions.map(|c| (place(&c.parameter), c.values.clone()));
                order.push((at, conditions.collect()));
            }
            waiting = rest;
        }
        Ok(order)
    }

    /// Whether any parameter is there only under conditions.
    pub fn is_conditional(&self) -> bool {
        !self.order.is_empty()
    }

    /// A configuration of parameters that are asked for one after the other, each behind those that it
    /// depends on, and only if it is there.
    pub fn config_of_active(&self, mut value_of: impl FnMut(usize, &Parameter) -> Value) -> Config {
        let mut values: Vec<Option<Value>> = vec![None; self.parameters.len()];
        for (at, parameter) in self.parameters.iter().enumerate() {
            if parameter.when.is_empty() {
                values[at] = Some(value_of(at, parameter));
            }
        }
        for (at, conditions) in &self.order {
            let holds = |(other, wanted): &(usize, Vec<Value>)| {
                values[*other].as_ref().is_some_and(|value| wanted.contains(value))
            };
            if conditions.iter().all(holds) {
                values[*at] = Some(value_of(*at, &self.parameters[*at]));
            }
        }
        Config::of_equally_many(Arc::clone(&self.names), values.into())
    }

    /// Which parameters are there, given the values of those that others depend on.
    pub(super) fn active<'v>(&self, value_at: impl Fn(usize) -> Option<&'v Value>) -> Vec<bool> {
        let mut active = vec![true; self.parameters.len()];
        for (at, conditions) in &self.order {
            active[*at] = conditions.iter().all(|(other, wanted)| {
                active[*other] && value_at(*other).is_some_and(|value| wanted.contains(value))
            });
        }
        active
    }
}
