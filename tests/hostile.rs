//! Hostile files, names and values (T9 of the reliability plan): through the program and through the
//! public API. Whatever stands in a directory or a study file: no panic, no wait without an end, no
//! more than 256 MiB, nothing written outside the study, and an error that says what is wrong with an
//! exit code that is in the README's table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "hostile/support.rs"]
mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value as Json;
use trialmill::{Summary, TrialId};
use trialmill_cli::study_file::StudyFile;

use crate::support::{Home, STUDY};

fn deep(n: usize) -> String {
    "[".repeat(n) + &"]".repeat(n)
}

#[test]
fn files_that_are_not_files() {
    type Make = fn(&Path, &Path);
    let fifo: Make = |at, _| mkfifo(at, Mode::S_IRWXU).unwrap();
    let dir: Make = |at, _| fs::create_dir(at).unwrap();
    let out: Make = |at, outside| symlink(outside.join("passwd"), at).unwrap();
    let nowhere: Make = |at, outside| symlink(outside.join("new"), at).unwrap();
    let zero: Make = |at, _| symlink("/dev/zero", at).unwrap();
    let hard: Make = |at, outside| fs::hard_link(outside.join("passwd"), at).unwrap();
    let out_dir: Make = |at, outside| symlink(outside, at).unwrap();
    let all = [("fifo", fifo), ("dir", dir), ("out", out), ("nowhere", nowhere), ("zero", zero)];
    for (kind, make) in all.into_iter().chain([("hard", hard)]) {
        for (file, look, change) in [
            ("study.json", &[3, 4][..], &[3, 4][..]),
            ("journal.jsonl", &[0, 4], &[4, 5]),
            ("journal.lock", &[0], &[4]),
            ("workers/p1.lock", &[0], &[0, 4]),
        ] {
            let (home, what) = (Home::new(), format!("{file} is {kind}"));
            let at = home.path("s").join(file);
            let _ = fs::remove_file(&at);
            make(&at, &home.path("outside"));
            home.run_all(&what, look, change);
        }
        // A process that died; nobody may take what stands there for its sign of life and wait.
        let home = Home::new();
        let lock = home.path("s/workers/p1.lock");
        let joined = r#""event":"joined","time":1,"process":1,"host":"h","boot":"b","pid":1}"#;
        append(&home, joined);
        make(&lock, &home.path("outside"));
        home.run_all(&format!("the lock of a dead process is {kind}"), &[0], &[0, 4]);
    }
    // Names that are written to, and must not be followed.
    for name in ["trials", "trials/2", "trials/2/.trialmill", "workers"] {
        let home = Home::new();
        fs::create_dir_all(home.path("s/trials/2")).unwrap();
        let _ = fs::remove_dir_all(home.path("s").join(name));
        out_dir(&home.path("s").join(name), &home.path("outside"));
        home.run_all(&format!("{name} leads out"), &[0], &[0, 4, 8]);
    }
    for name in ["stdout.log", "stderr.log", "config.json", "result.json", "lock"] {
        for make in [out, nowhere, hard, fifo, dir] {
            let home = Home::new();
            let own = home.path("s/trials/2/.trialmill");
            fs::create_dir_all(&own).unwrap();
            make(&own.join(format!("attempt-1.{name}")), &home.path("outside"));
            home.run(&["worker", "s"]).is(&[0, 8]);
            home.is_intact(name);
        }
    }
    for make in [out, nowhere, hard] {
        let home = Home::new();
        let journal = home.path("s/journal.jsonl");
        let end = fs::metadata(&journal).unwrap().len();
        fs::write(&journal, [&fs::read(&journal).unwrap()[..], b"torn"].concat()).unwrap();
        make(&home.path(&format!("s/torn-{end}")), &home.path("outside"));
        make(&home.path("s/journal.jsonl.before-repair-1"), &home.path("outside"));
        home.run(&["check", "s", "--repair"]).is(&[0]);
        home.run(&["ask", "s"]).is(&[0]);
        home.is_intact("torn");
    }
}

/// Appends a record with the right checksum and number.
fn append(home: &Home, body: &str) {
    append_bytes(home, body.as_bytes());
}

fn append_bytes(home: &Home, body: &[u8]) {
    let path = home.path("s/journal.jsonl");
    let mut journal = fs::read(&path).unwrap();
    let seq = journal.split(|byte| *byte == b'\n').count() - 1;
    let body = [format!("\"seq\":{seq},").as_bytes(), body].concat();
    journal.extend(format!("{{\"crc\":\"{:08x}\",", crc32fast::hash(&body)).as_bytes());
    journal.extend(body);
    journal.push(b'\n');
    fs::write(path, journal).unwrap();
}

#[test]
fn journals() {
    let put = r#""event":"reported","time":1,"trial":"1","attempt":1,"state":"success""#;
    let report = |value: &str| format!("{put},\"objective_to_minimize\":{value}}}").into_bytes();
    let sampled = |id: &str| {
        let id = serde_json::to_string(id).unwrap();
        let rest = r#""worker":"w","config":{"x":0.5}}"#;
        format!("\"event\":\"sampled\",\"time\":1,\"trial\":{id},{rest}").into_bytes()
    };
    let digits = "9".repeat(100_000);
    let mut records = vec![
        report(&deep(100_000)),
        report("1e400"),
        report(&digits),
        report("NaN"),
        report(&format!("1,\"extra\":{{\"a\":{}}}", deep(100_000))),
        report(&format!("1,\"unknown\":{}", deep(100_000))),
        report(&format!("1,\"cost\":{digits}")),
        report("1,\"objective_to_minimize\":2"),
        report(&format!("\"{}\"", "x".repeat(17 << 20))),
        format!("\"event\":\"{}\"}}", "x".repeat(1 << 20)).into_bytes(),
        format!("\"event\":\"joined\",\"time\":1,\"process\":{digits}}}").into_bytes(),
        format!("\"event\":\"policy\",\"time\":1,\"policy\":{}}}", deep(100_000)).into_bytes(),
        [&report("1,\"err_type\":\"")[..], b"\xff\xfe\"}"].concat(),
        deep(100_000).into_bytes(),
    ];
    for id in ["../x", "/abs", "a\0b", ".", "..", "", "\u{202e}gnp.exe", &"i".repeat(300)] {
        records.push(sampled(id));
    }
    for body in records {
        let home = Home::new();
        append_bytes(&home, &body);
        let shown = String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned();
        home.run_all(&shown, &[0], &[0, 5, 8, 9, 10]);
    }
    let home = Home::new();
    let journal = fs::read(home.path("s/journal.jsonl")).unwrap();
    let text = String::from_utf8(journal.clone()).unwrap();
    let crlf = text.replace('\n', "\r\n").into_bytes();
    let long = [&journal[..], &vec![b'a'; 17 << 20]].concat();
    let zeros = [&journal[..], &vec![0; 17 << 20]].concat();
    let heads = [&journal[..], &b"{\"crc\":\"00000000\",\"seq\":".repeat(100_000)].concat();
    let lines = [&journal[..], &vec![b'\n'; 4 << 20]].concat();
    let bom = ["\u{feff}".as_bytes(), &journal].concat();
    let twice = [&journal[..], &journal].concat();
    for (what, bytes, change) in [
        ("empty", vec![], &[0, 5, 7][..]),
        ("CRLF", crlf, &[5]),
        ("BOM", bom, &[5]),
        ("a line without an end", long, &[0]),
        ("zeros", zeros, &[0]),
        ("heads of records", heads, &[0]),
        ("empty lines", lines, &[0]),
        ("twice", twice, &[0]),
    ] {
        let home = Home::new();
        fs::write(home.path("s/journal.jsonl"), &bytes).unwrap();
        println!("{what}");
        home.run(&["status", "s"]).is(&[0]);
        home.run(&["check", "s"]).is(&[0, 5]);
        let ran = home.run(&["ask", "s"]);
        assert!(ran.code.is_some_and(|code| change.contains(&code)), "{what}: {ran:?}");
        ran.is_good(what);
        if ran.code == Some(5) {
            assert_eq!(fs::read(home.path("s/journal.jsonl")).unwrap(), bytes, "{what}");
        } else {
            let kept = fs::read_dir(home.path("s"))
                .unwrap()
                .flatten()
                .find(|entry| entry.file_name().to_string_lossy().starts_with("torn-"));
            let kept = kept.map_or(0, |entry| entry.metadata().unwrap().len() as usize);
            assert_eq!(kept, bytes.len().saturating_sub(journal.len()), "{what}: all that was cut");
        }
    }
}

#[test]
fn study_files_and_study_json() {
    let bomb: String =
        (1..40).map(|n| format!("a{n}: &a{n} [*a{0}, *a{0}, *a{0}]\n", n - 1)).collect();
    let digits = "9".repeat(100_000);
    let float = |upper: &str| format!("space: {{x: {{type: float, lower: 0, upper: {upper}}}}}\n");
    let mut files: Vec<(&str, Vec<u8>, &[i32])> = vec![
        ("deep flow", format!("space: {}", deep(100_000)).into(), &[2]),
        ("deep block", "- ".repeat(100_000).into(), &[2]),
        ("bomb", format!("a0: &a0 x\n{bomb}space: *a39\n").into(), &[2]),
        ("1e400", float("1e400").into(), &[2]),
        ("nan key", "space: {.nan: 1}".into(), &[0, 2]),
        ("inf key", "space: {x: {.inf: 1}}".into(), &[2]),
        ("digits", float(&digits).into(), &[2]),
        ("digits in the seed", format!("{STUDY}seed: {digits}\n").into(), &[2]),
        ("17 MiB", "#".repeat(17 << 20).into(), &[2]),
        ("15 MiB", format!("space: [{}]", "0,".repeat(7 << 20)).into(), &[2]),
        ("not UTF-8", b"space: {x: \"\xff\"}".to_vec(), &[2]),
        ("CRLF and BOM", format!("\u{feff}{}", STUDY.replace('\n', "\r\n")).into(), &[0]),
        ("double", format!("{STUDY}space: {{x: 1}}\n").into(), &[2]),
        ("nul", "space: {\"a\\0b\": [1, 2]}".into(), &[0, 2]),
        ("paths", "space: {../x: [1, 2], /abs: [1, 2]}".into(), &[0, 2]),
        ("RTL", "space: {\"\\u202egnp\": [1, 2]}".into(), &[0, 2]),
        ("long name", format!("space: {{{}: [1, 2]}}", "n".repeat(300)).into(), &[0, 2]),
        ("tag", "space: !!python/object/apply:os.system [id]".into(), &[2]),
    ];
    for (what, bytes, codes) in files.drain(..) {
        for name in ["study.yaml", "study.json"] {
            let home = Home::empty();
            fs::write(home.path(name), &bytes).unwrap();
            let codes = if name.ends_with("json") { &[0, 2] } else { codes };
            let ran = home.run(&["create", name, "--dir", "s"]);
            assert!(ran.code.is_some_and(|code| codes.contains(&code)), "{what}: {ran:?}");
            ran.is_good(what);
            assert!(ran.code == Some(0) || !home.path("s").exists(), "{what}: left something");
        }
    }
    let home = Home::empty();
    home.run(&["create", "/dev/zero", "--dir", "s"]).is(&[2]);
    home.run(&["create", "outside", "--dir", "s"]).is(&[2]);
    let good = fs::read_to_string(Home::new().path("s/study.json")).unwrap();
    let with = |from: &str, to: &str| good.replacen(from, to, 1).into_bytes();
    for (what, bytes) in [
        ("deep", deep(100_000).into_bytes()),
        (
            "deep value",
            with(
                "\"seed\": 7",
                &format!("\"seed\": 7, \"evaluation\": {{\"a\": {}}}", deep(100_000)),
            ),
        ),
        ("format", with("\"format\": 1", &format!("\"format\": {digits}"))),
        ("seed", with("\"seed\": 7", "\"seed\": 1e400")),
        ("double", with("\"seed\": 7", "\"seed\": 7, \"seed\": 8")),
        ("BOM", format!("\u{feff}{good}").into_bytes()),
        ("empty", vec![]),
        ("17 MiB", vec![b' '; 17 << 20]),
        (
            "many values",
            with(
                "\"seed\": 7",
                &format!("\"seed\": 7, \"evaluation\": {{\"a\": [{}0]}}", "0,".repeat(7 << 20)),
            ),
        ),
        ("not UTF-8", b"{\"format\": \"\xff\"}".to_vec()),
    ] {
        let home = Home::new();
        fs::write(home.path("s/study.json"), bytes).unwrap();
        home.run_all(what, &[3, 4], &[3, 4]);
    }
}

#[test]
fn ids_results_and_environments() {
    let home = Home::new();
    for id in ["../x", "/abs", "a b", ".", "..", "", "\u{202e}x", &"i".repeat(300), "a\nb"] {
        assert!(id.parse::<TrialId>().is_err(), "{id:?}");
        for verb in ["tell", "release", "retry", "trials"] {
            let rest: &[&str] = if verb == "tell" { &["--objective", "1"] } else { &[] };
            home.run(&[&[verb, "s", id], rest].concat()).is(&[2]);
        }
    }
    assert!("a\0b".parse::<TrialId>().is_err());
    let (digits, nested) = ("9".repeat(100_000), deep(50_000));
    let keys = format!("{{\"objective_to_minimize\": 1, \"info_dict\": {{\"a\": {nested}}}}}");
    for result in
        ["1e400", "nan", "{", "[[]]", "\u{feff}1", "{\"cost\": 1e999}", &digits, &nested, &keys]
    {
        assert!(
            trialmill_runtime::evaluate::parse_result(result, &Default::default()).is_ok()
                || !result.is_empty()
        );
        let home = Home::new();
        home.run(&["tell", "s", "1", "--result", result]).is(&[0, 2]);
        fs::write(home.path("result"), result).unwrap();
        home.run(&["run", "study.yaml", "--dir", "t", "-q", "--", "cat", "../../../result"])
            .is(&[0, 2, 8]);
        home.run(&["trials", "t", "--json"]).is(&[0]);
    }
    for command in [
        "head -c 6000000 /dev/zero",
        "printf '\\377\\376'",
        "mkfifo \"$TRIALMILL_RESULT\"",
        "mkdir \"$TRIALMILL_RESULT\"",
        "ln -s /dev/zero \"$TRIALMILL_RESULT\"",
        "cd \"$TRIALMILL_TRIAL_DIR\"/.trialmill && rm *.log && mkfifo attempt-1.stdout.log attempt-1.stderr.log",
    ] {
        let home = Home::new();
        home.run(&["run", "study.yaml", "--dir", "t", "-q", "--", "sh", "-c", command]).is(&[8]);
    }
    for (name, value) in [
        ("RUST_LOG", OsStr::from_bytes(b"=[[\xff,,trialmill=")),
        ("TRIALMILL_ATTEMPT", OsStr::new(&digits)),
        ("TRIALMILL_TRIAL_DIR", OsStr::new("/dev/zero")),
        ("HOME", OsStr::new("")),
        ("COLUMNS", OsStr::new("99999999999")),
    ] {
        home.run_with(&["status", "s"], &[(name, value)]).is(&[0]);
        home.run_with(&["ask", "s", "--deadline", "1e300"], &[(name, value)]).is(&[0, 2, 9]);
    }
    home.run(&[OsStr::new("status"), OsStr::from_bytes(b"\xff\x01")]).is(&[3]);
    home.run(&[OsStr::new("status"), OsStr::from_bytes("n".repeat(5000).as_bytes())]).is(&[3, 4]);
    assert!(StudyFile::from_json(Json::Null).is_err());
    assert!(Summary::read(Path::new("/dev/zero")).is_err());
    home.is_intact("ids");
}
