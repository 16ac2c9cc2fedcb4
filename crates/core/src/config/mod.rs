//! A configuration: one value for each parameter of the search space.
//!
//! The names are shared between all configurations of a study, so a trial holds only its values.

mod typed;

use std::fmt;
use std::sync::Arc;

use arcstr::ArcStr;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value as Json;
use thiserror::Error;

use crate::notation::{self, Shown, Special};

/// The value of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value (`null`).
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number that needs more than 64 bits, in decimal.
    BigInt(Box<str>),
    /// A floating-point number.
    Float(f64),
    /// A string.
    Str(ArcStr),
    /// A list or a mapping, in the [notation](mod@crate::notation) of our files.
    Nested(Box<Json>),
}

impl Value {
    /// The value as a number, where it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Float(x) => Some(*x),
            Value::Int(x) => Some(*x as f64),
            Value::BigInt(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// Reads a value in the [notation](mod@crate::notation) of our files.
    pub fn from_stored(json: Json) -> Self {
        match json {
            Json::Null => Value::Null,
            Json::Bool(x) => Value::Bool(x),
            Json::String(x) => Value::Str(x.into()),
            Json::Number(x) => match (x.as_i64(), x.is_u64(), x.as_f64()) {
                (Some(int), ..) => Value::Int(int),
                (None, true, _) => Value::BigInt(x.to_string().into()),
                (None, false, float) => Value::Float(float.unwrap_or(f64::NAN)),
            },
            Json::Object(map) => match notation::special(&map) {
                Some(Special::Float(x)) => Value::Float(x),
                Some(Special::Int(digits)) => match notation::whole(digits) {
                    json @ Json::Number(_) => Value::from_stored(json),
                    _ => Value::BigInt(digits.into()),
                },
                _ => Value::Nested(Box::new(Json::Object(map))),
            },
            Json::Array(list) => Value::Nested(Box::new(Json::Array(list))),
        }
    }

    /// As plain JSON. A number that JSON has no word for is a text; of a long whole number it has the
    /// nearest float.
    fn to_plain_json(&self) -> Json {
        serde_json::to_value(ShownValue(self)).unwrap_or(Json::Null)
    }

    /// The same value in the one way in which it is stored and read; nothing where a caller built
    /// what no file can say.
    pub(crate) fn normal(self) -> Option<Self> {
        match self {
            Value::Nested(json) => Some(Value::from_stored(*json)),
            Value::BigInt(digits) => {
                notation::is_whole(&digits).then(|| Value::from_stored(notation::whole(&digits)))
            }
            other => Some(other),
        }
    }
}

impl fmt::Display for Value {
    /// Formats the value as a command-line argument: strings unquoted, numbers so that they parse
    /// back to exactly the same value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(x) => write!(f, "{x}"),
            Value::Int(x) => write!(f, "{x}"),
            Value::BigInt(digits) => f.write_str(digits),
            Value::Float(x) => write!(f, "{x:?}"),
            Value::Str(x) => f.write_str(x),
            Value::Nested(x) => write!(f, "{}", Shown(x)),
        }
    }
}

impl From<f64> for Value {
    fn from(x: f64) -> Self {
        Value::Float(x)
    }
}
impl From<i64> for Value {
    fn from(x: i64) -> Self {
        Value::Int(x)
    }
}
impl From<i32> for Value {
    fn from(x: i32) -> Self {
        Value::Int(x.into())
    }
}
impl From<bool> for Value {
    fn from(x: bool) -> Self {
        Value::Bool(x)
    }
}
impl From<&str> for Value {
    fn from(x: &str) -> Self {
        Value::Str(x.into())
    }
}
impl From<String> for Value {
    fn from(x: String) -> Self {
        Value::Str(x.into())
    }
}

impl From<u64> for Value {
    fn from(x: u64) -> Self {
        Value::from_stored(x.into())
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        Value::from_stored(notation::escape(json))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => to.serialize_unit(),
            Value::Bool(x) => to.serialize_bool(*x),
            Value::Int(x) => to.serialize_i64(*x),
            Value::BigInt(digits) => notation::whole(digits).serialize(to),
            Value::Float(x) if x.is_finite() => to.serialize_f64(*x),
            Value::Float(x) => notation::real(*x).serialize(to),
            Value::Str(x) => to.serialize_str(x),
            Value::Nested(x) => x.serialize(to),
        }
    }
}

/// A value as commands and people are shown it: without the notation of our files.
struct ShownValue<'a>(&'a Value);

impl Serialize for ShownValue<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::BigInt(digits) => notation::raw(digits, to),
            Value::Float(x) => notation::real_text(*x, to),
            Value::Nested(json) => Shown(json).serialize(to),
            other => other.serialize(to),
        }
    }
}

/// A configuration as commands and people are shown it.
pub struct ShownConfig<'a>(pub &'a Config);

impl Serialize for ShownConfig<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.iter().count()))?;
        for (name, value) in self.0.iter() {
            map.serialize_entry(name, &ShownValue(value))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ByHand;
        impl<'de> Visitor<'de> for ByHand {
            type Value = Value;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }
            fn visit_bool<E>(self, x: bool) -> Result<Value, E> {
                Ok(Value::Bool(x))
            }
            fn visit_i64<E>(self, x: i64) -> Result<Value, E> {
                Ok(Value::Int(x))
            }
            fn visit_u64<E>(self, x: u64) -> Result<Value, E> {
                Ok(Value::from(x))
            }
            fn visit_f64<E>(self, x: f64) -> Result<Value, E> {
                Ok(Value::Float(x))
            }
            fn visit_str<E>(self, x: &str) -> Result<Value, E> {
                Ok(Value::Str(x.into()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, seq: A) -> Result<Value, A::Error> {
                let list = Vec::deserialize(serde::de::value::SeqAccessDeserializer::new(seq))?;
                Ok(Value::Nested(Box::new(Json::Array(list))))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
                let map: serde_json::Map<_, _> =
                    Deserialize::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Value::from_stored(Json::Object(map)))
            }
        }
        from.deserialize_any(ByHand)
    }
}

/// Reading a value out of a configuration.
#[derive(Debug, Clone, Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such parameter.
    #[error("the configuration has no parameter '{name}'; it has: {known}")]
    Missing {
        /// The requested name.
        name: String,
        /// The existing names.
        known: String,
    },
    /// The parameter has another type.
    #[error("parameter '{name}' is not {wanted}: its value is {found}")]
    Type {
        /// The parameter.
        name: String,
        /// The requested type.
        wanted: &'static str,
        /// The value it has.
        found: String,
    },
    /// The configuration does not fit a struct.
    #[error("the configuration does not fit the struct: {0}")]
    Shape(String),
}

/// The names of a configuration's parameters, in order; one copy serves a whole study.
pub type Names = Arc<[Box<str>]>;

/// One value for each parameter: what a trial evaluates. A copy shares the values.
///
/// A parameter that is there only under conditions which do not hold has none.
#[derive(Clone)]
pub struct Config {
    names: Names,
    values: Arc<[Option<Value>]>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for Config {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Config {
    /// A configuration of these names and values, in the same order.
    ///
    /// # Panics
    /// Never: surplus names or values are dropped.
    pub fn new(names: Names, values: Vec<Value>) -> Self {
        let len = names.len().min(values.len());
        let names = if names.len() == len { names } else { names[..len].into() };
        Self::of_equally_many(names, values.into_iter().take(len).map(Some).collect())
    }

    /// One value per name, or none.
    pub(crate) fn of_equally_many(names: Names, values: Arc<[Option<Value>]>) -> Self {
        Config { names, values }
    }

    /// The value at each name's place.
    pub(crate) fn places(&self) -> &[Option<Value>] {
        &self.values
    }

    /// The names, shared; also those of parameters that are not there.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The parameters that are there, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        let pairs = self.names.iter().zip(self.values.iter());
        pairs.filter_map(|(name, value)| Some((&**name, value.as_ref()?)))
    }

    /// The value of a parameter, if there is such a parameter.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find_map(|(own, value)| (own == name).then_some(value))
    }

    /// The value at a place of [`names`](Self::names).
    pub fn at(&self, place: usize) -> Option<&Value> {
        self.values.get(place)?.as_ref()
    }

    /// The same configuration with one value replaced: a promotion to a higher fidelity, say.
    /// A name it does not have leaves it unchanged.
    pub fn with(&self, name: &str, value: impl Into<Value>) -> Self {
        let mut copy = self.clone();
        let mut places = self.names.iter().zip(self.values.iter());
        if let Some(at) = places.position(|(own, old)| &**own == name && old.is_some()) {
            Arc::make_mut(&mut copy.values)[at] = Some(value.into());
        }
        copy
    }

    /// A number; a whole number counts if a float can be that number.
    pub fn float(&self, name: &str) -> Result<f64, ConfigError> {
        let value = self.expect(name)?;
        f64::deserialize(value).map_err(|_| wrong(name, "a number that a float can be", value))
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Result<i64, ConfigError> {
        match self.expect(name)? {
            Value::Int(x) => Ok(*x),
            other => Err(wrong(name, "a whole number", other)),
        }
    }

    /// A string.
    pub fn str(&self, name: &str) -> Result<&str, ConfigError> {
        match self.expect(name)? {
            Value::Str(x) => Ok(x),
            other => Err(wrong(name, "a text", other)),
        }
    }

    /// `true` or `false`.
    pub fn bool(&self, name: &str) -> Result<bool, ConfigError> {
        match self.expect(name)? {
            Value::Bool(x) => Ok(*x),
            other => Err(wrong(name, "true or false", other)),
        }
    }

    /// A whole number of a narrower kind: `u32`, `usize`, `u64`.
    ///
    /// # Errors
    /// There is no such parameter, it is no whole number, or it does not fit.
    pub fn whole<T: std::str::FromStr>(&self, name: &str) -> Result<T, ConfigError> {
        match self.expect(name)? {
            value @ (Value::Int(_) | Value::BigInt(_)) => value
                .to_string()
                .parse()
                .map_err(|_| wrong(name, "a whole number that fits", value)),
            other => Err(wrong(name, "a whole number", other)),
        }
    }

    fn expect(&self, name: &str) -> Result<&Value, ConfigError> {
        self.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.iter().map(|(name, _)| name).collect();
            ConfigError::Missing { name: name.into(), known: known.join(", ") }
        })
    }
}

fn wrong(name: &str, wanted: &'static str, found: &Value) -> ConfigError {
    ConfigError::Type { name: name.into(), wanted, found: found.to_string() }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (name, value)) in self.iter().enumerate() {
            let value = crate::printable::printable(&value.to_string());
            write!(f, "{}{name}={value}", if at == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.iter().count()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Reads a configuration and lets it share `names`, if its own names are the same.
pub struct ConfigSeed<'a>(pub &'a Names);

impl<'de> DeserializeSeed<'de> for ConfigSeed<'_> {
    type Value = Config;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Config, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ConfigSeed<'_> {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a configuration: an object of parameters")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Config, A::Error> {
        let mut values: Vec<Option<Value>> = Vec::with_capacity(self.0.len());
        // Names that differ from the shared ones: from the first such name on, all are collected
        // here.
        let mut own: Option<Vec<Box<str>>> = None;
        while let Some(key) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            if own.is_none() {
                let rest = &self.0[values.len()..];
                match rest.iter().position(|name| **name == *key) {
                    // Those before it are not there.
                    Some(before) => values.resize(values.len() + before, None),
                    None => own = Some(self.0[..values.len()].to_vec()),
                }
            }
            if let Some(own) = &mut own {
                if own.len() >= crate::limits::MAX_PARAMETERS {
                    return Err(A::Error::custom("a configuration has too many parameters"));
                }
                own.push(key.into());
            }
            values.push(Some(map.next_value::<Value>()?));
        }
        let names = match own {
            Some(own) => own.into(),
            None => {
                values.resize(self.0.len(), None);
                self.0.clone()
            }
        };
        Ok(Config { names, values: values.into() })
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        ConfigSeed(&Names::from([])).deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        ["lr".into(), "layers".into(), "name".into()].into()
    }

    #[test]
    fn a_configuration_reads_back_exactly_and_shares_its_names() {
        let config = Config::new(
            names(),
            vec![Value::Float(1e-300), Value::Int(-3), Value::from("naïve \"quoted\"")],
        );
        let text = serde_json::to_string(&config).unwrap();
        let shared = config.names().clone();
        let back = ConfigSeed(&shared)
            .deserialize(&mut serde_json::Deserializer::from_str(&text))
            .unwrap();
        assert_eq!(back, config);
        assert!(Arc::ptr_eq(back.names(), &shared));
        let alone: Config = serde_json::from_str(&text).unwrap();
        assert_eq!(alone, config);
    }

    #[test]
    fn asking_for_a_parameter_that_is_not_there_names_those_that_are() {
        let config =
            Config::new(names(), vec![Value::Float(0.5), Value::Int(2), Value::from("adam")]);
        assert_eq!(config.float("layers").unwrap(), 2.0);
        assert_eq!(config.str("name").unwrap(), "adam");
        let missing = config.float("learning_rate").unwrap_err().to_string();
        assert!(missing.contains("learning_rate") && missing.contains("lr, layers, name"));
        let wrong = config.int("lr").unwrap_err().to_string();
        assert!(wrong.contains("lr") && wrong.contains("0.5"), "{wrong}");
        assert_eq!(config.with("layers", 9).int("layers").unwrap(), 9);
    }
}
