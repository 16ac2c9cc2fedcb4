//! Where a study's events are kept: lock → catch up → stage → commit.
//!
//! Only this crate and the layouts built on it touch the study's files, and it knows nothing about
//! messages. The state actor alone owns a [`Store`]. [`JournalStore`] is trialmill's own;
//! [`MemoryStore`] keeps nothing. Other [`Layout`]s bring their own stores.

mod attempt_files;
mod check;
pub mod clock;
mod contract;
mod copy;
mod create;
mod decoders;
mod delete;
mod described;
mod disk;
mod file_system;
mod finding;
mod follow;
mod job;
mod journal;
mod journal_layout;
mod layout;
mod liveness;
mod lock;
mod memory;
mod open;
mod place;
pub mod plain;
mod poison;
mod reader;
mod replace;
mod section;
#[cfg(feature = "sim")]
mod sim_disk;
#[cfg(feature = "sim")]
mod sim_machine;
#[cfg(feature = "sim")]
mod sim_network;
mod tail;
mod unfinished;
mod watched;

pub use attempt_files::{AttemptFiles, Stream};
pub use check::{
    JOURNAL, JournalCheck, JournalEnd, Repair, Rescued, check_entries, check_journal, lock_name,
};
pub use contract::{Apply, Durability, Purpose, Replica, Store};
pub use copy::copy_trial_files;
pub use disk::drop_cache;
pub use disk::{Disk, RealDisk};
pub use file_system::FileSystem;
pub use finding::{Finding, FindingKind};
pub use follow::{Follower, News};
pub use job::{job_of, own_job};
pub use journal::JournalStore;
pub use journal_layout::JournalLayout;
pub use layout::{Directory, Layout, Layouts};
pub use liveness::{Heartbeats, Liveness, Machine, Presence, Watcher};
pub use lock::FileLock;
pub use lock::{is_flocked_here, is_held};
pub use memory::MemoryStore;
pub use open::has_own_files;
pub use place::{Identity, Place};
pub use poison::Guarded;
pub use reader::read_journal;
pub use reader::read_study;
pub use replace::{replace, sync_parent};
pub use section::Section;
#[cfg(feature = "sim")]
pub use sim_disk::{CrashImage, Fault, SimDisk};
#[cfg(feature = "sim")]
pub use sim_network::{SimClient, SimServer};
pub use watched::stamp;
