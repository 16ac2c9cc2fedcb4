//! The parts of a trial's way, each alone: `cargo bench --bench parts`; `-- --test` runs each once.
//! Directories are made in `TRIALMILL_BENCH_DIR`, else beside this crate's target directory.

#![allow(clippy::expect_used)] // This is a bench.

mod support;

use divan::Bencher;
use rand::SeedableRng;
use support::{Solo, objective, space};
use trialmill::RandomSearch;
use trialmill::{Durability, Study};

fn main() {
    divan::main();
}

fn directory() -> tempfile::TempDir {
    let base = std::env::var("TRIALMILL_BENCH_DIR").unwrap_or_else(|_| "target".into());
    tempfile::tempdir_in(base).expect("TRIALMILL_BENCH_DIR or target/ is a directory")
}

const WORKS: &str = "a bench's own study works";

#[divan::bench]
fn sample_one_configuration(bencher: Bencher<'_, '_>) {
    let space = space().expect(WORKS);
    let mut rng = rand::rngs::Xoshiro256PlusPlus::seed_from_u64(1);
    bencher.bench_local(|| space.config(|(_, parameter)| parameter.sample(&mut rng)));
}

#[divan::bench(args = [1, 64])]
fn turn_in_memory(bencher: Bencher<'_, '_>, trials: usize) {
    let mut solo = Solo::in_memory().expect(WORKS);
    bencher.counter(trials).bench_local(|| solo.batch(trials).expect(WORKS));
}

#[divan::bench(args = [1, 64])]
fn commit_buffered(bencher: Bencher<'_, '_>, trials: usize) {
    let dir = directory();
    let mut solo = Solo::on_disk(&dir.path().join("s"), Durability::Buffered).expect(WORKS);
    bencher.counter(trials).bench_local(|| solo.batch(trials).expect(WORKS));
}

#[divan::bench(args = [1, 64])]
fn commit_synced(bencher: Bencher<'_, '_>, trials: usize) {
    let dir = directory();
    let mut solo = Solo::on_disk(&dir.path().join("s"), Durability::Synced).expect(WORKS);
    bencher.counter(trials).bench_local(|| solo.batch(trials).expect(WORKS));
}

/// Another process has done so many trials since we last looked.
#[divan::bench(args = [1, 64, 1_000])]
fn catch_up(bencher: Bencher<'_, '_>, trials: usize) {
    let dir = directory();
    let path = dir.path().join("s");
    let mut other = Solo::on_disk(&path, Durability::Buffered).expect(WORKS);
    let mut solo = Solo::on_disk(&path, Durability::Buffered).expect(WORKS);
    bencher
        .counter(trials)
        .with_inputs(|| other.batch(trials).expect(WORKS))
        .bench_local_values(|()| solo.catch_up().expect(WORKS));
}

#[divan::bench(args = [1_000, 10_000], sample_size = 1, sample_count = 20)]
fn open(bencher: Bencher<'_, '_>, trials: usize) {
    let dir = directory();
    let path = dir.path().join("s");
    let mut solo = Solo::on_disk(&path, Durability::Buffered).expect(WORKS);
    (0..=trials / 64).for_each(|_| solo.batch(64).expect(WORKS));
    bencher
        .counter(trials)
        .bench_local(|| Solo::on_disk(&path, Durability::Buffered).expect(WORKS));
}

/// A message to the state actor and back, from one thread.
#[divan::bench]
fn round_trip(bencher: Bencher<'_, '_>) {
    let session = Study::in_memory()
        .optimizer(RandomSearch::new())
        .space(space().expect(WORKS))
        .open()
        .expect(WORKS);
    let handle = session.handle();
    bencher.bench_local(|| handle.exchange(Vec::new()).expect(WORKS));
}

/// Many workers and one study: a thousand trials.
#[divan::bench(args = [1, 8, 64], sample_size = 1, sample_count = 20)]
fn contention(bencher: Bencher<'_, '_>, workers: usize) {
    bencher.counter(1_000_usize).bench_local(|| {
        let study = Study::in_memory()
            .optimizer(RandomSearch::new())
            .space(space().expect(WORKS))
            .workers(workers);
        study.max_evaluations(1_000).ctrl_c(false).run(objective).expect(WORKS)
    });
}
