//! Plain data: extracts it from a pickle, and converts between NePS's values and ours.

use super::pickle::{Item, Pickle, Ref};
use super::value::Value;
use trialmill_core::config::Value as ConfigValue;
use trialmill_core::limits::MAX_NEPS_INT_DIGITS;
use trialmill_core::trial::Objective;

/// How deep values may be nested.
const MAX_DEPTH: usize = 64;

pub(super) fn string(from: &Pickle<'_>, at: Ref) -> Option<String> {
    match from.get(at) {
        Item::Str(text) => Some(text.to_string()),
        _ => None,
    }
}

/// A number, including numpy's scalars.
pub(super) fn number(from: &Pickle<'_>, at: Ref) -> Option<f64> {
    match from.get(at) {
        Item::Int(x) => Some(*x as f64),
        Item::BigInt(bytes) => big_int(bytes)?.as_f64(),
        Item::Float(x) => Some(*x),
        Item::Bool(x) => Some(f64::from(*x)),
        Item::Object(_) => numpy_scalar(from, at)?.as_f64(),
        _ => None,
    }
}

pub(super) fn elements(from: &Pickle<'_>, at: Ref) -> Option<Vec<Ref>> {
    match from.get(at) {
        Item::List(list) | Item::Tuple(list) => Some(list.clone()),
        _ => None,
    }
}

/// The value of a numpy scalar, which is pickled as
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
    let order = dtype.state.and_then(|state| string(from, *elements(from, state)?.get(1)?));
    let (Item::Bytes(bytes) | Item::ByteArray(bytes)) = from.get(bytes) else { return None };
    let mut bytes = bytes.to_vec();
    if order.as_deref() == Some(">") {
        bytes.reverse();
    }
    let bytes = &bytes[..];
    Some(match &*kind {
        "u8" => Value::integer(false, &u64::from_le_bytes(bytes.try_into().ok()?).to_string()),
        "u4" => Value::Int(u32::from_le_bytes(bytes.try_into().ok()?).into()),
        "u2" => Value::Int(u16::from_le_bytes(bytes.try_into().ok()?).into()),
        "u1" => Value::Int(u8::from_le_bytes(bytes.try_into().ok()?).into()),
        "i8" => Value::Int(i64::from_le_bytes(bytes.try_into().ok()?)),
        "i4" => Value::Int(i32::from_le_bytes(bytes.try_into().ok()?).into()),
        "i2" => Value::Int(i16::from_le_bytes(bytes.try_into().ok()?).into()),
        "i1" => Value::Int(i8::from_le_bytes(bytes.try_into().ok()?).into()),
        "f8" => Value::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
        "f4" => Value::Float(f32::from_le_bytes(bytes.try_into().ok()?).into()),
        "f2" => Value::Float(half(u16::from_le_bytes(bytes.try_into().ok()?))),
        "b1" => Value::Bool(*bytes.first()? != 0),
        _ => return None,
    })
}

/// The value of a half-precision float (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
    let size = match (exponent, fraction) {
        (0, _) => fraction * 2f64.powi(-14),
        (0x1f, 0.0) => f64::INFINITY,
        (0x1f, _) => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    };
    if bits >> 15 == 1 { -size } else { size }
}

/// The value, if it and everything inside it is plain data.
pub(super) fn plain(from: &Pickle<'_>, at: Ref, depth: usize) -> Option<Value> {
    if depth > MAX_DEPTH {
        return None;
    }
    let inner = |at: &Ref| plain(from, *at, depth + 1);
    Some(match from.get(at) {
        Item::None => Value::None,
        Item::Bool(x) => Value::Bool(*x),
        Item::Int(x) => Value::Int(*x),
        Item::BigInt(bytes) => big_int(bytes)?,
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

/// Converts an integer of any size from little-endian two's complement, exactly. `None` if it is
/// much longer than Python would print.
fn big_int(bytes: &[u8]) -> Option<Value> {
    if bytes.len() > MAX_NEPS_INT_DIGITS / 2 {
        return None;
    }
    let negative = bytes.last().is_some_and(|last| *last >= 0x80);
    let mut size = bytes.to_vec();
    if negative {
        let mut carry = true;
        for byte in &mut size {
            (*byte, carry) = (!*byte).overflowing_add(carry.into());
        }
    }
    // Nine digits at a time, the lowest first.
    let mut groups: Vec<u64> = Vec::new();
    for byte in size.iter().rev() {
        let mut carry = u64::from(*byte);
        for group in &mut groups {
            let next = *group * 256 + carry;
            (*group, carry) = (next % 1_000_000_000, next / 1_000_000_000);
        }
        if carry > 0 {
            groups.push(carry);
        }
    }
    let digits: String = groups.iter().rev().map(|group| format!("{group:09}")).collect();
    if digits.trim_start_matches('0').len() > MAX_NEPS_INT_DIGITS {
        return None;
    }
    Some(Value::integer(negative, &digits))
}

/// The little-endian two's complement of a whole number, from its decimal digits.
pub(super) fn big_int_bytes(digits: &str) -> Vec<u8> {
    let (negative, digits) =
        digits.strip_prefix('-').map_or((false, digits), |digits| (true, digits));
    let mut bytes: Vec<u8> = Vec::new();
    for digit in digits.bytes().map(|digit| u16::from(digit.wrapping_sub(b'0'))) {
        let mut carry = digit;
        for byte in &mut bytes {
            let next = u16::from(*byte) * 10 + carry;
            (*byte, carry) = (next as u8, next >> 8);
        }
        if carry > 0 {
            bytes.push(carry as u8);
        }
    }
    // Room for the sign.
    bytes.push(0);
    if negative {
        let mut carry = true;
        for byte in &mut bytes {
            (*byte, carry) = (!*byte).overflowing_add(carry.into());
        }
    }
    bytes
}

/// Bytes as Python's `repr` shows them.
fn bytes_repr(bytes: &[u8]) -> String {
    format!("b'{}'", bytes.escape_ascii())
}

/// The value, or a plain value that describes it: whatever is not plain data is represented by its
/// class and its content, so that nothing is lost behind a placeholder.
pub(super) fn nearest(from: &Pickle<'_>, at: Ref, depth: usize) -> Value {
    if let Some(value) = plain(from, at, depth) {
        return value;
    }
    if depth > MAX_DEPTH {
        return Value::Str("…".into());
    }
    let inner = |at: &Ref| nearest(from, *at, depth + 1);
    let list = |list: &[Ref]| Value::List(list.iter().map(inner).collect());
    let pairs = |pairs: &[(Ref, Ref)]| {
        Value::Map(pairs.iter().map(|(key, value)| (inner(key), inner(value))).collect())
    };
    match from.get(at) {
        Item::None => Value::None,
        Item::Bool(x) => Value::Bool(*x),
        Item::Int(x) => Value::Int(*x),
        Item::Float(x) => Value::Float(*x),
        Item::Str(text) => Value::Str(text.to_string()),
        // Too long to be printed in decimal, in Python as well.
        Item::BigInt(bytes) => {
            Value::Str(format!("int.from_bytes({}, 'little', signed=True)", bytes_repr(bytes)))
        }
        Item::Bytes(bytes) => Value::Str(bytes_repr(bytes)),
        Item::ByteArray(bytes) => Value::Str(format!("bytearray({})", bytes_repr(bytes))),
        Item::Surrogates(bytes) => {
            Value::Str(bytes.utf8_chunks().fold(String::new(), |mut text, chunk| {
                text.push_str(chunk.valid());
                text.push_str(&chunk.invalid().escape_ascii().to_string());
                text
            }))
        }
        Item::Tuple(items) | Item::List(items) | Item::Set(items) | Item::FrozenSet(items) => {
            list(items)
        }
        Item::Dict(items) => pairs(items),
        Item::Global { module, name } => Value::Str(format!("<{module}.{name}>")),
        Item::Object(object) => numpy_scalar(from, at).unwrap_or_else(|| {
            let class = from.class(at).map(|(module, name)| format!("<{module}.{name}>"));
            let class = Value::Str(class.unwrap_or_else(|| "<object>".into()));
            let mut parts = Vec::new();
            let mut add = |key: &str, value: Value| match value {
                Value::None => {}
                Value::List(items) if items.is_empty() => {}
                Value::Map(items) if items.is_empty() => {}
                value => parts.push((Value::Str(key.into()), value)),
            };
            add("args", inner(&object.args));
            for (key, part) in [("keywords", object.keywords), ("state", object.state)] {
                if let Some(part) = part {
                    add(key, inner(&part));
                }
            }
            add("items", list(&object.items));
            add("pairs", pairs(&object.pairs));
            if parts.is_empty() {
                return class;
            }
            parts.insert(0, (Value::Str("class".into()), class));
            Value::Map(parts)
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
        ConfigValue::BigInt(digits) => {
            Value::integer(digits.starts_with('-'), digits.strip_prefix('-').unwrap_or(digits))
        }
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
        Value::BigInt(digits) => ConfigValue::BigInt(digits.as_str().into()),
        Value::Float(x) => ConfigValue::Float(*x),
        Value::Str(text) => ConfigValue::Str(text.as_str().into()),
        other => ConfigValue::Nested(Box::new(other.to_json())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An integer such as 2^70 in one of NePS's reports became `<bytes>` in every listing and copy.
    #[test]
    fn whole_numbers_of_any_size_keep_their_digits() {
        for (bytes, digits) in [
            (&[0, 0, 0, 0, 0, 0, 0, 0x80, 0][..], "9223372036854775808"),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], "18446744073709551615"),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0x40], "1180591620717411303424"),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0xc0], "-1180591620717411303424"),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0x80], "-2361183241434822606848"),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff], "-9223372036854775809"),
        ] {
            assert_eq!(big_int(bytes), Some(Value::BigInt(digits.into())));
        }
        // And back: it was written as a text.
        let long = ["9".repeat(4_000), format!("-{}", "1".repeat(999))];
        let known = ["9223372036854775808", "-9223372036854775809", "-18446744073709551616"];
        for digits in known.into_iter().chain(long.iter().map(String::as_str)) {
            let bytes = big_int_bytes(digits);
            assert_eq!(big_int(&bytes), Some(Value::BigInt(digits.into())));
        }
        assert_eq!(big_int(&[0xff; 9]), Some(Value::Int(-1)));
        // More digits than Python reads back.
        assert_eq!(big_int(&big_int_bytes(&"9".repeat(MAX_NEPS_INT_DIGITS + 1))), None);
    }

    /// The bytes of numpy's scalars were always read as if the lowest came first, a half was no number, and
    /// an objective of 2^64 - 1 was none. These are numpy's own pickles.
    #[test]
    fn scalars_of_numpy_are_read_in_their_byte_order_and_width() {
        for (order, kind, bytes, value) in [
            ("<", "f8", &[0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0xbf][..], Value::Float(-0.1)),
            (">", "f8", &[0xbf, 0xb9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9a], Value::Float(-0.1)),
            (">", "f4", &[0x3f, 0xc0, 0, 0], Value::Float(1.5)),
            ("<", "f2", &[0x00, 0xc1], Value::Float(-2.5)),
            ("<", "f2", &[0xff, 0x7b], Value::Float(65504.0)),
            (">", "f2", &[0x00, 0x01], Value::Float(5.960_464_477_539_063e-8)),
            ("<", "f2", &[0x00, 0x7c], Value::Float(f64::INFINITY)),
            (">", "i8", &[0x80, 0, 0, 0, 0, 0, 0, 0], Value::Int(i64::MIN)),
            (">", "i4", &[0xff, 0xff, 0xff, 0xf9], Value::Int(-7)),
            (">", "i2", &[0xfe, 0xd4], Value::Int(-300)),
            ("|", "i1", &[0xfb], Value::Int(-5)),
            (">", "u4", &[0xee, 0x6b, 0x28, 0x00], Value::Int(4_000_000_000)),
            ("<", "u8", &[0xff; 8], Value::BigInt("18446744073709551615".into())),
            ("|", "b1", &[1], Value::Bool(true)),
        ] {
            let mut pickle = b"\x80\x04\x8c\x16numpy._core.multiarray\x8c\x06scalar\x93".to_vec();
            pickle.extend(b"\x8c\x05numpy\x8c\x05dtype\x93\x8c\x02");
            pickle.extend(kind.as_bytes());
            pickle.extend(b"\x89\x88\x87R(K\x03\x8c\x01");
            pickle.extend(order.as_bytes());
            pickle.extend(b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tbC");
            pickle.push(bytes.len() as u8);
            pickle.extend(bytes);
            pickle.extend(b"\x86R.");
            let (read, _) = crate::pickle::read(&pickle).unwrap();
            assert_eq!(nearest(&read, read.root(), 0), value, "{order}{kind}");
            assert_eq!(number(&read, read.root()), value.as_f64(), "{order}{kind}");
        }
    }

    /// Every kind of item that is not plain data is represented with its content.
    #[test]
    fn nothing_becomes_a_placeholder() {
        let mut pickle = Pickle::new();
        for (item, shown) in [
            (Item::Bytes(b"a\0".to_vec().into()), "b'a\\x00'"),
            (Item::ByteArray(b"z".to_vec().into()), "bytearray(b'z')"),
            (Item::Surrogates(b"x\xed\xb2\x80".to_vec().into()), "x\\xed\\xb2\\x80"),
            (Item::Global { module: "m".into(), name: "C".into() }, "<m.C>"),
        ] {
            let at = pickle.add(item);
            assert_eq!(nearest(&pickle, at, 0), Value::Str(shown.into()));
        }
        let big = pickle.add(Item::BigInt(vec![1; 5_000].into()));
        assert!(nearest(&pickle, big, 0).as_str().is_some_and(|text| text.contains("from_bytes")));
    }
}
