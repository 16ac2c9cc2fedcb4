//! A word that is not known: the one that was probably meant, and what others call ours.

/// What other tools call it, and what it is here.
const ELSEWHERE: [(&str, &str); 35] = [
    ("low", "`lower`"),
    ("high", "`upper`"),
    ("min", "`lower`"),
    ("max", "`upper`"),
    ("values", "`choices`"),
    ("mu", "`mean`"),
    ("sigma", "`sd`"),
    ("std", "`sd`"),
    ("q", "`step`"),
    ("condition", "`when`"),
    ("conditions", "`when`"),
    ("depends_on", "`when`"),
    ("ordered", "`type: ordinal`"),
    ("choice", "`categorical`"),
    ("log_normal", "`lognormal`"),
    ("log_uniform", "`loguniform`"),
    ("trials", "`evaluations`"),
    ("n_trials", "`evaluations` in `budget`"),
    ("max_trials", "`evaluations` in `budget`"),
    ("max_evaluations", "`evaluations` in `budget`"),
    ("max_evaluations_total", "`evaluations` in `budget`"),
    ("evaluations_to_spend", "`evaluations` in `budget`"),
    ("total_evaluations_to_spend", "`evaluations` in `budget`"),
    ("max_evaluations_per_run", "`evaluations` in `budget: {per_run: …}`"),
    ("root_directory", "the flag `--dir`"),
    ("max_cost_total", "`cost` in `budget`"),
    ("cost_to_spend", "`cost` in `budget`"),
    ("n_jobs", "`workers`"),
    ("timeout", "`timeout_seconds`"),
    ("searcher", "`optimizer`"),
    ("maximize", "`direction: maximize`"),
    ("minimize", "`direction: minimize`"),
    ("directions", "`direction`"),
    ("metric", "`objectives`"),
    ("goal", "`direction`"),
];

/// Says that a word is not one of those that are known, and which was probably meant.
pub fn unknown(word: &str, what: &str, known: &[&str]) -> String {
    let hint = match ELSEWHERE.iter().find(|(other, _)| *other == word) {
        Some((_, ours)) => format!("; here it is {ours}."),
        None => match nearest(word, known) {
            Some(near) => format!("; did you mean `{near}`?"),
            None => ".".into(),
        },
    };
    format!("'{word}' is not {what}{hint} There are: {}", known.join(", "))
}

/// The known word that differs in a letter or two.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let near = known.iter().map(|other| (distance(word, other), *other)).min()?;
    (near.0 <= 2 && near.0 * 2 < word.chars().count()).then_some(near.1)
}

/// How many letters are to be changed, added, left out or swapped with the next.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut rows = vec![(0..=other.len()).collect::<Vec<usize>>()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut best = (rows[i][j + 1] + 1).min(row[j] + 1);
            best = best.min(rows[i][j] + usize::from(a != b));
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

/// A complaint of the deserialiser in words that are not Rust's.
pub fn plain(problem: &str) -> String {
    let wanted = [
        ("expected usize", "a whole number from 0 on is needed"),
        ("expected u64", "a whole number from 0 to 2^64 - 1 is needed"),
        ("expected u32", "a whole number from 0 to 2^32 - 1 is needed"),
        ("expected f64", "a number is needed"),
        ("expected a sequence", "a list is needed"),
        ("expected a string", "a text is needed"),
    ];
    let Some((found, _)) = problem.rsplit_once(", expected ") else { return problem.into() };
    let Some((_, wanted)) = wanted.iter().find(|(words, _)| problem.contains(words)) else {
        return problem.replace("invalid type: ", "").replace("invalid value: ", "");
    };
    let found = found.trim_start_matches("invalid type: ").trim_start_matches("invalid value: ");
    let found = found.replace("string ", "the text ").replace("integer ", "the number ");
    let found = found.replace("floating point ", "the number ");
    format!("{wanted}, and it is {}", found.replace("map", "a mapping").replace('`', ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_is_answered_with_the_word_and_another_tools_word_with_ours() {
        assert!(unknown("flaot", "a type", &["float", "int"]).contains("did you mean `float`?"));
        assert!(unknown("low", "a key", &["lower", "log"]).contains("here it is `lower`"));
        assert!(!unknown("zzz", "a key", &["lower", "log"]).contains("mean"));
        assert!(!unknown("x", "a key", &["y"]).contains("mean"));
    }

    #[test]
    fn no_word_of_rust_reaches_a_user() {
        for (said, plainly) in [
            (
                "invalid value: integer `-3`, expected usize",
                "a whole number from 0 on is needed, and it is the number -3",
            ),
            (
                "invalid type: string \"many\", expected usize",
                "a whole number from 0 on is needed, and it is the text \"many\"",
            ),
        ] {
            assert_eq!(plain(said), plainly);
        }
    }
}
