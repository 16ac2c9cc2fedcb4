//! An optimizer that is a process: it proposes in lines of JSON, in any language.
//!
//! It is started at the first request, and reads one line for each:
//!
//! ```json
//! {"n": 2, "seed": 7, "first_sample": 12, "space": {…}, "trials": [{"id": "11", "state": "success", …}]}
//! ```
//!
//! `trials` are those that are new or have changed since the last line; all of them at first, also
//! when it was started again. It answers with one line, whenever it is ready:
//!
//! ```json
//! {"suggestions": [{"config": {"lr": 0.01, "layers": 3}}]}
//! ```
//!
//! or `{"wait": true}` for results, `{"finished": true}`, or `{"error": "…"}`. It ends when its input
//! does. It runs on the optimizer's actor, so no report ever waits for it.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value as Json, json};

use super::household::{ended_beside, start_beside};
use trialmill_core::config::{Config, ShownConfig, Value};
use trialmill_core::definition::{Definition, OptimizerInfo};
use trialmill_core::error::BoxError;
use trialmill_core::limits::MAX_RESULT_BYTES;
use trialmill_core::optimizer::{Optimizer, Proposal, SamplingRequest, Suggestion};
use trialmill_core::space::{Domain, Parameter, SearchSpace};
use trialmill_core::trial::{Trial, TrialId};

/// Asks a process that this command starts.
pub(crate) struct SamplerProcess {
    command: Vec<String>,
    running: Option<Running>,
    /// What it has not been told yet; not kept while it does not run.
    changed: BTreeSet<TrialId>,
}

struct Running {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl SamplerProcess {
    /// The name under which it is stored.
    pub(crate) const NAME: &str = "command";

    /// From what a study stores of it.
    ///
    /// # Errors
    /// It has no command.
    pub(crate) fn from_info(info: &OptimizerInfo) -> Result<Self, BoxError> {
        let command = info.arguments.get("command").cloned().unwrap_or_default();
        let command: Vec<String> = serde_json::from_value(command).unwrap_or_default();
        if command.is_empty() || info.arguments.len() != 1 {
            let problem = "an optimizer that is a process has a `command` alone: a list of words, \
                           such as [python3, my_sampler.py]";
            return Err(problem.into());
        }
        Ok(SamplerProcess { command, running: None, changed: BTreeSet::new() })
    }

    fn start(words: &[String]) -> Result<Running, BoxError> {
        let (program, arguments) = words.split_first().ok_or("there is no command")?;
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child =
            start_beside(&mut command).map_err(|error| format!("it cannot start: {error}"))?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(to), Some(from)) => Ok(Running { child, to, from: BufReader::new(from) }),
            _ => Err("its pipes are missing".into()),
        }
    }

    /// One line there, one line back.
    fn converse(&mut self, request: &SamplingRequest<'_>) -> Result<String, BoxError> {
        let is_new = self.running.is_none();
        let running = match &mut self.running {
            Some(running) => running,
            none => none.insert(Self::start(&self.command)?),
        };
        let trials: Vec<Json> = if is_new {
            request.trials().iter().map(shown).collect()
        } else {
            self.changed.iter().filter_map(|id| request.trials().get(id)).map(shown).collect()
        };
        let mut message = json!({
            "n": request.n(),
            "seed": request.seed,
            "first_sample": request.first_sample,
            "space": request.space().to_json(),
            "trials": trials,
        });
        if is_new && !request.warm_start().is_empty() {
            message["warm_start"] = serde_json::to_value(request.warm_start())?;
        }
        let mut line = message.to_string();
        line.push('\n');
        running.to.write_all(line.as_bytes())?;
        running.to.flush()?;
        let mut answer = Vec::new();
        (&mut running.from).take(MAX_RESULT_BYTES).read_until(b'\n', &mut answer)?;
        if answer.last() != Some(&b'\n') {
            return Err("it ended, or its line is too long".into());
        }
        self.changed.clear();
        Ok(String::from_utf8(answer)?)
    }

    fn stop(&mut self) -> String {
        let Some(mut running) = self.running.take() else { return String::new() };
        drop(running.to);
        // It may be in the middle of a fit that nobody waits for any more.
        let _ = running.child.kill();
        let status = running.child.wait();
        ended_beside(&running.child);
        status.map_or_else(|_| String::new(), |status| format!(" ({status})"))
    }
}

impl Optimizer for SamplerProcess {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new(Self::NAME, [("command", json!(self.command))])
    }

    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        let line = self.converse(request).map_err(|error| {
            let ended = self.stop();
            format!("`{}` did not answer: {error}{ended}", self.command.join(" "))
        })?;
        understand(request.space(), &line)
            .map_err(|problem| format!("`{}` answered {problem}", self.command.join(" ")).into())
    }

    fn is_slow(&self) -> bool {
        true
    }

    fn observe(&mut self, _: &Definition, trial: &Trial) {
        if self.running.is_some() {
            self.changed.insert(trial.id.clone());
        }
    }

    fn observes(&self) -> bool {
        true
    }

    fn transfers(&self) -> bool {
        true
    }
}

impl Drop for SamplerProcess {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A trial as the process sees it.
fn shown(trial: &Trial) -> Json {
    let report = trial.report.as_deref();
    json!({
        "id": trial.id.to_string(),
        "state": trial.state.to_string(),
        "config": serde_json::to_value(ShownConfig(&trial.config)).unwrap_or_default(),
        "objective_to_minimize": report.and_then(|report| report.objective_to_minimize.clone()),
        "cost": report.and_then(|report| report.cost),
        "previous_trial_id": trial.metadata.previous_trial_id.as_ref().map(TrialId::to_string),
    })
}

fn understand(space: &SearchSpace, line: &str) -> Result<Proposal, String> {
    let answer: Json = serde_json::from_str(line).map_err(|error| {
        let shown: String = line.trim_end().chars().take(200).collect();
        format!("no JSON ({error}): {shown}")
    })?;
    let is_true = |key: &str| answer.get(key) == Some(&Json::Bool(true));
    if let Some(error) = answer.get("error") {
        return Err(format!("with an error: {}", error.as_str().unwrap_or(&error.to_string())));
    }
    if is_true("finished") {
        return Ok(Proposal::Finished);
    }
    if is_true("wait") {
        return Ok(Proposal::Wait);
    }
    let list = answer.get("suggestions").and_then(Json::as_array).ok_or(
        "neither `suggestions` nor `wait`, `finished` or `error`: {\"suggestions\": [{\"config\": \
         {…}}]}",
    )?;
    let suggestions = list.iter().map(|suggestion| suggestion_of(space, suggestion));
    suggestions.collect::<Result<_, _>>().map(Proposal::Evaluate)
}

fn suggestion_of(space: &SearchSpace, json: &Json) -> Result<Suggestion, String> {
    let values = json.get("config").and_then(Json::as_object);
    let values = values.ok_or_else(|| format!("a suggestion without a `config`: {json}"))?;
    if let Some(name) = values.keys().find(|name| space.iter().all(|(own, _)| own != name.as_str()))
    {
        return Err(format!("'{name}', which is no parameter of the space"));
    }
    let config: Config = space.config(|(name, parameter)| {
        values.get(name).map_or(Value::Null, |json| value_of(parameter, json))
    });
    let id = |key: &str| match json.get(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::String(text)) => {
            text.parse::<TrialId>().map(Some).map_err(|error| format!("`{key}`: {error}"))
        }
        Some(number) => number
            .as_u64()
            .map(|number| Some(TrialId::Number(number)))
            .ok_or_else(|| format!("`{key}` is no id: {number}")),
    };
    Ok(Suggestion { config, id: id("id")?, previous: id("previous_trial_id")? })
}

/// The value of the space that a value of JSON means: 1 is 1.0 where a real number is wanted.
fn value_of(parameter: &Parameter, json: &Json) -> Value {
    match (parameter.domain(), json) {
        (Domain::Float { .. }, Json::Number(number)) => {
            number.as_f64().map_or(Value::Null, Value::Float)
        }
        (Domain::Int { .. }, Json::Number(number)) => {
            let whole = number.as_f64().filter(|x| x.fract() == 0.0 && x.abs() < 2_f64.powi(53));
            let whole = number.as_i64().or(whole.map(|x| x as i64));
            whole.map_or(Value::Null, Value::Int)
        }
        (Domain::Categorical { choices, .. }, json) => {
            let is_it =
                |choice: &&Value| serde_json::to_value(choice).is_ok_and(|own| own == *json);
            choices.iter().find(is_it).cloned().unwrap_or(Value::from_stored(json.clone()))
        }
        (_, json) => Value::from_stored(json.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StateCore;
    use serde_json::json;
    use trialmill_core::definition::WarmStart;
    use trialmill_core::study::{Answer, Command as StudyCommand};
    use trialmill_optimizers::RandomSearch;

    /// A process that notes each line that it reads, and its own end.
    fn noting(notes: &std::path::Path) -> SamplerProcess {
        let script = format!(
            "while read -r line; do printf '%s\\n' \"$line\" >> {0}; \
             echo '{{\"suggestions\": [{{\"config\": {{\"x\": 0.5}}}}]}}'; done",
            notes.display()
        );
        let info = OptimizerInfo::new("command", [("command", json!(["sh", "-c", script]))]);
        SamplerProcess::from_info(&info).unwrap()
    }

    /// It is told all trials once, and from then on those that have changed; of other studies it hears at first.
    #[test]
    fn a_process_is_told_everything_once() {
        let home = tempfile::tempdir().unwrap();
        let notes = home.path().join("notes");
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        let mut sampler = noting(&notes);
        assert!(sampler.is_slow() && sampler.observes() && sampler.transfers());
        let of = (String::new(), String::new());
        let studies = [WarmStart { directory: of.0, study_id: of.1, of: 0, trials: Vec::new() }];
        let definition = Definition::new(space.clone(), sampler.info());
        let search = Box::new(RandomSearch::new());
        let mut core = StateCore::in_memory(definition.clone(), search).unwrap();
        let mut tell = |warm_start: &[WarmStart]| {
            let sample = StudyCommand::Sample { n: 1, worker: "me".into() };
            let answer = core.execute_all(vec![sample]).unwrap().remove(0).unwrap();
            let Answer::Evaluate(sampled) = answer else { panic!("{answer:?}") };
            sampled.iter().for_each(|trial| sampler.observe(&definition, trial));
            let spent = trialmill_core::budget::Spent::default();
            let request = SamplingRequest {
                n: 1,
                space: &space,
                objectives: &trialmill_core::objectives::Objectives::default(),
                trials: core.study().trials(),
                budget: &trialmill_core::budget::Budget::default(),
                spent: &spent,
                warm_start,
                seed: 1,
                first_sample: 0,
                next_number: 1,
            };
            assert!(
                matches!(sampler.ask(&request), Ok(Proposal::Evaluate(list)) if list.len() == 1)
            );
        };
        tell(&studies);
        tell(&studies);
        let told: Vec<Json> = std::fs::read_to_string(&notes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let ids = |told: &Json| {
            let trials = told["trials"].as_array().unwrap();
            trials.iter().map(|trial| trial["id"].as_str().unwrap().to_string()).collect::<Vec<_>>()
        };
        assert_eq!((ids(&told[0]), ids(&told[1])), (vec!["1".into()], vec!["2".into()]));
        assert!(told[0].get("warm_start").is_some() && told[1].get("warm_start").is_none());
        let mut alone = noting(&notes);
        std::mem::swap(&mut alone, &mut sampler);
        // The process ends with what it belongs to.
        let pid = alone.running.as_ref().unwrap().child.id();
        drop(alone);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_process_has_a_command_and_nothing_else() {
        let of = |arguments: Vec<(&str, Json)>| {
            SamplerProcess::from_info(&OptimizerInfo::new("command", arguments)).is_ok()
        };
        assert!(of(vec![("command", json!(["sh"]))]));
        assert!(!of(vec![("command", json!([]))]));
        assert!(!of(vec![("command", json!("sh"))]));
        assert!(!of(vec![("seed", json!(1))]));
        assert!(!of(vec![("command", json!(["sh"])), ("seed", json!(1))]));
    }

    /// A sampler in Python says `3.0` where a whole number is wanted, and `1` for a real one. What is no value
    /// of the parameter must not become one.
    #[test]
    fn a_number_of_json_is_the_value_that_it_means_or_none() {
        let whole = Parameter::int(i64::MIN, i64::MAX);
        let real = Parameter::float(0.0, 10.0);
        let choices = Parameter::categorical([Value::Int(1), Value::Float(1.0), "a".into()]);
        let big = 9_007_199_254_740_991.0; // 2^53 - 1
        let table = [
            (&whole, json!(3), Value::Int(3)),
            (&whole, json!(3.0), Value::Int(3)),
            (&whole, json!(-3.0), Value::Int(-3)),
            (&whole, json!(3.5), Value::Null),
            (&whole, json!(big), Value::Int(big as i64)),
            (&whole, json!(-big), Value::Int(-big as i64)),
            (&whole, json!(big + 1.0), Value::Null),
            (&whole, json!(-big - 1.0), Value::Null),
            (&whole, json!(1e300), Value::Null),
            (&whole, json!(i64::MAX), Value::Int(i64::MAX)),
            (&whole, json!("3"), Value::from("3")),
            (&real, json!(1), Value::Float(1.0)),
            (&real, json!(0.25), Value::Float(0.25)),
            (&choices, json!(1), Value::Int(1)),
            (&choices, json!(1.0), Value::Float(1.0)),
            (&choices, json!("a"), Value::from("a")),
            (&choices, json!("b"), Value::from("b")),
        ];
        for (parameter, said, meant) in table {
            assert_eq!(value_of(parameter, &said), meant, "{said} for {parameter:?}");
        }
    }
}
