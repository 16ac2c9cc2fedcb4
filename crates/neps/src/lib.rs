//! The layouts that NePS workers share: their files, their locks, and the order of their writes.
//!
//! NePS's trial cache is the truth, and each trial's directory is a copy. A batch works as in the
//! journal: lock, read what others appended, append, unlock, sync.

mod cache;
mod check;
mod create;
mod delete;
mod errors;
mod extras;
mod files;
mod json;
mod layouts;
mod lock;
mod mend;
mod pickle;
mod plain_data;
mod pruned;
mod python_turns;
mod read;
mod record;
mod space;
mod staged;
mod state;
mod store;
mod structure;
mod summary;
mod uncharged;
mod unusable;
mod v0_12;
mod value;
mod version;
mod yaml;

pub use layouts::LAYOUTS;
pub use summary::write_summary;
