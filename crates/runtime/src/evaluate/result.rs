//! Parses a command's result: a number, or a JSON object with NePS's keys.

use serde_json::{Map, Value as Json};

use trialmill_core::trial::{Failure, Objective, Report, State};

const KEYS: &str = "objective_to_minimize, cost, learning_curve, info_dict (or extra), exception";

/// Reads a result: `0.12`, `[0.1, 3]`, or `{"objective_to_minimize": …, "cost": …,
/// "learning_curve": […], "info_dict": {…}, "exception": "…"}`.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn parse(text: &str) -> Result<Report, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("there is no result: print a number or a JSON object as the last line, or \
                    write it to the file that TRIALMILL_RESULT names"
            .into());
    }
    let short = || text.chars().take(200).collect::<String>();
    // Python prints some numbers that JSON does not have.
    if let Ok(number) = text.parse::<f64>() {
        return Ok(Report::objective(number));
    }
    let json = serde_json::from_str(text).or_else(|error| {
        serde_json::from_str(&quote_numbers_that_are_not_finite(text)).map_err(|_| error)
    });
    let json: Json = json.map_err(|error: serde_json::Error| {
        format!("the result is neither a number nor JSON ({error}): {}", short())
    })?;
    match json {
        Json::Object(map) => from_object(map),
        json => match objective(&json) {
            Some(objective) => Ok(Report::objective(objective)),
            None => Err(format!("the result is neither a number nor an object: {}", short())),
        },
    }
}

/// Python's `json.dumps` writes NaN, Infinity and -Infinity, which JSON does not have: outside of
/// strings they become the strings that represent them here.
fn quote_numbers_that_are_not_finite(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut in_text = false;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|word| rest.starts_with(word));
        if let (false, Some(word)) = (in_text, word) {
            out.extend(["\"", word, "\""]);
            rest = &rest[word.len()..];
            continue;
        }
        let len = match c {
            '\\' if in_text => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => c.len_utf8(),
        };
        in_text ^= c == '"';
        out.push_str(&rest[..len]);
        rest = &rest[len..];
    }
    out
}

fn objective(json: &Json) -> Option<Objective> {
    serde_json::from_value(json.clone()).ok()
}

fn from_object(map: Map<String, Json>) -> Result<Report, String> {
    let mut report = Report::objective(f64::NAN);
    report.objective_to_minimize = None;
    for (key, json) in map {
        let wrong = |what: &str| format!("the result's {key} is not {what}: {json}");
        match key.as_str() {
            _ if json.is_null() => {}
            "objective_to_minimize" => {
                let value = objective(&json).ok_or_else(|| wrong("a number or numbers"))?;
                report.objective_to_minimize = Some(value);
            }
            "cost" => match objective(&json) {
                Some(Objective::One(cost)) => report.cost = Some(cost),
                _ => return Err(wrong("a number")),
            },
            "learning_curve" => {
                let curve: Result<Vec<Objective>, _> = serde_json::from_value(json.clone());
                report.learning_curve = Some(curve.map_err(|_| wrong("a list of numbers"))?.into());
            }
            "info_dict" | "extra" => match json {
                Json::Object(extra) => report.extra = Some(Box::new(extra)),
                _ => return Err(wrong("an object")),
            },
            "exception" => {
                let err = json.as_str().map_or_else(|| json.to_string(), str::to_string);
                let failure = Failure { err_type: "error".into(), err, tb: None };
                report.failure = Some(Box::new(failure));
                report.reported_as = State::Failed;
            }
            _ => return Err(format!("the result has an unknown key '{key}'; it may have: {KEYS}")),
        }
    }
    match (&report.objective_to_minimize, &report.failure) {
        (None, None) => Err("the result has no objective_to_minimize".into()),
        _ => Ok(report),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let python = parse(r#"{"objective_to_minimize": NaN, "info_dict": {"\"NaN": -Infinity}}"#);
        let python = python.unwrap();
        assert!(matches!(python.objective_to_minimize, Some(Objective::One(x)) if x.is_nan()));
        assert_eq!(python.extra.unwrap()["\"NaN"], "-Infinity");
        let failed = parse(r#"{"exception": "diverged"}"#).unwrap();
        assert_eq!(failed.reported_as, State::Failed);
        for (bad, says) in [
            ("", "no result"),
            ("done!", "done!"),
            ("{}", "objective_to_minimize"),
            (r#"{"loss": 1}"#, "unknown key 'loss'"),
            (r#"{"objective_to_minimize": "x"}"#, "not a number"),
            ("true", "neither"),
        ] {
            let error = parse(bad).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
