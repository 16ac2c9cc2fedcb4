//! Why trials failed and crashed, each kind once.

use std::collections::HashMap;

use serde::Serialize;

use crate::live::Live;

/// Kinds that are told apart.
const KINDS: usize = 64;
/// Characters of a message that tell one kind from another.
const MESSAGE: usize = 120;

/// One kind of error.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ErrorKind {
    /// `exit`, `signal`, `timeout`, an exception's class.
    pub err_type: String,
    /// The message of the last one: its first line.
    pub message: String,
    /// How many trials are in such a state now.
    pub count: u64,
    /// The last of them.
    pub trial: String,
    /// When it ended.
    pub time: Option<f64>,
}

/// The errors of the trials that are failed or crashed now, the most frequent first.
pub fn errors(live: &Live) -> Vec<ErrorKind> {
    if live.study().errors() == 0 {
        return Vec::new();
    }
    let mut kinds: HashMap<(&str, String), ErrorKind> = HashMap::new();
    for trial in live.study().trials().iter().filter(|trial| trial.state.is_error()) {
        let failure = trial.report.as_ref().and_then(|report| report.failure.as_deref());
        let err_type = failure.map_or("", |failure| &*failure.err_type);
        let err_type = if err_type.is_empty() { trial.state.name() } else { err_type };
        let line = failure.and_then(|failure| failure.err.lines().next()).unwrap_or("");
        let line: String = line.chars().take(MESSAGE).collect();
        // `loss is nan at step 17` and `… at step 18` are of one kind.
        let shape = line.chars().filter(|c| !c.is_ascii_digit()).collect();
        let key =
            match kinds.len() < KINDS || kinds.contains_key(&(err_type, String::clone(&shape))) {
                true => (err_type, shape),
                false => ("other", String::new()),
            };
        let name = key.0;
        let kind = kinds.entry(key).or_insert_with(|| ErrorKind {
            err_type: name.into(),
            message: String::new(),
            count: 0,
            trial: String::new(),
            time: None,
        });
        kind.count += 1;
        if trial.metadata.time_end >= kind.time {
            kind.time = trial.metadata.time_end;
            kind.trial = trial.id.to_string();
            kind.message = line;
        }
    }
    let mut kinds: Vec<ErrorKind> = kinds.into_values().collect();
    kinds.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.err_type.cmp(&b.err_type)));
    kinds
}
