//! Times as Optuna writes them: ISO 8601, without a zone. Ours are in UTC.

/// `2026-11-26T02:00:00.123456`.
pub(crate) fn iso(time: f64) -> String {
    let time = if time.is_finite() { time.clamp(0.0, 253_402_300_799.0) } else { 0.0 };
    let micros = (time * 1e6).round() as u64;
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    let (days, rest) = ((seconds / 86_400) as i64, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}")
}

/// The date of a day since 1970 in the Gregorian calendar, counted in eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, date)
}

/// Seconds since the Unix epoch; a zone is taken into account, and without one it is UTC.
pub(crate) fn from_iso(text: &str) -> Option<f64> {
    let (date, clock) = text.split_once(['T', ' '])?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || !(1..=9_999).contains(&year) {
        return None;
    }
    let clock = clock.trim_end_matches('Z');
    let zone = clock.rfind(['+', '-']);
    let (clock, zone) = zone.map_or((clock, ""), |at| clock.split_at(at));
    let of = |text: &str| -> Option<f64> {
        let mut parts = text.splitn(3, ':');
        let (hour, minute) =
            (parts.next()?.parse::<f64>().ok()?, parts.next()?.parse::<f64>().ok()?);
        let second = parts.next().map_or(Some(0.0), |part| part.parse::<f64>().ok())?;
        Some(hour * 3_600.0 + minute * 60.0 + second)
    };
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let zone = match zone.split_at_checked(1) {
        Some(("-", zone)) => -of(zone)?,
        Some((_, zone)) => of(zone)?,
        None => 0.0,
    };
    Some(days as f64 * 86_400.0 + of(clock)? - zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_is_written_and_read_as_the_same() {
        assert_eq!(iso(0.0), "1970-01-01T00:00:00.000000");
        assert_eq!(iso(951_782_400.25), "2000-02-29T00:00:00.250000");
        assert_eq!(iso(1_795_658_400.0), "2026-11-26T02:00:00.000000");
        for day in (0..40_000).map(|day| f64::from(day) * 86_400.0 + 3_723.5) {
            assert_eq!(from_iso(&iso(day)), Some(day));
        }
        assert_eq!(from_iso("2026-11-26T02:00:00+02:00"), Some(1_795_658_400.0 - 7_200.0));
        assert_eq!(from_iso("2026-11-26 02:00:00.5"), Some(1_795_658_400.5));
        for wrong in ["", "2026", "2026-13-01T00:00:00", "x-y-zT1:2:3", "2026-11-26T", "T"] {
            assert_eq!(from_iso(wrong), None, "{wrong}");
        }
    }
}
