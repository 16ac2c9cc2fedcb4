//! Disks that are full, and files that somebody removes while they are needed.

use std::collections::BTreeSet;

use crate::support::{Mount, Ran, Trialmill, eventually, text};

/// Says outside of the disk that it began, and gives its trial's number as the result.
const COUNTED: &str = r#"echo "$TRIALMILL_TRIAL_ID" >> "$HERE/begun"; echo "$TRIALMILL_TRIAL_ID""#;

/// The study is in `disk/s`.
fn on_disk(study: &Trialmill, before: &str) -> Ran {
    study.write("counted.sh", COUNTED);
    let run = "run study.yaml --dir disk/s -q -- sh counted.sh";
    study.shell(&format!("{before} exec $TRIALMILL {run}"))
}

/// With one worker a trial is begun once the report of the one before was acknowledged.
fn assert_no_acknowledged_trial_is_lost(study: &Trialmill) {
    let begun = study.lines("begun");
    let trials = study.json(&["trials", "disk/s"]);
    let trials = trials.as_array().unwrap();
    assert!(begun.len() > 3, "{begun:?}");
    for id in &begun[..begun.len() - 1] {
        let trial = trials.iter().find(|trial| trial["id"] == **id);
        let state = trial.map(|trial| text(&trial["state"])).unwrap_or_default();
        assert!(state == "success" || state == "crashed", "trial {id}: {state:?}");
    }
    for trial in trials {
        // A full disk is not the fault of the trial.
        assert_ne!(trial["report"]["err_type"], "start", "{trial}");
        if trial["state"] == "success" {
            assert_eq!(
                trial["report"]["objective_to_minimize"].as_f64(),
                text(&trial["id"]).parse().ok()
            );
        }
    }
}

#[test]
fn a_full_disk_loses_no_acknowledged_trial_and_the_same_command_goes_on() {
    let study = Trialmill::new(40);
    let Some(_mount) = Mount::new(&study.path("disk"), "size=1m") else { return };
    // Room for some twenty trials, for each has a file or two of a page.
    study.write("disk/ballast", &"x".repeat(800 << 10));
    let says = ["No space left on device", "Make room", "nothing acknowledged is lost"];
    on_disk(&study, "").exits(4).says(&says);
    assert_no_acknowledged_trial_is_lost(&study);
    // Still full: it says so again, and loses nothing by trying.
    on_disk(&study, "").exits(4).says(&says);
    assert_no_acknowledged_trial_is_lost(&study);
    study.run(&["status", "disk/s"]).exits(0);
    let before = study.json(&["trials", "disk/s", "--state", "success"]);

    std::fs::remove_file(study.path("disk/ballast")).unwrap();
    on_disk(&study, "").exits(0).says(&["the budget is used"]);
    study.run(&["retry", "disk/s"]).exits(0);
    on_disk(&study, "").exits(0).says(&["40 trials succeeded"]);
    assert_no_acknowledged_trial_is_lost(&study);
    let after = study.json(&["trials", "disk/s"]);
    for trial in before.as_array().unwrap() {
        assert!(after.as_array().unwrap().contains(trial), "{trial}");
    }
}

/// What had ended in a batch when the disk was full was not told before the worker gave up, and was
/// evaluated a second time.
#[test]
fn what_ended_in_a_batch_before_the_disk_was_full_is_told() {
    let study = Trialmill::new(3);
    study.create();
    // The trials' directories only: the journal has room.
    let Some(mount) = Mount::new(&study.path("s/trials"), "size=256k") else { return };
    let script = r#"echo "$TRIALMILL_TRIAL_ID" >> "$0.begun"; echo 0.5
        head -c 1000000 /dev/zero > "$TRIALMILL_TRIAL_DIR/fill" 2> /dev/null; exit 0"#;
    let script = study.write("fills.sh", script);
    let builder = trialmill::Study::builder(study.path("s")).ctrl_c(false).workers(1).batch(3);
    let error = builder.run_command(&["sh", script.to_str().unwrap()]).unwrap_err();
    assert_eq!(error.exit_code(), 4, "{error}");
    assert_eq!(study.states(), ["success", "pending", "pending"]);
    mount.remount("size=8m");
    study.run_study(&[], "echo 1").exits(0);
    assert_eq!(study.lines("fills.sh.begun"), ["1"], "the first was evaluated once");
    assert_eq!(study.states(), ["success"; 3]);
    assert_eq!(study.trials()[0]["metadata"]["attempts"], 1);
}

/// Eight workers fill the disk, again and again while it gets larger bit by bit; each time the same
/// command goes on from there.
#[test]
fn a_disk_that_eight_workers_fill_is_gone_on_with_each_time_there_is_room() {
    let study = Trialmill::new(120);
    let Some(mount) = Mount::new(&study.path("disk"), "size=1m") else { return };
    // One page of the tmpfs for each trial's log, and half of them say more.
    let script = r#"echo "$TRIALMILL_TRIAL_ID" >> "$HERE/begun"
        [ $((TRIALMILL_TRIAL_ID % 2)) = 0 ] && head -c 20000 /dev/zero | tr '\0' . >&2
        echo "$TRIALMILL_TRIAL_ID""#;
    study.write("talks.sh", script);
    let run = "exec $TRIALMILL run study.yaml --dir disk/s -q -w 8 -- sh talks.sh";
    let succeeded = |study: &Trialmill| {
        let trials = study.json(&["trials", "disk/s", "--state", "success"]);
        let value = |trial: &serde_json::Value| {
            let objective = trial["report"]["objective_to_minimize"].as_f64().unwrap();
            assert_eq!(text(&trial["id"]).parse(), Ok(objective), "{trial}");
            objective as u64
        };
        trials.as_array().unwrap().iter().map(value).collect::<BTreeSet<_>>()
    };
    let (mut kept, mut full) = (BTreeSet::new(), 0);
    for size_kib in (1024..).step_by(512) {
        mount.remount(&format!("size={size_kib}k"));
        let ran = study.shell(run);
        let now = succeeded(&study);
        assert!(now.is_superset(&kept), "lost: {:?}", kept.difference(&now));
        kept = now;
        if ran.status.code() == Some(0) {
            break;
        }
        ran.exits(4).says(&["No space left on device", "Make room"]);
        full += 1;
        assert!(full < 20, "it is full for ever");
    }
    assert!(full >= 2, "it was full {full} times");
    study.run(&["retry", "disk/s"]).exits(0);
    study.shell(run).exits(0).says(&["120 trials succeeded"]);
    assert!(succeeded(&study).is_superset(&kept));
    study.run(&["check", "disk/s"]).exits(0);
}

#[test]
fn a_limit_on_the_size_of_files_loses_no_acknowledged_trial() {
    let study = Trialmill::new(100);
    // 16 blocks of 512 bytes, which the journal reaches first.
    on_disk(&study, "trap '' XFSZ; ulimit -f 16;").exits(4).says(&["journal.jsonl", "too large"]);
    assert_no_acknowledged_trial_is_lost(&study);
    on_disk(&study, "").exits(0).says(&["100 trials succeeded"]);
}

const SLOW: &str =
    r#"echo "$TRIALMILL_TRIAL_ID" >> "$HERE/begun"; sleep 0.02; echo "$TRIALMILL_TRIAL_ID""#;

impl Trialmill {
    fn has_begun(&self, n: usize) -> bool {
        self.lines("begun").len() >= n
    }
}

/// As somebody does who thinks that a lock file is left over.
#[test]
fn removing_lock_files_does_not_let_two_processes_write_at_once() {
    let study = Trialmill::new(120);
    let first = study.start_study(&["-w", "2"], SLOW);
    eventually("it has begun", || study.has_begun(5));
    std::fs::remove_file(study.path("s/journal.lock")).unwrap();
    let second = study.start(&["worker", "s", "-q", "-w", "2"]);
    first.end().exits(0).says(&["120 trials succeeded"]).says_nothing_of("torn");
    second.end().exits(0).says_nothing_of("damaged");
    let begun: BTreeSet<_> = study.lines("begun").into_iter().collect();
    assert_eq!((begun.len(), study.lines("begun").len()), (120, 120));
    assert_eq!(study.count("success"), 120);
}

#[test]
fn removing_the_signs_of_life_does_not_kill_the_living() {
    let study = Trialmill::new(120);
    let first = study.start_study(&["-w", "2"], SLOW);
    eventually("it has begun", || study.has_begun(5));
    std::fs::remove_dir_all(study.path("s/workers")).unwrap();
    let second = study.start(&["worker", "s", "-q", "-w", "2"]);
    first.end().exits(0).says_nothing_of("dead").says(&["120 trials succeeded"]);
    second.end().exits(0).says_nothing_of("killed");
    assert_eq!((study.count("success"), study.count("crashed")), (120, 0));
    assert_eq!(study.lines("begun").len(), 120);
}

#[test]
fn removing_trials_directories_costs_no_more_than_the_trial_that_was_using_one() {
    let study = Trialmill::new(40);
    let run = study.start_study(&[], SLOW);
    eventually("it has begun", || study.has_begun(5));
    let _ = std::fs::remove_dir_all(study.path("s/trials"));
    run.end().exits(0);
    assert!(study.count("success") >= 38 && study.trials().len() == 40);
    study.run(&["retry", "s"]).exits(0);
    study.run_study(&[], SLOW).exits(0).says(&["40 trials succeeded"]);
}

/// Results that are nowhere are not results.
#[test]
fn a_run_whose_directory_was_removed_does_not_end_as_if_all_were_well() {
    for what in ["s", "s/journal.jsonl"] {
        let study = Trialmill::new(60);
        let run = study.start_study(&[], SLOW);
        eventually("it has begun", || study.has_begun(5));
        let away = study.path("away");
        std::fs::rename(study.path(what), &away).unwrap();
        if away.is_dir() { std::fs::remove_dir_all(&away) } else { std::fs::remove_file(&away) }
            .unwrap();
        run.end().exits(3).says(&[what, "removed"]);
    }
}

#[test]
fn a_study_without_its_journal_is_not_taken_for_a_new_one() {
    let study = Trialmill::new(3);
    study.run_study(&[], "echo 1").exits(0);
    std::fs::remove_file(study.path("s/journal.jsonl")).unwrap();
    for verb in [&study.study(&[], "echo 1")[..], &["worker", "s"], &["ask", "s"], &["status", "s"]]
    {
        let ran = study.run(verb).says(&["journal.jsonl"]);
        assert!([Some(3), Some(4), Some(5)].contains(&ran.status.code()), "{ran:?}");
    }
    assert!(!study.path("s/journal.jsonl").exists());
}
