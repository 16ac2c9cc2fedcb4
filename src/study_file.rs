//! The study file: space, optimizer, budget, workers and command in one YAML or JSON file.
//!
//! ```yaml
//! space:
//!   lr:        {type: float, lower: 1e-5, upper: 1e-1, log: true, prior: 1e-3}
//!   layers:    {type: int, lower: 1, upper: 8}
//! optimizer:   {name: random_search}          # or just: random_search
//! seed:        7
//! budget:      {evaluations: 200}             # also cost, fidelity, evaluation_seconds, seconds
//! workers:     8
//! command:     [python3, train.py, --lr, "{lr}", --layers, "{layers}"]
//! ```

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use crate::budget::Budget;
use crate::error::{Error, StudyFileError};
use crate::limits::MAX_STUDY_FILE_BYTES;
use crate::optimizer::OptimizerInfo;
use crate::space::SearchSpace;

/// What a study file says; what it leaves out is `None` or empty.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct StudyFile {
    /// What is searched.
    pub space: SearchSpace,
    /// Who proposes.
    pub optimizer: Option<OptimizerInfo>,
    /// Where all random numbers come from.
    pub seed: Option<u64>,
    /// What all workers together may spend.
    pub budget: Budget,
    /// What each worker may spend.
    pub per_worker: Budget,
    /// How long each worker may go on asking.
    pub seconds: Option<f64>,
    /// Workers of the process that runs the file.
    pub workers: Option<usize>,
    /// The command that evaluates a trial.
    pub command: Vec<String>,
    /// How long one evaluation may take.
    pub timeout_seconds: Option<f64>,
    /// How often a trial may be started.
    pub max_attempts: Option<u32>,
    /// What errors mean: `ignore`, `stop-worker`, `stop-all`, `raise-worker`, `raise-any`.
    pub on_error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(alias = "pipeline_space")]
    space: Json,
    #[serde(default)]
    optimizer: Option<Json>,
    #[serde(default)]
    seed: Option<u64>,
    #[serde(default)]
    budget: RawBudget,
    #[serde(default)]
    workers: Option<usize>,
    #[serde(default, deserialize_with = "words")]
    command: Vec<String>,
    #[serde(default)]
    timeout_seconds: Option<f64>,
    #[serde(default)]
    max_attempts: Option<u32>,
    #[serde(default)]
    on_error: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(
    expecting = "a mapping of evaluations, cost, fidelity, evaluation_seconds, seconds, per_worker"
)]
struct RawBudget {
    evaluations: Option<u64>,
    cost: Option<f64>,
    fidelity: Option<f64>,
    evaluation_seconds: Option<f64>,
    seconds: Option<f64>,
    per_worker: Option<Box<RawBudget>>,
}

impl RawBudget {
    fn budget(&self) -> Budget {
        Budget {
            evaluations: self.evaluations,
            cost: self.cost,
            fidelity: self.fidelity,
            evaluation_seconds: self.evaluation_seconds,
        }
    }
}

impl StudyFile {
    /// Reads a study file, YAML unless its name ends in `.json`.
    ///
    /// # Errors
    /// It cannot be read, is not of the right shape, or describes a space that makes no sense.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let read = |source| StudyFileError::Read { path: path.into(), source };
        let content = |problem| StudyFileError::Content { path: path.into(), problem };
        // Not its size is asked: a pipe and `/dev/zero` have none.
        let file = std::fs::File::open(path).map_err(read)?;
        let text = crate::plain::read_limited(file, MAX_STUDY_FILE_BYTES).map_err(read)?;
        let text = String::from_utf8(text).map_err(|error| content(error.to_string()))?;
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let json: Json = if is_json {
            serde_json::from_str(&text).map_err(|error| content(error.to_string()))?
        } else {
            serde_saphyr::from_str(&text).map_err(|error| content(error.to_string()))?
        };
        Self::from_json(json).map_err(|error| content(error.to_string()).into())
    }

    /// Reads the content of a study file.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_json(json: Json) -> Result<Self, Error> {
        if !json.is_object() {
            let problem = "it must be a mapping with the key `space` and, as needed, `optimizer`, \
                           `seed`, `budget`, `workers`, `command`, `timeout_seconds`, \
                           `max_attempts`, `on_error`";
            return Err(Error::Setting(problem.into()));
        }
        let raw: Raw =
            serde_json::from_value(json.clone()).map_err(|error| setting(&json, &error))?;
        let (optimizer, own_seed) = match raw.optimizer {
            Some(json) => optimizer(json)?,
            None => (None, None),
        };
        let per_worker = raw.budget.per_worker.as_deref();
        let seconds = per_worker.and_then(|budget| budget.seconds).or(raw.budget.seconds);
        Ok(StudyFile {
            space: SearchSpace::from_json(&raw.space)?,
            optimizer,
            seed: raw.seed.or(own_seed),
            budget: raw.budget.budget(),
            per_worker: per_worker.map(RawBudget::budget).unwrap_or_default(),
            seconds,
            workers: raw.workers,
            command: raw.command,
            timeout_seconds: raw.timeout_seconds,
            max_attempts: raw.max_attempts,
            on_error: raw.on_error,
        })
    }
}

/// Says which key is wrong, which serde does not.
fn setting(json: &Json, error: &serde_json::Error) -> Error {
    let keys = json.as_object().into_iter().flatten();
    let alone = |(key, value): (&String, &Json)| -> Option<String> {
        let mut alone = Map::from_iter([("space".into(), Json::Null)]);
        alone.insert(key.clone(), value.clone());
        let error = serde_json::from_value::<Raw>(alone.into()).err()?;
        Some(format!("{key}: {error}"))
    };
    Error::Setting(keys.filter_map(alone).next().unwrap_or_else(|| error.to_string()))
}

/// A command's words; YAML reads some of them as numbers.
fn words<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let word = |json: &Json| match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(json.to_string()),
        _ => None,
    };
    let json = Json::deserialize(from)?;
    let words = json.as_array().and_then(|list| list.iter().map(word).collect());
    words.ok_or_else(|| {
        let problem = "a list of words is needed, such as [python3, train.py, --lr, \"{lr}\"]; \
                       for a line of shell: [sh, -c, \"…\"]";
        serde::de::Error::custom(problem)
    })
}

/// `random_search`, or `{name: random_search, seed: 7, use_priors: true}`.
fn optimizer(json: Json) -> Result<(Option<OptimizerInfo>, Option<u64>), Error> {
    let named = |name: String, arguments: Map<String, Json>| {
        let info = OptimizerInfo { name, arguments };
        // With the defaults of its arguments filled in, as it is stored and compared.
        crate::optimizer::from_info(&info)
            .map(|optimizer| Some(optimizer.info()))
            .map_err(|error| Error::Setting(error.to_string()))
    };
    match json {
        Json::String(name) => Ok((named(name, Map::new())?, None)),
        Json::Object(mut map) => {
            let seed = map.shift_remove("seed");
            let seed = match &seed {
                None | Some(Json::Null) => None,
                Some(seed) => Some(seed.as_u64().ok_or_else(|| {
                    Error::Setting(format!("optimizer: the seed is a whole number, not {seed}"))
                })?),
            };
            match map.shift_remove("name") {
                Some(Json::String(name)) => Ok((named(name, map)?, seed)),
                _ => Err(Error::Setting("optimizer: it needs a `name`".into())),
            }
        }
        other => Err(Error::Setting(format!(
            "optimizer: a name, or a mapping with a `name`, not {other}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<StudyFile, Error> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        StudyFile::read(&path)
    }

    #[test]
    fn yaml_and_json_say_the_same() {
        let yaml = "
space:
  lr: {type: float, lower: 1e-5, upper: 1e-1, log: true, prior: 1e-3}
  layers: {type: int, lower: 1, upper: 8}
optimizer: {name: random_search, seed: 7}
budget: {evaluations: 200, per_worker: {seconds: 5}}
workers: 8
command: [python3, train.py, --lr, '{lr}']
";
        let json = r#"{"space": {"lr": {"type": "float", "lower": 1e-5, "upper": 0.1, "log": true,
            "prior": 0.001}, "layers": {"type": "int", "lower": 1, "upper": 8}},
            "optimizer": "random_search", "seed": 7,
            "budget": {"evaluations": 200, "seconds": 5.0}, "workers": 8,
            "command": ["python3", "train.py", "--lr", "{lr}"]}"#;
        let (yaml, json) = (read("s.yaml", yaml).unwrap(), read("s.json", json).unwrap());
        assert_eq!(yaml, json);
        assert_eq!((yaml.seed, yaml.seconds), (Some(7), Some(5.0)));
    }

    #[test]
    fn a_mistake_is_named_with_its_file() {
        for (text, says) in [
            ("space: {x: {type: int, lower: 8, upper: 1}}", "parameter 'x': lower (8)"),
            ("space: {x: {type: int, lower: 1, upper: 8}}\nbudgets: {}", "budgets"),
            ("spaces: {}", "spaces"),
            ("budget: {evaluations: 3}", "space"),
            ("- a\n- b", "mapping"),
            ("space: {x: [", "s.yaml"),
            ("space: {x: [1, 2]}\noptimizer: random", "random_search"),
            ("space: {x: [1, 2]}\noptimizer: {name: random_search, priors: true}", "use_priors"),
            ("space: {x: [1, 2]}\nbudget: {evaluations: many}", "many"),
            ("space: {x: [1, 2], x: [3, 4]}", "x"),
        ] {
            let error = read("s.yaml", text).unwrap_err();
            let shown = error.to_string();
            assert!(shown.contains(says) && shown.contains("s.yaml"), "{text}: {shown}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
