//! Wrong inputs and wrong directories: what is refused, with which exit code, and that nothing was
//! changed.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Mount, Trialmill, is_root};

#[test]
fn a_wrong_command_line_or_study_file_leaves_no_trace() {
    let space = |space: &str| format!("space: {space}\nbudget: {{evaluations: 1}}\n");
    let wrong_spaces: [(&str, &[&str]); 18] = [
        ("{x: {type: flaot, lower: 0, upper: 1}}", &["'x'", "flaot", "float, int, categorical"]),
        ("{x: {type: float, lowr: 0, upper: 1}}", &["'x'", "'lowr'", "lower"]),
        ("{x: {type: float, lower: 1, upper: 0}}", &["'x'", "lower (1) is above upper (0)"]),
        ("{x: {type: float, lower: 1, upper: 1}}", &["'x'", "constant"]),
        ("{x: {type: float, lower: 0, upper: 1, log: true}}", &["'x'", "above 0"]),
        ("{x: {type: int, lower: 0, upper: 8, log: true}}", &["'x'", "above 0"]),
        ("{x: {type: int, lower: 0.5, upper: 8}}", &["'x'", "whole number"]),
        ("{x: {type: float, lower: .nan, upper: 1}}", &["NaN"]),
        ("{x: {type: float, lower: 0, upper: .inf}}", &["inf"]),
        ("{x: {choices: []}}", &["'x'", "choices"]),
        ("{x: {choices: [a, a]}}", &["'x'", "twice"]),
        ("{x: {type: int, lower: 1, upper: 8, prior: 9}}", &["'x'", "prior 9"]),
        ("{x: null}", &["'x'", "description"]),
        ("{'a{b': 1}", &["a{b", "braces"]),
        ("{}", &["no parameters"]),
        ("[x]", &["mapping"]),
        ("{x: 1, x: 2}", &["x"]),
        ("{x: [1", &["study.yaml"]),
    ];
    for (wrong, says) in wrong_spaces {
        let study = Trialmill::new(1);
        study.write("study.yaml", &space(wrong));
        study.run_study(&[], "echo 1").exits(2).says(says).says(&["study.yaml"]);
        assert!(!study.path("s").exists(), "{wrong}");
    }
    let study = Trialmill::new(1);
    let good = study.read("study.yaml").replace("optimizer: random_search\n", "");
    for (more, says) in [
        ("optimizer: random\n", "random_search"),
        ("optimizer: {name: random_search, points: 3}\n", "points"),
        ("optimizer: {seed: 3}\n", "name"),
        ("optimiser: random_search\n", "optimiser"),
        ("on_error: panic\n", "raise-any"),
        ("timeout_seconds: soon\n", "soon"),
        ("timeout_seconds: -1\n", "timeout"),
        ("max_attempts: 0\n", "max_attempts"),
        ("command: echo 1\n", "command: a list of words"),
        ("command: [sh, [-c]]\n", "command: a list of words"),
        ("workers: many\n", "'workers' stands there twice"),
        ("optimizer: 7\n", "optimizer: "),
    ] {
        study.write("study.yaml", &(good.clone() + more));
        study.run_study(&[], "echo 1").exits(2).says(&[says]);
        assert!(!study.path("s").exists(), "{more}");
    }
    for (from, to, says) in [
        ("seed: 7", "seed: -1", "seed: "),
        ("budget: {evaluations: 1}", "budget: 5", "budget: "),
        ("evaluations: 1", "evaluations: many", "budget: "),
        ("evaluations: 1", "evaluation: 1", "evaluation"),
    ] {
        study.write("study.yaml", &good.replace(from, to));
        study.run_study(&[], "echo 1").exits(2).says(&[says]).says_nothing_of("Raw");
        assert!(!study.path("s").exists(), "{to}");
    }
    study.write("study.yaml", &good);
    for (options, says) in [
        (&["--evaluations", "-1"][..], "-1"),
        (&["--evaluations", "1.5"], "1.5"),
        (&["--evaluations", "99999999999999999999"], "too large"),
        (&["--workers", "0"], "1 to 65536"),
        (&["--workers", "65537"], "1 to 65536"),
        (&["--cost", "nan"], "cost"),
        (&["--cost=-1"], "cost"),
        (&["--timeout", "0"], "timeout"),
        (&["--timeout=-1"], "timeout"),
        (&["--timeout", "nan"], "timeout"),
        (&["--seconds=-1"], "seconds"),
        (&["--max-attempts", "0"], "max_attempts"),
        (&["--optimizer", "bayes"], "random_search, grid_search"),
        (&["--on-error", "explode"], "stop-all"),
        (&["--seed", "x"], "seed"),
        (&["--no-such-option"], "--no-such-option"),
    ] {
        study.run_study(options, "echo 1").exits(2).says(&[says]);
        assert!(!study.path("s").exists(), "{options:?}");
    }
    let run = |file: &str, rest: &[&str]| study.run(&[&["run", file], rest].concat()).exits(2);
    run("study.yaml", &["--dir", "s"]).says(&["no command", "after `--`"]);
    run("study.yaml", &["--dir", "s", "--"]).says(&["no command"]);
    run("study.yaml", &["--dir", "s", "--", "echo", "{y}"]).says(&["{y}", "x, trial_id", "'{{'"]);
    run("study.yaml", &["--dir", "s", "--", "echo", "${x"]).says(&["${x"]);
    run("study.yaml", &["--", "echo", "1"]).says(&["--dir"]);
    run("study.yaml", &["--dir", "", "--", "echo", "1"]).says(&["--dir"]);
    run("missing.yaml", &["--dir", "s", "--", "echo", "1"]).says(&["missing.yaml", "No such file"]);
    run("/", &["--dir", "s", "--", "echo", "1"]).says(&["directory"]);
    run("/dev/null", &["--dir", "s", "--", "echo", "1"]).says(&["space"]);
    assert!(!study.path("s").exists());
}

/// `worker DIR python3 train.py` was "unexpected argument 'python3'", and no more.
#[test]
fn a_command_without_its_dashes_is_told_where_it_stands() {
    let study = Trialmill::new(2);
    study.create();
    let says = "the command that evaluates a trial stands behind `--`";
    for words in [
        &["worker", "s", "python3", "train.py"][..],
        &["run", "study.yaml", "--dir", "s", "echo", "1"],
        &["set", "s", "echo", "1"],
    ] {
        study.run(words).exits(2).says(&["unexpected argument", says]);
    }
    study.run(&["status", "s", "t"]).exits(2).says_nothing_of(says);
    study.run(&["worker", "s", "--bogus"]).exits(2).says_nothing_of(says);
}

/// Verbs that only look at a study said "name an empty or new one" of a directory that is none.
#[test]
fn a_directory_without_a_study_is_answered_with_what_to_name() {
    let study = Trialmill::new(2);
    for dir in ["empty", "other", "runs"] {
        std::fs::create_dir(study.path(dir)).unwrap();
    }
    study.write("other/readme", "mine");
    study.write("file", "mine");
    study.run(&["create", "study.yaml", "--dir", "runs/x"]).exits(0);
    let verbs: [&[&str]; 12] = [
        &["status", "DIR"],
        &["best", "DIR"],
        &["trials", "DIR"],
        &["watch", "DIR", "--once"],
        &["show", "DIR", "1"],
        &["logs", "DIR", "1"],
        &["plot", "DIR", "history"],
        &["report", "DIR"],
        &["summary", "DIR", "-o", "out"],
        &["export", "DIR", "--to", "optuna", "-o", "out"],
        &["ask", "DIR"],
        &["worker", "DIR", "--", "true"],
    ];
    let name = "Name the directory of a study; `trialmill run` and `trialmill create` make one";
    for verb in verbs {
        let run = |dir: &str| {
            let words: Vec<&str> =
                verb.iter().map(|word| if *word == "DIR" { dir } else { word }).collect();
            study.run(&words).exits(3).says_nothing_of("empty or new").says_nothing_of("new one:")
        };
        run("empty").says(&["empty is not a trialmill study: it is empty", name]);
        run("missing").says(&["it does not exist", name]);
        run("file").says(&["it is not a directory", name]);
        run("other").says(&["it holds other files (such as readme), and no study.json", name]);
        run("runs").says(&["There is a study below it", "runs/x"]);
    }
    study.run(&["create", "study.yaml", "--dir", "runs/y"]).exits(0);
    study.run(&["status", "runs"]).exits(3).says(&["There are 2 studies below it, from", "runs/y"]);
    // Whoever makes a study is told to name another directory.
    let made = study.run(&["create", "study.yaml", "--dir", "other"]).exits(3);
    made.says(&["other holds other files (such as readme), and no study: name an empty directory, or a new one"]);
    assert_eq!((study.read("other/readme"), study.path("out").exists()), ("mine".into(), false));
}

#[test]
fn a_directory_of_another_study_is_not_mixed_with_this_one() {
    let study = Trialmill::new(2);
    study.run_study(&[], "echo 1").exits(0);
    let (file, journal) = (study.read("study.yaml"), study.read("s/journal.jsonl"));
    for (changed, says) in [
        (file.replace("upper: 1.0", "upper: 2.0"), &["another search space", "x: "][..]),
        (file.replace("x: ", "y: "), &["another search space", "y: "]),
        (file.replace("space: {", "space: {z: 1, "), &["another search space", "z: "]),
        (file.replace("seed: 7", "seed: 8"), &["another seed", "there:  7", "wanted: 8"]),
        (
            file.replace("random_search", "grid_search"),
            &["another optimizer", "random_search", "grid_search"],
        ),
        (
            file.replace("random_search", "{name: random_search, use_priors: true}"),
            &["another optimizer"],
        ),
    ] {
        study.write("study.yaml", &changed);
        study.run_study(&[], "echo 1").exits(3).says(says).says(&["Use another directory"]);
        assert_eq!(study.read("s/journal.jsonl"), journal);
    }
    study.write("study.yaml", &file);
    study.run_study(&["--seed", "9"], "echo 1").exits(3).says(&["another seed"]);
    // Said or left out, a default is the same optimizer.
    study.run_study(&["--optimizer", "random_search"], "echo 1").exits(0);
    study.run_study(&[], "echo 1").exits(0);
}

#[test]
fn a_directory_with_other_files_is_left_alone() {
    let study = Trialmill::new(1);
    for (file, says) in [
        ("thesis.tex", "thesis.tex"),
        ("optimizer_info.yaml", "NePS"),
        (".optimizer_info.yaml", "NePS"),
        ("study.json", "study.json"),
        ("journal.jsonl", "no study.json"),
    ] {
        let dir = study.path(format!("d-{file}"));
        std::fs::create_dir(&dir).unwrap();
        std::fs::write(dir.join(file), "dear diary\n").unwrap();
        let dir = dir.to_str().unwrap();
        for options in [&["-q"][..], &["--overwrite"]] {
            let start = ["run", "study.yaml", "--dir", dir];
            study.run(&[&start[..], options, &["--", "echo", "1"]].concat()).exits(3).says(&[says]);
        }
        for verb in ["status", "trials", "best", "worker", "ask", "retry"] {
            study.run(&[verb, dir]).exits(3).says(&["is not a trialmill study"]);
        }
        assert_eq!(study.read(format!("d-{file}/{file}")), "dear diary\n");
    }
    for verb in ["status", "trials", "best", "worker", "ask", "retry"] {
        study.run(&[verb, "nowhere"]).exits(3).says(&["nowhere", "does not exist"]);
    }
    assert!(!study.path("nowhere").exists());
    // An empty one will do.
    std::fs::create_dir(study.path("s")).unwrap();
    study.run_study(&[], "echo 1").exits(0);
}

#[test]
fn a_file_in_the_place_of_the_directory_is_not_a_riddle() {
    let study = Trialmill::new(1);
    study.write("file", "dear diary");
    for dir in ["file", "file/below"] {
        study
            .run(&["run", "study.yaml", "--dir", dir, "--", "echo", "1"])
            .exits(3)
            .says(&["not a directory"]);
        study.run(&["status", dir]).exits(3).says(&["not a directory"]);
    }
    assert_eq!(study.read("file"), "dear diary");
}

#[test]
fn a_place_that_may_not_be_written_is_named_with_what_to_do() {
    let study = Trialmill::new(2);
    std::fs::create_dir(study.path("closed")).unwrap();
    let run = |options: &[&str]| {
        let start = ["run", "study.yaml", "--dir", "closed/s", "-q"];
        study.run(&[&start[..], options, &["--", "echo", "1"]].concat())
    };
    if is_root() {
        // Nothing is closed to root but what is mounted read-only.
        let Some(mount) = Mount::new(&study.path("closed"), "ro,size=1m") else { return };
        run(&[]).exits(4).says(&["closed/s", "read-only"]);
        mount.remount("rw");
        run(&["--evaluations", "1"]).exits(0);
        mount.remount("ro");
        run(&[]).exits(4).says(&["read-only"]);
        study.run(&["ask", "closed/s"]).exits(4).says(&["read-only"]);
        study.run(&["status", "closed/s"]).exits(0).says(&["1 success"]);
        study.run(&["trials", "closed/s", "--csv"]).exits(0);
        mount.remount("rw");
        run(&[]).exits(0);
    } else {
        let mode = |mode| std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(study.path("closed"), mode(0o500)).unwrap();
        run(&[]).exits(4).says(&["closed/s", "permission"]);
        std::fs::set_permissions(study.path("closed"), mode(0o700)).unwrap();
        run(&["--evaluations", "1"]).exits(0);
        std::fs::set_permissions(study.path("closed/s"), mode(0o500)).unwrap();
        study.run(&["status", "closed/s"]).exits(0).says(&["1 success"]);
        std::fs::set_permissions(study.path("closed/s"), mode(0o700)).unwrap();
        run(&[]).exits(0);
    }
}

#[test]
fn overwrite_begins_anew_where_there_is_nothing_or_a_study() {
    let study = Trialmill::new(2);
    let start = |dir: &str| {
        let start = ["run", "../study.yaml", "--dir", dir, "--overwrite", "-q", "--", "sh", "-c"];
        let mut command =
            study.command(&[&start[..], &["echo $TRIALMILL_PARAM_x >> ../begun; echo 1"]].concat());
        let status = command.current_dir(study.path("inside")).output().unwrap();
        assert_eq!(status.status.code(), Some(0), "{dir}: {status:?}");
    };
    std::fs::create_dir_all(study.path("inside/empty")).unwrap();
    std::fs::create_dir_all(study.path("inside/real")).unwrap();
    std::os::unix::fs::symlink("real", study.path("inside/link")).unwrap();
    for (dir, at) in [("new", "inside/new"), ("empty", "inside/empty"), ("link", "inside/real")] {
        start(dir);
        start(dir);
        assert!(study.path(at).join("study.json").exists());
    }
    assert!(study.path("inside/link").is_symlink());
    assert_eq!(study.lines("begun").len(), 12);
    std::fs::remove_dir_all(study.path("inside")).unwrap();
    std::fs::create_dir(study.path("inside")).unwrap();
    start(".");
    start(".");
}

#[test]
fn overwrite_does_not_destroy_a_study_for_a_run_that_cannot_begin() {
    let study = Trialmill::new(2);
    study.run_study(&[], "echo 1").exits(0);
    let (file, trials) = (study.read("study.yaml"), study.trials());
    let overwrite =
        |options: &[&str]| study.run_study(&[&["--overwrite"], options].concat(), "echo 1");
    overwrite(&["--max-attempts", "0"]).exits(2);
    overwrite(&["--workers", "0"]).exits(2);
    overwrite(&["--timeout", "0"]).exits(2);
    study.run(&["run", "study.yaml", "--dir", "s", "--overwrite"]).exits(2).says(&["no command"]);
    study.write("study.yaml", "space: {a: [0.0, 1.0], b: [0.0, 1.0], c: [0.0, 1.0], d: [0.0, 1.0]}\noptimizer: {name: grid_search, points: 1000000}\n");
    overwrite(&[]).exits(2);
    study.write("study.yaml", &file);
    assert_eq!(study.trials(), trials);
}

#[test]
fn overwrite_does_not_take_what_is_not_the_study_s() {
    let study = Trialmill::new(1);
    study.run_study(&[], "echo 1").exits(0);
    study.write("s/thesis.tex", "dear diary");
    let trials = study.trials();
    study.run_study(&["--overwrite"], "echo 1").exits(3).says(&["thesis.tex"]);
    assert_eq!(study.read("s/thesis.tex"), "dear diary");
    assert_eq!(study.trials(), trials);
}

#[test]
fn overwrite_does_not_pull_the_study_from_under_a_run() {
    let study = Trialmill::new(1);
    let script = r#"echo > "$HERE/begun"; until [ -e "$HERE/go" ]; do sleep 0.01; done; echo 1"#;
    let run = study.start_study(&[], script);
    crate::support::eventually("it has begun", || study.path("begun").exists());
    study.run_study(&["--overwrite"], script).exits(3).says(&["in use by process p1", "stop it"]);
    study.write("go", "");
    run.end().exits(0).says(&["1 trial succeeded"]);
    study.run_study(&["--overwrite"], script).exits(0);
}

/// A link that leads nowhere was "File exists"; a typo in an optimizer's name was answered with twenty names.
#[test]
fn what_was_probably_meant_is_said() {
    let study = Trialmill::new(3);
    std::os::unix::fs::symlink("nowhere", study.path("link")).unwrap();
    let ran = study.run(&["create", "study.yaml", "--dir", "link"]).exits(3);
    ran.says(&["link", "it is a link that leads nowhere"]);
    let file = study.read("study.yaml");
    for (text, says) in [
        ("optimizer: random_serach\n", "optimizer: 'random_serach' is not"),
        ("optimizer: random_serach\n", "did you mean `random_search`?"),
        ("root_directory: x\n", "here it is the flag `--dir`"),
        ("total_evaluations_to_spend: 5\n", "here it is `evaluations` in `budget`"),
    ] {
        let rest = file.replace("optimizer: random_search\n", "");
        study.write("typo.yaml", &format!("{rest}{text}"));
        let line = format!("line {}: ", rest.lines().count() + 1);
        study.run(&["create", "typo.yaml", "--dir", "t"]).exits(2).says(&[says, &line]);
    }
    study.run_study(&[], "echo 1").exits(0);
    let listed = study.run(&["trials", "s", "1,3"]).exits(0).stdout;
    assert_eq!(listed.lines().count(), 2, "{listed}");
}

/// A model was asked for by more workers than it can tell apart, and nobody said so.
#[test]
fn more_workers_than_an_optimizer_can_use_are_warned_of() {
    let study = Trialmill::new(1);
    let run = |dir, optimizer, workers| {
        let start =
            ["run", "study.yaml", "--dir", dir, "-q", "--optimizer", optimizer, "-w", workers];
        study.run(&[&start[..], &["--", "sh", "-c", "echo 1"]].concat()).exits(0)
    };
    run("a", "auto", "60").says(&["60 workers", "auto", "48 evaluations at once"]);
    run("b", "auto", "48").says_nothing_of("at once");
    run("c", "random_search", "60").says_nothing_of("at once");
}
