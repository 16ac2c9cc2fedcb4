//! Reads a document into plain values, as PyYAML's `CSafeLoader` does.
//!
//! The parser is one for YAML 1.2. It differs from PyYAML's only in what NePS never writes: an
//! unescaped U+0085, U+2028 or U+2029 is an ordinary character here and a line break there.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, Tag};
use thiserror::Error;

use super::super::value::{Dict, Value};
use super::scalar::{Kind, construct, resolve};
use trialmill_core::limits::{MAX_NEPS_DEPTH, MAX_NEPS_TEXT_BYTES, MAX_NEPS_VALUE_BYTES};

/// The prefix of YAML's own tags.
const YAML_TAGS: &str = "tag:yaml.org,2002:";

/// Why a document cannot be read as plain values.
#[derive(Debug, Clone, PartialEq, Error)]
pub(crate) enum YamlError {
    /// It is too long, or contains bytes that YAML does not allow.
    #[error("not YAML: {0}; restore the file, or remove it")]
    Text(String),
    /// The syntax is wrong: torn, or edited by hand.
    #[error("not YAML: line {line}, column {column}: {problem}; restore the file, or remove it")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1.
        column: usize,
        /// The parser's message.
        problem: String,
    },
    /// A tag for which NePS's own reader has no constructor either, such as `!!python/tuple`.
    #[error("line {line}: NePS itself cannot read the tag {tag}; write a plain value instead")]
    Tagged {
        /// The tag in full, `tag:yaml.org,2002:python/…`.
        tag: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// NePS can read it, but it is not a plain value: a set, bytes, pairs.
    #[error("line {line}: {tag} is no plain value; write a list or a string instead")]
    NotPlain {
        /// The tag in full.
        tag: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// Well-formed, but NePS's own reader fails on it too.
    #[error("line {line}: {problem}; correct it")]
    Invalid {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// It exceeds one of our limits.
    #[error("line {line}: more than {limit} {what}, which is more than is read")]
    TooMuch {
        /// The line, counted from 1.
        line: usize,
        /// The limit.
        limit: usize,
        /// What is limited.
        what: &'static str,
    },
}

/// What `yaml.load(text, CSafeLoader)` returns: an empty document is `None`, aliases are copied,
/// and of two equal keys the last one wins.
///
/// A timestamp is read as a string.
///
/// # Errors
/// It is not a single document, exceeds a limit, or contains anything but plain values.
pub(crate) fn read(text: &[u8]) -> Result<Value, YamlError> {
    if text.len() > MAX_NEPS_TEXT_BYTES {
        return Err(YamlError::Text(format!("it has more than {MAX_NEPS_TEXT_BYTES} bytes")));
    }
    let text = str::from_utf8(text)
        .map_err(|error| YamlError::Text(format!("byte {} is not UTF-8", error.valid_up_to())))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(char) = text.chars().find(|char| !is_allowed(*char)) {
        return Err(YamlError::Text(format!("the control character {char:?} stands in it")));
    }
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let parser = Parser::new_from_str_with_options(text, options);
    Reader { parser, anchors: HashMap::new(), bytes: 0 }.stream()
}

/// Whether libyaml accepts a character.
fn is_allowed(char: char) -> bool {
    match char {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{feff}' | '\u{fffe}' | '\u{ffff}' => false,
        other => !other.is_control(),
    }
}

/// A node of the document that has been read.
#[derive(Clone)]
struct Node {
    value: Value,
    /// `None` for a list or a dict.
    kind: Option<Kind>,
    line: usize,
    /// How many levels it has below itself.
    depth: usize,
    /// The memory that its values take, aliases expanded.
    bytes: usize,
}

struct Reader<'text> {
    parser: Parser<'text, StrInput<'text>>,
    anchors: HashMap<usize, Node>,
    /// The memory that all values take so far. Aliases are copied, so without a limit a short
    /// document could fill the memory.
    bytes: usize,
}

impl<'text> Reader<'text> {
    fn stream(mut self) -> Result<Value, YamlError> {
        let mut found = None;
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentEnd, _) => {}
                (Event::DocumentStart(..), line) if found.is_some() => {
                    return invalid(line, "a second document starts");
                }
                (Event::DocumentStart(..), _) => {
                    let event = self.next()?;
                    found = Some(self.node(event, 0)?.into_value()?);
                }
                _ => return Ok(found.unwrap_or(Value::None)),
            }
        }
    }

    /// The next event, and its line.
    fn next(&mut self) -> Result<(Event<'text>, usize), YamlError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, line_of(&span))),
            Some(Err(error)) => Err(YamlError::Syntax {
                line: error.marker().line(),
                column: error.marker().col() + 1,
                problem: error.info().clone(),
            }),
            None => Ok((Event::StreamEnd, 0)),
        }
    }

    fn node(
        &mut self,
        (event, line): (Event<'text>, usize),
        depth: usize,
    ) -> Result<Node, YamlError> {
        let too_much = |limit, what| YamlError::TooMuch { line, limit, what };
        let bytes_before = self.bytes;
        let (anchor, mut node) = match event {
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return invalid(line, "an alias stands within what it names");
                };
                self.bytes = self.bytes.saturating_add(node.bytes);
                (0, node)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.bytes += size_of::<Value>() + text.len();
                (anchor, scalar(&text, style, tag.as_deref(), line)?)
            }
            Event::SequenceStart(_, anchor, tag) => {
                container(tag.as_deref(), "seq", line)?;
                self.bytes += size_of::<Value>();
                (anchor, self.list(line, depth)?)
            }
            Event::MappingStart(_, anchor, tag) => {
                container(tag.as_deref(), "map", line)?;
                self.bytes += size_of::<Value>();
                (anchor, self.map(line, depth)?)
            }
            other => return invalid(line, format!("unexpected {other:?}")),
        };
        if depth + node.depth > MAX_NEPS_DEPTH {
            return Err(too_much(MAX_NEPS_DEPTH, "levels"));
        }
        if self.bytes > MAX_NEPS_VALUE_BYTES {
            return Err(too_much(MAX_NEPS_VALUE_BYTES, "bytes of values"));
        }
        node.bytes = self.bytes - bytes_before;
        if anchor != 0 {
            // The copy that is kept for the aliases takes memory too.
            self.bytes = self.bytes.saturating_add(node.bytes);
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, line: usize, depth: usize) -> Result<Node, YamlError> {
        let mut items = Vec::new();
        let mut below = 0;
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => {
                    return Ok(Node::container(Value::List(items), line, below + 1));
                }
                event => {
                    let node = self.inner(event, depth)?;
                    below = below.max(node.depth);
                    items.push(node.into_value()?);
                }
            }
        }
    }

    /// A dict. As in PyYAML, the entries that `<<` merges come first, those of a list in reverse
    /// order, and the dict's own entries override them.
    fn map(&mut self, line: usize, depth: usize) -> Result<Node, YamlError> {
        let mut merged = Vec::new();
        let mut own = Vec::new();
        let mut below = 0;
        loop {
            let event = self.next()?;
            if matches!(event.0, Event::MappingEnd) {
                break;
            }
            let key = self.inner(event, depth)?;
            let event = self.next()?;
            let value = self.inner(event, depth)?;
            below = below.max(key.depth).max(value.depth);
            match (key.kind, value.value) {
                (Some(Kind::Merge), Value::Map(pairs)) => merged.extend(pairs),
                (Some(Kind::Merge), Value::List(items)) => {
                    for item in items.into_iter().rev() {
                        let Value::Map(pairs) = item else {
                            return invalid(key.line, "what is merged is no dict");
                        };
                        merged.extend(pairs);
                    }
                }
                (Some(Kind::Merge), _) => return invalid(key.line, "what is merged is no dict"),
                (_, inner) => {
                    let value = Node { value: inner, ..value }.into_value()?;
                    own.push((key.line, key.value, value));
                }
            }
        }
        let merged = merged.into_iter().map(|(key, value)| (line, key, value));
        let mut dict = Dict::default();
        for (line, key, value) in merged.chain(own) {
            if !dict.insert(key, value) {
                return invalid(line, "a list or a dict is a key");
            }
        }
        Ok(Node::container(dict.into_value(), line, below + 1))
    }

    /// A node one level deeper.
    fn inner(&mut self, event: (Event<'text>, usize), depth: usize) -> Result<Node, YamlError> {
        if depth >= MAX_NEPS_DEPTH {
            let (limit, what) = (MAX_NEPS_DEPTH, "levels");
            return Err(YamlError::TooMuch { line: event.1, limit, what });
        }
        self.node(event, depth + 1)
    }
}

impl Node {
    fn container(value: Value, line: usize, depth: usize) -> Node {
        Node { value, kind: None, line, depth, bytes: 0 }
    }

    /// The value. Fails for `<<` and `=`, which have a meaning only as keys.
    fn into_value(self) -> Result<Value, YamlError> {
        match self.kind {
            Some(kind @ (Kind::Merge | Kind::Default)) => Err(YamlError::Tagged {
                tag: format!("{YAML_TAGS}{}", kind.name()),
                line: self.line,
            }),
            _ => Ok(self.value),
        }
    }
}

fn line_of(span: &Span) -> usize {
    span.tag_start().unwrap_or(span.start).line()
}

fn invalid<T>(line: usize, problem: impl Into<String>) -> Result<T, YamlError> {
    Err(YamlError::Invalid { line, problem: problem.into() })
}

fn full_name(tag: &Tag) -> String {
    format!("{}{}", tag.handle(), tag.suffix())
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    line: usize,
) -> Result<Node, YamlError> {
    let kind = match tag.map(full_name).as_deref() {
        None if style != ScalarStyle::Plain => Kind::Str,
        None => resolve(text),
        Some("!") => resolve(text),
        Some(tag) => match tag.strip_prefix(YAML_TAGS).and_then(Kind::of_tag) {
            Some(kind) => kind,
            None => return Err(refused(tag, line)),
        },
    };
    match construct(kind, text) {
        Some(value) => Ok(Node { value, kind: Some(kind), line, depth: 0, bytes: 0 }),
        None => invalid(line, format!("{text:.100?} is no {}", kind.name())),
    }
}

fn container(tag: Option<&Tag>, name: &str, line: usize) -> Result<(), YamlError> {
    match tag.map(full_name).as_deref() {
        None | Some("!") => Ok(()),
        Some(tag) if tag.strip_prefix(YAML_TAGS) == Some(name) => Ok(()),
        Some(tag) => Err(refused(tag, line)),
    }
}

fn refused(tag: &str, line: usize) -> YamlError {
    let name = tag.strip_prefix(YAML_TAGS);
    let tag = tag.to_owned();
    match name {
        Some("binary" | "omap" | "pairs" | "set") => YamlError::NotPlain { tag, line },
        Some("bool" | "float" | "int" | "map" | "null" | "seq" | "str" | "timestamp") => {
            let problem = format!("{tag} does not fit what it stands before");
            YamlError::Invalid { line, problem }
        }
        _ => YamlError::Tagged { tag, line },
    }
}
