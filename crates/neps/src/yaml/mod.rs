//! YAML 1.1 as PyYAML reads and writes it, byte for byte.
//!
//! `scalar` knows which plain scalars are numbers, `style` which strings need quotes, `emit` writes
//! as PyYAML's two dumpers do, and `read` reads as `yaml.CSafeLoader` does.

mod emit;
mod read;
mod scalar;
mod style;

use self::emit::Dumper;
use super::value::Value;

#[allow(unused_imports)] // As in `neps`.
pub(crate) use read::{YamlError, read};

/// What `yaml.dump(value, Dumper=yaml.CDumper, sort_keys=True)` returns.
///
/// A dict whose keys Python cannot compare keeps its order. There are no aliases, because our
/// values are never shared.
pub(crate) fn write(value: &Value) -> String {
    emit::document(value, Dumper::C, true)
}

/// What `yaml.dump(value, Dumper=yaml.CDumper, sort_keys=False)` returns.
#[cfg(test)]
pub(crate) fn write_unsorted(value: &Value) -> String {
    emit::document(value, Dumper::C, false)
}

/// What `yaml.safe_dump(value)` returns. NePS 0.12 writes with PyYAML's pure Python dumper, which
/// folds double-quoted strings at other places, writes `? ` before empty keys and from another
/// length on, and `...` after a document that is a plain scalar.
pub(crate) fn write_pure(value: &Value) -> String {
    emit::document(value, Dumper::Python, true)
}

/// What `yaml.safe_dump(value, sort_keys=False)` returns: NePS 0.12's `.optimizer_info.yaml`.
pub(crate) fn write_pure_unsorted(value: &Value) -> String {
    emit::document(value, Dumper::Python, false)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::{env, fs};

    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{Rng, RngExt, SeedableRng};
    use serde_json::{Value as Json, json};

    use super::super::json;
    use super::super::value::Dict;
    use super::*;

    #[test]
    fn nasty_values_are_written_as_pyyaml_writes_them() {
        let text = |text: &str| Value::from(text);
        let words = "word ".repeat(20);
        for (value, expected) in [
            (1e-5.into(), "1.0e-05"),
            (1e22.into(), "1.0e+22"),
            (5e-324.into(), "5.0e-324"),
            ((-0.0).into(), "-0.0"),
            (1.5e-7.into(), "1.5e-07"),
            (f64::INFINITY.into(), ".inf"),
            (f64::NEG_INFINITY.into(), "-.inf"),
            (f64::NAN.into(), ".nan"),
            (Value::None, "null"),
            (Value::Bool(true), "true"),
            (Value::BigInt("1".repeat(25)), "1111111111111111111111111"),
            (text(""), "''"),
            (text("on"), "'on'"),
            (text("y"), "y"),
            (text("~"), "'~'"),
            (text("1.0"), "'1.0'"),
            (text("0x1"), "'0x1'"),
            (text("1_000"), "'1_000'"),
            (text("12:30"), "'12:30'"),
            (text("2024-01-01"), "'2024-01-01'"),
            (text(".5"), "'.5'"),
            (text("="), "'='"),
            (text("<<"), "'<<'"),
            (text("1e5"), "1e5"),
            (text("1.e3"), "1.e3"),
            (text("0o7"), "0o7"),
            (text(" a"), "' a'"),
            (text("a "), "'a '"),
            (text("a: b"), "'a: b'"),
            (text("a:b"), "a:b"),
            (text("a #b"), "'a #b'"),
            (text("a#b"), "a#b"),
            (text("-"), "'-'"),
            (text("-a"), "-a"),
            (text("?a"), "?a"),
            (text("%a"), "'%a'"),
            (text("`"), "'`'"),
            (text("--- a"), "'--- a'"),
            (text("a\nb"), "'a\n\n    b'"),
            (text("a\n"), "'a\n\n    '"),
            (text("a \nb"), r#""a \nb""#),
            (text("a\tb"), r#""a\tb""#),
            (text("é€\u{1F600}\u{a0}\u{85}\u{2028}"), r#""\xE9\u20AC\U0001F600\_\N\L""#),
            (text("it's"), "it's"),
            (text("'"), "''''"),
            (Value::List(vec![]), "[]"),
            (Value::Map(vec![]), "{}"),
            (Value::List(vec![Value::List(vec![1.into(), 2.into()])]), "\n  - - 1\n    - 2"),
        ] {
            let expected = if expected.starts_with('\n') {
                format!("a:\n- k:{expected}\n")
            } else {
                format!("a:\n- k: {expected}\n")
            };
            let value = Value::map([("a", Value::List(vec![Value::map([("k", value)])]))]);
            assert_eq!(write(&value), expected);
            let again = read(expected.as_bytes()).unwrap();
            assert_eq!(again.to_json(), value.to_json(), "{expected}");
        }
        let folded = format!("{}word", "word ".repeat(16));
        let rest = format!("word word '{}", '\n');
        assert_eq!(write(&text(&words)), format!("'{folded}\n  word {rest}"));
        let key = Value::Map(vec![(text(&"k".repeat(129)), Value::List(vec![1.into()]))]);
        assert_eq!(write(&key), format!("? {}\n: - 1\n", "k".repeat(129)));
        let mixed = Value::Map(vec![("b".into(), 1.into()), (5.into(), 2.into())]);
        assert_eq!(write(&mixed), "b: 1\n5: 2\n");
        let numbers = Value::Map(vec![(2.5.into(), 1.into()), (1.into(), 2.into())]);
        assert_eq!(write(&numbers), "1: 2\n2.5: 1\n");
        assert_eq!(write_unsorted(&numbers), "2.5: 1\n1: 2\n");
        assert_eq!(write_pure(&text("error")), "error\n...\n");
        let entry = Value::Map(vec![(text(""), text("a"))]);
        assert_eq!(
            (write(&entry).as_str(), write_pure(&entry).as_str()),
            ("'': a\n", "? ''\n: a\n")
        );
        assert_eq!(write(&text("error")), "error\n");
    }

    #[test]
    fn documents_are_read_as_pyyaml_reads_them() {
        for (yaml, value) in [
            ("", json!(null)),
            ("# nothing\n", json!(null)),
            ("---\n", json!(null)),
            ("\u{feff}a: 1\r\nb:\r\n- x\r\n", json!({"a": 1, "b": ["x"]})),
            ("error\n...\n", json!("error")),
            ("a: 1\nb: 2\na: 3\n", json!({"a": 3, "b": 2})),
            ("{1: a, true: b, 1.0: c}", json!({"$map": [[1, "c"]]})),
            ("a: &x [1, 2]\nb: *x\n", json!({"a": [1, 2], "b": [1, 2]})),
            ("- &x {a: 1, b: 2}\n- {a: 3, <<: *x}\n", json!([{"a": 1, "b": 2}, {"a": 3, "b": 2}])),
            ("<<: [{a: 1}, {a: 2, b: 3}]\n", json!({"a": 1, "b": 3})),
            ("? - 1\n: 2\n", Json::Null),
            ("! '1'", json!(1)),
            ("!!str 1", json!("1")),
            ("!!float 1e5", json!(1e5)),
            ("=: 1", json!({"=": 1})),
            ("a: =", Json::Null),
            ("a: <<", Json::Null),
            ("? |\n  k\n: >\n  a\n  b\n", json!({"k\n": "a b\n"})),
            ("\"\\x85\\_\\N\\L\\P\\e\\\n  a\"", json!("\u{85}\u{a0}\u{85}\u{2028}\u{2029}\u{1b}a")),
        ] {
            match read(yaml.as_bytes()) {
                Ok(found) => assert_eq!(found.to_json(), value, "{yaml}"),
                Err(error) => assert!(value.is_null() && yaml.contains(['?', '=', '<']), "{error}"),
            }
        }
    }

    #[test]
    fn what_neps_itself_cannot_read_is_named_by_its_tag() {
        let error = read(b"a: 1\nb: !!python/tuple\n- 1\n").unwrap_err();
        let tag = "tag:yaml.org,2002:python/tuple".to_owned();
        assert_eq!(error, YamlError::Tagged { tag, line: 2 });
        let tag = "tag:yaml.org,2002:set".to_owned();
        assert_eq!(read(b"!!set {a}").unwrap_err(), YamlError::NotPlain { tag, line: 1 });
    }

    #[test]
    fn hostile_documents_are_refused() {
        let deep = "[".repeat(100_000);
        let deeper = "- ".repeat(100_000);
        let bomb: String = (1..30)
            .map(|n| format!("- &a{n} [{0}, {0}]\n", "*a".to_owned() + &(n - 1).to_string()))
            .collect();
        let bomb = format!("- &a0 [{}]\n{bomb}", "x, ".repeat(1000));
        for text in [
            &deep,
            &deeper,
            &bomb,
            "&a [*a]",
            "*a",
            "a: 1\n--- b\n",
            "a: b: c",
            "[1",
            "\"a",
            "a: \u{1}",
            "- 1\nb: 2\n",
            "!!int x",
            "!!map 1",
            "!foo 1",
            "!!str [1]",
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text:.40}");
        }
        assert!(read(b"\xff").is_err());
        assert!(read(&vec![b' '; trialmill_core::limits::MAX_NEPS_TEXT_BYTES + 1]).is_err());
    }

    fn files(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }

    /// Samples that NePS itself wrote; `TRIALMILL_NEPS_FILES` names a larger collection.
    #[test]
    fn files_that_neps_wrote_are_written_again_with_the_same_bytes() {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/yaml/samples");
        let mut paths = Vec::new();
        files(&env::var_os("TRIALMILL_NEPS_FILES").map_or(samples, PathBuf::from), &mut paths);
        let (mut same, mut tagged) = (0, 0);
        for path in paths {
            let name = path.file_name().unwrap().to_string_lossy();
            let text = fs::read(&path).unwrap();
            let again = if name.ends_with(".jsonl") {
                let lines = text.split(|byte| *byte == b'\n');
                let lines = lines.map(|line| json::write(&json::read(line).unwrap()));
                lines.collect::<Vec<_>>().join("\n")
            } else if ["metadata.json", "seed_info.json"].contains(&&*name) {
                json::write(&json::read(&text).unwrap())
            } else if name.ends_with(".yaml") {
                match read(&text) {
                    Ok(value) if name == ".optimizer_info.yaml" => write_pure_unsorted(&value),
                    Ok(value) if path.to_string_lossy().contains("neps-0.12") => write_pure(&value),
                    Ok(value) => write(&value),
                    Err(YamlError::Tagged { tag, .. }) if tag.contains(":python/") => {
                        tagged += 1;
                        continue;
                    }
                    Err(error) => panic!("{}: {error}", path.display()),
                }
            } else {
                continue;
            };
            assert_eq!(again, String::from_utf8(text).unwrap(), "{}", path.display());
            same += 1;
        }
        println!("{same} files the same, {tagged} that NePS itself cannot read");
        assert!(same > 30 && tagged > 0);
    }

    /// Pieces that have a meaning somewhere in YAML 1.1, and some that only look like it.
    const PIECES: [&str; 84] = [
        "a",
        "b",
        "word",
        "Word",
        "1",
        "0",
        "7",
        "9",
        "-",
        "+",
        ".",
        "_",
        ":",
        ": ",
        "e",
        "E",
        "e5",
        "0x",
        "0b",
        "0o",
        "1e5",
        "1.5",
        ".inf",
        "-.inf",
        ".nan",
        "yes",
        "No",
        "on",
        "OFF",
        "true",
        "null",
        "~",
        "<<",
        "=",
        "2024-01-01",
        "12:30",
        "#",
        " #",
        "'",
        "''",
        "\"",
        "\\",
        "\\n",
        "[",
        "]",
        "{",
        "}",
        ",",
        ", ",
        "&",
        "*",
        "!",
        "!!",
        "|",
        ">",
        "%",
        "@",
        "`",
        "?",
        "? ",
        "- ",
        "---",
        "...",
        " ",
        "  ",
        "   ",
        "\n",
        "\n\n",
        " \n",
        "\n ",
        "\t",
        "\r",
        "\r\n",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{2029}",
        "\u{feff}",
        "\u{7f}",
        "é",
        "€",
        "\u{1F600}",
        "\0",
        "\u{1b}",
    ];

    fn random_string(random: &mut Xoshiro256PlusPlus) -> String {
        match random.random_range(0..10) {
            0 => String::new(),
            // Words and blanks only: this tests how long strings are folded.
            1 | 2 => {
                let mut text = String::new();
                for _ in 0..random.random_range(5..60) {
                    text.push_str(&"abcdefghijklmnop"[..random.random_range(1..16)]);
                    text.push_str(
                        [" ", " ", " ", " ", "  ", "'", "é", "\n", ""][random.random_range(0..9)],
                    );
                }
                let cut = text.len() - usize::from(random.random_bool(0.9));
                text.get(..cut).unwrap_or("x").to_owned()
            }
            3 => "x".repeat(random.random_range(70..135)),
            4..7 => {
                (0..random.random_range(1..4)).map(|_| PIECES[random.random_range(0..62)]).collect()
            }
            _ => {
                let most = if random.random_bool(0.1) { 80 } else { 8 };
                let count = random.random_range(1..most);
                (0..count).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect()
            }
        }
    }

    fn random_scalar(random: &mut Xoshiro256PlusPlus) -> Value {
        match random.random_range(0..12) {
            0 => Value::None,
            1 => Value::Bool(random.random()),
            2 => Value::Int(random.random_range(-20..2000)),
            3 => Value::Int(random.random()),
            4 => Value::integer(random.random(), &u128::from(random.next_u64()).pow(2).to_string()),
            5 => Value::Float(f64::from_bits(random.random())),
            6 => Value::Float(random.random_range(-100.0..100.0)),
            7 => Value::Float(10f64.powi(random.random_range(-30..30))),
            _ => Value::Str(random_string(random)),
        }
    }

    fn random_value(random: &mut Xoshiro256PlusPlus, depth: usize) -> Value {
        if depth == 0 || random.random_bool(0.3) {
            return random_scalar(random);
        }
        let count = random.random_range(0..5);
        if random.random_bool(0.4) {
            return Value::List((0..count).map(|_| random_value(random, depth - 1)).collect());
        }
        let mixed = random.random_bool(0.2);
        let mut dict = Dict::default();
        for _ in 0..count {
            let key = match random_scalar(random) {
                Value::Float(float) if float.is_nan() => Value::None,
                key if mixed => key,
                _ => Value::Str(random_string(random)),
            };
            assert!(dict.insert(key, random_value(random, depth - 1)));
        }
        dict.into_value()
    }

    /// The answers of PyYAML itself; `None` where it is not installed.
    fn ask(questions: &[Json]) -> Option<Vec<Json>> {
        let python = env::var("TRIALMILL_NEPS_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let dir = tempfile::tempdir().unwrap();
        let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
        fs::write(dir.path().join("questions"), lines).unwrap();
        let known = Command::new(&python).args(["-c", "import yaml; yaml.CDumper"]).output();
        if !known.is_ok_and(|output| output.status.success()) {
            println!(
                "skipped: {python} has no yaml with the C dumper; TRIALMILL_NEPS_PYTHON names one"
            );
            return None;
        }
        let script = ["-c", include_str!("oracle.py")];
        let answers = Command::new(&python).args(script).arg(dir.path().join("questions")).output();
        let answers = answers.unwrap();
        assert!(answers.status.success(), "{}", String::from_utf8_lossy(&answers.stderr));
        let answers = String::from_utf8(answers.stdout).unwrap();
        Some(answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    fn number_of(name: &str, default: u64) -> u64 {
        env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    }

    fn seeded() -> Xoshiro256PlusPlus {
        let seed = number_of("TRIALMILL_SEED", rand::rng().next_u64());
        println!("TRIALMILL_SEED={seed}");
        Xoshiro256PlusPlus::seed_from_u64(seed)
    }

    #[test]
    fn random_values_are_written_and_read_as_by_genuine_pyyaml() {
        let mut random = seeded();
        let mut left = number_of("TRIALMILL_VALUES", 2_000);
        let mut other_than_pure = 0;
        while left > 0 {
            let count = left.min(5_000);
            left -= count;
            let values: Vec<_> = (0..count).map(|_| random_value(&mut random, 4)).collect();
            let questions: Vec<_> =
                values.iter().map(|v| json!({ "value": v.to_json() })).collect();
            let Some(answers) = ask(&questions) else { return };
            for (value, answer) in values.iter().zip(&answers) {
                let text = |name: &str| answer[name].as_str().unwrap();
                assert_eq!(write(value), text("sorted"), "{value:?}");
                assert_eq!(write_unsorted(value), text("unsorted"), "{value:?}");
                assert_eq!(write_pure_unsorted(value), text("python"), "{value:?}");
                assert_eq!(json::write(value), text("json"), "{value:?}");
                let again = |name| read(text(name).as_bytes()).map(|value| value.to_json());
                assert_eq!(again("unsorted"), Ok(value.to_json()), "{}", text("unsorted"));
                assert_eq!(again("python"), Ok(value.to_json()), "{}", text("python"));
                let sorted = read(text("sorted").as_bytes()).unwrap();
                assert_eq!(write_unsorted(&sorted), text("sorted"));
                let json = json::read(text("json").as_bytes()).unwrap();
                assert_eq!(json::write(&json), text("json_again"));
                other_than_pure += usize::from(text("python") != text("unsorted"));
            }
        }
        println!("{other_than_pure} look different from the pure dumper");
    }

    #[test]
    fn random_scalars_are_read_as_by_genuine_pyyaml() {
        let mut random = seeded();
        let count = number_of("TRIALMILL_VALUES", 2_000);
        let letters: Vec<char> = "0011223456789__...::eE+-xbafoINFnTZ ~<=".chars().collect();
        let mut text = || -> String {
            let length = random.random_range(1..12);
            (0..length).map(|_| letters[random.random_range(0..letters.len())]).collect()
        };
        let texts: Vec<String> = (0..count).map(|_| text()).collect();
        let questions: Vec<_> = texts.iter().map(|text| json!({ "yaml": text })).collect();
        let Some(answers) = ask(&questions) else { return };
        let mut wrong = Vec::new();
        for (text, answer) in texts.iter().zip(&answers) {
            let found = read(text.as_bytes());
            let same = match &found {
                Ok(value) => answer.get("value") == Some(&value.to_json()),
                Err(_) => answer.get("error").is_some(),
            };
            // Our parser is one for YAML 1.2, which allows more: an empty key, for example.
            let error = answer["error"].as_str().unwrap_or_default();
            let same =
                same || error.starts_with("ParserError: ") || error.starts_with("ScannerError: ");
            if !same {
                wrong.push(format!("{text:?}: {found:?}, not {answer}"));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} of {count}: {:#?}",
            wrong.len(),
            wrong.get(..20.min(wrong.len()))
        );
    }
}
