//! Numbers and times, as people write them in flags and in a study file.

use serde_json::json;

use crate::support::Trialmill;

/// `--workers -3` was "an unexpected argument", and the way out that was offered made it a word of the
/// command; `10m` was "an invalid float literal".
#[test]
fn a_number_that_cannot_be_is_answered_with_one_that_can() {
    let study = Trialmill::new(2);
    study.create();
    let run = ["run", "study.yaml", "--dir", "t"];
    let whole = "a whole number from 0 on is needed";
    let time = "a time is seconds (600), or has units: 10m, 2h, 1.5s";
    for (verb, flag, value, says) in [
        (&run[..], "--workers", "-3", "it is below 0; a whole number from 0"),
        (&run, "--workers", "0", "workers must be 1 to"),
        (&run, "--workers", "four", whole),
        (&run, "-w", "2.5", whole),
        (&run, "--evaluations", "-3", "below 0"),
        (&run, "--evaluations-per-worker", "-3", "below 0"),
        (&run, "--seed", "-1", "below 0"),
        (&run, "--seed", "18446744073709551616", "too large"),
        (&run, "--max-attempts", "4294967296", "too large"),
        (&run, "--give-up-after", "-1", "below 0"),
        (&run, "--cost", "much", "a number is needed"),
        (&run, "--cost", "-1", "cost"),
        (&run, "--timeout", "-1", "below 0"),
        (&run, "--timeout", "0", "the timeout must be above 0"),
        (&run, "--timeout", "10 parsecs", time),
        (&run, "--seconds", "nan", time),
        (&run, "--grace", "-5", "below 0"),
        (&run, "--seconds-without-improvement", "soon", time),
        (&["set", "s"], "--evaluations", "-1", "below 0"),
        (&["set", "s"], "--timeout", "1mo", time),
        (&["set", "s"], "--evaluation-seconds", "x", time),
        (&["ask", "s"], "--deadline", "-1", "below 0"),
        (&["set", "s"], "--timeout", "1e30", "of fewer than 2^64 seconds"),
        (&["ask", "s"], "-n", "-2", "a whole number from 1 to 65536 is needed"),
        (&["sample", "s"], "--ahead", "1e9", "a whole number from 1 to 65536 is needed"),
        (&["bench"], "--processes", "65", "a whole number from 1 to 64 is needed"),
        (&["bench"], "--trials", "0", "from 1 on"),
        (&["trials", "s"], "--limit", "-1", "below 0"),
        (&["export", "s", "--to", "tensorboard", "-o", "x"], "--top", "0", "from 1 on"),
        (&["tell", "s", "1", "--objective", "1"], "--attempt", "0", "from 1 on"),
        (&["plot", "s", "history"], "--width", "-1", "a number from 240 to 20000 is needed"),
        (&["plot", "s", "history"], "--width", "0", "a number from 240 to 20000 is needed"),
        (&["plot", "s", "history"], "--width", "1e9", "a number from 240 to 20000 is needed"),
        (&["plot", "s", "history"], "--height", "nan", "a number from 160 to 20000 is needed"),
        (&["plot", "s", "history"], "--scale", "0", "a number from 0.1 to 20 is needed"),
        (&["plot", "s", "history"], "--objective", "0", "from 1 on"),
    ] {
        let command: &[&str] = if verb == run { &["--", "true"] } else { &[] };
        let ran = study.run(&[verb, &[flag, value], command].concat());
        ran.exits(2).says(&[says]).says_nothing_of("unexpected");
    }
    assert!(!study.path("t").exists());
    // A typo in a flag is no value for another one.
    let typo = study.run(&["run", "study.yaml", "--dir", "t", "--worker", "3"]).exits(2);
    typo.says(&["'--workers'"]).says_nothing_of("-- --worker");
}

#[test]
fn times_have_units_wherever_one_is_read() {
    let study = Trialmill::new(2);
    let with = |key: &str| {
        study.write("t.yaml", &format!("space: {{x: [1, 9]}}\n{key}\ncommand: [echo, '{{x}}']\n"))
    };
    with(
        "timeout_seconds: 10m\ngrace_seconds: 1.5s\nbudget: {evaluations: 1e0, evaluation_seconds: 2h, \
          per_worker: {seconds: 1d}}\nstop_early: {seconds_without_improvement: 1h30m}",
    );
    study.run(&["run", "t.yaml", "--dir", "t", "-q", "--grace", "250ms"]).exits(0);
    let status = study.json(&["status", "t"]);
    assert_eq!(status["budget"]["evaluation_seconds"], json!(7200.0));
    assert_eq!(status["budget"]["evaluations"], json!(1));
    let kept = |says: &str| assert!(study.read("t/journal.jsonl").contains(says), "{says}");
    kept("\"timeout_seconds\":600");
    study.run(&["set", "t", "--timeout", "90s", "--evaluation-seconds", "3h"]).exits(0);
    assert_eq!(study.json(&["status", "t"])["budget"]["evaluation_seconds"], json!(10_800.0));
    kept("\"timeout_seconds\":90");
    study.create();
    let asked = study.json(&["ask", "s", "--deadline", "2h"]);
    assert_eq!(asked[0]["deadline_seconds"], json!(7200.0));
    let time = "a time is seconds (600), or has units: 10m";
    for (key, says) in [
        ("timeout_seconds: soon", ["line 2: timeout_seconds: ", time]),
        ("timeout_seconds: -5", ["line 2: timeout_seconds: it is below 0", "this is -5"]),
        ("grace_seconds: 3 x", ["grace_seconds: ", time]),
        ("budget: {seconds: soon}", ["line 2: budget: seconds: ", time]),
        ("budget: {per_worker: {seconds: -1h}}", ["budget: per_worker: seconds: ", "below 0"]),
        ("stop_early: {seconds_without_improvement: x}", ["stop_early: ", time]),
        ("budget: {evaluations: -5}", ["budget: evaluations: it is below 0", "this is -5"]),
        ("budget: {evaluations: 2.5}", ["budget: evaluations: ", "this is 2.5"]),
        ("budget: {steps: '5'}", ["budget: steps: ", "this is \"5\""]),
        ("workers: -3", ["line 2: workers: it is below 0", "this is -3"]),
        ("seed: 1.5", ["seed: a whole number from 0 on is needed", "this is 1.5"]),
    ] {
        with(key);
        study.run(&["create", "t.yaml", "--dir", "u"]).exits(2).says(&says);
    }
    assert!(!study.path("u").exists());
}

/// A budget that `set` had enlarged was the study file's again after the next `run`, without a word, and the run
/// ended at once.
#[test]
fn a_budget_that_a_study_file_takes_back_is_said_aloud() {
    let study = Trialmill::new(2);
    let says = "the study had another budget, and has from now on the one that is named here";
    study.run_study(&[], "echo 1").exits(0).says_nothing_of(says);
    study.run(&["set", "s", "--evaluations", "9", "--cost", "5"]).exits(0);
    let back = study.run_study(&[], "echo 1").exits(0);
    back.says(&[says, "evaluations: 9 → 2", "cost: 5 → no limit"]);
    study.run_study(&[], "echo 1").exits(0).says_nothing_of(says);
    study.run_study(&["--evaluations", "3"], "echo 1").exits(0).says_nothing_of(says);
    // Who joins has no budget to name.
    study.run(&["worker", "s", "-q", "--", "true"]).says_nothing_of(says);
}
