//! Reads study files in YAML, using the core schema of YAML 1.2.
//!
//! In it `no`, `yes`, `on`, `off`, `y` and `n` are strings, `010` is ten, and `1e-5` is a number.
//! PyYAML, which NePS users know, reads these differently (YAML 1.1); the table in the tests lists
//! every difference. Two things are as in YAML 1.1, because nobody means anything else by them:
//! `1_000` and `0b11` are numbers, and `<<` merges a mapping. A list that has `true` or `false`
//! next to one of those words unquoted is refused, because its author may have meant either.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, StrInput, Tag};
use serde_json::{Map, Value as Json};
use trialmill_core::notation;

/// How deep values may be nested, and how many there may be once all aliases are expanded.
const MAX_DEPTH: usize = 64;
const MAX_NODES: usize = 1_000_000;

/// The prefix of YAML's own tags.
const YAML_TAGS: &str = "tag:yaml.org,2002:";

/// A document, and the lines of its keys, such as `seed` and `space/lr`.
pub(crate) struct Document {
    pub(crate) json: Json,
    pub(crate) lines: HashMap<String, usize>,
}

/// Reads a document; its values are in our notation ([`trialmill_core::notation`]).
///
/// # Errors
/// It is not YAML, repeats a key, or is ambiguous; the message names the line.
pub(crate) fn read(text: &str) -> Result<Document, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut options = Options::default();
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    let lines = HashMap::new();
    Reader { parser, anchors: HashMap::new(), lines, path: Vec::new(), nodes: 0 }.document()
}

#[derive(Clone)]
struct Node {
    json: Json,
    /// How it is written, if it is a scalar without quotes.
    bare: Option<String>,
    /// How many nodes it consists of, aliases expanded.
    nodes: usize,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    anchors: HashMap<usize, Node>,
    lines: HashMap<String, usize>,
    path: Vec<String>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn document(mut self) -> Result<Document, String> {
        let mut found = None;
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentEnd, _) => {}
                (Event::DocumentStart(..), line) if found.is_some() => {
                    return Err(format!("line {line}: a second document starts"));
                }
                (Event::DocumentStart(..), _) => {
                    let event = self.next()?;
                    found = Some(self.node(event, 0)?.json);
                }
                _ => {
                    return Ok(Document { json: found.unwrap_or(Json::Null), lines: self.lines });
                }
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'a>, usize), String> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.tag_start().unwrap_or(span.start).line())),
            Some(Err(error)) => {
                let (line, column) = (error.marker().line(), error.marker().col() + 1);
                Err(format!("line {line}, column {column}: it is not YAML: {}", error.info()))
            }
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn node(&mut self, (event, line): (Event<'a>, usize), depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(format!("line {line}: values are nested more than {MAX_DEPTH} deep"));
        }
        let before = self.nodes;
        self.nodes += 1;
        let (anchor, mut node) = match event {
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(format!("line {line}: an alias stands within what it names"));
                };
                self.nodes = self.nodes.saturating_add(node.nodes);
                (0, node)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let json = scalar(&text, style, tag.as_deref())
                    .map_err(|problem| format!("line {line}: {problem}"))?;
                let is_bare = style == ScalarStyle::Plain;
                (anchor, Node { json, bare: is_bare.then(|| text.to_string()), nodes: 0 })
            }
            Event::SequenceStart(_, anchor, tag) => {
                container(tag.as_deref(), "seq", line)?;
                (anchor, self.list(line, depth)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                container(tag.as_deref(), "map", line)?;
                (anchor, self.map(depth)?)
            }
            other => return Err(format!("line {line}: unexpected {other:?}")),
        };
        if self.nodes > MAX_NODES {
            return Err(format!("line {line}: there are more than {MAX_NODES} values"));
        }
        node.nodes = self.nodes - before;
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, line: usize, depth: usize) -> Result<Node, String> {
        let mut items = Vec::new();
        let (mut flag, mut word) = (None, None);
        loop {
            let event = self.next()?;
            if matches!(event.0, Event::SequenceEnd) {
                break;
            }
            let node = self.node(event, depth + 1)?;
            match (&node.json, node.bare) {
                (Json::Bool(_), Some(bare)) => flag = flag.or(Some(bare)),
                (Json::String(text), Some(bare)) if is_flag_in_yaml_1_1(text) => {
                    word = word.or(Some(bare));
                }
                _ => {}
            }
            items.push(node.json);
        }
        if let (Some(flag), Some(word)) = (flag, word) {
            return Err(format!(
                "line {line}: the list has {flag} and {word}: is {word} a text here, or true or \
                 false? Write '{word}' in quotes, or true or false"
            ));
        }
        Ok(Node { json: Json::Array(items), bare: None, nodes: 0 })
    }

    fn map(&mut self, depth: usize) -> Result<Node, String> {
        let (mut own, mut merged) = (Map::new(), Vec::new());
        loop {
            let (event, line) = self.next()?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let key = self.node((event, line), depth + 1)?;
            let name = match (key.bare, key.json) {
                // Even if it would be a number or `null` as a value: a parameter may be named `1`.
                (Some(bare), _) => bare,
                (None, Json::String(text)) => text,
                _ => return Err(format!("line {line}: a key is a word or a number")),
            };
            self.path.push(name.clone());
            if self.path.len() <= 3 {
                self.lines.entry(self.path.join("/")).or_insert(line);
            }
            let event = self.next()?;
            let value = self.node(event, depth + 1)?.json;
            self.path.pop();
            match value {
                value if name == "<<" => merged.push((line, value)),
                _ if own.contains_key(&name) => {
                    return Err(format!(
                        "line {line}: the key '{name}' stands there twice; write it once"
                    ));
                }
                value => drop(own.insert(name, value)),
            }
        }
        for (line, value) in merged {
            let list = match value {
                Json::Array(list) => list,
                one => vec![one],
            };
            for merged in list {
                let merged = notation::as_object(&merged)
                    .ok_or_else(|| format!("line {line}: only a mapping can be merged with <<"))?;
                for (name, value) in merged {
                    own.entry(name).or_insert(value);
                }
            }
        }
        Ok(Node { json: notation::object(own), bare: None, nodes: 0 })
    }
}

fn container(tag: Option<&Tag>, name: &str, line: usize) -> Result<(), String> {
    match tag.map(full_name).as_deref() {
        None | Some("!") => Ok(()),
        Some(tag) if tag.strip_prefix(YAML_TAGS) == Some(name) => Ok(()),
        Some(tag) => Err(format!("line {line}: {}", unknown_tag(tag))),
    }
}

fn full_name(tag: &Tag) -> String {
    format!("{}{}", tag.handle(), tag.suffix())
}

fn unknown_tag(tag: &str) -> String {
    format!("the tag {tag} means nothing here; write a plain value")
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Json, String> {
    let string = || Json::String(text.into());
    match tag.map(full_name).as_deref() {
        None if style == ScalarStyle::Plain => plain(text),
        None | Some("!") => Ok(string()),
        Some(tag) => {
            let json = plain(text)?;
            match (tag.strip_prefix(YAML_TAGS), &json) {
                (Some("str"), _) => Ok(string()),
                (Some("null"), Json::Null) | (Some("bool"), Json::Bool(_)) => Ok(json),
                (Some("int"), json) if notation::digits(json).is_some() => Ok(json.clone()),
                (Some("float"), json) if notation::as_f64(json).is_some() => {
                    Ok(notation::real(notation::as_f64(json).unwrap_or(f64::NAN)))
                }
                (Some("null" | "bool" | "int" | "float"), _) => {
                    Err(format!("'{text}' is not what its tag {tag} says"))
                }
                _ => Err(unknown_tag(tag)),
            }
        }
    }
}

/// The value of a scalar without quotes.
fn plain(text: &str) -> Result<Json, String> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Json::Null,
        "true" | "True" | "TRUE" => Json::Bool(true),
        "false" | "False" | "FALSE" => Json::Bool(false),
        ".nan" | ".NaN" | ".NAN" => notation::real(f64::NAN),
        _ => match number(text)? {
            Some(number) => number,
            None => Json::String(text.into()),
        },
    })
}

fn number(text: &str) -> Result<Option<Json>, String> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let negative = text.starts_with('-');
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        let inf = if negative { f64::NEG_INFINITY } else { f64::INFINITY };
        return Ok(Some(notation::real(inf)));
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = unsigned.strip_prefix(prefix).map(|digits| digits.replace('_', ""))
            && !digits.is_empty()
            && digits.chars().all(|c| c.is_digit(radix))
        {
            let number = u128::from_str_radix(&digits, radix)
                .map_err(|_| format!("the number {text} is too long; write it in decimal"))?;
            return Ok(Some(notation::whole(&format!(
                "{}{number}",
                if negative { "-" } else { "" }
            ))));
        }
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        || unsigned.contains(|c: char| !c.is_ascii_digit() && !"._eE+-".contains(c))
        || unsigned.ends_with('_')
    {
        return Ok(None);
    }
    let plain = text.replace('_', "");
    let digits = plain.trim_start_matches(['-', '+']);
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Some(notation::whole(&plain)));
    }
    match plain.parse::<f64>() {
        // Rust reads every float of YAML 1.2, and from these characters nothing else.
        Ok(number) if number.is_finite() => Ok(Some(notation::real(number))),
        Ok(_) => Err(format!("{text} is more than a number can be; infinity is .inf")),
        Err(_) => Ok(None),
    }
}

/// Whether a word is true or false in YAML 1.1.
fn is_flag_in_yaml_1_1(word: &str) -> bool {
    ["y", "n", "yes", "no", "on", "off"].contains(&&*word.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str) -> Json {
        read(&format!("v: {text}")).unwrap().json["v"].clone()
    }

    /// `[x, y, z]` reached the command as x, true, z, and `010` to `020` was a float range. Each
    /// line has a scalar, its value here, and who reads it differently.
    #[test]
    fn each_scalar_is_what_the_core_schema_of_yaml_1_2_says() {
        let float = |text: &str| json!({"$float": text});
        for (text, here, others) in [
            // The same for all of them.
            ("3", json!(3), ""),
            ("-3", json!(-3), ""),
            ("+3", json!(3), ""),
            ("0", json!(0), ""),
            ("0.5", json!(0.5), ""),
            (".5", json!(0.5), ""),
            ("1.", json!(1.0), ""),
            ("-0.0", json!(-0.0), ""),
            ("1.5e+3", json!(1500.0), ""),
            (".inf", float("inf"), ""),
            ("-.INF", float("-inf"), ""),
            (".nan", float("NaN"), ""),
            ("true", json!(true), ""),
            ("FALSE", json!(false), ""),
            ("~", json!(null), ""),
            ("", json!(null), ""),
            ("Null", json!(null), ""),
            ("0x1F", json!(31), ""),
            ("x", json!("x"), ""),
            ("y", json!("y"), ""),
            ("N", json!("N"), ""),
            ("nan", json!("nan"), ""),
            ("1.2.3", json!("1.2.3"), ""),
            ("-", json!([null]), "a list"),
            ("--", json!("--"), ""),
            ("1e", json!("1e"), ""),
            ("e5", json!("e5"), ""),
            (".", json!("."), ""),
            ("_1", json!("_1"), ""),
            ("'3'", json!("3"), ""),
            ("\"no\"", json!("no"), ""),
            ("9223372036854775808", json!(9_223_372_036_854_775_808u64), ""),
            ("18446744073709551616", json!({"$int": "18446744073709551616"}), ""),
            ("!!str 5", json!("5"), ""),
            ("!!float 5", json!(5.0), ""),
            // Different in PyYAML, which reads YAML 1.1 in its own way.
            ("no", json!("no"), "PyYAML: false"),
            ("Yes", json!("Yes"), "PyYAML: true"),
            ("on", json!("on"), "PyYAML: true"),
            ("OFF", json!("OFF"), "PyYAML: false"),
            ("1e5", json!(1e5), "PyYAML: a string"),
            ("1e-5", json!(1e-5), "PyYAML: a string"),
            ("1.5e3", json!(1500.0), "PyYAML: a string"),
            ("010", json!(10), "PyYAML: 8"),
            ("008", json!(8), "PyYAML: a string"),
            ("0o17", json!(15), "PyYAML: a string"),
            ("1:30", json!("1:30"), "PyYAML: 90"),
            ("2001-01-01", json!("2001-01-01"), "PyYAML: a date"),
            // Different in YAML 1.2.
            ("1_000", json!(1000), "YAML 1.2: a string"),
            ("0b11", json!(3), "YAML 1.2: a string"),
        ] {
            if text != "-" {
                assert_eq!(value(text), here, "{text} ({others})");
            }
        }
    }

    #[test]
    fn flags_and_words_that_may_be_flags_are_not_mixed() {
        let problem = read("a: 1\nb: [true, no]").map(|found| found.json).unwrap_err();
        assert!(problem.contains("line 2") && problem.contains("true and no"), "{problem}");
        assert!(read("[False, y]").is_err());
        assert_eq!(value("[true, 'no']"), json!([true, "no"]));
        assert_eq!(value("[no, se, dk]"), json!(["no", "se", "dk"]));
        assert_eq!(value("[no, yes, on]"), json!(["no", "yes", "on"]));
    }

    #[test]
    fn keys_are_as_they_are_written_and_stand_there_once() {
        let found = read("y: 1\n1: 2\nno: 3\na: {b: &x {c: 1}, d: *x}\ne: {<<: *x, f: 2}").unwrap();
        let expected = json!({"y": 1, "1": 2, "no": 3, "a": {"b": {"c": 1}, "d": {"c": 1}}, "e": {"f": 2, "c": 1}});
        assert_eq!(found.json, expected);
        assert_eq!((found.lines["no"], found.lines["a/d"]), (3, 4));
        for text in ["a: 1\na: 2", "{a: 1, 'a': 1}", "b: {1: 1, \"1\": 2}"] {
            assert!(read(text).map(|found| found.json).unwrap_err().contains("twice"), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        let bomb = format!(
            "a: &a [{}]\nb: &b [{}]\nc: &c [{}]\nd: [{}]",
            vec!["x"; 100].join(","),
            vec!["*a"; 100].join(","),
            vec!["*b"; 100].join(","),
            vec!["*c"; 100].join(",")
        );
        for text in [
            "a: [",
            "a: !!python/object:os.system x",
            "a: !!int x",
            "a: 1e400",
            "a: 1\n---\nb: 2",
            &bomb,
            &"[".repeat(5_000),
            "<<: 3",
            "? [1]\n: 2",
        ] {
            let problem = read(text).map(|found| found.json).unwrap_err();
            assert!(problem.contains("line "), "{problem}");
        }
        // What looks like our notation is an ordinary value.
        assert_eq!(value("{$float: inf}"), json!({"$map": [["$float", "inf"]]}));
    }
}
