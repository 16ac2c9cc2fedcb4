//! The pages of studies: a web server for one person's own browser.
//!
//! It reads what the studies append, from any process, without a lock, and writes nothing but what an
//! action asks for, which goes through the study's own commands as an event in its journal. Everything
//! that it sends is in the program; a page loads nothing from elsewhere.

mod actions;
mod api;
mod assets;
mod columns;
mod events;
mod form;
mod guard;
mod metrics;
mod page_of_trials;
mod serve;
mod shared;
mod studies;

pub use serve::{Bind, ServeOptions, serve};
