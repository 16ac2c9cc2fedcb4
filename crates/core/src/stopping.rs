//! Ending a study before its budget is used: when, and why it was.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::notation;
use crate::objectives::Objectives;

/// What ends a study before its budget is used.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopEarly {
    /// An objective as good as this, or better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<f64>,
    /// So many evaluations that ended one after the other without a better result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluations_without_improvement: Option<u64>,
    /// So long without a better result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_without_improvement: Option<f64>,
    /// The best result is, very probably, no further than this from the best there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regret_bound: Option<RegretBound>,
}

/// How small the upper bound on the regret has to be: on how much worse the best result so far is than the
/// best that there is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(into = "Json", try_from = "Json")]
pub enum RegretBound {
    /// So small, in the objective's own unit.
    AtMost(f64),
    /// Below what is uncertain of the best result itself, whose steps are the values of its folds
    /// (cross-validation): then a smaller regret could not be told from chance.
    FoldError,
}

/// What a regret below the error of the folds is called.
const FOLD_ERROR: &str = "fold_error";

impl From<RegretBound> for Json {
    fn from(bound: RegretBound) -> Self {
        match bound {
            RegretBound::AtMost(regret) => notation::real(regret),
            RegretBound::FoldError => FOLD_ERROR.into(),
        }
    }
}

impl TryFrom<Json> for RegretBound {
    type Error = String;

    fn try_from(json: Json) -> Result<Self, String> {
        match (notation::as_f64(&json), json.as_str()) {
            (Some(regret), _) => Ok(RegretBound::AtMost(regret)),
            (_, Some(FOLD_ERROR)) => Ok(RegretBound::FoldError),
            _ => Err(format!("regret_bound is a number, or {FOLD_ERROR}, not {json}")),
        }
    }
}

impl std::str::FromStr for RegretBound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse::<f64>().map(RegretBound::AtMost);
        number.or_else(|_| RegretBound::try_from(Json::from(text)))
    }
}

impl StopEarly {
    /// Whether nothing is set.
    pub fn is_unset(&self) -> bool {
        *self == StopEarly::default()
    }

    /// The first limit that makes no sense, and why.
    ///
    /// # Errors
    /// Which one.
    pub fn check(&self) -> Result<(), String> {
        let wrong = |name: &str, what: &str| Err(format!("stop_early: {name} must be {what}"));
        // JSON has no infinity: what is stored of one is none.
        if self.target.is_some_and(|target| !target.is_finite()) {
            return wrong("target", "a finite number");
        }
        if self.evaluations_without_improvement == Some(0) {
            return wrong("evaluations_without_improvement", "1 or more");
        }
        let seconds = self.seconds_without_improvement;
        if seconds.is_some_and(|seconds| !seconds.is_finite() || seconds <= 0.0) {
            return wrong("seconds_without_improvement", "a number above 0");
        }
        if let Some(RegretBound::AtMost(regret)) = self.regret_bound
            && !(regret.is_finite() && regret > 0.0)
        {
            return wrong("regret_bound", "a number above 0, or fold_error");
        }
        Ok(())
    }

    /// The same, for a study with these objectives: what is asked of one is not asked of several.
    ///
    /// # Errors
    /// Which one, and why.
    pub fn check_for(&self, objectives: &Objectives) -> Result<(), String> {
        self.check()?;
        let of_one = match (self.target, self.regret_bound) {
            (Some(_), _) => "target",
            (_, Some(_)) => "regret_bound",
            _ => return Ok(()),
        };
        match objectives.count() {
            Some(count @ 2..) => {
                Err(format!("stop_early: {of_one} is for one objective, and the study has {count}"))
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for StopEarly {
    /// What ends the study, after "ends early".
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = [
            self.target.map(|target| format!("at the target {target}")),
            self.evaluations_without_improvement
                .map(|n| format!("after {n} evaluations without a better result")),
            self.seconds_without_improvement
                .map(|seconds| format!("after {seconds} s without a better result")),
            self.regret_bound.map(|bound| match bound {
                RegretBound::AtMost(regret) => format!("at a regret of at most {regret}"),
                RegretBound::FoldError => "at a regret below the folds' error".into(),
            }),
        ];
        f.write_str(&words.into_iter().flatten().collect::<Vec<_>>().join(", or "))
    }
}

/// Why a study ended before its budget was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EarlyEnd {
    /// An objective was as good as the target.
    Target,
    /// Nothing became better for as many evaluations as were set, or for as long.
    NoImprovement,
    /// The best result is, very probably, as near to the best there is as was set.
    RegretBound,
}

impl std::fmt::Display for EarlyEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            EarlyEnd::Target => "the target is reached",
            EarlyEnd::NoImprovement => "nothing becomes better any more",
            EarlyEnd::RegretBound => "the bound on the regret is small enough",
        })
    }
}
