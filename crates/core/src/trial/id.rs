//! Trial ids: `17`, `3_rung_1`, or a text that other tools chose.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::limits::MAX_ID_BYTES;

/// The id of a trial. The two forms that optimizers make take no memory of their own.
///
/// An id is also a directory's name, so it has only ASCII letters, digits, `_`, `-` and `.`, does
/// not begin with a dot, and is at most 128 bytes long.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TrialId {
    /// `17`: the 17th configuration.
    Number(u64),
    /// `3_rung_1`: the third configuration, at rung 1 of a multi-fidelity scheme.
    Rung(u64, u32),
    /// Anything else.
    Str(Arc<String>),
}

/// A text that cannot be a trial id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' cannot be a trial id: an id has 1 to 128 letters, digits, '_', '-' and '.', and does \
     not begin with a dot"
)]
pub struct InvalidTrialId(pub String);

impl TrialId {
    /// The number of the configuration, whatever its rung.
    pub fn number(&self) -> Option<u64> {
        match self {
            TrialId::Number(n) | TrialId::Rung(n, _) => Some(*n),
            TrialId::Str(_) => None,
        }
    }
}

impl fmt::Display for TrialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrialId::Number(n) => n.fmt(f),
            TrialId::Rung(n, rung) => f.pad(&format!("{n}_rung_{rung}")),
            TrialId::Str(text) => f.pad(text),
        }
    }
}

impl FromStr for TrialId {
    type Err = InvalidTrialId;

    fn from_str(text: &str) -> Result<Self, InvalidTrialId> {
        // Only the spelling that we would print: `007` stays a text, so ids survive unchanged.
        let number = |digits: &str| -> Option<u64> {
            let canonical = digits == "0" || !digits.starts_with(['0', '+']);
            digits.parse().ok().filter(|_| canonical)
        };
        if let Some(n) = number(text) {
            return Ok(TrialId::Number(n));
        }
        if let Some((n, rung)) = text.split_once("_rung_")
            && let (Some(n), Some(rung)) = (number(n), number(rung))
            && let Ok(rung) = u32::try_from(rung)
        {
            return Ok(TrialId::Rung(n, rung));
        }
        let fits = |c: u8| c.is_ascii_alphanumeric() || b"_-.".contains(&c);
        let valid = (1..=MAX_ID_BYTES).contains(&text.len())
            && !text.starts_with('.')
            && text.bytes().all(fits);
        if valid {
            Ok(TrialId::Str(Arc::new(text.into())))
        } else {
            Err(InvalidTrialId(text.chars().take(MAX_ID_BYTES).collect()))
        }
    }
}

impl Serialize for TrialId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TrialId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // A visitor, as a string that is read first would be copied.
        struct FromString;
        impl Visitor<'_> for FromString {
            type Value = TrialId;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a trial id")
            }
            fn visit_str<E: serde::de::Error>(self, string: &str) -> Result<TrialId, E> {
                string.parse().map_err(E::custom)
            }
        }
        from.deserialize_str(FromString)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_keep_their_spelling_and_cannot_leave_the_directory() {
        for text in ["0", "17", "3_rung_1", "007", "3_rung_01", "1__rung_0", "a.b-c_D", "+1x"] {
            match text.parse::<TrialId>() {
                Ok(id) => assert_eq!(id.to_string(), text),
                Err(_) => assert_eq!(text, "+1x"),
            }
        }
        assert_eq!("3_rung_1".parse(), Ok(TrialId::Rung(3, 1)));
        let long = "x".repeat(129);
        for bad in ["", ".", "..", "../x", "/abs", "a/b", "a\0b", "é", "a b", "\u{202e}1", &long] {
            assert!(bad.parse::<TrialId>().is_err(), "{bad:?}");
        }
        assert_eq!(size_of::<TrialId>(), 16);
    }
}
