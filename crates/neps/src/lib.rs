//! The layouts that NePS workers share: their files, their locks, their order of things.
//!
//! NePS's trial cache is the truth, and each trial's directory a copy of it. A turn here is as in the
//! journal: lock, read what others appended, append, unlock, sync.

mod cache;
mod check;
mod create;
mod errors;
mod extras;
mod files;
mod json;
mod layouts;
mod lock;
mod mend;
mod pickle;
mod plain_data;
mod python_turns;
mod read;
mod record;
mod space;
mod state;
mod store;
mod v0_12;
mod value;
mod version;
mod yaml;

pub use layouts::LAYOUTS;
