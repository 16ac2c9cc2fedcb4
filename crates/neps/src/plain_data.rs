//! Plain data: what a pickle holds of it, and between NePS's values and those of our words.

use super::pickle::{Item, Pickle, Ref};
use super::value::Value;
use trialmill_core::config::Value as ConfigValue;
use trialmill_core::trial::Objective;

/// How deep values may be nested.
const MAX_DEPTH: usize = 64;

pub(super) fn string(from: &Pickle<'_>, at: Ref) -> Option<String> {
    match from.get(at) {
        Item::Str(text) => Some(text.to_string()),
        _ => None,
    }
}

/// A number, also one of numpy's.
pub(super) fn number(from: &Pickle<'_>, at: Ref) -> Option<f64> {
    match from.get(at) {
        Item::Int(x) => Some(*x as f64),
        Item::Float(x) => Some(*x),
        Item::Bool(x) => Some(f64::from(*x)),
        Item::Object(_) => match numpy_scalar(from, at)? {
            Value::Float(x) => Some(x),
            Value::Int(x) => Some(x as f64),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn elements(from: &Pickle<'_>, at: Ref) -> Option<Vec<Ref>> {
    match from.get(at) {
        Item::List(list) | Item::Tuple(list) => Some(list.clone()),
        _ => None,
    }
}

/// `numpy.core.multiarray.scalar(dtype('f8', ...), b'...')`.
fn numpy_scalar(from: &Pickle<'_>, at: Ref) -> Option<Value> {
    let Item::Object(object) = from.get(at) else { return None };
    let (module, name) = from.class(at)?;
    if name != "scalar" || !module.starts_with("numpy.") {
        return None;
    }
    let [dtype, bytes] = elements(from, object.args)?[..] else { return None };
    let Item::Object(dtype) = from.get(dtype) else { return None };
    let kind = string(from, *elements(from, dtype.args)?.first()?)?;
    let (Item::Bytes(bytes) | Item::ByteArray(bytes)) = from.get(bytes) else { return None };
    match (kind.as_str(), &**bytes) {
        ("f8", bytes) => Some(Value::Float(f64::from_le_bytes(bytes.try_into().ok()?))),
        ("f4", bytes) => Some(Value::Float(f32::from_le_bytes(bytes.try_into().ok()?).into())),
        ("i8", bytes) => Some(Value::Int(i64::from_le_bytes(bytes.try_into().ok()?))),
        ("i4", bytes) => Some(Value::Int(i32::from_le_bytes(bytes.try_into().ok()?).into())),
        ("b1", [byte]) => Some(Value::Bool(*byte != 0)),
        _ => None,
    }
}

/// A value that is plain through and through.
pub(super) fn plain(from: &Pickle<'_>, at: Ref, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let inner = |at: &Ref| plain(from, *at, depth + 1);
    Some(match from.get(at) {
        Item::None => Value::None,
        Item::Bool(x) => Value::Bool(*x),
        Item::Int(x) => Value::Int(*x),
        Item::Float(x) => Value::Float(*x),
        Item::Str(text) => Value::Str(text.to_string()),
        Item::List(list) => Value::List(list.iter().map(inner).collect::<Option<_>>()?),
        Item::Dict(pairs) => {
            let pair = |(key, value): &(Ref, Ref)| Some((inner(key)?, inner(value)?));
            Value::Map(pairs.iter().map(pair).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// The nearest plain value: what is not plain is named.
pub(super) fn nearest(from: &Pickle<'_>, at: Ref, depth: usize) -> Value {
    if let Some(value) = plain(from, at, depth) {
        return value;
    }
    if depth > MAX_DEPTH {
        return Value::Str("…".into());
    }
    let inner = |at: &Ref| nearest(from, *at, depth + 1);
    match from.get(at) {
        Item::Tuple(list) | Item::List(list) | Item::Set(list) | Item::FrozenSet(list) => {
            Value::List(list.iter().map(inner).collect())
        }
        Item::Dict(pairs) => Value::Map(pairs.iter().map(|(k, v)| (inner(k), inner(v))).collect()),
        _ => numpy_scalar(from, at).unwrap_or_else(|| {
            let name = from.class(at).map(|(module, name)| format!("<{module}.{name}>"));
            Value::Str(name.unwrap_or_else(|| "<bytes>".into()))
        }),
    }
}

pub(super) fn of_objective(objective: &Objective) -> Value {
    match objective {
        Objective::One(x) => Value::Float(*x),
        Objective::Many(list) => Value::List(list.iter().map(|x| Value::Float(*x)).collect()),
    }
}

pub(super) fn from_config(value: &ConfigValue) -> Value {
    match value {
        ConfigValue::Null => Value::None,
        ConfigValue::Bool(x) => Value::Bool(*x),
        ConfigValue::Int(x) => Value::Int(*x),
        ConfigValue::Float(x) => Value::Float(*x),
        ConfigValue::Str(text) => Value::Str(text.to_string()),
        ConfigValue::Nested(json) => Value::from_json(json),
    }
}

pub(super) fn to_config(value: &Value) -> ConfigValue {
    match value {
        Value::None => ConfigValue::Null,
        Value::Bool(x) => ConfigValue::Bool(*x),
        Value::Int(x) => ConfigValue::Int(*x),
        Value::Float(x) => ConfigValue::Float(*x),
        Value::Str(text) => ConfigValue::Str(text.as_str().into()),
        other => ConfigValue::Nested(Box::new(other.to_json())),
    }
}
