//! What is done to the study from here, and how a configuration is typed.

use std::path::Path;

use serde_json::{Map, Value as Json};
use trialmill_core::config::Config;
use trialmill_core::{json, notation};
use trialmill_runtime::{Action, DirectClient};

/// Does it; says what was done.
pub(crate) fn carry_out(dir: &Path, action: Action) -> Result<String, String> {
    let client = DirectClient::open(dir).map_err(|error| error.to_string())?;
    client.act(action).map_err(|error| error.to_string())
}

/// A configuration as a person may type it: `lr=0.01 layers=2` where that is plain, else JSON.
pub(crate) fn typed(config: &Config) -> String {
    let plain = |text: &str| !text.is_empty() && !text.contains([' ', '\t', '=', '"', '{']);
    let words: Vec<(&str, String)> =
        config.iter().map(|(name, value)| (name, value.to_string())).collect();
    if words.iter().all(|(name, value)| plain(name) && plain(value)) {
        let words: Vec<String> =
            words.iter().map(|(name, value)| format!("{name}={value}")).collect();
        return words.join(" ");
    }
    serde_json::to_string(config).unwrap_or_default()
}

/// What was typed, as values.
pub(crate) fn values(text: &str) -> Result<Map<String, Json>, String> {
    if text.trim_start().starts_with('{') {
        let json = json::read(text)?;
        return notation::as_object(&json).ok_or_else(|| "a configuration is an object".into());
    }
    let mut values = Map::new();
    for word in text.split_whitespace() {
        let (name, value) =
            word.split_once('=').ok_or_else(|| format!("'{word}' is not NAME=VALUE"))?;
        if values.insert(name.into(), value.into()).is_some() {
            return Err(format!("{name} stands there twice"));
        }
    }
    Ok(values)
}
