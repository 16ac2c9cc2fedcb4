//! One trial of a file that is imported.

use serde_json::{Map, Value as Json};

/// A row of the file: its place there, its values, and what else it says.
pub(super) struct Row {
    pub(super) place: String,
    pub(super) config: Map<String, Json>,
    pub(super) result: Map<String, Json>,
    pub(super) state: Option<String>,
}
