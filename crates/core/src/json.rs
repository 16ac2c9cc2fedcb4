//! The one reader for all JSON that people and commands write: study files, results, what is told.
//!
//! It differs from JSON where those who write it do: Python's `NaN`, `Infinity` and `-Infinity` are
//! numbers, a byte order mark is skipped, a whole number keeps all its digits. A key that stands there
//! twice is refused, because one of the two was meant. The value is in our [notation](mod@crate::notation).

use serde_json::{Map, Value as Json};

use crate::notation;

/// How deep values may be nested.
const MAX_DEPTH: usize = 120;

/// Reads JSON that somebody wrote.
///
/// # Errors
/// What is wrong, with its line and column.
pub fn read(text: &str) -> Result<Json, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { text, at: 0 };
    let json = reader.value(0).and_then(|json| match reader.peek() {
        None => Ok(json),
        Some(_) => Err("something stands behind the value".into()),
    });
    json.map_err(|mut problem| {
        if reader.rest().is_empty() && !problem.contains("the text ends") {
            problem += ", and the text ends";
        }
        let before = &text[..reader.at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{problem}, at line {line}, column {column}")
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// The next character that is no blank.
    fn peek(&mut self) -> Option<char> {
        let blanks = |c: char| matches!(c, ' ' | '\t' | '\n' | '\r');
        self.at = self.text.len() - self.rest().trim_start_matches(blanks).len();
        self.rest().chars().next()
    }

    fn take(&mut self, word: &str) -> bool {
        self.peek();
        let found = self.rest().starts_with(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        if depth > MAX_DEPTH {
            return Err(format!("values are nested more than {MAX_DEPTH} deep"));
        }
        match self.peek() {
            None => Err("a value is missing, and the text ends".into()),
            Some('{') => self.object(depth),
            Some('[') => self.list(depth),
            Some('"') => self.text().map(Json::String),
            Some('-' | '0'..='9') if !self.rest().starts_with("-I") => self.number(),
            Some(_) => {
                let words = [
                    ("null", Json::Null),
                    ("true", Json::Bool(true)),
                    ("false", Json::Bool(false)),
                    ("NaN", notation::real(f64::NAN)),
                    ("Infinity", notation::real(f64::INFINITY)),
                    ("-Infinity", notation::real(f64::NEG_INFINITY)),
                ];
                let found = words.into_iter().find(|(word, _)| self.take(word));
                found.map(|(_, json)| json).ok_or_else(|| {
                    let found: String = self.rest().chars().take(20).collect();
                    format!("a value is expected, and there is '{}'", found.escape_debug())
                })
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut list = Vec::new();
        if self.take("]") {
            return Ok(Json::Array(list));
        }
        loop {
            list.push(self.value(depth + 1)?);
            if self.take("]") {
                return Ok(Json::Array(list));
            }
            if !self.take(",") {
                return Err("',' or ']' is missing".into());
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        self.at += 1;
        let mut map = Map::new();
        if self.take("}") {
            return Ok(Json::Object(map));
        }
        loop {
            if self.peek() != Some('"') {
                return Err("a key in quotes is expected".into());
            }
            let place = self.at;
            let key = self.text()?;
            if !self.take(":") {
                return Err(format!("':' is missing behind the key '{key}'"));
            }
            let value = self.value(depth + 1)?;
            if map.contains_key(&key) {
                self.at = place;
                return Err(format!("the key '{key}' stands there twice; write it once"));
            }
            map.insert(key, value);
            if self.take("}") {
                return Ok(notation::object(map));
            }
            if !self.take(",") {
                return Err("',' or '}' is missing".into());
            }
        }
    }

    fn text(&mut self) -> Result<String, String> {
        let mut escaped = false;
        let end = self.rest().bytes().enumerate().skip(1).find(|&(_, byte)| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let (end, _) = end.ok_or("a text does not end")?;
        let literal = &self.rest()[..=end];
        let text = serde_json::from_str(literal).map_err(|error| {
            let problem = error.to_string();
            let problem = problem.split(" at line").next().unwrap_or_default().to_string();
            format!("a text is not well formed ({problem})")
        })?;
        self.at += literal.len();
        Ok(text)
    }

    fn number(&mut self) -> Result<Json, String> {
        let is_part = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
        let end = self.rest().find(|c| !is_part(c)).unwrap_or(self.rest().len());
        let text = &self.rest()[..end];
        let digits = text.strip_prefix('-').unwrap_or(text);
        let wrong = || format!("'{text}' is not a number");
        let padded = digits.len() > 1 && digits.starts_with('0');
        if digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() && !padded {
            if digits.len() > crate::limits::MAX_NEPS_INT_DIGITS {
                return Err("a whole number has too many digits".into());
            }
            self.at += end;
            // Minus zero is a float, as a whole number there is none.
            return Ok(if text == "-0" { notation::real(-0.0) } else { notation::whole(text) });
        }
        // By the rules of JSON; but one that is too large is infinite, as for Python.
        let number: Result<&serde_json::value::RawValue, _> = serde_json::from_str(text);
        if number.is_err() {
            return Err(wrong());
        }
        let number: f64 = text.parse().map_err(|_| wrong())?;
        self.at += end;
        Ok(notation::real(number))
    }
}

/// The text of a file that people or programs wrote.
///
/// # Errors
/// It is not UTF-8: what it may be, and what to do.
pub fn text(bytes: Vec<u8>) -> Result<String, String> {
    // No text of ours has a NUL among its first letters; every other byte of UTF-16 is one.
    let has_nul = bytes.iter().take(8).any(|byte| *byte == 0);
    let wide = match &bytes[..] {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [_, 0, 0, 0, ..] | [0, 0, 0, _, ..] => Some("UTF-32"),
        _ => has_nul.then_some("UTF-16"),
    };
    match wide {
        Some(wide) => Err(format!("it is in {wide}; save it as UTF-8")),
        None => String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            format!("byte {at} is not UTF-8 (it may be Latin-1); save it as UTF-8")
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::Shown;
    use serde_json::json;

    #[test]
    fn what_json_says_is_read_as_serde_reads_it() {
        for text in [
            "null",
            " [1, -2.5e3, \"a\\n\\u00e4\", true, {}] ",
            "{\"a\": {\"b\": [[]]}}",
            "1e5",
            "0",
            "-1",
            "0.1",
            "1E-7",
            "9223372036854775807",
            "18446744073709551615",
            "\"\\\\\"",
        ] {
            let expected: Json = serde_json::from_str(text).unwrap();
            assert_eq!(read(text), Ok(expected), "{text}");
        }
    }

    /// Of two equal keys the last one won: bounds, seeds, budgets, objectives.
    #[test]
    fn a_key_that_stands_there_twice_is_refused_with_its_place() {
        for text in ["{\"a\": 1, \"a\": 1}", "[{\"b\": {\"a\": 1, \"c\": 2,\n \"a\": 3}}]"] {
            let problem = read(text).unwrap_err();
            assert!(problem.contains("'a' stands there twice"), "{problem}");
        }
        assert!(read("{\"b\": 1,\n \"b\": 2}").unwrap_err().contains("line 2, column 2"));
    }

    /// An id of 30 digits in `info_dict` was 1.2345678901234568e29 afterwards.
    #[test]
    fn digits_numbers_that_are_not_finite_and_a_byte_order_mark_are_kept_in_mind() {
        let long = "123456789012345678901234567890";
        assert_eq!(Shown(&read(long).unwrap()).to_string(), long);
        assert_eq!(read("[NaN, -Infinity]"), Ok(json!([{"$float": "NaN"}, {"$float": "-inf"}])));
        assert_eq!(read("1e400"), Ok(json!({"$float": "inf"})));
        assert_eq!(read("\u{feff}[1]"), Ok(json!([1])));
        // What only looks like our notation.
        assert_eq!(
            Shown(&read("{\"$float\": \"inf\"}").unwrap()).to_string(),
            "{\"$float\":\"inf\"}"
        );
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        let deep = "[".repeat(100_000);
        for text in [
            "",
            " ",
            "[1,]",
            "{\"a\" 1}",
            "{a: 1}",
            "01",
            "-",
            "+1",
            "1.",
            ".5",
            "1e",
            "\"a",
            "[1 2]",
            "{} {}",
            "tru",
            "nan",
            "'a'",
            "\"\\ud800\"",
            "\"\u{1}\"",
            "0x10",
            "1_0",
            &deep,
        ] {
            let problem = read(text).unwrap_err();
            assert!(problem.contains("line 1, column"), "{text:.20}: {problem}");
        }
    }

    #[test]
    fn what_is_not_utf_8_is_named() {
        let wide = |from: &str, big: bool| -> Vec<u8> {
            let bytes = |unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            from.encode_utf16().flat_map(bytes).collect()
        };
        let wider: Vec<u8> = "{}".chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        for (bytes, says) in [
            (wide("\u{feff}x: 1", false), "UTF-16;"),
            (wide("\u{feff}x: 1", true), "UTF-16;"),
            (wide("x: 1", false), "UTF-16;"),
            (wide("x: 1", true), "UTF-16;"),
            (wider, "UTF-32;"),
            (b"caf\xe9".to_vec(), "byte 3 is not UTF-8 (it may be Latin-1)"),
        ] {
            let problem = text(bytes).unwrap_err();
            assert!(problem.contains(says) && problem.ends_with("as UTF-8"), "{problem}");
        }
        assert_eq!(text("\u{feff}caf\u{e9}".into()).as_deref(), Ok("\u{feff}caf\u{e9}"));
        assert_eq!(text(Vec::new()).as_deref(), Ok(""));
    }
}
