//! The actors: this crate alone uses actix.
//!
//! ```text
//! WorkerActor, or a worker's thread      StateActor (a thread of its own)            disk
//!  reports, and the next request  ────────► collect until the mailbox is empty
//!                                        begin: lock, catch up on others' events
//!                                        decide each command → events → apply
//!                                        commit: one write, unlock, one sync ──────► journal
//!  answers                     ◄──────── only now
//!  evaluate, outside every lock
//! ```

mod builder;
mod client;
mod core;
mod direct;
pub mod evaluate;
mod handle;
mod hooks;
mod message;
mod open;
mod optimizer;
mod options;
mod outcome;
mod process_worker;
mod published;
mod reclaim;
mod session;
mod signals;
mod spec;
mod state;
mod stop_rules;
mod watch;
mod worker;

pub use builder::StudyBuilder;
pub use client::{AskOutcome, Client, Exchange, ReportOutcome, StepOutcome};
pub use core::StateCore;
pub use direct::{Direct, DirectClient};
pub use handle::{StudyHandle, ToSession};
pub use hooks::{EvaluationHook, EventHook, Hooks, SamplingHook};
pub use options::RunOptions;
pub use outcome::Outcome;
pub use published::Snapshot;
pub use session::Session;
pub use spec::{Evaluation, StudySpec};
pub use stop_rules::OnError;
