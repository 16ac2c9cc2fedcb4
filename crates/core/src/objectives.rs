//! The objectives of a study: what they are called, and which way each goes.
//!
//! An objective is stored and shown as it was given. What compares trials (the front, the optimizers,
//! pruners) sees [minimised](Objectives::minimised) values: smaller is better, whatever was given.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::limits::{MAX_ID_BYTES, MAX_OBJECTIVES};
use crate::words;

/// Which values of an objective are the better ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The smaller.
    #[default]
    Minimize,
    /// The greater.
    Maximize,
}

/// One objective.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Goal {
    /// What it is called, if it has a name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which values are better.
    #[serde(default)]
    pub direction: Direction,
}

/// The objectives of a study. One that says nothing about them has objectives without names, all
/// minimised, as many as its first success has.
///
/// Beside them a study may have constraints on its results: values that must be 0 or less. Of trials that
/// violate one none is the best.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Objectives {
    goals: Vec<Goal>,
    constraints: Vec<String>,
}

/// The keys of a result that mean something else.
const RESERVED: [&str; 15] = [
    "objective",
    "objectives",
    "objective_to_minimize",
    "cost",
    "learning_curve",
    "info_dict",
    "extra",
    "exception",
    "pruned",
    "constraints",
    "step",
    "id",
    "state",
    "err",
    "loss",
];

impl Direction {
    const WORDS: [&str; 2] = ["minimize", "maximize"];

    /// As a study file spells it.
    pub fn name(self) -> &'static str {
        Self::WORDS[self as usize]
    }

    fn of(json: &Json) -> Result<Self, String> {
        match json.as_str() {
            Some("minimize") => Ok(Direction::Minimize),
            Some("maximize") => Ok(Direction::Maximize),
            Some("min" | "minimise") => Err("the word is `minimize`".into()),
            Some("max" | "maximise") => Err("the word is `maximize`".into()),
            Some(word) => Err(words::unknown(word, "a direction", &Self::WORDS)),
            None => Err(format!("a direction is minimize or maximize, not {json}")),
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Objectives {
    /// These objectives.
    ///
    /// # Errors
    /// There are too many, or two have one name, or a name is empty or another key of a result.
    pub fn new(goals: impl IntoIterator<Item = Goal>) -> Result<Self, String> {
        Objectives { goals: goals.into_iter().collect(), constraints: Vec::new() }.checked()
    }

    /// One more, by its name.
    pub fn and(mut self, name: impl Into<String>, direction: Direction) -> Self {
        self.goals.push(Goal { name: Some(name.into()), direction });
        self
    }

    /// One constraint more, by its name.
    pub fn and_constraint(mut self, name: impl Into<String>) -> Self {
        self.constraints.push(name.into());
        self
    }

    /// The same, checked: [`and`](Self::and) takes every name.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn checked(self) -> Result<Self, String> {
        if self.goals.len().max(self.constraints.len()) > MAX_OBJECTIVES {
            return Err(format!("a study has at most {MAX_OBJECTIVES} of them"));
        }
        let names = self.goals.iter().filter_map(|goal| goal.name.as_ref());
        let names: Vec<&String> = names.chain(&self.constraints).collect();
        for (at, name) in names.iter().enumerate() {
            let is_sound = !name.is_empty()
                && name.len() <= MAX_ID_BYTES
                && !name.chars().any(|c| c.is_control() || c == '=');
            if !is_sound {
                return Err(format!(
                    "the name {name:?} is not one: 1 to {MAX_ID_BYTES} bytes, and neither `=` nor \
                     control characters"
                ));
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(format!(
                    "'{name}' means something else in a result: name it otherwise"
                ));
            }
            if names[..at].contains(name) {
                return Err(format!("the name '{name}' occurs twice"));
            }
        }
        Ok(self)
    }

    /// The names of the constraints, in order.
    pub fn constraints(&self) -> &[String] {
        &self.constraints
    }

    /// The same with these constraints: a name, or a list of names.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn with_constraints(mut self, json: &Json) -> Result<Self, String> {
        let names = match json {
            Json::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        let name = |json: &Json| json.as_str().map(str::to_string);
        self.constraints = names.iter().map(name).collect::<Option<_>>().ok_or(
            "names of values that must be 0 or less are needed, such as [memory_above_limit]",
        )?;
        self.checked()
    }

    /// The objectives in order; none where the study says nothing about them.
    pub fn goals(&self) -> &[Goal] {
        &self.goals
    }

    /// Whether nothing is said about them.
    pub fn is_unsaid(&self) -> bool {
        self.goals.is_empty()
    }

    /// How many there are, where that is said.
    pub fn count(&self) -> Option<usize> {
        (!self.goals.is_empty()).then_some(self.goals.len())
    }

    /// Checks that so many values are one for each objective, where it is said how many there are.
    ///
    /// # Errors
    /// Says how many there are of both.
    pub fn fit(&self, values: usize) -> Result<(), String> {
        match self.count() {
            Some(wanted) if wanted != values => {
                let ends = |count| if count == 1 { "" } else { "s" };
                let (v, o) = (ends(values), ends(wanted));
                Err(format!(
                    "a step with {values} value{v}, and the study has {wanted} objective{o}: {self}"
                ))
            }
            _ => Ok(()),
        }
    }

    /// Whether greater values are better in any of them.
    pub fn maximises(&self) -> bool {
        self.goals.iter().any(|goal| goal.direction == Direction::Maximize)
    }

    /// Which way the objective at this place goes.
    pub fn direction(&self, at: usize) -> Direction {
        self.goals.get(at).map_or(Direction::Minimize, |goal| goal.direction)
    }

    /// What the objective at this place is called.
    pub fn name(&self, at: usize) -> Option<&str> {
        self.goals.get(at)?.name.as_deref()
    }

    /// Objectives as people are shown them, with their names where they have some.
    pub fn shown(&self, given: &[f64]) -> String {
        let one = |(at, x): (usize, &f64)| match self.name(at) {
            Some(name) => format!("{name} {x:?}"),
            None => format!("{x:?}"),
        };
        let list = given.iter().enumerate().map(one).collect::<Vec<_>>().join(", ");
        match (given, self.name(0)) {
            ([_], _) | (_, Some(_)) => list,
            _ => format!("[{list}]"),
        }
    }

    /// What is said where no trial is the best, of so many that succeeded.
    pub fn why_none_is_best(&self, successes: u64) -> String {
        match (successes, self.constraints()) {
            (0, []) => "none yet".into(),
            (0, _) => "none yet that keeps to all constraints".into(),
            (1, []) => "none: the one success has an objective that is NaN".into(),
            (n, []) => format!("none: all {n} successes have an objective that is NaN"),
            (n, _) => format!("none yet that keeps to all constraints, of {n} that succeeded"),
        }
    }

    /// The place of the objective of that name.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.goals.iter().position(|goal| goal.name.as_deref() == Some(name))
    }

    /// Objectives as what compares trials must see them: the smaller, the better.
    pub fn minimised<'a>(&self, given: &'a [f64]) -> Cow<'a, [f64]> {
        match self.maximises() {
            false => Cow::Borrowed(given),
            true => given.iter().enumerate().map(|(at, x)| self.minimised_one(at, *x)).collect(),
        }
    }

    /// The same for the value of a single objective.
    pub fn minimised_one(&self, at: usize, given: f64) -> f64 {
        match self.direction(at) {
            Direction::Minimize => given,
            Direction::Maximize => -given,
        }
    }

    /// Whether these objectives are as good as those or better, in every one.
    pub fn no_worse(&self, these: &[f64], those: &[f64]) -> bool {
        let no_worse = |(at, (a, b)): (usize, (&f64, &f64))| match self.direction(at) {
            Direction::Minimize => a <= b,
            Direction::Maximize => a >= b,
        };
        these.len() == those.len() && these.iter().zip(those).enumerate().all(no_worse)
    }

    /// Reads `{accuracy: maximize, latency: minimize}`, or a list of `{name, direction}`, as
    /// `study.json` has it. In a list a text is a name.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn from_json(json: &Json) -> Result<Self, String> {
        let goal = |name: Option<String>, map: &Map<String, Json>| {
            let keys = ["name", "direction"];
            if let Some(key) = map.keys().find(|key| !keys.contains(&key.as_str())) {
                return Err(words::unknown(key, "a key of an objective", &keys));
            }
            let direction =
                map.get("direction").map(Direction::of).transpose()?.unwrap_or_default();
            let own = match map.get("name") {
                None | Some(Json::Null) => None,
                Some(Json::String(own)) => Some(own.clone()),
                Some(other) => return Err(format!("a name is a text, not {other}")),
            };
            Ok(Goal { name: name.or(own), direction })
        };
        let shape = || "a mapping of names is needed: {accuracy: maximize, latency: minimize}";
        let goals: Vec<Goal> = match json {
            Json::Object(map) => map
                .iter()
                .map(|(name, json)| match json {
                    Json::Object(map) => goal(Some(name.clone()), map),
                    Json::Null => Ok(Goal { name: Some(name.clone()), ..Goal::default() }),
                    word => Ok(Goal { name: Some(name.clone()), direction: Direction::of(word)? }),
                })
                .collect::<Result<_, String>>()?,
            Json::Array(list) => list
                .iter()
                .map(|json| match json {
                    Json::Object(map) => goal(None, map),
                    Json::String(word) if Direction::WORDS.contains(&word.as_str()) => Err(format!(
                        "'{word}' is a direction; in a list stand names: write `direction: […]`, \
                         or {}",
                        shape()
                    )),
                    Json::String(name) => Ok(Goal { name: Some(name.clone()), ..Goal::default() }),
                    _ => Err(shape().into()),
                })
                .collect::<Result<_, String>>()?,
            _ => return Err(shape().into()),
        };
        match goals.is_empty() {
            true => Err("at least one objective is needed".into()),
            false => Self::new(goals),
        }
    }

    /// Reads `maximize`, or `[minimize, maximize]`: objectives without names.
    ///
    /// # Errors
    /// What is wrong, and what would be right.
    pub fn from_direction(json: &Json) -> Result<Self, String> {
        let words = match json {
            Json::Array(words) => words.as_slice(),
            word => std::slice::from_ref(word),
        };
        let goal = |word| Ok(Goal { name: None, direction: Direction::of(word)? });
        match words.is_empty() {
            true => Err("a direction is minimize or maximize".into()),
            false => Self::new(words.iter().map(goal).collect::<Result<Vec<_>, String>>()?),
        }
    }

    /// As `study.json` keeps it.
    pub fn to_json(&self) -> Json {
        serde_json::to_value(self).unwrap_or_default()
    }
}

/// The goals; the constraints stand beside them.
impl Serialize for Objectives {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.goals.serialize(to)
    }
}

impl fmt::Display for Objectives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.goals.is_empty() {
            f.write_str("minimize")?;
        }
        for (at, Goal { name, direction }) in self.goals.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { ", " })?;
            match name {
                Some(name) => write!(f, "{direction} {name}")?,
                None => write!(f, "{direction}")?,
            }
        }
        self.constraints.iter().try_for_each(|name| write!(f, ", {name} <= 0"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objectives_are_stored_as_they_are_said() {
        for (json, says) in [
            (
                json!({"accuracy": "maximize", "size": "minimize"}),
                "maximize accuracy, minimize size",
            ),
            (
                json!({"accuracy": {"direction": "maximize"}, "size": null}),
                "maximize accuracy, minimize size",
            ),
            (
                json!(["loss_1", {"name": "accuracy", "direction": "maximize"}]),
                "minimize loss_1, maximize accuracy",
            ),
            (json!([{"direction": "maximize"}]), "maximize"),
        ] {
            let objectives = Objectives::from_json(&json).unwrap();
            assert_eq!(objectives.to_string(), says);
            assert_eq!(Objectives::from_json(&objectives.to_json()).unwrap(), objectives);
        }
        let both = Objectives::from_direction(&json!(["minimize", "maximize"])).unwrap();
        assert_eq!(both.to_string(), "minimize, maximize");
        assert_eq!(Objectives::from_json(&both.to_json()).unwrap(), both);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_word_that_does() {
        for (json, says) in [
            (json!({"a": "max"}), "`maximize`"),
            (json!({"a": "maximise"}), "`maximize`"),
            (json!({"a": "maximze"}), "did you mean `maximize`?"),
            (json!({"a": {"dir": "maximize"}}), "'dir' is not a key of an objective"),
            (json!(["maximize"]), "`direction: […]`"),
            (json!(["a", "a"]), "twice"),
            (json!({"cost": "maximize"}), "means something else"),
            (json!({"a=b": "maximize"}), "`=`"),
            (json!({"": "maximize"}), "1 to 128"),
            (json!("accuracy"), "mapping"),
            (json!({}), "at least one"),
        ] {
            let problem = Objectives::from_json(&json).unwrap_err();
            assert!(problem.contains(says), "{json}: {problem}");
        }
        assert!(Objectives::from_direction(&json!("up")).unwrap_err().contains("minimize"));
        assert!(Objectives::from_direction(&json!([])).is_err());
    }

    #[test]
    fn better_is_smaller_or_greater_as_the_study_says() {
        let both = Objectives::from_direction(&json!(["minimize", "maximize"])).unwrap();
        assert_eq!(both.minimised(&[1.0, 2.0])[..], [1.0, -2.0]);
        assert!(both.no_worse(&[1.0, 2.0], &[1.0, 1.5]));
        assert!(!both.no_worse(&[1.0, 2.0], &[1.0, 2.5]));
        assert!(!both.no_worse(&[1.0, f64::NAN], &[1.0, 2.5]));
        assert!(!both.no_worse(&[1.0], &[1.0, 2.5]));
        assert!(matches!(Objectives::default().minimised(&[1.0]), Cow::Borrowed(_)));
    }
}
