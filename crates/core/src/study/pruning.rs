//! The study's pruner, where this process has one.

use crate::pruner::Pruner;

/// The pruner, where this process has one.
#[derive(Default)]
pub(super) struct Pruning(pub(super) Option<Box<dyn Pruner>>);

impl std::fmt::Debug for Pruning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_ref().map(|pruner| pruner.info()).fmt(f)
    }
}
