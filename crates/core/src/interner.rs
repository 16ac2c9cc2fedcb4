//! Interns what repeats: worker names, categorical choices.

use std::borrow::Borrow;
use std::hash::Hash;

use rustc_hash::FxHashSet;

use crate::limits::MAX_INTERNED;

/// The strings interned so far, as shared values of type `T`.
#[derive(Debug)]
pub struct Interner<T>(FxHashSet<T>);

// Derived, it would ask for a default of `T`.
impl<T> Default for Interner<T> {
    fn default() -> Self {
        Interner(FxHashSet::default())
    }
}

impl<T: Clone + Eq + Hash + Borrow<str> + for<'a> From<&'a str>> Interner<T> {
    /// The shared copy of a string. Above [`MAX_INTERNED`] strings, new ones get a copy of their own,
    /// so that a study with a million distinct strings does not grow this table without bound.
    pub fn intern(&mut self, text: &str) -> T {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new = T::from(text);
        if self.0.len() < MAX_INTERNED {
            self.0.insert(new.clone());
        }
        new
    }
}
