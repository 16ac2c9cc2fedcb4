//! How fast pickles are read and written:
//! `cargo test --release --lib pickle -- --ignored --nocapture`.

use std::time::Instant;

use super::super::{Item, Pickle, read};
use super::*;

#[test]
#[ignore = "a measurement, not a test"]
fn how_fast_a_consolidated_cache_is_read_and_written() {
    let trials = 100_000_u32;
    let files = samples::files();
    let (_, sample) =
        files.iter().find(|(path, _)| path.ends_with("0.17.0-trial_cache-odd.pkl")).unwrap();
    let records = read_all(sample);
    let mut cache = Pickle::new();
    let began = Instant::now();
    let mut pairs = Vec::new();
    for trial in 0..trials {
        let key = cache.str(trial.to_string());
        // The trial as it was sampled: only what every trial has.
        let copy = cache.copy_from(&records[0], records[0].root());
        let metadata = cache.field(copy, "metadata").unwrap();
        let location = cache.str(format!("/opt/run/configs/config_{trial}"));
        cache.set_field(metadata, "id", key);
        cache.set_field(metadata, "location", location);
        pairs.push((key, copy));
    }
    let root = cache.add(Item::Dict(pairs));
    cache.set_root(root);
    println!("{trials} copies: {:.1?}", began.elapsed());
    let mut bytes = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        bytes = written(&cache);
        let seconds = began.elapsed().as_secs_f64();
        println!("written: {:.0} MB/s", bytes.len() as f64 / 1e6 / seconds);
    }
    println!("{} bytes, {} a trial", bytes.len(), bytes.len() / trials as usize);
    for _ in 0..5 {
        let began = Instant::now();
        let (pickle, _) = read(&bytes).unwrap();
        let seconds = began.elapsed().as_secs_f64();
        let (megabytes, items) = (bytes.len() as f64 / 1e6, pickle.items.len() as f64 / 1e6);
        println!("read: {:.0} MB/s, {:.1} M items/s", megabytes / seconds, items / seconds);
    }
}
