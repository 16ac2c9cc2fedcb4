//! What a scalar means in YAML 1.1: the implicit resolvers and the constructors of PyYAML's
//! `SafeLoader`.

use super::super::value::Value;
use trialmill_core::limits::MAX_NEPS_INT_DIGITS;

/// The type of a scalar, as PyYAML resolves it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Str,
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    /// `<<`, whose value is merged into the dict.
    Merge,
    /// `=`, the default value: a string if it is a key, refused elsewhere.
    Default,
}

impl Kind {
    /// The kind for one of YAML's own tags.
    pub(super) fn of_tag(name: &str) -> Option<Kind> {
        Some(match name {
            "str" => Kind::Str,
            "null" => Kind::Null,
            "bool" => Kind::Bool,
            "int" => Kind::Int,
            "float" => Kind::Float,
            "timestamp" => Kind::Timestamp,
            "merge" => Kind::Merge,
            "value" => Kind::Default,
            _ => return None,
        })
    }

    /// The name of its tag.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Str => "str",
            Kind::Null => "null",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Float => "float",
            Kind::Timestamp => "timestamp",
            Kind::Merge => "merge",
            Kind::Default => "value",
        }
    }
}

/// The kind of a plain scalar without a tag.
pub(super) fn resolve(text: &str) -> Kind {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Kind::Null,
        "yes" | "Yes" | "YES" | "no" | "No" | "NO" | "true" | "True" | "TRUE" | "false"
        | "False" | "FALSE" | "on" | "On" | "ON" | "off" | "Off" | "OFF" => Kind::Bool,
        "<<" => Kind::Merge,
        "=" => Kind::Default,
        _ if is_float(text) => Kind::Float,
        _ if is_int(text) => Kind::Int,
        _ if is_timestamp(text) => Kind::Timestamp,
        _ => Kind::Str,
    }
}

/// The value of a scalar of this kind; `None` where PyYAML fails.
///
/// A timestamp becomes a string, because no plain value represents a date.
pub(super) fn construct(kind: Kind, text: &str) -> Option<Value> {
    match kind {
        Kind::Str | Kind::Timestamp | Kind::Merge | Kind::Default => Some(Value::from(text)),
        Kind::Null => Some(Value::None),
        Kind::Bool => match text.to_lowercase().as_str() {
            "yes" | "true" | "on" => Some(Value::Bool(true)),
            "no" | "false" | "off" => Some(Value::Bool(false)),
            _ => None,
        },
        Kind::Int => int(text),
        Kind::Float => float(text).map(Value::Float),
    }
}

/// The rest of a string after its longest prefix of bytes that fit.
fn skip(text: &str, fits: impl Fn(u8) -> bool) -> &str {
    let count = text.bytes().take_while(|&byte| fits(byte)).count();
    text.get(count..).unwrap_or_default()
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && skip(text, |byte| byte.is_ascii_digit()).is_empty()
}

/// The rest after `[0-9][0-9_]*`.
fn skip_number(text: &str) -> Option<&str> {
    text.starts_with(|char: char| char.is_ascii_digit())
        .then(|| skip(text, |byte| byte.is_ascii_digit() || byte == b'_'))
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn is_int(text: &str) -> bool {
    let text = unsigned(text);
    let all = |text: &str, fits: fn(u8) -> bool| !text.is_empty() && skip(text, fits).is_empty();
    if let Some(binary) = text.strip_prefix("0b") {
        return all(binary, |byte| matches!(byte, b'0' | b'1' | b'_'));
    }
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return all(hexadecimal, |byte| byte.is_ascii_hexdigit() || byte == b'_');
    }
    if let Some(octal) = text.strip_prefix('0') {
        return octal.is_empty() || all(octal, |byte| matches!(byte, b'0'..=b'7' | b'_'));
    }
    skip_number(text).is_some_and(|rest| rest.is_empty() || skip_sexagesimal(rest) == Some(""))
}

/// The rest after `(:[0-5]?[0-9])+`.
fn skip_sexagesimal(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(part) = rest.strip_prefix(':') {
        let next = skip(part, |byte| byte.is_ascii_digit());
        let digits = part.strip_suffix(next)?;
        if !matches!(digits.as_bytes(), [_] | [b'0'..=b'5', _]) {
            return None;
        }
        rest = next;
    }
    (rest.len() < text.len()).then_some(rest)
}

fn is_float(text: &str) -> bool {
    let numeric = |byte: u8| byte.is_ascii_digit() || byte == b'_';
    let ends = |rest: &str| match rest.strip_prefix(['e', 'E']) {
        Some(exponent) => exponent.strip_prefix(['-', '+']).is_some_and(is_digits),
        None => rest.is_empty(),
    };
    let number = unsigned(text);
    match number {
        ".inf" | ".Inf" | ".INF" => return true,
        ".nan" | ".NaN" | ".NAN" => return number == text,
        _ => {}
    }
    if let Some(fraction) = text.strip_prefix('.') {
        return skip_number(fraction).is_some_and(ends);
    }
    let Some(rest) = skip_number(number) else { return false };
    match (rest.strip_prefix('.'), skip_sexagesimal(rest)) {
        (Some(fraction), _) => ends(skip(fraction, numeric)),
        (None, Some(rest)) => {
            rest.strip_prefix('.').is_some_and(|fraction| skip(fraction, numeric).is_empty())
        }
        (None, None) => false,
    }
}

fn is_timestamp(text: &str) -> bool {
    /// The rest after at least `least` and at most `most` digits.
    fn digits(text: &str, least: usize, most: usize) -> Option<&str> {
        let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        (count >= least).then(|| text.get(count..)).flatten()
    }
    fn time(text: &str) -> Option<&str> {
        let rest = digits(digits(text, 1, 2)?.strip_prefix(':')?, 2, 2)?;
        let rest = digits(rest.strip_prefix(':')?, 2, 2)?;
        let rest = rest.strip_prefix('.').map_or(rest, |rest| skip(rest, |b| b.is_ascii_digit()));
        let blanks = rest.trim_start_matches([' ', '\t']);
        if let Some(offset) = blanks.strip_prefix(['-', '+']) {
            let rest = digits(offset, 1, 2)?;
            return rest.strip_prefix(':').map_or(Some(rest), |minutes| digits(minutes, 2, 2));
        }
        Some(blanks.strip_prefix('Z').unwrap_or(rest))
    }
    fn date(text: &str, least: usize) -> Option<&str> {
        let month = digits(text, 4, 4)?.strip_prefix('-')?;
        digits(digits(month, least, 2)?.strip_prefix('-')?, least, 2)
    }
    fn date_and_time(text: &str) -> Option<&str> {
        let rest = date(text, 1)?;
        let blanks = rest.trim_start_matches([' ', '\t']);
        time(if blanks.len() < rest.len() { blanks } else { rest.strip_prefix(['T', 't'])? })
    }
    date(text, 2) == Some("") || date_and_time(text) == Some("")
}

fn int(text: &str) -> Option<Value> {
    let text = text.replace('_', "");
    let negative = text.starts_with('-');
    let number = unsigned(&text);
    let in_radix = |digits: &str, radix| -> Option<Value> {
        let digits = digits.chars().map(|char| char.to_digit(radix)).collect::<Option<Vec<_>>>();
        let digits = digits.filter(|digits| !digits.is_empty())?;
        decimal(&[], radix, &digits).map(|digits| Value::integer(negative, &digits))
    };
    if let Some(digits) = number.strip_prefix("0b") {
        in_radix(digits, 2)
    } else if let Some(digits) = number.strip_prefix("0x") {
        in_radix(digits, 16)
    } else if number.starts_with('0') && number != "0" {
        in_radix(number, 8)
    } else if let Some((first, rest)) = number.split_once(':') {
        let parts = rest.split(':').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()?;
        let first = first.bytes().map(|byte| byte.wrapping_sub(b'0')).collect::<Vec<_>>();
        let digits = decimal(&first, 60, &parts)?;
        Some(Value::integer(negative, &digits))
    } else {
        let fits = is_digits(number) && number.len() <= MAX_NEPS_INT_DIGITS;
        fits.then(|| Value::integer(negative, number))
    }
}

/// Converts a number to decimal: it begins with the decimal digits `start` and continues with
/// `digits` in `radix`. `None` if the result has more digits than Python would print.
fn decimal(start: &[u8], radix: u32, digits: &[u32]) -> Option<String> {
    let is_valid = start.iter().all(|digit| *digit < 10) && start.len() <= MAX_NEPS_INT_DIGITS;
    let mut reversed: Vec<u32> = start.iter().rev().map(|digit| u32::from(*digit)).collect();
    for digit in digits {
        let mut carry = *digit;
        for place in &mut reversed {
            let sum = *place * radix + carry;
            (*place, carry) = (sum % 10, sum / 10);
        }
        while carry > 0 {
            reversed.push(carry % 10);
            carry /= 10;
        }
        if reversed.len() > MAX_NEPS_INT_DIGITS {
            return None;
        }
    }
    let text = reversed.iter().rev().filter_map(|digit| char::from_digit(*digit, 10)).collect();
    is_valid.then_some(text)
}

fn float(text: &str) -> Option<f64> {
    let text = text.replace('_', "").to_lowercase();
    let sign = if text.starts_with('-') { -1.0 } else { 1.0 };
    let number = unsigned(&text);
    match number {
        ".inf" => return Some(sign * f64::INFINITY),
        ".nan" => return Some(f64::NAN),
        _ => {}
    }
    let mut base = 1.0;
    let mut sum = 0.0;
    for part in number.rsplit(':') {
        // Added in the same order as in PyYAML, so that the rounding is the same.
        sum += part.parse::<f64>().ok()? * base;
        base *= 60.0;
    }
    Some(sign * sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_mean_what_they_mean_in_yaml_1_1() {
        let big = |digits: &str| Value::BigInt(digits.to_owned());
        for (text, value) in [
            ("1e5", "1e5".into()),
            ("1.e3", "1.e3".into()),
            ("1.e+3", 1000.0.into()),
            ("1.0e5", "1.0e5".into()),
            ("1.0e-05", 1e-5.into()),
            ("1.", 1.0.into()),
            (".5", 0.5.into()),
            ("-.5", "-.5".into()),
            ("._", "._".into()),
            ("1_0.5_0", 10.5.into()),
            ("0o7", "0o7".into()),
            ("010", 8.into()),
            ("08", "08".into()),
            ("-0x1F", (-31).into()),
            ("0b1_1", 3.into()),
            ("0", 0.into()),
            ("00", 0.into()),
            ("+1_000", 1000.into()),
            ("1_", 1.into()),
            ("_1", "_1".into()),
            ("1:30", 90.into()),
            ("-1:30:05", (-5405).into()),
            ("1:60", "1:60".into()),
            ("0:30", "0:30".into()),
            ("1:30.5", 90.5.into()),
            ("0:30.", 30.0.into()),
            ("-.Inf", f64::NEG_INFINITY.into()),
            ("+.INF", f64::INFINITY.into()),
            ("-.nan", "-.nan".into()),
            ("y", "y".into()),
            ("oN", "oN".into()),
            ("OFF", Value::Bool(false)),
            ("Yes", Value::Bool(true)),
            ("", Value::None),
            ("~", Value::None),
            ("nULL", "nULL".into()),
            ("9223372036854775808", big("9223372036854775808")),
            ("-0x8000000000000000", i64::MIN.into()),
            ("0xFFFFFFFFFFFFFFFFFF", big("4722366482869645213695")),
            ("2024-01-01", "2024-01-01".into()),
        ] {
            assert_eq!(construct(resolve(text), text), Some(value), "{text}");
        }
        for text in [
            "2024-01-01",
            "2024-1-1 1:02:03",
            "2001-12-14t21:59:43.10-05:00",
            "2001-12-14 21:59:43 Z",
        ] {
            assert_eq!(resolve(text), Kind::Timestamp, "{text}");
        }
        for text in [
            "2024-1-1",
            "2024-01-01 ",
            "2024-01-01T1:2:3",
            "20240-01-01",
            "2024-01-01T01:02:03 +1:5",
        ] {
            assert_eq!(resolve(text), Kind::Str, "{text}");
        }
    }

    #[test]
    fn what_pyyaml_resolves_but_cannot_construct_is_nothing() {
        let long = "1".repeat(4_301);
        for text in ["0x_", "0b_", &long] {
            assert_eq!(resolve(text), Kind::Int);
            assert_eq!(construct(Kind::Int, text), None, "{text:.20}");
        }
        assert_eq!(construct(Kind::Int, "0_"), Some(Value::Int(0)));
        assert_eq!(construct(Kind::Int, "x:1"), None);
        assert_eq!(construct(Kind::Int, ""), None);
        assert_eq!(construct(Kind::Float, "x"), None);
        assert_eq!(construct(Kind::Bool, "y"), None);
    }
}
