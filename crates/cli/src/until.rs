//! `--until TIME`: when a batch system's job ends, or somebody wants the machine back.

use std::time::{Duration, SystemTime};

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// Reads a time: `18:30` (the next one), `2026-11-26T18:30` (both of this machine's time zone),
/// `2026-11-26T18:30Z`, seconds since 1970 as batch systems give them, or `+1h30m` from now.
///
/// # Errors
/// What would be right.
pub(crate) fn parse(text: &str) -> Result<SystemTime, String> {
    at(text.trim(), &Zoned::now()).map(SystemTime::from).ok_or_else(|| {
        "a time is needed: 18:30, 2026-11-26T18:30, seconds since 1970 (`$SLURM_JOB_END_TIME`), or \
         +1h30m from now"
            .into()
    })
}

fn at(text: &str, now: &Zoned) -> Option<Timestamp> {
    if let Some(wait) = text.strip_prefix('+') {
        let seconds = wait.parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok());
        let wait = match seconds {
            Some(wait) => SignedDuration::try_from(wait).ok()?,
            None => wait.parse().ok().filter(|wait: &SignedDuration| !wait.is_negative())?,
        };
        return now.timestamp().checked_add(wait).ok();
    }
    if let Ok(seconds) = text.parse() {
        return Timestamp::from_second(seconds).ok();
    }
    if let Ok(time) = text.parse() {
        return Some(time);
    }
    let zone = |time: DateTime| TimeZone::to_timestamp(now.time_zone(), time).ok();
    if !text.contains(['-', 'T', ' ']) {
        let today = zone(now.date().to_datetime(text.parse::<Time>().ok()?))?;
        return match today > now.timestamp() {
            true => Some(today),
            false => zone(now.date().checked_add(1.day()).ok()?.to_datetime(text.parse().ok()?)),
        };
    }
    zone(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_people_and_batch_systems_write_it() {
        // Not by a zone's name: not every machine has the database of zones.
        let now = "2026-11-26T18:00:00Z".parse::<Timestamp>().unwrap().to_zoned(TimeZone::UTC);
        let seconds = |text: &str| Some(at(text, &now)?.as_second() - now.timestamp().as_second());
        for (text, later) in [
            ("18:30", 1_800),
            ("18:30:01", 1_801),
            ("17:00", 23 * 3_600),
            ("18:00", 24 * 3_600),
            ("+90", 90),
            ("+1h30m", 5_400),
            ("+30s", 30),
            ("2026-11-26T18:00:05", 5),
            ("2026-11-26 18:00:05", 5),
            ("2026-11-26T18:00:05Z", 5),
            ("2026-11-26T19:00:05+01:00", 5),
            ("2026-11-26T18:01", 60),
            (&(now.timestamp().as_second() + 7).to_string(), 7),
        ] {
            assert_eq!(seconds(text), Some(later), "{text}");
        }
        for bad in ["", "soon", "25:00", "+", "+-5", "+soon", "2026-13-01T00:00"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
