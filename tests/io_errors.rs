//! Every file operation fails in turn: the k-th, for k = 1, 2, … until a run gets through. Each k
//! ends in success, or in an error that says what failed; the store then takes no more turns, no
//! sync is tried again, nothing acknowledged is lost, and the study goes on from what is there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;
use trialmill::Error;
use trialmill::error::StoreError;
use trialmill::store::{Fault, SimDisk};

#[path = "support/small.rs"]
mod small;

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
                        process.turn(&Ledger::new(acked.clone().into())).unwrap();
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
    directory: &trialmill::store::Directory,
    disk: &SimDisk,
    ledger: &Ledger,
    what: &str,
) -> Option<Error> {
    let mut process = match Process::open(directory, disk.clone()) {
        Ok(process) => process,
        Err(error) => return Some(error),
    };
    for _ in 0..TURNS {
        if let Err(error) = process.turn(ledger) {
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

/// The real program, with a library in front of the system's calls.
struct Shim {
    library: PathBuf,
    home: tempfile::TempDir,
}

const BUDGET: usize = 4;

impl Shim {
    fn new() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/fail_syscall.c");
        let library = home.path().join("fail_syscall.so");
        let arguments = ["-shared", "-fPIC", "-O1", "-Wno-unused-result", "-o"];
        let built =
            Command::new("cc").args(arguments).arg(&library).arg(source).arg("-ldl").status();
        if !built.is_ok_and(|status| status.success()) || !cfg!(target_env = "gnu") {
            println!("skipped: no C compiler for the library that lets system calls fail");
            return None;
        }
        let study = format!(
            "space: {{x: {{type: float, lower: 0.0, upper: 1.0}}}}\nseed: 7\n\
             budget: {{evaluations: {BUDGET}}}\nworkers: 2\n"
        );
        std::fs::write(home.path().join("study.yaml"), study).unwrap();
        Some(Shim { library, home })
    }

    /// The program, as it is or with this failure.
    fn run(&self, arguments: &[&str], failure: Option<(&str, i32, usize)>) -> (Output, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trialmill"));
        command.args(arguments).current_dir(self.home.path()).stdin(Stdio::null());
        command.env_remove("RUST_LOG");
        let log = self.home.path().join("failures.log");
        let _ = std::fs::remove_file(&log);
        if let Some((call, errno, k)) = failure {
            command.env("LD_PRELOAD", &self.library).env("FAIL_BELOW", self.home.path().join("s"));
            command.env("FAIL_CALL", call).env("FAIL_ERRNO", errno.to_string());
            command.env("FAIL_AT", k.to_string()).env("FAIL_LOG", &log);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{arguments:?} {failure:?}: {said}");
        (output, std::fs::read_to_string(&log).unwrap_or_default())
    }

    /// The objective of each trial that succeeded, and how many trials there are.
    fn trials(&self) -> (BTreeMap<String, f64>, usize) {
        let (output, _) = self.run(&["trials", "s", "--json"], None);
        let text = String::from_utf8(output.stdout).unwrap();
        let trials: Vec<Json> = serde_json::from_str(&text).unwrap_or_default();
        let done = trials.iter().filter(|trial| trial["state"] == "success").map(|trial| {
            let objective = trial["report"]["objective_to_minimize"].as_f64();
            (trial["id"].as_str().unwrap_or_default().to_string(), objective.unwrap_or(f64::NAN))
        });
        (done.collect(), trials.len())
    }

    fn forget(&self) {
        let _ = std::fs::remove_dir_all(self.home.path().join("s"));
    }
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
