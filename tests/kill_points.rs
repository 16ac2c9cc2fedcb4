//! The program is killed at named points: before, in the middle of and behind the k-th `write`, and
//! before and behind the k-th sync, truncate, open for writing, rename and flock, for k = 1, 2, … until
//! a run gets through. (Kills at random instants are in `many_processes.rs`.)

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

#[path = "support/shim.rs"]
mod shim;

use shim::{BUDGET, Shim};

const BEFORE: i32 = -1;
const BEHIND: i32 = -2;
const WITHIN: i32 = -3;

const POINTS: [(&str, &[i32]); 6] = [
    ("write", &[BEFORE, WITHIN, BEHIND]),
    ("fdatasync", &[BEFORE, BEHIND]),
    ("ftruncate", &[BEFORE, BEHIND]),
    ("open", &[BEFORE, BEHIND]),
    ("rename", &[BEFORE, BEHIND]),
    ("flock", &[BEFORE, BEHIND]),
];

/// Says when each attempt begins and ends; a second one at the same time would be seen.
const SCRIPT: &str = r#"echo "begin $TRIALMILL_TRIAL_ID $TRIALMILL_ATTEMPT" >> ledger
echo "1 0.5" >> "$TRIALMILL_PROGRESS"
echo "trialmill-step 2 0.25"
echo "end $TRIALMILL_TRIAL_ID $TRIALMILL_ATTEMPT" >> ledger
echo "$TRIALMILL_TRIAL_ID""#;

/// Creates the study, and leaves half a record at its end.
fn tear(shim: &Shim) {
    let (created, _) = shim.run(&["create", "study.yaml", "--dir", "s"], None);
    assert!(created.status.success(), "{created:?}");
    let journal = shim.home.path().join("s/journal.jsonl");
    let mut journal = OpenOptions::new().append(true).open(journal).unwrap();
    journal.write_all(b"{\"crc\":\"0123").unwrap();
}

/// The study as a checker in Python sees it, which shares no code with us.
fn assert_sound(directory: &Path, what: &str) {
    let mut checker = Command::new("python3");
    checker
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/support/check.py"))
        .arg(directory);
    let Ok(output) = checker.args(["--finished", "--expect-evaluations", "4"]).output() else {
        println!("without python3 the independent checker does not run");
        return;
    };
    assert!(output.status.success(), "{what}: {output:?}");
}

/// No attempt goes on once the next of its trial has begun.
fn assert_one_at_a_time(ledger: &str, what: &str) {
    let mut attempts: BTreeMap<&str, u32> = BTreeMap::new();
    for line in ledger.lines() {
        let [_, trial, attempt] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let attempt: u32 = attempt.parse().unwrap();
        let latest = attempts.insert(trial, attempt);
        assert!(latest.is_none_or(|latest| latest <= attempt), "{what}: {ledger}");
    }
}

#[test]
fn wherever_the_program_is_killed_its_next_start_completes_the_budget() {
    let Some(shim) = Shim::new() else { return };
    std::fs::write(shim.home.path().join("script.sh"), SCRIPT).unwrap();
    let ledger = shim.home.path().join("ledger");
    let run = ["run", "study.yaml", "--dir", "s", "-q", "--", "sh", "script.sh"];
    let mut points = 0;
    for (call, ways) in POINTS {
        for way in ways {
            for k in 1.. {
                shim.forget();
                // Only a torn end is cut.
                if call == "ftruncate" {
                    tear(&shim);
                }
                let _ = std::fs::remove_file(&ledger);
                let what = format!("{call} {k}, {way}");
                let (killed, log) = shim.run(&run, Some((call, *way, k)));
                let is_clean = log.is_empty();
                let expected = if is_clean { None } else { Some(9) };
                assert_eq!(killed.status.signal(), expected, "{what}: {killed:?}");
                let (before, _) = shim.trials();
                let (next, _) = shim.run(&run, None);
                let said = String::from_utf8_lossy(&next.stderr);
                assert_eq!(next.status.code(), Some(0), "{what}, the next start: {said}");
                let (after, count) = shim.trials();
                for (id, objective) in &before {
                    assert_eq!(after.get(id), Some(objective), "{what}: trial {id} is lost");
                }
                assert_eq!((after.len(), count), (BUDGET, BUDGET), "{what}: the budget");
                assert_one_at_a_time(&std::fs::read_to_string(&ledger).unwrap(), &what);
                assert_sound(&shim.home.path().join("s"), &what);
                if is_clean {
                    assert!(k > 1, "{call}, {way}: nothing was killed");
                    break;
                }
                points += 1;
            }
        }
    }
    println!("{points} points");
}
