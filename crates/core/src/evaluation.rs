//! What evaluates trials where a command does: part of the study, so that every process runs the same,
//! and of each trial it is known what it ran.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::definition::Definition;
use crate::printable::printable;

/// What our own variables begin with; a command's environment is not to contradict them.
const OURS: &str = "TRIALMILL_";

/// How a study's trials are evaluated by a command. Recorded as an event, so all processes learn of a change
/// and use it from their next trial on; each attempt has the number of the one that it ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Evaluation {
    /// The command, with `{name}` for a parameter.
    pub command: Vec<String>,
    /// Where it runs, on the machines that have this directory; elsewhere, and if unset, in that of the
    /// process that starts it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// How long one evaluation may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<f64>,
    /// How long it may take to end after SIGTERM, before SIGKILL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_seconds: Option<f64>,
    /// What happens when its evaluation should end.
    #[serde(skip_serializing_if = "OnPrune::is_default")]
    pub on_prune: OnPrune,
    /// Variables that it gets besides those of the process that starts it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
}

/// Which evaluation the attempts of a worker have that asks for trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The study's, whichever that is by then.
    OfStudy,
    /// The one with this number.
    Number(u32),
}

/// What happens to a command when the pruner says that its evaluation should end. (A closure sees it with
/// `RunningTrial::should_prune`.)
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnPrune {
    /// It is ended: SIGTERM, and SIGKILL after the grace.
    #[default]
    Terminate,
    /// It is told so where it reads the answers to its steps, and ends by itself.
    Ask,
}

impl OnPrune {
    // serde passes a field by reference.
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_default(&self) -> bool {
        *self == OnPrune::default()
    }
}

impl Evaluation {
    /// As the description of a study has it that was created before this was an event; nothing where no
    /// command is kept.
    pub fn of_definition(definition: &Definition) -> Option<Self> {
        let kept = serde_json::Value::from(definition.evaluation.clone());
        let kept: Evaluation = serde_json::from_value(kept).ok()?;
        (!kept.command.is_empty()).then_some(kept)
    }

    /// Rejects values that no evaluation can have.
    ///
    /// # Errors
    /// Names the value, and what is allowed.
    pub fn check(&self) -> Result<(), String> {
        if self.command.iter().all(String::is_empty) {
            return Err("the command is empty: name a program".into());
        }
        if let Some(seconds) = self.timeout_seconds
            && self.timeout().is_none()
        {
            let what = if seconds > 0.0 { "of fewer than 2^64 seconds" } else { "above 0 seconds" };
            return Err(format!("the timeout must be {what}, not {seconds}"));
        }
        if let Some(seconds) = self.grace_seconds
            && Duration::try_from_secs_f64(seconds).is_err()
        {
            return Err(format!("the grace is a number of seconds from 0, not {seconds}"));
        }
        for (name, value) in &self.environment {
            let is_name = !name.is_empty() && !name.contains(['=', '\0']);
            if !is_name || name.starts_with(OURS) {
                return Err(format!(
                    "environment: '{name}' is no name for a variable{}",
                    if is_name { ": those with TRIALMILL_ are set for each trial" } else { "" }
                ));
            }
            if value.contains('\0') {
                return Err(format!("environment: the value of {name} has a zero byte"));
            }
        }
        Ok(())
    }

    /// How long one evaluation may take.
    pub fn timeout(&self) -> Option<Duration> {
        let timeout = Duration::try_from_secs_f64(self.timeout_seconds?).ok()?;
        (!timeout.is_zero()).then_some(timeout)
    }

    /// How long a command may take to end after SIGTERM.
    pub fn grace(&self) -> Duration {
        let grace = self.grace_seconds.and_then(|s| Duration::try_from_secs_f64(s).ok());
        grace.unwrap_or(crate::limits::KILL_GRACE)
    }

    /// All that is another in `new`, a line for each, as it was and as it is now.
    pub fn changes(&self, new: &Evaluation) -> Vec<String> {
        let none = || "none".to_string();
        let seconds = |s: Option<f64>| s.map_or_else(none, |s| format!("{s} s"));
        let grace = |of: &Evaluation| format!("{} s", of.grace().as_secs_f64());
        let place = |of: &Evaluation| of.directory.clone().unwrap_or_else(none);
        let pruned = |of: &Evaluation| match of.on_prune {
            OnPrune::Terminate => "terminate",
            OnPrune::Ask => "ask",
        };
        let names = |of: &Evaluation| match of.environment.is_empty() {
            true => none(),
            false => {
                of.environment.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" ")
            }
        };
        [
            ("command", line(&self.command), line(&new.command)),
            ("directory", place(self), place(new)),
            ("timeout", seconds(self.timeout_seconds), seconds(new.timeout_seconds)),
            ("grace", grace(self), grace(new)),
            ("on_prune", pruned(self).into(), pruned(new).into()),
            ("environment", names(self), names(new)),
        ]
        .into_iter()
        .filter(|(_, from, to)| from != to)
        .map(|(what, from, to)| format!("{what}: {from} → {to}"))
        .collect()
    }
}

impl std::fmt::Display for Evaluation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&line(&self.command))?;
        let mut rest = Vec::new();
        rest.extend(self.timeout_seconds.map(|seconds| format!("limit {seconds} s")));
        let grace = self.grace_seconds.filter(|_| self.grace() != crate::limits::KILL_GRACE);
        rest.extend(grace.map(|seconds| format!("grace {seconds} s")));
        rest.extend(self.environment.iter().map(|(name, value)| format!("{name}={value}")));
        rest.extend(self.directory.iter().map(|directory| format!("in {directory}")));
        if rest.is_empty() { Ok(()) } else { write!(f, "  ({})", rest.join(", ")) }
    }
}

/// The words of a command on a line, those that a shell would divide in quotes.
fn line(words: &[String]) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "_-+=./,:@%{}".contains(c);
    let quoted = words.iter().map(|word| match !word.is_empty() && word.chars().all(is_plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    });
    printable(&quoted.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &str) -> Evaluation {
        Evaluation {
            command: command.split(' ').map(String::from).collect(),
            ..Evaluation::default()
        }
    }

    #[test]
    fn what_no_evaluation_can_have_is_named() {
        assert_eq!(of("train").check(), Ok(()));
        let with = |change: fn(&mut Evaluation)| {
            let mut evaluation = of("train");
            change(&mut evaluation);
            evaluation.check().unwrap_err()
        };
        assert!(with(|e| e.command.clear()).contains("command"));
        assert!(with(|e| e.timeout_seconds = Some(0.0)).contains("timeout"));
        assert!(with(|e| e.timeout_seconds = Some(f64::NAN)).contains("timeout"));
        assert!(with(|e| e.grace_seconds = Some(-1.0)).contains("grace"));
        for (name, value) in [("", "1"), ("A=B", "1"), ("TRIALMILL_CONFIG", "x"), ("A", "\0")] {
            let mut evaluation = of("train");
            evaluation.environment.insert(name.into(), value.into());
            assert!(evaluation.check().unwrap_err().contains("environment"), "{name}");
        }
    }

    #[test]
    fn a_change_says_all_that_is_another_and_nothing_else() {
        assert_eq!(of("a").changes(&of("a")), [""; 0]);
        // The default, written out, is no change.
        let with_grace = Evaluation { grace_seconds: Some(5.0), ..of("a") };
        assert_eq!(of("a").changes(&with_grace), [""; 0]);
        let new = Evaluation { timeout_seconds: Some(7.0), ..of("b {x}") };
        assert_eq!(of("a").changes(&new), ["command: a → b {x}", "timeout: none → 7 s"]);
    }
}
