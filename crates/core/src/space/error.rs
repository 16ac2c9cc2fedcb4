//! What can be wrong with the description of a space.

use thiserror::Error;

/// Describing a search space.
#[derive(Debug, Clone, Error, PartialEq)]
#[non_exhaustive]
pub enum SpaceError {
    /// One parameter is described wrongly.
    #[error("parameter '{name}': {problem}")]
    Parameter {
        /// The parameter.
        name: String,
        /// What is wrong, and what is allowed.
        problem: String,
    },
    /// The space as a whole is wrong.
    #[error("the search space {0}")]
    Whole(String),
}

impl SpaceError {
    pub(super) fn at(name: &str, problem: impl Into<String>) -> Self {
        SpaceError::Parameter { name: name.into(), problem: problem.into() }
    }
}
