//! JSON as Python's `json` module writes and reads it: `NaN`, infinities and ints of any size.

use std::fmt::Write;

use thiserror::Error;

use super::value::{Dict, Value, python_float};
use trialmill_core::limits::{MAX_NEPS_DEPTH, MAX_NEPS_INT_DIGITS, MAX_NEPS_TEXT_BYTES};

/// The words of Python's `json`.
const WORDS: [(&str, Value); 6] = [
    ("null", Value::None),
    ("true", Value::Bool(true)),
    ("false", Value::Bool(false)),
    ("NaN", Value::Float(f64::NAN)),
    ("Infinity", Value::Float(f64::INFINITY)),
    ("-Infinity", Value::Float(f64::NEG_INFINITY)),
];

/// Why a string is not JSON that Python's `json.load` would read into plain values.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("not JSON as NePS writes it: {problem}, at byte {byte}; restore the file, or remove it")]
pub(crate) struct JsonError {
    /// The offset of the problem in bytes, from 0.
    pub(crate) byte: usize,
    /// What is wrong there.
    pub(crate) problem: String,
}

/// What `json.dump(value, file)` writes, with its default settings and without a final newline.
pub(crate) fn write(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Str(text) => write_text(out, text),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                write_value(out, item);
            }
            out.push(']');
        }
        Value::Map(pairs) => {
            out.push('{');
            for (index, (key, value)) in pairs.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { ", " });
                match key {
                    Value::Str(text) => write_text(out, text),
                    // Python converts numbers to strings here, and refuses containers.
                    other => write_text(out, &write(other)),
                }
                out.push_str(": ");
                write_value(out, value);
            }
            out.push('}');
        }
        other => out.push_str(&word(other)),
    }
}

/// A scalar that is not a string.
fn word(value: &Value) -> String {
    match value {
        Value::Bool(true) => "true".to_owned(),
        Value::Bool(false) => "false".to_owned(),
        Value::Int(int) => int.to_string(),
        Value::BigInt(digits) => digits.clone(),
        Value::Float(float) if float.is_nan() => "NaN".to_owned(),
        Value::Float(float) if float.is_finite() => python_float(*float),
        Value::Float(float) if *float > 0.0 => "Infinity".to_owned(),
        Value::Float(_) => "-Infinity".to_owned(),
        _ => "null".to_owned(),
    }
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(char),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    // Writing into a string does not fail.
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

/// What `json.load(file)` gives.
///
/// # Errors
/// The string is not JSON, too long, too deep, or contains what plain values cannot hold (a lone
/// surrogate).
pub(crate) fn read(text: &[u8]) -> Result<Value, JsonError> {
    let problem = |byte, problem: String| JsonError { byte, problem };
    if text.len() > MAX_NEPS_TEXT_BYTES {
        return Err(problem(0, format!("it has more than {MAX_NEPS_TEXT_BYTES} bytes")));
    }
    let text = str::from_utf8(text)
        .map_err(|error| problem(error.valid_up_to(), "it is not UTF-8".to_owned()))?;
    let mut reader = Reader { text, place: 0 };
    let value = reader.value(0)?;
    reader.skip_blanks();
    if reader.place < text.len() {
        return reader.fail("something follows the value");
    }
    Ok(value)
}

struct Reader<'text> {
    text: &'text str,
    place: usize,
}

impl<'text> Reader<'text> {
    fn rest(&self) -> &'text str {
        self.text.get(self.place..).unwrap_or_default()
    }

    fn fail<T>(&self, problem: impl Into<String>) -> Result<T, JsonError> {
        Err(JsonError { byte: self.place, problem: problem.into() })
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.place += rest.len() - rest.trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// Consumes a word if it comes next, after whitespace.
    fn take(&mut self, word: &str) -> bool {
        self.skip_blanks();
        let next = self.rest().starts_with(word);
        if next {
            self.place += word.len();
        }
        next
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_NEPS_DEPTH {
            return self.fail(format!("it is nested deeper than {MAX_NEPS_DEPTH}"));
        }
        if self.take("[") {
            return self.list(depth);
        }
        if self.take("{") {
            return self.map(depth);
        }
        if self.rest().starts_with('"') {
            return self.string().map(Value::Str);
        }
        match WORDS.into_iter().find(|(word, _)| self.take(word)) {
            Some((_, value)) => Ok(value),
            None => self.number(),
        }
    }

    fn list(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        if self.take("]") {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take("]") {
                return Ok(Value::List(items));
            }
            if !self.take(",") {
                return self.fail("',' or ']' is missing");
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut dict = Dict::default();
        if self.take("}") {
            return Ok(dict.into_value());
        }
        loop {
            self.skip_blanks();
            let key = self.string()?;
            if !self.take(":") {
                return self.fail("':' is missing");
            }
            let value = self.value(depth + 1)?;
            if !dict.insert(Value::Str(key), value) {
                return self.fail("a key is no string");
            }
            if self.take("}") {
                return Ok(dict.into_value());
            }
            if !self.take(",") {
                return self.fail("',' or '}' is missing");
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.bytes().enumerate().skip(1).find(|&(_, byte)| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let Some(literal) = end.and_then(|(end, _)| rest.get(..=end)) else {
            return self.fail("a string does not end");
        };
        match serde_json::from_str(literal) {
            Ok(text) => {
                self.place += literal.len();
                Ok(text)
            }
            Err(error) => self.fail(format!("not a string ({error})")),
        }
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let rest = self.rest();
        let length = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        let sign = usize::from(rest.starts_with('-'));
        let whole = match length(&rest[sign..]) {
            0 => return self.fail("a value is missing"),
            _ if rest[sign..].starts_with('0') => 1,
            count => count,
        };
        let mut end = sign + whole;
        if let Some(digits) = rest[end..].strip_prefix('.').map(length).filter(|&count| count > 0) {
            end += 1 + digits;
        }
        if let Some(exponent) = rest[end..].strip_prefix(['e', 'E']) {
            let skip = usize::from(exponent.starts_with(['+', '-']));
            let digits = length(&exponent[skip..]);
            end += if digits > 0 { 1 + skip + digits } else { 0 };
        }
        let value = if end > sign + whole {
            Value::Float(rest[..end].parse().unwrap_or(f64::NAN))
        } else if whole > MAX_NEPS_INT_DIGITS {
            return self.fail(format!("an int has more than {MAX_NEPS_INT_DIGITS} digits"));
        } else {
            Value::integer(sign == 1, &rest[sign..end])
        };
        self.place += end;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_python_writes_them() {
        let value = Value::Map(vec![
            ("id".into(), "1_rung_0".into()),
            ("nothing".into(), Value::None),
            ("inf".into(), Value::List(vec![f64::INFINITY.into(), f64::NEG_INFINITY.into()])),
            ("nan".into(), Value::Float(f64::NAN)),
            (5.into(), Value::Map(vec![(Value::Bool(true), 1e-5.into())])),
            ("ä\u{1F600}\"\\\n\u{7f}\0/".into(), Value::BigInt("1".repeat(30))),
            ("empty".into(), Value::List(vec![Value::List(vec![]), Value::Map(vec![])])),
        ]);
        let text =
            r#"{"id": "1_rung_0", "nothing": null, "inf": [Infinity, -Infinity], "nan": NaN, "#
                .to_owned()
                + r#""5": {"true": 1e-05}, "\u00e4\ud83d\ude00\"\\\n\u007f\u0000/": "#
                + r#"111111111111111111111111111111, "empty": [[], {}]}"#;
        assert_eq!(write(&value), text);
        assert_eq!(write(&read(text.as_bytes()).unwrap()), text);
    }

    #[test]
    fn numbers_are_read_as_python_reads_them() {
        for (text, value) in [
            ("-0", Value::Int(0)),
            ("-0.0", Value::Float(-0.0)),
            ("9223372036854775807", Value::Int(i64::MAX)),
            ("9223372036854775808", Value::BigInt("9223372036854775808".into())),
            (" 1e3\r\n", Value::Float(1000.0)),
            ("1E400", Value::Float(f64::INFINITY)),
            ("2.5e-1", Value::Float(0.25)),
        ] {
            assert_eq!(read(text.as_bytes()), Ok(value), "{text}");
        }
    }

    #[test]
    fn the_last_of_two_equal_keys_wins() {
        let expected = Value::map([("a", 3.into()), ("b", 2.into())]);
        assert_eq!(read(br#"{"a": 1, "b": 2, "a": 3}"#), Ok(expected));
    }

    #[test]
    fn what_python_refuses_is_refused_with_the_byte() {
        let deep = "[".repeat(100_000);
        let digits = "1".repeat(5_000);
        for (text, byte) in [
            ("", 0),
            ("  ", 2),
            ("01", 1),
            ("1.", 1),
            ("+1", 0),
            ("--1", 0),
            ("[1,]", 3),
            ("{\"a\" 1}", 5),
            ("{1: 2}", 1),
            ("{} {}", 3),
            ("\"a", 0),
            ("\"\n\"", 0),
            (r#""\ud800""#, 0),
            (r#""\x""#, 0),
            ("\u{feff}1", 0),
            ("nan", 0),
            ("é", 0),
            (&deep, MAX_NEPS_DEPTH + 1),
            (&digits, 0),
        ] {
            assert_eq!(read(text.as_bytes()).unwrap_err().byte, byte, "{text:.20}");
        }
        assert_eq!(read(b"\"\xff\"").unwrap_err().byte, 1);
        assert!(read(&vec![b' '; MAX_NEPS_TEXT_BYTES + 1]).is_err());
    }
}
