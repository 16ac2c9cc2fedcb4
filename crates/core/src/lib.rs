//! The pure core of trialmill: the vocabulary (search spaces, configurations, trials, events,
//! budgets), and [`study`], which holds the state of a study and decides what happens to it. Nothing
//! in this crate touches a file, a thread or a clock.

pub mod budget;
pub mod config;
pub mod definition;
pub mod error;
pub mod evaluation;
pub mod event;
pub mod interner;
pub mod json;
pub mod limits;
pub mod notation;
pub mod objectives;
pub mod optimizer;
pub mod printable;
pub mod pruner;
pub mod space;
pub mod stopping;
pub mod study;
pub mod trial;
pub mod warm_start;
pub mod words;
