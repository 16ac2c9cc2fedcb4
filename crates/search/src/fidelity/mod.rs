//! Multi-fidelity: much is begun and little is finished.
//!
//! A trial here is a configuration at a rung; its id is `3_rung_1` in NePS, and it continues
//! `3_rung_0`. Rungs, sizes of brackets and the order of things are NePS's.

mod asynchronous;
mod brackets;
mod freeze_thaw;
mod rungs;
mod sampler;
#[cfg(test)]
mod tests;

pub use asynchronous::{Asha, AsyncHyperband};
pub use brackets::{Hyperband, PriorBand, SuccessiveHalving};
pub use freeze_thaw::FreezeThaw;
pub use sampler::Sampler;
