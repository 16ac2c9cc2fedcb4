//! Arguments of algorithms, as a study file spells them.

use serde::Serialize;
use serde_json::Value as Json;

/// The arguments of an algorithm as JSON.
pub(crate) fn arguments<T: Serialize>(algorithm: &T) -> Json {
    serde_json::to_value(algorithm).unwrap_or(Json::Null)
}
