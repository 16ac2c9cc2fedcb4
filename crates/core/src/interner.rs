//! Interns strings that repeat: worker names, categorical choices.

use arcstr::ArcStr;
use rustc_hash::FxHashSet;

use crate::limits::MAX_INTERNED;

/// The strings interned so far.
#[derive(Debug, Default)]
pub struct Interner(FxHashSet<ArcStr>);

impl Interner {
    /// The shared copy of a string. Above [`MAX_INTERNED`] strings, new ones get a copy of their own,
    /// so that a study with a million distinct strings does not grow this table without bound.
    pub fn intern(&mut self, text: &str) -> ArcStr {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new: ArcStr = text.into();
        if self.0.len() < MAX_INTERNED {
            self.0.insert(new.clone());
        }
        new
    }
}
