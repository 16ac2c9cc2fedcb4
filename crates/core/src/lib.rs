//! What a study is made of. The words: spaces, configurations, trials, events, budgets. And
//! [`study`], which knows and decides. All of it is pure: no file, no thread, no clock.

pub mod budget;
pub mod config;
pub mod definition;
pub mod error;
pub mod event;
pub mod interner;
pub mod limits;
pub mod optimizer;
pub mod printable;
pub mod space;
pub mod study;
pub mod trial;
