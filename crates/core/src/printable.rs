//! Strings from a journal, a study file or a command, made safe for a terminal.

/// A string that somebody else wrote, safe to print: a terminal shows its line ends and escapes
/// and does not obey them.
pub fn printable(string: &str) -> String {
    let show = |c: char| if c.is_control() { c.escape_default().collect() } else { c.to_string() };
    string.chars().map(show).collect()
}
