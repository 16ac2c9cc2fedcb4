//! JSON that says all that our values are: the notation of every file that is ours.
//!
//! What JSON lacks is an object with one key that starts with `$`: `{"$float": "inf"}` (also `-inf` and
//! `nan`), `{"$int": "18446744073709551616"}` for whole numbers beyond 64 bits, and `{"$map": [[key,
//! value], …]}` for mappings with other keys than texts, and for those that would look like one of
//! these. So a genuine `{"$float": "inf"}` is escaped when it comes in, and comes out as it was.
//!
//! Whoever is shown a value sees none of this: [`Shown`] has the digits of a number, and the texts
//! `"inf"`, `"-inf"` and `"nan"`, as results have them.

use serde::ser::{Error as _, SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json, json};

/// What an object with one key stands for.
pub(crate) enum Special<'a> {
    Float(f64),
    /// In decimal.
    Int(&'a str),
    Map(&'a [Json]),
}

/// What this object stands for, where it is not just an object.
pub(crate) fn special(object: &Map<String, Json>) -> Option<Special<'_>> {
    let (key, json) = object.iter().next().filter(|_| object.len() == 1)?;
    match (key.as_str(), json) {
        ("$float", Json::String(text)) => match text.as_str() {
            "inf" => Some(Special::Float(f64::INFINITY)),
            "-inf" => Some(Special::Float(f64::NEG_INFINITY)),
            // The journal has the one, NePS's values have the other.
            "nan" | "NaN" => Some(Special::Float(f64::NAN)),
            _ => None,
        },
        ("$int", Json::String(text)) if is_whole(text) => Some(Special::Int(text)),
        ("$map", Json::Array(pairs)) => {
            let is_pair = |pair: &Json| pair.as_array().is_some_and(|pair| pair.len() == 2);
            pairs.iter().all(is_pair).then_some(Special::Map(pairs))
        }
        _ => None,
    }
}

/// Whether a text is a whole number in decimal.
pub(crate) fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// A whole number of any size, kept to the digit. The text is one, with or without a sign.
pub fn whole(text: &str) -> Json {
    let (minus, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let text = if digits == "0" { digits.into() } else { format!("{minus}{digits}") };
    match (text.parse::<i64>(), text.parse::<u64>()) {
        (Ok(int), _) => json!(int),
        (_, Ok(int)) => json!(int),
        _ => json!({ "$int": text }),
    }
}

/// A number that need not be finite.
pub fn real(x: f64) -> Json {
    match x {
        x if x.is_finite() => json!(x),
        x if x.is_nan() => json!({"$float": "NaN"}),
        x => json!({"$float": if x > 0.0 { "inf" } else { "-inf" }}),
    }
}

/// An object of somebody else's, in this notation.
pub fn object(map: Map<String, Json>) -> Json {
    if map.len() == 1 && special(&map).is_some() {
        let pairs: Vec<Json> = map.into_iter().map(|(key, json)| json!([key, json])).collect();
        return json!({ "$map": pairs });
    }
    Json::Object(map)
}

/// JSON of somebody else's, in this notation: what only looks like it is escaped.
pub fn escape(json: Json) -> Json {
    match json {
        Json::Object(map) => object(map.into_iter().map(|(k, v)| (k, escape(v))).collect()),
        Json::Array(list) => list.into_iter().map(escape).collect(),
        other => other,
    }
}

/// The inverse of [`object`], for places where only an object can stand: a space, say.
pub fn as_object(json: &Json) -> Option<Map<String, Json>> {
    let Json::Object(map) = json else { return None };
    let Some(Special::Map(pairs)) = special(map) else { return Some(map.clone()) };
    let pair = |pair: &Json| Some((pair[0].as_str()?.to_string(), pair[1].clone()));
    pairs.iter().map(pair).collect()
}

/// A number in this notation, whole or not, as the nearest that a computer has.
pub fn as_f64(json: &Json) -> Option<f64> {
    match json {
        Json::Number(number) => number.as_f64(),
        Json::Object(map) => match special(map)? {
            Special::Float(x) => Some(x),
            Special::Int(digits) => digits.parse().ok(),
            Special::Map(_) => None,
        },
        _ => None,
    }
}

/// A whole number in this notation, if it is one: its digits.
pub fn digits(json: &Json) -> Option<String> {
    match json {
        Json::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        Json::Object(map) => match special(map)? {
            Special::Int(digits) => Some(digits.to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// A value as people and programs are shown it.
pub struct Shown<'a>(pub &'a Json);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| std::fmt::Error)?)
    }
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Json::Array(list) => {
                let mut seq = to.serialize_seq(Some(list.len()))?;
                for item in list {
                    seq.serialize_element(&Shown(item))?;
                }
                seq.end()
            }
            Json::Object(map) => match special(map) {
                Some(Special::Float(x)) => real_text(x, to),
                Some(Special::Int(digits)) => raw(digits, to),
                Some(Special::Map(pairs)) => {
                    let mut map = to.serialize_map(Some(pairs.len()))?;
                    for pair in pairs {
                        match &pair[0] {
                            Json::String(key) => map.serialize_entry(key, &Shown(&pair[1]))?,
                            key => {
                                map.serialize_entry(&Shown(key).to_string(), &Shown(&pair[1]))?;
                            }
                        }
                    }
                    map.end()
                }
                None => ShownMap(map).serialize(to),
            },
            other => other.serialize(to),
        }
    }
}

/// The values of an object, each as it is shown; the object itself stands for nothing else.
#[derive(Debug, Clone, Copy)]
pub struct ShownMap<'a>(pub &'a Map<String, Json>);

impl Serialize for ShownMap<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (key, json) in self.0 {
            map.serialize_entry(key, &Shown(json))?;
        }
        map.end()
    }
}

/// A number that need not be finite, as results have it.
pub(crate) fn real_text<S: Serializer>(x: f64, to: S) -> Result<S::Ok, S::Error> {
    match x {
        x if x.is_finite() => to.serialize_f64(x),
        x if x.is_nan() => to.serialize_str("nan"),
        x => to.serialize_str(if x > 0.0 { "inf" } else { "-inf" }),
    }
}

/// As [`real_text`], for a field.
// serde passes a field by reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
pub(crate) fn real_text_of<S: Serializer>(x: &f64, to: S) -> Result<S::Ok, S::Error> {
    real_text(*x, to)
}

/// Digits as the number that they are, however many.
pub(crate) fn raw<S: Serializer>(digits: &str, to: S) -> Result<S::Ok, S::Error> {
    let raw = RawValue::from_string(digits.to_string()).map_err(S::Error::custom)?;
    raw.serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A genuine choice `{"$float": "inf"}` was handed out as that once, and as `inf` by the next
    /// process: the escape was not escaped.
    #[test]
    fn what_only_looks_like_the_notation_is_shown_as_it_came() {
        for genuine in [
            json!({"$float": "inf"}),
            json!({"$int": "5"}),
            json!({"$map": [["a", 1]]}),
            json!([{"$float": "nan"}, {"a": {"$int": "-7"}}]),
            json!({"$float": "1.5"}),
            json!({"$float": "inf", "b": 1}),
        ] {
            let stored = escape(genuine.clone());
            assert_eq!(Shown(&stored).to_string(), genuine.to_string());
        }
    }

    /// 18446744073709551616 was stored as 1.8446744073709552e19, without a word.
    #[test]
    fn whole_numbers_keep_their_digits() {
        for text in [
            "0",
            "-1",
            "9007199254740993",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1180591620717411303424",
            "-9223372036854775809",
        ] {
            let stored = whole(text);
            assert_eq!(digits(&stored).as_deref(), Some(text));
            assert_eq!(Shown(&stored).to_string(), text);
        }
        assert_eq!((whole("-0"), whole("+007")), (json!(0), json!(7)));
    }
}
