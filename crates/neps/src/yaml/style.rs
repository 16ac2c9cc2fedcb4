//! How a scalar is written: the form of those that are not strings, and the quotes of strings.

use super::super::value::{Value, python_float};
use super::scalar::{Kind, resolve};

/// How a scalar that is not a string is written.
pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Bool(true) => "true".to_owned(),
        Value::Bool(false) => "false".to_owned(),
        Value::Int(int) => int.to_string(),
        Value::BigInt(digits) => digits.clone(),
        Value::Float(float) if float.is_nan() => ".nan".to_owned(),
        Value::Float(float) if float.is_finite() => {
            let text = python_float(*float);
            // Without a dot, PyYAML would read it as a string (YAML 1.1).
            if text.contains('.') { text } else { text.replace('e', ".0e") }
        }
        Value::Float(float) if *float > 0.0 => ".inf".to_owned(),
        Value::Float(_) => "-.inf".to_owned(),
        _ => "null".to_owned(),
    }
}

/// The escape sequence of a character in double quotes.
pub(super) fn escaped(char: char) -> String {
    let code = u32::from(char);
    let letter = match char {
        '\0' => '0',
        '\u{7}' => 'a',
        '\u{8}' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\u{b}' => 'v',
        '\u{c}' => 'f',
        '\r' => 'r',
        '\u{1b}' => 'e',
        '"' | '\\' => char,
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ if code <= 0xFF => return format!("\\x{code:02X}"),
        _ if code <= 0xFFFF => return format!("\\u{code:04X}"),
        _ => return format!("\\U{code:08X}"),
    };
    format!("\\{letter}")
}

pub(super) fn is_break(char: char) -> bool {
    matches!(char, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank(char: char) -> bool {
    is_break(char) || matches!(char, ' ' | '\t' | '\0')
}

/// The quotes of a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
}

impl Style {
    /// The simplest style in which PyYAML writes the string so that it is read back unchanged.
    pub(super) fn of(text: &str, is_key: bool) -> Style {
        let multiline = text.contains(is_break);
        let special = text.contains(|char| char != '\n' && !matches!(char, ' '..='~'));
        if special || text.contains(" \n") || text.contains("\n ") {
            return Style::DoubleQuoted;
        }
        if is_key && multiline {
            return Style::DoubleQuoted;
        }
        let at_the_edge = text.starts_with([' ', '\n']) || text.ends_with([' ', '\n']);
        if multiline || at_the_edge || has_indicators(text) || resolve(text) != Kind::Str {
            return Style::SingleQuoted;
        }
        Style::Plain
    }
}

/// Whether the string would not be read as a plain scalar.
fn has_indicators(text: &str) -> bool {
    let mut chars = text.chars();
    let first = chars.next();
    let blank_follows = chars.next().is_none_or(is_blank);
    let leading = match first {
        Some('?' | ':' | '-') => blank_follows,
        Some(first) => "#,[]{}&*!|>'\"%@`".contains(first),
        None => false,
    };
    let ends_a_key = text.ends_with(':') || text.contains(": ") || text.contains(":\n");
    let starts_a_comment = text.contains(" #") || text.contains("\n#");
    let ends_a_document = text.starts_with("---") || text.starts_with("...");
    leading || ends_a_key || starts_a_comment || ends_a_document
}
