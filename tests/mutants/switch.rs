//! Which mutant is on: the one that `MUTANT` names. With `MUTANT=0` none is, and the file that `MUTANTS_REACHED`
//! names gets the number of each that was reached.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

static REACHED: [AtomicBool; 10_000] = [const { AtomicBool::new(false) }; 10_000];

/// Whether this mutant is on.
pub fn is_on(number: usize) -> bool {
    static ON: OnceLock<Option<usize>> = OnceLock::new();
    let on = *ON.get_or_init(|| std::env::var("MUTANT").ok()?.parse().ok());
    if on == Some(0)
        && !REACHED[number].swap(true, Ordering::Relaxed)
        && let Ok(path) = std::env::var("MUTANTS_REACHED")
        && let Ok(mut file) = std::fs::OpenOptions::new().append(true).create(true).open(path)
    {
        let _ = file.write_all(format!("{number}\n").as_bytes());
    }
    on == Some(number)
}
