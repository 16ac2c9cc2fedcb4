//! The layouts that NePS workers share: their files, their locks, their order of things.
//!
//! NePS's trial cache is the truth, and each trial's directory a copy of it. A turn here is as in the
//! journal: lock, read what others appended, append, unlock, sync.

mod cache;
mod check;
mod create;
mod errors;
mod files;
mod json;
mod lock;
mod mend;
mod mirror;
pub(super) mod old;
mod pickle;
mod plain_data;
mod read;
mod record;
mod space;
mod state;
mod store;
mod turns;
mod value;
mod yaml;

pub(super) use check::{check, set_cache_aside};
pub(super) use create::{budget, create, definition};
pub use old::OldStore;
pub(super) use old::read_study as read_old_study;
pub(super) use read::read_trials;
pub use store::NepsStore;

/// Something that changes when somebody else changes the cache.
pub(super) fn stamp(path: &std::path::Path) -> u64 {
    cache::Cache::stamp(path)
}
