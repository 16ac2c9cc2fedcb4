//! The study file: space, optimizer, budget, workers and command in one YAML or JSON file.
//!
//! ```yaml
//! space:
//!   lr:        {type: float, lower: 1e-5, upper: 1e-1, log: true, prior: 1e-3}
//!   layers:    {type: int, lower: 1, upper: 8}
//! objectives:  {accuracy: maximize}              # or `direction: maximize`; minimised unless said
//! optimizer:   {name: random_search}          # or just: random_search; or {command: [python3, mine.py]}
//! seed:        7
//! budget:      {evaluations: 200}             # also cost, fidelity, evaluation_seconds, steps, seconds
//! workers:     8
//! command:     [python3, train.py, --lr, "{lr}", --layers, "{layers}"]
//! ```

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json};

use crate::numbers;
use crate::yaml::{self, Document};
use trialmill_core::budget::Budget;
use trialmill_core::error::{Error, StudyFileError};
use trialmill_core::json;
use trialmill_core::limits::MAX_STUDY_FILE_BYTES;
use trialmill_core::notation;
use trialmill_core::objectives::Objectives;
use trialmill_core::optimizer::OptimizerInfo;
use trialmill_core::pruner::PrunerInfo;
use trialmill_core::trial::Objective;
use trialmill_core::words;
use trialmill_optimizers::pruners;
use trialmill_runtime::evaluate::ReportDefaults;
use trialmill_runtime::{Evaluation, RunOptions, StudySpec};

/// The content of a study file: the study's specification, and the options of the run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StudyFile {
    /// What the study is.
    pub spec: StudySpec,
    /// How the run goes.
    pub options: RunOptions,
    /// What is ambiguous in the file, and how it was understood: to be shown to its author.
    pub notes: Vec<String>,
}

/// The keys of a study file.
const KEYS: [&str; 27] = [
    "space",
    "pipeline_space",
    "objectives",
    "direction",
    "constraints",
    "optimizer",
    "warm_start",
    "seed",
    "budget",
    "workers",
    "command",
    "slots",
    "working_directory",
    "environment",
    "timeout_seconds",
    "grace_seconds",
    "give_up_after",
    "max_attempts",
    "max_failures",
    "on_error",
    "objective_on_error",
    "cost_on_error",
    "cost_if_not_provided",
    "pruner",
    "on_prune",
    "count_pruned",
    "stop_early",
];

/// What may be limited.
const BUDGET_KEYS: [&str; 8] = [
    "evaluations",
    "cost",
    "fidelity",
    "evaluation_seconds",
    "steps",
    "seconds",
    "per_worker",
    "per_run",
];

/// Those of them that are fields of [`RunOptions`]; the others belong to [`StudySpec`].
const OPTION_KEYS: [&str; 7] = [
    "slots",
    "workers",
    "timeout_seconds",
    "on_error",
    "on_prune",
    "grace_seconds",
    "give_up_after",
];

/// A budget as a study file writes it, with what each worker, and each run, may spend inside it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[serde(
    expecting = "a mapping of evaluations, cost, fidelity, evaluation_seconds, steps, seconds, \
                 per_worker, per_run"
)]
struct FileBudget {
    evaluations: Option<u64>,
    cost: Option<f64>,
    fidelity: Option<f64>,
    evaluation_seconds: Option<f64>,
    steps: Option<u64>,
    seconds: Option<f64>,
    per_worker: Option<Box<FileBudget>>,
    per_run: Option<Box<FileBudget>>,
}

impl FileBudget {
    fn budget(&self) -> Budget {
        Budget {
            evaluations: self.evaluations,
            cost: self.cost,
            fidelity: self.fidelity,
            evaluation_seconds: self.evaluation_seconds,
            steps: self.steps,
        }
    }
}

impl StudyFile {
    /// Reads a study file, YAML unless its name ends in `.json`; `-` is stdin.
    ///
    /// # Errors
    /// It cannot be read, is not of the right shape, or describes a space that makes no sense.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let read = |source| StudyFileError::Read { path: path.into(), source };
        let content = |problem| StudyFileError::Content { path: path.into(), problem };
        let text = crate::input::read(path, MAX_STUDY_FILE_BYTES).map_err(read)?;
        let text = json::text(text).map_err(content)?;
        let is_json = path.extension().is_some_and(|extension| extension == "json");
        let (json, lines) = match is_json {
            true => (json::read(&text).map_err(content)?, HashMap::new()),
            false => {
                let Document { json, lines } = yaml::read(&text).map_err(content)?;
                (json, lines)
            }
        };
        Self::from_json(json).map_err(|error| {
            let problem = error.to_string();
            match line_of(&problem, &lines) {
                Some(line) => content(format!("line {line}: {problem}")).into(),
                None => content(problem).into(),
            }
        })
    }

    /// Reads the content of a study file.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_json(json: Json) -> Result<Self, Error> {
        let Json::Object(mut map) = json else {
            let problem = "it must be a mapping with the key `space` and, as needed, `objectives`, \
                           `optimizer`, `seed`, `budget`, `workers`, `command`, `timeout_seconds`, \
                           `max_attempts`, `on_error`";
            return Err(Error::Setting(problem.into()));
        };
        check_keys(&map)?;
        check_numbers(&map)?;
        numbers::settle(&mut map).map_err(Error::Setting)?;
        let budget = map.shift_remove("budget").map(|json| value("budget", json));
        let budget: FileBudget = budget.transpose()?.unwrap_or_default();
        let command = map.shift_remove("command").map(words);
        let environment = map.shift_remove("environment").map(variables).transpose()?;
        let says_workers = map.get("workers").is_some_and(|json| !json.is_null());
        let directory = match map.shift_remove("working_directory") {
            None | Some(Json::Null) => None,
            Some(Json::String(directory)) => crate::evaluated::here(directory.into())?,
            Some(other) => {
                let problem = format!("working_directory: a path is needed, not {other}");
                return Err(Error::Setting(problem));
            }
        };
        let objectives = objectives(&mut map)?;
        let (optimizer, own_seed) = match map.shift_remove("optimizer") {
            None | Some(Json::Null) => (None, None),
            Some(json) => optimizer(json)?,
        };
        let defaults = defaults(&mut map)?;
        let pruner = match map.shift_remove("pruner") {
            None | Some(Json::Null) => None,
            Some(json) => Some(pruner(&json)?),
        };
        let (options, spec): (Map<_, _>, Map<_, _>) =
            map.into_iter().partition(|(key, _)| OPTION_KEYS.contains(&key.as_str()));
        // An option that is null is left out.
        let options = options.into_iter().filter(|(_, json)| !json.is_null()).collect();
        let space = spec.get("space").or(spec.get("pipeline_space")).and_then(notation::as_object);
        let notes = space.iter().flatten().filter_map(|(name, json)| note(name, json)).collect();
        let mut file = StudyFile { spec: section(spec)?, options: section(options)?, notes };

        if !says_workers && let Ok(Some(workers)) = file.options.slots.workers() {
            file.options.workers = workers;
        }
        file.spec.objectives = objectives;
        file.spec.optimizer = optimizer;
        file.notes.extend(unused_priors(&file.spec));
        file.spec.pruner = pruner;
        file.spec.seed = file.spec.seed.or(own_seed);
        file.spec.budget = Some(budget.budget()).filter(|budget| !budget.is_unlimited());
        file.spec.evaluation = Some(Evaluation {
            command: command.transpose()?.unwrap_or_default(),
            directory,
            timeout_seconds: file.options.timeout_seconds,
            grace_seconds: Some(file.options.kill_grace.as_secs_f64()),
            on_prune: file.options.on_prune,
            environment: environment.unwrap_or_default(),
        });
        file.options.defaults = defaults;
        let per_worker = budget.per_worker.as_deref();
        file.options.per_worker = per_worker.map(FileBudget::budget).unwrap_or_default();
        let per_run = budget.per_run.as_deref();
        file.options.per_run = per_run.map(FileBudget::budget).unwrap_or_default();
        file.options.seconds_per_worker = per_worker
            .and_then(|budget| budget.seconds)
            .or(per_run.and_then(|budget| budget.seconds))
            .or(budget.seconds);
        Ok(file)
    }
}

/// `median`, or `{name: median, warmup_steps: 5}`; `none` for none.
pub(crate) fn pruner(json: &Json) -> Result<PrunerInfo, Error> {
    let info =
        pruners::info_of(json).map_err(|error| Error::Setting(format!("pruner: {error}")))?;
    if info.name == "none" {
        return Ok(info);
    }
    // With the defaults of its arguments filled in, as it is stored and compared.
    pruners::pruner(&info).map(|pruner| pruner.info()).map_err(Error::Setting)
}

/// What is recorded of a trial that failed or crashed, and where a result has no cost.
fn defaults(map: &mut Map<String, Json>) -> Result<ReportDefaults, Error> {
    let mut take = |key: &str| match map.shift_remove(key) {
        None | Some(Json::Null) => Ok(None),
        Some(json) => trialmill_runtime::evaluate::objective(&json)
            .filter(|objective| !objective.as_slice().is_empty())
            .map(Some)
            .ok_or_else(|| format!("{key}: a number is needed, not {}", notation::Shown(&json)))
            .map_err(Error::Setting),
    };
    let objective_on_error = take("objective_on_error")?;
    let mut number = |key: &str| match take(key)? {
        None => Ok(None),
        Some(Objective::One(cost)) if cost >= 0.0 => Ok(Some(cost)),
        Some(other) => {
            Err(Error::Setting(format!("{key}: a number from 0 on is needed, not {other}")))
        }
    };
    Ok(ReportDefaults {
        objective_on_error,
        cost_on_error: number("cost_on_error")?,
        cost_if_not_provided: number("cost_if_not_provided")?,
        ..ReportDefaults::default()
    })
}

/// The line that a problem is about: it names a parameter, or begins with a key.
fn line_of(problem: &str, lines: &HashMap<String, usize>) -> Option<usize> {
    if let Some((key, _)) = problem.strip_prefix('\'').and_then(|rest| rest.split_once('\'')) {
        return lines.get(key).copied();
    }
    let parameter = problem.split_once("parameter '").and_then(|(_, rest)| rest.split_once('\''));
    if let Some((name, _)) = parameter {
        let line = |key: &str| lines.get(&format!("{key}/{name}"));
        return line("space").or_else(|| line("pipeline_space")).copied();
    }
    lines.get(problem.split_once(':')?.0).copied()
}

fn check_keys(map: &Map<String, Json>) -> Result<(), Error> {
    if let Some(key) = map.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(Error::Setting(words::unknown(key, "a key of a study file", &KEYS)));
    }
    if let Some(Json::Object(budget)) = map.get("budget")
        && let Some(key) = budget.keys().find(|key| !BUDGET_KEYS.contains(&key.as_str()))
    {
        let problem = words::unknown(key, "a budget", &BUDGET_KEYS);
        return Err(Error::Setting(format!("budget: {problem}")));
    }
    match map.contains_key("space") || map.contains_key("pipeline_space") {
        true => Ok(()),
        false => Err(Error::Setting("the key `space` is missing: what is searched".into())),
    }
}

/// A note about `lower: 0, upper: 1`: an integer parameter, though often a float one was meant.
fn note(name: &str, json: &Json) -> Option<String> {
    let (lower, upper) = match json {
        Json::Array(list) => (list.first()?, list.get(1).filter(|_| list.len() == 2)?),
        Json::Object(map) if !map.contains_key("type") => (map.get("lower")?, map.get("upper")?),
        _ => return None,
    };
    (lower.as_i64() == Some(0) && upper.as_i64() == Some(1)).then(|| {
        format!(
            "parameter '{name}' is the whole number 0 or 1, as its bounds are written; for all \
             numbers between them write 0.0 and 1.0, or `type: float`"
        )
    })
}

/// A note about priors that the optimizer does not use: otherwise they would be ignored silently.
fn unused_priors(spec: &StudySpec) -> Option<String> {
    let ignores = |info: &OptimizerInfo| match info.name.as_str() {
        "grid_search" => true,
        "random_search" => info.arguments.get("use_priors") != Some(&Json::Bool(true)),
        _ => false,
    };
    // Without a named optimizer the study uses `auto`, whose models use priors.
    let name = &spec.optimizer.as_ref().filter(|info| ignores(info))?.name;
    let (parameter, _) =
        spec.space.as_ref()?.iter().find(|(_, parameter)| parameter.prior_value().is_some())?;
    let how = match name.as_str() {
        "grid_search" => "",
        _ => ": `optimizer: {name: random_search, use_priors: true}` draws around it",
    };
    Some(format!("the prior of '{parameter}' is not used by {name}{how}"))
}

/// Refuses settings that are infinite, or have more digits than an integer or a float can hold.
fn check_numbers(map: &Map<String, Json>) -> Result<(), Error> {
    let is_other = |json: &Json| json.is_object() && notation::as_f64(json).is_some();
    let budget = map.get("budget").and_then(Json::as_object);
    let inner = |key| budget.and_then(|budget| budget.get(key)).and_then(Json::as_object);
    for (key, json) in
        [Some(map), budget, inner("per_worker"), inner("per_run")].into_iter().flatten().flatten()
    {
        if key != "space" && key != "pipeline_space" && is_other(json) {
            let problem = format!(
                "{key}: {} is no number that a setting can have; write a smaller one, or leave the key out",
                notation::Shown(json)
            );
            return Err(Error::Setting(problem));
        }
    }
    Ok(())
}

/// The value of a key.
fn value<T: DeserializeOwned>(key: &str, json: Json) -> Result<T, Error> {
    serde_json::from_value(json)
        .map_err(|error| Error::Setting(format!("{key}: {}", words::plain(&error.to_string()))))
}

/// The struct that these keys are fields of.
fn section<T: DeserializeOwned>(map: Map<String, Json>) -> Result<T, Error> {
    serde_json::from_value(map.clone().into()).map_err(|error| {
        // serde does not name the invalid key, so find the one that fails on its own, too.
        let alone = |(key, json): (String, Json)| {
            let error = serde_json::from_value::<T>(serde_json::json!({ &key: json })).err()?;
            Some(format!("{key}: {}", words::plain(&error.to_string())))
        };
        let problem = map.into_iter().find_map(alone);
        Error::Setting(problem.unwrap_or_else(|| words::plain(&error.to_string())))
    })
}

/// `objectives: {accuracy: maximize}` or `direction: maximize`, taken out of the file.
fn objectives(map: &mut Map<String, Json>) -> Result<Option<Objectives>, Error> {
    let mut given = |key| map.shift_remove(key).filter(|json| !json.is_null());
    let constraints = given("constraints");
    let at = |key: &str, read: Result<Objectives, String>| match read {
        Ok(objectives) => Ok(Some(objectives)),
        Err(problem) => Err(Error::Setting(format!("{key}: {problem}"))),
    };
    let objectives = match (given("objectives"), given("direction")) {
        (None, None) => Ok(None),
        (Some(json), None) => at("objectives", Objectives::from_json(&json)),
        (None, Some(json)) => at("direction", Objectives::from_direction(&json)),
        (Some(_), Some(_)) => Err(Error::Setting(
            "direction: it stands in `objectives` for each of them; leave one of the two out"
                .into(),
        )),
    }?;
    match constraints {
        None => Ok(objectives),
        Some(names) => at("constraints", objectives.unwrap_or_default().with_constraints(&names)),
    }
}

/// A command's words; YAML reads some of them as numbers.
fn words(json: Json) -> Result<Vec<String>, Error> {
    let word = |json: &Json| match json {
        Json::String(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(json.to_string()),
        _ => None,
    };
    let words = json.as_array().and_then(|list| list.iter().map(word).collect());
    words.ok_or_else(|| {
        let problem = "command: a list of words is needed, such as [python3, train.py, --lr, \
                       \"{lr}\"]; for a line of shell: [sh, -c, \"…\"]";
        Error::Setting(problem.into())
    })
}

/// The variables of a command; YAML reads some values as numbers.
fn variables(json: Json) -> Result<BTreeMap<String, String>, Error> {
    let one = |(name, value): (String, Json)| match value {
        Json::String(text) => Ok((name, text)),
        Json::Number(_) | Json::Bool(_) => Ok((name, value.to_string())),
        _ => Err(Error::Setting(format!("environment: {name}: a text is needed, not {value}"))),
    };
    match json {
        Json::Null => Ok(BTreeMap::new()),
        Json::Object(map) => map.into_iter().map(one).collect(),
        _ => Err(Error::Setting("environment: a mapping is needed: {NAME: value}".into())),
    }
}

/// `random_search`, or `{name: random_search, seed: 7, use_priors: true}`.
fn optimizer(json: Json) -> Result<(Option<OptimizerInfo>, Option<u64>), Error> {
    let named = |name: String, arguments: Map<String, Json>| {
        let info = OptimizerInfo { name, arguments };
        // With the defaults of its arguments filled in, as it is stored and compared.
        trialmill_runtime::named_optimizer(&info)
            .map(|optimizer| Some(optimizer.info()))
            .map_err(|error| Error::Setting(format!("optimizer: {error}")))
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
                // A process that proposes.
                None if map.contains_key("command") => Ok((named("command".into(), map)?, seed)),
                _ => Err(Error::Setting("optimizer: it needs a `name`, or a `command`".into())),
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
        assert_eq!((yaml.spec.seed, yaml.options.seconds_per_worker), (Some(7), Some(5.0)));
    }

    /// `[0, 1]` was drawn as 0 or 1, without a note to the user.
    #[test]
    fn what_can_be_read_in_two_ways_is_said() {
        for (space, count) in [
            ("{x: [0, 1]}", 1),
            ("{x: {lower: 0, upper: 1}}", 1),
            ("{x: [0.0, 1]}", 0),
            ("{x: {type: int, lower: 0, upper: 1}}", 0),
            ("{x: [0, 2]}", 0),
            ("{x: {type: float, lower: 0, upper: 1}}", 0),
        ] {
            let file = read("s.yaml", &format!("space: {space}")).unwrap();
            assert_eq!(file.notes.len(), count, "{space}");
        }
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
            // The message has the line and the intended word, and does not mention Rust's types.
            ("space: {x: [1, 2]}\nbudgets: {}", "line 2: 'budgets' is not"),
            ("space: {x: [1, 2]}\nbudgets: {}", "did you mean `budget`?"),
            ("space: {x: [1, 2]}\nbudget: {trials: 5}", "line 2: budget: 'trials' is not"),
            ("space: {x: [1, 2]}\nbudget: {trials: 5}", "here it is `evaluations`"),
            ("space: {x: [1, 2]}\nn_trials: 5", "here it is `evaluations` in `budget`"),
            ("space:\n  y: [1, 2]\n  x: {type: flaot, lower: 1, upper: 2}", "line 3"),
            ("space: {x: {type: flaot, lower: 1, upper: 2}}", "did you mean `float`?"),
            ("space: {x: {type: int, low: 1, high: 2}}", "here it is `lower`"),
            ("space: {x: [1, 2]}\nworkers: many", "a whole number from 0"),
            ("space: {x: [1, 2]}\nworkers: -3", "a whole number from 0"),
            ("space: {x: [1, 2]}\nseed: 18446744073709551616", "18446744073709551616"),
        ] {
            let error = read("s.yaml", text).unwrap_err();
            let shown = error.to_string();
            for jargon in ["usize", "u64", "invalid type", "expected one of", "field"] {
                assert!(!shown.contains(jargon), "{shown}");
            }
            assert!(shown.contains(says) && shown.contains("s.yaml"), "{text}: {shown}");
            assert_eq!(error.exit_code(), 2);
        }
    }
}
