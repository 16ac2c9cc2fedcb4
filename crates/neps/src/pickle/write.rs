//! Writes a pickle: from the graph to bytes.
//!
//! Protocol 4 without frames, which every Python since 3.4 reads; 5 if there is a bytearray, which
//! 4 lacks; 2 if it was read in 2, because Python translates old names only there. The operations
//! are in the order in which CPython's pickler writes them.
//!
//! A *knot* is a tuple, frozenset or object that contains itself by way of its own parts, such as
//! a tuple in a list that is in the tuple: it can be created only after its parts, and they only
//! after it. [`Writer::restart`] describes how it is written all the same.

use super::{How, Item, Pickle, PickleError, Ref};
use trialmill_core::limits::{MAX_PICKLE_DEPTH, MAX_PICKLE_KNOTS};

/// How many items one operation adds at most, as in CPython, to keep the unpickler's stack small.
const BATCH_ITEMS: usize = 1_000;
/// Strings of up to so many bytes are not memoised: `LONG_BINGET` would take as many bytes as
/// writing them again.
const TINY_BYTES: usize = 3;

/// Instead of a memo entry: the item has none, so it must be written when it is next needed.
const UNWRITTEN: u32 = u32::MAX;
/// Instead of a memo entry: a tuple, frozenset or object whose parts are being written, so that it
/// does not exist yet.
const OPEN: u32 = u32::MAX - 1;

const MARK: u8 = b'(';
const POP: u8 = b'0';
const POP_MARK: u8 = b'1';

/// Appends a pickle to `to`. Only shared items get a memo entry, unless there is a knot.
///
/// # Errors
/// It is nested deeper than [`MAX_PICKLE_DEPTH`], or a knot has more than [`MAX_PICKLE_KNOTS`]
/// ways into itself; then `to` is unchanged.
pub(crate) fn write(pickle: &Pickle<'_>, to: &mut Vec<u8>) -> Result<(), PickleError> {
    let start = to.len();
    let mut writer = Writer::new(pickle, to);
    let mut result = writer.write_all();
    if let Err(Stop::Knot) = result {
        writer.restart();
        result = writer.write_all();
    }
    result.map_err(|stop| {
        let offset = to.len() - start;
        to.truncate(start);
        let problem = match stop {
            Stop::Deep => format!("nested deeper than {MAX_PICKLE_DEPTH}, as Python cannot either"),
            Stop::Knot => format!("a tuple inside itself in over {MAX_PICKLE_KNOTS} ways"),
        };
        PickleError::Bad { offset, problem }
    })
}

/// Why the writer stopped.
enum Stop {
    Deep,
    /// It met an item that is [`OPEN`].
    Knot,
}

struct Writer<'p, 'a> {
    pickle: &'p Pickle<'a>,
    to: &'p mut Vec<u8>,
    start: usize,
    /// For each item, whether it is referred to more than once.
    shared: Vec<bool>,
    has_bytearray: bool,
    /// For each item, its memo entry, or [`UNWRITTEN`] or [`OPEN`].
    entries: Vec<u32>,
    entries_made: u32,
    /// Whether everything gets a memo entry, because there is a knot.
    knotted: bool,
    /// How many items are being written again inside themselves.
    knots: usize,
}

impl<'p, 'a> Writer<'p, 'a> {
    fn new(pickle: &'p Pickle<'a>, to: &'p mut Vec<u8>) -> Self {
        let start = to.len();
        let mut seen = vec![false; pickle.items.len()];
        let mut shared = seen.clone();
        let mut has_bytearray = false;
        let mut waiting = vec![pickle.root];
        while let Some(item) = waiting.pop() {
            match seen.get_mut(item as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => {
                    if let Some(shared) = shared.get_mut(item as usize) {
                        *shared = true;
                    }
                    continue;
                }
            }
            let item = pickle.get(item);
            has_bytearray |= matches!(item, Item::ByteArray(_));
            item.each_ref(|inner| waiting.push(inner));
        }
        let entries = vec![UNWRITTEN; pickle.items.len()];
        let (entries_made, knotted, knots) = (0, false, 0);
        Writer { pickle, to, start, shared, has_bytearray, entries, entries_made, knotted, knots }
    }

    /// Begins again for a graph with knots, and writes them as CPython does: with a memo entry for
    /// everything. An item of a knot is then written a second time inside itself. There its parts
    /// are looked up in the memo, so that this inner one can be completed, and the outer one is
    /// dropped in its favour ([`made_of`](Self::made_of)).
    fn restart(&mut self) {
        self.to.truncate(self.start);
        self.entries.fill(UNWRITTEN);
        self.entries_made = 0;
        self.knotted = true;
    }

    fn write_all(&mut self) -> Result<(), Stop> {
        let protocol = match self.pickle.protocol {
            2 => 2,
            _ if self.has_bytearray => 5,
            _ => 4,
        };
        self.to.extend([0x80, protocol]);
        self.item(self.pickle.root, 0)?;
        self.to.push(b'.');
        Ok(())
    }

    fn item(&mut self, at: Ref, depth: usize) -> Result<(), Stop> {
        match self.entry(at) {
            UNWRITTEN => {}
            OPEN if self.knotted => {
                if self.knots == MAX_PICKLE_KNOTS {
                    return Err(Stop::Knot);
                }
                self.knots += 1;
                let result = self.new_item(at, depth);
                self.knots -= 1;
                return result;
            }
            OPEN => return Err(Stop::Knot),
            entry => {
                self.recall(entry);
                return Ok(());
            }
        }
        self.new_item(at, depth)
    }

    fn new_item(&mut self, at: Ref, depth: usize) -> Result<(), Stop> {
        if depth > MAX_PICKLE_DEPTH {
            return Err(Stop::Deep);
        }
        // Borrows from the pickle and not from `self`, which is needed mutably below.
        let pickle = self.pickle;
        match pickle.get(at) {
            Item::None => self.to.push(b'N'),
            Item::Bool(value) => self.to.push(if *value { 0x88 } else { 0x89 }),
            Item::Int(value) => self.int(*value),
            Item::Float(value) => {
                self.to.push(b'G');
                self.to.extend(value.to_be_bytes());
            }
            Item::BigInt(value) => {
                // No opcode has an eight-byte length: Python itself refuses integers of 2 GiB.
                self.sized([Some(0x8a), Some(0x8b), None], value);
                self.memoise(at);
            }
            Item::Str(value) => {
                self.string(value.as_bytes());
                if value.len() > TINY_BYTES {
                    self.memoise(at);
                }
            }
            Item::Surrogates(value) => {
                self.string(value);
                self.memoise(at);
            }
            Item::Bytes(value) => {
                self.sized([Some(b'C'), Some(b'B'), Some(0x8e)], value);
                self.memoise(at);
            }
            Item::ByteArray(value) => {
                self.sized([None, None, Some(0x96)], value);
                self.memoise(at);
            }
            Item::List(items) => {
                self.to.push(b']');
                self.memoise(at);
                self.append(items, depth)?;
            }
            Item::Dict(pairs) => {
                self.to.push(b'}');
                self.memoise(at);
                self.set(pairs, depth)?;
            }
            Item::Set(items) => {
                self.to.push(0x8f);
                self.memoise(at);
                for batch in items.chunks(BATCH_ITEMS) {
                    self.to.push(MARK);
                    self.items(batch, depth)?;
                    self.to.push(0x90);
                }
            }
            Item::Tuple(items) => match items.as_slice() {
                [] => self.to.push(b')'),
                [_] => self.made_of(at, items, None, 0x85, depth).map(drop)?,
                [_, _] => self.made_of(at, items, None, 0x86, depth).map(drop)?,
                [_, _, _] => self.made_of(at, items, None, 0x87, depth).map(drop)?,
                _ => self.made_of(at, items, Some(MARK), b't', depth).map(drop)?,
            },
            Item::FrozenSet(items) => {
                self.made_of(at, items, Some(MARK), 0x91, depth)?;
            }
            Item::Global { module, name } => {
                self.string(module.as_bytes());
                self.string(name.as_bytes());
                self.to.push(0x93);
                self.memoise(at);
            }
            Item::Object(object) => {
                let (class, args) = (object.class, object.args);
                let made = match (object.how, object.keywords) {
                    (How::NewKeywords, Some(keywords)) => {
                        self.made_of(at, &[class, args, keywords], None, 0x92, depth)?
                    }
                    (How::Reduce, _) => self.made_of(at, &[class, args], None, b'R', depth)?,
                    _ => self.made_of(at, &[class, args], None, 0x81, depth)?,
                };
                if made {
                    self.append(&object.items, depth)?;
                    self.set(&object.pairs, depth)?;
                    if let Some(state) = object.state {
                        self.item(state, depth + 1)?;
                        self.to.push(b'b');
                    }
                }
            }
        }
        Ok(())
    }

    fn items(&mut self, items: &[Ref], depth: usize) -> Result<(), Stop> {
        items.iter().try_for_each(|item| self.item(*item, depth + 1))
    }

    /// Writes an item that can be created only after its parts. Returns `false` if it was completed
    /// inside itself meanwhile (a knot): then this drops the parts and uses the inner one.
    fn made_of(
        &mut self,
        at: Ref,
        parts: &[Ref],
        mark: Option<u8>,
        opcode: u8,
        depth: usize,
    ) -> Result<bool, Stop> {
        self.set_entry(at, OPEN);
        self.to.extend(mark);
        for (index, part) in parts.iter().enumerate() {
            self.item(*part, depth + 1)?;
            let entry = self.entry(at);
            if entry != OPEN {
                match mark {
                    Some(_) => self.to.push(POP_MARK),
                    None => self.to.extend(std::iter::repeat_n(POP, index + 1)),
                }
                self.recall(entry);
                return Ok(false);
            }
        }
        self.to.push(opcode);
        self.set_entry(at, UNWRITTEN);
        self.memoise(at);
        Ok(true)
    }

    fn append(&mut self, items: &[Ref], depth: usize) -> Result<(), Stop> {
        for batch in items.chunks(BATCH_ITEMS) {
            if let [item] = batch {
                self.item(*item, depth + 1)?;
                self.to.push(b'a');
            } else {
                self.to.push(MARK);
                self.items(batch, depth)?;
                self.to.push(b'e');
            }
        }
        Ok(())
    }

    fn set(&mut self, pairs: &[(Ref, Ref)], depth: usize) -> Result<(), Stop> {
        for batch in pairs.chunks(BATCH_ITEMS) {
            if batch.len() > 1 {
                self.to.push(MARK);
            }
            for (key, value) in batch {
                self.item(*key, depth + 1)?;
                self.item(*value, depth + 1)?;
            }
            self.to.push(if batch.len() > 1 { b'u' } else { b's' });
        }
        Ok(())
    }

    // The memo.

    fn entry(&self, at: Ref) -> u32 {
        self.entries.get(at as usize).copied().unwrap_or(UNWRITTEN)
    }

    fn set_entry(&mut self, at: Ref, entry: u32) {
        if let Some(slot) = self.entries.get_mut(at as usize) {
            *slot = entry;
        }
    }

    fn memoise(&mut self, at: Ref) {
        if self.knotted || self.shared.get(at as usize).is_some_and(|shared| *shared) {
            self.to.push(0x94);
            self.set_entry(at, self.entries_made);
            self.entries_made += 1;
        }
    }

    fn recall(&mut self, entry: u32) {
        match u8::try_from(entry) {
            Ok(entry) => self.to.extend([b'h', entry]),
            Err(_) => {
                self.to.push(b'j');
                self.to.extend(entry.to_le_bytes());
            }
        }
    }

    // Values.

    fn int(&mut self, value: i64) {
        if let Ok(value) = u8::try_from(value) {
            self.to.extend([b'K', value]);
        } else if let Ok(value) = u16::try_from(value) {
            self.to.push(b'M');
            self.to.extend(value.to_le_bytes());
        } else if let Ok(value) = i32::try_from(value) {
            self.to.push(b'J');
            self.to.extend(value.to_le_bytes());
        } else {
            self.to.extend([0x8a, 8]);
            self.to.extend(value.to_le_bytes());
        }
    }

    fn string(&mut self, value: &[u8]) {
        self.sized([Some(0x8c), Some(b'X'), Some(0x8d)], value);
    }

    /// Writes an opcode, a length and the bytes. `opcodes` are those for a length of one, four and
    /// eight bytes; the shortest that fits is used.
    fn sized(&mut self, opcodes: [Option<u8>; 3], value: &[u8]) {
        let length = value.len();
        match (opcodes, u8::try_from(length), u32::try_from(length)) {
            ([Some(opcode), _, _], Ok(length), _) => self.to.extend([opcode, length]),
            ([_, Some(opcode), _], _, Ok(length)) => {
                self.to.push(opcode);
                self.to.extend(length.to_le_bytes());
            }
            ([_, _, opcode], _, _) => {
                self.to.extend(opcode);
                self.to.extend((length as u64).to_le_bytes());
            }
        }
        self.to.extend_from_slice(value);
    }
}
