//! Processes that are killed, stopped, interrupted, or lose their terminal.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Running, Trialmill, eventually, goes_on, text};

/// Says that it began, and as which process, and does not end by itself.
const HOLDS: &str = r#"echo $$ > "$HERE/pid"; echo "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" >> "$HERE/begun"
exec sleep 30"#;
/// Says whether the process in `pid` goes on beside it.
const LOOKS_BESIDE: &str = r#"state=$(sed -n 's/^State:[^A-Z]*\(.\).*/\1/p' "/proc/$(cat "$HERE/pid")/status" 2> "$HERE/no")
case "$state" in ""|Z|X) ;; *) echo "$state" >> "$HERE/beside";; esac
echo "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" >> "$HERE/begun"; echo 1"#;

impl Trialmill {
    /// Starts a study with this script and kills it with SIGKILL once an evaluation has begun.
    fn kill_once_begun(&self, script: &str) {
        let begun = self.lines("begun").len();
        let run = self.start_study(&[], script);
        eventually("an evaluation has begun", || self.lines("begun").len() > begun);
        run.kill();
    }

    #[track_caller]
    fn assert_second_attempt_alone(&self) {
        self.run_study(&[], LOOKS_BESIDE).exits(0);
        assert_eq!(self.lines("begun"), ["1.1", "1.2"]);
        assert_eq!(self.read("beside"), "", "attempt 2 ran beside attempt 1");
        assert!(!goes_on(&self.read("pid")));
        let trial = &self.trials()[0];
        assert_eq!(
            (&trial["state"], &trial["metadata"]["attempts"]),
            (&"success".into(), &2.into())
        );
    }
}

#[test]
fn a_killed_worker_s_command_does_not_run_beside_the_next_attempt() {
    let study = Trialmill::new(1);
    study.kill_once_begun(HOLDS);
    let config = study.trials()[0]["config"].clone();
    study.run(&["status", "s"]).exits(0).says(&["DEAD", "evaluating 1: 1"]);
    assert_eq!(study.status()["processes"][0]["alive"], false);
    study.assert_second_attempt_alone();
    assert_eq!(study.trials()[0]["config"], config);
    assert_eq!(study.status()["processes"], serde_json::json!([]));
}

#[test]
fn a_killed_worker_s_command_that_closed_its_stdin_does_not_run_beside_the_next_attempt() {
    let study = Trialmill::new(1);
    study.kill_once_begun(&HOLDS.replace("sleep 30", "sleep 30 < /dev/null"));
    study.assert_second_attempt_alone();
}

#[test]
fn a_killed_worker_s_command_in_a_session_of_its_own_does_not_run_beside_the_next_attempt() {
    let study = Trialmill::new(1);
    study.write("holds.sh", HOLDS);
    study.kill_once_begun(r#"setsid sh "$HERE/holds.sh" < /dev/null & wait"#);
    study.assert_second_attempt_alone();
}

/// One that has neither our variables nor a process group of the command's is known by its standard
/// input alone.
#[test]
fn a_killed_worker_s_command_without_an_environment_does_not_run_beside_the_next_attempt() {
    let study = Trialmill::new(1);
    study.kill_once_begun(&HOLDS.replace("exec sleep", "exec env -i sleep"));
    // It ends because it is killed, and not by itself.
    let begin = Instant::now();
    study.assert_second_attempt_alone();
    assert!(begin.elapsed() < Duration::from_secs(25), "it was waited for");
}

#[test]
fn a_trial_that_kills_its_workers_is_not_tried_for_ever() {
    let study = Trialmill::new(1);
    for _ in 0..3 {
        study.kill_once_begun(HOLDS);
    }
    study.run_study(&[], HOLDS).exits(8).says(&["1 crashed"]);
    assert_eq!(study.lines("begun"), ["1.1", "1.2", "1.3"]);
    assert!(!goes_on(&study.read("pid")));
    let report = study.trials()[0]["report"].clone();
    assert_eq!(report["err_type"], "worker-died");
    assert!(text(&report["err"]).contains("3 attempts"));
    // Whoever knows better may try it again, and sets another limit.
    study.run(&["retry", "s"]).exits(0);
    study.run_study(&["--max-attempts", "1"], "echo 1").exits(0);
    assert_eq!(study.trials()[0]["metadata"]["attempts"], 4);
}

#[test]
fn a_worker_that_comes_last_does_not_leave_a_dead_process_s_trial_behind() {
    for last in [
        &["worker", "s", "-q", "-w", "1"][..],
        &["run", "study.yaml", "--dir", "s", "-q", "--no-wait"],
    ] {
        let study = Trialmill::new(1);
        study.kill_once_begun(HOLDS);
        study.run(&[last, &["--", "sh", "-c", "echo 1"]].concat()).exits(0);
        assert_eq!(study.states(), ["success"], "{last:?}");
    }
}

#[test]
fn a_dead_process_s_trials_do_not_wait_for_the_next_start() {
    let study = Trialmill::new(2);
    let script =
        r#"[ "$TRIALMILL_TRIAL_ID" = 1 ] && until [ -e "$HERE/go" ]; do sleep 0.01; done; echo 1"#;
    let run = study.start_study(&[], script);
    eventually("it has begun", || {
        study.path("s/study.json").exists() && study.states() == ["evaluating"]
    });
    study.write("holds.sh", HOLDS);
    let worker = study.start(&["worker", "s", "-w", "1", "-q", "--", "sh", "holds.sh"]);
    eventually("the worker has begun", || study.lines("begun") == ["2.1"]);
    worker.kill();
    eventually("it is taken back", || study.states() == ["evaluating", "pending"]);
    assert!(!goes_on(&study.read("pid")));
    study.write("go", "");
    run.end().exits(0).says(&["2 trials succeeded", "is dead"]);
}

#[test]
fn a_pipe_that_closes_does_not_take_the_run_with_it() {
    let study = Trialmill::new(3);
    let script = r#"[ "$TRIALMILL_TRIAL_ID" = 1 ] && until [ -e "$HERE/go" ]; do sleep 0.01; done
        [ "$TRIALMILL_TRIAL_ID" = 3 ] && echo > "$HERE/last" && sleep 30; echo 1"#;
    let mut run = study.start_study(&[], script);
    eventually("it has begun", || {
        study.path("s/study.json").exists() && study.states() == ["evaluating"]
    });
    // As `2>&1 | tee log` whose tee is gone.
    run.close_pipes();
    study.write("holds.sh", HOLDS);
    let worker = study.start(&["worker", "s", "-w", "1", "-q", "--", "sh", "holds.sh"]);
    eventually("the worker has begun", || study.lines("begun") == ["2.1"]);
    worker.kill();
    eventually("its trial is taken back", || study.states() == ["evaluating", "pending"]);
    study.write("go", "");
    eventually("the last has begun", || study.path("last").exists());
    run.signal(Signal::SIGINT);
    run.end().exits(130);
    assert_eq!(study.states(), ["success", "success", "pending"]);
}

#[test]
fn an_interrupted_run_does_not_lose_what_it_was_evaluating() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        interrupted_by(signal);
    }
}

/// The terminal was closed, or the ssh connection broke.
#[test]
fn a_hangup_leaves_no_commands_behind_without_their_worker() {
    interrupted_by(Signal::SIGHUP);
}

fn interrupted_by(signal: Signal) {
    let study = Trialmill::new(4);
    let script = r#"[ "$TRIALMILL_TRIAL_ID" = 1 ] && echo 1 && exit
        echo $$ > "$HERE/pid.$TRIALMILL_TRIAL_ID"; sleep 30; echo 1"#;
    // Under nohup these tests, too, would be deaf to a hangup; not every `env` can mend that.
    let (hears, arguments) = (["--default-signal=HUP"], study.study(&["-w", "2"], script));
    let mut run = match study.may("env", &hears) {
        true => Running::with_pipes(study.through("env", &hears, &arguments)),
        false => study.start(&arguments),
    };
    let begun = |id: &str| study.path(format!("pid.{id}")).exists();
    eventually("two are evaluated", || begun("2") && begun("3"));
    run.signal(signal);
    run.end().exits(130).says(&["interrupted", "run the same command again"]);
    assert_eq!(study.states(), ["success", "pending", "pending"]);
    for id in ["2", "3"] {
        assert!(!goes_on(&study.read(format!("pid.{id}"))), "{signal}");
    }
    // Handed back in good order is not lost: it does not count towards the attempts.
    let counts = r#"echo "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" >> "$HERE/begun"; echo 1"#;
    study.run_study(&["--max-attempts", "1"], counts).exits(0).says(&["4 trials succeeded"]);
    assert_eq!(study.lines("begun"), ["2.2", "3.2", "4.1"]);
}

#[test]
fn nohup_is_not_in_vain() {
    let study = Trialmill::new(1);
    let script = r#"echo > "$HERE/begun"; until [ -e "$HERE/go" ]; do sleep 0.01; done; echo 1"#;
    let mut command = Command::new("nohup");
    command.arg(env!("CARGO_BIN_EXE_trialmill")).args(study.study(&[], script));
    command.current_dir(study.path("")).env("HERE", study.path(""));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut run = Running::of(command);
    eventually("it has begun", || study.path("begun").exists());
    run.signal(Signal::SIGHUP);
    study.write("go", "");
    run.end().exits(0).says(&["1 trial succeeded"]);
}

#[test]
fn a_command_that_ends_well_when_it_is_asked_to_end_does_not_lose_its_result() {
    let study = Trialmill::new(1);
    // The first Ctrl-C gives it some time: it does not end within the next look at the signals.
    let script = r#"trap 'sleep 0.3; echo 0.5 > "$TRIALMILL_RESULT"; exit 0' TERM
        echo > "$HERE/begun"; sleep 30 & wait"#;
    let mut run = study.start_study(&[], script);
    eventually("it has begun", || study.path("begun").exists());
    run.signal(Signal::SIGINT);
    run.end().exits(130);
    assert_eq!(study.trials()[0]["report"]["objective_to_minimize"], 0.5);
}

/// A command that prints its value after each epoch, and ends well when it is asked to end: the value of
/// an unfinished evaluation was final.
#[test]
fn what_a_command_said_before_it_was_asked_to_end_is_not_its_result() {
    for says in [r"echo 0.9", r#"echo 0.9 > "$TRIALMILL_RESULT""#, "trap 'echo 0.9; exit 0' TERM"] {
        let study = Trialmill::new(1);
        let script = format!(
            r#"trap 'exit 0' TERM; {says}
            [ "$TRIALMILL_ATTEMPT" = 2 ] && echo 0.1 > "$TRIALMILL_RESULT" && exit
            echo > "$HERE/begun"; sleep 30 & wait"#
        );
        let mut run = study.start_study(&[], &script);
        eventually("it has begun", || study.path("begun").exists());
        run.signal(Signal::SIGTERM);
        run.end().exits(130);
        assert_eq!(study.states(), ["pending"], "{says}");
        study.run_study(&[], &script).exits(0);
        assert_eq!(study.trials()[0]["report"]["objective_to_minimize"], 0.1, "{says}");
    }
}

const STUBBORN: &str = r#"trap 'echo > "$HERE/asked"' TERM; echo $$ > "$HERE/pid"
while :; do sleep 0.05; done"#;

#[test]
fn a_stubborn_command_does_not_outlive_its_grace() {
    let study = Trialmill::new(1);
    let mut run = study.start_study(&[], STUBBORN);
    eventually("it has begun", || study.path("pid").exists());
    run.signal(Signal::SIGINT);
    eventually("it was asked", || study.path("asked").exists());
    assert!(goes_on(&study.read("pid")));
    run.end().exits(130);
    assert!(!goes_on(&study.read("pid")));
    assert_eq!(study.states(), ["pending"]);
}

#[test]
fn a_second_ctrl_c_does_not_leave_a_stubborn_command_behind() {
    let study = Trialmill::new(1);
    let mut run = study.start_study(&["--grace", "60"], STUBBORN);
    eventually("it has begun", || study.path("pid").exists());
    run.signal(Signal::SIGINT);
    eventually("it was asked", || study.path("asked").exists());
    let pressed = Instant::now();
    run.signal(Signal::SIGINT);
    let status = run.end().status;
    assert!(pressed.elapsed() < Duration::from_secs(40), "the second was not heard");
    assert!(status.code() == Some(130) || status.signal() == Some(2), "{status}");
    let pid = study.read("pid");
    let begin = Instant::now();
    while goes_on(&pid) && begin.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let left = goes_on(&pid);
    if left {
        crate::support::end_by_id(&pid);
    }
    assert!(!left, "the command goes on without its worker");
    study.run_study(&[], "echo 1").exits(0);
}

#[test]
fn a_stopped_process_is_not_taken_for_dead_and_nobody_waits_for_it() {
    let study = Trialmill::new(3);
    let script = r#"echo > "$HERE/begun"; until [ -e "$HERE/go" ]; do sleep 0.01; done; echo 1"#;
    let mut run = study.start_study(&[], script);
    eventually("it has begun", || study.path("begun").exists());
    run.signal(Signal::SIGSTOP);
    let status = study.status();
    assert_eq!(
        (&status["processes"][0]["alive"], &status["counts"]["evaluating"]),
        (&true.into(), &1.into())
    );
    study.run(&["status", "s"]).exits(0).says(&["alive, evaluating 1: 1"]);
    study.run(&["best", "s"]).exits(0).says(&["none yet"]);
    study.run(&["trials", "s", "--csv"]).exits(0).says(&["1,evaluating"]);
    assert_eq!(study.json(&["ask", "s"])[0]["id"], "2");
    study.run(&["tell", "s", "2", "--objective", "2"]).exits(0);
    study.run(&["worker", "s", "-q", "-w", "1", "--", "sh", "-c", "echo 3"]).exits(0);
    assert_eq!(study.states(), ["evaluating", "success", "success"]);
    study.write("go", "");
    run.signal(Signal::SIGCONT);
    run.end().exits(0).says(&["3 trials succeeded"]);
    assert_eq!(study.trials()[0]["metadata"]["attempts"], 1);
}

/// Its worker id is nobody's any more, as soon as another wants it; and a living one's is refused.
#[test]
fn a_worker_id_is_refused_while_its_process_lives_and_free_when_it_died() {
    let study = Trialmill::new(2);
    let run = study.start_study(&["--worker-id", "gpu-7"], HOLDS);
    eventually("an evaluation has begun", || !study.lines("begun").is_empty());
    study
        .run_study(&["--worker-id", "gpu-7"], LOOKS_BESIDE)
        .exits(7)
        .says(&["'gpu-7' is in use by process p1 on ", "give another"]);
    study.run(&["status", "s"]).exits(0).says(&["p1 (gpu-7) on "]);
    run.kill();
    study.run_study(&["--worker-id", "gpu-7"], LOOKS_BESIDE).exits(0);
    study.run(&["show", "s", "1"]).exits(0).says(&["by p2-w1 of gpu-7 on "]);
}
