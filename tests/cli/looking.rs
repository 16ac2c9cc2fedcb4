//! Status, best, trials, help: what people and scripts read.

use serde_json::json;

use crate::support::{Trialmill, eventually};

#[test]
fn a_script_that_reads_the_json_does_not_break() {
    let study = Trialmill::with_space("x: [0.0, 1.0], 'a b': {choices: ['p,q', \"r\"]}", 4);
    let script = r#"case "$TRIALMILL_TRIAL_ID" in 1) echo 2;; 2) echo 1;; 3) exit 1;;
        4) echo '{"exception": "bad"}';; esac"#;
    let ran = study
        .run(
            &[
                &["run", "study.yaml", "--dir", "s", "--json", "-q"][..],
                &["--", "sh"],
                &[study.write("script.sh", script).to_str().unwrap()],
            ]
            .concat(),
        )
        .exits(0);
    let at_the_end: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let mut status = study.status();
    status["trials_per_second"] = at_the_end["trials_per_second"].clone();
    assert_eq!(at_the_end, status);

    assert_eq!(status["trials"], 4);
    let states = [
        "pending",
        "submitted",
        "evaluating",
        "success",
        "failed",
        "crashed",
        "external",
        "corrupted",
        "unknown",
        "pruned",
    ];
    let counts = status["counts"].as_object().unwrap();
    assert_eq!(counts.keys().collect::<Vec<_>>(), states);
    assert_eq!([&counts["success"], &counts["failed"], &counts["crashed"]], [2, 1, 1]);
    assert_eq!(
        (&status["seed"], &status["optimizer"]["name"]),
        (&json!(7), &json!("random_search"))
    );
    assert_eq!(status["budget"], json!({"evaluations": 4}));
    assert_eq!(status["spent"]["evaluations"], 4);
    assert_eq!((&status["errors"], &status["last_error"]), (&json!(2), &json!("4")));
    assert_eq!((&status["problem"], &status["requeues"]), (&json!(null), &json!(0)));

    let best = study.json(&["best", "s"]);
    assert_eq!(best, status["best"]);
    assert_eq!((&best["id"], &best["report"]["objective_to_minimize"]), (&json!("2"), &json!(1.0)));
    let trials = study.trials();
    assert_eq!(trials[1], best);
    let (trial, meta) = (&trials[0], &trials[0]["metadata"]);
    assert_eq!((&trial["id"], &trial["state"]), (&json!("1"), &json!("success")));
    assert!(trial["config"]["x"].is_f64() && trial["config"]["a b"].is_string());
    assert_eq!((&meta["attempts"], &meta["evaluating_worker_id"]), (&json!(1), &json!("p1-w1")));
    let times =
        ["time_sampled", "time_started", "time_end"].map(|name| meta[name].as_f64().unwrap());
    assert!(times.is_sorted() && meta["evaluation_duration"].as_f64().unwrap() > 0.0);
    assert_eq!(
        (&trials[3]["report"]["err"], &trials[3]["report"]["reported_as"]),
        (&json!("bad"), &json!("failed"))
    );

    let states = |arguments: &[&str]| {
        study.json(&[&["trials", "s"], arguments].concat()).as_array().unwrap().len()
    };
    assert_eq!(
        [states(&["--state", "success"]), states(&["--state", "failed", "--state", "crashed"])],
        [2, 2]
    );
    assert_eq!([states(&["2"]), states(&["2", "3", "--state", "success"])], [1, 1]);
    study.run(&["trials", "s", "--state", "done"]).exits(2).says(&["'done' is not a state"]);
}

#[test]
fn a_comma_or_quote_does_not_break_the_csv() {
    let study = Trialmill::with_space(r#"x: {value: "a,\"b\"\nc"}, 'n,m': 3"#, 2);
    study.run_study(&[], r"[ $TRIALMILL_TRIAL_ID = 1 ] && echo 0.5").exits(0);
    let csv = study.run(&["trials", "s", "--csv"]).exits(0).stdout;
    assert!(
        csv.starts_with(
            "id,state,previous_trial_id,config.x,\"config.n,m\",objective_to_minimize,cost,err,"
        ),
        "{csv}"
    );
    assert!(csv.contains("\n1,success,,\"a,\"\"b\"\"\nc\",3,0.5,,,"), "{csv}");
    assert!(csv.contains("\n2,crashed,,\"a,\"\"b\"\"\nc\",3,,,"), "{csv}");
    study.run(&["trials", "s", "--csv", "--json"]).exits(2);
}

/// Random search was what people got who did not know better.
#[test]
fn a_study_that_names_no_optimizer_is_searched_by_auto_which_says_what_it_does() {
    let study = Trialmill::new(12);
    study.write("study.yaml", &study.read("study.yaml").replace("optimizer: random_search\n", ""));
    study.run_study(&["--evaluations", "1"], "echo 0.5").exits(0);
    study.run(&["status", "s"]).exits(0).says(&["s: auto", "a first design of Sobol points"]);
    study.run_study(&[], "echo 0.5").exits(0);
    study.run(&["status", "s"]).exits(0).says(&["Gaussian process with a share of TPE"]);
    assert_eq!(study.status()["optimizer"]["name"], "auto");
    // NePS's workers would not know it.
    let neps = ["run", "study.yaml", "--dir", "n", "--layout", "neps", "-q", "--", "echo", "1"];
    study.run(&neps).exits(0);
    study.run(&["status", "n"]).exits(0).says(&["n: random_search"]);
}

#[test]
fn a_text_for_people_leaves_out_nothing_that_matters() {
    let study = Trialmill::new(3);
    let script =
        r#"[ $TRIALMILL_TRIAL_ID = 2 ] && echo '{"objective_to_minimize": 0.5, "cost": 3}'"#;
    study
        .run_study(&[], script)
        .exits(0)
        .says(&["1 trial succeeded, 2 crashed", "best: 0.5 by trial 2"]);
    let says = [
        "s: random_search",
        "seed 7",
        "3 of 3 evaluations",
        "3 cost",
        "1 success, 2 crashed",
        "last error trial 3: ",
        "best       0.5 by trial 2: x=0.",
    ];
    study.run(&["status", "s"]).exits(0).says(&says);
    study.run(&["best", "s"]).exits(0).says(&["0.5 by trial 2: x=0."]);
    let list = study.run(&["trials", "s"]).exits(0).stdout;
    assert_eq!(list.lines().count(), 3);
    assert!(list.starts_with("1        crashed    x=0."), "{list}");
}

#[test]
fn a_value_or_message_with_line_ends_or_escapes_cannot_fake_a_listing() {
    let study = Trialmill::with_space(r#"x: {value: "a\nb\e[31m"}"#, 2);
    study.run_study(
        &[],
        r#"[ $TRIALMILL_TRIAL_ID = 1 ] && echo 1; printf '{"exception": "\\u001b[2Jgone"}'"#,
    );
    for verb in ["trials", "status", "best"] {
        let said = study.run(&[verb, "s"]).exits(0).stdout;
        assert!(!said.contains('\u{1b}'), "{verb}: {said:?}");
    }
    assert_eq!(study.run(&["trials", "s"]).stdout.lines().count(), 2);
}

#[test]
fn looking_does_not_disturb_a_run_or_wait_for_it() {
    let study = Trialmill::new(300);
    let mut run = study.start_study(&["-w", "4"], "echo $TRIALMILL_PARAM_x");
    eventually("it has begun", || study.path("s/study.json").exists());
    let (mut last, mut looks) = (0, 0);
    while !run.has_ended() {
        let trials = study.trials();
        assert!(trials.len() >= last);
        last = trials.len();
        study.run(&["status", "s"]).exits(0).says_nothing_of("PROBLEM");
        study.run(&["best", "s", "--json"]).exits(0);
        looks += 1;
    }
    run.end().exits(0).says(&["300 trials succeeded"]);
    assert!(looks > 0);
}

#[test]
fn a_long_listing_into_head_is_no_error_but_a_full_disk_is() {
    let study = Trialmill::new(2_000);
    study.create();
    study.run(&["ask", "s", "-n", "2000"]).exits(0);
    let ran = study.shell("($TRIALMILL trials s --json; echo $? > code) | head -n 1").exits(0);
    assert_eq!((&*ran.stdout, &*ran.stderr, &*study.read("code")), ("[\n", "", "0\n"));
    for verb in [
        "trials s",
        "trials s --csv",
        "status s",
        "best s --json",
        "watch s --once",
        "watch s --plain --once",
        "show s 1",
        "plot s timeline",
        "report s",
        "check s",
        "completions bash",
        "man",
        "--help",
        "--version",
        "ask --help",
    ] {
        study.shell(&format!("$TRIALMILL {verb} > /dev/full")).exits(1).says(&["cannot print"]);
        study.shell(&format!("$TRIALMILL {verb} 2>&-")).exits(0);
    }
}

#[test]
fn a_study_of_a_newer_trialmill_can_be_looked_at_and_not_changed() {
    let study = Trialmill::new(3);
    study.run_study(&["--evaluations", "2"], "echo 1").exits(0);
    let json = study.read("s/study.json");
    study.write("s/study.json", &json.replace("\"format\": 1,", "\"format\": 99,"));
    let journal = study.read("s/journal.jsonl");
    study.run(&["status", "s"]).exits(0).says(&["2 success"]);
    study.run(&["best", "s"]).exits(0).says(&["1.0 by trial 1"]);
    assert_eq!(study.trials().len(), 2);
    for verb in [
        &study.study(&[], "echo 1")[..],
        &["worker", "s"],
        &["ask", "s"],
        &["tell", "s", "1", "--objective", "1"],
        &["release", "s", "1"],
        &["retry", "s"],
    ] {
        study.run(verb).exits(3).says(&["format 99", "only a newer trialmill"]);
    }
    assert_eq!(study.read("s/journal.jsonl"), journal);
}

#[test]
fn help_does_not_leave_the_reader_in_the_dark() {
    let study = Trialmill::new(0);
    let help = study.run(&["--help"]).exits(0).stdout;
    let verbs = ["run", "worker", "ask", "tell", "release", "retry", "status", "best", "trials"];
    for verb in verbs {
        assert!(help.lines().any(|line| line.trim_start().starts_with(verb)), "{verb}: {help}");
    }
    for code in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "70", "130"] {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(&format!("{code}  "))),
            "{code}: {help}"
        );
    }
    for (verb, mentions) in [
        (
            "run",
            &[
                "--dir",
                "--workers",
                "--evaluations",
                "--timeout",
                "--on-error",
                "--overwrite",
                "TRIALMILL_RESULT",
                "{trial_dir}",
                "objective_to_minimize",
                "info_dict",
                "Example",
            ][..],
        ),
        (
            "worker",
            &["DIR", "--workers", "--wait", "the one that `run`, `create` or `set` last gave"],
        ),
        ("ask", &["-n", "--deadline", "--caller", "--json", "released"]),
        (
            "tell",
            &["--objective", "--result", "--failed", "--crashed", "--attempt", "--cost", "several"],
        ),
        ("release", &["--attempt", "ID"]),
        ("retry", &["--state", "failed", "crashed"]),
        ("status", &["--json", "DIR"]),
        ("best", &["--json", "DIR"]),
        ("trials", &["--state", "--csv", "--json", "ID"]),
    ] {
        let ran = study.run(&[verb, "--help"]).exits(0).says(mentions);
        assert!(ran.stdout.lines().all(|line| line.chars().count() <= 100), "{}", ran.stdout);
        study.run(&[verb, "-h"]).exits(0).says(&["Usage: trialmill"]);
    }
    study.run(&["--version"]).exits(0).says(&["trialmill 0."]);
    study.run(&[""; 0]).exits(2).says(&["Usage: trialmill"]);
}

/// To see why a trial crashed one had to know where its files are, and what they are called.
#[test]
fn what_a_command_said_and_what_became_of_each_attempt_is_shown() {
    let study = Trialmill::new(2);
    let script = r#"echo "out $TRIALMILL_ATTEMPT"; echo "err $TRIALMILL_ATTEMPT" >&2
        [ "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" = 1.1 ] && exit 3; echo 0.5"#;
    study.run_study(&[], script).exits(0);
    study.run(&["retry", "s"]).exits(0);
    study.run_study(&[], script).exits(0);
    study
        .run(&["logs", "s", "1"])
        .exits(0)
        .says(&["out 2\n0.5\n", "err 2"])
        .says_nothing_of("out 1");
    let first = study.run(&["logs", "s", "1", "--attempt", "1", "--stderr", "-f"]).exits(0);
    assert_eq!(first.stdout, "err 1\n");
    study.run(&["logs", "s", "1", "--attempt", "3"]).exits(2).says(&["attempts 1 to 2, not 3"]);
    study.run(&["logs", "s", "7"]).exits(7).says(&["no trial '7'"]);
    let shown = study.run(&["show", "s", "1"]).exits(0);
    shown.says(&[
        "1 success",
        "attempt 1  crashed",
        "attempt 2  success",
        "p2-w1 on ",
        "0.5",
        "stdout.log",
    ]);
    study.run(&["show", "s", "2"]).exits(0).says(&["attempt 1  success", "by p1-w1"]);
}

/// Where all objectives are NaN it said "none yet", though nothing more was to come; a grid would "go on
/// until it is stopped"; and of several objectives the end of a run named none.
#[test]
fn what_is_said_of_a_study_is_so() {
    let study = Trialmill::new(3);
    study
        .run_study(&[], "echo nan")
        .exits(0)
        .says(&["3 trials succeeded", "best: none: all 3 successes have an objective that is NaN"]);
    let none = "best       none: all 3 successes have an objective that is NaN";
    study.run(&["status", "s"]).exits(0).says(&[none]);
    study.run(&["best", "s"]).exits(0).says(&[none]);

    let endless = |space: &str, optimizer: &str| {
        study.write("e.yaml", &format!("space: {{{space}}}\noptimizer: {optimizer}\nworkers: 1\n"));
        study.run(&["run", "e.yaml", "--dir", "e", "--overwrite", "-q", "--", "echo", "1"])
    };
    let grid = endless("x: [1, 9], y: [a, b]", "{name: grid_search, points: 3}").exits(0);
    grid.says(&["this runs until all 6 points of the grid are evaluated", "6 trials succeeded"]);
    let counted = endless("y: [a, b]", "tpe").exits(0);
    counted.says(&["until the optimizer has nothing more to propose", "2 trials succeeded"]);

    let study = Trialmill::new(9);
    let script =
        r#"n=$TRIALMILL_TRIAL_ID; [ $n = 9 ] && { echo "no more" >&2; exit 1; }; echo "[$n, -$n]""#;
    study.run_study(&["-w", "1"], script).exits(0).says(&[
        "8 trials succeeded, 1 crashed",
        "best: 8 trials, none of them better in every objective",
        "\n  [1.0, -1.0] by trial 1 (",
        "\n  [5.0, -5.0] by trial 5 (",
        "\n  … and 3 more",
        "\nlast error: trial 9: the command ended with exit code 1: no more",
    ]);
    study.run(&["create", "study.yaml", "--dir", "t"]).exits(0);
    study.run(&["convert", "s", "t"]).exits(3).says(&["t holds a study already; name a new"]);
}
