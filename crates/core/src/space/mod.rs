//! The search space: which parameters there are, and which values each may take.
//!
//! ```
//! use trialmill::{Parameter, SearchSpace};
//!
//! let space = SearchSpace::new([
//!     ("lr", Parameter::float(1e-5, 1e-1).log().prior(1e-3)),
//!     ("layers", Parameter::int(1, 8)),
//!     ("optimizer", Parameter::categorical(["sgd", "adam"])),
//!     ("epochs", Parameter::int(1, 27).fidelity()),
//!     ("dropout", Parameter::float(0.0, 0.5).step(0.1)),
//!     ("momentum", Parameter::float(0.0, 1.0).when("optimizer", ["sgd"])),
//!     ("weights", Parameter::constant("imagenet")),
//! ])?;
//! assert_eq!(space.fidelity().map(|(name, _)| name), Some("epochs"));
//! # Ok::<(), trialmill::SpaceError>(())
//! ```

mod condition;
mod domain;
mod error;
mod given;
mod of_struct;
mod parse;
mod sample;
mod scale;
mod steps;
mod when;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::budget::Budget;
use crate::config::{Config, Names, Value};
use crate::limits::MAX_PARAMETERS;

pub use condition::Condition;
pub use domain::{Confidence, Domain};
pub use error::SpaceError;
pub use scale::Scale;

/// One parameter: its domain, and what is believed about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    domain: Domain,
    prior: Option<Value>,
    confidence: Confidence,
    is_fidelity: bool,
    when: Vec<Condition>,
    /// A modifier that does not fit the domain, kept until [`SearchSpace::new`] can say so.
    misuse: Option<&'static str>,
}

impl Parameter {
    fn of(domain: Domain) -> Self {
        Parameter {
            domain,
            prior: None,
            confidence: Confidence::Low,
            is_fidelity: false,
            when: Vec::new(),
            misuse: None,
        }
    }

    /// A real number from `lower` to `upper`.
    pub fn float(lower: f64, upper: f64) -> Self {
        Self::of(Domain::Float { lower, upper, scale: Scale::Linear, step: None })
    }

    /// A whole number from `lower` to `upper`, both included.
    pub fn int(lower: i64, upper: i64) -> Self {
        Self::of(Domain::Int { lower, upper, scale: Scale::Linear, step: 1 })
    }

    /// One of several choices.
    pub fn categorical<V: Into<Value>>(choices: impl IntoIterator<Item = V>) -> Self {
        let choices = choices.into_iter().map(Into::into).collect();
        Self::of(Domain::Categorical { choices, ordered: false })
    }

    /// One of several choices whose order means something: small, medium, large.
    pub fn ordinal<V: Into<Value>>(choices: impl IntoIterator<Item = V>) -> Self {
        let choices = choices.into_iter().map(Into::into).collect();
        Self::of(Domain::Categorical { choices, ordered: true })
    }

    /// Always the same value.
    pub fn constant(value: impl Into<Value>) -> Self {
        Self::of(Domain::Constant { value: value.into() })
    }

    /// Searched on a logarithmic scale: for numbers above zero that span orders of magnitude.
    pub fn log(self) -> Self {
        self.scale(Scale::Log)
    }

    /// Drawn from a normal distribution of this mean and standard deviation, cut at the bounds.
    pub fn normal(self, mean: f64, sd: f64) -> Self {
        self.scale(Scale::Normal { mean, sd })
    }

    /// Drawn from a distribution whose natural logarithm is normal, of this mean and standard deviation,
    /// cut at the bounds.
    pub fn log_normal(self, mean: f64, sd: f64) -> Self {
        self.scale(Scale::LogNormal { mean, sd })
    }

    fn scale(mut self, wanted: Scale) -> Self {
        match &mut self.domain {
            Domain::Float { scale, .. } | Domain::Int { scale, .. } if *scale == Scale::Linear => {
                *scale = wanted;
            }
            Domain::Float { .. } | Domain::Int { .. } => {
                self.misuse = Some("has one scale: log, normal or lognormal");
            }
            _ => {
                self.misuse = Some("only a float or an int can have a log scale or a distribution");
            }
        }
        self
    }

    /// Only every so many: a float's `lower`, `lower + step`, … up to `upper`.
    pub fn step(mut self, by: impl Into<Value>) -> Self {
        match (&mut self.domain, by.into()) {
            (Domain::Float { step, .. }, by) if by.as_f64().is_some() => *step = by.as_f64(),
            (Domain::Int { step, .. }, Value::Int(by)) => *step = by,
            (Domain::Int { .. }, _) => self.misuse = Some("the step of an int is a whole number"),
            _ => {
                self.misuse =
                    Some("only a float or an int can have a step, and a step is a number");
            }
        }
        self
    }

    /// Only there where another parameter has one of these values. Of several such conditions all must
    /// hold; and where the other one is not there, this one is not either.
    pub fn when<V: Into<Value>>(
        mut self,
        parameter: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        self.when.push(Condition { parameter: parameter.into(), values });
        self
    }

    /// The value that is believed to be good.
    pub fn prior(mut self, value: impl Into<Value>) -> Self {
        self.prior = Some(value.into());
        self
    }

    /// How much the prior is trusted; [`Confidence::Low`] unless said.
    pub fn prior_confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// This parameter is the fidelity: how much is spent on one evaluation (epochs, data).
    pub fn fidelity(mut self) -> Self {
        self.is_fidelity = true;
        self
    }

    /// Whether it is the same, with its choices in whatever order.
    pub fn has_same(&self, other: &Parameter) -> bool {
        let same_conditions = self.when.len() == other.when.len()
            && self.when.iter().all(|own| other.when.iter().any(|other| own.is_same(other)));
        if !same_conditions {
            return false;
        }
        let (
            Domain::Categorical { choices, ordered: false },
            Domain::Categorical { choices: others, ordered: false },
        ) = (&self.domain, &other.domain)
        else {
            return Parameter { when: Vec::new(), ..self.clone() }
                == Parameter { when: Vec::new(), ..other.clone() };
        };
        // Each stands there once, and by its text.
        let texts = |choices: &[Value]| -> BTreeSet<String> {
            choices.iter().map(|choice| format!("{choice:?}")).collect()
        };
        texts(choices) == texts(others)
            && (&self.prior, self.confidence) == (&other.prior, other.confidence)
    }

    /// Which values it may take.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The prior and how much it is trusted, if there is one.
    pub fn prior_value(&self) -> Option<(&Value, Confidence)> {
        self.prior.as_ref().map(|value| (value, self.confidence))
    }

    /// Under which conditions it is there; none for always.
    pub fn conditions(&self) -> &[Condition] {
        &self.when
    }

    /// Whether it is the fidelity.
    pub fn is_fidelity(&self) -> bool {
        self.is_fidelity
    }

    /// The same parameter in the one way in which it is stored: so whatever a caller built is equal to
    /// what is read again.
    fn normalised(mut self) -> Result<Self, String> {
        let normal = |value: Value| {
            value
                .normal()
                .ok_or_else(|| String::from("a whole number is written in decimal digits"))
        };
        self.domain = match self.domain {
            Domain::Categorical { choices, ordered } => Domain::Categorical {
                choices: choices.into_iter().map(normal).collect::<Result<_, _>>()?,
                ordered,
            },
            Domain::Constant { value } => Domain::Constant { value: normal(value)? },
            domain => domain,
        };
        self.prior = match (self.prior.map(normal).transpose()?, &self.domain) {
            (Some(Value::Null), _) => {
                return Err("null cannot be the prior: it says that there is none".into());
            }
            (Some(Value::Int(x)), Domain::Float { .. }) if x as f64 as i128 == i128::from(x) => {
                Some(Value::Float(x as f64))
            }
            (Some(Value::BigInt(digits)), Domain::Float { .. })
                if digits.parse::<f64>().is_ok_and(|x| format!("{x:.0}") == *digits) =>
            {
                digits.parse().ok().map(Value::Float)
            }
            (Some(prior @ (Value::Int(_) | Value::BigInt(_))), Domain::Float { .. }) => {
                return Err(format!("the prior {prior} is no float: the nearest one differs"));
            }
            (prior, _) => prior,
        };
        for condition in &mut self.when {
            let values = std::mem::take(&mut condition.values).into_iter().map(normal);
            condition.values = values.collect::<Result<_, _>>()?;
        }
        // How far something that is not there is trusted says nothing.
        if self.prior.is_none() {
            self.confidence = Confidence::Low;
        }
        Ok(self)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(misuse) = self.misuse {
            return Err(misuse.into());
        }
        self.domain.check()?;
        if let Some(prior) = &self.prior
            && !self.domain.contains(prior)
        {
            return Err(format!("the prior {prior} is not in {}", self.domain));
        }
        if self.is_fidelity && !self.domain.is_number() {
            return Err("only a float or an int can be the fidelity".into());
        }
        if self.is_fidelity && self.prior.is_some() {
            return Err("the fidelity cannot have a prior".into());
        }
        Ok(())
    }
}

impl std::fmt::Display for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.domain)?;
        if let Some((prior, confidence)) = self.prior_value() {
            write!(f, ", prior {prior} ({})", confidence.name())?;
        }
        f.write_str(if self.is_fidelity { ", fidelity" } else { "" })?;
        for (at, condition) in self.when.iter().enumerate() {
            write!(f, "{}{condition}", if at == 0 { ", when " } else { " and " })?;
        }
        Ok(())
    }
}

/// All parameters of a study, checked, in a fixed order.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchSpace {
    names: Names,
    parameters: Vec<Parameter>,
    order: condition::Order,
    /// The position of the fidelity. It is wanted several times a trial.
    fidelity: Option<usize>,
}

impl SearchSpace {
    /// A space of these parameters.
    ///
    /// # Errors
    /// The first parameter that makes no sense, and why: bounds swapped or not finite, a log
    /// scale that starts at zero, no choices, a prior outside, a name twice, two fidelities.
    pub fn new<N: Into<String>>(
        parameters: impl IntoIterator<Item = (N, Parameter)>,
    ) -> Result<Self, SpaceError> {
        let space = Self::of(parameters)?;
        if let Some((name, parameter)) = space.fidelity()
            && let Domain::Float { lower, .. } = parameter.domain
            && lower < 0.0
        {
            return Err(SpaceError::at(name, negative_fidelity(&lower)));
        }
        if let Some((name, parameter)) = space.fidelity()
            && let Domain::Int { lower, .. } = parameter.domain
            && lower < 0
        {
            return Err(SpaceError::at(name, negative_fidelity(&lower)));
        }
        for (name, parameter) in space.iter() {
            let values = match parameter.domain() {
                Domain::Categorical { choices, .. } => choices.as_slice(),
                Domain::Constant { value } => std::slice::from_ref(value),
                _ => &[],
            };
            if values.iter().any(|value| matches!(value, Value::Str(text) if text.contains('\0'))) {
                let problem = "a text with a NUL in it cannot be given to a command";
                return Err(SpaceError::at(name, problem));
            }
        }
        Ok(space)
    }

    /// As [`new`](Self::new), for the space of a study that exists: what was allowed once stays so.
    fn of<N: Into<String>>(
        parameters: impl IntoIterator<Item = (N, Parameter)>,
    ) -> Result<Self, SpaceError> {
        let mut names: Vec<Box<str>> = Vec::new();
        let mut list: Vec<Parameter> = Vec::new();
        for (name, parameter) in parameters {
            let name = name.into();
            if name.is_empty() || name.len() > crate::limits::MAX_ID_BYTES {
                return Err(SpaceError::at(&name, "a name has 1 to 128 bytes"));
            }
            if name.contains(|c: char| c.is_control() || "{}".contains(c)) {
                return Err(SpaceError::at(&name, "a name has no braces or control characters"));
            }
            if names.iter().any(|other| **other == *name) {
                return Err(SpaceError::at(&name, "this name is used twice"));
            }
            let parameter =
                parameter.normalised().map_err(|problem| SpaceError::at(&name, problem))?;
            parameter.check().map_err(|problem| SpaceError::at(&name, problem))?;
            if let Some(other) = list.iter().position(Parameter::is_fidelity)
                && parameter.is_fidelity
            {
                let problem = format!("'{}' is the fidelity already", names[other]);
                return Err(SpaceError::at(&name, problem));
            }
            names.push(name.into());
            list.push(parameter);
        }
        match list.len() {
            0 => Err(SpaceError::Whole("has no parameters".into())),
            1..=MAX_PARAMETERS => {
                let order = Self::order_of(&names, &list)?;
                let fidelity = list.iter().position(Parameter::is_fidelity);
                Ok(SearchSpace { names: names.into(), parameters: list, order, fidelity })
            }
            _ => Err(SpaceError::Whole(format!("has more than {MAX_PARAMETERS} parameters"))),
        }
    }

    /// A space of which nothing is known: NePS up to 0.14 does not store it.
    pub fn unknown() -> Self {
        SearchSpace {
            names: Names::from([]),
            parameters: Vec::new(),
            order: Vec::new(),
            fidelity: None,
        }
    }

    /// Whether nothing is known of it, so that nothing can be sampled.
    pub fn is_unknown(&self) -> bool {
        self.parameters.is_empty()
    }

    /// Whether it has the same parameters with the same choices, in whatever order: NePS stores both in
    /// another one than they were written.
    pub fn has_same(&self, other: &SearchSpace) -> bool {
        let same = |(name, parameter): (&str, &Parameter)| {
            other.get(name).is_some_and(|other| other.has_same(parameter))
        };
        self.parameters.len() == other.parameters.len() && self.iter().all(same)
    }

    /// The names, in order, shared by every configuration of this space.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The parameters, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Parameter)> {
        self.names.iter().map(|name| &**name).zip(&self.parameters)
    }

    /// A parameter by name.
    pub fn get(&self, name: &str) -> Option<&Parameter> {
        self.iter().find_map(|(own, parameter)| (own == name).then_some(parameter))
    }

    /// The fidelity parameter, if there is one.
    pub fn fidelity(&self) -> Option<(&str, &Parameter)> {
        self.fidelity.map(|at| (&*self.names[at], &self.parameters[at]))
    }

    /// The value of the fidelity in a configuration, if there is a fidelity.
    #[inline]
    pub fn fidelity_of(&self, config: &Config) -> Option<f64> {
        config.get(self.fidelity()?.0).and_then(Value::as_f64)
    }

    /// Refuses a budget that nothing here would use up.
    ///
    /// # Errors
    /// It is one of fidelity, and there is no fidelity.
    pub fn check_budget(&self, budget: &Budget) -> Result<(), String> {
        match budget.fidelity.is_some_and(|most| most > 0.0)
            && self.fidelity().is_none()
            && !self.is_unknown()
        {
            true => Err(
                "the budget is one of fidelity, and no parameter is the fidelity (`is_fidelity: \
                         true`): it would never be used up"
                    .into(),
            ),
            false => Ok(()),
        }
    }

    /// A configuration from one value per parameter; those of parameters that are not there, as the
    /// others are, fall away.
    pub fn config(&self, mut value_of: impl FnMut((&str, &Parameter)) -> Value) -> Config {
        let values = self.iter().map(|parameter| Some(value_of(parameter)));
        if !self.is_conditional() {
            return Config::of_equally_many(Arc::clone(&self.names), values.collect());
        }
        let mut values: Vec<Option<Value>> = values.collect();
        let active = self.active(|at| values[at].as_ref());
        values
            .iter_mut()
            .zip(active)
            .filter(|(_, is_active)| !is_active)
            .for_each(|(v, _)| *v = None);
        Config::of_equally_many(Arc::clone(&self.names), values.into())
    }

    /// Says what a configuration has wrong: a parameter missing, unknown, or out of its domain.
    pub fn check(&self, config: &Config) -> Result<(), SpaceError> {
        let mut parameters = self.parameters.iter().zip(config.places());
        let is_in = |(parameter, value): (&Parameter, &Option<Value>)| {
            value.as_ref().is_some_and(|value| parameter.domain.contains(value))
        };
        if Arc::ptr_eq(&self.names, config.names())
            && !self.is_conditional()
            && parameters.all(is_in)
        {
            return Ok(());
        }
        let active = self.active(|at| config.get(&self.names[at]));
        for ((name, parameter), is_active) in self.iter().zip(active) {
            match config.get(name) {
                None if !is_active => {}
                Some(_) if !is_active => {
                    let when: Vec<String> =
                        parameter.when.iter().map(Condition::to_string).collect();
                    let problem = format!("it is there only when {}", when.join(" and "));
                    return Err(SpaceError::at(name, problem));
                }
                None => return Err(SpaceError::at(name, "the configuration does not have it")),
                Some(value) if !parameter.domain.contains(value) => {
                    let problem = format!("{value} is not in {}", parameter.domain);
                    return Err(SpaceError::at(name, problem));
                }
                Some(_) => {}
            }
        }
        match config.iter().find(|(name, _)| self.get(name).is_none()) {
            Some((name, _)) => Err(SpaceError::at(name, "the search space does not have it")),
            None => Ok(()),
        }
    }
}

fn negative_fidelity(lower: &dyn std::fmt::Display) -> String {
    format!("a fidelity is 0 or more, because it is added up for the budget, and lower is {lower}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(parameter: Parameter) -> String {
        SearchSpace::new([("x", parameter)]).unwrap_err().to_string()
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        for (parameter, says) in [
            (Parameter::float(1.0, 0.0), "lower"),
            (Parameter::float(2.0, 2.0), "constant"),
            (Parameter::float(0.0, 1.0).log(), "above 0"),
            (Parameter::int(0, 8).log(), "above 0"),
            (Parameter::float(f64::NAN, 1.0), "finite"),
            (Parameter::float(-f64::MAX, f64::MAX), "too far apart"),
            (Parameter::categorical(Vec::<Value>::new()), "choices"),
            (Parameter::categorical([1, 1]), "twice"),
            (Parameter::categorical(["a"]).log(), "log"),
            (Parameter::int(1, 8).prior(9), "prior 9"),
            (Parameter::int(1, 8).prior(2.5), "prior 2.5"),
            (Parameter::categorical(["a"]).fidelity(), "fidelity"),
            (Parameter::categorical(["a", "b\0c"]), "NUL"),
            (Parameter::constant("\0"), "NUL"),
        ] {
            let text = problem(parameter);
            assert!(text.contains("'x'") && text.contains(says), "{text}");
        }
        assert!(SearchSpace::new(Vec::<(String, Parameter)>::new()).is_err());
        let twice = [("x", Parameter::int(1, 2)), ("x", Parameter::int(1, 2))];
        assert!(SearchSpace::new(twice).unwrap_err().to_string().contains("twice"));
        let fidelities =
            [("a", Parameter::int(1, 2).fidelity()), ("b", Parameter::int(1, 2).fidelity())];
        assert!(SearchSpace::new(fidelities).unwrap_err().to_string().contains("'a'"));
    }

    #[test]
    fn a_configuration_outside_the_space_is_named() {
        let space = SearchSpace::new([("x", Parameter::int(1, 8))]).unwrap();
        let config = space.config(|_| Value::Int(9));
        assert!(space.check(&config).unwrap_err().to_string().contains("9 is not in"));
        assert!(space.check(&config.with("x", 8)).is_ok());
    }
}
