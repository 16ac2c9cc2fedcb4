//! The shape of the tree: who may use whom, how long a file may be, and which room knows what.
//! `ARCHITECTURE.md` says why; this test keeps it so.

#![allow(clippy::unwrap_used)] // This is a test.

#[path = "layering/arrows.rs"]
mod arrows;
#[path = "layering/planted.rs"]
mod planted;

use std::fs;
use std::path::{Path, PathBuf};

use arrows::{Arrows, Circle, Source};

/// The rooms from the bottom up: a room uses those in its list, itself, and the vocabulary.
const ROOMS: [(&str, &[&str]); 10] = [
    ("space", &[]),
    ("optimizer", &["space"]),
    ("study", &["optimizer", "space"]),
    ("store", &["optimizer", "space"]),
    ("neps", &["store", "optimizer", "space"]),
    ("layouts", &["neps", "store"]),
    ("evaluate", &["space"]),
    ("runtime", &["study", "store", "evaluate", "optimizer", "space"]),
    ("view", &["study", "store", "optimizer", "space"]),
    ("study_file", &["runtime", "optimizer", "space"]),
];

/// The vocabulary, used by all. Within it: words may use words, and nothing above them.
const WORDS: [&str; 11] = [
    "budget",
    "clock",
    "config",
    "definition",
    "error",
    "event",
    "limits",
    "plain",
    "printable",
    "texts",
    "trial",
];

/// What only one room may mention.
const SECRETS: [(&str, &[&str]); 6] = [
    ("actix", &["src/runtime/"]),
    ("tracing_subscriber", &["src/cli/"]),
    ("println!", &["src/cli/", "src/main.rs", "src/neps/pickle/tests/"]),
    ("serde_saphyr", &["src/study_file.rs"]),
    ("journal.jsonl", &["src/store/"]),
    // `bench` starts itself, to measure several processes. The tests of pickles and YAML ask Python.
    ("Command::new(", &["src/evaluate/", "src/cli/bench/", "src/neps/"]),
];

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The code of each file, without comments and without its unit tests.
fn code() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    assert!(files.len() > 30, "the sources are not where this test looks");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
        (name, lines.map(|line| format!("{line}\n")).collect())
    };
    files.into_iter().map(read).collect()
}

fn room_of(file: &str) -> &str {
    let path = file.trim_start_matches("src/");
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// Rooms that still have circles within them, each to be broken and taken off this list.
const KNOWN: [&str; 3] = [
    // mod.rs has both the verbs and what they share.
    "src/cli/",
    // core, watch, handle, published, state.
    "src/runtime/",
    // mod.rs has the `Store` trait, and opens and checks every layout, which use the trait.
    "src/store/",
];

/// Each use of a room that is not below its user.
fn upward_arrows(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, code) in sources {
        let own = room_of(file);
        if ["lib", "main", "cli"].contains(&own) {
            continue;
        }
        for used in code.split("crate::").skip(1) {
            let used = used.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
            let allowed = match ROOMS.iter().find(|(room, _)| *room == own) {
                Some((_, below)) => used == own || WORDS.contains(&used) || below.contains(&used),
                // The words describe spaces too, and are made of words; no circle is among them.
                None => {
                    let is_of_space = ["definition", "error"].contains(&own) && used == "space";
                    WORDS.contains(&used) || is_of_space
                }
            };
            if !allowed && !used.is_empty() {
                broken.push(format!("{file} uses crate::{used}"));
            }
        }
    }
    broken
}

/// The circles of files, but for those that are known.
fn new_circles(sources: &[Source]) -> Vec<Circle> {
    let is_known = |circle: &Circle| {
        KNOWN.iter().any(|room| circle.files.iter().all(|file| file.starts_with(room)))
    };
    Arrows::of(sources).circles().into_iter().filter(|circle| !is_known(circle)).collect()
}

#[test]
fn rooms_use_only_what_is_below_them() {
    let broken = upward_arrows(&code());
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let circles = new_circles(&code());
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn every_room_keeps_its_secrets() {
    let mut broken = Vec::new();
    for (file, code) in code() {
        for (secret, rooms) in SECRETS {
            let known = rooms.iter().any(|room| file.starts_with(room));
            if code.contains(secret) && !known {
                broken.push(format!("{file} knows of `{secret}`, which belongs to {rooms:?}"));
            }
        }
        let pure = file.starts_with("src/study/") || file.starts_with("src/optimizer/");
        for impure in ["std::fs", "std::thread", "std::time", "Instant", "now_s", "std::net"] {
            if pure && code.contains(impure) {
                broken.push(format!("{file} is pure and knows of `{impure}`"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_file_is_longer_than_can_be_read_at_once() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for dir in ["src", "tests", "examples", "benches"] {
        sources(&root.join(dir), &mut files);
    }
    let long: Vec<_> = files
        .iter()
        .map(|path| (path.display(), fs::read_to_string(path).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > 600)
        .collect();
    assert!(long.is_empty(), "split by meaning: {long:?}");
}
