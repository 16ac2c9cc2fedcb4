//! Studies that are moved, replaced or copied while they are used, and files that cannot be read for a
//! moment: a path is not a file, and what cannot be read is not damaged.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::{Trialmill, eventually};

/// Says which attempt began; from trial 6 on it waits for a word.
const WAITS: &str = r#"echo "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" >> "$HERE/begun"
[ "$TRIALMILL_TRIAL_ID" -lt 6 ] || until [ -e "$HERE/go" ]; do sleep 0.01; done; echo 1"#;

const LAYOUTS: [&str; 2] = ["journal", "neps"];

impl Trialmill {
    fn begun_once(&self) {
        let begun = self.lines("begun");
        let once: BTreeSet<_> = begun.iter().collect();
        assert_eq!(once.len(), begun.len(), "an attempt began twice: {begun:?}");
    }
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap().success());
}

/// Each of two processes held a lock, one of a file that it made anew under the old name: both wrote
/// the same journal, damaged it, and ran trials twice. In NePS's layout the whole directory was made
/// again, and the next run waited for ever.
#[test]
fn a_study_that_is_renamed_while_it_runs_is_neither_made_again_nor_run_twice() {
    for layout in LAYOUTS {
        let study = Trialmill::new(12);
        let mut run = study.start_study(&["-w", "2", "--layout", layout], WAITS);
        eventually("some are evaluated", || study.lines("begun").len() > 6);
        std::fs::rename(study.path("s"), study.path("s2")).unwrap();
        study.write("go", "");
        let script = study.study(&[], WAITS).pop().unwrap();
        let worker = study.start(&["worker", "s2", "-q", "-w", "2", "--wait", "--", "sh", script]);
        eventually("the run ends", || run.has_ended());
        run.end().exits(3).says(&["was moved", "start again there"]);
        worker.end().exits(0);
        assert!(!study.path("s").exists(), "{layout}: it was made again under its old name");
        study.run(&["check", "s2"]).exits(0);
        let trials = study.json(&["trials", "s2"]);
        let trials = trials.as_array().unwrap();
        assert!(trials.len() == 12 && trials.iter().all(|trial| trial["state"] == "success"));
        study.begun_once();
    }
}

/// A live study was replaced by its backup, and what ran wrote into both.
#[test]
fn a_study_that_is_replaced_by_its_backup_is_left_alone_by_what_ran_in_it() {
    for layout in LAYOUTS {
        let study = Trialmill::new(12);
        let run = study.start_study(&["-w", "2", "--layout", layout], WAITS);
        eventually("some are evaluated", || study.lines("begun").len() > 6);
        std::fs::rename(study.path("s"), study.path("old")).unwrap();
        copy(&study.path("old"), &study.path("s"));
        run.end().exits(3).says(&["was moved, replaced or removed"]);
        study.write("go", "");
        // Both go on by themselves, each from where it was.
        for dir in ["s", "old"] {
            study.run(&["worker", dir, "-q", "-w", "2", "--", "sh", "-c", "echo 1"]).exits(0);
            study.run(&["check", dir]).exits(0);
            let trials = study.json(&["trials", dir]);
            assert!(trials.as_array().unwrap().iter().all(|trial| trial["state"] == "success"));
        }
    }
}

/// The journal alone was put back from a backup by a rename, as `rsync` does; the run went on in a file
/// that nobody would ever read.
#[test]
fn a_journal_that_is_replaced_under_a_run_ends_it() {
    let study = Trialmill::new(12);
    let run = study.start_study(&["-w", "2"], WAITS);
    eventually("some are evaluated", || study.lines("begun").len() > 6);
    copy(&study.path("s/journal.jsonl"), &study.path("s/new"));
    std::fs::rename(study.path("s/new"), study.path("s/journal.jsonl")).unwrap();
    study.write("go", "");
    run.end().exits(3).says(&["journal.jsonl was moved"]);
    std::fs::remove_file(study.path("go")).unwrap();
    study.run_study(&[], "echo 1").exits(0).says(&["12 trials succeeded"]);
}

/// Removing the lock file alone, as some cleaners do, is no harm: all find the new one.
#[test]
fn a_lock_file_that_is_removed_stops_nobody() {
    let study = Trialmill::new(12);
    let run = study.start_study(&["-w", "2"], WAITS);
    eventually("some are evaluated", || study.lines("begun").len() > 6);
    std::fs::remove_file(study.path("s/journal.lock")).unwrap();
    study.write("go", "");
    run.end().exits(0);
    study.begun_once();
    study.run(&["check", "s"]).exits(0);
}

/// The copy of a live study waited until the original had ended, because a process of that name ran.
#[test]
fn a_copy_without_lock_files_does_not_wait_for_the_original() {
    for layout in LAYOUTS {
        let study = Trialmill::new(6);
        let run = study.start_study(&["--layout", layout], WAITS);
        eventually("the last waits", || study.lines("begun").len() == 6);
        copy(&study.path("s"), &study.path("copy"));
        let own = if layout == "neps" { "copy/.trialmill/workers" } else { "copy/workers" };
        std::fs::remove_dir_all(study.path(own)).unwrap();
        std::fs::create_dir(study.path(own)).unwrap();
        study.run(&["worker", "copy", "-q", "--", "sh", "-c", "echo 2"]).exits(0);
        let trials = study.json(&["trials", "copy"]);
        assert_eq!(trials[5]["report"]["objective_to_minimize"], 2.0, "{layout}");
        study.write("go", "");
        run.end().exits(0).says(&["6 trials succeeded"]);
    }
}

/// A sound optimizer_state.pkl, of a colleague with another umask, was set aside as damaged.
#[test]
fn a_file_of_neps_that_cannot_be_read_is_not_replaced() {
    let study = Trialmill::new(2);
    let other = ["--reuid", "54321", "--clear-groups"];
    if !study.may("setpriv", &other) {
        eprintln!("skipped: cannot become another user");
        return;
    }
    study.run_study(&["--layout", "neps"], "echo 1").exits(0);
    let all = |mode: &str| {
        let mut chmod = Command::new("chmod");
        chmod.args(["-R", mode]).arg(study.path("")).status().unwrap();
    };
    all("a+rwX");
    let state = study.path("s/optimizer_state.pkl");
    let before = std::fs::read(&state).unwrap();
    std::fs::set_permissions(&state, PermissionsExt::from_mode(0o600)).unwrap();
    let arguments = study.study(&["--layout", "neps", "--evaluations", "3"], "echo 1");
    let ran = crate::support::Running::with_pipes(study.through("setpriv", &other, &arguments));
    ran.end().exits(4).says(&["cannot read", "optimizer_state.pkl", "permissions"]);
    assert_eq!(std::fs::read(&state).unwrap(), before);
    assert!(!study.path("s/.trialmill/optimizer_state.pkl.damaged").exists());
    all("a+rwX");
    study.run(&arguments).exits(0).says(&["3 trials succeeded"]);
}
