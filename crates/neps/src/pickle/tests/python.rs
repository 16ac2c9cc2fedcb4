//! CPython reads what we wrote, and finds the same values as in the original.

use std::path::Path;
use std::process::Command;

use super::super::{Item, Pickle, write};
use super::*;

/// Runs `check.py`; returns whether there is a Python to run it.
fn python(action: &str, dir: &Path) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pickle/tests/check.py");
    let Ok(done) = Command::new("python3").arg(script).arg(action).arg(dir).output() else {
        println!("skipped: there is no python3");
        return false;
    };
    let output = String::from_utf8_lossy(&done.stdout);
    print!("{output}");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    true
}

fn rewrite(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let mut again = Vec::new();
        for pickle in read_all(&bytes) {
            write(&pickle, &mut again)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        std::fs::write(format!("{}.again", path.display()), again).unwrap();
    }
}

#[test]
fn python_sees_the_same_in_every_file_of_neps_that_we_wrote_again() {
    let dir = tempfile::tempdir().unwrap();
    for (number, (_, bytes)) in samples::files().into_iter().enumerate() {
        std::fs::write(dir.path().join(format!("{number}.pkl")), bytes).unwrap();
    }
    rewrite(dir.path());
    python("compare", dir.path());
}

#[test]
fn python_sees_the_same_in_everything_that_its_picklers_write() {
    let dir = tempfile::tempdir().unwrap();
    if python("make", dir.path()) {
        rewrite(dir.path());
        python("compare", dir.path());
    }
}

#[test]
fn python_sees_the_same_in_copies_that_borrow_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for (number, (_, bytes)) in samples::files().into_iter().enumerate() {
        let path = dir.path().join(format!("{number}.pkl"));
        let (mut one, mut again) = (Vec::new(), Vec::new());
        let mut copies = Pickle::new();
        for pickle in read_all(&bytes) {
            let mut root = copies.copy_from(&pickle, pickle.root());
            root = copies.add(Item::List(vec![root]));
            copies.set_root(root);
            write(&copies, &mut again).unwrap();
            let mut pickle = pickle.into_owned();
            let root = pickle.add(Item::List(vec![pickle.root()]));
            pickle.set_root(root);
            write(&pickle, &mut one).unwrap();
        }
        std::fs::write(&path, one).unwrap();
        std::fs::write(format!("{}.again", path.display()), again).unwrap();
    }
    python("compare", dir.path());
}
