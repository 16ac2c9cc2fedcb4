//! `.optimizer_state.yaml`: the total cost of all trials, at which NePS 0.12 stops; and in 0.12.0 its
//! random state, which is preserved unchanged.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::replace;
use crate::unusable::Unusable;
use crate::value::Value;
use crate::yaml;
use trialmill_core::budget::Budget;
use trialmill_core::limits::MAX_NEPS_TEXT_BYTES;
use trialmill_store::plain;

const USED: &str = "used_budget";
const REMAINING: &str = "remaining_budget";

/// The file. It exists only once a trial has reported a cost, or NePS has sampled: 0.12.0 cannot read
/// one without its random state.
#[derive(Debug)]
pub(crate) struct Spending {
    path: PathBuf,
}

impl Spending {
    pub(crate) fn new(root: &Path) -> Self {
        Spending { path: root.join(".optimizer_state.yaml") }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its content, if the file exists.
    ///
    /// # Errors
    /// It is empty, or makes no sense; or it cannot be read.
    pub(super) fn read(&self) -> Result<Option<Value>, Unusable> {
        let bytes = match plain::read(&self.path, MAX_NEPS_TEXT_BYTES as u64) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let value = yaml::read(&bytes).map_err(|error| error.to_string())?;
        match value.get(USED).and_then(Value::as_f64) {
            Some(_) => Ok(Some(value)),
            None => Err(format!("it has no {USED}").into()),
        }
    }

    /// The cost limit with which NePS runs. NePS stores only its two parts, the spent and the
    /// remaining cost, so this rounds their sum.
    pub(crate) fn budget(&self) -> Budget {
        let value = self.read().ok().flatten();
        let number = |key: &str| value.as_ref()?.get(key)?.as_f64();
        let cost = number(USED).zip(number(REMAINING)).map(|(used, left)| used + left);
        let short = |cost: f64| format!("{cost:.12e}").parse().ok();
        let cost = cost.filter(|cost| cost.is_finite() && *cost >= 0.0).and_then(short);
        Budget { cost, ..Budget::default() }
    }

    /// What was used so far, as far as that can be read.
    pub(super) fn used(&self) -> f64 {
        let value = self.read().ok().flatten();
        value.and_then(|value| value.get(USED)?.as_f64()).unwrap_or(0.0)
    }

    /// Adds a cost; returns what was used before.
    pub(super) fn add(&self, cost: f64, max: Option<f64>) -> io::Result<f64> {
        let value = match self.read() {
            Ok(value) => value,
            Err(Unusable::Unreadable(error)) => return Err(error),
            Err(Unusable::Damaged(_)) => None,
        };
        let used = value.as_ref().and_then(|value| value.get(USED)?.as_f64()).unwrap_or(0.0);
        self.write(value, used + cost, max)?;
        Ok(used)
    }

    /// Writes what was used, and preserves everything else in the file.
    pub(super) fn write(
        &self,
        before: Option<Value>,
        used: f64,
        max: Option<f64>,
    ) -> io::Result<()> {
        let mut pairs = match before {
            Some(Value::Map(pairs)) => pairs,
            _ => Vec::new(),
        };
        pairs.retain(|(key, _)| ![Some(USED), Some(REMAINING)].contains(&key.as_str()));
        pairs.push((USED.into(), Value::Float(used)));
        pairs.extend(max.map(|max| (REMAINING.into(), Value::Float(max - used))));
        replace(&self.path, &yaml::write_pure(&Value::Map(pairs)))
    }
}
