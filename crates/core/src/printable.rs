//! Strings from a journal, a study file or a command, made safe for a terminal.

/// A string that somebody else wrote, safe to print: a terminal shows its line ends, its escapes and what
/// turns the direction of text, and does not obey them.
pub fn printable(string: &str) -> String {
    let turns = |c: char| matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let show = |c: char| match c.is_control() || turns(c) {
        true => c.escape_default().collect(),
        false => c.to_string(),
    };
    string.chars().map(show).collect()
}

/// A text that no spreadsheet runs: a `'` stands before what begins as a formula does. A number is no formula,
/// whatever its sign.
pub fn no_formula(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') if text.parse::<f64>().is_err() => {
            format!("'{text}")
        }
        _ => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(
            printable("a\u{202e}b\u{1b}[31m\n\u{2066}"),
            "a\\u{202e}b\\u{1b}[31m\\n\\u{2066}"
        );
        assert_eq!(printable("na\u{ef}ve \u{5d0} \u{1f600}"), "na\u{ef}ve \u{5d0} \u{1f600}");
    }
}
