//! What can be wrong with a line.

use thiserror::Error;

/// Why a line cannot be used.
#[derive(Debug, Error)]
pub enum LineError {
    #[error("a line of {0} bytes is not a record")]
    Shape(usize),
    #[error("the checksum does not match")]
    Checksum,
    #[error("a sound record cannot be understood: {0}")]
    Content(String),
}

impl LineError {
    pub(super) fn content(problem: impl ToString) -> Self {
        LineError::Content(problem.to_string())
    }
}
