//! Power cuts: from everything that a cut could leave of a journal, every answer that anybody got
//! comes back. Several processes' commits overlap, each one's sync after the others' appends, and
//! the disk writes in pieces of 512 bytes in any order.
//!
//! `TRIALMILL_IMAGES=1000000 cargo test --release --test crash_images` runs the long form.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};

use trialmill::Error;
use trialmill_core::error::StoreError;
use trialmill_store::{CrashImage, Directory, Disk, SimDisk, read_study};

#[path = "support/small.rs"]
mod small;

use small::{Acked, Ledger, Process, open, print};

/// Images of a moment with more unsynced pieces than can be built exhaustively.
const SAMPLES: usize = 60;

const PROCESSES: usize = 4;

/// What was on the disk at one moment, and what had been promised by then.
struct Moment {
    synced: Vec<u8>,
    images: Vec<CrashImage>,
    acked: Acked,
    /// Whether one commit alone was unsynced.
    alone: bool,
}

/// The processes of a study, and what a power cut could have left at each of their syncs.
#[derive(Default)]
struct World {
    waiting: Mutex<Vec<Process>>,
    moments: Mutex<Vec<Moment>>,
    ledger: Ledger,
    random: Mutex<u64>,
    /// The mistake that these images must find: commits are acknowledged without a sync.
    without_sync: bool,
}

impl World {
    fn draw(&self, below: u64) -> u64 {
        let mut random = self.random.lock().unwrap();
        *random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*random >> 33) % below
    }
}

/// The disk of one process. Its sync takes long: meanwhile others take whole turns.
struct Overlapping {
    disk: SimDisk,
    world: Arc<World>,
}

impl Disk for Overlapping {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.read_at(buffer, offset)
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.append(bytes)
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.disk.truncate(len)
    }
    fn sync(&mut self) -> io::Result<()> {
        if self.world.draw(2) > 0 {
            let other = self.world.waiting.lock().unwrap().pop();
            if let Some(mut other) = other {
                other.step(&self.world.ledger).unwrap();
                self.world.waiting.lock().unwrap().push(other);
            }
        }
        let images = self.disk.crash_images(SAMPLES, self.world.draw(u64::MAX >> 33));
        let acked = self.world.ledger.lock().unwrap().clone();
        let alone = self.world.waiting.lock().unwrap().len() + 1 == PROCESSES;
        let moment = Moment { synced: self.disk.bytes().1, images, acked, alone };
        self.world.moments.lock().unwrap().push(moment);
        if self.world.without_sync { Ok(()) } else { self.disk.sync() }
    }
}

/// Several processes take turns on a journal that begins like this.
fn work(directory: &Directory, journal: SimDisk, world: World, turns: usize) -> World {
    let world = Arc::new(world);
    for _ in 0..PROCESSES {
        let disk = Overlapping { disk: journal.clone(), world: world.clone() };
        let process = Process::open(directory, disk).unwrap();
        world.waiting.lock().unwrap().push(process);
    }
    for _ in 0..turns {
        let place = world.draw(world.waiting.lock().unwrap().len() as u64) as usize;
        let mut process = world.waiting.lock().unwrap().remove(place);
        process.step(&world.ledger).unwrap();
        world.waiting.lock().unwrap().insert(0, process);
    }
    world.waiting.lock().unwrap().clear();
    Arc::into_inner(world).expect("no process is left")
}

#[derive(Debug, Default)]
struct Seen {
    images: usize,
    in_order: usize,
    torn: usize,
    refused: usize,
    /// Of these, those where the pieces of one commit alone were out of order.
    refused_alone: usize,
}

impl Seen {
    /// Opens what a power cut left. Whoever was told something finds it.
    fn judge(&mut self, directory: &Directory, moment: &Moment, image: &CrashImage) {
        self.images += 1;
        self.in_order += usize::from(image.in_order);
        let what = format!("image {} ({} bytes)", self.images, image.bytes.len());
        let disk = SimDisk::new(image.bytes.clone());
        match open(directory, disk.clone()) {
            Ok(core) => {
                moment.acked.are_in(core.study(), &what);
                let first = (print(core.study()), disk.bytes().0);
                self.torn += usize::from(first.1.len() < image.bytes.len());
                drop(core);
                let again = open(directory, disk.clone()).unwrap();
                assert_eq!(
                    (print(again.study()), disk.bytes().0),
                    first,
                    "{what}: a second recovery"
                );
                drop(again);
                // Nobody is given the id of another's trial.
                let ledger = Arc::new(Mutex::new(moment.acked.clone()));
                let mut process = Process::open(directory, disk).unwrap();
                process.ask(2, &ledger).unwrap();
                moment.acked.are_in(process.core.study(), &what);
            }
            // Sound records behind lost ones: nothing tells whether those had been acknowledged.
            // They had not, so all that was is readable; and only a disk that wrote out of order
            // leaves this.
            Err(Error::Store(StoreError::Damaged { .. })) => {
                self.refused += 1;
                self.refused_alone += usize::from(moment.alone);
                assert!(!image.in_order, "{what}: refused, though it was written in order");
                assert!(disk.bytes().0 == image.bytes, "{what}: it was refused and changed");
                std::fs::write(directory.journal_path(), &image.bytes).unwrap();
                let mut study = trialmill::StudyState::new(directory.definition().clone());
                let problem = read_study(directory, &mut |event| study.apply(event)).unwrap();
                assert!(problem.is_some(), "{what}: readers are told");
                moment.acked.are_in(&study, &what);
            }
            Err(error) => panic!("{what}: {error}"),
        }
        small::tidy(directory);
    }
}

#[test]
fn whatever_a_power_cut_leaves_has_every_answer_that_was_given() {
    let wanted = std::env::var("TRIALMILL_IMAGES").ok().and_then(|text| text.parse().ok());
    let wanted: usize = wanted.unwrap_or(2_500);
    let temp = tempfile::tempdir().unwrap();
    let directory = small::directory(temp.path());
    let (mut seen, mut seed) = (Seen::default(), 0);
    while seen.images < wanted {
        seed += 1;
        println!("seed {seed}, after {} images", seen.images);
        let mut journal = small::new_journal(&directory);
        let mut acked = Acked::default();
        // A second and a third life begin with what a power cut left of the one before.
        for life in 0..3 {
            let (random, ledger) = (Mutex::new(seed * 10 + life), Arc::new(Mutex::new(acked)));
            let world = World { ledger, random, ..World::default() };
            let world = work(&directory, journal, world, 10);
            let moments = world.moments.lock().unwrap();
            for moment in moments.iter() {
                // In the short form some of each moment, in the long form all.
                let step = 1 + moment.images.len() / (1 + wanted / 20);
                for image in moment.images.iter().step_by(step) {
                    seen.judge(&directory, moment, image);
                }
            }
            let last = moments.last().expect("somebody synced");
            let torn = last.images.iter().filter(|image| image.in_order);
            let torn = torn.max_by_key(|image| image.bytes.len()).expect("there is an image");
            // Cut in a record, so that the next life begins with a truncate.
            let cut = torn.bytes.len().max(last.synced.len() + 1) - 1;
            journal = SimDisk::new(torn.bytes[..cut].to_vec());
            acked = last.acked.clone();
            std::fs::write(directory.journal_path(), first_record(&directory)).unwrap();
        }
    }
    println!("{seen:?}: no acknowledged word was lost");
    assert!(seen.images >= 2_000 && seen.in_order > 200 && seen.torn > 200, "{seen:?}");
}

/// A buffered study that was closed well lost its results in a power cut a second later.
#[test]
fn what_was_buffered_is_stored_at_a_good_close() {
    let temp = tempfile::tempdir().unwrap();
    let directory = small::directory(temp.path());
    let journal = small::new_journal(&directory);
    let search = Box::new(trialmill::RandomSearch::new());
    let disk = Box::new(journal.clone());
    let durability = trialmill::Durability::Buffered;
    let mut core =
        trialmill_runtime::StateCore::open_on(disk, directory.clone(), durability, search).unwrap();
    assert_eq!((core.process(), core.path()), (0, Some(directory.path())));
    core.join().unwrap();
    assert_eq!(core.process(), 1);
    core.change_policy(|policy| policy.budget.evaluations = Some(9)).unwrap();
    let (now, synced) = journal.bytes();
    assert!(now.len() > synced.len(), "nothing was buffered");
    drop(core);
    let (closed, synced) = journal.bytes();
    assert!(closed == now && synced == now, "a power cut loses what was buffered");
}

/// Images that say yes to everything would make the above worthless: without the sync before an
/// acknowledgement, the first commits already show it.
#[test]
fn an_acknowledgement_without_a_sync_is_seen() {
    let temp = tempfile::tempdir().unwrap();
    let directory = small::directory(temp.path());
    let journal = small::new_journal(&directory);
    let world = World { without_sync: true, ..World::default() };
    let world = work(&directory, journal, world, 4);
    let moments = world.moments.lock().unwrap();
    let judge = |moment: &Moment, image: &CrashImage| {
        small::tidy(&directory);
        let judged = AssertUnwindSafe(|| Seen::default().judge(&directory, moment, image));
        let Err(panic) = std::panic::catch_unwind(judged) else { return false };
        let said = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        ["is lost", "the report of trial", "the budget"].iter().any(|what| said.contains(what))
    };
    // What is lost is an acknowledged word, also where the disk wrote in order.
    let in_order = |image: &&CrashImage| image.in_order;
    let mut seen = moments.iter().flat_map(|moment| {
        moment.images.iter().filter(in_order).map(move |image| judge(moment, image))
    });
    assert!(seen.any(|is_lost| is_lost), "nobody missed the sync");
}

/// The first record, which is where each study of this test begins.
fn first_record(directory: &Directory) -> Vec<u8> {
    let bytes = std::fs::read(directory.journal_path()).unwrap();
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
    bytes[..=end].to_vec()
}
