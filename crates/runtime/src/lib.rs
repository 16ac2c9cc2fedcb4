//! The actors: this crate alone uses actix.
//!
//! ```text
//! WorkerActor                            StateActor (a thread of its own)            disk
//!  reports, and the next request  ────────► collect until the mailbox is empty
//!                                        begin: lock, catch up on others' events
//!                                        decide each command → events → apply
//!                                        commit: one write, unlock, one sync ──────► journal
//!  answers                     ◄──────── only now
//!  evaluate, outside every lock: on a thread of the worker, or as a task
//! ```

mod actions;
pub mod actor;
mod allowance;
mod builder;
mod chosen;
mod client;
mod core;
mod direct;
mod enlisted;
mod error_log;
pub mod evaluate;
mod handle;
mod hooks;
mod lately;
mod membership;
mod message;
mod named;
mod open;
mod optimizer;
mod options;
mod outcome;
mod parked;
mod pruning;
mod published;
mod reclaim;
mod regret;
mod sampling;
mod session;
mod signals;
mod slot_claims;
mod slots;
mod spec;
mod state;
mod stop_rules;
mod summary_keeper;
mod warm_start;
mod watch;
mod worker;
mod worker_actor;

pub use actions::{Action, More};
pub use builder::StudyBuilder;
pub use client::{AskOutcome, Client, Exchange, ReportOutcome, StepOutcome};
pub use core::StateCore;
pub use direct::{Direct, DirectClient};
pub use handle::{StudyHandle, ToSession};
pub use hooks::{EvaluationHook, EventHook, Hooks, PreLoadHook, SamplingHook};
pub use named::{named_optimizer, optimizer_of};
pub use options::RunOptions;
pub use outcome::Outcome;
pub use published::Snapshot;
pub use session::Session;
pub use slots::Slots;
pub use spec::{EvaluationChanges, StudySpec};
pub use stop_rules::OnError;
pub use trialmill_core::evaluation::{Evaluation, OnPrune};
