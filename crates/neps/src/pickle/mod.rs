//! Python pickles as inert data: read, changed and written back without importing or calling.
//!
//! A pickle is a program for a small stack machine. [`read`] runs it on a machine that has no
//! way to import or to call: what the pickle wants called becomes an [`Object`] that says so, and
//! whoever walks the graph decides which names mean something. [`write`] gives the same graph
//! back, so that what nobody here understands (the random state of torch, an exception of a
//! user's own class) comes out as it went in.
//!
//! The graph is an arena: items name each other by [`Ref`]. So shared items stay shared, a list
//! may hold itself, and neither reading nor dropping recurses, however deep the nesting. Those
//! who walk a graph by recursion bound their depth ([`trialmill_core::limits::MAX_PICKLE_DEPTH`]).
//!
//! To change a field, point it to a new item ([`Pickle::set_field`]); do not change a value in
//! place: Python shares equal strings, so the same item may be the value of other fields too.

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

/// What every pickle holds from the start, at these places: what is most often pointed to.
const FIXED: [Item<'static>; 4] =
    [Item::None, Item::Bool(false), Item::Bool(true), Item::Tuple(Vec::new())];
const NONE: Ref = 0;
const FALSE: Ref = 1;
const TRUE: Ref = 2;
const EMPTY_TUPLE: Ref = 3;

/// The longest string that is looked for among those already there when it is added.
const SHORT_BYTES: usize = 64;

/// Reading or writing a pickle.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum PickleError {
    /// The bytes end before the pickle does: more of them could make it whole.
    #[error("the pickle is cut off: its operation at byte {offset} is not all there")]
    Truncated {
        /// Where the first incomplete operation begins.
        offset: usize,
    },
    /// It is no pickle that we take, whatever follows.
    #[error("the pickle, at byte {offset}: {problem}")]
    Bad {
        /// Where the operation begins that does not work.
        offset: usize,
        /// What is wrong with it.
        problem: String,
    },
}

/// A pickle as inert data: a graph of items in one arena; shared items stay shared.
#[derive(Debug, Clone)]
pub(crate) struct Pickle<'a> {
    items: Vec<Item<'a>>,
    root: Ref,
    /// The protocol it was read in. Python translates the old names in protocol 2 by it.
    protocol: u8,
    /// Where strings and classes are that were added, by their hash.
    known: FxHashMap<u64, Ref>,
}

impl<'a> Pickle<'a> {
    /// An empty one; its root is `None` until it is set.
    pub(crate) fn new() -> Self {
        Pickle { items: FIXED.into(), root: NONE, protocol: 4, known: FxHashMap::default() }
    }

    /// What the pickle is a pickle of.
    pub(crate) fn root(&self) -> Ref {
        self.root
    }

    /// Makes another item the root.
    pub(crate) fn set_root(&mut self, root: Ref) {
        self.root = root;
    }

    /// The item at a place; `None` where there is none.
    pub(crate) fn get(&self, at: Ref) -> &Item<'a> {
        self.items.get(at as usize).unwrap_or(&Item::None)
    }

    /// The item at a place, to be changed for all that point to it. Nothing for the few items
    /// (`None`, the booleans, the empty tuple) that are there once for everybody.
    pub(crate) fn get_mut(&mut self, at: Ref) -> Option<&mut Item<'a>> {
        if (at as usize) < FIXED.len() { None } else { self.items.get_mut(at as usize) }
    }

    /// Adds an item.
    pub(crate) fn add(&mut self, item: Item<'a>) -> Ref {
        let at = Ref::try_from(self.items.len()).unwrap_or(Ref::MAX);
        // The last place stays empty: it is what stands for "nowhere".
        if at < Ref::MAX {
            self.items.push(item);
        }
        at
    }

    /// Python's `None`.
    #[allow(clippy::unused_self)] // As all items: `pickle.none()`.
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

    /// A string. A short one that was added before is shared.
    pub(crate) fn str(&mut self, text: impl Into<Cow<'a, str>>) -> Ref {
        self.add_once(Item::Str(text.into()))
    }

    /// The name of a class or function. One that was added before is shared.
    pub(crate) fn global(
        &mut self,
        module: impl Into<Cow<'a, str>>,
        name: impl Into<Cow<'a, str>>,
    ) -> Ref {
        self.add_once(Item::Global { module: module.into(), name: name.into() })
    }

    /// The value of a string key of a dict, or of the dict that is an object's state. Of several
    /// equal keys the last counts, as in Python. Takes time linear in the dict's length.
    pub(crate) fn field(&self, of: Ref, name: &str) -> Option<Ref> {
        let Item::Dict(pairs) = self.get(self.dict_of(of)) else { return None };
        let position = self.position(pairs, name)?;
        pairs.get(position).map(|(_, value)| *value)
    }

    /// Points a field to another value, adding it where there is none. `false`, and nothing is
    /// changed, if this is no dict and no object with a dict as its state.
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

    /// The module and name of an object's class, or of a global. Nothing for an object made by
    /// what is itself an object.
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

    /// Copies an item of another pickle and all that it points to. What is shared there is
    /// shared here; short strings and classes also with what was copied or added before.
    pub(crate) fn copy_from(&mut self, other: &Pickle<'_>, from: Ref) -> Ref {
        let mut copy = Copy { copied: FxHashMap::default(), waiting: Vec::new() };
        let root = self.place(other, from, &mut copy);
        while let Some((from, to)) = copy.waiting.pop() {
            let mut item = other.get(from).clone().into_owned();
            item.each_ref_mut(|inner| *inner = self.place(other, *inner, &mut copy));
            if let Some(slot) = self.get_mut(to) {
                *slot = item;
            }
        }
        root
    }

    /// The same, borrowing nothing.
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

    /// Where an item of another pickle comes to stand in this one.
    fn place(&mut self, other: &Pickle<'_>, from: Ref, copy: &mut Copy) -> Ref {
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
                copy.waiting.push((from, to));
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

    /// An equal item with this hash. What stands there is compared: it may have been changed.
    fn find(&self, item: &Item<'_>, hash: u64) -> Option<Ref> {
        self.known.get(&hash).copied().filter(|at| self.get(*at) == item)
    }
}

/// A copy that is under way: what stands where, and what is still to be filled in.
struct Copy {
    copied: FxHashMap<Ref, Ref>,
    waiting: Vec<(Ref, Ref)>,
}

/// For the items that it pays to have once: they recur, and cannot be changed by Python.
fn hash_of(item: &Item<'_>) -> Option<u64> {
    match item {
        Item::Str(text) if text.len() <= SHORT_BYTES => Some(FxBuildHasher.hash_one(text)),
        Item::Global { module, name } => Some(FxBuildHasher.hash_one((module, name))),
        _ => None,
    }
}
