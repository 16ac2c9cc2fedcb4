//! Numbers and times as people write them, in flags and in a study file.

use std::ops::RangeInclusive;

use jiff::{Span, SpanRelativeTo};
use serde_json::{Map, Value as Json};
use trialmill_core::notation;

/// What is accepted as a time.
const TIMES: &str = "a time is seconds (600), or has units: 10m, 2h, 1.5s, 1h30m, 250ms, 2d";

/// Reads a time that is 0 or more, in seconds: `600`, `10m`, `1h30m`, `1.5s`.
///
/// # Errors
/// What would be right.
pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let with_units = || {
        let span: Span = text.parse().ok()?;
        let days = SpanRelativeTo::days_are_24_hours();
        // A month is no fixed time, and `PT10M` is no word of ours.
        let duration = span.to_duration(days).ok().filter(|_| !text.starts_with(['P', 'p']))?;
        Some(duration.as_secs_f64())
    };
    let seconds = text.parse::<f64>().ok().or_else(with_units);
    match seconds {
        Some(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(seconds),
        Some(seconds) if seconds < 0.0 => Err(format!("it is below 0; {TIMES}")),
        _ => Err(TIMES.into()),
    }
}

/// Reads a whole number from 0 on: `200`, `1_000`, `1e3`.
///
/// # Errors
/// What would be right.
pub(crate) fn count<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    let text = text.trim().replace('_', "");
    let wrong = |why: &str| Err(format!("{why}a whole number from 0 on is needed"));
    let number = match (text.parse::<u64>(), text.parse::<f64>()) {
        (Ok(number), _) => number,
        (_, Ok(x)) if x < 0.0 => return wrong("it is below 0; "),
        (_, Ok(x)) if x.fract() == 0.0 && x <= (1u64 << 53) as f64 => x as u64,
        (_, Ok(x)) if x.is_finite() && x.fract() == 0.0 => return wrong("it is too large; "),
        (..) => return wrong(""),
    };
    T::try_from(number).or_else(|_| wrong("it is too large; "))
}

/// The same from 1 on.
///
/// # Errors
/// What would be right.
pub(crate) fn from_1<T: TryFrom<u64>>(text: &str) -> Result<T, String> {
    match count::<u64>(text) {
        Ok(0) => Err("a whole number from 1 on is needed".into()),
        read => read.and_then(|_| count(text)),
    }
}

/// Reads a whole number in a range.
pub(crate) fn whole_in<T>(range: RangeInclusive<u64>) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: TryFrom<u64>,
{
    move |text| {
        let number = count::<u64>(text).ok().filter(|number| range.contains(number));
        let wrong =
            || format!("a whole number from {} to {} is needed", range.start(), range.end());
        T::try_from(number.ok_or_else(wrong)?).map_err(|_| wrong())
    }
}

/// Reads a number in a range.
pub(crate) fn number_in(
    range: RangeInclusive<f64>,
) -> impl Fn(&str) -> Result<f64, String> + Clone {
    move |text| match number(text) {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!("a number from {} to {} is needed", range.start(), range.end())),
    }
}

/// What somebody gives as JSON, or else as a text. A number that no computer has (`1e999`) is a text, as
/// it was written, and not infinity.
pub(crate) fn json_or_text(text: &str) -> Json {
    match trialmill_core::json::read(text) {
        Ok(json) if notation::as_f64(&json).is_none_or(f64::is_finite) => json,
        _ => text.into(),
    }
}

/// Reads any number.
///
/// # Errors
/// It is none.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    text.trim().parse().map_err(|_| "a number is needed, with a point: 0.5, 1e-3".into())
}

/// The keys of a study file that are times.
const TIME_KEYS: [&str; 5] = [
    "timeout_seconds",
    "grace_seconds",
    "seconds",
    "evaluation_seconds",
    "seconds_without_improvement",
];

/// The keys of a study file that are counts.
const COUNT_KEYS: [&str; 8] = [
    "evaluations",
    "steps",
    "seed",
    "workers",
    "max_attempts",
    "max_failures",
    "give_up_after",
    "evaluations_without_improvement",
];

/// The keys below which there are more of them.
const SECTIONS: [&str; 4] = ["budget", "per_worker", "per_run", "stop_early"];

/// Turns the times and counts of a study file into the numbers that they say.
///
/// # Errors
/// The key, what would be right, and what it is.
pub(crate) fn settle(map: &mut Map<String, Json>) -> Result<(), String> {
    for (key, json) in map.iter_mut() {
        let key = key.as_str();
        let read: Result<Json, String> = match json {
            Json::Object(section) if SECTIONS.contains(&key) => {
                settle(section).map_err(|problem| format!("{key}: {problem}"))?;
                continue;
            }
            // serde takes a list for the fields in their order.
            Json::Array(_) if SECTIONS.contains(&key) => {
                Err("a mapping of its keys is needed".into())
            }
            Json::String(text) if TIME_KEYS.contains(&key) => seconds(text).map(Json::from),
            Json::Number(x) if TIME_KEYS.contains(&key) => {
                seconds(&x.to_string()).map(|_| Json::Number(x.clone()))
            }
            Json::Number(x) if COUNT_KEYS.contains(&key) => {
                count::<u64>(&x.to_string()).map(Json::from)
            }
            Json::String(_) | Json::Bool(_) | Json::Array(_) if COUNT_KEYS.contains(&key) => {
                Err("a whole number from 0 on is needed".into())
            }
            _ => continue,
        };
        let shown = notation::Shown(json).to_string();
        *json = read.map_err(|problem| format!("{key}: {problem}, and this is {shown}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_units_or_is_seconds() {
        for (text, wanted) in [
            ("600", 600.0),
            ("0", 0.0),
            ("1.5", 1.5),
            ("1e3", 1000.0),
            ("10m", 600.0),
            ("10 min", 600.0),
            ("2h", 7200.0),
            ("1.5s", 1.5),
            ("1.5h", 5400.0),
            ("1h30m", 5400.0),
            ("1h 30m", 5400.0),
            ("90s", 90.0),
            ("250ms", 0.25),
            ("2d", 172_800.0),
            ("1d12h", 129_600.0),
            ("01:30:00", 5400.0),
        ] {
            assert_eq!(seconds(text), Ok(wanted), "{text}");
        }
        for bad in ["", "m", "10x", "ten", "inf", "nan", "1mo", "PT10M", "10m3", "5 weeks ago"] {
            assert!(seconds(bad).unwrap_err().contains("10m, 2h"), "{bad}");
        }
        for below in ["-1", "-10m", "-1e300", "-inf"] {
            assert!(seconds(below).unwrap_err().contains("below 0"), "{below}");
        }
    }

    #[test]
    fn a_range_says_itself() {
        assert_eq!(whole_in::<u32>(1..=65_536)("1e3"), Ok(1000));
        assert_eq!(from_1::<usize>("7"), Ok(7));
        assert!(from_1::<u8>("0").unwrap_err().contains("from 1 on"));
        assert!(from_1::<u8>("300").unwrap_err().contains("too large"));
        for bad in ["0", "-1", "65537", "1e9", "2.5", "nan", "x", ""] {
            let problem = whole_in::<u32>(1..=65_536)(bad).unwrap_err();
            assert_eq!(problem, "a whole number from 1 to 65536 is needed", "{bad}");
        }
        assert_eq!(number_in(0.1..=20.0)("0.5"), Ok(0.5));
        for bad in ["0", "-1", "1e9", "nan", "inf", "wide", ""] {
            let problem = number_in(0.1..=20.0)(bad).unwrap_err();
            assert_eq!(problem, "a number from 0.1 to 20 is needed", "{bad}");
        }
    }

    #[test]
    fn a_number_that_no_computer_has_is_the_text_that_it_was() {
        for text in ["1e999", "-1e999", "NaN", "Infinity", "hello", "01", ""] {
            assert_eq!(json_or_text(text), Json::from(text), "{text}");
        }
        assert_eq!(json_or_text("1e3"), Json::from(1000.0));
        assert_eq!(json_or_text("[1, \"a\"]"), serde_json::json!([1, "a"]));
    }

    #[test]
    fn a_count_is_a_whole_number_from_0_on() {
        for (text, wanted) in [("0", 0), ("200", 200), ("1_000", 1000), ("1e3", 1000), ("2.0", 2)] {
            assert_eq!(count::<u64>(text), Ok(wanted), "{text}");
        }
        assert_eq!(count::<u64>("18446744073709551615"), Ok(u64::MAX));
        for (text, says) in [
            ("-3", "below 0"),
            ("-0.5", "below 0"),
            ("-inf", "below 0"),
            ("300", "too large"),
            ("1e30", "too large"),
            ("2.5", "whole number"),
            ("nan", "whole number"),
            ("four", "whole number"),
            ("", "whole number"),
        ] {
            let problem = count::<u8>(text).unwrap_err();
            assert!(problem.contains(says) && problem.contains("from 0 on"), "{text}: {problem}");
        }
    }
}
