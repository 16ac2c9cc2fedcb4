//! The built-in optimizers, one algorithm per file, and the registry of their names.

mod grid_search;
mod learner;
pub mod pruners;
mod random_search;
mod registry;
mod regret;
mod written;

pub use grid_search::GridSearch;
pub use learner::{Learner, chosen_by_auto};
pub use random_search::RandomSearch;
pub use registry::{Elsewhere, built_in, default, from_info, of_study};
pub use regret::RegretModel;
