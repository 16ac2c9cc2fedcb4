//! Spaces that are more than a box: conditions, steps, ordered choices, distributions.

use serde_json::json;

use trialmill::{DirectClient, Parameter, SearchSpace};

use crate::support::Trialmill;

const SPACE: &str = "
space:
  optimizer: [sgd, adam]
  momentum:  {type: float, lower: 0, upper: 0.9, step: 0.3, when: {optimizer: sgd}}
  nesterov:  {choices: [true, false], when: {momentum: [0.3, 0.6, 0.9]}}
  beta:      {lower: 0.5, upper: 0.99, when: {optimizer: adam}}
  size:      {type: ordinal, choices: [small, medium, large]}
  noise:     {distribution: normal, mean: 0, sd: 1}
seed: 3
workers: 2
";

/// A momentum was drawn for adam too, and the command was given it.
#[test]
fn a_command_is_given_only_the_parameters_that_are_there() {
    let study = Trialmill::new(1);
    study.write("study.yaml", &format!("{SPACE}budget: {{evaluations: 40}}\n"));
    let script = study.write(
        "script.sh",
        "printf '%s ' \"$@\" \"v=$TRIALMILL_PARAM_momentum\" >> \"$HERE/seen\"; echo >> \"$HERE/seen\"; echo 1",
    );
    let words = ["--opt", "{optimizer}", "--momentum", "{momentum}", "--beta={beta}", "{size}"];
    let run = ["run", "study.yaml", "--dir", "s", "-q", "--workers", "1", "--", "sh"];
    let mut command = study.command(&[&run[..], &[script.to_str().unwrap()], &words].concat());
    // Left from a study above.
    command.env("TRIALMILL_PARAM_momentum", "7");
    assert!(command.output().unwrap().status.success());
    let trials = study.trials();
    assert_eq!(trials.len(), 40);
    for (trial, seen) in trials.iter().zip(study.lines("seen")) {
        let config = trial["config"].as_object().unwrap();
        let (size, momentum) = (config["size"].as_str().unwrap(), config.get("momentum"));
        let wanted = match config["optimizer"].as_str() {
            Some("sgd") => {
                let momentum = momentum.unwrap();
                assert!(config.get("beta").is_none());
                assert_eq!(config.get("nesterov").is_some(), *momentum != json!(0.0));
                format!("--opt sgd --momentum {momentum} {size} v={momentum} ")
            }
            _ => {
                assert!(momentum.is_none() && config.get("nesterov").is_none());
                format!("--opt adam --beta={} {size} v= ", config["beta"])
            }
        };
        assert_eq!(seen, wanted);
        assert!(config["noise"].as_f64().unwrap().abs() <= 5.0);
    }
    // As an empty cell, and only as that.
    let table = study.run(&["trials", "s", "--csv"]).exits(0).stdout;
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let header = rows.headers().unwrap().clone();
    let column = |name: &str| header.iter().position(|own| own == name).unwrap();
    for (row, trial) in rows.records().map(Result::unwrap).zip(&trials) {
        for name in ["momentum", "nesterov", "beta", "optimizer"] {
            let cell = &row[column(&format!("config.{name}"))];
            assert_eq!(cell.is_empty(), trial["config"].get(name).is_none(), "{row:?}");
        }
    }
    // The same study again, in another process that reads what the first one stored.
    study.run(&["create", "study.yaml", "--dir", "s"]).exits(0);
    study.run(&["check", "s"]).exits(0);
    study.run(&["convert", "s", "copy", "--layout", "journal"]).exits(0);
    assert_eq!(study.json(&["trials", "copy"])[0]["config"], trials[0]["config"]);
}

#[test]
fn what_a_space_cannot_be_is_said_and_so_is_what_was_probably_meant() {
    let study = Trialmill::new(1);
    for (space, says) in [
        ("x: [a, b], y: {lower: 0.0, upper: 1, when: {z: a}}", "'z', which is no parameter"),
        ("x: [a, b], y: {lower: 0.0, upper: 1, when: {x: c}}", "c, which is not in categorical"),
        ("x: [a, b], y: {lower: 0.0, upper: 1, when: {y: 0.5}}", "the parameter itself"),
        (
            "x: [a, b], y: {choices: [1, 2], when: {z: 3}}, z: {choices: [3, 4], when: {y: 1}}",
            "waits for itself",
        ),
        (
            "x: [a, b], y: {lower: 1, upper: 9, fidelity: true, when: {x: a}}",
            "the fidelity is there",
        ),
        ("x: [a, b], y: {lower: 0.0, upper: 1, when: x}", "a mapping, such as {optimizer: sgd}"),
        ("x: [a, b], y: {lower: 0.0, upper: 1, depends_on: x}", "here it is `when`"),
        ("x: {lower: 0.0, upper: 1, step: 2}", "wider than the range"),
        ("x: {lower: 0, upper: 10, step: 0.5}", "'step' must be a whole number"),
        ("x: {lower: 1.0, upper: 10, step: 1, log: true}", "linear scale"),
        ("x: {choices: [1, 2], step: 1}", "has no 'step'"),
        ("x: {lower: 0.0, upper: 10, q: 1}", "here it is `step`"),
        ("x: {distribution: normal, mean: 0}", "'sd' is missing"),
        ("x: {distribution: normal, mean: 0, sigma: 1}", "here it is `sd`"),
        ("x: {distribution: gauss, mean: 0, sd: 1}", "uniform, loguniform, normal, lognormal"),
        ("x: {distribution: normal, mean: 0, sd: 1, lower: 8, upper: 9}", "next to nothing"),
        ("x: {distribution: lognormal, mean: 0, sd: 1, lower: 0, upper: 9}", "above 0"),
        ("x: {distribution: normal, mean: 0, sd: 1, log: true}", "one says it"),
        ("x: {lower: 0.0, upper: 1, mean: 0}", "of a 'distribution'"),
        ("x: {type: ordinal, lower: 1, upper: 3}", "has no 'lower'"),
    ] {
        study.write("study.yaml", &format!("space: {{{space}}}\n"));
        study.run(&["create", "study.yaml", "--dir", "s"]).exits(2).says(&[says]);
    }
    for (space, says) in [
        (
            "x: [a, b], y: {lower: 0.0, upper: 1, when: {x: a}}",
            "'y' is there only under conditions",
        ),
        ("x: {lower: 0.0, upper: 1, step: 0.5}", "has a step"),
        ("x: {type: ordinal, choices: [a, b]}", "has ordered choices"),
        ("x: {distribution: normal, mean: 0, sd: 1}", "has a distribution"),
    ] {
        study.write("study.yaml", &format!("space: {{{space}}}\n"));
        let create =
            |layout| study.run(&["create", "study.yaml", "--dir", layout, "--layout", layout]);
        create("neps").exits(2).says(&["the layout neps cannot hold", says]);
        create("neps-0.12").exits(2).says(&[says]);
        create("journal").exits(0);
        std::fs::remove_dir_all(study.path("journal")).unwrap();
    }
}

/// The order of conditions and of their values is no difference; that of ordered choices is one.
#[test]
fn conditions_are_sets_too() {
    let study = Trialmill::new(1);
    let create = |space: &str| {
        study.write("study.yaml", &format!("space: {{{space}}}\n"));
        study.run(&["create", "study.yaml", "--dir", "s"])
    };
    create("a: [1, 2, x], b: [y, z], c: {choices: [5, 6, w], when: {a: [1, 2], b: y}}").exits(0);
    create("b: [z, y], c: {when: {b: [y], a: [2, 1]}, choices: [w, 6, 5]}, a: [x, 2, 1]").exits(0);
    let other = create("a: [1, 2, x], b: [y, z], c: {choices: [5, 6, w], when: {a: 1, b: y}}");
    other.exits(3).says(&["when a is 1 or 2 and b is y", "when a is 1 and b is y"]);
    let ordinal = |dir: &str, choices: &str| {
        study.write("o.yaml", &format!("space: {{a: {{type: ordinal, choices: {choices}}}}}\n"));
        study.run(&["create", "o.yaml", "--dir", dir])
    };
    ordinal("o", "[s, m, l]").exits(0);
    ordinal("o", "[s, l, m]").exits(3).says(&["ordinal {s < m < l}", "ordinal {s < l < m}"]);
}

/// `set --space` looked at the trials, and then changed the space: what was added in between was checked by the
/// old one. And who had opened the study before went on in the old space.
#[test]
fn nothing_is_added_in_a_space_that_was_changed_meanwhile() {
    let wide = "x: {type: float, lower: 0.0, upper: 1.0}";
    let study = Trialmill::with_space(wide, 9);
    study.create();
    study.write("narrow.yaml", "space: {x: {type: float, lower: 0.0, upper: 0.5}}\n");
    study.write("wide.yaml", &format!("space: {{{wide}}}\n"));
    let open = || DirectClient::open(&study.path("s")).unwrap();
    let config = |x: f64| {
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        space.config(|_| x.into())
    };
    // This process has the study open, and adds nothing yet. The same space anew is no other one.
    let client = open();
    study.run(&["set", "s", "--space", "wide.yaml"]).exits(0);
    client.enqueue(vec![config(0.25)]).unwrap();
    study.run(&["set", "s", "--space", "narrow.yaml"]).exits(0);
    let late = client.enqueue(vec![config(0.75)]).unwrap_err();
    assert!(late.to_string().contains("was changed while this process used it"), "{late}");
    assert_eq!(late.exit_code(), 3);
    let late = open().enqueue(vec![config(0.75)]).unwrap_err();
    assert!(late.to_string().contains("0.75 is not in float [0.0, 0.5]"), "{late}");
    assert_eq!(study.trials().len(), 1);
}

/// The same of two processes, whichever is faster.
#[test]
fn a_configuration_and_a_narrower_space_at_once_do_not_both_come_true() {
    for round in 0..12 {
        let study = Trialmill::new(9);
        study.create();
        study.write("narrow.yaml", "space: {x: {type: float, lower: 0.0, upper: 0.5}}\n");
        let words: [&[&str]; 2] =
            [&["set", "s", "--space", "narrow.yaml"], &["enqueue", "s", "--config", "x=0.75"]];
        let first = study.start(words[round % 2]);
        let second = study.start(words[1 - round % 2]);
        let mut ended = [first.end(), second.end()];
        ended.rotate_left(round % 2);
        let [set, enqueued] = ended;
        let (is_narrow, is_there) = (set.status.success(), enqueued.status.success());
        assert!(is_narrow != is_there, "round {round}: {set:#?} {enqueued:#?}");
        assert_eq!(study.trials().len(), usize::from(is_there), "round {round}");
        study.run(&["check", "s"]).exits(0);
    }
}
