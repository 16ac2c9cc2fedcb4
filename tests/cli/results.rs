//! What reaches a command, and what it says.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value as Json, json};

use crate::support::{Trialmill, text};

/// Runs a study of one evaluation and gives its trial.
fn trial_of(script: &str) -> Json {
    let study = Trialmill::new(1);
    study.run_study(&[], script);
    study.trials()[0].clone()
}

#[test]
fn a_study_means_the_same_in_json_as_in_yaml() {
    let study = Trialmill::new(0);
    study.write(
        "a.yaml",
        "space:\n  lr: {type: float, lower: 1e-5, upper: 1e-1, log: true}\n  n: {lower: 1, upper: \
         8}\n  opt: [adam, sgd]\nseed: 3\nbudget: {evaluations: 3}\ncommand: [sh, -c, 'echo {lr}']\n",
    );
    study.write(
        "a.json",
        r#"{"space": {"lr": {"type": "float", "lower": 0.00001, "upper": 0.1, "log": true},
            "n": {"lower": 1, "upper": 8}, "opt": ["adam", "sgd"]}, "seed": 3,
            "budget": {"evaluations": 3}, "command": ["sh", "-c", "echo {lr}"]}"#,
    );
    let mut seen = Vec::new();
    for (file, dir) in [("a.yaml", "yaml"), ("a.json", "json")] {
        let ran = study.run(&["run", file, "--dir", dir, "-q", "-w", "1"]).exits(0);
        ran.says(&["3 trials succeeded", "best: "]);
        let trials = study.json(&["trials", dir]);
        let trials = trials.as_array().unwrap();
        for trial in trials {
            assert_eq!(trial["report"]["objective_to_minimize"], trial["config"]["lr"]);
        }
        seen.push(trials.iter().map(|trial| trial["config"].clone()).collect::<Vec<_>>());
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn a_number_among_a_command_s_words_is_a_word() {
    let study = Trialmill::new(1);
    study.write("study.yaml", &(study.read("study.yaml") + "command: [echo, -n, 0.50]\n"));
    study.run(&["run", "study.yaml", "--dir", "s", "-q"]).exits(0);
    assert_eq!(study.trials()[0]["report"]["objective_to_minimize"], 0.5);
}

#[test]
fn chatter_or_blank_lines_around_the_last_line_do_not_hide_the_result() {
    let trial = trial_of("echo 99; echo progress...; echo 0.5; printf '\\n  \\n'");
    assert_eq!(trial["report"]["objective_to_minimize"], 0.5);
    assert_eq!(trial["state"], "success");
}

#[test]
fn binary_output_before_the_result_does_not_spoil_it() {
    let trial = trial_of("head -c 300000 /dev/urandom; echo; echo 0.25");
    assert_eq!(trial["report"]["objective_to_minimize"], 0.25);
}

#[test]
fn a_print_beside_a_result_file_is_not_taken_for_the_result() {
    let trial = trial_of(r#"echo '{"objective_to_minimize": 2}' > "$TRIALMILL_RESULT"; echo 7"#);
    assert_eq!(trial["report"]["objective_to_minimize"], 2.0);
}

#[test]
fn the_result_file_of_an_earlier_attempt_is_not_taken_for_that_of_this_one() {
    let study = Trialmill::new(1);
    let script = r#"if [ "$TRIALMILL_ATTEMPT" = 1 ]; then echo 1 > "$TRIALMILL_RESULT"; exit 3; fi
                    echo 2"#;
    study.run_study(&[], script).exits(8);
    study.run(&["retry", "s"]).exits(0).says(&["1 trial waits again: 1"]);
    study.run_study(&[], script).exits(0);
    assert_eq!(study.trials()[0]["report"]["objective_to_minimize"], 2.0);
    assert_eq!(study.trials()[0]["metadata"]["attempts"], 2);
}

#[test]
fn a_command_gets_the_same_values_by_template_by_variable_and_by_file() {
    let space = "lr: {type: float, lower: 1e-9, upper: 1e-1, log: true}, n: [1, 9], \
                 kind: {choices: ['two words', 'ü \"quoted\" $HOME']}, on: true, \
                 none: {value: null}";
    let study = Trialmill::with_space(space, 3);
    study.write(
        "show.sh",
        r#"printf '%s\n' "$@" > "$TRIALMILL_TRIAL_DIR/template"
           printf '%s\n' "$TRIALMILL_PARAM_lr" "$TRIALMILL_PARAM_n" "$TRIALMILL_PARAM_kind" \
               "$TRIALMILL_PARAM_on" "$TRIALMILL_PARAM_none" > "$TRIALMILL_TRIAL_DIR/variables"
           cp "$TRIALMILL_CONFIG" "$TRIALMILL_TRIAL_DIR/copy"
           echo 1"#,
    );
    let run = ["run", "study.yaml", "--dir", "s", "-q", "--", "sh", "show.sh"];
    study.run(&[&run[..], &["{lr}", "{n}", "{kind}", "{on}", "{none}"]].concat()).exits(0);
    for trial in study.trials() {
        let file = |name: &str| study.read(format!("s/trials/{}/{name}", text(&trial["id"])));
        assert_eq!(file("template"), file("variables"));
        let config: Json = serde_json::from_str(&file("copy")).unwrap();
        assert_eq!(config, trial["config"]);
        let lines: Vec<String> = file("template").lines().map(str::to_string).collect();
        assert_eq!(lines[0].parse::<f64>().unwrap(), config["lr"].as_f64().unwrap());
        assert_eq!(
            lines[1..],
            [config["n"].to_string(), text(&config["kind"]), "true".into(), "null".into()]
        );
    }
}

/// A command that was to write to `runs/{trial_id}` wrote all trials to one place.
#[test]
fn a_command_gets_its_trial_s_own_words() {
    let study = Trialmill::new(2);
    let script = r#"echo "$@" >> "$HERE/words"
        echo "$TRIALMILL_TRIAL_ID $TRIALMILL_ATTEMPT [$TRIALMILL_PREVIOUS_DIR]" >> "$HERE/variables"
        [ "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" = 2.1 ] && exit 3; echo 1"#;
    let start = study.study(&[], script);
    let words = ["{trial_id}", "{attempt}", "[{previous_dir}]", "worker {worker}", "{trial_dir}"];
    study.run(&[&start[..], &words[..]].concat()).exits(0);
    study.run(&["retry", "s"]).exits(0);
    study.run(&[&start[..], &words[..]].concat()).exits(0);
    let told = ["1 1 []", "2 1 []", "2 2 []"];
    assert_eq!(study.lines("variables"), told);
    for (line, told) in study.lines("words").iter().zip(told) {
        let dir = line.strip_prefix(told).and_then(|line| line.strip_prefix(" worker 0 "));
        let dir = dir.unwrap_or_else(|| panic!("{line}"));
        let id = told.split(' ').next().unwrap();
        assert!(dir.starts_with('/') && dir.ends_with(&format!("/s/trials/{id}")), "{line}");
    }
}

/// What a trial of higher fidelity continues was in no test's command.
#[test]
fn a_command_finds_the_directory_of_the_trial_that_its_own_continues() {
    let space = "x: {type: float, lower: 0.0, upper: 1.0}, \
                 epochs: {type: int, lower: 1, upper: 9, is_fidelity: true}";
    let study = Trialmill::with_space(space, 20);
    let file = study.read("study.yaml").replace("random_search", "successive_halving");
    study.write("study.yaml", &file);
    let script = r#"echo "$TRIALMILL_TRIAL_ID:$1:$TRIALMILL_PREVIOUS_DIR" >> "$HERE/words"
        echo "0.$TRIALMILL_TRIAL_ID" | tr -d a-z_"#;
    let start = study.study(&[], script);
    study.run(&[&start[..], &["{previous_dir}"]].concat()).exits(0);
    let previous = |id: &str| {
        let trials = study.trials();
        let trial = trials.iter().find(|trial| trial["id"] == id).unwrap();
        trial["metadata"]["previous_trial_id"].as_str().map(str::to_string)
    };
    let mut continued = 0;
    for line in study.lines("words") {
        let [id, word, variable] = line.split(':').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        assert_eq!(word, variable);
        match previous(id) {
            Some(previous) => assert!(word.ends_with(&format!("/s/trials/{previous}")), "{line}"),
            None => assert_eq!(word, "", "{line}"),
        }
        continued += usize::from(!word.is_empty());
    }
    assert!(continued > 0, "nothing was continued");
}

#[test]
fn the_output_of_earlier_attempts_is_kept_and_their_locks_are_not() {
    let study = Trialmill::new(1);
    let script = r#"echo "out $TRIALMILL_ATTEMPT"; echo "err $TRIALMILL_ATTEMPT" >&2
        [ "$TRIALMILL_ATTEMPT" = 3 ] || exit 3; echo 1"#;
    for code in [8, 8, 0] {
        study.run_study(&[], script).exits(code);
        study.run(&["retry", "s"]);
    }
    for (stream, word) in [("stdout", "out"), ("stderr", "err")] {
        for attempt in [1, 2, 3] {
            let file = format!("s/trials/1/.trialmill/attempt-{attempt}.{stream}.log");
            assert!(study.read(file).starts_with(&format!("{word} {attempt}\n")));
        }
    }
    let names = std::fs::read_dir(study.path("s/trials/1/.trialmill")).unwrap();
    let names: Vec<_> = names.map(|file| file.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().ends_with(".lock")), "{names:?}");
    assert_eq!(names.len(), 9, "{names:?}");
}

#[test]
fn a_crash_has_what_it_said_as_its_traceback_and_nothing_where_it_said_nothing() {
    assert_eq!(trial_of("exit 3")["report"]["tb"], Json::Null);
    assert_eq!(trial_of("printf '\\n \\n' >&2; exit 3")["report"]["tb"], Json::Null);
    assert_eq!(trial_of("echo why >&2; exit 3")["report"]["tb"], "why");
}

/// A directory that an attempt left where its result should be stood in the way of the next.
#[test]
fn a_result_that_cannot_be_removed_is_no_other_attempt_s() {
    let study = Trialmill::new(1);
    let script = r#"mkdir "$TRIALMILL_RESULT"; echo > "$TRIALMILL_RESULT/x"; echo 1; exit 3"#;
    study.run_study(&[], script).exits(8);
    study.run(&["retry", "s"]).exits(0);
    study.run_study(&[], "echo 2").exits(0);
    assert_eq!(study.trials()[0]["report"]["objective_to_minimize"], 2.0);
}

#[test]
fn nothing_of_a_full_report_is_lost() {
    let trial = trial_of(
        r#"echo '{"objective_to_minimize": 0.5, "cost": 3, "learning_curve": [0.9, 0.7, "inf"],
                  "info_dict": {"epochs": 3, "deep": {"a": [1, null, "ü"]}}, "exception": null}' |
           tr -d '\n'"#,
    );
    let report = &trial["report"];
    assert_eq!(report["objective_to_minimize"], 0.5);
    assert_eq!(report["cost"], 3.0);
    assert_eq!(report["learning_curve"], json!([0.9, 0.7, "inf"]));
    assert_eq!(report["extra"], json!({"epochs": 3, "deep": {"a": [1, null, "ü"]}}));
    assert_eq!(report["reported_as"], "success");
    assert!(report["evaluation_duration"].as_f64().unwrap() > 0.0);
}

#[test]
fn an_exception_that_a_command_reports_is_neither_a_success_nor_a_crash() {
    let trial = trial_of(r#"echo '{"exception": "diverged at step 3", "cost": 2}'"#);
    assert_eq!(trial["state"], "failed");
    assert_eq!(trial["report"]["err"], "diverged at step 3");
    assert_eq!(trial["report"]["cost"], 2.0);
}

#[test]
fn a_number_that_is_not_finite_does_not_break_the_study() {
    let study = Trialmill::with_space("r: {choices: ['nan', 'inf', '-inf', '1e400']}", 4);
    let said = study.run_study(&["--optimizer", "grid_search"], r#"echo "$TRIALMILL_PARAM_r""#);
    said.exits(0)
        .says(&["trial 1: the objective NaN is kept as a success, and NaN is never the best"]);
    let list: Vec<_> = study
        .trials()
        .iter()
        .map(|trial| text(&trial["report"]["objective_to_minimize"]))
        .collect();
    assert_eq!(list, ["nan", "inf", "-inf", "inf"]);
    assert_eq!(study.json(&["best", "s"])["id"], "3");
    study.run(&["best", "s"]).exits(0).says(&["-inf by trial 3"]);
    study.run(&["trials", "s", "--csv"]).exits(0).says(&["1,success,,nan,nan,"]);
}

/// `json.dumps` writes NaN and Infinity, which JSON does not have; and a diverged training is
/// just what reports them.
#[test]
fn what_python_s_json_writes_for_nan_does_not_crash_the_trial() {
    let trial = trial_of(
        r#"echo '{"objective_to_minimize": NaN, "cost": 1.5, "learning_curve": [1, -Infinity],
                  "info_dict": {"text": "NaN, \"Infinity\"", "grad": Infinity}}' | tr -d '\n'"#,
    );
    assert_eq!(trial["state"], "success", "{trial}");
    let report = &trial["report"];
    assert_eq!((&report["objective_to_minimize"], &report["cost"]), (&json!("nan"), &json!(1.5)));
    assert_eq!(report["learning_curve"], json!([1.0, "-inf"]));
    assert_eq!(report["extra"]["text"], "NaN, \"Infinity\"");
    assert_eq!(trial_of("echo '[0.5, Infinity]'")["state"], "success");
}

#[test]
fn two_parameters_do_not_reach_a_command_as_one_variable() {
    let study = Trialmill::with_space("a_b: 1, a-b: 2, 'a b': 3, é: 4, è: 5", 1);
    study.run_study(&[], "env > \"$TRIALMILL_TRIAL_DIR/env\"; echo 1").exits(0);
    let env = study.lines("s/trials/1/env");
    // The one whose name it is has it; of the others, nobody.
    assert!(env.contains(&"TRIALMILL_PARAM_a_b=1".into()), "{env:?}");
    assert!(!env.iter().any(|line| line.starts_with("TRIALMILL_PARAM__=")), "{env:?}");
    // Where no other would be the same, one whose name no variable can have is found all the same.
    let study = Trialmill::with_space("c-d: 6", 1);
    study.run_study(&[], "env > \"$TRIALMILL_TRIAL_DIR/env\"; echo 1").exits(0);
    assert!(study.lines("s/trials/1/env").contains(&"TRIALMILL_PARAM_c_d=6".into()));
}

#[test]
fn odd_names_and_values_reach_a_command_unchanged() {
    let space = r"größe µ: 0.5, 'a=b': '-rf', '': 1";
    let study = Trialmill::with_space(space, 1);
    study.run_study(&[], "echo 1").exits(2).says(&["a name has 1 to 128 bytes"]);
    let choices = r#"größe µ: {value: "-rf"}, 'a=b': {value: "new\nline"}, mine: {value: mine},
                     q: {value: ""}"#;
    let study = Trialmill::with_space(choices, 1);
    let script = "printf '[%s]' \"$@\" > \"$TRIALMILL_TRIAL_DIR/seen\"; echo 1";
    let start = study.study(&[], script);
    let words = ["{größe µ}", "{a=b}", "{mine}", "{q}", "{{x}}"];
    study.run(&[&start[..], &words[..]].concat()).exits(0);
    assert_eq!(study.read("s/trials/1/seen"), "[-rf][new\nline][mine][][{x}]");
}

#[test]
fn a_command_that_changes_its_directory_still_finds_its_files() {
    let study = Trialmill::new(1);
    let script = r#"dir="$1"; config="$2"; cd / || exit 1
        [ -d "$TRIALMILL_TRIAL_DIR" ] && [ -d "$TRIALMILL_STUDY_DIR" ] && [ -d "$dir" ] || exit 2
        [ -f "$TRIALMILL_CONFIG" ] && [ -f "$config" ] || exit 3
        echo 4 > "$TRIALMILL_RESULT""#;
    let start = study.study(&[], script);
    let run = study.run(&[&start[..], &["{trial_dir}", "{config_file}"]].concat());
    assert_eq!(study.trials()[0]["report"]["err"], Json::Null);
    run.exits(0);
    assert_eq!(study.trials()[0]["report"]["objective_to_minimize"], 4.0);
}

#[test]
fn spaces_accents_or_a_link_in_the_path_lead_nowhere_else() {
    let study = Trialmill::new(2);
    std::fs::create_dir_all(study.path("big disk/ü")).unwrap();
    std::os::unix::fs::symlink(study.path("big disk/ü"), study.path("link")).unwrap();
    let start = ["run", "study.yaml", "--dir", "link", "-q", "--"];
    let command = ["sh", "-c", "echo 3 > \"$1\"; echo 4", "sh", "{result_file}"];
    study.run(&[&start[..], &command].concat()).exits(0);
    assert!(study.path("big disk/ü/study.json").exists());
    let best = study.json(&["best", "big disk/ü"]);
    assert_eq!(best["report"]["objective_to_minimize"], 3.0);
    study.run(&["worker", "big disk/ü", "-q"]).exits(0);
    assert!(study.path("link").is_symlink());
}

#[test]
fn a_path_that_is_not_utf_8_breaks_no_verb() {
    let study = Trialmill::new(1);
    let dir = OsStr::from_bytes(b"caf\xe9");
    let start = ["run", "study.yaml", "--dir"].map(OsStr::new);
    let command = ["-q", "--json", "--", "sh", "-c", "echo 3 > \"$1\"", "sh", "{result_file}"]
        .map(OsStr::new);
    study.run(&[&start[..], &[dir], &command].concat()).exits(0);
    for verb in ["status", "best", "trials"] {
        study.run(&[OsStr::new(verb), dir, OsStr::new("--json")]).exits(0).says(&["3.0"]);
    }
    study.run(&[OsStr::new("status"), dir]).exits(0).says(&["1 success"]);
}
