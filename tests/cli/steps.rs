//! Values before the end: what commands write on their way, and what callers report.

use serde_json::{Value as Json, json};

use crate::support::{Trialmill, eventually, text};

/// What each attempt at a trial has reported, as `trials --json` shows it.
fn steps(trial: &Json) -> Vec<(u64, Json, Json)> {
    let of = |of: &Json| {
        (of["attempt"].as_u64().unwrap(), of["goes_on_from"].clone(), of["steps"].clone())
    };
    trial["steps"].as_array().into_iter().flatten().map(of).collect()
}

#[test]
fn what_a_command_writes_on_its_way_is_its_learning_curve() {
    let study = Trialmill::new(1);
    // By both ways; a line that is none costs nothing else; the last of them just before its end.
    let script = r#"echo "1 0.5" >> "$TRIALMILL_PROGRESS"
        echo '{"step": 2, "value": "inf"}' >> "$TRIALMILL_PROGRESS"
        until [ "$(wc -l < "$TRIALMILL_ANSWERS")" = 2 ]; do sleep 0.01; done
        echo "epoch 3: 0.25" >> "$TRIALMILL_PROGRESS"
        until grep error "$TRIALMILL_ANSWERS"; do sleep 0.01; done
        cp "$TRIALMILL_ANSWERS" "$HERE/answers"
        echo "trialmill-step 3 0.25"; echo "step 4 0.1"
        echo "1 9.75" >> "$TRIALMILL_PROGRESS"
        echo "trialmill-step 4 0.125"; echo 0.0625"#;
    study.run_study(&[], script).exits(0).says(&["is not a step"]);
    let trial = &study.trials()[0];
    let values = json!([[1, 0.5], [2, "inf"], [3, 0.25], [4, 0.125]]);
    assert_eq!(steps(trial), [(1, Json::Null, values)]);
    assert_eq!(trial["report"]["learning_curve"], json!([0.5, "inf", 0.25, 0.125]));
    assert_eq!(trial["report"]["objective_to_minimize"], 0.0625);
    let answers = study.lines("answers");
    let answer = |at: usize| serde_json::from_str::<Json>(&answers[at]).unwrap();
    assert_eq!(answer(0), json!({"step": 1, "prune": false}));
    assert_eq!(answer(1), json!({"step": 2, "prune": false}));
    assert!(text(&answer(2)["error"]).contains("epoch 3"), "{answers:?}");
    assert_eq!(study.status()["spent"]["steps"], 4);
    study.run(&["status", "s"]).exits(0).says(&["4 steps"]);
    study.run(&["trials", "s", "--csv"]).exits(0).says(&[r#""[0.5,""inf"",0.25,0.125]""#]);
    study.run(&["check", "s"]).exits(0);
}

/// A run that was killed after twenty epochs showed nothing of them, and its next attempt's first
/// value seemed to be the twenty-first.
#[test]
fn an_attempt_that_is_killed_leaves_its_curve_and_the_next_goes_on_or_starts_over() {
    for (first, goes_on_from, curve) in
        [(3, json!(2), json!([0.5, 0.5, 0.25])), (1, Json::Null, json!([0.25]))]
    {
        let study = Trialmill::new(1);
        let script = format!(
            r#"if [ "$TRIALMILL_ATTEMPT" = 1 ]; then
                printf '1 0.5\n2 0.5\n' >> "$TRIALMILL_PROGRESS"; sleep 600
            fi
            echo "{first} 0.25" >> "$TRIALMILL_PROGRESS"; echo 0.25"#
        );
        let running = study.start_study(&[], &script);
        eventually("two steps", || study.read("s/journal.jsonl").contains("[2,0.5]"));
        // While it runs, the curve is there already.
        study.run(&["trials", "s", "--csv"]).exits(0).says(&["[0.5,0.5]"]);
        running.kill();
        study.run_study(&[], &script).exits(0);
        let trial = &study.trials()[0];
        assert_eq!(trial["report"]["learning_curve"], curve);
        let [(1, Json::Null, left), (2, from, new)] = &steps(trial)[..] else { panic!("{trial}") };
        assert_eq!(
            (left, from, new),
            (&json!([[1, 0.5], [2, 0.5]]), &goes_on_from, &json!([[first, 0.25]]))
        );
    }
}

/// More lines than are read at a time, and faster than they can be stored one by one.
#[test]
fn a_command_that_writes_very_many_steps_loses_none() {
    let study = Trialmill::new(2);
    let script = r#"seq 1 30000 | sed 's/$/ 0.5/' >> "$TRIALMILL_PROGRESS"; echo 1"#;
    study.run_study(&["-w", "2"], script).exits(0);
    assert_eq!(study.status()["spent"]["steps"], 60_000);
    for trial in study.trials() {
        assert_eq!(trial["report"]["learning_curve"].as_array().unwrap().len(), 30_000);
    }
}

/// A script with `>` where `>>` is meant lost all steps but the first, and waited for ever for its second answer; the
/// last line of one that did not end it was lost; and what was refused was answered as stored.
#[test]
fn a_command_that_writes_its_steps_in_another_way_loses_none_and_is_told() {
    let study = Trialmill::new(1);
    let script = r#"for step in 1 2 3; do
            echo "$step 0.5" > "$TRIALMILL_PROGRESS"
            until [ "$(wc -l < "$TRIALMILL_ANSWERS")" = "$step" ]; do sleep 0.01; done
        done
        printf '4 0.25' > "$TRIALMILL_PROGRESS"; echo 1"#;
    study.run_study(&[], script).exits(0).says(&["append to it (`>>`)"]);
    let values = json!([[1, 0.5], [2, 0.5], [3, 0.5], [4, 0.25]]);
    assert_eq!(steps(&study.trials()[0]), [(1, Json::Null, values)]);

    let study = Trialmill::new(1);
    study.study_file("objectives: {error: minimize, accuracy: maximize}\npruner: median\n");
    let script = r#"printf '1 0.5\n2 0.5 0.75\n3 1 2 3\n' >> "$TRIALMILL_PROGRESS"
        until [ "$(wc -l < "$TRIALMILL_ANSWERS")" = 3 ]; do sleep 0.01; done
        cp "$TRIALMILL_ANSWERS" "$HERE/answers"; echo '{"error": 1, "accuracy": 2}'"#;
    let ran = study.run_study(&[], script);
    ran.exits(0)
        .says(&["a step with 1 value, and the study has 2 objectives", "median ends nothing"]);
    let answers = study.lines("answers").join(" ");
    assert_eq!(answers.matches(r#"{"error""#).count(), 2, "{answers}");
    assert_eq!(steps(&study.trials()[0]), [(1, Json::Null, json!([[2, 0.5, 0.75]]))]);
    study.run(&["ask", "s"]).exits(9);
    study.run(&["set", "s", "--evaluations", "2"]).exits(0);
    study.run(&["ask", "s"]).exits(0);
    let step = ["progress", "s", "2", "--step", "1", "--value", "0.5"];
    study.run(&step).exits(7).says(&["a step with 1 value, and the study has 2 objectives"]);
    study.run(&[&step[..], &["--value", "0.25"]].concat()).exits(0);
    let named = ["progress", "s", "2", "--step", "2", "--value"];
    study.run(&[&named[..], &["accuracy=7", "--value", "error=1"]].concat()).exits(0);
    study.run(&[&named[..], &["latency=7"]].concat()).exits(2).says(&["'latency' is none of"]);
    study.run(&[&named[..], &["low"]].concat()).exits(2).says(&["not a number"]);
    let told = json!([[1, 0.5, 0.25], [2, 1.0, 7.0]]);
    assert_eq!(steps(&study.trials()[1]), [(1, Json::Null, told)]);
}

#[test]
fn what_a_caller_reports_on_the_way_is_seen_at_once() {
    let study = Trialmill::new(2);
    study.create();
    study.run(&["ask", "s"]).exits(0);
    let progress = |arguments: &[&str]| study.run(&[&["progress", "s"], arguments].concat());
    progress(&["1", "--step", "3", "--value", "-0.5"]).exits(0).says(&["continue"]);
    progress(&["1", "--step", "3", "--value", "7", "--attempt", "1"]).exits(0);
    assert_eq!(steps(&study.trials()[0]), [(1, Json::Null, json!([[3, -0.5]]))]);
    progress(&["9", "--step", "3", "--value", "0.5"]).exits(7).says(&["9"]);
    progress(&["1", "--step", "-1", "--value", "0.5"]).exits(2);
    progress(&["1", "--step", "4"]).exits(2);
    progress(&["1", "--step", "4", "--value", "1", "--attempt", "2"]).exits(10);
    study.run(&["tell", "s", "1", "--pruned", "--cost", "2"]).exits(0);
    assert_eq!(study.states(), ["pruned"]);
    assert_eq!(study.trials()[0]["report"]["learning_curve"], json!([-0.5]));
    progress(&["1", "--step", "4", "--value", "1"]).exits(10).says(&["pruned"]);
    // No result, whatever its last value was.
    study.run(&["ask", "s"]).exits(0);
    study.run(&["tell", "s", "2", "--objective", "4"]).exits(0);
    assert_eq!(study.json(&["best", "s"])["id"], "2");
    assert_eq!(study.status()["spent"]["evaluations"], 2);
}

/// NePS has no place for what is reported before the end, and no pruned trials.
#[test]
fn steps_and_pruned_trials_survive_in_neps_s_directories_and_on_the_way_back() {
    let study = Trialmill::new(3);
    for layout in ["neps", "neps-0.14", "neps-0.13", "neps-0.12"] {
        study.run(&["create", "study.yaml", "--dir", layout, "--layout", layout]).exits(0);
        study.run(&["ask", layout, "-n", "3"]).exits(0);
        for (id, step) in [("1", "1"), ("1", "2"), ("2", "1"), ("3", "1")] {
            study.run(&["progress", layout, id, "--step", step, "--value", "0.5"]).exits(0);
        }
        let seen = |directory: &str| study.json(&["trials", directory]).as_array().unwrap().clone();
        assert_eq!(steps(&seen(layout)[0]), [(1, Json::Null, json!([[1, 0.5], [2, 0.5]]))]);
        study.run(&["tell", layout, "1", "--objective", "0.25"]).exits(0);
        study.run(&["tell", layout, "2", "--pruned"]).exits(0);
        study.run(&["check", layout]).exits(0);
        let journal = format!("{layout}-journal");
        study.run(&["convert", layout, &journal, "--layout", "journal"]).exits(0);
        let back = format!("{layout}-back");
        study.run(&["convert", &journal, &back, "--layout", layout]).exits(0);
        for directory in [layout, &journal, &back] {
            let trials = seen(directory);
            let states: Vec<_> = trials.iter().map(|trial| text(&trial["state"])).collect();
            let third = if directory == layout { "evaluating" } else { "pending" };
            assert_eq!(states, ["success", "pruned", third], "{directory}");
            let values = json!([[1, 0.5], [2, 0.5]]);
            assert_eq!(steps(&trials[0]), [(1, Json::Null, values)], "{directory}");
            assert_eq!(trials[0]["report"]["learning_curve"], json!([0.5, 0.5]), "{directory}");
            assert_eq!(steps(&trials[1]).len(), 1, "{directory}");
            assert!(trials[1]["report"]["extra"].is_null(), "{directory}");
            assert_eq!(study.json(&["best", directory])["id"], "1");
        }
    }
    // As NePS reads it.
    let report = study.read("neps/configs/config_1/report.yaml");
    assert!(report.contains("learning_curve"), "{report}");
    let report = study.read("neps/configs/config_2/report.yaml");
    assert!(report.contains("reported_as: failed"), "{report}");
}

/// In NePS's directories a reader took NePS's limits for the whole policy, so `status` knew no pruner there; and each time
/// that anybody sampled, a study that had ended early went on, and ended once more.
#[test]
fn a_study_in_neps_s_directory_ends_early_once_and_keeps_its_policy() {
    for layout in ["neps", "neps-0.14", "neps-0.13", "neps-0.12"] {
        let study = Trialmill::new(60);
        study.study_file(
            "pruner: median\nstop_early: {evaluations_without_improvement: 8, regret_bound: 1e-9}\n",
        );
        let script = r#"echo "$TRIALMILL_PARAM_x""#;
        let arguments = study.study(&["--layout", layout, "--workers", "2"], script);
        let both = [study.start(&arguments), study.start(&arguments)];
        for ran in both.map(|running| running.end()) {
            ran.exits(0).says(&["stopped: nothing becomes better"]);
        }
        let status = study.status();
        assert_eq!(status["pruner"]["name"], "median", "{layout}");
        assert_eq!(status["ended_early"], "no_improvement", "{layout}");
        assert_eq!(status["budget"]["evaluations"], 60, "{layout}");
        study.run(&["enqueue", "s", "--config", "x=0.5"]).exits(0);
        study.run(&["ask", "s"]).exits(9).says(&["nothing becomes better"]);
        let journal =
            ["s/.trialmill/journal.jsonl", "s/journal.jsonl"].map(|path| study.read(path));
        assert_eq!(journal.concat().matches(r#""event":"stopped""#).count(), 1, "{layout}");
    }
}

/// Its curve, from an x between 0 and 1: the smaller, the better at every step.
const CURVE: &str = r#"for step in 1 2 3 4 5 6 7 8; do
    echo "$step $(awk "BEGIN { print $TRIALMILL_PARAM_x + 1 / $step }")" >> "$TRIALMILL_PROGRESS"
    until [ "$(wc -l < "$TRIALMILL_ANSWERS")" = "$step" ]; do sleep 0.002; done
    if tail -n 1 "$TRIALMILL_ANSWERS" | grep -q '"prune":true'; then
        [ -e "$HERE/stays" ] && sleep 600
        exit 0
    fi
done
echo "$TRIALMILL_PARAM_x""#;

impl Trialmill {
    fn study_file(&self, more: &str) {
        self.write("study.yaml", &(self.read("study.yaml") + more));
    }
}

/// A command that reads the answers ends by itself; one that does not is ended.
#[test]
fn a_command_that_promises_too_little_ends_early_by_itself_or_is_ended() {
    let mut curves = Vec::new();
    for (on_prune, stays) in [("ask", false), ("terminate", true)] {
        let study = Trialmill::new(20);
        study.study_file(&format!(
            "pruner: {{name: median, startup_trials: 2, warmup_steps: 3}}\non_prune: {on_prune}\n"
        ));
        if stays {
            study.write("stays", "");
        }
        study.run_study(&[], CURVE).exits(0).says(&["pruned", "best: "]);
        let trials = study.trials();
        assert!(study.count("pruned") > 2 && study.count("success") > 2, "{trials:?}");
        assert_eq!(study.count("crashed"), 0);
        for trial in trials.iter().filter(|trial| trial["state"] == "pruned") {
            let (of, report) = (&trial["steps"][0], &trial["report"]);
            let last = of["steps"].as_array().unwrap().last().unwrap()[0].clone();
            assert_eq!(of["prune_at"], last);
            assert!(last.as_u64().unwrap() >= 3 && report["objective_to_minimize"].is_null());
        }
        let best = study.json(&["best", "s"]);
        assert_eq!(best["state"], "success");
        study.run(&["status", "s"]).exits(0).says(&["pruner     median(startup_trials=2"]);
        curves.push(
            trials.iter().map(|trial| trial["steps"][0]["steps"].clone()).collect::<Vec<_>>(),
        );
    }
    assert_eq!(curves[0], curves[1], "the same seed gives the same history");
}

/// From the file, by `set`, and taken away again; a wrong one changes nothing.
#[test]
fn a_pruner_is_set_changed_and_taken_away_and_a_wrong_one_is_named() {
    let study = Trialmill::new(20);
    study.create();
    let pruner = || study.status()["pruner"].clone();
    assert!(pruner().is_null());
    study.run(&["set", "s", "--pruner", "asha"]).exits(0);
    assert_eq!(pruner()["name"], "successive_halving");
    study.run(&["set", "s", "--pruner", r#"{"name": "percentile", "percentile": 10}"#]).exits(0);
    assert_eq!(pruner()["arguments"]["percentile"], 10.0);
    study.run(&["set", "s", "--pruner", "medain"]).exits(2).says(&["did you mean `median`?"]);
    study.run(&["create", "study.yaml", "--dir", "s"]).exits(0);
    assert_eq!(pruner()["name"], "percentile", "a file that names none keeps it");
    study.run(&["set", "s", "--pruner", "none"]).exits(0);
    assert!(pruner().is_null());
    study.study_file("pruner: {name: median, warm_up: 3}\n");
    study.run(&["create", "study.yaml", "--dir", "t"]).exits(2).says(&["warmup_steps", "line"]);
    assert!(!study.path("t").exists());
}

#[test]
fn a_caller_hears_that_its_evaluation_should_end() {
    let study = Trialmill::new(20);
    study.study_file("pruner: {name: threshold, upper: 1.0}\n");
    study.create();
    study.run(&["ask", "s"]).exits(0);
    let step = ["progress", "s", "1", "--step"];
    study.run(&[&step[..], &["1", "--value", "0.5"]].concat()).exits(0).says(&["continue"]);
    study.run(&[&step[..], &["2", "--value", "1.5"]].concat()).exits(11).says(&["prune"]);
    // Once said, it stays.
    study.run(&[&step[..], &["3", "--value", "0.5"]].concat()).exits(11);
    study.run(&["tell", "s", "1", "--pruned"]).exits(0);
}

/// A study that had what it was to reach went on for the rest of its budget.
#[test]
fn a_study_ends_at_its_target_or_when_nothing_becomes_better_and_says_why() {
    let study = Trialmill::new(100);
    study
        .run_study(&["--target", "0.2"], r#"echo "$TRIALMILL_PARAM_x""#)
        .exits(0)
        .says(&["stopped: the target is reached"]);
    let reached = study.trials().len();
    assert!(reached < 100, "{reached}");
    assert!(study.json(&["best", "s"])["report"]["objective_to_minimize"].as_f64().unwrap() <= 0.2);
    study.run(&["status", "s"]).exits(0).says(&["ended      the target is reached"]);
    assert_eq!(study.status()["ended_early"], "target");
    study.run(&["ask", "s"]).exits(9).says(&["the target is reached"]);
    // The same command again changes nothing; another target goes on.
    study.run_study(&["--target", "0.2"], r#"echo "$TRIALMILL_PARAM_x""#).exits(0);
    assert_eq!(study.trials().len(), reached);
    study.run(&["set", "s", "--target", "-1", "--evaluations-without-improvement", "30"]).exits(0);
    let again = study.run_study(&[], r#"echo "$TRIALMILL_PARAM_x""#);
    again.exits(0).says(&["stopped: nothing becomes better"]);
    let ended = study.trials().len();
    assert!((reached + 1..100).contains(&ended), "{ended} after {reached}");
    study.run(&["check", "s"]).exits(0);
    // What was set is taken away again.
    for flag in ["--target", "--evaluations-without-improvement"] {
        study.run(&["set", "s", flag, "none"]).exits(0);
    }
    study.run(&["set", "s", "--target", "nought"]).exits(2).says(&["--target"]);
    study.run_study(&[], r#"echo "$TRIALMILL_PARAM_x""#).exits(0).says(&["the budget is used"]);
    assert_eq!(study.trials().len(), 100);
    for wrong in
        ["{target: x}", "{evaluations_without_improvement: 0}", "{targets: 1}", "5", "[0.5]"]
    {
        let study = Trialmill::new(1);
        study.study_file(&format!("stop_early: {wrong}\n"));
        study.run(&["create", "study.yaml", "--dir", "s"]).exits(2).says(&["stop_early"]);
    }
}

/// Nobody could say when more trials are not worth it: a study went on for its whole budget though its best result
/// could hardly be bettered.
#[test]
fn a_study_ends_when_its_regret_is_small_enough_and_says_so() {
    let study = Trialmill::new(400);
    let parabola = r#"awk "BEGIN { x = $TRIALMILL_PARAM_x; print 5 + (x - 0.3) * (x - 0.3) }""#;
    let run = |bound: &str| {
        study.run_study(&["--regret-bound", bound, "-w", "2"], parabola).exits(0);
        study.trials().len()
    };
    let ended = run("0.05");
    assert!((20..60).contains(&ended), "{ended}");
    let status = study.status();
    assert_eq!(status["ended_early"], "regret_bound");
    let bound = status["regret"]["at_most"].as_f64().unwrap();
    assert!(bound <= 0.05 && bound > 0.0, "{status}");
    let best = study.json(&["best", "s"])["report"]["objective_to_minimize"].as_f64().unwrap();
    assert!(best - 5.0 <= bound, "{best}");
    study.run(&["status", "s"]).exits(0).says(&["regret     at most", "ended      the bound on"]);
    study.run(&["ask", "s"]).exits(9).says(&["the bound on the regret is small enough"]);
    // The same again changes nothing; a smaller one goes on, and ends later.
    assert_eq!(run("0.05"), ended);
    assert!((ended + 1..400).contains(&run("1e-4")));
    study.run(&["check", "s"]).exits(0);

    // Of folds: where they differ much, less is needed to be as good as can be told.
    let folds = r#"for fold in 1 2 3 4 5; do
        echo "trialmill-step $fold $(awk "BEGIN { print $TRIALMILL_PARAM_x + $fold }")"
    done; echo "$TRIALMILL_PARAM_x""#;
    let study = Trialmill::new(60);
    study.run_study(&["--regret-bound", "fold_error"], folds).exits(0);
    assert_eq!(study.status()["ended_early"], "regret_bound");
    assert_eq!(study.trials().len(), 20, "the earliest that there is a bound");
    let error = study.status()["regret"]["ends_at"].as_f64().unwrap();
    assert!(
        (error - (0.45f64 * 2.0).sqrt()).abs() < 1e-9,
        "(1/5 + 1/4) times a variance of 2: {error}"
    );

    for (wrong, why) in [
        ("0", "above 0"),
        ("-1", "above 0"),
        (".nan", "above 0"),
        (".inf", "above 0"),
        ("fold", "fold_error"),
        ("[1]", "fold_error"),
    ] {
        let study = Trialmill::new(1);
        study.study_file(&format!("stop_early: {{regret_bound: {wrong}}}\n"));
        study.run(&["create", "study.yaml", "--dir", "s"]).exits(2).says(&["regret_bound", why]);
        assert!(!study.path("s").exists());
    }
    for of_one in ["regret_bound", "target"] {
        let study = Trialmill::new(1);
        study.study_file(&format!(
            "objectives: {{a: minimize, b: maximize}}\nstop_early: {{{of_one}: 0.5}}\n"
        ));
        let created = study.run(&["create", "study.yaml", "--dir", "s"]);
        created.exits(2).says(&[of_one, "one objective", "has 2"]);
        assert!(!study.path("s").exists());
    }
}

/// A budget of steps ends with the trial that uses it up, and counts what was lost too.
#[test]
fn a_budget_of_steps_counts_those_of_trials_that_were_pruned_or_failed() {
    let study = Trialmill::new(100);
    study.study_file("pruner: {name: threshold, upper: 0.9, warmup_steps: 2}\n");
    let script = r#"if [ $((TRIALMILL_TRIAL_ID % 2)) = 0 ]; then
            printf '1 0.5\n2 0.5\n' >> "$TRIALMILL_PROGRESS"; exit 3
        fi
        printf '1 0.5\n2 0.95\n' >> "$TRIALMILL_PROGRESS"; sleep 600"#;
    let ran = study.run_study(&["--steps", "9"], script);
    ran.says(&["stopped: the budget is used: steps"]);
    assert_eq!(study.status()["spent"]["steps"], 10);
    assert_eq!((study.count("pruned"), study.count("crashed")), (3, 2));
}

/// The examples in Python and in a shell, killed in the middle: what was under way goes on at the step of its
/// checkpoint, and the curve has each step once.
#[test]
fn the_examples_go_on_from_their_checkpoints() {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let has_python = std::process::Command::new("python3").arg("--version").output().is_ok();
    if !has_python {
        println!("skipped a part: there is no python3 for the example in Python");
    }
    let network = format!("{examples}/train_network.py");
    let shell = format!("{examples}/steps.sh");
    for command in [vec!["sh", &shell, "{x}"], vec!["python3", &network, "{x}", "4"]] {
        if command[0] == "python3" && !has_python {
            continue;
        }
        let study = Trialmill::new(2);
        let run = ["run", "study.yaml", "--dir", "s", "-q", "--"];
        let run: Vec<&str> = run.into_iter().chain(command).collect();
        let running = study.start(&run);
        eventually("two steps", || study.read("s/journal.jsonl").contains("[2,"));
        running.kill();
        study.run(&run).exits(0);
        for trial in study.trials() {
            assert_eq!(trial["state"], "success", "{trial}");
            let all: Vec<u64> = trial["steps"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|of| {
                    of["steps"].as_array().unwrap().iter().map(|step| step[0].as_u64().unwrap())
                })
                .collect();
            let curve = trial["report"]["learning_curve"].as_array().unwrap();
            let last = *all.last().unwrap();
            assert_eq!(curve.len() as u64, last, "{trial}");
            // Only the step of the checkpoint may have been reported twice.
            assert!(all.len() as u64 <= last + 1, "{trial}");
        }
    }
}
