//! Marks of an axis at round numbers, and numbers as a person reads them.

/// A step of 1, 2 or 5 times a power of ten that parts a range into about `n`.
pub fn nice(range: f64, n: usize) -> f64 {
    let rough = (range / n.max(1) as f64).max(f64::MIN_POSITIVE);
    let power = 10f64.powf(rough.log10().floor());
    let part = rough / power;
    power
        * if part < 1.5 {
            1.0
        } else if part < 3.5 {
            2.0
        } else if part < 7.5 {
            5.0
        } else {
            10.0
        }
}

/// About `n` round values of a range; on a logarithmic scale powers of ten where there are enough.
pub fn ticks(low: f64, high: f64, log: bool, n: usize) -> Vec<f64> {
    if !(low.is_finite() && high.is_finite()) || low >= high {
        return if low.is_finite() { vec![low] } else { Vec::new() };
    }
    if log && low > 0.0 {
        let (first, last) = (low.log10().ceil() as i32, high.log10().floor() as i32);
        if last - first >= 1 {
            let every = ((last - first) as usize / n.max(1) + 1) as i32;
            return (first..=last).filter(|e| (e - first) % every == 0).map(power_of_ten).collect();
        }
    }
    let step = nice(high - low, n);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    if last.saturating_sub(first) > 1_000 {
        return vec![low, high];
    }
    (first..=last).map(|i| i as f64 * step).collect()
}

fn power_of_ten(exponent: i32) -> f64 {
    // The decimal text is exact where `powi` is a bit off.
    format!("1e{exponent}").parse().unwrap_or(f64::NAN)
}

/// A number with about four digits.
pub fn number(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 || !x.is_finite() {
        return match x {
            x if x.is_nan() => "–".into(),
            0.0 => "0".into(),
            x => if x > 0.0 { "∞" } else { "-∞" }.into(),
        };
    }
    if !(1e-3..1e6).contains(&size) {
        let text = format!("{x:.2e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", trimmed(digits));
    }
    let digits = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    trimmed(&format!("{x:.digits$}")).to_string()
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// A duration as a person says it: `3.2 s`, `5 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn seconds(s: f64) -> String {
    if !s.is_finite() || s < 0.0 {
        return "–".into();
    }
    let whole = s.round() as u64;
    match s {
        0.0 => "0".into(),
        s if s < 0.001 => format!("{} µs", number(s * 1e6)),
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 60.0 => format!("{} s", trimmed(&format!("{s:.1}"))),
        s if s < 3_600.0 => format!("{} min {} s", whole / 60, whole % 60),
        s if s < 86_400.0 => format!("{} h {} min", whole / 3_600, whole / 60 % 60),
        _ => format!("{} d {} h", whole / 86_400, whole / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round_few_and_within_the_range_whatever_it_is() {
        let ranges = [(0.0, 1.0), (-3.0, 7e9), (1e-5, 1e-1), (5.0, 5.0), (1e300, 1.7e308)];
        for (low, high) in ranges.into_iter().chain([(0.1, 0.1 + 1e-12), (f64::NAN, 1.0)]) {
            for log in [false, true] {
                let marks = ticks(low, high, log, 5);
                assert!(marks.len() <= 12, "{low} {high} {log}: {marks:?}");
                assert!(marks.iter().all(|x| (low..=high).contains(x)), "{low} {high}: {marks:?}");
            }
        }
        assert_eq!(ticks(0.0, 1.0, false, 5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(ticks(1e-5, 1e-1, true, 5), [1e-5, 1e-4, 1e-3, 1e-2, 1e-1]);
    }

    #[test]
    fn numbers_and_durations_read_well() {
        let texts = [
            (0.0, "0"),
            (0.30000000000000004, "0.3"),
            (1234.5678, "1235"),
            (1.5e-7, "1.5e-7"),
            (2e9, "2e9"),
            (-0.0625, "-0.0625"),
            (f64::INFINITY, "∞"),
        ];
        for (x, text) in texts {
            assert_eq!(number(x), text);
        }
        let texts =
            [(0.25, "250 ms"), (3.2, "3.2 s"), (320.0, "5 min 20 s"), (7_500.0, "2 h 5 min")];
        for (s, text) in texts {
            assert_eq!(seconds(s), text);
        }
    }
}
