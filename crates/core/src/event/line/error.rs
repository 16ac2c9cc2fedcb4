//! What can be wrong with a line.

use thiserror::Error;

/// Why a line cannot be used.
#[derive(Debug, Error)]
pub enum LineError {
    /// It does not have the shape of a record: too short, too long, or without the fixed head.
    #[error("a line of {0} bytes is not a record")]
    Shape(usize),
    /// It has the shape of a record, but its bytes are not those that were written.
    #[error("the checksum does not match")]
    Checksum,
    /// The checksum matches, but this version cannot interpret what the record contains.
    #[error("a sound record cannot be understood: {0}")]
    Content(String),
}

impl LineError {
    pub(super) fn content(problem: impl ToString) -> Self {
        LineError::Content(problem.to_string())
    }
}
