//! Texts that come again and again, kept once.

use arcstr::ArcStr;
use rustc_hash::FxHashSet;

use crate::limits::MAX_INTERNED;

/// The texts that were seen so far.
#[derive(Debug, Default)]
pub struct Interner(FxHashSet<ArcStr>);

impl Interner {
    /// The one copy of a text. Once there are very many, those that come new are not shared.
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
