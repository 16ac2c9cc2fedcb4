//! Reads a pickle: from bytes to the graph.
//!
//! Supports the operations that CPython writes in protocols 2 to 5. Each takes at least one byte
//! and adds at most one item, so a pickle of n bytes cannot make more than n items, whatever
//! lengths it declares.

use std::borrow::Cow;

use super::{EMPTY_TUPLE, FALSE, How, Item, NONE, Object, Pickle, PickleError, Ref, TRUE};
use trialmill_core::limits::{MAX_PICKLE_RESERVED_ITEMS, MAX_PICKLE_VALUE_BYTES};

/// How many bytes one item takes on average in NePS's cache; used to reserve memory.
const BYTES_PER_ITEM: usize = 16;

/// Reads the pickle at the start of `bytes`; returns it and its length in bytes.
///
/// # Errors
/// [`PickleError::Truncated`] if the bytes are only the beginning of a pickle;
/// [`PickleError::Bad`], with the operation that is refused, if CPython does not write such a one.
pub(crate) fn read(bytes: &[u8]) -> Result<(Pickle<'_>, usize), PickleError> {
    let mut reader = Reader::new(bytes);
    reader.header()?;
    while !reader.operation()? {}
    Ok((reader.pickle, reader.at))
}

/// The stack machine, without the operations that reach outside the pickle.
struct Reader<'a> {
    bytes: &'a [u8],
    /// The offset of the next byte.
    at: usize,
    /// The offset of the current operation, for errors.
    start: usize,
    frame_end: usize,
    pickle: Pickle<'a>,
    stack: Vec<Ref>,
    /// The height of the stack at each MARK. No operation may touch what is below the last one.
    marks: Vec<usize>,
    memo: Vec<Ref>,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let expected = (bytes.len() / BYTES_PER_ITEM).min(MAX_PICKLE_RESERVED_ITEMS);
        let mut pickle = Pickle::new();
        pickle.items.reserve(expected);
        let memo = Vec::with_capacity(expected);
        let (stack, marks) = (Vec::new(), Vec::new());
        Reader { bytes, at: 0, start: 0, frame_end: 0, pickle, stack, marks, memo }
    }

    fn header(&mut self) -> Result<(), PickleError> {
        if self.byte()? != 0x80 {
            return Err(self.bad("not the beginning of a pickle of protocol 2 or later"));
        }
        self.pickle.protocol = self.byte()?;
        match self.pickle.protocol {
            2..=5 => Ok(()),
            other => Err(self.bad(format!("protocol {other} is none of 2 to 5"))),
        }
    }

    /// Executes one operation; returns whether it was the last.
    #[allow(clippy::too_many_lines)] // A few lines for each opcode.
    fn operation(&mut self) -> Result<bool, PickleError> {
        self.start = self.at;
        let opcode = self.byte()?;
        match opcode {
            b'.' => {
                self.pickle.root = self.pop()?;
                self.frame_ends_by(self.at)?;
                return Ok(true);
            }
            0x95 => self.frame()?,

            b'N' => self.stack.push(NONE),
            0x88 => self.stack.push(TRUE),
            0x89 => self.stack.push(FALSE),
            b'K' => {
                let value = self.byte()?;
                self.push(Item::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Item::Int(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Item::Int(value.into()));
            }
            0x8a => {
                let length = self.byte()?;
                self.long(length.into())?;
            }
            0x8b => {
                // Python's field is signed: a negative length reads as one above our limit.
                let length = self.length_u32()?;
                self.long(length)?;
            }
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Item::Float(value));
            }

            0x8c => {
                let length = self.byte()?;
                self.string(length.into())?;
            }
            b'X' => {
                let length = self.length_u32()?;
                self.string(length)?;
            }
            0x8d => {
                let length = self.length_u64()?;
                self.string(length)?;
            }
            b'C' => {
                let length = self.byte()?;
                self.bytes(length.into())?;
            }
            b'B' => {
                let length = self.length_u32()?;
                self.bytes(length)?;
            }
            0x8e => {
                let length = self.length_u64()?;
                self.bytes(length)?;
            }
            0x96 => {
                let length = self.length_u64()?;
                let value = self.take(length)?;
                self.push(Item::ByteArray(Cow::Borrowed(value)));
            }

            b'(' => self.marks.push(self.stack.len()),
            b'0' => self.discard()?,
            b'1' => {
                let mark = self.mark()?;
                self.stack.truncate(mark);
            }
            b'2' => {
                let top = self.top()?;
                self.stack.push(top);
            }

            b')' => self.stack.push(EMPTY_TUPLE),
            0x85..=0x87 => self.short_tuple(usize::from(opcode) - 0x84)?,
            b't' => {
                let items = self.since_mark()?;
                if items.is_empty() {
                    self.stack.push(EMPTY_TUPLE);
                } else {
                    self.push(Item::Tuple(items));
                }
            }
            b']' => self.push(Item::List(Vec::new())),
            b'}' => self.push(Item::Dict(Vec::new())),
            0x8f => self.push(Item::Set(Vec::new())),
            0x91 => {
                let items = self.since_mark()?;
                self.push(Item::FrozenSet(items));
            }
            b'a' => {
                let value = self.pop()?;
                self.append(vec![value])?;
            }
            b'e' => {
                let values = self.since_mark()?;
                self.append(values)?;
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.set(&[key, value])?;
            }
            b'u' => {
                let values = self.since_mark()?;
                self.set(&values)?;
            }
            0x90 => self.add_to_set()?,

            b'c' => {
                let module = self.line()?;
                let name = self.line()?;
                self.push(Item::Global { module: module.into(), name: name.into() });
            }
            0x93 => self.stack_global()?,
            b'R' => self.object(How::Reduce)?,
            0x81 => self.object(How::New)?,
            0x92 => self.object(How::NewKeywords)?,
            b'b' => self.build()?,

            0x94 => self.put(self.memo.len())?,
            b'q' => {
                let index = self.byte()?;
                self.put(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.put(index as usize)?;
            }
            b'h' => {
                let index = self.byte()?;
                self.recall(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index as usize)?;
            }
            other => return Err(self.bad(refusal(other))),
        }
        Ok(false)
    }

    // Reading bytes.

    fn bad(&self, problem: impl Into<String>) -> PickleError {
        PickleError::Bad { offset: self.start, problem: problem.into() }
    }

    fn byte(&mut self) -> Result<u8, PickleError> {
        let byte = *self.bytes.get(self.at).ok_or(PickleError::Truncated { offset: self.start })?;
        self.at += 1;
        Ok(byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], PickleError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let array = *rest.first_chunk().ok_or(PickleError::Truncated { offset: self.start })?;
        self.at += N;
        Ok(array)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], PickleError> {
        let Some(length) = usize::try_from(length).ok().filter(|it| *it <= MAX_PICKLE_VALUE_BYTES)
        else {
            return Err(self.bad(format!(
                "a length of {length} bytes; at most {MAX_PICKLE_VALUE_BYTES} are taken"
            )));
        };
        let taken = self.bytes.get(self.at..self.at + length);
        let taken = taken.ok_or(PickleError::Truncated { offset: self.start })?;
        self.at += length;
        Ok(taken)
    }

    fn length_u32(&mut self) -> Result<u64, PickleError> {
        Ok(u32::from_le_bytes(self.array()?).into())
    }

    fn length_u64(&mut self) -> Result<u64, PickleError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn line(&mut self) -> Result<&'a str, PickleError> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let end = memchr::memchr(b'\n', rest);
        let end = end.ok_or(PickleError::Truncated { offset: self.start })?;
        let line = self.take(end as u64)?;
        self.at += 1;
        std::str::from_utf8(line).map_err(|_| self.bad("the name of a class is not UTF-8"))
    }

    /// A frame only tells how far Python may read ahead, which we do not need. But one that extends
    /// beyond the pickle or into the next frame shows that the bytes are damaged.
    fn frame(&mut self) -> Result<(), PickleError> {
        self.frame_ends_by(self.start)?;
        let length = self.length_u64()?;
        if length > MAX_PICKLE_VALUE_BYTES as u64 {
            return Err(self.bad(format!("a frame of {length} bytes")));
        }
        self.frame_end = self.at.saturating_add(length as usize);
        Ok(())
    }

    fn frame_ends_by(&self, end: usize) -> Result<(), PickleError> {
        if end < self.frame_end {
            return Err(self.bad(format!("its frame claims to go on to byte {}", self.frame_end)));
        }
        Ok(())
    }

    // Adding values.

    fn push(&mut self, item: Item<'a>) {
        let at = self.pickle.add(item);
        self.stack.push(at);
    }

    fn long(&mut self, length: u64) -> Result<(), PickleError> {
        let bytes = self.take(length)?;
        let item = if bytes.len() <= 8 {
            let negative = bytes.last().is_some_and(|last| *last >= 0x80);
            let mut wide = [if negative { 0xff } else { 0 }; 8];
            wide.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            Item::Int(i64::from_le_bytes(wide))
        } else {
            Item::BigInt(bytes.into())
        };
        self.push(item);
        Ok(())
    }

    fn string(&mut self, length: u64) -> Result<(), PickleError> {
        let bytes = self.take(length)?;
        let item = match std::str::from_utf8(bytes) {
            Ok(text) => Item::Str(text.into()),
            Err(_) if is_utf8_with_surrogates(bytes) => Item::Surrogates(bytes.into()),
            Err(_) => return Err(self.bad("a string that is not UTF-8")),
        };
        self.push(item);
        Ok(())
    }

    fn bytes(&mut self, length: u64) -> Result<(), PickleError> {
        let value = self.take(length)?;
        self.push(Item::Bytes(value.into()));
        Ok(())
    }

    // The stack.

    /// The height of the stack below which the current operation may not reach.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Ref, PickleError> {
        let top = self.stack.get(self.floor()..).and_then(<[Ref]>::last).copied();
        top.ok_or_else(|| self.bad("it needs a value, and there is none on the stack"))
    }

    fn pop(&mut self) -> Result<Ref, PickleError> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn mark(&mut self) -> Result<usize, PickleError> {
        self.marks.pop().ok_or_else(|| self.bad("it needs a mark, and there is none"))
    }

    fn since_mark(&mut self) -> Result<Vec<Ref>, PickleError> {
        let mark = self.mark()?;
        let values = self.stack.get(mark..).unwrap_or_default().to_vec();
        self.stack.truncate(mark);
        Ok(values)
    }

    fn discard(&mut self) -> Result<(), PickleError> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.mark().map(drop)
        } else {
            self.pop().map(drop)
        }
    }

    fn short_tuple(&mut self, length: usize) -> Result<(), PickleError> {
        let from = self.stack.len().checked_sub(length).filter(|from| *from >= self.floor());
        let from = from.ok_or_else(|| self.bad("a tuple of more than is on the stack"))?;
        let items = self.stack.get(from..).unwrap_or_default().to_vec();
        self.stack.truncate(from);
        self.push(Item::Tuple(items));
        Ok(())
    }

    fn put(&mut self, index: usize) -> Result<(), PickleError> {
        let top = self.top()?;
        let next = self.memo.len();
        match self.memo.get_mut(index) {
            Some(slot) => *slot = top,
            None if index == next => self.memo.push(top),
            None => {
                return Err(self.bad(format!("memo entry {index}, where {next} is the next")));
            }
        }
        Ok(())
    }

    fn recall(&mut self, index: usize) -> Result<(), PickleError> {
        let known = self.memo.get(index).copied();
        let known = known.ok_or_else(|| self.bad(format!("there is no memo entry {index}")))?;
        self.stack.push(known);
        Ok(())
    }

    // Adding to containers.

    fn append(&mut self, mut values: Vec<Ref>) -> Result<(), PickleError> {
        let target = self.top()?;
        let list = match self.pickle.get_mut(target) {
            Some(Item::List(items)) => Some(items),
            // Only before its entries and its state: we write the items first, so otherwise Python
            // would get them in another order.
            Some(Item::Object(object)) if object.state.is_none() && object.pairs.is_empty() => {
                Some(&mut object.items)
            }
            _ => None,
        };
        match list {
            Some(list) if list.is_empty() => *list = values,
            Some(list) => list.append(&mut values),
            None => return Err(self.bad("items for what is no list and no new object")),
        }
        Ok(())
    }

    fn set(&mut self, values: &[Ref]) -> Result<(), PickleError> {
        let target = self.top()?;
        let (values, rest) = values.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(self.bad("a key without a value"));
        }
        let pairs = match self.pickle.get_mut(target) {
            Some(Item::Dict(pairs)) => pairs,
            Some(Item::Object(object)) if object.state.is_none() => &mut object.pairs,
            _ => return Err(self.bad("keys for what is no dict and no new object")),
        };
        pairs.extend(values.iter().map(|[key, value]| (*key, *value)));
        Ok(())
    }

    fn add_to_set(&mut self) -> Result<(), PickleError> {
        let values = self.since_mark()?;
        let target = self.top()?;
        match self.pickle.get_mut(target) {
            Some(Item::Set(items)) => items.extend(values),
            _ => return Err(self.bad("members for what is no set")),
        }
        Ok(())
    }

    // Globals and objects: what Python would import and call.

    fn stack_global(&mut self) -> Result<(), PickleError> {
        let name = self.pop()?;
        let module = self.pop()?;
        match (self.pickle.get(module), self.pickle.get(name)) {
            (Item::Str(module), Item::Str(name)) => {
                let (module, name) = (module.clone(), name.clone());
                self.push(Item::Global { module, name });
                Ok(())
            }
            _ => Err(self.bad("the name of a class is no string")),
        }
    }

    fn object(&mut self, how: How) -> Result<(), PickleError> {
        let keywords = if how == How::NewKeywords { Some(self.pop()?) } else { None };
        let args = self.pop()?;
        let class = self.pop()?;
        if !matches!(self.pickle.get(class), Item::Global { .. } | Item::Object(_)) {
            return Err(self.bad("an object whose class is a plain value"));
        }
        if !matches!(self.pickle.get(args), Item::Tuple(_)) {
            return Err(self.bad("the arguments of an object are no tuple"));
        }
        if !keywords.is_none_or(|it| matches!(self.pickle.get(it), Item::Dict(_))) {
            return Err(self.bad("the named arguments of an object are no dict"));
        }
        self.push(Item::Object(Box::new(Object { keywords, ..Object::new(how, class, args) })));
        Ok(())
    }

    fn build(&mut self) -> Result<(), PickleError> {
        let state = self.pop()?;
        let target = self.top()?;
        match self.pickle.get_mut(target) {
            // Python sets the same state twice for an object that its own arguments contain.
            Some(Item::Object(object)) if object.state.is_none_or(|it| it == state) => {
                object.state = Some(state);
                Ok(())
            }
            Some(Item::Object(_)) => Err(self.bad("a second state for one object")),
            _ => Err(self.bad("a state for what is no object")),
        }
    }
}

/// Whether the bytes are UTF-8 except for surrogates, which Python allows in strings and encodes
/// like this.
fn is_utf8_with_surrogates(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Err(error) = std::str::from_utf8(rest) {
        match rest.get(error.valid_up_to()..) {
            Some([0xed, 0xa0..=0xbf, 0x80..=0xbf, after @ ..]) => rest = after,
            _ => return false,
        }
    }
    true
}

/// Why an operation is refused.
fn refusal(opcode: u8) -> String {
    let (name, why) = match opcode {
        b'P' => ("PERSID", "it names something outside the pickle"),
        b'Q' => ("BINPERSID", "it names something outside the pickle"),
        0x82 => ("EXT1", "it names something in Python's extension registry"),
        0x83 => ("EXT2", "it names something in Python's extension registry"),
        0x84 => ("EXT4", "it names something in Python's extension registry"),
        0x97 => ("NEXT_BUFFER", "it names a buffer outside the pickle"),
        0x98 => ("READONLY_BUFFER", "it names a buffer outside the pickle"),
        b'i' => ("INST", OLD),
        b'o' => ("OBJ", OLD),
        b'I' => ("INT", OLD),
        b'L' => ("LONG", OLD),
        b'F' => ("FLOAT", OLD),
        b'S' => ("STRING", OLD),
        b'T' => ("BINSTRING", OLD),
        b'U' => ("SHORT_BINSTRING", OLD),
        b'V' => ("UNICODE", OLD),
        b'p' => ("PUT", OLD),
        b'g' => ("GET", OLD),
        b'd' => ("DICT", OLD),
        b'l' => ("LIST", OLD),
        0x80 => ("PROTO", "it belongs at the beginning alone"),
        _ => return format!("there is no operation 0x{opcode:02x}"),
    };
    format!("the operation {name} (0x{opcode:02x}) is not taken: {why}")
}

const OLD: &str = "no pickler writes it since protocol 2";
