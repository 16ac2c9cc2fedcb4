//! The layout of NePS 0.12: a directory for each trial, whose files say how far it has come.
//!
//! NePS computes a trial's state from which files are there and who holds its lock, and keeps
//! neither who evaluates it nor how often that was tried. So here our own journal is the truth of all that
//! trialmill did, and NePS's files are written beside it; what NePS did is found by looking, and is
//! told in the journal as well (`put`). So every process has the same history, and nothing that 0.12
//! has no word for is lost.

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
