//! What is not the trial's fault costs no trial: commands that could not be started, that were stopped
//! with us, whose machine lacks something; and what a command leaves behind.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Ran, Running, Trialmill, end_by_id, eventually, goes_on, is_root, text};

fn signal_pid(pid: &str, signal: Signal) {
    let _ = kill(Pid::from_raw(pid.trim().parse().unwrap()), signal);
}

impl Trialmill {
    fn executable(&self, name: &str, text: &str) {
        let path = self.write(name, text);
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }
}

/// `scancel`, `docker stop` and systemd signal every process of a job; the commands ended first, and 25 of
/// 40 running trials were crashed for good.
///
/// A command that ends well with a value is left out: which signal came first, nobody can tell.
#[test]
fn a_signal_to_all_processes_of_a_job_crashes_no_trial() {
    for script in [
        "echo $$ > \"$HERE/pid.$TRIALMILL_TRIAL_ID\"; exec sleep 30",
        "trap 'exit 143' TERM; echo $$ > \"$HERE/pid.$TRIALMILL_TRIAL_ID\"; sleep 30 & wait",
        "trap 'exit 1' TERM; echo $$ > \"$HERE/pid.$TRIALMILL_TRIAL_ID\"; sleep 30 & wait",
    ] {
        let study = Trialmill::new(3);
        let mut run = study.start_study(&["-w", "3"], script);
        let pid = |n: u32| study.read(format!("pid.{n}"));
        eventually("all have begun", || (1..=3).all(|n| pid(n).ends_with('\n')));
        (1..=3).for_each(|n| signal_pid(&pid(n), Signal::SIGTERM));
        run.signal(Signal::SIGTERM);
        run.end().exits(130);
        assert_eq!(study.states(), ["pending"; 3], "{script}");
        let again = "echo $TRIALMILL_ATTEMPT";
        study.run_study(&["--max-attempts", "1"], again).exits(0).says(&["3 trials succeeded"]);
    }
}

/// `sbatch --signal=USR1@60`: trialmill was killed by it, and its command went on without anybody.
#[test]
fn what_batch_systems_send_before_the_end_is_a_stop() {
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGXCPU] {
        let study = Trialmill::new(1);
        let mut run = study.start_study(&["--stopped-ok"], "echo > \"$HERE/begun\"; exec sleep 30");
        eventually("it has begun", || study.path("begun").exists());
        run.signal(signal);
        run.end().exits(0).says(&["stopping", "interrupted"]);
        assert_eq!(study.states(), ["pending"], "{signal}");
    }
    let study = Trialmill::new(1);
    study.run_study(&["--until", "+0.2"], "exec sleep 30").exits(130);
    assert_eq!(study.states(), ["pending"]);
}

/// The program was away for half a second, and 211 of 300 trials crashed without having been started.
#[test]
fn a_program_that_is_away_for_a_while_is_waited_for() {
    let study = Trialmill::new(30);
    // A program and no script: the interpreter of a script opens it a second time, by its name.
    std::fs::copy("/bin/echo", study.path("train")).unwrap();
    let run =
        study.start(&["run", "study.yaml", "--dir", "s", "-q", "-w", "2", "--", "./train", "1"]);
    let finished = || study.path("s/study.json").exists() && study.count("success") > 0;
    eventually("some have ended", finished);
    std::fs::rename(study.path("train"), study.path("away")).unwrap();
    let waits = || study.count("evaluating") == 2 || study.count("success") == 30;
    eventually("commands are waiting", waits);
    std::fs::rename(study.path("away"), study.path("train")).unwrap();
    run.end().exits(0).says(&["30 trials succeeded"]);
}

/// One whose interpreter is not there took every small budget.
#[test]
fn a_program_that_never_starts_ends_the_run_and_no_trial() {
    let study = Trialmill::new(5);
    study.executable("train", "#!/no/such/interpreter\n");
    let arguments = ["run", "study.yaml", "--dir", "s", "-q", "-w", "2", "--", "./train"];
    study.run(&arguments).exits(12).says(&["no command can be started here", "./train"]);
    assert!(study.states().iter().all(|state| state == "pending"), "{:?}", study.states());
    study.executable("train", "#!/bin/sh\necho 1\n");
    study.run(&arguments).exits(0).says(&["5 trials succeeded"]);
}

/// The checkout was replaced by another, and 188 of 200 trials crashed in the directory that was gone.
#[test]
fn a_working_directory_that_is_replaced_costs_no_trial() {
    let study = Trialmill::new(20);
    std::fs::create_dir(study.path("code")).unwrap();
    study.write("code/c.sh", "echo > \"$HERE/begun\"; echo 1");
    let s = study.path("s");
    let file = study.path("study.yaml");
    let arguments = ["run", file.to_str().unwrap(), "--dir", s.to_str().unwrap(), "-q", "--"];
    let mut command = study.command(&[&arguments[..], &["sh", "c.sh"]].concat());
    command.current_dir(study.path("code"));
    let run = Running::with_pipes(command);
    eventually("some have begun", || study.path("begun").exists());
    std::fs::rename(study.path("code"), study.path("old")).unwrap();
    std::fs::create_dir(study.path("new")).unwrap();
    study.write("new/c.sh", "echo 2");
    std::fs::rename(study.path("new"), study.path("code")).unwrap();
    run.end().exits(0).says(&["20 trials succeeded"]);
}

/// One machine lost its data, and crashed 284 of 300 trials while another one worked.
#[test]
fn a_machine_on_which_everything_fails_stops_by_itself() {
    let study = Trialmill::new(200);
    let script = r#"[ "$MACHINE" = bad ] && echo "data.bin: no such file" >&2 && exit 1
        [ "$TRIALMILL_TRIAL_ID" = 1 ] || until [ -e "$HERE/go" ]; do sleep 0.01; done; echo 1"#;
    let good = study.start_study(&[], script);
    eventually("it works", || study.path("s/study.json").exists() && study.count("success") == 1);
    let script = study.study(&[], script).pop().unwrap();
    let worker = ["worker", "s", "-q", "-w", "2", "--give-up-after", "5", "--", "sh", script];
    let mut bad = study.command(&worker);
    bad.env("MACHINE", "bad");
    let ran = Running::with_pipes(bad).end().exits(8);
    ran.says(&["data.bin: no such file"]);
    study.run(&["status", "s"]).exits(0).says(&["gave up    p2 on ", "5 errors in a row"]);
    assert_eq!(study.status()["gave_up"][0]["errors_in_a_row"], 5);
    let crashed = study.count("crashed");
    assert!((5..=6).contains(&crashed), "{crashed}");
    study.write("go", "");
    good.end().exits(0);
}

/// Children in a session of their own went on after the end, after the limit, and beside the next attempt.
#[test]
fn what_a_command_leaves_in_a_session_of_its_own_ends_with_it() {
    let leaves = [
        r#"setsid sh -c 'echo $$ > "$HERE/pid"; exec sleep 30' &"#,
        r#"setsid sh -c 'echo $$ > "$HERE/pid"; exec sleep 30' < /dev/null > /dev/null 2>&1 &"#,
        r#"( env -i setsid sh -c 'echo $$ > '"$HERE"'/pid; exec sleep 30' < /dev/null > /dev/null 2>&1 & ) "#,
    ];
    for leaves in leaves {
        for (ends, options, code) in [
            ("echo 1", &[][..], 0),
            ("exit 3", &[], 8),
            ("exec sleep 30", &["--timeout", "0.3", "--grace", "0.2"], 8),
        ] {
            let study = Trialmill::new(1);
            let script =
                format!("{leaves}\nuntil [ -s \"$HERE/pid\" ]; do sleep 0.01; done; {ends}");
            study.run_study(options, &script).exits(code);
            let left = goes_on(&study.read("pid"));
            end_by_id(&study.read("pid"));
            assert!(!left, "{leaves} then {ends}");
        }
    }
}

/// While other trials run, what a command has left is known by its marks alone: it ends with its trial, and what
/// belongs to another trial does not.
#[test]
fn what_a_command_leaves_ends_also_while_others_run_whose_own_goes_on() {
    let study = Trialmill::new(2);
    let script = r#"
exec 3<&0
if [ "$TRIALMILL_TRIAL_ID" = 1 ]; then
  until [ -s "$HERE/theirs" ]; do sleep 0.01; done
  ( env -i setsid sh -c 'echo $$ > '"$HERE"'/same-input; exec sleep 60' <&3 3<&- >/dev/null 2>&1 & )
  ( setsid sh -c 'echo $$ > "$HERE/same-environment"; exec sleep 60' </dev/null 3<&- >/dev/null 2>&1 & )
  until [ -s "$HERE/same-input" ] && [ -s "$HERE/same-environment" ]; do sleep 0.01; done
else
  ( setsid sh -c 'echo $$ > "$HERE/theirs"; exec sleep 60' </dev/null 3<&- >/dev/null 2>&1 & )
  until [ -e "$HERE/go" ]; do sleep 0.01; done
fi
echo 1"#;
    let run = study.start_study(&["-w", "2"], script);
    eventually("the second has begun", || study.read("theirs").ends_with('\n'));
    eventually("the first has ended", || study.count("success") == 1);
    let [input, environment, theirs] = ["same-input", "same-environment", "theirs"]
        .map(|name| (study.read(name), goes_on(&study.read(name))));
    study.write("go", "");
    run.end().exits(0);
    let at_the_end = goes_on(&theirs.0);
    for (pid, _) in [&input, &environment, &theirs] {
        end_by_id(pid);
    }
    assert!(!input.1, "known by its standard input");
    assert!(!environment.1, "known by its environment");
    assert!(theirs.1, "the other trial's");
    assert!(!at_the_end, "the other trial's, when that has ended");
}

/// A thousand trials left as many dead processes, until no more could be started.
#[test]
fn what_a_command_leaves_and_that_ends_by_itself_is_reaped() {
    let study = Trialmill::new(1);
    let script = r#"
( setsid sh -c 'echo $$ > "$HERE/pid"' & )
until [ -e "$HERE/go" ]; do sleep 0.01; done
echo 1"#;
    let run = study.start_study(&[], script);
    let pid = || study.read("pid");
    eventually("it was there", || pid().ends_with('\n'));
    let proc = format!("/proc/{}", pid().trim());
    eventually("it is gone, its parent having asked how it ended", || !Path::new(&proc).exists());
    study.write("go", "");
    run.end().exits(0);
}

/// As a container's first process it gets everybody's orphans: also those of `docker exec`, which are not its to end.
#[test]
fn as_the_first_process_of_a_container_it_ends_nobody_else_s() {
    let study = Trialmill::new(2);
    let own = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    let may_enter = |command: &mut Command| {
        command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if !study.may("unshare", &own)
        || !may_enter(Command::new("nsenter").args(["--pid=/proc/self/ns/pid", "true"]))
    {
        println!("skipped: no container can be made here");
        return;
    }
    let script = r#"
echo > "$HERE/begun.$TRIALMILL_TRIAL_ID"
until [ -e "$HERE/go.$TRIALMILL_TRIAL_ID" ]; do sleep 0.01; done
echo 1"#;
    let mut run = Running::with_pipes(study.through("unshare", &own, &study.study(&[], script)));
    eventually("the first has begun", || study.path("begun.1").exists());
    let children = format!("/proc/{0}/task/{0}/children", run.id());
    let first = std::fs::read_to_string(children).unwrap();
    let theirs = "setsid sh -c 'echo > there; until [ -e ask ]; do sleep 0.01; done; echo > lives' \
                  </dev/null >/dev/null 2>&1 &";
    let mut enter = Command::new("nsenter");
    enter.args(["-t", first.trim(), "-p", "sh", "-c", theirs]);
    assert!(may_enter(enter.current_dir(study.path("."))), "nobody can enter");
    eventually("it is there", || study.path("there").exists());
    study.write("go.1", "");
    eventually("the second has begun", || study.path("begun.2").exists());
    study.write("ask", "");
    eventually("theirs lives", || study.path("lives").exists());
    study.write("go.2", "");
    run.end().exits(0);
}

/// A command that was stopped while it wrote its result crashed its trial.
#[test]
fn a_stopped_command_s_broken_result_is_none() {
    for broken in ["nearly 0.5", "{\"exception\": tru", "[]", "{\"exception\": \"stopped\"}"] {
        let study = Trialmill::new(1);
        let script = format!(
            "trap 'printf %s '\\''{broken}'\\'' > \"$TRIALMILL_RESULT\"; exit 0' TERM\n\
             echo > \"$HERE/begun\"; while :; do sleep 0.02; done"
        );
        let mut run = study.start_study(&[], &script);
        eventually("it has begun", || study.path("begun").exists());
        run.signal(Signal::SIGTERM);
        run.end().exits(130);
        assert_eq!(study.states(), ["pending"], "{broken}");
    }
}

/// A command that became another user cannot be killed: its trial was given to the next, beside it.
#[test]
fn a_command_that_cannot_be_killed_keeps_its_trial_until_it_has_ended() {
    let study = Trialmill::new(1);
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups"];
    let setpriv = study.path("setpriv");
    let found = Command::new("sh").args(["-c", "command -v setpriv"]).output().unwrap().stdout;
    let found = String::from_utf8(found).unwrap();
    let copied = is_root() && std::fs::copy(found.trim(), &setpriv).is_ok();
    if !copied {
        println!("skipped: only root becomes another user");
        return;
    }
    std::fs::set_permissions(&setpriv, PermissionsExt::from_mode(0o4755)).unwrap();
    std::fs::set_permissions(study.path("."), PermissionsExt::from_mode(0o777)).unwrap();
    let program = env!("CARGO_BIN_EXE_trialmill");
    let as_nobody = |arguments: &[&str]| study.start_by("setpriv", &nobody, arguments);
    if !Ran::of(&mut as_nobody(&[setpriv.to_str().unwrap(), "--reuid=0", "true"])).status.success()
        || !Ran::of(&mut as_nobody(&[program, "--version"])).status.success()
    {
        println!("skipped: nobody may not run what is here, or not as root");
        return;
    }
    let script = r#"
[ "$TRIALMILL_ATTEMPT" = 1 ] || { [ -e "$HERE/ended" ] && echo 2; exit; }
exec "$HERE/setpriv" --reuid=0 sh -c 'echo $$ > "$HERE/pid"; until [ -e "$HERE/go" ]; do sleep 0.05; done; echo > "$HERE/ended"'"#;
    let arguments = study.study(&["--grace", "0.1"], script);
    let run = || Running::with_pipes(as_nobody(&[&[program], &arguments[..]].concat()));
    let mut first = run();
    eventually("it has begun", || study.read("pid").ends_with('\n'));
    first.signal(Signal::SIGTERM);
    first.end().exits(130).says(&["SIGKILL does not end it"]);
    assert!(goes_on(&study.read("pid")));
    assert_eq!(study.states(), ["evaluating"]);
    let mut second = run();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(500) {
        assert_eq!(study.states(), ["evaluating"], "it is waited for");
    }
    assert!(!second.has_ended());
    study.write("go", "");
    second.end().exits(0).says(&["1 trial succeeded"]);
}

/// What a shell had started before it became the program was taken for what a command had left.
#[test]
fn children_from_before_are_nobody_s() {
    let study = Trialmill::new(1);
    let words = study.study(&[], "echo 1").join(" ");
    let line = format!(
        "sleep 60 </dev/null >/dev/null 2>&1 & echo $! > other; exec \"$TRIALMILL\" {words}"
    );
    study.shell(&line).exits(0);
    let left = goes_on(&study.read("other"));
    end_by_id(&study.read("other"));
    assert!(left);
}

/// A result that is there before its command begins is somebody else's.
#[test]
fn a_command_is_not_started_where_an_old_result_cannot_be_removed() {
    let study = Trialmill::new(1);
    study.create();
    let result = study.path("s/trials/1/.trialmill/attempt-1.result.json");
    std::fs::create_dir_all(result.join("x")).unwrap();
    study.run_study(&[], "echo 1").exits(8).says(&["could not be started"]);
}

/// A study within a study had the same grace, was killed in the middle of it, and its own commands went on.
#[test]
fn a_study_within_a_trial_ends_with_it() {
    let study = Trialmill::new(1);
    study.write("inner.sh", "trap '' TERM; echo $$ > \"$HERE/pid\"; while :; do sleep 0.05; done");
    let script =
        r#"exec "$BIN" run "$HERE/study.yaml" --dir "$HERE/inner" -q -- sh "$HERE/inner.sh""#;
    let mut command = study.command(&study.study(&["--grace", "1"], script));
    command.env("BIN", env!("CARGO_BIN_EXE_trialmill"));
    let mut run = Running::with_pipes(command);
    eventually("the inner one has begun", || study.path("pid").exists());
    run.signal(Signal::SIGTERM);
    run.end().exits(130);
    let left = goes_on(&study.read("pid"));
    end_by_id(&study.read("pid"));
    assert!(!left, "the inner study's command goes on");
    assert_eq!(study.json(&["trials", "inner"])[0]["state"], "pending", "it was handed back");
}

/// The outer study's variables named its files to the commands of the inner one.
#[test]
fn variables_of_an_outer_trial_do_not_reach_an_inner_one() {
    let study = Trialmill::new(1);
    let mut command =
        study.command(&study.study(&[], "env | grep ^TRIALMILL > \"$HERE/env\"; echo 1"));
    command.env("TRIALMILL_PARAM_outer", "1").env("TRIALMILL_PREVIOUS_DIR", "/outer");
    Running::with_pipes(command).end().exits(0);
    let env = study.read("env");
    assert!(!env.contains("outer") && env.contains("TRIALMILL_WORKER=0"), "{env}");
}

/// A command that saved for seven seconds was killed after five.
#[test]
fn the_grace_can_be_set() {
    let study = Trialmill::new(1);
    let script = r#"trap 'until [ -e "$HERE/go" ]; do sleep 0.05; done; echo > "$HERE/saved"; exit 1' TERM
        echo > "$HERE/begun"; sleep 60 & wait"#;
    let file = study.read("study.yaml") + "grace_seconds: 600\n";
    study.write("study.yaml", &file);
    let mut run = study.start_study(&[], script);
    eventually("it has begun", || study.path("begun").exists());
    run.signal(Signal::SIGTERM);
    study.write("go", "");
    run.end().exits(130).says(&["have 600 s to end"]);
    assert!(study.path("saved").exists());
    study.run_study(&["--grace", "nan"], script).exits(2).says(&["a time is seconds"]);
}

/// Whoever starts us may have asked not to hear of children; the first trial crashed.
#[test]
fn a_parent_that_ignores_the_end_of_children_costs_no_trial() {
    let study = Trialmill::new(2);
    let ignores = "import os, signal, sys\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\n\
                   os.execv(sys.argv[1], sys.argv[1:])";
    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: no python3");
        return;
    }
    let arguments = study.study(&[], "echo 1");
    let run = Running::with_pipes(study.through("python3", &["-c", ignores], &arguments));
    run.end().exits(0).says(&["2 trials succeeded"]);
}

/// A job was suspended for longer than its trials' limit.
#[test]
fn time_in_which_we_were_suspended_is_not_the_trial_s() {
    let study = Trialmill::new(1);
    let script = r#"echo > "$HERE/begun"; until [ -e "$HERE/go" ]; do sleep 0.01; done; echo 1"#;
    let mut run = study.start_study(&["--timeout", "40"], script);
    eventually("it has begun", || study.path("begun").exists());
    run.signal(Signal::SIGSTOP);
    eventually("it is stopped", || run.is_stopped());
    study.write("go", "");
    run.signal(Signal::SIGCONT);
    run.end().exits(0);
}

/// A model's config.json was overwritten by ours, and a result.json of the user's own was the result.
#[test]
fn what_a_command_keeps_in_its_directory_is_its_own() {
    let study = Trialmill::new(1);
    let script = r#"cd "$TRIALMILL_TRIAL_DIR"
        if [ "$TRIALMILL_ATTEMPT" = 1 ]; then
            for name in config.json result.json stdout.log stderr.log; do echo mine > $name; done; exit 3
        fi
        cat config.json result.json stdout.log stderr.log | grep -c mine"#;
    study.run_study(&[], script).exits(8);
    study.run(&["retry", "s"]).exits(0);
    study.run_study(&[], script).exits(0);
    assert_eq!(study.trials()[0]["report"]["objective_to_minimize"], 4.0);
    // Nor does one that clears it away lose its result.
    let study = Trialmill::new(1);
    study.run_study(&[], r#"rm -rf "$TRIALMILL_TRIAL_DIR"; echo 7"#).exits(0);
    assert_eq!(study.trials()[0]["report"]["objective_to_minimize"], 7.0);
}

/// The result was there, and then the teardown hung, or died: what had been paid for was nowhere.
#[test]
fn a_result_that_was_written_before_a_bad_end_is_kept() {
    for (how, ends, word) in [
        ("> \"$TRIALMILL_RESULT\"", "exec sleep 30", "written"),
        ("> \"$TRIALMILL_RESULT\"", "kill -SEGV $$", "written"),
        ("", "exit 3", "printed"),
    ] {
        let study = Trialmill::new(1);
        let script =
            format!("echo '{{\"objective_to_minimize\": 0.25, \"cost\": 3}}' {how}\n{ends}");
        study.run_study(&["--timeout", "1", "--grace", "0.1"], &script).exits(8);
        let report = study.trials()[0]["report"].clone();
        assert_eq!(report["extra"]["result"]["objective_to_minimize"], 0.25, "{report}");
        let err = text(&report["err"]);
        assert!(err.contains(word) && err.contains("0.25"), "{err}");
    }
}

/// A prompt of 140 kB among the choices, and no trial could be started.
#[test]
fn a_value_that_no_variable_can_hold_is_in_the_file() {
    let study = Trialmill::new(2);
    let (a, b) = ("a".repeat(140_000), "b".repeat(140_000));
    let space = serde_json::json!({"space": {"prompt": {"choices": [a, b]}}, "seed": 1, "workers": 1,
        "budget": {"evaluations": 2}});
    study.write("s.json", &space.to_string());
    let run = ["run", "s.json", "--dir", "s", "-q", "--", "sh", "-c"];
    let looks = "[ -z \"$TRIALMILL_PARAM_prompt\" ] && wc -c < \"$TRIALMILL_CONFIG\"";
    study.run(&[&run[..], &[looks]].concat()).exits(0).says(&["2 trials succeeded"]);
    study
        .run(&[&run[..], &["echo {prompt}"]].concat())
        .exits(2)
        .says(&["140000", "TRIALMILL_CONFIG"]);
}

/// `--x -8e-06` is an option to Python's argparse.
#[test]
fn a_small_number_is_written_out() {
    let study = Trialmill::with_space("x: {type: float, lower: -1e-5, upper: -1e-6}", 3);
    let start = study.study(&[], r#"case "$1$TRIALMILL_PARAM_x" in *e*) exit 3;; esac; echo "$1""#);
    study.run(&[&start[..], &["{x}"]].concat()).exits(0);
    for trial in study.trials() {
        assert_eq!(trial["report"]["objective_to_minimize"], trial["config"]["x"]);
    }
}

/// A flaky network share crashed one trial in ten, and each needed a `retry` by hand.
#[test]
fn a_crash_is_tried_again_as_often_as_the_study_says_and_each_is_recorded() {
    for layout in ["journal", "neps", "neps-0.12"] {
        let study = Trialmill::new(3);
        study.write("study.yaml", &(study.read("study.yaml") + "max_failures: 2\n"));
        // The first comes through at its third attempt, the second never, the third does not work.
        let script = r#"case $TRIALMILL_TRIAL_ID in
            1) [ $TRIALMILL_ATTEMPT = 3 ] && echo 1;;
            2) echo "the share is away" >&2; exit 1;;
            3) echo '{"exception": "diverged"}';;
            esac"#;
        study.run_study(&["--layout", layout], script).exits(0);
        assert_eq!(study.states(), ["success", "crashed", "failed"], "{layout}");
        let attempts: Vec<_> =
            study.trials().iter().map(|trial| trial["metadata"]["attempts"].clone()).collect();
        assert_eq!(attempts, [3, 3, 1], "{layout}");
        study.run(&["check", "s"]).exits(0);
        study.run(&["status", "s"]).exits(0).says(&["are tried again 2 times"]);
        if layout == "journal" {
            let show = study.run(&["show", "s", "2"]).exits(0);
            show.says(&["attempt 1  crashed", "attempt 2  crashed", "attempt 3  crashed"]);
        }
        // Asked for by hand it begins anew.
        study.run(&["retry", "s", "2"]).exits(0);
        study.run_study(&[], "exit 1").exits(0);
        assert_eq!(study.trials()[1]["metadata"]["attempts"], 6, "{layout}");
    }
}
