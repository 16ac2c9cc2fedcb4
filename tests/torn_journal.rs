//! A journal that was torn, flipped, zeroed, doubled or cut: what was sound before the damage is
//! there, bit by bit and for ever; a torn end is cut off and the study goes on; and damage before
//! sound records, which may have been acknowledged, is refused, named by its byte, and left alone.
//!
//! One torn record and one further append make an Optuna 5.0 journal unreadable for ever (188 of
//! 188 cut points); a torn `.trial_cache.pkl` makes NePS 0.17 fail on every later read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use trialmill_layouts::Studies;

use trialmill::{Durability, Optimizer, Parameter, RandomSearch, Report};
use trialmill::{SearchSpace, State, Study, StudyState};
use trialmill_core::definition::Definition;
use trialmill_core::error::StudyError;
use trialmill_core::event::{Policy, Reason};
use trialmill_core::study::{Answer, Ask, Command};
use trialmill_core::trial::Step;
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, Machine, read_study};

/// The journal of a study with every kind of event, and where its records are.
struct Original {
    _temp: tempfile::TempDir,
    dir: PathBuf,
    bytes: Vec<u8>,
    /// Each record with its line feed.
    records: Vec<Range<usize>>,
    /// What the study is after the first 0, 1, 2, … records.
    folds: Vec<String>,
}

fn space() -> SearchSpace {
    SearchSpace::new([
        // A name that looks like the head of a record inside of one.
        ("crc", Parameter::categorical(["0badc0de", "deadbeef"])),
        ("x", Parameter::float(0.0, 1.0)),
    ])
    .unwrap()
}

fn ask(core: &mut StateCore, n: usize, lease: bool) -> Vec<(trialmill::TrialId, u32)> {
    let worker: &str = if lease { "caller" } else { "p1-w1" };
    let lease = lease.then(|| Machine::here().lease(Duration::from_hours(1)));
    let ask = Command::Ask(Ask { worker: worker.into(), n, lease, evaluation: None });
    match core.execute_all(vec![ask]).unwrap().remove(0).unwrap() {
        Answer::Evaluate(list) => {
            list.into_iter().map(|handed| (handed.id, handed.attempts)).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn report(core: &mut StateCore, (trial, attempt): &(trialmill::TrialId, u32), report: Report) {
    let (trial, attempt) = (trial.clone(), Some(*attempt));
    let command = Command::Report { trial, attempt, report: Box::new(report) };
    assert_eq!(core.execute_all(vec![command]).unwrap(), [Ok(Answer::Done)]);
}

fn open(dir: &Path) -> Result<StateCore, trialmill::Error> {
    let directory = Directory::open(dir)?;
    StateCore::open(directory, Durability::Buffered, Box::new(RandomSearch::new()))
}

impl Original {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("study");
        let definition = Definition::new(space(), RandomSearch::new().info());
        // Not the default, so that also the first record can be seen in a fold.
        let policy = Policy { max_attempts: 4, ..Policy::default() };
        Directory::create_or_open(&dir, definition, Some(7), &policy, None).unwrap();
        let mut core = open(&dir).unwrap();
        core.change_policy(|policy| policy.budget.evaluations = Some(1_000)).unwrap();
        core.join().unwrap();
        let held = ask(&mut core, 8, false);
        let step = |step: u64, value| Command::Step {
            trial: held[0].0.clone(),
            attempt: None,
            steps: vec![Step::new(step, value), Step::new(step + 1, f64::INFINITY)],
        };
        core.execute_all(vec![step(1, 0.5), step(7, -1e-300)]).unwrap();
        report(&mut core, &held[0], Report::objective(0.1));
        report(&mut core, &held[1], Report::objective([1.0, f64::NEG_INFINITY]).cost(2.5));
        let curve = Report::objective(f64::NAN).learning_curve([3.0, 1e-300, f64::INFINITY]);
        report(&mut core, &held[2], curve.extra("crc", "00000000").extra("note", "ü \"\n\u{7}"));
        report(&mut core, &held[3], Report::failed("diverged"));
        report(&mut core, &held[4], Report::crashed("panic", "{\"crc\":\"").traceback("at line 1"));
        let (trial, attempt) = held[5].clone();
        let release = |reason| Command::Release { trial, attempt: Some(attempt), reason };
        core.execute_all(vec![
            release(Reason::Died),
            Command::Retry { states: vec![State::Crashed] },
        ])
        .unwrap();
        let caller = ask(&mut core, 3, true);
        report(&mut core, &caller[0], Report::objective(0.2));
        core.execute_all(vec![Command::Sample { n: 1, worker: "caller".into() }]).unwrap();
        let mut imported = core.study().trials().iter().next().unwrap().clone();
        imported.id = "imported.1".parse().unwrap();
        core.execute_all(vec![Command::Put(Box::new(imported))]).unwrap();
        core.leave().unwrap();
        core.join().unwrap();
        let held = ask(&mut core, 2, true);
        // The last four records: claims, and two reports with a record's head inside.
        for trial in &held {
            report(&mut core, trial, Report::objective(0.3).extra("crc", "12345678"));
        }
        assert!(core.study().trials().len() >= 10);
        drop(core);
        let bytes = fs::read(dir.join("journal.jsonl")).unwrap();
        let mut original = Original { _temp: temp, dir, bytes, records: vec![], folds: vec![] };
        let mut start = 0;
        for (at, byte) in original.bytes.iter().enumerate() {
            if *byte == b'\n' {
                original.records.push(start..at + 1);
                start = at + 1;
            }
        }
        for n in 0..=original.records.len() {
            let copy = original.copy(&original.bytes[..original.end(n)]);
            original.folds.push(fold(copy.path()).0);
        }
        assert!(
            original.folds.windows(2).all(|pair| pair[0] != pair[1]),
            "a fold sees every record"
        );
        original
    }

    /// Where the first `n` records end.
    fn end(&self, n: usize) -> usize {
        n.checked_sub(1).map_or(0, |last| self.records[last].end)
    }

    /// The study with this journal instead.
    fn copy(&self, journal: &[u8]) -> tempfile::TempDir {
        let temp = tempfile::tempdir().unwrap();
        fs::copy(self.dir.join("study.json"), temp.path().join("study.json")).unwrap();
        fs::write(temp.path().join("journal.jsonl"), journal).unwrap();
        temp
    }

    /// The torn end of this journal is cut off behind `intact` records; nothing else happens.
    fn is_mended(&self, journal: &[u8], intact: usize, what: &str) {
        let copy = self.copy(journal);
        let path = copy.path().join("journal.jsonl");
        // Those who only look see the sound part before and after, and change nothing.
        let (looked, problem) = fold(copy.path());
        assert_eq!((&looked, problem), (&self.folds[intact], None), "{what}: status");
        assert!(fs::read(&path).unwrap() == journal, "{what}: status changed the journal");
        let core = open(copy.path()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(print(core.study()), self.folds[intact], "{what}: the records before it");
        drop(core);
        let sound = &self.bytes[..self.end(intact)];
        assert!(fs::read(&path).unwrap() == sound, "{what}: the journal's sound part");
        if journal.len() > sound.len() {
            let kept = copy.path().join(format!("torn-{}", sound.len()));
            assert!(fs::read(kept).unwrap() == journal[sound.len()..], "{what}: what was cut off");
        }
    }

    /// This journal is refused at the byte where record `first` begins, by everybody who would
    /// write; those who look get what stands before.
    fn is_refused(&self, journal: &[u8], first: usize, what: &str) {
        let copy = self.copy(journal);
        let offset = self.end(first);
        let Err(error) = open(copy.path()) else { panic!("{what}: it was opened") };
        let text = error.to_string();
        assert!(text.contains(&format!("byte {offset}:")), "{what}: not byte {offset}: {text}");
        assert_eq!(error.exit_code(), 5, "{what}: {text}");
        assert!(Study::builder(copy.path()).open().is_err(), "{what}: a session opened it");
        let unchanged = fs::read(copy.path().join("journal.jsonl")).unwrap() == journal;
        assert!(unchanged, "{what}: the damaged journal was changed");
        let (looked, problem) = fold(copy.path());
        assert_eq!(looked, self.folds[first], "{what}: what stands before the damage");
        assert_eq!(problem.as_deref(), Some(&*text), "{what}: status says the same");
    }

    /// Damage to these bytes: refused when a whole sound record follows, mended when none does.
    fn is_judged(&self, journal: &[u8], damage: Range<usize>, what: &str) {
        let first = self.records.iter().position(|record| damage.start < record.end).unwrap();
        match self.records.iter().any(|record| record.start >= damage.end) {
            true => self.is_refused(journal, first, what),
            false => self.is_mended(journal, first, what),
        }
    }
}

/// Everything a study knows, as text.
fn print(study: &StudyState) -> String {
    let trials: Vec<_> = study.trials().iter().collect();
    let processes: Vec<_> = study.processes().collect();
    let leases: Vec<_> = study.leases().collect();
    let numbers = (study.claims(), study.requeues(), study.sample_count(), study.spent());
    let losses: Vec<_> = trials.iter().map(|trial| study.losses(&trial.id)).collect();
    format!(
        "{trials:?} {processes:?} {leases:?} {numbers:?} {losses:?} {:?} {:?} {:?}",
        study.policy(),
        study.best(),
        study.last_error()
    )
}

/// What those see who only look, and what they are told is wrong.
fn fold(dir: &Path) -> (String, Option<String>) {
    let directory = Directory::open_read_only(dir).unwrap();
    let mut study = StudyState::new(directory.definition().clone());
    let problem = read_study(&directory, &mut |event| study.apply(event)).unwrap();
    (print(&study), problem.map(|problem| problem.to_string()))
}

#[test]
fn a_journal_cut_at_any_byte_of_its_last_records_opens_and_has_all_before() {
    let original = Original::new();
    let count = original.records.len();
    for cut in original.records[count - 4].start..=original.bytes.len() {
        let intact = original.records.iter().take_while(|record| record.end <= cut).count();
        original.is_mended(&original.bytes[..cut], intact, &format!("cut at byte {cut}"));
    }
    // And at the borders of all others, down to nothing.
    for (n, record) in original.records.iter().enumerate() {
        original.is_mended(&original.bytes[..record.start], n, "cut before a record");
        original.is_mended(&original.bytes[..=record.start], n, "cut in a record's first byte");
        original.is_mended(&original.bytes[..record.end - 1], n, "cut before a line feed");
    }
}

#[test]
fn a_flipped_bit_in_the_last_record_is_cut_off_and_in_any_other_is_refused() {
    let original = Original::new();
    let mut journal = original.bytes.clone();
    let last = original.records.len() - 1;
    for (n, record) in original.records.iter().enumerate() {
        // Every third bit of the last record (3 and 8 have no common factor: all bits and all
        // bytes in turn); of the others some, and always the head and the line feed.
        let step = if n == last { 3 } else { 97 };
        let bits = (record.start * 8..record.end * 8).step_by(step);
        for bit in bits.chain(record.end * 8 - 8..record.end * 8) {
            journal[bit / 8] ^= 1 << (bit % 8);
            let damage = bit / 8..bit / 8 + 1;
            original.is_judged(&journal, damage, &format!("record {n}, bit {bit}"));
            journal[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn blocks_of_zeros_are_refused_before_sound_records_and_cut_off_at_the_end() {
    let original = Original::new();
    let len = original.bytes.len();
    // As a file system leaves them after a power loss: aligned; and wherever else.
    let aligned = (0..len).step_by(512).map(|at| at..(at + 512).min(len));
    let anywhere = (0..len).step_by(61).map(|at| at..(at + 512).min(len));
    for damage in aligned.chain(anywhere).chain(std::iter::once(0..len)) {
        let mut journal = original.bytes.clone();
        journal[damage.clone()].fill(0);
        original.is_judged(&journal, damage.clone(), &format!("zeros at {damage:?}"));
    }
}

#[test]
fn garbage_behind_the_last_record_is_cut_off() {
    let original = Original::new();
    let count = original.records.len();
    let record = |n: usize| &original.bytes[original.records[n].clone()];
    let mut noise: Vec<u8> = Vec::new();
    let mut z = 1_u64;
    while noise.len() < 3_000 {
        z = z.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        noise.extend((z >> 11).to_le_bytes());
    }
    let unfinished = &record(count - 1)[..record(count - 1).len() - 2];
    let doubled = |from: usize| original.bytes[original.records[from].start..].to_vec();
    for (what, tail) in [
        ("an empty line", b"\n".to_vec()),
        ("a carriage return", b"\r\n".to_vec()),
        ("noise", noise.clone()),
        ("noise and a line feed", [&noise[..], b"\n"].concat()),
        ("zeros", vec![0; 4_096]),
        ("JSON", b"{}\n{\"seq\":99}\n".to_vec()),
        ("a head", b"{\"crc\":\"".to_vec()),
        ("a head and a line feed", b"{\"crc\":\"00000000\",\n".to_vec()),
        ("the last record again", doubled(count - 1)),
        ("the last four records again", doubled(count - 4)),
        ("the whole journal again", doubled(0)),
        ("the whole journal again, torn", [&doubled(0)[..], unfinished].concat()),
        ("noise and the last record again", [&noise[..], record(count - 1)].concat()),
        ("the first record again", record(0).to_vec()),
    ] {
        original.is_mended(&[&original.bytes[..], &tail].concat(), count, what);
    }
}

/// Lost, moved and glued records are as bad as unreadable ones: later records rest on them.
#[test]
fn a_record_that_is_missing_moved_or_overwritten_is_refused() {
    let original = Original::new();
    let count = original.records.len();
    let records: Vec<&[u8]> = original.records.iter().map(|r| &original.bytes[r.clone()]).collect();
    for n in 0..count - 1 {
        let without = [&records[..n], &records[n + 1..]].concat().concat();
        original.is_refused(&without, n, &format!("without record {n}"));
        let mut swapped = records.clone();
        swapped.swap(n, n + 1);
        original.is_refused(&swapped.concat(), n, &format!("records {n} and {} swapped", n + 1));
        // Another program appended behind a torn record and did not cut it off.
        let torn = &records[n][..records[n].len() / 2];
        let glued = [&original.bytes[..original.end(n)], torn, &records[n + 1..].concat()].concat();
        original.is_refused(&glued, n, &format!("record {n} torn, the next glued to it"));
        for n in [n, count - 1] {
            let torn = &records[n][..records[n].len() / 2];
            let before = &original.bytes[..original.end(n)];
            let glued = [before, torn, records[n]].concat();
            original.is_refused(&glued, n, &format!("record {n} torn, and whole behind it"));
        }
    }
}

/// Where locks do not work, two processes write the same number; each acknowledged its own record.
#[test]
fn a_number_that_comes_twice_with_two_contents_is_refused() {
    let original = Original::new();
    let count = original.records.len();
    let last = &original.bytes[original.records[count - 1].clone()];
    let text = std::str::from_utf8(last).unwrap().replace(":0.3,", ":0.4,");
    let body = text.trim_end().split_once(',').unwrap().1;
    let other = format!("{{\"crc\":\"{:08x}\",{body}\n", crc32fast::hash(body.as_bytes()));
    assert_ne!(other.as_bytes(), last);
    let twice = [&original.bytes[..], other.as_bytes()].concat();
    original.is_refused(&twice, count, "the last record in two contents");
    let thrice = [&original.bytes[..], last, other.as_bytes()].concat();
    original.is_refused(&thrice, count, "the last record doubled, then another content");
}

/// What two processes tore at the same place is kept twice: it may be all that is left of a report.
#[test]
fn bytes_that_were_cut_off_are_never_overwritten() {
    let original = Original::new();
    let copy = original.copy(&original.bytes);
    for n in [30, 20, 10] {
        let torn = [&original.bytes[..], &original.bytes[..n]].concat();
        fs::write(copy.path().join("journal.jsonl"), torn).unwrap();
        drop(open(copy.path()).unwrap());
    }
    let entries = fs::read_dir(copy.path()).unwrap().map(|entry| entry.unwrap());
    let kept = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("torn-"));
    assert_eq!(kept.map(|entry| entry.metadata().unwrap().len()).sum::<u64>(), 60);
}

/// After any mending the study goes on, and the mended journal never needs another mending.
#[test]
fn a_mended_study_goes_on_and_reopens_the_same_ten_times() {
    let original = Original::new();
    let count = original.records.len();
    let first = original.records[count - 4].start;
    for cut in (first + 1..original.bytes.len()).step_by(53) {
        let copy = original.copy(&original.bytes[..cut]);
        let journal = copy.path().join("journal.jsonl");
        let mut core = open(copy.path()).unwrap();
        let before = core.study().trials().len();
        let held = ask(&mut core, 6, true);
        report(&mut core, &held[5], Report::objective(0.5));
        let after = print(core.study());
        assert!(core.study().trials().len() > before, "new trials were sampled");
        // A second process dies in the middle of an append while the first one lives …
        drop(core);
        let sound = fs::read(&journal).unwrap();
        fs::write(&journal, [&sound[..], &original.bytes[..40]].concat()).unwrap();
        // … and ten further ones see the same study.
        for n in 0..10 {
            let core = open(copy.path()).unwrap();
            assert_eq!(print(core.study()), after, "cut at {cut}, reopening {n}");
        }
        assert!(fs::read(&journal).unwrap() == sound, "reopening changes nothing");
        let outcome = Study::builder(copy.path())
            .workers(2)
            .max_evaluations(40)
            .ctrl_c(false)
            .wait_for_others(false)
            .run(|trial| Ok(trial.config().float("x")?))
            .unwrap();
        assert!(outcome.study().spent().evaluations >= 40);
    }
}

/// A process that is open while another one dies in the middle of an append cuts the torn end off
/// at its next turn, and goes on behind what it knew.
#[test]
fn a_process_that_is_open_cuts_off_what_another_one_tore() {
    let original = Original::new();
    let copy = original.copy(&original.bytes);
    let journal = copy.path().join("journal.jsonl");
    let mut core = open(copy.path()).unwrap();
    for n in 0..5 {
        let sound = fs::read(&journal).unwrap();
        fs::write(&journal, [&sound[..], &original.bytes[..10 + n]].concat()).unwrap();
        let held = ask(&mut core, 1, true);
        report(&mut core, &held[0], Report::objective(0.5));
        let now = fs::read(&journal).unwrap();
        assert!(now.starts_with(&sound) && fold(copy.path()) == (print(core.study()), None));
    }
}

/// A study of which three trials were handed out, and the first of them reported.
struct Started {
    temp: tempfile::TempDir,
    journal: PathBuf,
    core: StateCore,
    held: Vec<(trialmill::TrialId, u32)>,
    /// How long the journal is, in bytes.
    small: usize,
}

fn started() -> Started {
    let temp = tempfile::tempdir().unwrap();
    let definition = Definition::new(space(), RandomSearch::new().info());
    let (directory, _) =
        Directory::create_or_open(temp.path(), definition, Some(7), &Policy::default(), None)
            .unwrap();
    let journal = directory.journal_path();
    let mut core = open(temp.path()).unwrap();
    let held = ask(&mut core, 3, true);
    report(&mut core, &held[0], Report::objective(0.5));
    let small = fs::read(&journal).unwrap().len();
    Started { temp, journal, core, held, small }
}

/// A journal is read in pieces of 4 MiB, and a record may be 16 MiB long: the borders must not show.
#[test]
fn records_longer_than_a_read_are_cut_and_judged_like_others() {
    let Started { temp, journal, mut core, held, small } = started();
    report(&mut core, &held[1], Report::objective(0.5).extra("large", "x".repeat(9 << 20)));
    let large = fs::read(&journal).unwrap().len();
    let before = print(core.study());
    report(&mut core, &held[2], Report::objective(0.7));
    drop(core);
    let whole = fs::read(&journal).unwrap();
    // The large record damaged, a sound one behind it.
    let mut damaged = whole.clone();
    damaged[small + (5 << 20)] ^= 1;
    fs::write(&journal, &damaged).unwrap();
    let error = open(temp.path()).err().expect("it is refused").to_string();
    assert!(error.contains(&format!("byte {small}:")), "{error}");
    assert!(fs::read(&journal).unwrap() == damaged);
    // The last record torn, behind a sound large one.
    fs::write(&journal, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(print(open(temp.path()).unwrap().study()), before);
    assert_eq!(fs::metadata(&journal).unwrap().len(), large as u64);
    // The large record torn at the end of a read, and anywhere.
    for cut in [4 << 20, 8 << 20, large - 1] {
        fs::write(&journal, &whole[..cut]).unwrap();
        let core = open(temp.path()).unwrap();
        assert_eq!(core.study().count(State::Success), 1, "cut at byte {cut}");
        assert_eq!(fs::metadata(&journal).unwrap().len(), small as u64, "cut at byte {cut}");
    }
}

/// A sound record of 12 MiB was not seen behind damage, because it crosses the border of a read, or
/// because the line feed before it was damaged and the line seemed longer than any record: an
/// acknowledged report was cut off as a torn append.
#[test]
fn a_sound_record_longer_than_a_read_is_seen_behind_damage() {
    let Started { temp, journal, mut core, held, small } = started();
    let large = || Report::objective(0.5).extra("large", "x".repeat(12 << 20));
    report(&mut core, &held[1], large());
    let first_large = fs::read(&journal).unwrap().len();
    report(&mut core, &held[2], large());
    drop(core);
    let whole = fs::read(&journal).unwrap();
    for (what, damage, end, refused_at) in [
        ("a small record damaged", small - 20, first_large, None),
        (
            "a line feed damaged between a small record and a large one",
            small - 1,
            first_large,
            None,
        ),
        ("a line feed damaged between two large ones", first_large - 1, whole.len(), Some(small)),
    ] {
        let mut damaged = whole[..end].to_vec();
        damaged[damage] ^= 1;
        fs::write(&journal, &damaged).unwrap();
        let error = open(temp.path()).err().unwrap_or_else(|| panic!("{what}: it was opened"));
        assert_eq!(error.exit_code(), 5, "{what}: {error}");
        if let Some(at) = refused_at {
            assert!(error.to_string().contains(&format!("byte {at}:")), "{what}: {error}");
        }
        assert!(fs::read(&journal).unwrap() == damaged, "{what}: the journal was changed");
    }
}

/// Two processes' worth of large reports in one turn: each is a record of its own, and each is
/// measured for itself.
#[test]
fn two_large_reports_in_one_turn_are_both_stored() {
    let temp = tempfile::tempdir().unwrap();
    let definition = Definition::new(space(), RandomSearch::new().info());
    Directory::create_or_open(temp.path(), definition, Some(7), &Policy::default(), None).unwrap();
    let mut core = open(temp.path()).unwrap();
    let large = |(trial, attempt): (trialmill::TrialId, u32)| {
        let report = Report::objective(0.5).extra("large", "x".repeat(9 << 20));
        Command::Report { trial, attempt: Some(attempt), report: Box::new(report) }
    };
    let commands = ask(&mut core, 2, true).into_iter().map(large).collect();
    assert_eq!(core.execute_all(commands).unwrap(), [Ok(Answer::Done), Ok(Answer::Done)]);
    drop(core);
    assert_eq!(open(temp.path()).unwrap().study().count(State::Success), 2);
}

/// A record that no reader would take is refused by name, and the turn's other records are stored.
#[test]
fn what_is_too_large_is_refused_with_its_trial_and_nothing_else_is() {
    let temp = tempfile::tempdir().unwrap();
    let definition = Definition::new(space(), RandomSearch::new().info());
    Directory::create_or_open(temp.path(), definition, Some(7), &Policy::default(), None).unwrap();
    let mut core = open(temp.path()).unwrap();
    let held = ask(&mut core, 2, true);
    let too_large = || Report::objective(0.5).extra("large", "x".repeat(17 << 20));
    let report = |at: usize, report| {
        let (trial, attempt) = (held[at].0.clone(), Some(held[at].1));
        Command::Report { trial, attempt, report: Box::new(report) }
    };
    let mut corrected = core.study().trial(&held[0].0).unwrap().clone();
    corrected.state = State::External;
    corrected.report = Some(Box::new(too_large()));
    let commands = vec![
        report(0, too_large()),
        Command::Put(Box::new(corrected)),
        report(1, Report::objective(0.25)),
    ];
    let answers = core.execute_all(commands).unwrap();
    for answer in &answers[..2] {
        let error = answer.as_ref().unwrap_err();
        let StudyError::TooLarge { id, attempt, bytes, .. } = error else { panic!("{error}") };
        assert_eq!((id, attempt), (&held[0].0, &1));
        assert!(*bytes > 17 << 20, "{error}");
    }
    assert_eq!(answers[2], Ok(Answer::Done));
    drop(core);
    let core = open(temp.path()).unwrap();
    assert_eq!((core.study().count(State::Success), core.study().count(State::Evaluating)), (1, 1));
}

/// `study.json` is written last, so a study always has a journal. One without was copied in part,
/// or its journal was removed: to begin a new one would use its ids and its budget a second time.
#[test]
fn a_study_whose_journal_is_gone_is_refused() {
    let original = Original::new();
    let copy = original.copy(&[]);
    let journal = copy.path().join("journal.jsonl");
    fs::remove_file(&journal).unwrap();
    assert!(open(copy.path()).is_err(), "it was opened");
    assert!(Study::builder(copy.path()).open().is_err(), "a session opened it");
    assert!(!journal.exists(), "a new journal was begun");
}
