//! `watch`: a study in the terminal, and in a pipe.

use std::process::Command;

use crate::support::{Trialmill, eventually};

#[test]
fn a_pipe_gets_lines_and_ends_with_the_run() {
    let study = Trialmill::new(3);
    study.run_study(&[], "echo 0.$TRIALMILL_TRIAL_ID").exits(0);
    let said = study.run(&["watch", "s"]).exits(0).stdout;
    assert_eq!(said, "3 trials, 3 success; best 0.1 by trial 1; budget used; nobody works on it\n");
    study.run(&["watch", "s", "--plain", "--once"]).exits(0);
    study.run(&["watch", "nowhere"]).exits(3).says(&["nowhere"]);
}

#[test]
fn a_watcher_in_a_pipe_follows_a_run_of_another_process_to_its_end() {
    let study = Trialmill::new(4);
    let script = "while [ ! -e $HERE/go ]; do sleep 0.02; done; echo 0.5";
    let run = study.start_study(&[], script);
    eventually("the first trial runs", || study.path("s/trials/1").exists());
    let watcher = study.start(&["watch", "s", "--plain"]);
    study.write("go", "");
    run.end().exits(0);
    let said = watcher.end().exits(0).stdout;
    assert!(said.lines().last().unwrap().starts_with("4 trials, 4 success"), "{said}");
}

struct Tmux<'a>(&'a Trialmill, String);

impl<'a> Tmux<'a> {
    /// The program in a terminal of its own; nothing where there is no tmux.
    fn start(study: &'a Trialmill, columns: u16, lines: u16) -> Option<Self> {
        let socket = study.path("tmux.sock").to_string_lossy().into_owned();
        let program = env!("CARGO_BIN_EXE_trialmill");
        let tmux = Tmux(study, socket);
        let size = [columns.to_string(), lines.to_string()];
        let line = format!("cd '{}' && exec '{program}' watch s", study.path("").display());
        let started = tmux.command(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &size[0],
            "-y",
            &size[1],
            &line,
        ]);
        started.then_some(tmux)
    }

    fn command(&self, arguments: &[&str]) -> bool {
        let status = Command::new("tmux").arg("-S").arg(&self.1).args(arguments).status();
        status.is_ok_and(|status| status.success())
    }

    fn screen(&self) -> String {
        let shown =
            Command::new("tmux").arg("-S").arg(&self.1).args(["capture-pane", "-p"]).output();
        String::from_utf8_lossy(&shown.unwrap().stdout).into_owned()
    }

    fn shows(&self, what: &str) {
        eventually(what, || self.screen().contains(what));
    }

    fn press(&self, key: &str) {
        assert!(self.command(&["send-keys", key]));
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.1).arg("kill-server").output();
        let _ = self.0;
    }
}

#[test]
fn a_terminal_shows_the_study_whatever_its_size_and_acts_only_after_a_yes() {
    let study = Trialmill::new(6);
    let script = r#"echo "this is trial $TRIALMILL_TRIAL_ID"; [ "$TRIALMILL_TRIAL_ID" = 6 ] && exit 3; echo 0.5"#;
    study.run_study(&[], script).exits(0);
    let Some(tmux) = Tmux::start(&study, 120, 36) else {
        println!("skipped: there is no tmux");
        return;
    };
    tmux.shows("6 of 6 evaluations");
    tmux.shows("5 success");
    tmux.press("e");
    tmux.shows("exit code 3");
    tmux.press("Down");
    tmux.press("l");
    tmux.shows("this is trial 5");
    for (columns, lines) in [("30", "6"), ("80", "24"), ("200", "50")] {
        assert!(tmux.command(&["resize-window", "-x", columns, "-y", lines]));
        tmux.shows("trials, the newest");
    }
    let journal = study.read("s/journal.jsonl");
    tmux.press("Home");
    tmux.press("r");
    tmux.shows("Really retry trial 6?");
    tmux.press("n");
    tmux.shows("not done");
    assert_eq!(study.read("s/journal.jsonl"), journal);
    tmux.press("r");
    tmux.shows("Really retry trial 6?");
    tmux.press("y");
    eventually("the trial waits again", || study.states()[5] == "pending");
    tmux.shows("1 pending");
    tmux.press("q");
    eventually("it has ended", || !tmux.command(&["has-session"]));
}

#[test]
fn from_a_terminal_one_pauses_enqueues_enlarges_and_stops() {
    let study = Trialmill::new(6);
    let run = study.start_study(&[], "while [ ! -e $HERE/go ]; do sleep 0.02; done; echo 0.5");
    eventually("the first trial runs", || study.path("s/trials/1").exists());
    let Some(tmux) = Tmux::start(&study, 130, 36) else {
        study.write("go", "");
        run.end().exits(0);
        println!("skipped: there is no tmux");
        return;
    };
    tmux.shows("1 evaluating");
    tmux.press("p");
    tmux.shows("Really pause");
    tmux.press("y");
    tmux.shows("paused; 1 trial in progress");
    tmux.press("n");
    tmux.shows("Evaluate this configuration next");
    tmux.press("C-u");
    // What is wrong is said, and can be mended.
    for word in ["x=7", "Enter"] {
        tmux.press(word);
    }
    tmux.shows("Really enqueue x=7?");
    tmux.press("y");
    tmux.shows("not done:");
    tmux.press("n");
    tmux.shows("Evaluate this configuration next");
    for word in ["C-u", "x=0.25", "Enter"] {
        tmux.press(word);
    }
    tmux.shows("Really enqueue x=0.25?");
    tmux.press("y");
    tmux.shows("trial 2 waits, and is evaluated next");
    assert_eq!(study.trials()[1]["config"]["x"], 0.25);
    tmux.press("+");
    tmux.shows("Really allow 10 more evaluations?");
    tmux.press("y");
    tmux.shows("16 evaluations are allowed now");
    tmux.press("p");
    tmux.shows("Really go on");
    tmux.press("n");
    tmux.press("s");
    tmux.shows("Really ask all processes of this study to end");
    tmux.press("y");
    tmux.shows("asked to end: p1");
    study.write("go", "");
    run.end().exits(130);
    tmux.shows("nobody works on it");
    assert_eq!(study.states(), ["success", "pending"]);
}
