//! Configurations that somebody gives: by hand, in a table, from another study.

use serde_json::{Map, Value as Json};

use super::{Domain, SearchSpace, SpaceError};
use crate::config::{Config, Value};
use crate::notation;
use crate::words;

impl Domain {
    /// The value of this domain that somebody wrote, as JSON or as the text of a table's cell; whatever is
    /// not one comes back as it is.
    fn understand(&self, json: &Json) -> Value {
        let value = Value::from_stored(json.clone());
        let number = || match json {
            Json::String(text) => text.trim().parse::<f64>().ok(),
            json => notation::as_f64(json),
        };
        let whole = |x: f64| x.fract() == 0.0 && x.abs() < 9e15;
        match self {
            _ if self.contains(&value)
                && !matches!((self, &value), (Domain::Float { .. }, Value::Int(_))) =>
            {
                value
            }
            Domain::Float { .. } => number().map_or(value, Value::Float),
            Domain::Int { .. } => match (json, number()) {
                (Json::String(text), _) if text.trim().parse::<i64>().is_ok() => {
                    text.trim().parse().map_or(value, Value::Int)
                }
                (_, Some(x)) if whole(x) => Value::Int(x as i64),
                _ => value,
            },
            Domain::Categorical { choices, .. } => {
                choices.iter().find(|choice| means(json, &value, choice)).cloned().unwrap_or(value)
            }
            Domain::Constant { value: own } if means(json, &value, own) => own.clone(),
            Domain::Constant { .. } => value,
        }
    }
}

/// Whether what somebody wrote means this value.
fn means(json: &Json, written: &Value, value: &Value) -> bool {
    match (json, written, value) {
        (Json::String(text), _, Value::Nested(_)) => {
            crate::json::read(text).is_ok_and(|json| Value::from_stored(json) == *value)
        }
        (Json::String(text), ..) => value.to_string() == *text,
        // 1.0 for 1: a table's reader makes floats of a column with a gap. But no other number.
        (_, Value::Float(x), whole @ (Value::Int(_) | Value::BigInt(_)))
        | (_, whole @ (Value::Int(_) | Value::BigInt(_)), Value::Float(x)) => {
            x.fract() == 0.0 && format!("{x:.0}") == whole.to_string()
        }
        _ => false,
    }
}

impl SearchSpace {
    /// A configuration of these values, in the [notation](mod@crate::notation) of our files or as texts.
    /// Constants, and the highest fidelity, need not be given.
    ///
    /// # Errors
    /// A parameter is missing, unknown, outside its domain, or given where its conditions do not hold.
    pub fn given(&self, values: &Map<String, Json>) -> Result<Config, SpaceError> {
        self.of_given(values, false)
    }

    /// The same; what is given where its conditions do not hold falls away.
    ///
    /// # Errors
    /// As [`given`](Self::given).
    pub fn given_to_some(&self, values: &Map<String, Json>) -> Result<Config, SpaceError> {
        self.of_given(values, true)
    }

    fn of_given(&self, values: &Map<String, Json>, is_lenient: bool) -> Result<Config, SpaceError> {
        if let Some(name) = values.keys().find(|name| self.get(name).is_none()) {
            let known: Vec<&str> = self.iter().map(|(name, _)| name).collect();
            return Err(SpaceError::Whole(format!(
                "lacks it: {}",
                words::unknown(name, "a parameter", &known)
            )));
        }
        let places: Vec<Option<Value>> = self
            .iter()
            .map(|(name, parameter)| match (values.get(name), parameter.domain()) {
                (Some(json), domain) => Some(domain.understand(json)),
                (None, Domain::Constant { value }) => Some(value.clone()),
                (None, domain) if parameter.is_fidelity() => Some(domain.from_unit(1.0)),
                (None, _) => None,
            })
            .collect();
        let active = self.active(|at| places[at].as_ref());
        let places = self.iter().zip(places).zip(active).map(|(((name, _), value), is_active)| {
            // One that was filled in, where it is not there.
            value.filter(|_| is_active || values.contains_key(name) && !is_lenient)
        });
        let config = Config::of_equally_many(self.names().clone(), places.collect());
        self.check(&config).map(|()| config)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::space::Parameter;

    fn space() -> SearchSpace {
        SearchSpace::new([
            ("lr", Parameter::float(0.0, 10.0)),
            ("layers", Parameter::int(1, 8)),
            ("kind", Parameter::categorical([Value::from("a"), 2.into(), true.into()])),
            ("beta", Parameter::float(0.0, 1.0).when("kind", ["a"])),
            ("weights", Parameter::constant("x").when("kind", ["a"])),
            ("epochs", Parameter::int(1, 9).fidelity()),
        ])
        .unwrap()
    }

    #[test]
    fn numbers_and_texts_become_the_values_that_they_mean() {
        for (given, says) in [
            (json!({"lr": 1, "layers": 3.0, "kind": 2}), "lr=1.0 layers=3 kind=2 epochs=9"),
            (
                json!({"lr": "1e-3", "layers": "3", "kind": "a", "beta": "0"}),
                "lr=0.001 layers=3 kind=a beta=0.0 weights=x epochs=9",
            ),
            (
                json!({"lr": 1, "layers": "4.0", "kind": "true", "epochs": 3}),
                "lr=1.0 layers=4 kind=true epochs=3",
            ),
            (json!({"lr": 1, "layers": 4, "kind": 2.0}), "lr=1.0 layers=4 kind=2 epochs=9"),
        ] {
            let config = space().given(given.as_object().unwrap()).unwrap();
            assert_eq!(config.to_string(), says);
            assert!(space().check(&config).is_ok());
        }
    }

    /// 2^53 + 1 was taken for the choice 2^53, and a list was not found for a space in it.
    #[test]
    fn a_choice_is_the_one_that_was_written_or_none() {
        let choices = vec![
            Value::Int(1 << 53),
            u64::MAX.into(),
            0.5.into(),
            2.0.into(),
            json!([1, {"a": u64::MAX}]).into(),
        ];
        let space = SearchSpace::new([("c", Parameter::categorical(choices.clone()))]).unwrap();
        for (given, wanted) in [
            (json!(9_007_199_254_740_992_i64), Some(0)),
            (json!(9_007_199_254_740_992.0), Some(0)),
            (json!("9007199254740992"), Some(0)),
            (json!(9_007_199_254_740_993_i64), None),
            (json!(u64::MAX), Some(1)),
            (json!(u64::MAX - 1), None),
            (json!(1.8446744073709552e19), None),
            (json!("0.5"), Some(2)),
            (json!(2), Some(3)),
            (json!([1, {"a": u64::MAX}]), Some(4)),
            (json!("[1, { \"a\":18446744073709551615 }]"), Some(4)),
            (json!("[1, {\"a\": 18446744073709551614}]"), None),
        ] {
            let config = space.given(json!({"c": given}).as_object().unwrap());
            let found = config.ok().and_then(|config| config.get("c").cloned());
            assert_eq!(found, wanted.map(|at: usize| choices[at].clone()), "{given}");
        }
    }

    #[test]
    fn what_is_none_of_the_space_is_named() {
        for (given, says) in [
            (json!({"lr": 1, "layers": 3}), "'kind': the configuration does not have it"),
            (json!({"lr": 1, "layer": 3, "kind": 2}), "did you mean `layers`?"),
            (json!({"lr": 11, "layers": 3, "kind": 2}), "11.0 is not in float"),
            (json!({"lr": "much", "layers": 3, "kind": 2}), "much is not in float"),
            (json!({"lr": 1, "layers": 3.5, "kind": 2}), "3.5 is not in int"),
            (json!({"lr": 1, "layers": 3, "kind": 2, "beta": 0.5}), "only when kind is a"),
            (
                json!({"lr": 1, "layers": 3, "kind": "a"}),
                "'beta': the configuration does not have it",
            ),
        ] {
            let problem = space().given(given.as_object().unwrap()).unwrap_err().to_string();
            assert!(problem.contains(says), "{given}: {problem}");
        }
    }
}
