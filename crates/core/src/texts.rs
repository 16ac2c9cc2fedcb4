//! Texts that come again and again, kept once.

use arcstr::ArcStr;
use rustc_hash::FxHashSet;

use crate::limits::SHARED_TEXTS;

/// The texts that were seen so far.
#[derive(Debug, Default)]
pub struct Texts(FxHashSet<ArcStr>);

impl Texts {
    /// The one copy of a text. Once there are very many, those that come new are not shared.
    pub fn share(&mut self, text: &str) -> ArcStr {
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new: ArcStr = text.into();
        if self.0.len() < SHARED_TEXTS {
            self.0.insert(new.clone());
        }
        new
    }
}
