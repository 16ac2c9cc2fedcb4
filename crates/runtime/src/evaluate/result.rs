//! Parses a command's result: a number, or a JSON object with NePS's keys.

use serde_json::{Map, Value as Json};

use trialmill_core::json;
use trialmill_core::notation::{self, Shown};
use trialmill_core::objectives::Objectives;
use trialmill_core::trial::{Failure, Objective, Report, State};

const KEYS: &str = "objective_to_minimize (or objective), cost, account_for_cost, learning_curve, \
                    info_dict (or extra), constraints, exception, pruned";

/// Reads a result: `0.12`, `[0.1, 3]`, or `{"objective_to_minimize": …, "cost": …,
/// "learning_curve": […], "info_dict": {…}, "exception": "…", "pruned": true}`. Where the study names
/// its objectives, each may stand there by its name: `{"accuracy": 0.93, "latency": 12}`.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn parse(text: &str, objectives: &Objectives) -> Result<Report, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("there is no result: print a number or a JSON object as the last line, or \
                    write it to the file that TRIALMILL_RESULT names"
            .into());
    }
    let short = || text.chars().take(200).collect::<String>();
    // Python prints numbers that JSON does not have, such as `nan`.
    if let Ok(number) = text.parse::<f64>() {
        return Ok(Report::objective(number));
    }
    let json = json::read(text).map_err(|error| {
        let hint = hint(text);
        format!("the result is neither a number nor JSON ({error}{hint}): {}", short())
    })?;
    match json {
        json if objective(&json).is_some_and(|objective| objective.as_slice().is_empty()) => {
            Err("the result is an empty list: there is no objective to minimise in it".into())
        }
        json => match (objective(&json), json) {
            (Some(objective), _) => Ok(Report::objective(objective)),
            (None, Json::Object(map)) => from_object(map, objectives),
            _ => Err(format!("the result is neither a number nor an object: {}", short())),
        },
    }
}

/// What was probably meant: what Python prints of its values, a decimal comma, a word before the number.
fn hint(text: &str) -> &'static str {
    let is_number = |text: &str| text.trim().parse::<f64>().is_ok();
    let inner = text.split_once('(').and_then(|(_, rest)| rest.split([',', ')']).next());
    match text {
        _ if text.starts_with('{') && text.contains('\'') => "; in Python: print(json.dumps(…))",
        _ if text.ends_with(')') && inner.is_some_and(is_number) => "; in Python: print(float(…))",
        _ if text.contains(',') && is_number(&text.replacen(',', ".", 1)) => {
            "; write a point for the comma"
        }
        _ if text.rsplit([':', '=']).next().is_some_and(is_number) => "; write the number alone",
        _ => "",
    }
}

/// A number, a string for one that is not finite, or a list of those.
pub fn objective(json: &Json) -> Option<Objective> {
    match (notation::as_f64(json), json) {
        (Some(x), _) => Some(Objective::One(x)),
        (None, Json::Array(list)) => {
            let one = |json: &Json| match objective(json)? {
                Objective::One(x) => Some(x),
                Objective::Many(_) => None,
            };
            Some(Objective::Many(list.iter().map(one).collect::<Option<_>>()?))
        }
        (None, Json::String(_)) => serde_json::from_value(json.clone()).ok(),
        _ => None,
    }
}

/// The objectives that an object has by their names, taken out of it; none if it has none of them.
pub(super) fn named(
    map: &mut Map<String, Json>,
    objectives: &Objectives,
) -> Result<Option<Json>, String> {
    let names: Vec<&str> =
        objectives.goals().iter().filter_map(|goal| goal.name.as_deref()).collect();
    by_name(map, &names, objectives)
}

/// The same of the constraints.
fn constraints(
    map: &mut Map<String, Json>,
    objectives: &Objectives,
) -> Result<Option<Json>, String> {
    let names: Vec<&str> = objectives.constraints().iter().map(String::as_str).collect();
    let is_number = map.get("constraints").is_some_and(|json| notation::as_f64(json).is_some());
    if let Some(Json::Object(inner)) = map.get_mut("constraints").filter(|_| !is_number) {
        let values = by_name(inner, &names, objectives)?;
        return match inner.keys().next() {
            Some(key) => Err(format!("the constraint '{key}' is not one of: {objectives}")),
            None => Ok(map.shift_remove("constraints").and(values)),
        };
    }
    match by_name(map, &names, objectives)? {
        Some(values) => Ok(Some(values)),
        None => Ok(map.shift_remove("constraints")),
    }
}

/// The values of these names, one or a list; none where the object has none of them.
fn by_name(
    map: &mut Map<String, Json>,
    names: &[&str],
    objectives: &Objectives,
) -> Result<Option<Json>, String> {
    let missing = names.iter().find(|name| map.get(**name).is_none_or(Json::is_null));
    match missing {
        _ if !names.iter().any(|name| map.contains_key(*name)) => Ok(None),
        Some(missing) => {
            Err(format!("the result has no '{missing}', and the study has: {objectives}"))
        }
        None => {
            let mut values: Vec<Json> =
                names.iter().filter_map(|name| map.shift_remove(*name)).collect();
            Ok(match values.len() {
                1 => values.pop(),
                _ => Some(Json::Array(values)),
            })
        }
    }
}

/// Reads a result that is JSON already, in the notation of our files.
///
/// # Errors
/// As [`parse`].
pub fn report_of(json: Json, objectives: &Objectives) -> Result<Report, String> {
    match json {
        Json::Object(map) => from_object(map, objectives),
        _ => Err("the result is not an object".into()),
    }
}

/// A key that is true or false, taken out.
fn truth(map: &mut Map<String, Json>, key: &str) -> Result<Option<bool>, String> {
    match map.shift_remove(key) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Bool(truth)) => Ok(Some(truth)),
        Some(other) => Err(format!("the result's {key} is not true or false: {}", Shown(&other))),
    }
}

/// The objectives by their names become the key `objective`, unless they stand there twice.
fn take_named_objectives(
    map: &mut Map<String, Json>,
    objectives: &Objectives,
) -> Result<(), String> {
    let by_name = match named(map, objectives)? {
        Some(values) => Some(values),
        None => match map.get_mut("objective") {
            // Infinity is an object in our files' notation.
            Some(number) if notation::as_f64(number).is_some() => None,
            Some(Json::Object(inner)) => {
                let values = named(inner, objectives)?;
                if let Some(key) = inner.keys().next().filter(|_| objectives.is_unsaid()) {
                    return Err(format!(
                        "the result's objective is an object ('{key}' …), and the study names no \
                         objectives: report a number, or a list of them"
                    ));
                }
                if let Some(key) = inner.keys().next() {
                    return Err(format!(
                        "the objective '{key}' is not one of: {objectives}; no other key \
                                        may stand there"
                    ));
                }
                map.shift_remove("objective");
                values
            }
            _ => None,
        },
    };
    if let Some(values) = by_name
        && map.insert("objective".into(), values).is_some()
    {
        return Err("the result has its objectives twice: by name, and as 'objective'".into());
    }
    if ["objective", "objective_to_minimize"].iter().all(|key| map.contains_key(*key)) {
        return Err(
            "the result has its objective twice: as objective and objective_to_minimize".into()
        );
    }
    Ok(())
}

fn from_object(mut map: Map<String, Json>, objectives: &Objectives) -> Result<Report, String> {
    take_named_objectives(&mut map, objectives)?;
    let mut report = Report::objective(f64::NAN);
    report.objective_to_minimize = None;
    if let Some(json) = constraints(&mut map, objectives)?.filter(|json| !json.is_null()) {
        let problem = || format!("the result's constraints are not numbers: {}", Shown(&json));
        let values = objective(&json).ok_or_else(problem)?;
        report.constraints = Some(values.as_slice().into());
    }
    if let Some(charged) = truth(&mut map, "account_for_cost")? {
        report.account_for_cost = charged;
    }
    if truth(&mut map, "pruned")? == Some(true) {
        report.reported_as = State::Pruned;
    }
    let mut unknown = Map::new();
    for (key, json) in map {
        let wrong = |what: &str| format!("the result's {key} is not {what}: {}", Shown(&json));
        match key.as_str() {
            _ if json.is_null() => {}
            "objective" | "objective_to_minimize" => {
                let value = objective(&json).ok_or_else(|| wrong("a number or numbers"))?;
                if !value.as_slice().is_empty() {
                    report.objective_to_minimize = Some(value);
                }
            }
            "cost" => match objective(&json) {
                Some(Objective::One(cost)) => report.cost = Some(cost),
                _ => return Err(wrong("a number")),
            },
            "learning_curve" => {
                // A step without a number is kept as NaN: it must not make the whole result
                // invalid.
                let step = |json: &Json| match json {
                    Json::Null => Some(Objective::One(f64::NAN)),
                    json => objective(json),
                };
                let curve = json.as_array().and_then(|list| list.iter().map(step).collect());
                report.learning_curve = Some(curve.ok_or_else(|| wrong("a list of numbers"))?);
            }
            "info_dict" | "extra" => match notation::as_object(&json).map_or(json, Json::Object) {
                Json::Object(extra) => report.extra = Some(Box::new(extra)),
                json => {
                    return Err(format!("the result's {key} is not an object: {}", Shown(&json)));
                }
            },
            // Like null: there was no exception.
            "exception" if json == Json::Bool(false) => {}
            "exception" => {
                let err = json.as_str().map_or_else(|| Shown(&json).to_string(), str::to_string);
                let failure = Failure { err_type: "error".into(), err, tb: None };
                report.failure = Some(Box::new(failure));
                report.reported_as = State::Failed;
            }
            _ => drop(unknown.insert(key, json)),
        }
    }
    let has_answer = report.objective_to_minimize.is_some() || !report.is_success();
    match unknown.keys().next() {
        Some(key) if !has_answer => {
            return Err(format!(
                "the result has no objective, and an unknown key '{key}'; it may have: {KEYS}"
            ));
        }
        Some(key) => keep_unknown(&mut report, key.clone(), unknown),
        None => {}
    }
    match (&report.objective_to_minimize, report.reported_as) {
        (None, State::Success) if objectives.is_unsaid() => {
            Err("the result has no objective_to_minimize".into())
        }
        (None, State::Success) => {
            Err(format!("the result has no objective; the study has: {objectives}"))
        }
        _ => Ok(report),
    }
}

/// Keeps unknown keys in `extra`: an expensive result is not rejected because of them.
fn keep_unknown(report: &mut Report, first: String, unknown: Map<String, Json>) {
    static SAID: std::sync::Once = std::sync::Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            "a result has the unknown key '{first}': it is kept in `extra`, as all such keys are. Known \
             are: {KEYS}"
        );
    });
    let extra = report.extra.get_or_insert_default();
    for (key, json) in unknown {
        extra.entry(key).or_insert(json);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Report, String> {
        super::parse(text, &Objectives::default())
    }

    #[test]
    fn objectives_with_names_stand_there_by_name_or_in_order() {
        let study = serde_json::json!({"accuracy": "maximize", "latency": "minimize"});
        let study = Objectives::from_json(&study).unwrap();
        let wanted = Report::objective([0.9, 12.0]);
        for text in [
            "[0.9, 12]",
            r#"{"latency": 12, "accuracy": 0.9}"#,
            r#"{"objective": {"latency": 12, "accuracy": 0.9}}"#,
            r#"{"objective": [0.9, 12]}"#,
            r#"{"objective_to_minimize": [0.9, 12]}"#,
        ] {
            assert_eq!(super::parse(text, &study).unwrap(), wanted, "{text}");
        }
        for (text, says) in [
            (r#"{"accuracy": 0.9}"#, "no 'latency'"),
            (r#"{"accuracy": 0.9, "latency": null}"#, "no 'latency'"),
            (r#"{"accuracy": 0.9, "latency": 1, "objective": [1, 2]}"#, "twice"),
            (r#"{"objective_to_minimize": 1, "objective": 1}"#, "twice"),
            (r#"{"cost": 1}"#, "maximize accuracy, minimize latency"),
            (r#"{"accuracy": "x", "latency": 1}"#, "not a number"),
            (r#"{"objective": {"accuracy": 1, "latency": 1, "x": 1}}"#, "no other key"),
        ] {
            let problem = super::parse(text, &study).unwrap_err();
            assert!(problem.contains(says), "{text}: {problem}");
        }
        let one = Objectives::default().and("accuracy", Default::default());
        assert_eq!(super::parse(r#"{"accuracy": 0.9}"#, &one).unwrap(), Report::objective(0.9));
        let with = one.and_constraint("memory").and_constraint("time");
        let wanted = Report::objective(0.9).constraints([-1.0, 2.0]);
        for text in [
            r#"{"accuracy": 0.9, "time": 2, "memory": -1}"#,
            r#"{"objective": 0.9, "constraints": [-1, 2]}"#,
            r#"{"objective": 0.9, "constraints": {"time": 2, "memory": -1}}"#,
        ] {
            assert_eq!(super::parse(text, &with).unwrap(), wanted, "{text}");
        }
        for (text, says) in [
            (r#"{"accuracy": 0.9, "time": 2}"#, "no 'memory'"),
            (r#"{"accuracy": 0.9, "constraints": "x"}"#, "not numbers"),
            (r#"{"accuracy": 0.9, "constraints": {"time": 2, "memory": 1, "x": 1}}"#, "'x'"),
        ] {
            let problem = super::parse(text, &with).unwrap_err();
            assert!(problem.contains(says), "{text}: {problem}");
        }
    }

    /// Of two objectives in one result the last one counted; `[]` was a success; a null in a curve
    /// lost the objective; `"exception": false` counted as an exception.
    #[test]
    fn each_result_has_one_reading() {
        for (text, says) in [
            (r#"{"objective_to_minimize": 0.1, "objective_to_minimize": 0.9}"#, "twice"),
            ("[]", "no objective"),
            (r#"{"objective_to_minimize": []}"#, "no objective"),
            (r#"{"objective_to_minimize": [[1]]}"#, "not a number"),
            (r#"{"info_dict": [1], "objective_to_minimize": 1}"#, "not an object"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(says), "{text}: {problem}");
        }
        let infinite = Report::objective(f64::INFINITY);
        for text in ["1e400", r#"{"objective_to_minimize": 1e400}"#, r#"["inf"]"#] {
            let report = parse(text).unwrap();
            let (said, wanted) = (report.objective_to_minimize, &infinite.objective_to_minimize);
            assert_eq!(said.unwrap().as_slice(), wanted.as_ref().unwrap().as_slice(), "{text}");
        }
        let curve =
            parse(r#"{"objective_to_minimize": 1, "learning_curve": [0.9, null]}"#).unwrap();
        assert!(curve.learning_curve.unwrap()[1].as_slice()[0].is_nan());
        let fine = parse(r#"{"objective_to_minimize": 1, "exception": false}"#).unwrap();
        assert!(fine.is_success());
        let empty = parse(r#"{"objective_to_minimize": 1, "exception": ""}"#).unwrap();
        assert_eq!(empty.reported_as, State::Failed);
    }

    /// A result with an unknown key counted as a crash, although it had an objective.
    #[test]
    fn unknown_keys_are_kept_where_there_is_an_objective() {
        let parse = |text| super::parse(text, &Objectives::default());
        let text = r#"{"objective_to_minimize": 1, "accuracy": 0.9, "extra": {"a": 1}, "a": 2}"#;
        let report = parse(text).unwrap();
        let extra = report.extra.unwrap();
        assert_eq!((&extra["accuracy"], &extra["a"]), (&0.9.into(), &1.into()));
        assert!(parse(r#"{"accuracy": 0.9}"#).unwrap_err().contains("unknown key 'accuracy'"));
    }

    #[test]
    fn results_are_numbers_lists_or_objects_with_neps_keys() {
        assert_eq!(parse(" 0.5\n").unwrap(), Report::objective(0.5));
        assert_eq!(parse("inf").unwrap(), Report::objective(f64::INFINITY));
        assert_eq!(parse("[1, 2.5]").unwrap(), Report::objective([1.0, 2.5]));
        let full = r#"{"objective_to_minimize": 1, "cost": 2, "learning_curve": [3, "inf"],
                       "info_dict": {"a": [1]}, "exception": null}"#;
        let report = parse(full).unwrap();
        assert_eq!((report.cost, report.learning_curve.as_ref().unwrap().len()), (Some(2.0), 2));
        assert!(report.is_success());
        assert!(report.account_for_cost);
        let free = parse(r#"{"objective_to_minimize": 1, "cost": 2, "account_for_cost": false}"#);
        assert_eq!(free.unwrap(), Report::objective(1.0).cost(2.0).account_for_cost(false));
        let python = parse(r#"{"objective_to_minimize": NaN, "info_dict": {"\"NaN": -Infinity}}"#);
        let python = python.unwrap();
        assert!(matches!(python.objective_to_minimize, Some(Objective::One(x)) if x.is_nan()));
        let extra = python.extra.unwrap();
        assert_eq!(Shown(&extra["\"NaN"]).to_string(), "\"-inf\"");
        let failed = parse(r#"{"exception": "diverged"}"#).unwrap();
        assert_eq!(failed.reported_as, State::Failed);
        for (bad, says) in [
            ("", "no result"),
            ("done!", "done!"),
            ("{}", "objective_to_minimize"),
            (r#"{"loss": 1}"#, "unknown key 'loss'"),
            (r#"{"objective": 1, "account_for_cost": 0}"#, "account_for_cost is not true or false"),
            (r#"{"objective_to_minimize": "x"}"#, "not a number"),
            ("true", "neither"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }

    /// Each of these was a crash that did not say how to mend it.
    #[test]
    fn what_was_probably_meant_is_said() {
        for (text, says) in [
            ("np.float64(0.5)", "print(float(…))"),
            ("tensor(0.5, device='cuda:0')", "print(float(…))"),
            ("{'loss': 0.5}", "print(json.dumps(…))"),
            ("0,5", "a point for the comma"),
            ("loss: 0.5", "the number alone"),
            ("val_loss=0.5", "the number alone"),
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains(says), "{problem}");
        }
        for text in ["{\"a\":}", "done", "f(x)", "1,2,3", "http://x"] {
            assert_eq!(hint(text), "", "{text}");
        }
    }
}
