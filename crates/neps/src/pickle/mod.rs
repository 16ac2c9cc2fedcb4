//! Reads, changes and writes Python pickles as inert data: nothing is ever imported or called.
//!
//! A pickle is a program for a small stack machine. [`read`] interprets it without any means to
//! import or to call: a call becomes an [`Object`] that describes it, and the code that walks the
//! graph decides which class names it accepts. [`write`] serialises the same graph, so that what
//! we do not understand (torch's random state, an exception of a user's own class) is preserved.
//!
//! The graph is an arena whose items refer to each other by index ([`Ref`]). So shared items stay
//! shared, a list may contain itself, and neither reading nor dropping recurses, however deep the
//! nesting. Code that walks a graph recursively must bound its depth
//! ([`trialmill_core::limits::MAX_PICKLE_DEPTH`]).
//!
//! To change a field, point it to a new item ([`Pickle::set_field`]) instead of changing its value
//! in place: Python shares equal strings, so other fields may refer to the same item.

mod item;
mod read;
#[cfg(test)]
mod tests;
mod write;

use std::borrow::Cow;
use std::hash::BuildHasher;

use rustc_hash::{FxBuildHasher, FxHashMap};
use thiserror::Error;

pub(crate) use item::{How, Item, Object, Ref};
pub(crate) use read::read;
pub(crate) use write::write;

/// The items that every graph begins with, at fixed indices: those referred to most often.
const FIXED: [Item<'static>; 4] =
    [Item::None, Item::Bool(false), Item::Bool(true), Item::Tuple(Vec::new())];
const NONE: Ref = 0;
const FALSE: Ref = 1;
const TRUE: Ref = 2;
const EMPTY_TUPLE: Ref = 3;

/// The longest string that is shared with an equal one when it is added.
const SHORT_BYTES: usize = 64;

/// Why a pickle cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PickleError {
    /// The bytes end before the pickle does: it may be complete once more of them are written.
    #[error("the pickle is cut off: its operation at byte {offset} is not all there")]
    Truncated {
        /// The offset of the first incomplete operation.
        offset: usize,
    },
    /// It is not a pickle that is supported, whatever bytes follow.
    #[error("the pickle, at byte {offset}: {problem}")]
    Bad {
        /// The offset of the invalid operation.
        offset: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// A pickle as inert data: a graph of items in one arena. Shared items stay shared.
#[derive(Debug, Clone)]
pub(crate) struct Pickle<'a> {
    items: Vec<Item<'a>>,
    root: Ref,
    /// The protocol it was read in. It matters because Python translates the names of Python 2's
    /// modules only up to protocol 2.
    protocol: u8,
    /// The indices of the added strings and globals, by hash: an equal one is shared.
    known: FxHashMap<u64, Ref>,
}

impl<'a> Pickle<'a> {
    /// A new graph; its root is Python's `None` until it is set.
    pub(crate) fn new() -> Self {
        Pickle { items: FIXED.into(), root: NONE, protocol: 4, known: FxHashMap::default() }
    }

    /// The item that was pickled; all others are reached from it.
    pub(crate) fn root(&self) -> Ref {
        self.root
    }

    /// Makes another item the root.
    pub(crate) fn set_root(&mut self, root: Ref) {
        self.root = root;
    }

    /// The item at an index; Python's `None` if the index is out of range.
    pub(crate) fn get(&self, at: Ref) -> &Item<'a> {
        self.items.get(at as usize).unwrap_or(&Item::None)
    }

    /// The item at an index, to change it for everything that refers to it. `None` for the fixed
    /// items (`None`, the booleans, the empty tuple), which exist once, and if it is out of range.
    pub(crate) fn get_mut(&mut self, at: Ref) -> Option<&mut Item<'a>> {
        if (at as usize) < FIXED.len() { None } else { self.items.get_mut(at as usize) }
    }

    /// Adds an item.
    pub(crate) fn add(&mut self, item: Item<'a>) -> Ref {
        let at = Ref::try_from(self.items.len()).unwrap_or(Ref::MAX);
        // `Ref::MAX` is never an item's index. A full arena returns it, and it reads as `None`.
        if at < Ref::MAX {
            self.items.push(item);
        }
        at
    }

    /// Python's `None`.
    #[allow(clippy::unused_self)] // A method, like those for all other items.
    pub(crate) fn none(&mut self) -> Ref {
        NONE
    }

    /// A boolean.
    #[allow(clippy::unused_self)]
    pub(crate) fn bool(&mut self, value: bool) -> Ref {
        if value { TRUE } else { FALSE }
    }

    /// An integer.
    pub(crate) fn int(&mut self, value: i64) -> Ref {
        self.add(Item::Int(value))
    }

    /// A float.
    pub(crate) fn float(&mut self, value: f64) -> Ref {
        self.add(Item::Float(value))
    }

    /// A string. Short ones are shared with an equal string that was added before.
    pub(crate) fn str(&mut self, text: impl Into<Cow<'a, str>>) -> Ref {
        self.add_once(Item::Str(text.into()))
    }

    /// A class or function, by name. It is shared with an equal one that was added before.
    pub(crate) fn global(
        &mut self,
        module: impl Into<Cow<'a, str>>,
        name: impl Into<Cow<'a, str>>,
    ) -> Ref {
        self.add_once(Item::Global { module: module.into(), name: name.into() })
    }

    /// The value of a string key in a dict, or in the dict that is an object's state. Of several
    /// equal keys the last one counts, as in Python. Takes time linear in the dict's length.
    pub(crate) fn field(&self, of: Ref, name: &str) -> Option<Ref> {
        let Item::Dict(pairs) = self.get(self.dict_of(of)) else { return None };
        let position = self.position(pairs, name)?;
        pairs.get(position).map(|(_, value)| *value)
    }

    /// Sets a field to another value, and adds it if it is missing. Returns `false`, and changes
    /// nothing, unless this is a dict or an object whose state is one.
    pub(crate) fn set_field(&mut self, of: Ref, name: &str, value: Ref) -> bool {
        let dict = self.dict_of(of);
        let Item::Dict(pairs) = self.get(dict) else { return false };
        let position = self.position(pairs, name);
        let key = if position.is_none() { self.str(name.to_owned()) } else { NONE };
        let Some(Item::Dict(pairs)) = self.get_mut(dict) else { return false };
        match position.and_then(|position| pairs.get_mut(position)) {
            Some(pair) => pair.1 = value,
            None => pairs.push((key, value)),
        }
        true
    }

    /// The module and name of an object's class, or of a global; `None` for an object whose class
    /// is itself an object.
    pub(crate) fn class(&self, of: Ref) -> Option<(&str, &str)> {
        let class = match self.get(of) {
            Item::Object(object) => self.get(object.class),
            other => other,
        };
        match class {
            Item::Global { module, name } => Some((module, name)),
            _ => None,
        }
    }

    /// Copies an item of another pickle with everything it refers to. What is shared there is
    /// shared here; short strings and globals also with those copied or added before.
    pub(crate) fn copy_from(&mut self, other: &Pickle<'_>, from: Ref) -> Ref {
        let mut copy = CopyState { copied: FxHashMap::default(), unfilled: Vec::new() };
        let root = self.slot_for(other, from, &mut copy);
        while let Some((from, to)) = copy.unfilled.pop() {
            let mut item = other.get(from).clone().into_owned();
            item.each_ref_mut(|inner| *inner = self.slot_for(other, *inner, &mut copy));
            if let Some(slot) = self.get_mut(to) {
                *slot = item;
            }
        }
        root
    }

    /// The same pickle, borrowing nothing.
    #[cfg(test)]
    pub(crate) fn into_owned(self) -> Pickle<'static> {
        Pickle {
            items: self.items.into_iter().map(Item::into_owned).collect(),
            root: self.root,
            protocol: self.protocol,
            known: self.known,
        }
    }

    fn dict_of(&self, of: Ref) -> Ref {
        match self.get(of) {
            Item::Object(object) => object.state.unwrap_or(NONE),
            _ => of,
        }
    }

    fn position(&self, pairs: &[(Ref, Ref)], name: &str) -> Option<usize> {
        pairs.iter().rposition(|(key, _)| matches!(self.get(*key), Item::Str(key) if key == name))
    }

    /// The index of the copy of another pickle's item. If it has no copy yet, this reserves an
    /// index for it, unless an equal string or global can be shared.
    fn slot_for(&mut self, other: &Pickle<'_>, from: Ref, copy: &mut CopyState) -> Ref {
        if (from as usize) < FIXED.len() {
            return from;
        }
        if let Some(&to) = copy.copied.get(&from) {
            return to;
        }
        let item = other.get(from);
        let hash = hash_of(item);
        let to = match hash.and_then(|hash| self.find(item, hash)) {
            Some(known) => known,
            None => {
                let to = self.add(Item::None);
                if let Some(hash) = hash {
                    self.known.insert(hash, to);
                }
                copy.unfilled.push((from, to));
                to
            }
        };
        copy.copied.insert(from, to);
        to
    }

    fn add_once(&mut self, item: Item<'a>) -> Ref {
        let Some(hash) = hash_of(&item) else { return self.add(item) };
        if let Some(known) = self.find(&item, hash) {
            return known;
        }
        let at = self.add(item);
        self.known.insert(hash, at);
        at
    }

    /// An equal item with this hash. The items are compared, because hashes collide and an item
    /// may have been changed since it was added.
    fn find(&self, item: &Item<'_>, hash: u64) -> Option<Ref> {
        self.known.get(&hash).copied().filter(|at| self.get(*at) == item)
    }
}

/// The state of a copy between two pickles.
struct CopyState {
    /// Index there → index here.
    copied: FxHashMap<Ref, Ref>,
    /// Those whose index here is only reserved so far.
    unfilled: Vec<(Ref, Ref)>,
}

/// The hash of an item that is worth sharing, because it recurs and Python cannot change it.
fn hash_of(item: &Item<'_>) -> Option<u64> {
    match item {
        Item::Str(text) if text.len() <= SHORT_BYTES => Some(FxBuildHasher.hash_one(text)),
        Item::Global { module, name } => Some(FxBuildHasher.hash_one((module, name))),
        _ => None,
    }
}
