//! Writes plain values as libyaml 0.2.5 and PyYAML's own emitter do.
//!
//! The decisions (which style, where to break a line, when a key needs `? `) follow theirs step by
//! step, because the bytes must be the same.

use super::super::value::Value;
use super::style::{Style, escaped, is_break, word};

/// The column after which a string is folded at the next space.
const BEST_WIDTH: usize = 80;
/// How many columns one level is indented by.
const BEST_INDENT: usize = 2;
/// The longest key without `? `; the two dumpers measure its length differently.
const SIMPLE_KEY_LENGTH: usize = 128;

/// PyYAML's dumpers, which write different bytes for the same value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dumper {
    /// `yaml.CDumper`, of NePS 0.13 and later.
    C,
    /// `yaml.SafeDumper`, of NePS 0.12.
    Python,
}

/// A whole document, as `yaml.dump` returns it.
pub(super) fn document(value: &Value, dumper: Dumper, sort_keys: bool) -> String {
    let mut emitter = Emitter {
        out: String::new(),
        column: 0,
        indent: None,
        whitespace: true,
        indention: true,
        dumper,
        sort_keys,
    };
    emitter.node(value, Place::Root);
    emitter.write_indent();
    let plain = match value {
        Value::List(_) | Value::Map(_) => false,
        Value::Str(text) => Style::of(text, false) == Style::Plain,
        _ => true,
    };
    if plain && dumper == Dumper::Python {
        emitter.out.push_str("...\n");
    }
    emitter.out
}

/// Where a node is, as far as that affects how it is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    Item,
    /// A value, or a key after `? `.
    Entry,
    SimpleKey,
}

struct Emitter {
    out: String,
    column: usize,
    indent: Option<usize>,
    /// Whether whitespace was written last, so that the next token needs none before it.
    whitespace: bool,
    /// Whether this line has only indentation and indicators that indent (`-`, `?`, `:`) so far.
    indention: bool,
    dumper: Dumper,
    sort_keys: bool,
}

impl Emitter {
    fn node(&mut self, value: &Value, place: Place) {
        match value {
            Value::List(items) if items.is_empty() => self.write_empty("[", "]"),
            Value::Map(pairs) if pairs.is_empty() => self.write_empty("{", "}"),
            Value::List(items) => self.list(items, place),
            Value::Map(pairs) => self.map(pairs),
            scalar => self.scalar(scalar, place),
        }
    }

    fn write_empty(&mut self, open: &str, close: &str) {
        self.write_indicator(open, true, false);
        // No whitespace between the two.
        self.write_indicator(close, false, false);
    }

    fn list(&mut self, items: &[Value], place: Place) {
        let before = self.indent;
        let under_its_key = place == Place::Entry && !self.indention;
        self.increase_indent(under_its_key);
        for item in items {
            self.write_indent();
            self.write_indicator("-", true, true);
            self.node(item, Place::Item);
        }
        self.indent = before;
    }

    fn map(&mut self, pairs: &[(Value, Value)]) {
        let before = self.indent;
        self.increase_indent(false);
        for (key, value) in self.in_order(pairs) {
            self.write_indent();
            if self.is_simple_key(key) {
                self.node(key, Place::SimpleKey);
                self.write_indicator(":", false, false);
            } else {
                self.write_indicator("?", true, true);
                self.node(key, Place::Entry);
                self.write_indent();
                self.write_indicator(":", true, true);
            }
            self.node(value, Place::Entry);
        }
        self.indent = before;
    }

    fn is_simple_key(&self, key: &Value) -> bool {
        match (self.dumper, key) {
            (_, Value::List(items)) => items.is_empty(),
            (_, Value::Map(pairs)) => pairs.is_empty(),
            (Dumper::C, Value::Str(text)) => {
                text.len() <= SIMPLE_KEY_LENGTH && !text.contains(is_break)
            }
            (Dumper::C, other) => word(other).len() <= SIMPLE_KEY_LENGTH,
            // PyYAML counts characters, and adds the length of the tag `!!str`, although it does
            // not write the tag.
            (Dumper::Python, Value::Str(text)) => {
                let breaks = text.contains(|char| char != '\r' && is_break(char));
                !text.is_empty() && !breaks && text.chars().count() + 5 < SIMPLE_KEY_LENGTH
            }
            (Dumper::Python, other) => word(other).len() + 5 < SIMPLE_KEY_LENGTH,
        }
    }

    /// The entries, sorted if Python can compare all keys with each other.
    fn in_order<'a>(&self, pairs: &'a [(Value, Value)]) -> Vec<&'a (Value, Value)> {
        let mut pairs: Vec<_> = pairs.iter().collect();
        let comparable = |(first, _): &&(Value, Value)| {
            pairs.iter().all(|(key, _)| first.python_cmp(key).is_some())
        };
        if self.sort_keys && pairs.first().is_some_and(comparable) {
            pairs.sort_by(|one, other| one.0.python_cmp(&other.0).unwrap_or_else(|| 0.cmp(&0)));
        }
        pairs
    }

    fn scalar(&mut self, value: &Value, place: Place) {
        let before = self.indent;
        self.indent = Some(before.map_or(BEST_INDENT, |indent| indent + BEST_INDENT));
        let may_break = place != Place::SimpleKey;
        match value {
            Value::Str(text) => match Style::of(text, place == Place::SimpleKey) {
                Style::Plain => self.write_plain(text, may_break),
                Style::SingleQuoted => self.write_single_quoted(text, may_break),
                Style::DoubleQuoted => match self.dumper {
                    Dumper::C => self.write_double_quoted(text, may_break),
                    Dumper::Python => self.write_double_quoted_by_python(text, may_break),
                },
            },
            other => self.write_plain(&word(other), may_break),
        }
        self.indent = before;
    }

    fn increase_indent(&mut self, indentless: bool) {
        self.indent = match self.indent {
            None => Some(0),
            Some(indent) if indentless => Some(indent),
            Some(indent) => Some(indent + BEST_INDENT),
        };
    }

    fn put(&mut self, char: char) {
        self.out.push(char);
        self.column += 1;
    }

    fn put_break(&mut self) {
        self.out.push('\n');
        self.column = 0;
    }

    fn write_indent(&mut self) {
        let indent = self.indent.unwrap_or(0);
        let late = self.column > indent || self.column == indent && !self.whitespace;
        if !self.indention || late {
            self.put_break();
        }
        while self.column < indent {
            self.put(' ');
        }
        self.whitespace = true;
        self.indention = true;
    }

    fn write_indicator(&mut self, indicator: &str, need_whitespace: bool, is_indention: bool) {
        if need_whitespace && !self.whitespace {
            self.put(' ');
        }
        indicator.chars().for_each(|char| self.put(char));
        self.whitespace = false;
        self.indention = self.indention && is_indention;
    }

    fn write_plain(&mut self, text: &str, may_break: bool) {
        if !self.whitespace && !text.is_empty() {
            self.put(' ');
        }
        let mut spaces = false;
        let mut chars = text.chars().peekable();
        while let Some(char) = chars.next() {
            let alone = char == ' ' && !spaces && chars.peek() != Some(&' ');
            if alone && may_break && self.column > BEST_WIDTH {
                self.write_indent();
            } else {
                self.put(char);
            }
            self.indention &= char == ' ';
            spaces = char == ' ';
        }
        self.whitespace = false;
        self.indention = false;
    }

    fn write_single_quoted(&mut self, text: &str, may_break: bool) {
        self.write_indicator("'", true, false);
        let mut spaces = false;
        let mut breaks = false;
        let mut chars = text.char_indices().peekable();
        while let Some((byte, char)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            match char {
                ' ' => {
                    let alone = !spaces && byte > 0 && next.is_some_and(|next| next != ' ');
                    if alone && may_break && self.column > BEST_WIDTH {
                        self.write_indent();
                    } else {
                        self.put(' ');
                    }
                    spaces = true;
                }
                '\n' => {
                    if !breaks {
                        self.put_break();
                    }
                    self.put_break();
                    self.indention = true;
                    breaks = true;
                }
                char => {
                    if breaks {
                        self.write_indent();
                    }
                    if char == '\'' {
                        self.put('\'');
                    }
                    self.put(char);
                    self.indention = false;
                    (spaces, breaks) = (false, false);
                }
            }
        }
        if breaks {
            self.write_indent();
        }
        self.write_indicator("'", false, false);
    }

    fn write_double_quoted(&mut self, text: &str, may_break: bool) {
        self.write_indicator("\"", true, false);
        let mut spaces = false;
        let mut chars = text.char_indices().peekable();
        while let Some((byte, char)) = chars.next() {
            let next = chars.peek().map(|(_, next)| *next);
            if char == ' ' {
                let within = !spaces && byte > 0 && next.is_some();
                if within && may_break && self.column > BEST_WIDTH {
                    self.write_indent();
                    if next == Some(' ') {
                        self.put('\\');
                    }
                } else {
                    self.put(' ');
                }
            } else if matches!(char, '!'..='~') && !matches!(char, '"' | '\\') {
                self.put(char);
            } else {
                escaped(char).chars().for_each(|char| self.put(char));
            }
            spaces = char == ' ';
        }
        self.write_indicator("\"", false, false);
    }

    fn write_double_quoted_by_python(&mut self, text: &str, may_break: bool) {
        self.write_indicator("\"", true, false);
        let chars: Vec<char> = text.chars().collect();
        let mut start = 0;
        for end in 0..=chars.len() {
            let char = chars.get(end).copied();
            let pending = chars.get(start..end).unwrap_or_default();
            if char.is_none_or(|char| !matches!(char, ' '..='~') || matches!(char, '"' | '\\')) {
                for char in pending {
                    self.put(*char);
                }
                start = end;
                if let Some(char) = char {
                    escaped(char).chars().for_each(|char| self.put(char));
                    start = end + 1;
                }
            }
            let pending = chars.get(start..end).unwrap_or_default();
            let within = 0 < end && end + 1 < chars.len() && (char == Some(' ') || start >= end);
            // After an escaped character `start` is `end + 1`, and PyYAML counts that difference as
            // a length of -1.
            let late = self.column + pending.len() > BEST_WIDTH + start.saturating_sub(end);
            if within && late && may_break {
                for char in pending {
                    self.put(*char);
                }
                self.put('\\');
                start = start.max(end);
                self.write_indent();
                if chars.get(start) == Some(&' ') {
                    self.put('\\');
                }
            }
        }
        self.write_indicator("\"", false, false);
    }
}
