//! A search space for a struct of the caller's: its fields are the parameters.

use serde::de::value::{Error as Problem, StrDeserializer};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::{Domain, Parameter, SearchSpace, SpaceError};
use crate::config::{Config, Value};

impl SearchSpace {
    /// The space of a struct that [`Config::to`](crate::config::Config::to) fills: each field is a
    /// parameter of its name. Numbers and texts need to be given; `bool`s, and enums without data, are
    /// their choices unless they are given too.
    ///
    /// ```
    /// use serde::Deserialize;
    /// use trialmill_core::space::{Parameter, SearchSpace};
    ///
    /// #[derive(Deserialize)]
    /// struct Training {
    ///     lr: f64,
    ///     layers: u8,
    ///     optimizer: Optimizer,
    ///     nesterov: Option<bool>, // only with sgd
    /// }
    /// #[derive(Deserialize)]
    /// #[serde(rename_all = "lowercase")]
    /// enum Optimizer { Sgd, Adam }
    ///
    /// let space = SearchSpace::of_struct::<Training>([
    ///     ("lr", Parameter::float(1e-5, 1e-1).log()),
    ///     ("layers", Parameter::int(1, 8)),
    ///     ("nesterov", Parameter::categorical([true, false]).when("optimizer", ["sgd"])),
    /// ])?;
    /// assert_eq!(space.get("optimizer").unwrap().to_string(), "categorical {sgd, adam}");
    /// # Ok::<(), trialmill_core::error::SpaceError>(())
    /// ```
    ///
    /// Whatever can be drawn fits the struct: that is checked here, and not found out at trial 57.
    ///
    /// # Errors
    /// A field without a parameter, a parameter without a field, a bound or a choice that the field
    /// cannot have, or what [`new`](Self::new) refuses.
    pub fn of_struct<T: DeserializeOwned>(
        given: impl IntoIterator<Item = (&'static str, Parameter)>,
    ) -> Result<Self, SpaceError> {
        let mut given: Vec<(&str, Parameter)> = given.into_iter().collect();
        let mut parameters = Vec::new();
        for (name, kind) in fields::<T>()? {
            let own = given.iter().position(|(own, _)| *own == name);
            let parameter = match (own, kind) {
                (Some(at), _) => given.remove(at).1,
                (None, Kind::Flag) => Parameter::categorical([true, false]),
                (None, Kind::Choices(variants)) => Parameter::categorical(variants.iter().copied()),
                (None, Kind::Other) => {
                    return Err(SpaceError::at(name, "the struct has it; say what its values are"));
                }
            };
            parameters.push((name, parameter));
        }
        if let Some((name, _)) = given.first() {
            return Err(SpaceError::at(name, "the struct has no such field"));
        }
        let space = Self::new(parameters)?;
        for (name, parameter) in space.iter() {
            // With all others, also those under conditions: the struct may get each of them.
            let config = |value: Option<Value>| {
                let with = |(own, other): (&str, &Parameter)| match own == name {
                    true => value.clone(),
                    false => Some(other.domain().from_unit(0.0)),
                };
                let values = space.iter().map(with).collect();
                Config::of_equally_many(space.names().clone(), values)
            };
            for extreme in extremes(parameter.domain()) {
                let config = config(Some(extreme));
                config.fill::<T>().map(drop).map_err(|(name, problem)| {
                    let name = name.unwrap_or_default();
                    let value = config.get(name).map_or_else(String::new, Value::to_string);
                    SpaceError::at(name, format!("its value {value} does not fit: {problem}"))
                })?;
            }
            if !parameter.conditions().is_empty() && config(None).to::<T>().is_err() {
                let problem = "it is not always there: make the field an `Option`";
                return Err(SpaceError::at(name, problem));
            }
        }
        Ok(space)
    }
}

/// The values that decide whether all of a domain fit a type.
fn extremes(domain: &Domain) -> Vec<Value> {
    match domain {
        Domain::Categorical { choices, .. } => choices.clone(),
        Domain::Constant { value } => vec![value.clone()],
        number => vec![number.from_unit(0.0), number.from_unit(0.5), number.from_unit(1.0)],
    }
}

/// What a field says of its values.
#[derive(Clone, Copy)]
enum Kind {
    Flag,
    Choices(&'static [&'static str]),
    Other,
}

/// The fields of a struct, as it deserialises them.
fn fields<T: DeserializeOwned>() -> Result<Vec<(&'static str, Kind)>, SpaceError> {
    let mut found: Option<Vec<(&'static str, Kind)>> = None;
    // It ends with an error where a field is of a type that no probe is a value of: what was found
    // until then is known, and whether the others fit is checked with real values.
    let _ = T::deserialize(Struct(&mut found));
    found.ok_or_else(|| {
        SpaceError::Whole(
            "is not that of a struct with named fields (serde's `flatten` hides them)".into(),
        )
    })
}

/// Shows a struct one field after the other.
struct Struct<'f>(&'f mut Option<Vec<(&'static str, Kind)>>);

impl<'de> Deserializer<'de> for Struct<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Problem> {
        Err(Problem::custom("no struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let found = self.0.insert(fields.iter().map(|name| (*name, Kind::Other)).collect());
        visitor.visit_map(Fields { found, at: 0 })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Fields<'f> {
    found: &'f mut Vec<(&'static str, Kind)>,
    at: usize,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        match self.found.get(self.at) {
            Some((name, _)) => seed.deserialize(StrDeserializer::new(name)).map(Some),
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let at = self.at;
        self.at += 1;
        seed.deserialize(Field(&mut self.found[at].1))
    }
}

/// Gives a field some value of its type, and notes what that says.
struct Field<'f>(&'f mut Kind);

macro_rules! numbers {
    ($($method:ident $visit:ident $value:expr,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_unit()
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        *self.0 = Kind::Flag;
        visitor.visit_bool(false)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        *self.0 = Kind::Choices(variants);
        visitor.visit_enum(StrDeserializer::new(variants.first().copied().unwrap_or_default()))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    numbers! {
        deserialize_i8 visit_i8 1,
        deserialize_i16 visit_i16 1,
        deserialize_i32 visit_i32 1,
        deserialize_i64 visit_i64 1,
        deserialize_i128 visit_i128 1,
        deserialize_u8 visit_u8 1,
        deserialize_u16 visit_u16 1,
        deserialize_u32 visit_u32 1,
        deserialize_u64 visit_u64 1,
        deserialize_u128 visit_u128 1,
        deserialize_f32 visit_f32 1.0,
        deserialize_f64 visit_f64 1.0,
        deserialize_char visit_char 'a',
        deserialize_str visit_str "",
        deserialize_string visit_str "",
    }

    forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[allow(dead_code, reason = "it is only filled")]
    struct Own {
        lr: f32,
        layers: u8,
        #[serde(rename = "bias")]
        has_bias: bool,
        kind: Kind,
        width: Vec<u8>,
        momentum: Option<f64>,
    }
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Sgd,
        AdamW,
    }

    fn all() -> Vec<(&'static str, Parameter)> {
        let wide = serde_json::json!([1, 2]);
        vec![
            ("lr", Parameter::float(1e-5, 1e-1).log()),
            ("layers", Parameter::int(1, 255)),
            ("width", Parameter::categorical([wide])),
            ("momentum", Parameter::float(0.0, 1.0).when("kind", ["sgd"])),
        ]
    }

    fn with(name: &str, parameter: Parameter) -> Result<SearchSpace, SpaceError> {
        let given = all().into_iter().map(|(own, old)| match own == name {
            true => (own, parameter.clone()),
            false => (own, old),
        });
        SearchSpace::of_struct::<Own>(given)
    }

    #[test]
    fn whatever_is_drawn_from_a_structs_space_fills_the_struct() {
        let space = SearchSpace::of_struct::<Own>(all()).unwrap();
        let names: Vec<&str> = space.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["lr", "layers", "bias", "kind", "width", "momentum"]);
        assert_eq!(space.get("kind").unwrap().to_string(), "categorical {sgd, adam_w}");
        let mut rng = rand::rngs::Xoshiro256PlusPlus::seed_from_u64(1);
        for _ in 0..100 {
            let own: Own = space.config(|(_, p)| p.sample(&mut rng)).to().unwrap();
            assert_eq!(own.momentum.is_some(), own.kind == Kind::Sgd);
        }
    }

    #[test]
    fn what_does_not_fit_the_struct_is_refused_by_name() {
        let says = |space: Result<SearchSpace, SpaceError>, name: &str, words: &str| {
            let text = space.unwrap_err().to_string();
            assert!(text.contains(name) && text.contains(words), "{text}");
        };
        says(with("layers", Parameter::int(1, 256)), "'layers'", "256 does not fit");
        says(with("layers", Parameter::float(1.0, 2.0)), "'layers'", "1.0 does not fit");
        says(with("momentum", Parameter::categorical(["a"])), "'momentum'", "a does not fit");
        let conditional = Parameter::float(0.0, 1.0).when("kind", ["sgd"]);
        says(with("lr", conditional), "'lr'", "make the field an `Option`");
        says(with("layers", Parameter::int(2, 1)), "'layers'", "lower");
        let missing = all().into_iter().skip(1);
        says(SearchSpace::of_struct::<Own>(missing), "'lr'", "say what its values are");
        let surplus = all().into_iter().chain([("lrr", Parameter::int(1, 2))]);
        says(SearchSpace::of_struct::<Own>(surplus), "'lrr'", "no such field");
        let of_a_number = SearchSpace::of_struct::<u8>([("x", Parameter::int(1, 2))]);
        says(of_a_number, "", "struct with named fields");
    }
}
