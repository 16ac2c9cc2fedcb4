//! The built-in optimizers, one algorithm per file, and the registry of their names.

mod grid_search;
mod random_search;
mod registry;

pub use grid_search::GridSearch;
pub use random_search::RandomSearch;
pub use registry::{BUILT_IN, Elsewhere, from_info, of_study};
