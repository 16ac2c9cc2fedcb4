//! A disk for tests: it knows what was synced, gives what a power cut could leave, and fails on
//! request.
//!
//! A later sync that succeeds covers what an earlier one failed to write: Linux may forget those
//! bytes instead. So what a test shows here holds for the process whose sync failed, and after it.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use super::Disk;

/// What a disk writes as a whole, or not at all.
const SECTOR: usize = 512;
/// Up to so many unsynced pieces, every subset of them is built; above, some.
const EXHAUSTIVE: usize = 10;

/// A file in memory. A clone of what never synced is the same file, opened by another process.
#[derive(Debug, Clone, Default)]
pub struct SimDisk {
    file: Arc<Mutex<SimFile>>,
    sync_failed: bool,
}

/// Makes an operation fail.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Which one, from 1: `len`, `read_at`, `append`, `truncate` and `sync` all count.
    pub operation: u64,
    /// How, as an errno: 28 is `StorageFull`, 5 an input/output error.
    pub errno: i32,
    /// Whether an append writes a part before it fails.
    pub short: bool,
    /// Whether all appends, truncates and syncs after it fail too.
    pub lasting: bool,
}

#[derive(Debug, Default)]
struct SimFile {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Piece>,
    operations: u64,
    fault: Option<Fault>,
    syncs_after_failure: u64,
}

/// What reaches the disk as a whole, or not at all.
#[derive(Debug, Clone)]
enum Piece {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

/// What could be on the disk after a power cut.
#[derive(Debug, Clone)]
pub struct CrashImage {
    /// The file.
    pub bytes: Vec<u8>,
    /// Whether the unsynced pieces reached the disk in their order: none without all before it.
    pub in_order: bool,
}

impl SimDisk {
    /// A file with this content, all of it synced.
    pub fn new(bytes: Vec<u8>) -> Self {
        let file = SimFile { synced: bytes.clone(), bytes, ..SimFile::default() };
        SimDisk { file: Arc::new(Mutex::new(file)), sync_failed: false }
    }

    /// What processes read, and what of it survives power loss for certain.
    pub fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        let file = self.file.lock();
        (file.bytes.clone(), file.synced.clone())
    }

    /// How many operations there were, of all processes; and how many of them were syncs that a
    /// process tried after one of its own had failed. None should be.
    pub fn operations(&self) -> (u64, u64) {
        let file = self.file.lock();
        (file.operations, file.syncs_after_failure)
    }

    /// Lets an operation fail, or none any more.
    pub fn fail(&self, fault: Option<Fault>) {
        self.file.lock().fault = fault;
    }

    /// What a power cut at this moment could leave: the synced bytes with any of the unsynced appends
    /// and truncates, in pieces of 512 bytes, where a missing piece may also read as zeros.
    /// All of them for few pieces; else `samples` of them, drawn with `seed`.
    pub fn crash_images(&self, samples: usize, seed: u64) -> Vec<CrashImage> {
        let file = self.file.lock();
        let count = file.unsynced.len();
        if count <= EXHAUSTIVE {
            return (0..2_u64 << count).map(|has| file.image(|n| has >> n & 1 == 1)).collect();
        }
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        // In every other image, the pieces up to some point are there and none after it, which is
        // what most disks leave.
        let sample = |n: usize| {
            let end = random.next_u64() as usize % (count + 1);
            let kept: Vec<bool> = (0..=count).map(|_| random.next_u64() & 1 == 1).collect();
            file.image(|piece| if n.is_multiple_of(2) { piece < end } else { kept[piece] })
        };
        (0..samples).map(sample).collect()
    }
}

impl SimFile {
    /// The image with the pieces that `has` selects, applied in their order. The number after the
    /// last piece stands for the file's length alone.
    fn image(&self, has: impl Fn(usize) -> bool) -> CrashImage {
        let mut bytes = self.synced.clone();
        let count = self.unsynced.len();
        for (_, piece) in self.unsynced.iter().enumerate().filter(|(n, _)| has(*n)) {
            piece.apply(&mut bytes);
        }
        if has(count) && bytes.len() < self.bytes.len() {
            bytes.resize(self.bytes.len(), 0);
        }
        CrashImage { bytes, in_order: !(0..count).skip_while(|n| has(*n)).any(&has) }
    }

    fn change(&mut self, piece: Piece) {
        piece.apply(&mut self.bytes);
        self.unsynced.push(piece);
    }

    fn append(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let (at, old) = (self.bytes.len(), rest);
            rest = &rest[rest.len().min(SECTOR - at % SECTOR)..];
            self.change(Piece::Write { at, bytes: old[..old.len() - rest.len()].to_vec() });
        }
    }

    /// Counts an operation, and fails if a fault is set for it.
    fn count(&mut self, writes: bool) -> io::Result<()> {
        self.operations += 1;
        let Some(fault) = &self.fault else { return Ok(()) };
        let later = fault.lasting && writes && fault.operation < self.operations;
        let fails = later || fault.operation == self.operations;
        if fails { Err(io::Error::from_raw_os_error(fault.errno)) } else { Ok(()) }
    }
}

impl Piece {
    fn apply(&self, file: &mut Vec<u8>) {
        match self {
            Piece::Truncate(len) => file.truncate(*len),
            Piece::Write { at, bytes } => {
                file.resize(file.len().max(at + bytes.len()), 0);
                file[*at..at + bytes.len()].copy_from_slice(bytes);
            }
        }
    }
}

impl Disk for SimDisk {
    fn len(&self) -> io::Result<u64> {
        let mut file = self.file.lock();
        file.count(false)?;
        Ok(file.bytes.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut file = self.file.lock();
        file.count(false)?;
        let mut rest = file.bytes.get(offset as usize..).unwrap_or_default();
        io::Read::read(&mut rest, buffer)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file.lock();
        let result = file.count(true);
        let short = file.fault.is_some_and(|fault| fault.short);
        let part = if short { bytes.len() * 2 / 3 } else { 0 };
        file.append(if result.is_ok() { bytes } else { &bytes[..part] });
        result
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        let mut file = self.file.lock();
        file.count(true)?;
        file.change(Piece::Truncate(len as usize));
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut file = self.file.lock();
        file.syncs_after_failure += u64::from(self.sync_failed);
        file.count(true).inspect_err(|_| self.sync_failed = true)?;
        let bytes = file.bytes.clone();
        file.synced = bytes;
        file.unsynced.clear();
        Ok(())
    }
}
