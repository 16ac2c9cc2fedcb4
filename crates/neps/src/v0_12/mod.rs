//! The layout of NePS 0.12: a directory for each trial, whose files show the trial's progress.
//!
//! NePS derives a trial's state from which files exist and whether its lock is held. It records
//! neither which worker evaluates a trial nor how often that was tried. So here our own journal is
//! the truth of everything that trialmill did, and NePS's files are written in addition. What NePS
//! did is found by reading its files, and is then recorded in the journal as well (`put`). So every
//! process has the same history, and nothing is lost that 0.12 cannot represent.

mod check;
mod files;
mod found;
mod mend;
mod open;
mod read;
mod spending;
mod store;
mod text;

pub(crate) use check::check;
pub(crate) use read::read_study;
pub(super) use spending::Spending;
pub(super) use store::Neps012Store;
