//! Adds to an error which of the program's verbs helps. The library does not know the verbs.

use std::borrow::Cow;
use std::fmt;
use std::path::Path;

use trialmill::Error;
use trialmill_core::error::{EvaluateError, StoreError, StudyError};

/// An error as the program prints it.
pub(crate) struct Hinted<'a, E>(pub(crate) &'a E);

impl fmt::Display for Hinted<'_, Error> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, of(self.0))
    }
}

impl fmt::Display for Hinted<'_, StoreError> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, of_store(self.0))
    }
}

/// How many entries of a directory are looked at for a study.
const MOST_ENTRIES: usize = 1_000;

fn of(error: &Error) -> Cow<'static, str> {
    let hint = match error {
        Error::Store(error) => return of_store(error),
        Error::Study(StudyError::UnknownTrial(_)) => "; `trialmill trials` lists them",
        Error::Study(StudyError::UnknownSpace { .. }) => {
            ". Give the study file once (`trialmill worker DIR --space study.yaml`)"
        }
        Error::Evaluate(EvaluateError::NoCommand) => {
            ": give one after `--`, or as `command:` in the study file"
        }
        Error::NothingSucceeds { .. } => {
            "\nMend the cause, then run the same command again (`trialmill retry` gives the failed \
             trials back)."
        }
        _ => "",
    };
    hint.into()
}

fn of_store(error: &StoreError) -> Cow<'static, str> {
    let hint = match error {
        StoreError::NotAStudy { path, .. } => return where_studies_are(path).into(),
        StoreError::Mismatch { what, .. } if what.contains("search space") => {
            "\nUse another directory, or open the study as it is (`trialmill worker`). \
             `trialmill set DIR --space FILE` changes the space in place where all trials are in the new \
             one, `trialmill convert` in a copy."
        }
        StoreError::Mismatch { .. } => {
            "\nUse another directory, or open the study as it is (`trialmill worker`)."
        }
        StoreError::Newer { .. } => " (`trialmill status` and `trialmill trials` read it.)",
        StoreError::Damaged { .. } => {
            " `trialmill trials --json` still exports what precedes that byte."
        }
        _ => "",
    };
    hint.into()
}

/// What to name instead of a directory that is no study.
fn where_studies_are(path: &Path) -> String {
    let is_study = |path: &Path| path.join("study.json").is_file();
    // One that is there and does not read is another matter.
    if is_study(path) {
        return String::new();
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().take(MOST_ENTRIES).flatten();
    let mut below: Vec<String> = entries
        .filter(|entry| is_study(&entry.path()))
        .map(|entry| entry.path().display().to_string())
        .collect();
    below.sort();
    match &below[..] {
        [] => ". Name the directory of a study; `trialmill run` and `trialmill create` make one"
            .into(),
        [one] => format!(". There is a study below it: {one}"),
        [first, .., last] => {
            format!(". There are {} studies below it, from {first} to {last}", below.len())
        }
    }
}
