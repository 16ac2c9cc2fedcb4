//! Values as types of the caller's: exactly what they are, or an error.

use std::fmt::Display;

use serde::de::value::{Error as Problem, MapAccessDeserializer, StrDeserializer};
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{Config, ConfigError, Value, wrong};

impl Config {
    /// A value as any type that fits it: `u8`, `i64`, `usize`, `f32`, `bool`, `&str`, `String`, a list,
    /// an enum whose variants are the choices. As an `Option`, nothing where the parameter is not there.
    ///
    /// A whole number is taken as it is or refused, never cut; an `f32` is the nearest one.
    ///
    /// ```
    /// # use trialmill_core::space::{Parameter, SearchSpace};
    /// # let space = SearchSpace::new([("layers", Parameter::int(1, 300))]).unwrap();
    /// let config = space.config(|_| 300.into());
    /// assert_eq!(config.value::<u16>("layers"), Ok(300));
    /// let problem = config.value::<u8>("layers").unwrap_err().to_string();
    /// assert_eq!(problem, "parameter 'layers' is not u8: its value is 300");
    /// ```
    ///
    /// # Errors
    /// There is no such parameter, or its value does not fit.
    pub fn value<'c, T: Deserialize<'c>>(&'c self, name: &str) -> Result<T, ConfigError> {
        if self.get(name).is_none()
            && self.names.iter().any(|own| **own == *name)
            && let Ok(nothing) = T::deserialize(&Value::Null)
        {
            return Ok(nothing);
        }
        let value = self.expect(name)?;
        T::deserialize(value).map_err(|_| wrong(name, std::any::type_name::<T>(), value))
    }

    /// All of it, as a struct of the caller's: each parameter is a field, one that may not be there an
    /// `Option`. [`SearchSpace::of_struct`](crate::space::SearchSpace::of_struct) makes the space for one.
    ///
    /// # Errors
    /// A field has no parameter, or its type is not that of the value.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        self.fill().map_err(|(name, problem)| {
            ConfigError::Shape(match name {
                Some(name) => format!("'{name}': {problem}"),
                None => problem.to_string(),
            })
        })
    }

    /// The same; an error has the name of the parameter that does not fit, where one is at fault.
    pub(crate) fn fill<T: DeserializeOwned>(&self) -> Result<T, (Option<&str>, Problem)> {
        let (mut values, mut last) = (self.iter(), None);
        T::deserialize(MapAccessDeserializer::new(Values {
            values: &mut values,
            value: &Value::Null,
            last: &mut last,
        }))
        .map_err(|problem| (last, problem))
    }
}

/// The values of a configuration, and the name of that which is being read.
struct Values<'m, 'de, I> {
    values: &'m mut I,
    value: &'de Value,
    last: &'m mut Option<&'de str>,
}

impl<'de, I: Iterator<Item = (&'de str, &'de Value)>> MapAccess<'de> for Values<'_, 'de, I> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        *self.last = None;
        let Some((name, value)) = self.values.next() else { return Ok(None) };
        self.value = value;
        seed.deserialize(StrDeserializer::new(name)).map(|key| {
            *self.last = Some(name);
            Some(key)
        })
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        seed.deserialize(self.value)
    }
}

impl<'de> Deserializer<'de> for &'de Value {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self {
            Value::Null => visitor.visit_unit(),
            Value::Bool(x) => visitor.visit_bool(*x),
            Value::Int(x) => visitor.visit_i64(*x),
            Value::BigInt(digits) => match (digits.parse(), digits.parse(), digits.parse()) {
                (Ok(x), ..) => visitor.visit_u64(x),
                (_, Ok(x), _) => visitor.visit_i128(x),
                (.., Ok(x)) => visitor.visit_u128(x),
                (..) => Err(Problem::custom(format!("{digits} does not fit into 128 bits"))),
            },
            Value::Float(x) => visitor.visit_f64(*x),
            Value::Str(x) => visitor.visit_borrowed_str(x),
            Value::Nested(_) => self.to_plain_json().deserialize_any(visitor).map_err(other),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self {
            Value::Null => visitor.visit_none(),
            value => visitor.visit_some(value),
        }
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.as_f64() {
            // As a float it would be some other number.
            Some(x) if !self.is(x) => Err(Problem::custom(format!("{self} is no float"))),
            Some(x) => visitor.visit_f64(x),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.as_f64() {
            Some(x) if x.is_finite() && (x as f32).is_infinite() => {
                Err(Problem::custom(format!("{self} is too large")))
            }
            _ => self.deserialize_f64(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self {
            Value::Str(x) => visitor.visit_enum(StrDeserializer::new(x)),
            value => value.to_plain_json().deserialize_enum(name, variants, visitor).map_err(other),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl Value {
    /// Whether it is that very number.
    fn is(&self, x: f64) -> bool {
        match self {
            Value::Int(own) => x as i128 == i128::from(*own),
            Value::BigInt(digits) => format!("{x:.0}") == **digits,
            _ => true,
        }
    }
}

fn other(problem: impl Display) -> Problem {
    Problem::custom(problem)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Debug;

    use super::*;
    use crate::config::Names;

    fn one(value: impl Into<Value>) -> Config {
        Config::new(Names::from(["x".into()]), vec![value.into()])
    }

    fn is<'c, T: Deserialize<'c> + PartialEq + Debug>(config: &'c Config, wanted: Option<T>) {
        let is = config.value::<T>("x");
        match wanted {
            Some(wanted) => assert_eq!(is, Ok(wanted), "{config}"),
            None => {
                let says = is.unwrap_err().to_string();
                assert!(
                    says.contains("'x'") && says.contains(std::any::type_name::<T>()),
                    "{says}"
                );
            }
        }
    }

    /// A cast would have cut them.
    #[test]
    fn a_whole_number_is_taken_exactly_or_refused_in_every_width() {
        macro_rules! widths {
            ($($t:ty)*) => {$(
                for digits in [
                    "0", "1", "-1", "127", "128", "-128", "-129", "255", "256", "32768", "65535",
                    "65536", "2147483648", "-2147483649", "4294967296", "9007199254740993",
                    "9223372036854775807", "9223372036854775808", "-9223372036854775808",
                    "-9223372036854775809", "18446744073709551615", "18446744073709551616",
                ] {
                    let json: serde_json::Value = crate::json::read(digits).unwrap();
                    let config = one(Value::from_stored(json));
                    assert_eq!(config.to_string(), format!("x={digits}"));
                    is::<$t>(&config, digits.parse().ok());
                    is::<Option<$t>>(&config, digits.parse().ok().map(Some));
                    assert_eq!(config.whole::<$t>("x").ok(), digits.parse().ok());
                }
                is::<$t>(&one(3.0), None);
                is::<$t>(&one("3"), None);
                is::<$t>(&one(true), None);
            )*};
        }
        widths!(i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize);
    }

    #[test]
    fn a_number_is_a_float_only_if_that_is_the_same_number() {
        is::<f64>(&one(0.1), Some(0.1));
        is::<f32>(&one(0.1), Some(0.1));
        is::<f64>(&one(f64::INFINITY), Some(f64::INFINITY));
        is::<f32>(&one(f64::NEG_INFINITY), Some(f32::NEG_INFINITY));
        is::<f32>(&one(1e300), None);
        is::<f64>(&one(i64::from(i32::MAX)), Some(2_147_483_647.0));
        is::<f64>(&one(1i64 << 60), Some(1.152_921_504_606_847e18));
        is::<f64>(&one((1i64 << 53) + 1), None);
        is::<f64>(&one("0.1"), None);
        assert!(one((1i64 << 53) + 1).float("x").is_err());
    }

    #[test]
    fn other_values_are_what_they_are() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        #[serde(rename_all = "snake_case")]
        enum Kind {
            Sgd,
            AdamW,
        }
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Name(String);
        is::<bool>(&one(true), Some(true));
        is::<bool>(&one(1), None);
        is::<&str>(&one("naïve"), Some("naïve"));
        is::<String>(&one("a"), Some("a".into()));
        is::<Name>(&one("a"), Some(Name("a".into())));
        is::<char>(&one("a"), Some('a'));
        is::<Kind>(&one("adam_w"), Some(Kind::AdamW));
        is::<Kind>(&one("adam"), None);
        is::<Option<Kind>>(&one(Value::Null), Some(None));
        is::<Vec<u8>>(&one(serde_json::json!([1, 255])), Some(vec![1, 255]));
        is::<Vec<u8>>(&one(serde_json::json!([1, 256])), None);
        let map = BTreeMap::from([("a".to_string(), 1.5)]);
        is::<BTreeMap<String, f64>>(&one(serde_json::json!({"a": 1.5})), Some(map));
    }

    #[test]
    fn a_configuration_is_a_struct_of_the_callers() {
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Own {
            x: u8,
            #[serde(default)]
            depth: u64,
            momentum: Option<f64>,
        }
        let own = one(200).to::<Own>();
        assert_eq!(own, Ok(Own { x: 200, depth: 0, momentum: None }));
        let error = one(300).to::<Own>().unwrap_err().to_string();
        assert!(error.contains("300"), "{error}");
        let long = Config::new(
            Names::from(["x".into(), "depth".into(), "momentum".into()]),
            vec![1.into(), u64::MAX.into(), f64::INFINITY.into()],
        );
        let own = Own { x: 1, depth: u64::MAX, momentum: Some(f64::INFINITY) };
        assert_eq!(long.to::<Own>(), Ok(own));
    }
}
