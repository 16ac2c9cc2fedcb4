//! The actors, and all that knows of actix.
//!
//! ```text
//! WorkerActor, or a worker's thread      StateActor (a thread of its own)            disk
//!  reports, and the next wish  ────────► collect until the mailbox is empty
//!                                        begin: lock, catch up on what others did
//!                                        decide each command → events → apply
//!                                        commit: one write, unlock, one sync ──────► journal
//!  answers                     ◄──────── only now
//!  evaluate, outside every lock
//! ```

mod builder;
mod client;
mod command_worker;
mod core;
mod direct;
mod handle;
mod message;
mod optimizer;
mod outcome;
mod published;
mod reclaim;
mod rules;
mod session;
mod signals;
mod state;
mod watch;
mod worker;

pub use builder::{SamplingHook, StudyBuilder};
pub use client::{AskOutcome, Client, Exchange, ReportOutcome};
pub use core::{EventHook, StateCore};
pub use direct::{Direct, DirectClient};
pub use handle::{StudyHandle, ToSession};
pub use outcome::Outcome;
pub use published::Snapshot;
pub use rules::OnError;
pub use session::Session;
pub use worker::EvaluationHook;
