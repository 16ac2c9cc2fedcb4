//! `check`: what it says of sound, torn, damaged and abandoned studies, and what `--repair` does and
//! does not do.

use std::fs;

use nix::sys::signal::Signal;
use serde_json::{Value as Json, json};

use crate::support::{Trialmill, eventually, text};

const JOURNAL: &str = "s/journal.jsonl";

impl Trialmill {
    /// What `check --json` says, with this exit code.
    #[track_caller]
    fn check(&self, options: &[&str], code: i32) -> Json {
        let ran = self.run(&[&["check", "s", "--json"], options].concat()).exits(code);
        let json: Json = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(json["exit_code"], code);
        assert_eq!(json["sound"], code == 0);
        json
    }

    fn kinds(&self, code: i32) -> Vec<String> {
        let found = self.check(&[], code)["findings"].clone();
        found.as_array().unwrap().iter().map(|finding| text(&finding["kind"])).collect()
    }

    fn journal(&self) -> Vec<u8> {
        fs::read(self.path(JOURNAL)).unwrap()
    }

    /// A study of three trials, done.
    fn done() -> Self {
        let study = Trialmill::new(3);
        study.run_study(&[], "echo 1").exits(0);
        study
    }

    /// Where a line begins, from 0.
    fn start_of(&self, line: usize) -> usize {
        self.journal().split_inclusive(|byte| *byte == b'\n').take(line).map(<[u8]>::len).sum()
    }

    /// Flips a bit in the first record of this trial's kind.
    fn damage(&self, what: &str) -> (usize, usize) {
        let line = self.lines(JOURNAL).iter().position(|line| line.contains(what)).unwrap();
        let (start, mut bytes) = (self.start_of(line), self.journal());
        bytes[start + 30] ^= 1;
        fs::write(self.path(JOURNAL), bytes).unwrap();
        (line + 1, start)
    }
}

#[test]
fn a_sound_study_is_called_sound_and_not_touched() {
    let study = Trialmill::done();
    let before = study.journal();
    study.run(&["check", "s"]).exits(0).says(&["s is sound", "sound records"]);
    let json = study.check(&["--repair"], 0);
    assert_eq!((&json["findings"], &json["repaired"]), (&json!([]), &json!([])));
    assert_eq!(json["bytes"], before.len());
    assert_eq!(study.journal(), before);
    assert_eq!(fs::read_dir(study.path("s")).unwrap().count(), 5, "nothing is added");
    study.run(&["check", "s", "--drop-damaged"]).exits(2).says(&["--repair"]);
}

#[test]
fn what_is_no_study_has_the_code_of_the_other_verbs() {
    let study = Trialmill::done();
    study.run(&["check", "nowhere"]).exits(3).says(&["does not exist"]);
    let sound = study.read("s/study.json");
    for (text, says) in [
        (sound.replace("\"format\": 1", "\"format\": 99"), "format 99"),
        (sound.replace("\"journal\"", "\"tables\""), "tables"),
        (sound[..sound.len() / 2].to_string(), "study.json"),
    ] {
        study.write("s/study.json", &text);
        study.run(&["check", "s"]).exits(3).says(&[says, "NOT SOUND"]);
        study.run(&["check", "s", "--repair"]).exits(3);
        assert_eq!(study.read("s/study.json"), text);
    }
    study.write("s/study.json", &sound);
    fs::remove_file(study.path(JOURNAL)).unwrap();
    assert_eq!(study.kinds(5), ["journal_unreadable"]);
    study.check(&["--repair"], 5);
    assert!(!study.path(JOURNAL).exists(), "a journal that is gone is not begun anew");
}

#[test]
fn a_torn_end_is_harmless_and_a_repair_cuts_it_and_keeps_a_copy() {
    let study = Trialmill::done();
    let whole = study.journal();
    let (torn, lines) = ([&whole[..], b"{\"crc\":\"12"].concat(), study.lines(JOURNAL).len());
    fs::write(study.path(JOURNAL), &torn).unwrap();
    let json = study.check(&[], 0);
    let finding = &json["findings"][0];
    assert_eq!(finding["kind"], "torn_tail");
    assert_eq!((&finding["line"], &finding["byte"]), (&json!(lines + 1), &json!(whole.len())));
    assert_eq!(study.journal(), torn, "looking changes nothing");
    let json = study.check(&["--repair"], 0);
    assert!(text(&json["repaired"][0]).contains("cut a torn end of 10 bytes"), "{json:#}");
    assert_eq!(study.journal(), whole);
    assert_eq!(fs::read(study.path("s/journal.jsonl.before-repair-1")).unwrap(), torn);
    assert_eq!(study.kinds(0), ["copy_kept"]);
    // A second one does not overwrite the first copy.
    fs::write(study.path(JOURNAL), &torn).unwrap();
    study.check(&["--repair"], 0);
    assert!(study.path("s/journal.jsonl.before-repair-2").exists());
}

#[test]
fn damage_is_named_and_only_an_explicit_repair_goes_on_without_it() {
    let study = Trialmill::done();
    let (line, byte) = study.damage("\"event\":\"reported\",\"time\"");
    let damaged = study.journal();
    let json = study.check(&[], 5);
    let finding = &json["findings"][0];
    assert_eq!(finding["kind"], "damage");
    assert_eq!((&finding["line"], &finding["byte"]), (&json!(line), &json!(byte)));
    assert_eq!(finding["trials"], json!(["2", "3"]));
    study.run(&["check", "s"]).exits(5).says(&[
        "DAMAGE",
        &format!("byte {byte}"),
        "--drop-damaged",
    ]);
    study.check(&["--repair"], 5);
    assert_eq!(study.journal(), damaged, "without being told, nothing is dropped");
    assert!(!study.path("s/journal.jsonl.before-repair-1").exists());
    let json = study.check(&["--repair", "--drop-damaged"], 0);
    assert!(text(&json["repaired"][0]).contains("1 dropped;"), "{json:#}");
    assert_eq!(fs::read(study.path("s/journal.jsonl.before-repair-1")).unwrap(), damaged);
    // The report of trial 1 is lost; those of 2 and 3 are there. Its process has left, so it waits.
    assert_eq!(study.states(), ["pending", "success", "success"]);
    study.run_study(&[], "echo 1").exits(0);
    assert_eq!(study.states(), ["success"; 3]);
}

/// A record that crosses the border of a read was not found behind damage, and a repair dropped it.
#[test]
fn a_large_report_behind_damage_is_found_and_kept() {
    let study = Trialmill::new(3);
    // The second of two large ones crosses it.
    let script = r#"{ printf '{"objective_to_minimize": 2, "info_dict": {"x": "'
        [ "$TRIALMILL_TRIAL_ID" = 1 ] || head -c 3000000 /dev/zero | tr '\0' x
        echo '"}}'; } > "$TRIALMILL_RESULT""#;
    study.run_study(&[], script).exits(0);
    assert!(study.journal().len() > 6_000_000);
    study.damage("\"event\":\"reported\",\"time\"");
    assert_eq!(study.check(&[], 5)["findings"][0]["trials"], json!(["2", "3"]));
    let json = study.check(&["--repair", "--drop-damaged"], 0);
    assert!(text(&json["repaired"][0]).contains("1 dropped;"), "{json:#}");
    assert_eq!(study.states(), ["pending", "success", "success"]);
    assert!(study.journal().len() > 6_000_000);
}

#[test]
fn records_that_do_not_fit_without_the_damaged_one_are_dropped_and_named() {
    let study = Trialmill::done();
    study.damage("\"event\":\"sampled\"");
    let json = study.check(&["--repair", "--drop-damaged"], 0);
    let done = text(&json["repaired"][0]);
    assert!(done.contains("1 dropped, of trials 1;"), "{done}");
    let ids: Vec<String> = study.trials().iter().map(|trial| text(&trial["id"])).collect();
    assert_eq!(ids, ["2", "3"]);
    study.run_study(&[], "echo 1").exits(0);
    assert_eq!(study.count("success"), 3);
    study.check(&[], 0);
}

#[test]
fn a_record_that_contradicts_those_before_is_damage() {
    let study = Trialmill::done();
    // A sound record of another study with the next number.
    let other = Trialmill::new(9);
    other.run_study(&[], "echo 1").exits(0);
    let n = study.lines(JOURNAL).len();
    let next = other.lines(JOURNAL)[n].clone() + "\n";
    let whole = study.journal();
    fs::write(study.path(JOURNAL), [&whole[..], next.as_bytes()].concat()).unwrap();
    let json = study.check(&[], 5);
    let finding = &json["findings"][0];
    assert_eq!((&finding["line"], &finding["byte"]), (&json!(n + 1), &json!(whole.len())));
    assert!(text(&finding["problem"]).contains("contradicts"), "{finding:#}");
}

#[test]
fn a_dead_process_is_named_with_its_trials_and_a_repair_gives_them_back() {
    let study = Trialmill::new(2);
    let run = study.start_study(&[], "echo x >> \"$HERE/begun\"; exec sleep 30");
    eventually("an evaluation has begun", || study.path("begun").exists());
    // A live study is looked at, and not mended.
    assert_eq!(study.kinds(0), Vec::<String>::new());
    study.run(&["check", "s", "--repair"]).exits(3).says(&["in use by process p1"]);
    run.kill();
    let found = study.check(&[], 0)["findings"].clone();
    assert_eq!(found[0]["kind"], "dead_process");
    assert_eq!(
        (&found[0]["file"], &found[0]["trials"]),
        (&json!("workers/p1.lock"), &json!(["1"]))
    );
    let json = study.check(&["--repair"], 0);
    assert_eq!(
        (&json["findings"], &json["repaired"]),
        (&json!([]), &json!(["gave back what was held: p1"]))
    );
    assert_eq!(study.states(), ["pending"]);
}

#[test]
fn a_stopped_process_is_not_taken_for_dead() {
    let study = Trialmill::new(2);
    let mut run = study.start_study(&[], "echo x >> \"$HERE/begun\"; exec sleep 30");
    eventually("an evaluation has begun", || study.path("begun").exists());
    run.signal(Signal::SIGSTOP);
    assert_eq!(study.kinds(0), Vec::<String>::new());
    study.run(&["check", "s", "--repair"]).exits(3).says(&["in use"]);
    // Not even where somebody removed its lock file.
    fs::remove_file(study.path("s/workers/p1.lock")).unwrap();
    study.run(&["check", "s", "--repair"]).exits(3).says(&["in use"]);
}

#[test]
fn a_journal_that_is_locked_is_looked_at_and_not_mended() {
    let study = Trialmill::done();
    fs::write(study.path("s/journal.tmp-1"), "").unwrap();
    let mut lock = trialmill_store::FileLock::open(&study.path("s/journal.lock")).unwrap();
    lock.lock(std::time::Duration::ZERO).unwrap();
    study.check(&[], 0);
    study.run(&["check", "s", "--repair"]).exits(3).says(&["journal.lock", "stop it first"]);
    assert!(study.path("s/journal.tmp-1").exists());
}

#[test]
fn what_lies_about_is_named_and_only_leftovers_are_removed() {
    let study = Trialmill::done();
    for file in ["s/journal.tmp-1", "s/study.tmp-2", "s/workers/p7.lock", "s/torn-12", "s/notes"] {
        study.write(file, "");
    }
    fs::create_dir(study.path("s/trials/99")).unwrap();
    study.run(&["ask", "s", "--deadline", "0"]).exits(9);
    let all = ["leftover", "foreign_file", "leftover", "torn_bytes_kept", "leftover_lock"];
    assert_eq!(study.kinds(0), [&all[..], &["unknown_trial_directory"]].concat());
    let json = study.check(&["--repair"], 0);
    assert_eq!(json["repaired"].as_array().unwrap().len(), 3, "{json:#}");
    assert_eq!(study.kinds(0), ["foreign_file", "torn_bytes_kept", "unknown_trial_directory"]);
}

#[test]
fn a_deadline_that_has_passed_is_named() {
    let study = Trialmill::new(2);
    study.create();
    study.run(&["ask", "s", "--deadline", "0"]).exits(0);
    let found = study.check(&[], 0)["findings"].clone();
    assert_eq!((&found[0]["kind"], &found[0]["trials"]), (&json!("expired_lease"), &json!(["1"])));
    study.check(&["--repair"], 0);
    assert_eq!(study.states(), ["pending"]);
}
