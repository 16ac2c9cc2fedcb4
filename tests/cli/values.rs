//! The value that was meant, all the way: from the study file to the command, the result and the table.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::support::Trialmill;

/// A study file with anything that earlier versions stored as something else was "another study" the
/// second time.
#[test]
fn the_same_file_is_the_same_study_the_second_time() {
    let study = Trialmill::new(1);
    for (at, space) in [
        "x: {type: float, lower: 0, upper: 1, prior_confidence: high}",
        "x: {choices: [a, b], prior_confidence: medium}, y: {value: 3, prior_confidence: high}",
        "x: {type: int, lower: 1, upper: 9, is_fidelity: true, default_confidence: high}",
        "x: {type: float, lower: 0, upper: 10, prior: 1}",
        "x: {choices: [.inf, -.inf, 0.5], prior: .inf}",
        "x: {choices: [18446744073709551616, -1180591620717411303424, {$int: '5'}]}",
        "x: {value: .inf}, y: {value: [.inf, {$float: inf}]}",
        "x: {choices: [no, yes, 1_000]}",
    ]
    .into_iter()
    .enumerate()
    {
        study.write("study.yaml", &format!("space: {{{space}}}\nseed: 1\n"));
        let dir = format!("d{at}");
        study.run(&["create", "study.yaml", "--dir", &dir]).exits(0);
        study.run(&["create", "study.yaml", "--dir", &dir]).exits(0);
    }
}

/// The order of keys and of choices is no difference, as NePS stores them in another one; and whoever
/// mends one difference is not told of the next afterwards.
#[test]
fn a_space_is_a_set_and_all_differences_are_said() {
    let study = Trialmill::with_space("x: [a, b, c], y: [1, 9]", 3);
    study.create();
    study.write("study.yaml", "space: {y: [1, 9], x: [c, a, b]}\nseed: 7\n");
    study.run(&["create", "study.yaml", "--dir", "s"]).exits(0);
    study.write("study.yaml", "space: {y: [1, 8], x: [c, a]}\nseed: 8\noptimizer: grid_search\n");
    let refused = study.run(&["create", "study.yaml", "--dir", "s"]).exits(3);
    refused.says(&["search space and another optimizer and another seed", "y: int [1, 8]"]);
}

/// `inf` reached the command as {"$float":"inf"}, and a genuine {"$float": "1.5"} was 1.5 for the next
/// process; 18446744073709551615 was 1.8446744073709552e19.
#[test]
fn a_command_is_given_the_choice_that_was_written() {
    let choices =
        "[.inf, 18446744073709551615, 12345678901234567890123, {$float: '1.5'}, {$float: inf}]";
    let study = Trialmill::with_space(&format!("x: {{choices: {choices}}}"), 5);
    let file = study.read("study.yaml").replace("random_search", "grid_search");
    study.write("study.yaml", &file);
    let script = study.write("script.sh", "printf '%s\\n' \"$1\" >> \"$HERE/seen\"; echo 1");
    let run = ["run", "study.yaml", "--dir", "s", "-q", "--evaluations", "3", "--", "sh"];
    let words = [script.to_str().unwrap(), "{x}"];
    study.run(&[&run[..], &words].concat()).exits(0);
    // The rest by another process, which reads what the first one stored.
    let run = ["run", "study.yaml", "--dir", "s", "-q", "--evaluations", "5", "--", "sh"];
    study.run(&[&run[..], &words].concat()).exits(0);
    let expected = [
        "inf",
        "18446744073709551615",
        "12345678901234567890123",
        "{\"$float\":\"1.5\"}",
        "{\"$float\":\"inf\"}",
    ];
    assert_eq!(study.lines("seen"), expected);
    let listed = study.run(&["trials", "s", "--json"]).exits(0).stdout;
    for text in ["\"x\": \"inf\"", "\"x\": 18446744073709551615", "\"x\": 12345678901234567890123"]
    {
        assert!(listed.contains(text), "{listed}");
    }
}

/// Digits of an id in `info_dict` were lost.
#[test]
fn extra_values_keep_their_digits_through_every_layout() {
    let study = Trialmill::new(1);
    let long = "-123456789012345678901234567890";
    let result = format!(
        "{{\"objective_to_minimize\": 1, \"info_dict\": {{\"id\": [{long}], \"z\": NaN}}}}"
    );
    study.run_study(&[], &format!("echo '{result}'")).exits(0);
    study.run(&["convert", "s", "n", "--layout", "neps-0.13"]).exits(0);
    study.run(&["convert", "n", "j", "--layout", "journal"]).exits(0);
    for dir in ["s", "n", "j"] {
        let listed = study.run(&["trials", dir, "--json"]).exits(0).stdout;
        assert!(listed.contains(long) && listed.contains("\"z\": \"nan\""), "{dir}: {listed}");
    }
}

/// `[]` was a success, and results with one, two and three objectives were all the best.
#[test]
fn all_successes_have_as_many_objectives_as_the_first() {
    let study = Trialmill::new(5);
    let script = r#"case "$TRIALMILL_TRIAL_ID" in 1) echo '[]';; 2) echo 0.5;; 3) echo '[0.1, 0.2]';;
        4) echo '[0.4]';; 5) echo '{"objective_to_minimize": [1, 2, 3]}';; esac"#;
    study.run_study(&[], script).exits(0);
    assert_eq!(study.states(), ["crashed", "success", "crashed", "success", "crashed"]);
    let trials = study.trials();
    let said = |at: usize| trials[at]["report"]["err"].as_str().unwrap().to_string();
    assert!(said(0).contains("no objective"), "{}", said(0));
    assert!(said(2).contains("2 objectives (0.1, 0.2)"), "{}", said(2));
    assert_eq!(study.json(&["best", "s"])["id"], "4");
}

/// The best of equals was the first reported while the study ran, and the first sampled in its copy.
#[test]
fn the_best_of_equals_is_the_first_sampled() {
    let study = Trialmill::new(5);
    study.create();
    study.run(&["ask", "s", "-n", "3"]).exits(0);
    for id in ["2", "3", "1"] {
        study.run(&["tell", "s", id, "--objective", "0.5"]).exits(0);
        let best = if id == "1" { "1" } else { "2" };
        assert_eq!(study.json(&["best", "s"])["id"], best);
    }
    study.run(&["convert", "s", "copy", "--layout", "neps-0.13"]).exits(0);
    assert_eq!(study.json(&["best", "copy"])["id"], "1");
}

/// A budget of cost, and no result that costs anything: it went on for ever without a word.
#[test]
fn a_cost_budget_that_nothing_uses_up_is_complained_about_once() {
    let study = Trialmill::new(4);
    let ran = study.run_study(&["--cost", "5"], "echo 0.5").exits(8);
    assert_eq!(ran.stderr.matches("so does each like it").count(), 1, "{}", ran.stderr);
    assert_eq!(study.count("crashed"), 4);
    // And nobody tells one by mistake.
    study.run(&["set", "s", "--evaluations", "5"]).exits(0);
    study.run(&["ask", "s"]).exits(0);
    study.run(&["tell", "s", "5", "--objective", "0.5"]).exits(2).says(&["add --cost"]);
    study.run(&["tell", "s", "5", "--objective", "0.5", "--cost", "1"]).exits(0);

    for free in ["\"cost\": -1", "\"cost\": 9, \"account_for_cost\": false"] {
        let study = Trialmill::new(4);
        let script = format!("echo '{{\"objective_to_minimize\": 1, {free}}}'");
        let ran = study.run_study(&["--cost", "5"], &script).exits(0);
        assert_eq!(ran.stderr.matches("never used up").count(), 1, "{}", ran.stderr);
        assert_eq!(study.status()["spent"]["cost"], 0.0);
    }
    let study = Trialmill::new(4);
    study
        .run_study(&["--cost", "5"], "echo '{\"objective_to_minimize\": 1, \"cost\": Infinity}'")
        .exits(0);
    assert_eq!((study.count("success"), &study.status()["spent"]["cost"]), (1, &json!("inf")));
}

fn fixtures(at: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(at).unwrap().flatten() {
        let path = entry.path();
        if path.join("configs").is_dir() || path.join("results").is_dir() {
            found.push(path);
        } else if path.is_dir() {
            fixtures(&path, found);
        }
    }
}

/// The tables of directories of NePS 0.12 to 0.14 had no parameter at all.
#[test]
fn a_table_has_a_column_for_each_parameter_and_each_extra_value_of_every_directory() {
    let study = Trialmill::new(1);
    let mut found = Vec::new();
    fixtures(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/neps"), &mut found);
    assert!(found.len() > 10, "{found:?}");
    for path in found {
        let path = path.to_str().unwrap();
        let table = study.run(&["trials", path, "--csv", "--raw"]).exits(0).stdout;
        let header = table.lines().next().unwrap_or_default();
        let Json::Array(trials) = study.json(&["trials", path]) else { panic!("{path}") };
        for trial in trials {
            let keys = |json: &Json| -> Vec<String> {
                json.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default()
            };
            let config = keys(&trial["config"]).into_iter().map(|key| format!("config.{key}"));
            let extra = keys(&trial["report"]["extra"]);
            for column in config.chain(extra.into_iter().map(|key| format!("extra.{key}"))) {
                let column = column.replace('"', "\"\"");
                assert!(header.contains(&column), "{path}: {column} is not in {header}");
            }
        }
    }
}

/// null and an empty text were one cell, and `=1+1` was run by the spreadsheet that opened the table.
#[test]
fn a_cell_is_the_value_and_no_formula_unless_it_is_asked_for() {
    let study = Trialmill::new(9);
    let space =
        "space: {a: {choices: ['', null, =1+1, '@x', -2, '-inf']}}\noptimizer: grid_search\n";
    study.write("study.yaml", space);
    study.run_study(&[], "echo 1").exits(0);
    let cells = |options: &[&str]| -> Vec<String> {
        let table = study.run(&[&["trials", "s", "--csv"], options].concat()).exits(0).stdout;
        let cell = |line: &str| line.split(',').nth(3).unwrap().to_string();
        table.lines().skip(1).map(cell).collect()
    };
    assert_eq!(cells(&[]), ["", "null", "'=1+1", "'@x", "-2", "-inf"]);
    assert_eq!(cells(&["--raw"]), ["", "null", "=1+1", "@x", "-2", "-inf"]);
}

/// The seed that was shown of a directory in which only NePS had drawn was another one with each look.
#[test]
fn no_seed_is_shown_where_nothing_was_drawn_from_one() {
    let study = Trialmill::new(1);
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/neps/0.17.0/classic");
    let path = path.to_str().unwrap();
    assert_eq!(study.json(&["status", path])["seed"], Json::Null);
    study.run(&["status", path]).exits(0).says(&["no seed yet"]);
}

/// More evaluations were to be had only with the study file.
#[test]
fn rules_are_changed_without_the_study_file() {
    let study = Trialmill::new(2);
    study.run_study(&[], "echo 1").exits(0);
    study.run(&["set", "s"]).exits(2).says(&["nothing is to be changed"]);
    study.run(&["set", "s", "--cost=-1"]).exits(2).says(&["cost"]);
    study.run(&["set", "s", "--", "no-such-program"]).exits(2).says(&["no-such-program"]);
    study.run(&["set", "s", "--evaluations", "4", "--max-attempts", "5"]).exits(0).says(&["of 4"]);
    study.run(&["set", "s", "--timeout", "9", "--", "sh", "-c", "echo 7"]).exits(0);
    study.run(&["worker", "s", "-q"]).exits(0);
    let said = |at: usize| study.trials()[at]["report"]["objective_to_minimize"].clone();
    assert_eq!([said(1), said(3)], [json!(1.0), json!(7.0)]);
    assert_eq!(study.count("success"), 4);
}

fn neps_values(name: &str) -> String {
    let path = format!("{}/../../tests/fixtures/neps-values/{name}", env!("CARGO_MANIFEST_DIR"));
    path
}

/// Of NePS's parameters the trust in a prior was not read, so every one was low; 2^70 in a report and
/// 2^63 in a configuration were `<bytes>`. The directories are genuine NePS 0.17's.
#[test]
fn each_value_that_neps_stored_is_in_what_is_read_of_it() {
    let study = Trialmill::new(1);
    for name in ["priors", "report", "infinity", "seeds"] {
        study.run(&["convert", &neps_values(name), name, "--layout", "journal"]).exits(0);
        let back = format!("{name}-back");
        study.run(&["convert", name, &back, "--layout", "neps-0.13"]).exits(0);
    }
    let space = |name: &str| -> Json {
        serde_json::from_str::<Json>(&study.read(format!("{name}/study.json"))).unwrap()["space"]
            .clone()
    };
    let priors = space("priors");
    assert_eq!(priors["x"]["prior_confidence"], "high");
    assert_eq!(
        (&priors["n"]["prior_confidence"], &priors["n"]["prior"]),
        (&json!("medium"), &json!(2))
    );
    assert_eq!(
        (&priors["c"]["prior_confidence"], &priors["c"]["prior"]),
        (&json!("high"), &json!("b"))
    );
    assert_eq!(space("infinity")["clip"]["choices"], json!([0.5, {"$float": "inf"}]));
    assert_eq!(space("seeds")["seed"]["choices"], json!([1u64 << 63, (1u64 << 63) + 1]));
    let report = study.read("report-back/configs/config_1/report.yaml");
    for digits in
        ["p63: 9223372036854775808", "p70: 1180591620717411303424", "n70: -1180591620717411303424"]
    {
        assert!(report.contains(digits), "{report}");
    }
    for name in ["report", "seeds", "infinity", "priors"] {
        let back = format!("{name}-back");
        let text = |dir: &str| study.run(&["trials", dir, "--csv", "--raw"]).exits(0).stdout;
        assert!(!text(name).contains("<bytes>") && !text(&back).contains("<bytes>"));
    }
    let seed = study.read("seeds-back/configs/config_1/config.yaml");
    assert!(seed.contains("seed: 92233720368547758"), "{seed}");
}

/// In a directory of NePS's a whole number from 2^63 up was kept as a text in NePS's cache, which is what counts
/// there: NePS's workers, and every copy, got a text for a number.
#[test]
fn a_whole_number_of_any_size_is_a_number_in_every_layout_and_copy() {
    let numbers = [
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "1180591620717411303424",
        "-1",
        "-9223372036854775808",
        "-9223372036854775809",
        "-100000000000000000000000000000000",
    ];
    let study = Trialmill::new(1);
    study.write(
        "study.yaml",
        &format!(
            "space: {{c: {{choices: [{}]}}, l: {{type: constant, value: [{1}]}}}}\n\
             optimizer: grid_search\nworkers: 1\n",
            numbers.join(", "),
            numbers[4]
        ),
    );
    let script = r#"echo "{\"objective\": 1, \"info_dict\": {\"n\": $TRIALMILL_PARAM_c}, \"own\": [$TRIALMILL_PARAM_c]}""#;
    study.write("script.sh", script);
    for layout in ["journal", "neps", "neps-0.14", "neps-0.13", "neps-0.12"] {
        let options = ["--dir", layout, "--layout", layout, "-q", "--", "sh", "script.sh"];
        study.run(&[&["run", "study.yaml"], &options[..]].concat()).exits(0);
        let copy = format!("{layout}-copy");
        study.run(&["convert", layout, &copy, "--layout", "journal"]).exits(0);
        for dir in [layout, &copy] {
            // As text: `serde_json` makes floats of the long ones.
            let listing = study.run(&["trials", dir, "--json"]).exits(0).stdout;
            for number in numbers {
                for says in [
                    format!("\"c\": {number},"),
                    format!("\"n\": {number}"),
                    format!("\"own\": [\n          {number}\n"),
                ] {
                    assert!(listing.contains(&says), "{dir}: {says} is not in {listing}");
                }
            }
        }
    }
}

/// A budget that nothing uses up went on for ever without a word: cost 0, steps of a command that reports none,
/// a fidelity where there is none.
#[test]
fn each_budget_ends_or_speaks() {
    let study = Trialmill::new(3);
    for (budget, result, says) in [
        ("cost: 5", "1", "has no cost"),
        ("cost: 5", r#"{{"objective": 1, "cost": null}}"#, "has no cost"),
        ("cost: 5", r#"{{"objective": 1, "cost": NaN}}"#, "has the cost NaN"),
        ("cost: 5", r#"{{"objective": 1, "cost": -Infinity}}"#, "has the cost -inf"),
        ("cost: 5", r#"{{"objective": 1, "cost": -1}}"#, "has the cost -1"),
        ("cost: 5", r#"{{"objective": 1, "cost": 0}}"#, "has the cost 0"),
        ("cost: 5", r#"{{"objective": 1, "cost": 1e400}}"#, "1 trial succeeded"),
        ("cost: 5", r#"{{"objective": 1, "cost": 4}}"#, "2 trials succeeded"),
        ("steps: 5", "1", "has no steps"),
        ("cost: 0", "1", "0 trials succeeded"),
        ("steps: 0", "1", "0 trials succeeded"),
        ("evaluation_seconds: 0", "1", "0 trials succeeded"),
        ("seconds: 0", "1", "0 trials succeeded"),
        ("evaluations: 0", "1", "0 trials succeeded"),
    ] {
        study.write(
            "study.yaml",
            &format!(
                "space: {{x: [1, 9]}}\nbudget: {{{budget}}}\nworkers: 1\noptimizer: random_search\n"
            ),
        );
        // Bounded here, whatever the budget says.
        let more = if budget.starts_with("evaluations") { "0" } else { "3" };
        let options =
            ["--dir", "s", "--overwrite", "-q", "--evaluations", more, "--", "echo", result];
        let is_missing = ["has no cost", "has the cost NaN"].contains(&says);
        let code = if is_missing { 8 } else { 0 };
        study.run(&[&["run", "study.yaml"], &options[..]].concat()).exits(code).says(&[says]);
    }
    for (budget, says) in [
        ("fidelity: 5", "no parameter is the fidelity"),
        ("cost: -1", "must be a number from 0 up"),
        ("cost: .nan", "no number that a setting can have"),
        ("cost: .inf", "no number that a setting can have"),
        ("steps: -1", "below 0"),
        ("evaluation_seconds: -1", "below 0"),
    ] {
        study.write("b.yaml", &format!("space: {{x: [1, 9]}}\nbudget: {{{budget}}}\n"));
        study.run(&["create", "b.yaml", "--dir", "b"]).exits(2).says(&[says]);
    }
    study.run(&["set", "s", "--fidelity", "5"]).exits(2).says(&["no parameter is the fidelity"]);
    study.run(&["set", "s", "--cost", "-1"]).exits(2).says(&["must be a number from 0 up"]);
    // An infinite target was stored as none. What ends a study early stood nowhere in its status.
    study.run(&["set", "s", "--target=-inf"]).exits(2).says(&["target must be a finite number"]);
    let early = ["set", "s", "--target", "0.25", "--seconds-without-improvement", "10m"];
    let says = "ends early at the target 0.25, or after 600 s without a better result";
    study.run(&early).exits(0).says(&[says]);
    assert_eq!(study.status()["stop_early"]["target"], 0.25);
}

/// `{"objective": 1e400}` was "not one of: minimize", and `1e400` by itself a success.
#[test]
fn a_number_that_is_not_finite_is_the_same_in_each_form_of_a_result() {
    let study = Trialmill::new(20);
    study.create();
    study.run(&["ask", "s", "-n", "9"]).exits(0);
    for (id, result, state) in [
        ("1", "1e400", "inf"),
        ("2", r#"{"objective": 1e400}"#, "inf"),
        ("3", r#"{"objective_to_minimize": Infinity}"#, "inf"),
        ("4", r#"{"objective": "inf"}"#, "inf"),
        ("5", r#"{"objective": -Infinity}"#, "-inf"),
        ("6", "-1e400", "-inf"),
        ("7", r#"{"objective": NaN}"#, "nan"),
        ("8", "nan", "nan"),
    ] {
        study.run(&["tell", "s", id, "--result", result]).exits(0);
        let trials = study.trials();
        let told = trials.iter().find(|trial| trial["id"] == id).unwrap();
        assert_eq!(told["report"]["objective_to_minimize"], state, "{result}: {told}");
    }
    let named =
        study.run(&["tell", "s", "9", "--result", r#"{"objective": {"loss": 1}}"#]).exits(2);
    named.says(&["the result's objective is an object ('loss' …)", "report a number"]);
}

/// UTF-16 without its mark was "unexpected character"; of a table or a result it was only said what it is not.
#[test]
fn what_is_not_utf_8_is_answered_with_what_it_is() {
    let study = Trialmill::new(1);
    study.create();
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let marked = |text: &str| wide(&format!("\u{feff}{text}"));
    let latin = |text: &str| [text.as_bytes(), b" # caf\xe9"].concat();
    let yaml = "space: {x: [1, 9]}";
    for (name, bytes, says) in [
        ("w.yaml", wide(yaml), "it is in UTF-16; save it as UTF-8"),
        ("w.json", wide("{}"), "it is in UTF-16; save it as UTF-8"),
        ("m.yaml", marked(yaml), "it is in UTF-16; save it as UTF-8"),
        ("l.yaml", latin(yaml), "is not UTF-8 (it may be Latin-1); save it as UTF-8"),
    ] {
        std::fs::write(study.path(name), bytes).unwrap();
        study.run(&["create", name, "--dir", "t"]).exits(2).says(&[name, says]);
    }
    let table = "x,objective\n0.5,1\n";
    for (bytes, says) in [
        (wide(table), "it is in UTF-16; save it as UTF-8"),
        (marked(table), "it is in UTF-16; save it as UTF-8"),
        (latin(table), "is not UTF-8 (it may be Latin-1); save it as UTF-8"),
    ] {
        std::fs::write(study.path("t.csv"), bytes).unwrap();
        study.run(&["import", "s", "t.csv"]).exits(2).says(&["t.csv", says]);
    }
    std::fs::write(study.path("result"), wide("{\"objective\": 1}")).unwrap();
    let ran = study.run_study(&[], r#"cp "$HERE/result" "$TRIALMILL_RESULT""#).exits(8);
    ran.says(&["the result: it is in UTF-16; save it as UTF-8"]);
    // With a mark it is text, in every place.
    for (name, text) in [("b.yaml", yaml), ("b.json", r#"{"space": {"x": [1, 9]}}"#)] {
        study.write(name, &format!("\u{feff}{text}"));
        study.run(&["create", name, "--dir", name.trim_start_matches("b.")]).exits(0);
    }
    study.write("b.csv", &format!("\u{feff}{table}"));
    study.run(&["import", "s", "b.csv"]).exits(0).says(&["1 trial taken in"]);
}

/// The objective and the cost of what failed could be given in Rust alone: a study file that said them was
/// refused.
#[test]
fn what_errors_count_as_stands_in_the_study_file() {
    let study = Trialmill::new(3);
    let file = study.read("study.yaml");
    let says = "objective_on_error: 9\ncost_on_error: 2.5\ncost_if_not_provided: 1\n";
    study.write("study.yaml", &format!("{file}{says}"));
    let script = "[ $TRIALMILL_TRIAL_ID = 2 ] && exit 1; echo 0.5";
    study.run_study(&["--cost", "100"], script).exits(0);
    let trials = study.json(&["trials", "s"]);
    let of = |key: &str| -> Vec<Json> {
        trials.as_array().unwrap().iter().map(|trial| trial["report"][key].clone()).collect()
    };
    assert_eq!(json!(of("objective_to_minimize")), json!([0.5, 9.0, 0.5]));
    assert_eq!(json!(of("cost")), json!([1.0, 2.5, 1.0]));
    assert_eq!(study.status()["spent"]["cost"], 4.5);
    // The flags of a run go over them.
    study.run(&["retry", "s"]).exits(0);
    let flags = ["--objective-on-error", "-1", "--cost-on-error", "0.25"];
    study.run_study(&[&["--cost", "100"], &flags[..]].concat(), script).exits(0);
    let second = &study.json(&["trials", "s"])[1]["report"];
    assert_eq!((&second["objective_to_minimize"], &second["cost"]), (&json!(-1.0), &json!(0.25)));
    for (wrong, says) in [
        ("objective_on_error: bad", "objective_on_error: a number is needed"),
        ("cost_on_error: -1", "cost_on_error: a number from 0 on is needed"),
    ] {
        study.write("study.yaml", &format!("{file}{wrong}\n"));
        study.run_study(&[], script).exits(2).says(&[says]);
    }
}
