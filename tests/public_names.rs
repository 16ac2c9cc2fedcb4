//! The public names of the library, held against `tests/public_names.txt`: one more is a promise, and
//! one less a breach, so neither happens by the way. (The crates behind the facade promise nothing.)

#![allow(clippy::unwrap_used)] // This is a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// A facade of more names than this is none.
const MOST: usize = 60;

/// The names that `src/lib.rs` re-exports or defines.
fn names(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for item in code.split("\npub ").skip(1) {
        let Some(exported) = item.strip_prefix("use ") else {
            let defined = item.split_whitespace().nth(1).unwrap();
            names.insert(defined.split(['{', '(', ';', '<']).next().unwrap().into());
            continue;
        };
        let exported = exported.split(';').next().unwrap();
        assert!(!exported.contains('*'), "a glob hides names: {exported}");
        let list = match exported.split_once('{') {
            Some((_, list)) => list.trim_end().trim_end_matches('}'),
            None => exported.rsplit("::").next().unwrap(),
        };
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            names.insert(name.rsplit(" as ").next().unwrap().into());
        }
    }
    names
}

#[test]
fn the_public_names_are_those_of_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = names(&fs::read_to_string(root.join("src/lib.rs")).unwrap());
    let list = fs::read_to_string(root.join("tests/public_names.txt")).unwrap();
    let listed: BTreeSet<String> = list.lines().map(String::from).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "not in tests/public_names.txt: {new:?}; there, and not in src/lib.rs: {gone:?}"
    );
    assert!(found.len() <= MOST, "{} names are too many", found.len());
}

#[test]
fn a_planted_name_is_found_in_whatever_form_it_is_exported() {
    let code = "mod x;\npub use a::b::C;\npub use d::{E, f as g};\npub use h::{\n    I,\n};\n\
                pub fn j() {}\npub enum K {}\npub struct L;\n";
    assert_eq!(names(code), ["C", "E", "I", "K", "L", "g", "j"].map(String::from).into());
}
