//! The same seed gives the same history, byte for byte but for clocks and process ids: what a failure
//! printed can be played again, and two runs of a study can be compared.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};
use serde_json::Value as Json;
use trialmill_store::{Fault, SimDisk};

#[path = "support/small.rs"]
mod small;

use small::{Acked, Ledger, Process, open, print};

const EIO: i32 = 5;

/// A journal without what is different each time: clocks, process ids, and the checksums of those.
fn timeless(journal: &str) -> String {
    let mut text = String::new();
    for line in journal.lines() {
        let mut event: Json = serde_json::from_str(line).expect("a sound line");
        let fields = event.as_object_mut().unwrap();
        for clock in ["crc", "time", "pid", "evaluation_duration"] {
            fields.shift_remove(clock);
        }
        if let Some(lease) = fields.get_mut("lease").and_then(Json::as_object_mut) {
            lease.shift_remove("until_uptime_s");
        }
        writeln!(text, "{event}").unwrap();
    }
    text
}

/// Three processes in an order of their own; any of them may be killed between two turns, or meet a
/// disk that fails. Everything that anybody was told, and the journal.
fn simulate(home: &Path, seed: u64) -> String {
    let directory = small::directory(&home.join("study"));
    let disk = small::new_journal(&directory);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut draw = |below: u64| random.next_u64() % below;
    let (mut trace, ledger) = (String::new(), Ledger::default());
    let start = |disk: &SimDisk| Process::open(&directory, disk.clone());
    let mut processes: Vec<_> = (0..3).map(|_| start(&disk).unwrap()).collect();
    for turn in 0..60 {
        let who = draw(3) as usize;
        match draw(12) {
            0 => processes[who] = start(&disk).unwrap(),
            1 => {
                let operation = disk.operations().0 + 1 + draw(6);
                disk.fail(Some(Fault { operation, errno: EIO, short: false, lasting: false }));
            }
            _ => {}
        }
        let result = processes[who].step(&ledger);
        disk.fail(None);
        writeln!(trace, "{turn}: {who}: {result:?}").unwrap();
        if result.is_err() {
            processes[who] = start(&disk).unwrap();
        }
    }
    let Acked { configs, values, budget } = ledger.lock().unwrap().clone();
    writeln!(trace, "{configs:?} {values:?} {budget:?}").unwrap();
    trace += &timeless(std::str::from_utf8(&disk.bytes().0).unwrap());
    small::tidy(&directory);
    let last = open(&directory, disk).unwrap();
    ledger.lock().unwrap().are_in(last.study(), "the end");
    assert!(!print(last.study()).is_empty());
    trace.replace(home.to_str().unwrap(), "HOME")
}

#[test]
fn the_same_seed_gives_the_same_trace_byte_for_byte() {
    let mut failed = 0;
    for seed in 0..12 {
        let [one, two] = [(); 2].map(|()| {
            let home = tempfile::tempdir().unwrap();
            simulate(home.path(), seed)
        });
        let line = one.lines().zip(two.lines()).find(|(one, two)| one != two);
        assert!(one == two, "seed {seed}: {line:?}");
        failed += usize::from(one.contains("Err("));
        let home = tempfile::tempdir().unwrap();
        assert_ne!(simulate(home.path(), seed + 1_000), one, "the seed changes nothing");
    }
    assert!(failed > 3, "hardly any disk failed: {failed}");
}

/// Two starts of the program: a map whose order is that of its process's own hash keys would show.
#[test]
fn the_same_study_run_twice_by_the_program_has_the_same_journal() {
    for optimizer in ["random_search", "{name: grid_search, points: 3}"] {
        let [one, two] = [(); 2].map(|()| {
            let home = tempfile::tempdir().unwrap();
            let study = format!(
                "space: {{x: {{type: float, lower: 0.0, upper: 1.0}}, n: {{type: int, lower: 1, upper: 9}}, \
                 c: {{choices: [a, b]}}}}\nseed: 7\noptimizer: {optimizer}\n\
                 budget: {{evaluations: 18}}\nworkers: 1\n"
            );
            std::fs::write(home.path().join("study.yaml"), study).unwrap();
            let script = r#"[ "$TRIALMILL_TRIAL_ID" = 5 ] && exit 3; echo "$TRIALMILL_PARAM_n""#;
            std::fs::write(home.path().join("script.sh"), script).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_trialmill"));
            command.args(["run", "study.yaml", "--dir", "s", "-q", "--", "sh", "script.sh"]);
            command.current_dir(home.path()).stdin(Stdio::null());
            let output = command.output().unwrap();
            assert!(output.status.success(), "{output:?}");
            let journal = std::fs::read_to_string(home.path().join("s/journal.jsonl")).unwrap();
            // Where the command runs is part of what is evaluated.
            let home = home.path().canonicalize().unwrap();
            timeless(&journal.replace(home.to_str().unwrap(), "HOME"))
        });
        assert_eq!(one, two);
        assert!(one.lines().count() > 30, "{one}");
    }
}
