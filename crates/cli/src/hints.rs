//! Adds to an error which of the program's verbs helps. The library does not know the verbs.

use std::fmt;

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

fn of(error: &Error) -> &'static str {
    match error {
        Error::Store(error) => of_store(error),
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
    }
}

fn of_store(error: &StoreError) -> &'static str {
    match error {
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
    }
}
