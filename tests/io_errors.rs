//! Every file operation fails in turn: the k-th, for k = 1, 2, … until a run gets through. Each k
//! ends in success, or in an error that says what failed; the store then takes no more turns, no
//! sync is tried again, nothing acknowledged is lost, and the study goes on from what is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;

use trialmill::Error;
use trialmill_core::error::StoreError;
use trialmill_store::{Fault, SimDisk};

#[path = "support/shim.rs"]
mod shim;
#[path = "support/small.rs"]
mod small;

use shim::{BUDGET, Shim};
use small::{Ledger, Process, open, print};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EINTR: i32 = 4;

const TURNS: usize = 12;

#[test]
fn whichever_operation_of_the_disk_fails_nothing_acknowledged_is_lost() {
    let temp = tempfile::tempdir().unwrap();
    let directory = small::directory(temp.path());
    let first = small::new_journal(&directory).bytes().0;
    let mut figures = Vec::new();
    for (errno, short, lasting) in [
        (EIO, false, false),
        (ENOSPC, false, true),
        (ENOSPC, true, false),
        (ENOSPC, true, true),
        (EIO, true, true),
    ] {
        // A journal that another process tore: recovery's own operations fail too.
        for tail in [&b""[..], b"{\"crc\":\"0123"] {
            for k in 1.. {
                let what = format!("errno {errno}, short {short}, lasting {lasting}, k = {k}");
                let disk = SimDisk::new([&first[..], tail].concat());
                disk.fail(Some(Fault { operation: k, errno, short, lasting }));
                let ledger = Ledger::default();
                let error = run(&directory, &disk, &ledger, &what);
                assert_eq!(disk.operations().1, 0, "{what}: a sync was tried again");
                if let Some(error) = &error {
                    let io = matches!(error, Error::Store(StoreError::Io { .. }));
                    assert!(io && error.exit_code() == 4, "{what}: {error}");
                }
                disk.fail(None);
                // The next start, here and after a power cut.
                let cut = SimDisk::new(disk.bytes().1);
                for disk in [disk.clone(), cut] {
                    let acked = ledger.lock().unwrap().clone();
                    let core = open(&directory, disk.clone()).unwrap();
                    acked.are_in(core.study(), &what);
                    let before = print(core.study());
                    drop(core);
                    assert_eq!(print(open(&directory, disk.clone()).unwrap().study()), before);
                    let mut process = Process::open(&directory, disk).unwrap();
                    for _ in 0..4 {
                        process.step(&Ledger::new(acked.clone().into())).unwrap();
                    }
                    acked.are_in(process.core.study(), &what);
                }
                small::tidy(&directory);
                if error.is_none() {
                    assert!(k > 30, "{what}: it ended early");
                    figures.push((errno, short, lasting, k - 1));
                    break;
                }
            }
        }
    }
    println!("(errno, short, lasting, failing operations): {figures:?}");
}

/// Takes turns until one fails; then a further one is refused, whatever it is.
fn run(
    directory: &trialmill_store::Directory,
    disk: &SimDisk,
    ledger: &Ledger,
    what: &str,
) -> Option<Error> {
    let mut process = match Process::open(directory, disk.clone()) {
        Ok(process) => process,
        Err(error) => return Some(error),
    };
    for _ in 0..TURNS {
        if let Err(error) = process.step(ledger) {
            for _ in 0..3 {
                let before = disk.operations();
                let next = process.ask(1, ledger);
                let poisoned = matches!(next, Err(Error::Store(StoreError::Poisoned(_))));
                assert!(poisoned, "{what}: after '{error}': {next:?}");
                assert_eq!(disk.operations(), before, "{what}: a closed store uses the disk");
            }
            return Some(error);
        }
    }
    None
}

/// A supervisor starts the program again and again while the disk is full; then there is room.
#[test]
fn a_torn_study_on_a_full_disk_may_be_started_any_number_of_times() {
    let temp = tempfile::tempdir().unwrap();
    let directory = small::directory(temp.path());
    let sound = small::new_journal(&directory).bytes().0;
    for _ in 0..100 {
        // The truncate is what fails here, behind the writing of the kept bytes.
        let disk = SimDisk::new([&sound[..], b"{\"crc\":\"0123"].concat());
        disk.fail(Some(Fault { operation: 0, errno: ENOSPC, short: false, lasting: true }));
        assert!(open(&directory, disk).is_err());
    }
    let disk = SimDisk::new([&sound[..], b"{\"crc\":\"0123"].concat());
    open(&directory, disk).unwrap();
}

const CALLS: [(&str, &[i32]); 5] = [
    ("write", &[EIO, ENOSPC, EINTR, 0]),
    ("fdatasync", &[EIO, ENOSPC]),
    ("ftruncate", &[EIO]),
    ("open", &[EIO, ENOSPC, EINTR]),
    ("rename", &[EIO, ENOSPC]),
];

#[test]
fn whichever_system_call_of_the_program_fails_its_next_start_completes_the_budget() {
    let Some(shim) = Shim::new() else { return };
    let script = "echo $TRIALMILL_TRIAL_ID";
    std::fs::write(shim.home.path().join("script.sh"), script).unwrap();
    let run = ["run", "study.yaml", "--dir", "s", "-q", "--", "sh", "script.sh"];
    for (call, errors) in CALLS {
        for errno in errors {
            let (mut codes, mut clean) = (BTreeMap::new(), false);
            for k in 1.. {
                shim.forget();
                let what = format!("{call} {k}, errno {errno}");
                let (output, log) = shim.run(&run, Some((call, *errno, k)));
                clean = log.is_empty();
                let said = String::from_utf8_lossy(&output.stderr).into_owned();
                let code = output.status.code();
                *codes.entry(code.unwrap_or(-1)).or_insert(0) += 1;
                let expected: &[i32] = if clean || *errno == EINTR { &[0] } else { &[0, 4] };
                assert!(
                    code.is_some_and(|code| expected.contains(&code)),
                    "{what}: {code:?} {said}"
                );
                assert!(!log.contains("synced again"), "{what}: {log}");
                let (before, _) = shim.trials();
                let (output, _) = shim.run(&run, None);
                let said = String::from_utf8_lossy(&output.stderr);
                assert_eq!(output.status.code(), Some(0), "{what}, the next start: {said}");
                let (after, count) = shim.trials();
                for (id, objective) in &before {
                    assert_eq!(id.parse(), Ok(*objective), "{what}: the result of another trial");
                    assert_eq!(after.get(id), Some(objective), "{what}: trial {id} is lost");
                }
                // Also those whose own files failed: that was not the fault of the trial.
                assert_eq!((after.len(), count), (BUDGET, BUDGET), "{what}: the budget");
                if clean {
                    println!("{call}, errno {errno}: {} calls failed, exit codes {codes:?}", k - 1);
                    break;
                }
            }
            assert!(clean);
        }
    }
}

/// A study file that was renamed before it was stored was empty after a power cut, and a report that was acknowledged
/// before was gone.
#[test]
fn the_program_stores_a_file_before_its_name_and_the_journal_before_it_says_so() {
    let Some(shim) = Shim::new() else { return };
    std::fs::write(shim.home.path().join("script.sh"), "echo $TRIALMILL_TRIAL_ID").unwrap();
    let journal = shim.home.path().join("s/journal.jsonl");
    let mut renamed = 0;
    for arguments in [
        &["create", "study.yaml", "--dir", "s"][..],
        &["ask", "s", "-n", "2"],
        &["tell", "s", "1", "--objective", "0.5"],
        &["run", "study.yaml", "--dir", "s", "-q", "--", "sh", "script.sh"],
        &["note", "s", "1", "seen=true"],
        &["check", "s", "--repair"],
        &["check", "s", "--repair", "--drop-damaged"],
    ] {
        let what = arguments.join(" ");
        let repairs = what.starts_with("check");
        if repairs {
            let mut text = std::fs::read_to_string(&journal).unwrap();
            match arguments.len() {
                3 => text.push_str("{\"crc\":\"0123"),
                // The crc of the third record.
                _ => text = text.replacen("{\"crc\":\"", "{\"crc\":\"0", 3),
            }
            std::fs::write(&journal, text).unwrap();
        }
        let (output, log) = shim.run(arguments, Some(("trace", 0, 0)));
        let calls: Vec<_> = log.lines().filter_map(|line| line.split_once(' ')).collect();
        assert!(!calls.is_empty(), "{what}: {output:?}");
        let journal = |(call, path): &(&str, &str), wanted: &str| {
            *call == wanted && path.ends_with("/journal.jsonl")
        };
        let last = |wanted: &str| calls.iter().rposition(|call| journal(call, wanted));
        if let Some(written) = last("write") {
            let synced = last("sync").filter(|synced| *synced > written);
            assert!(synced.is_some(), "{what}: the journal is not synced: {calls:?}");
            let says = calls.iter().rposition(|(call, _)| *call == "says");
            assert!(says.is_none_or(|says| Some(says) > synced), "{what}: {calls:?}");
        }
        if repairs {
            let is_new = calls.iter().any(|(call, _)| *call == "rename");
            assert!(is_new == (arguments.len() == 4), "{what}: {output:?} {calls:?}");
            assert!(is_new || last("sync").is_some(), "{what}: {calls:?}");
            let is_copy = |(call, path): &(&str, &str)| {
                *call == "sync" && path.contains("journal.jsonl.before-repair-")
            };
            assert!(calls.iter().any(is_copy), "{what}: the copy is not synced: {calls:?}");
        }
        for (at, (_, from)) in calls.iter().enumerate().filter(|(_, (call, _))| *call == "rename") {
            let to = calls[at + 1].1;
            if to.contains("/trials/") {
                continue;
            }
            renamed += 1;
            let of_it = |wanted: &str| {
                calls[..at].iter().rposition(|(call, path)| *call == wanted && path == from)
            };
            assert!(of_it("sync") > of_it("write"), "{what}: {from} is not synced: {calls:?}");
            let parent = std::path::Path::new(to).parent().unwrap().to_str().unwrap();
            let stored = calls[at..].contains(&("sync", parent));
            assert!(stored, "{what}: the name {to} is not synced: {calls:?}");
        }
    }
    assert!(renamed >= 2, "nothing was renamed: {renamed}");
}

/// `tell` ends with 0 when the report is acknowledged, and only then it is relied on.
#[test]
fn whichever_system_call_of_tell_fails_what_it_acknowledged_is_there() {
    let Some(shim) = Shim::new() else { return };
    for (call, errors) in CALLS {
        for errno in errors {
            for k in 1.. {
                shim.forget();
                let what = format!("{call} {k}, errno {errno}");
                assert!(shim.run(&["create", "study.yaml", "--dir", "s"], None).0.status.success());
                assert!(shim.run(&["ask", "s", "-n", "2"], None).0.status.success());
                let tell = ["tell", "s", "1", "--objective", "0.5"];
                let (output, log) = shim.run(&tell, Some((call, *errno, k)));
                let (code, (done, count)) = (output.status.code(), shim.trials());
                assert!(matches!(code, Some(0 | 4)), "{what}: {output:?}");
                assert!(!log.contains("synced again"), "{what}: {log}");
                assert!(code == Some(4) || done.get("1").is_some_and(|o| *o == 0.5), "{what}");
                assert_eq!(count, 2, "{what}");
                let other = ["tell", "s", "2", "--objective", "0.25"];
                assert!(shim.run(&other, None).0.status.success(), "{what}: the next one");
                let (after, _) = shim.trials();
                assert!(done.iter().all(|(id, o)| after.get(id) == Some(o)), "{what}: {after:?}");
                if log.is_empty() {
                    println!("tell: {call}, errno {errno}: {} calls failed", k - 1);
                    break;
                }
            }
        }
    }
}
