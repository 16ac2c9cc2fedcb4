//! Plain Python values, and how Python prints, compares and identifies them.

use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::{Map, Value as Json, json};

/// A plain Python value, as NePS's files hold it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// An integer that does not fit, in decimal, without leading zeros.
    BigInt(String),
    /// A float, finite or not.
    Float(f64),
    /// A string. Lone surrogates, which Python's strings may hold, are refused by the readers.
    Str(String),
    /// A list.
    List(Vec<Value>),
    /// A dict, in insertion order.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// A dict with string keys, in the given order.
    pub(crate) fn map<K: Into<String>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
        let entries = entries.into_iter();
        Value::Map(entries.map(|(key, value)| (Value::Str(key.into()), value)).collect())
    }

    /// The integer with these decimal digits, as `Int` if it fits.
    pub(crate) fn integer(negative: bool, digits: &str) -> Value {
        let digits = match digits.trim_start_matches('0') {
            "" => "0",
            digits => digits,
        };
        let text = if negative { format!("-{digits}") } else { digits.to_owned() };
        text.parse().map_or(Value::BigInt(text), Value::Int)
    }

    /// The value of a string key in a dict.
    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        let Value::Map(pairs) = self else { return None };
        pairs.iter().find(|(found, _)| found.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// A number, as `float(…)` converts it. Bools are not numbers here.
    pub(crate) fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(int) => Some(*int as f64),
            Value::BigInt(digits) => digits.parse().ok(),
            Value::Float(float) => Some(*float),
            _ => None,
        }
    }

    /// A string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The value in JSON, without loss: what JSON lacks is an object with one key that starts with
    /// `$`: `$float` (`"inf"`, `"-inf"`, `"nan"`), `$int` (decimal), and `$map`, a list of pairs, for
    /// dicts with other keys than strings and for dicts that would look like one of these.
    pub(crate) fn to_json(&self) -> Json {
        match self {
            Value::None => Json::Null,
            Value::Bool(bool) => Json::Bool(*bool),
            Value::Int(int) => json!(int),
            Value::BigInt(digits) => json!({ "$int": digits }),
            Value::Float(float) if float.is_finite() => json!(float),
            Value::Float(float) => json!({ "$float": python_float(*float) }),
            Value::Str(text) => json!(text),
            Value::List(items) => items.iter().map(Value::to_json).collect(),
            Value::Map(pairs) => {
                let named = pairs
                    .iter()
                    .map(|(key, value)| key.as_str().map(|key| (key.to_owned(), value.to_json())));
                let escape = |object: &Map<String, Json>| {
                    object.len() != pairs.len()
                        || object.len() == 1 && object.keys().all(|key| key.starts_with('$'))
                };
                match named.collect::<Option<Map<String, Json>>>() {
                    Some(object) if !escape(&object) => Json::Object(object),
                    _ => {
                        let pairs = pairs
                            .iter()
                            .map(|(key, value)| Json::Array(vec![key.to_json(), value.to_json()]));
                        json!({ "$map": pairs.collect::<Json>() })
                    }
                }
            }
        }
    }

    /// The inverse of [`Value::to_json`]. An object that only resembles its notation is a dict.
    pub(crate) fn from_json(json: &Json) -> Value {
        match json {
            Json::Null => Value::None,
            Json::Bool(bool) => Value::Bool(*bool),
            Json::Number(number) => match number.as_i64() {
                Some(int) => Value::Int(int),
                None if number.is_u64() => Value::BigInt(number.to_string()),
                None => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => Value::Str(text.clone()),
            Json::Array(items) => Value::List(items.iter().map(Value::from_json).collect()),
            Json::Object(object) => Value::special(object).unwrap_or_else(|| {
                Value::map(object.iter().map(|(key, json)| (key, Value::from_json(json))))
            }),
        }
    }

    /// What an object of [`Value::to_json`]'s notation stands for, if it is one.
    fn special(object: &Map<String, Json>) -> Option<Value> {
        let (key, json) = object.iter().next().filter(|_| object.len() == 1)?;
        match (key.as_str(), json) {
            ("$float", Json::String(text)) => match text.as_str() {
                "inf" => Some(Value::Float(f64::INFINITY)),
                "-inf" => Some(Value::Float(f64::NEG_INFINITY)),
                "nan" | "NaN" => Some(Value::Float(f64::NAN)),
                _ => None,
            },
            ("$int", Json::String(text)) => {
                let digits = text.strip_prefix('-').unwrap_or(text);
                let sound = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
                sound.then(|| Value::integer(digits != text, digits))
            }
            ("$map", Json::Array(pairs)) => {
                let pair = |pair: &Json| match pair.as_array().map(Vec::as_slice) {
                    Some([key, value]) => Some((Value::from_json(key), Value::from_json(value))),
                    _ => None,
                };
                pairs.iter().map(pair).collect::<Option<_>>().map(Value::Map)
            }
            _ => None,
        }
    }

    /// What Python's `repr` returns for it.
    pub(crate) fn repr(&self) -> String {
        let join = |parts: Vec<String>| parts.join(", ");
        match self {
            Value::None => "None".into(),
            Value::Bool(true) => "True".into(),
            Value::Bool(false) => "False".into(),
            Value::Int(int) => int.to_string(),
            Value::BigInt(digits) => digits.clone(),
            Value::Float(float) => python_float(*float),
            Value::Str(text) => python_str(text),
            Value::List(items) => format!("[{}]", join(items.iter().map(Value::repr).collect())),
            Value::Map(pairs) => {
                let pair =
                    |(key, value): &(Value, Value)| format!("{}: {}", key.repr(), value.repr());
                format!("{{{}}}", join(pairs.iter().map(pair).collect()))
            }
        }
    }

    /// How Python orders two keys of a dict; `None` if it refuses (`'a' < 1`). Here, unlike in
    /// Python, a NaN is above all numbers, so that sorting has one result.
    pub(crate) fn python_cmp(&self, other: &Value) -> Option<Ordering> {
        match (self, other) {
            (Value::Str(one), Value::Str(other)) => Some(one.cmp(other)),
            _ => Some(Number::of(self)?.compare(&Number::of(other)?)),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.to_owned())
    }
}

impl From<f64> for Value {
    fn from(float: f64) -> Value {
        Value::Float(float)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Value {
        Value::Int(int)
    }
}

/// A number split so that ints of any size and floats compare exactly, as Python does it.
#[derive(PartialEq, Eq, Hash)]
enum Number {
    NegativeInfinity,
    /// Sign, decimal digits of the whole part, and the fraction's bits.
    Finite(bool, String, u64),
    Infinity,
    Nan,
}

impl Number {
    fn of(value: &Value) -> Option<Number> {
        let whole = |text: String| {
            let digits = text.trim_start_matches('-');
            Number::Finite(digits.len() < text.len(), digits.to_owned(), 0)
        };
        Some(match value {
            Value::Bool(bool) => whole(i64::from(*bool).to_string()),
            Value::Int(int) => whole(int.to_string()),
            Value::BigInt(digits) => whole(digits.clone()),
            Value::Float(float) if float.is_nan() => Number::Nan,
            Value::Float(f64::INFINITY) => Number::Infinity,
            Value::Float(f64::NEG_INFINITY) => Number::NegativeInfinity,
            Value::Float(float) => {
                let digits = format!("{:.0}", float.abs().trunc());
                Number::Finite(*float < 0.0, digits, float.abs().fract().to_bits())
            }
            _ => return None,
        })
    }

    fn compare(&self, other: &Number) -> Ordering {
        let rank = |number: &Number| match number {
            Number::NegativeInfinity => 0,
            Number::Finite(true, ..) => 1,
            Number::Finite(false, ..) => 2,
            Number::Infinity => 3,
            Number::Nan => 4,
        };
        match (self, other) {
            (Number::Finite(negative, one, part), Number::Finite(sign, other, other_part))
                if negative == sign =>
            {
                let size = (one.len(), one, part).cmp(&(other.len(), other, other_part));
                if *negative { size.reverse() } else { size }
            }
            _ => rank(self).cmp(&rank(other)),
        }
    }
}

/// A dict while it is filled: a key that is there already keeps its place and gets the new value,
/// and `1`, `1.0` and `True` are one key.
#[derive(Default)]
pub(crate) struct Dict {
    pairs: Vec<(Value, Value)>,
    places: HashMap<Identity, usize>,
}

#[derive(PartialEq, Eq, Hash)]
enum Identity {
    None,
    Number(Number),
    Text(String),
}

impl Dict {
    /// Adds or replaces an entry. Returns false if the key is a list or a dict, which Python
    /// refuses.
    #[must_use]
    pub(crate) fn insert(&mut self, key: Value, value: Value) -> bool {
        let identity = match &key {
            Value::None => Identity::None,
            Value::Str(text) => Identity::Text(text.clone()),
            other => match Number::of(other) {
                Some(number) => Identity::Number(number),
                None => return false,
            },
        };
        let place = *self.places.entry(identity).or_insert(self.pairs.len());
        match self.pairs.get_mut(place) {
            Some(pair) => pair.1 = value,
            None => self.pairs.push((key, value)),
        }
        true
    }

    /// The finished dict.
    pub(crate) fn into_value(self) -> Value {
        Value::Map(self.pairs)
    }
}

/// What Python's `repr` returns for a string; beyond ASCII, what is not a letter or a digit is escaped too.
fn python_str(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_alphanumeric() => out.push(c),
            c => out.push_str(&match u32::from(c) {
                code @ 0..=0xff => format!("\\x{code:02x}"),
                code @ 0..=0xffff => format!("\\u{code:04x}"),
                code => format!("\\U{code:08x}"),
            }),
        }
    }
    out.push(quote);
    out
}

/// What Python's `repr` returns for a float.
pub(crate) fn python_float(float: f64) -> String {
    if float.is_nan() {
        return "nan".to_owned();
    }
    let sign = if float.is_sign_negative() { "-" } else { "" };
    if float.is_infinite() {
        return format!("{sign}inf");
    }
    let mut shortest = format!("{:e}", float.abs());
    // If two shortest strings are equally near, Python chooses the one with an even last digit;
    // Rust does so only for a given number of digits.
    let decimals = shortest.find('e').unwrap_or(1).saturating_sub(2);
    let even = format!("{:.decimals$e}", float.abs());
    if even.parse() == Ok(float.abs()) {
        shortest = even;
    }
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let digits = mantissa.replace('.', "");
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    let whole = usize::try_from(exponent + 1).unwrap_or(0);
    match exponent {
        -4..0 => format!("{sign}0.{}{digits}", zeros(-exponent - 1)),
        0..16 if whole >= digits.len() => {
            format!("{sign}{digits}{}.0", "0".repeat(whole - digits.len()))
        }
        0..16 => format!("{sign}{}.{}", &digits[..whole], &digits[whole..]),
        _ => {
            let direction = if exponent < 0 { '-' } else { '+' };
            format!("{sign}{mantissa}e{direction}{:02}", exponent.abs())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_prints_as_in_python() {
        for (float, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (0.1, "0.1"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (0.00001, "1e-05"),
            (1.5e-7, "1.5e-07"),
            (100_000.0, "100000.0"),
            (123_456_789.123_456_79, "123456789.12345679"),
            (9_007_199_254_740_993.0, "9007199254740992.0"),
            (1e16, "1e+16"),
            (1.25e17, "1.25e+17"),
            (1e22, "1e+22"),
            (5e-324, "5e-324"),
            (1_279_905_908_774_033.2, "1279905908774033.2"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (-f64::NAN, "nan"),
        ] {
            assert_eq!(python_float(float), text);
        }
    }

    #[test]
    fn values_print_as_in_python() {
        let value = Value::map([
            ("it's", Value::List(vec![Value::None, Value::Bool(true), Value::from(1.0)])),
            ("a\n\u{1b}\\", Value::from("both ' and \"")),
            ("\u{e4}\u{202e}", Value::from(7)),
        ]);
        let printed = r#"{"it's": [None, True, 1.0], 'a\n\x1b\\': 'both \' and "', 'ä\u202e': 7}"#;
        assert_eq!(value.repr(), printed);
    }

    #[test]
    fn the_json_notation_loses_nothing() {
        let pair = |key: Value, value: Value| Value::Map(vec![(key, value)]);
        for (value, text) in [
            (Value::Float(f64::INFINITY), r#"{"$float":"inf"}"#),
            (Value::Float(-0.0), "-0.0"),
            (Value::BigInt("-9223372036854775809".into()), r#"{"$int":"-9223372036854775809"}"#),
            (pair(5.into(), Value::None), r#"{"$map":[[5,null]]}"#),
            (pair("$float".into(), "inf".into()), r#"{"$map":[["$float","inf"]]}"#),
            (pair("a".into(), 1.0.into()), r#"{"a":1.0}"#),
            (Value::Map(vec![]), "{}"),
            (Value::Map(vec![("a".into(), 1.into()); 2]), r#"{"$map":[["a",1],["a",1]]}"#),
        ] {
            assert_eq!(value.to_json().to_string(), text);
            assert_eq!(Value::from_json(&value.to_json()), value);
        }
        let nan = Value::from_json(&json!({ "$float": "nan" }));
        assert!(nan.as_f64().is_some_and(f64::is_nan));
        assert_eq!(Value::from_json(&json!(u64::MAX)), Value::BigInt(u64::MAX.to_string()));
    }

    #[test]
    fn what_only_resembles_the_notation_is_a_dict() {
        for json in [json!({"$float": "1"}), json!({"$int": "x"}), json!({"$map": [[1]]})] {
            assert!(matches!(Value::from_json(&json), Value::Map(pairs) if pairs.len() == 1));
        }
    }

    #[test]
    fn numbers_compare_exactly_and_equal_keys_are_one() {
        let big = |digits: &str| Value::BigInt(digits.to_owned());
        let ascending = [
            f64::NEG_INFINITY.into(),
            big("-10000000000000000000001"),
            (-1e22).into(),
            (-2.5).into(),
            (-2.25).into(),
            Value::Bool(false),
            0.5.into(),
            9_007_199_254_740_992.0.into(),
            9_007_199_254_740_993.into(),
            1e22.into(),
            big("10000000000000000000001"),
            f64::INFINITY.into(),
        ];
        for pair in ascending.windows(2) {
            assert_eq!(pair[0].python_cmp(&pair[1]), Some(Ordering::Less), "{pair:?}");
        }
        assert_eq!(Value::from("a").python_cmp(&1.into()), None);

        let mut dict = Dict::default();
        assert!(dict.insert(1.into(), "int".into()));
        assert!(dict.insert((-0.0).into(), "zero".into()));
        assert!(dict.insert(Value::Bool(true), "bool".into()));
        assert!(dict.insert(0.into(), "int".into()));
        assert!(!dict.insert(Value::List(vec![]), Value::None));
        let expected = vec![(1.into(), "bool".into()), ((-0.0).into(), "int".into())];
        assert_eq!(dict.into_value(), Value::Map(expected));
    }
}
