//! Commands that break, and what the run makes of it.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value as Json;

use crate::support::{Running, Trialmill, end_by_id, eventually, goes_on, text};

#[test]
fn every_way_to_crash_says_which_it_was() {
    let space =
        "how: {choices: [exit, signal, silent, words, list, unknown, missing, large, latin, gone]}";
    let study = Trialmill::with_space(space, 10);
    let script = r#"
        echo "about to $TRIALMILL_PARAM_how" >&2
        case "$TRIALMILL_PARAM_how" in
        exit) echo 1; exit 3;;
        signal) echo 1; kill -SEGV $$;;
        silent) ;;
        words) echo "done: 0.5";;
        list) echo '{"objective_to_minimize": [0.5';;
        unknown) echo '{"loss": 0.5}';;
        missing) echo '{"cost": 0.5}';;
        large) head -c 5000000 /dev/zero > "$TRIALMILL_RESULT";;
        latin) printf '0.5 \351\n';;
        gone) rm -r "$TRIALMILL_TRIAL_DIR";;
        esac"#;
    let options = ["--optimizer", "grid_search"];
    study.run_study(&options, script).exits(8).says(&["10 crashed"]);
    let expected = [
        ("exit", "exit", "exit code 3"),
        ("signal", "signal", "signal 11 SIGSEGV"),
        ("silent", "result", "there is no result"),
        ("words", "result", "done: 0.5"),
        ("list", "result", "the text ends"),
        ("unknown", "result", "unknown key 'loss'"),
        ("missing", "result", "no objective_to_minimize"),
        ("large", "result", "more than 4194304 bytes"),
        ("latin", "result", "not UTF-8"),
        ("gone", "result", "there is no result"),
    ];
    for (trial, (how, kind, says)) in study.trials().iter().zip(expected) {
        let report = &trial["report"];
        assert_eq!((&trial["config"]["how"], &trial["state"]), (&how.into(), &"crashed".into()));
        assert_eq!(report["err_type"], kind, "{report}");
        assert!(text(&report["err"]).contains(says), "{report}");
        if how != "gone" {
            assert_eq!(report["tb"], format!("about to {how}"));
        }
    }
}

/// "The command ended with exit code 1" is what everybody sees first, and says nothing.
#[test]
fn the_reason_of_a_crash_need_not_be_dug_out_of_a_log_file() {
    let study = Trialmill::new(2);
    let script = "echo 'Traceback:' >&2; echo 'RuntimeError: CUDA out of memory' >&2; exit 1";
    study.run_study(&["--on-error", "raise-any"], script).exits(8).says(&["CUDA out of memory"]);
    study.run(&["trials", "s"]).exits(0).says(&["exit code 1", "CUDA out of memory"]);
    study.run(&["status", "s"]).exits(0).says(&["last error trial 1", "CUDA out of memory"]);
}

#[test]
fn very_long_stderr_is_neither_kept_whole_nor_loses_its_end() {
    let study = Trialmill::new(1);
    let script = "head -c 3000000 /dev/urandom >&2; echo; echo the end >&2; exit 1";
    study.run_study(&[], script).exits(8);
    let trial = &study.trials()[0];
    let kept = text(&trial["report"]["tb"]);
    assert!(kept.ends_with("the end") && kept.chars().count() <= 65_536, "{}", kept.len());
    assert!(text(&trial["report"]["err"]).len() < 1_000);
}

#[test]
fn a_program_that_cannot_be_started_is_one_error_and_not_a_thousand_crashes() {
    let study = Trialmill::new(1_000);
    study.write("script.py", "print(1)");
    for program in ["no-such-program", "./no-such-program", "./script.py", "/"] {
        let run = study.run(&["run", "study.yaml", "--dir", "s", "-q", "--", program]);
        run.exits(2).says(&[program]);
        assert!(!study.path("s").exists());
    }
    let runnable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(study.write("run.sh", "#!/bin/sh\necho 1\n"), runnable).unwrap();
    let run = ["run", "study.yaml", "--dir", "s", "-q", "--evaluations", "1", "--", "./run.sh"];
    study.run(&run).exits(0);
}

#[test]
fn a_run_in_which_everything_crashes_does_not_burn_the_whole_budget() {
    let study = Trialmill::new(1_000);
    let ran = study.run_study(&[], "exit 7").exits(8);
    ran.says(&["all of the first 20 evaluations failed", "exit code 7", "trialmill retry"]);
    assert_eq!(study.count("crashed"), 20);
    // The cause is mended; the same command goes on, and the errors of before do not count.
    study.run_study(&["--evaluations", "25"], "echo 1").exits(0);
    assert_eq!((study.count("success"), study.count("crashed")), (5, 20));
    study.run(&["retry", "s"]).exits(0).says(&["20 trials wait again"]);
    study.run_study(&["--evaluations", "25"], "echo 1").exits(0);
    assert_eq!((study.count("success"), study.count("crashed")), (25, 0));
}

#[test]
fn a_short_run_in_which_nothing_succeeds_does_not_look_fine() {
    let study = Trialmill::new(3);
    study.run_study(&[], "exit 7").exits(8).says(&["nothing succeeded", "trialmill retry"]);
    // Of several, some may fail.
    let script = r#"[ "$TRIALMILL_TRIAL_ID" != 4 ] && echo 1"#;
    study.run_study(&["--evaluations", "6"], script).exits(0).says(&["4 crashed"]);
}

#[test]
fn an_error_stops_what_it_should_stop_and_not_the_next_run() {
    let fails_at_3 = r#"[ "$TRIALMILL_TRIAL_ID" != 3 ] && echo 1"#;
    for (what, code, trials) in [
        ("ignore", 0, 6),
        ("stop-worker", 0, 3),
        ("stop-all", 0, 3),
        ("raise-worker", 8, 3),
        ("raise-any", 8, 3),
    ] {
        let study = Trialmill::new(6);
        let ran = study.run_study(&["--on-error", what], fails_at_3).exits(code);
        assert_eq!(study.trials().len(), trials, "{what}");
        if code == 8 {
            ran.says(&["trial '3' failed", "exit code 1"]);
        } else if trials == 3 {
            ran.says(&["stopped: an evaluation failed"]);
        }
        // The error was of that run: the next one goes on.
        study.run_study(&["--on-error", what], "echo 1").exits(0);
        assert_eq!(study.trials().len(), 6, "{what}");
    }
}

#[test]
fn stop_all_stops_the_other_workers_too() {
    let study = Trialmill::new(1_000);
    let script = r#"[ "$TRIALMILL_TRIAL_ID" != 5 ] && sleep 0.05 && echo 1"#;
    study.run_study(&["--on-error", "stop-all", "-w", "4"], script).exits(0);
    // For a moment a bad end may be that of a signal to all processes of a job, and is not told yet.
    assert!(study.trials().len() < 100);
    assert_eq!(study.count("evaluating"), 0);
}

#[test]
fn what_a_crashed_command_left_in_the_background_does_not_run_beside_the_retry() {
    let study = Trialmill::new(1);
    let first = r#"sleep 30 & echo $! > "$HERE/pid"; exit 1"#;
    study.run_study(&[], first).exits(8);
    let pid = study.read("pid");
    study.run(&["retry", "s"]).exits(0);
    study.run_study(&[], "echo 1").exits(0);
    let beside = goes_on(&pid);
    if beside {
        end_by_id(&pid);
    }
    assert!(!beside, "process {pid} of attempt 1 goes on");
}

#[test]
fn a_hanging_command_neither_holds_its_worker_for_ever_nor_leaves_its_children() {
    let study = Trialmill::new(2);
    let script = r#"[ "$TRIALMILL_TRIAL_ID" = 2 ] && echo 1 && exit
        echo working >&2
        sleep 30 & echo $! > "$HERE/child"; echo $$ > "$HERE/pid"; sleep 30; wait"#;
    study.run_study(&["--timeout", "0.3"], script).exits(0);
    let trial = &study.trials()[0];
    assert_eq!(
        (&trial["state"], &trial["report"]["err_type"]),
        (&"crashed".into(), &"timeout".into())
    );
    assert!(text(&trial["report"]["err"]).contains("0.3 s"));
    assert_eq!(trial["report"]["tb"], "working");
    for file in ["pid", "child"] {
        eventually("the command is gone", || !goes_on(&study.read(file)));
    }
    assert_eq!(study.trials()[1]["state"], "success");
}

#[test]
fn a_timeout_of_the_study_file_is_not_forgotten_by_workers_that_join() {
    let study = Trialmill::new(1);
    let file = study.read("study.yaml") + "timeout_seconds: 0.2\ncommand: [sleep, '30']\n";
    study.write("study.yaml", &file);
    study.run(&["run", "study.yaml", "--dir", "s", "-q", "--seconds", "0"]).exits(0);
    study.run(&["worker", "s", "-q", "-w", "1"]).exits(8);
    assert_eq!(study.trials()[0]["report"]["err_type"], Json::from("timeout"));
}

/// Not a test: this binary as a command of a trial, which ends as it is told to.
#[test]
#[ignore = "no test: a process that others start"]
fn dying_command() {
    match std::env::var("TRIALMILL_PARAM_death").unwrap_or_default().as_str() {
        "abort" => std::process::abort(),
        "overflow" => println!("{}", overflow(1.0)),
        "memory" => println!("{}", vec![1_u8; 1 << 40].len()),
        _ => {}
    }
}

/// More frames than any stack has.
fn overflow(x: f64) -> f64 {
    let frame = std::hint::black_box([x; 512]);
    if x < 0.0 { frame[0] } else { overflow(x + 1.0) + frame[1] }
}

/// However a command dies, its worker goes on: the pool stays as large as it was.
#[test]
fn a_command_that_dies_of_its_stack_its_memory_or_a_killer_costs_one_trial_and_no_worker() {
    let space = "death: {choices: [abort, overflow, memory, killed, none]}, n: {type: int, lower: 1, upper: 4}";
    let study = Trialmill::with_space(space, 20);
    // `killed` is what the system's out-of-memory killer does.
    let script = r#"case "$TRIALMILL_PARAM_death" in
        none) echo 1;;
        killed) kill -KILL $$;;
        *) exec "$TEST_BINARY" --exact crashes::dying_command --ignored --nocapture;;
        esac"#;
    let arguments = study.study(&["--optimizer", "grid_search", "-w", "3"], script);
    let mut command = study.command(&arguments);
    command.env("TEST_BINARY", std::env::current_exe().unwrap());
    Running::with_pipes(command).end().exits(0).says(&["4 trials succeeded", "16 crashed"]);
    for trial in study.trials() {
        let (death, report) = (text(&trial["config"]["death"]), &trial["report"]);
        let says = match death.as_str() {
            "killed" => "signal 9",
            "none" => continue,
            _ => "signal 6",
        };
        assert_eq!(report["err_type"], "signal", "{trial}");
        assert!(text(&report["err"]).contains(says), "{trial}");
        assert_eq!(trial["metadata"]["attempts"], 1);
    }
}

/// A write fails in one worker's turn, while another's command would go on for an hour.
#[test]
fn a_lost_state_ends_the_program_at_once_and_its_commands_too() {
    let study = Trialmill::new(1_000);
    let script = r#"[ "$TRIALMILL_TRIAL_ID" = 1 ] && echo $$ > "$HERE/pid" && exec sleep 3600
        until [ -e "$HERE/pid" ]; do sleep 0.01; done; date +%s%N > "$HERE/last"; echo 1"#;
    // 16 blocks of 512 bytes, which the journal reaches first.
    let arguments = study.study(&["-w", "2"], script).join(" ");
    let line = format!("trap '' XFSZ; ulimit -f 16; exec $TRIALMILL {arguments}");
    study.shell(&line).exits(4).says(&["journal.jsonl", "too large"]);
    let ended = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let last = Duration::from_nanos(study.read("last").trim().parse().unwrap());
    assert!(
        ended.checked_sub(last).unwrap() < Duration::from_secs(20),
        "it ended after {:?}",
        ended.checked_sub(last).unwrap()
    );
    assert!(!goes_on(&study.read("pid")), "the command goes on");
}
