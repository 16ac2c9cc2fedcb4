//! Two machines on one directory over NFS lost acknowledged reports, evaluated trials twice, and one of
//! them ended with "60 trials succeeded": each read and appended to its own idea of the journal,
//! because the lock was on another file, and a hole in that idea was taken for a torn end and cut.
//!
//! Here the machines are processes over a simulated network file system with NFS's cache rules; real
//! ones are in `tests/nfs/`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use trialmill::Error;
use trialmill_core::error::StoreError;
use trialmill_store::{Directory, Disk, SimClient, SimServer};

#[path = "support/small.rs"]
#[allow(dead_code)] // This test needs a part of it.
mod small;

use small::{Ledger, Process, directory, open, tidy};

/// How long a lock is waited for here.
const PATIENCE: Duration = Duration::from_millis(20);
const MACHINES: usize = 3;

fn server(directory: &Directory, seed: u64) -> SimServer {
    SimServer::new(std::fs::read(directory.journal_path()).unwrap(), seed, PATIENCE)
}

/// A small generator of our own, so that a seed means the same run for ever.
struct Draws(u64);

impl Draws {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33) % n
    }
}

/// Everything acknowledged is stored, as a machine sees it that comes new.
fn is_whole(directory: &Directory, server: &SimServer, ledger: &Ledger, what: &str) {
    let core = open(directory, server.client()).unwrap_or_else(|e| panic!("{what}: {e}"));
    ledger.lock().unwrap().are_in(core.study(), what);
}

fn kept_ends(directory: &Directory) -> usize {
    let entries = std::fs::read_dir(directory.path()).unwrap().flatten();
    entries.filter(|e| e.file_name().to_string_lossy().starts_with("torn-")).count()
}

/// Machines take turns in an order that the seed decides.
fn take_turns(seed: u64, client: fn(&SimServer) -> SimClient) {
    let dir = tempfile::tempdir().unwrap();
    let directory = directory(dir.path());
    let (server, ledger) = (server(&directory, seed), Ledger::default());
    let mut draws = Draws(seed);
    let mut machines: Vec<Process> =
        (0..MACHINES).map(|_| Process::open(&directory, client(&server)).unwrap()).collect();
    for _ in 0..40 {
        let machine = draws.below(MACHINES as u64) as usize;
        machines[machine].step(&ledger).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    drop(machines);
    is_whole(&directory, &server, &ledger, &format!("seed {seed}"));
    assert_eq!(kept_ends(&directory), 0, "seed {seed}: nobody died, and an end was cut");
}

#[test]
fn machines_that_take_turns_see_each_other_whatever_their_caches_hold() {
    for seed in 0..150 {
        take_turns(seed, SimServer::client);
    }
}

/// The journal was used like this on every file system.
#[test]
fn a_journal_that_is_not_locked_itself_loses_what_was_acknowledged() {
    std::panic::set_hook(Box::new(|_| {}));
    let fails = |seed| {
        let run = || take_turns(seed, |server| server.client().without_locks());
        std::panic::catch_unwind(AssertUnwindSafe(run)).is_err()
    };
    let lost = (0..20).filter(|seed| fails(*seed)).count();
    let _ = std::panic::take_hook();
    assert!(lost > 15, "the rules of the simulated network find {lost} of 20");
}

/// A machine that dies while its pages are on the way leaves an end with or without holes.
#[test]
fn an_end_without_holes_is_cut_after_a_death_and_one_with_holes_never() {
    let (mut cut, mut refused) = (0, 0);
    for seed in 0..120 {
        let what = format!("seed {seed}");
        let dir = tempfile::tempdir().unwrap();
        let directory = directory(dir.path());
        let (server, ledger) = (server(&directory, seed), Ledger::default());
        let mut draws = Draws(seed);
        let dying = server.client().dying_at(2 + draws.below(8));
        let mut dying = Process::open(&directory, dying).unwrap();
        let mut other = Process::open(&directory, server.client()).unwrap();
        while dying.step(&ledger).is_ok() {
            if draws.below(2) == 0 {
                other.step(&ledger).unwrap();
            }
        }
        drop(dying);
        let left = server.bytes();
        match other.step(&ledger) {
            Ok(()) => {
                cut += kept_ends(&directory);
                other.step(&ledger).unwrap();
                is_whole(&directory, &server, &ledger, &what);
            }
            Err(Error::Store(StoreError::Damaged { offset, .. })) => {
                assert!(left[offset as usize..].contains(&0), "{what}: there is no hole");
                assert_eq!(server.bytes(), left, "{what}: a doubt changed the journal");
                assert_eq!(kept_ends(&directory), 0, "{what}");
                refused += 1;
            }
            Err(error) => panic!("{what}: {error}"),
        }
        tidy(&directory);
    }
    println!("{cut} ends were cut, {refused} were refused for their holes");
    assert!(cut > 5 && refused > 5, "{cut} {refused}: the machines died at dull places");
}

/// A machine that falls silent in the middle of a turn, while another goes on.
struct Stalling {
    disk: SimClient,
    /// What happens between its append and its sync.
    meanwhile: Arc<Mutex<Option<Meanwhile>>>,
}

type Meanwhile = Box<dyn FnOnce() + Send>;

impl Disk for Stalling {
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
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        self.disk.sync()
    }
    fn is_shared(&self) -> bool {
        true
    }
    fn patience(&self) -> Duration {
        self.disk.patience()
    }
    fn lock(&mut self, timeout: Duration) -> io::Result<()> {
        self.disk.lock(timeout)
    }
    fn unlock(&mut self) -> io::Result<()> {
        self.disk.unlock()
    }
    fn replace_with_copy(&mut self, is_ours: &dyn Fn() -> bool) -> io::Result<()> {
        self.disk.replace_with_copy(is_ours)
    }
}

/// Gives the error of the machine that was silent; `expires` says whether its server frees its locks
/// (NFS 4) or keeps them for ever (NFS 3).
fn falls_silent(expires: bool, when: usize) -> Error {
    let dir = tempfile::tempdir().unwrap();
    let directory = directory(dir.path());
    let (server, ledger) = (server(&directory, 1), Ledger::default());
    let meanwhile = Arc::new(Mutex::new(None));
    let disk = Stalling { disk: server.client(), meanwhile: meanwhile.clone() };
    let mut silent = Process::open(&directory, disk).unwrap();
    let mut other = Process::open(&directory, server.client()).unwrap();
    for _ in 0..when {
        silent.step(&ledger).unwrap();
        other.step(&ledger).unwrap();
    }
    let other = Arc::new(Mutex::new(other));
    let (goes_on, others_ledger, at_server) = (other.clone(), ledger.clone(), server.clone());
    *meanwhile.lock().unwrap() = Some(Box::new(move || {
        if expires {
            at_server.expire_locks();
        }
        for _ in 0..5 {
            goes_on.lock().unwrap().step(&others_ledger).unwrap();
        }
    }));
    let error = silent.step(&ledger).expect_err("it acknowledged what nobody has");
    for _ in 0..3 {
        other.lock().unwrap().step(&ledger).unwrap();
    }
    is_whole(&directory, &server, &ledger, &format!("expires: {expires}, turn {when}"));
    error
}

#[test]
fn a_machine_that_was_silent_in_a_turn_acknowledges_nothing_that_others_do_not_have() {
    for when in 0..6 {
        // The server rejects what it still had to write.
        let error = falls_silent(true, when);
        assert!(matches!(error, Error::Store(StoreError::Io { action: "sync", .. })), "{error}");
        // The server takes it, into the file that others have left behind.
        let error = falls_silent(false, when);
        assert!(matches!(error, Error::Store(StoreError::LockLost { .. })), "{error}");
    }
}
