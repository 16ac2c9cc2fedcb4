//! Conditional parameters: those that a configuration has only where others have certain values.

use crate::config::Value;

/// What another parameter must be, so that this one is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// The other parameter.
    pub parameter: String,
    /// It has one of these values.
    pub values: Vec<Value>,
}

/// The conditional parameters of a space, each behind those that it depends on: its place, and for each
/// of its conditions the other's place and values.
pub(super) type Order = Vec<(usize, Vec<(usize, Vec<Value>)>)>;

impl Condition {
    /// Whether it is the same, with its values in whatever order.
    pub(super) fn is_same(&self, other: &Condition) -> bool {
        self.parameter == other.parameter
            && self.values.len() == other.values.len()
            && self.values.iter().all(|value| other.values.contains(value))
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let values: Vec<String> = self.values.iter().map(Value::to_string).collect();
        write!(f, "{} is {}", self.parameter, values.join(" or "))
    }
}
