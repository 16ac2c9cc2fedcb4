//! The shape of the tree: who may use whom, how long a file may be, and which room knows what.
//! `ARCHITECTURE.md` says why; this test keeps it so.

#![allow(clippy::unwrap_used)] // This is a test.

#[path = "layering/arrows.rs"]
mod arrows;
#[path = "layering/planted.rs"]
mod planted;

use std::fs;
use std::path::{Path, PathBuf};

use arrows::{Arrows, Source};

/// The crates from the bottom up, each with those that it may use. `trialmill` is the facade.
const CRATES: [(&str, &[&str]); 14] = [
    ("core", &[]),
    ("search", &[]),
    ("optimizers", &["core", "search"]),
    ("store", &["core"]),
    ("neps", &["core", "store"]),
    ("layouts", &["core", "store", "neps"]),
    ("runtime", &["core", "optimizers", "store", "layouts"]),
    ("view", &["core", "optimizers", "store", "layouts"]),
    ("plot", &["core", "view"]),
    ("dashboard", &["core", "store", "layouts", "runtime", "view", "plot"]),
    ("export", &["core", "view"]),
    ("watch", &["core", "store", "runtime", "view"]),
    ("trialmill", &["core", "optimizers", "store", "layouts", "runtime", "view"]),
    (
        "cli",
        &[
            "core",
            "optimizers",
            "store",
            "layouts",
            "runtime",
            "view",
            "plot",
            "dashboard",
            "watch",
            "export",
            "trialmill",
        ],
    ),
];

/// The rooms of the core from the bottom up: a room uses those in its list, itself, and the words.
const ROOMS: [(&str, &[&str]); 5] = [
    ("space", &[]),
    ("optimizer", &["space"]),
    ("warm_start", &["space"]),
    ("pruner", &[]),
    ("study", &["optimizer", "pruner", "space"]),
];

/// The vocabulary, used by all. Within it: words may use words, and nothing above them.
const WORDS: [&str; 15] = [
    "words",
    "notation",
    "json",
    "objectives",
    "budget",
    "config",
    "definition",
    "error",
    "evaluation",
    "event",
    "limits",
    "printable",
    "stopping",
    "interner",
    "trial",
];

/// What only one room may mention.
const SECRETS: [(&str, &[&str]); 5] = [
    ("actix", &["crates/runtime/src/", "crates/dashboard/src/"]),
    ("tracing_subscriber", &["crates/cli/src/"]),
    ("println!", &["crates/cli/src/", "crates/neps/src/pickle/tests/"]),
    ("journal.jsonl", &["crates/store/src/"]),
    // `bench` starts itself, to measure several processes; `sample` starts NePS. The tests of pickles and YAML ask Python.
    (
        "Command::new(",
        &[
            "crates/runtime/src/evaluate/",
            "crates/cli/src/bench/",
            "crates/cli/src/sample.rs",
            "crates/neps/src/",
        ],
    ),
];

/// What the pure crates know nothing of.
const IMPURE: [&str; 6] = ["std::fs", "std::thread", "std::time", "Instant", "now_s", "std::net"];

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

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of a crate.
fn folder(name: &str) -> PathBuf {
    if name == "trialmill" { root().into() } else { root().join("crates").join(name) }
}

/// The code of each file of a crate, without comments and without its unit tests. Names begin with
/// the crate's folder.
fn code_of(name: &str) -> Vec<Source> {
    let mut files = Vec::new();
    sources(&folder(name).join("src"), &mut files);
    assert!(!files.is_empty(), "the sources of {name} are not where this test looks");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        let name = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        (name, lines.map(|line| format!("{line}\n")).collect())
    };
    files.into_iter().map(read).collect()
}

/// The same, with names from `src/` on, as modules are named.
fn modules_of(name: &str) -> Vec<Source> {
    let in_crate = |(file, code): Source| {
        let (_, inner) = file.split_once("src/").unwrap();
        (format!("src/{inner}"), code)
    };
    code_of(name).into_iter().map(in_crate).collect()
}

fn room_of(file: &str) -> &str {
    let path = file.trim_start_matches("src/");
    path.split('/').next().unwrap_or(path).trim_end_matches(".rs")
}

/// Each of our crates that a manifest names as a dependency, which is not below it.
fn upward_crates(name: &str, manifest: &str) -> Vec<String> {
    let (_, below) = CRATES.iter().find(|(own, _)| *own == name).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let named = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    let used = named.filter(|used| used.starts_with("trialmill"));
    let used = used.map(|used| used.strip_prefix("trialmill-").unwrap_or(used));
    let upward = used.filter(|used| !below.contains(used));
    upward.map(|used| format!("{name} depends on {used}")).collect()
}

/// Each use of a room that is not below its user.
fn upward_arrows(sources: &[Source]) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, code) in sources {
        let own = room_of(file);
        if own == "lib" {
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

#[test]
fn crates_depend_only_on_what_is_below_them() {
    for (name, _) in CRATES {
        let manifest = fs::read_to_string(folder(name).join("Cargo.toml")).unwrap();
        assert_eq!(upward_crates(name, &manifest), Vec::<String>::new());
    }
    let folders = fs::read_dir(root().join("crates")).unwrap().flatten();
    let unknown = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let unknown: Vec<_> =
        unknown.filter(|name| !CRATES.iter().any(|(own, _)| own == name)).collect();
    assert!(unknown.is_empty(), "say in CRATES what these may use: {unknown:?}");
}

#[test]
fn rooms_of_the_core_use_only_what_is_below_them() {
    let broken = upward_arrows(&modules_of("core"));
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    for (name, _) in CRATES {
        let circles = Arrows::of(&modules_of(name)).circles();
        assert!(circles.is_empty(), "{name}: {circles:#?}");
    }
}

#[test]
fn every_room_keeps_its_secrets() {
    let mut broken = Vec::new();
    for (file, code) in CRATES.iter().flat_map(|(name, _)| code_of(name)) {
        for (secret, rooms) in SECRETS {
            let known = rooms.iter().any(|room| file.starts_with(room));
            if code.contains(secret) && !known {
                broken.push(format!("{file} knows of `{secret}`, which belongs to {rooms:?}"));
            }
        }
        let pure = file.starts_with("crates/core/") || file.starts_with("crates/search/");
        // How long something may take is no clock.
        let code = code.replace("std::time::Duration", "");
        for impure in IMPURE {
            if pure && code.contains(impure) {
                broken.push(format!("{file} is pure and knows of `{impure}`"));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn no_file_is_longer_than_can_be_read_at_once() {
    let mut files = Vec::new();
    for dir in ["src", "crates", "tests", "examples", "benches"] {
        sources(&root().join(dir), &mut files);
    }
    let long: Vec<_> = files
        .iter()
        .map(|path| (path.display(), fs::read_to_string(path).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > 600)
        .collect();
    assert!(long.is_empty(), "split by meaning: {long:?}");
}
