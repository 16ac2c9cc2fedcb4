//! A file on a simulated network file system, for tests: each machine has a cache of its own, with
//! the rules of NFS (RFC 8881, section 10.3).
//!
//! A client's idea of the length, and of every page that it has read, may be old until it locks the
//! file. What it writes stays in its cache until a sync or the unlock. An append goes where the
//! client believes the end to be. A lock that the server has given up rejects what is written under
//! it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, SeedableRng};

use super::Disk;

/// The unit in which a client reads, caches and writes.
const PAGE: usize = 256;

/// The server.
#[derive(Debug, Clone)]
pub struct SimServer {
    state: Arc<Mutex<Server>>,
    patience: Duration,
}

#[derive(Debug)]
struct Server {
    /// The file, and those that were at its path before.
    files: Vec<ServerFile>,
    clients: usize,
    random: Xoshiro256PlusPlus,
}

#[derive(Debug, Default)]
struct ServerFile {
    bytes: Vec<u8>,
    locked_by: Option<usize>,
}

/// The file on one machine.
#[derive(Debug)]
pub struct SimClient {
    server: SimServer,
    number: usize,
    /// Which of the server's files it has open.
    file: usize,
    cache: Mutex<Cache>,
    /// Whether it locks the file, as [`Disk::lock`] must.
    locks: bool,
    dies_at: Option<u64>,
    writes: u64,
}

#[derive(Debug, Default)]
struct Cache {
    len: Option<usize>,
    pages: BTreeMap<usize, Vec<u8>>,
    dirty: Vec<(usize, Vec<u8>)>,
}

impl SimServer {
    /// A file with this content. `seed` decides which old copies clients still believe in.
    pub fn new(bytes: Vec<u8>, seed: u64, patience: Duration) -> Self {
        let files = vec![ServerFile { bytes, locked_by: None }];
        let random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let state = Arc::new(Mutex::new(Server { files, clients: 0, random }));
        SimServer { state, patience }
    }

    /// Another machine that has the file.
    pub fn client(&self) -> SimClient {
        let mut state = self.state.lock();
        state.clients += 1;
        SimClient {
            server: self.clone(),
            number: state.clients,
            file: state.files.len() - 1,
            cache: Mutex::default(),
            locks: true,
            dies_at: None,
            writes: 0,
        }
    }

    /// What is stored.
    pub fn bytes(&self) -> Vec<u8> {
        self.state.lock().files.last().map_or_else(Vec::new, |file| file.bytes.clone())
    }

    /// The server gives up all locks, as it does for machines that it has not heard of for its lease.
    pub fn expire_locks(&self) {
        self.state.lock().files.iter_mut().for_each(|file| file.locked_by = None);
    }
}

impl SimClient {
    /// The mistake that these rules must reveal: the client uses the file as on a local file
    /// system.
    #[must_use]
    pub fn without_locks(self) -> Self {
        SimClient { locks: false, ..self }
    }

    /// The machine dies at its n-th write to the server, of which a part may arrive.
    #[must_use]
    pub fn dying_at(self, n: u64) -> Self {
        SimClient { dies_at: Some(n), ..self }
    }

    fn is_dead(&self) -> bool {
        self.dies_at.is_some_and(|n| self.writes >= n)
    }

    fn alive(&self) -> io::Result<()> {
        if self.is_dead() { Err(io::Error::other("this machine is dead")) } else { Ok(()) }
    }

    /// Now and then a client asks for the length by itself, and keeps its pages or not.
    fn len_now(&self, cache: &mut Cache) -> usize {
        let mut state = self.server.state.lock();
        let chance = state.random.next_u64() % 4;
        if chance < 2 && cache.dirty.is_empty() {
            cache.len = None;
        }
        if chance == 0 && cache.dirty.is_empty() {
            cache.pages.clear();
        }
        *cache.len.get_or_insert(state.files[self.file].bytes.len())
    }

    /// Sends what was written. A machine that dies then has sent some of it, in any order.
    fn write_back(&mut self) -> io::Result<()> {
        self.alive()?;
        let dirty = std::mem::take(&mut self.cache.lock().dirty);
        if dirty.is_empty() {
            return Ok(());
        }
        self.writes += 1;
        let dies = self.is_dead();
        let mut guard = self.server.state.lock();
        let Server { files, random, .. } = &mut *guard;
        let file = &mut files[self.file];
        if self.locks && file.locked_by != Some(self.number) {
            // The lock is lost: NFS4ERR_EXPIRED, which the client shows as EIO.
            return Err(io::Error::from_raw_os_error(5));
        }
        for (at, bytes) in dirty {
            if dies && random.next_u64() % 2 == 0 {
                continue;
            }
            let end = at + bytes.len();
            file.bytes.resize(file.bytes.len().max(end), 0);
            file.bytes[at..end].copy_from_slice(&bytes);
        }
        if dies {
            file.locked_by = None;
            return Err(io::Error::other("this machine dies"));
        }
        Ok(())
    }
}

impl Disk for SimClient {
    fn len(&self) -> io::Result<u64> {
        self.alive()?;
        Ok(self.len_now(&mut self.cache.lock()) as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.alive()?;
        let mut cache = self.cache.lock();
        let (len, offset) = (self.len_now(&mut cache), offset as usize);
        let page = offset / PAGE;
        let bytes = cache.pages.entry(page).or_insert_with(|| {
            let state = self.server.state.lock();
            let bytes = &state.files[self.file].bytes;
            let page = page * PAGE..bytes.len().min((page + 1) * PAGE);
            bytes.get(page).unwrap_or_default().to_vec()
        });
        // A page that was read when the file was shorter has zeros where more was written since.
        bytes.resize(PAGE, 0);
        let end = len.min((page + 1) * PAGE).min(offset + buffer.len());
        let Some(count) = end.checked_sub(offset) else { return Ok(0) };
        buffer[..count].copy_from_slice(&bytes[offset - page * PAGE..][..count]);
        Ok(count)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.alive()?;
        let cache = self.cache.get_mut();
        let mut at = match cache.len {
            Some(len) => len,
            None => self.server.state.lock().files[self.file].bytes.len(),
        };
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(PAGE - at % PAGE));
            cache.dirty.push((at, now.to_vec()));
            if let Some(page) = cache.pages.get_mut(&(at / PAGE)) {
                page.resize(PAGE, 0);
                page[at % PAGE..][..now.len()].copy_from_slice(now);
            }
            at += now.len();
            rest = later;
        }
        cache.len = Some(at);
        Ok(())
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.write_back()?;
        *self.cache.get_mut() = Cache { len: Some(len as usize), ..Cache::default() };
        self.server.state.lock().files[self.file].bytes.truncate(len as usize);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.write_back()
    }

    fn is_shared(&self) -> bool {
        self.locks
    }

    fn patience(&self) -> Duration {
        self.server.patience
    }

    fn lock(&mut self, _: Duration) -> io::Result<()> {
        self.alive()?;
        if self.locks {
            let mut state = self.server.state.lock();
            self.file = state.files.len() - 1;
            match &mut state.files[self.file].locked_by {
                Some(other) if *other != self.number => return Err(io::ErrorKind::TimedOut.into()),
                own => *own = Some(self.number),
            }
            *self.cache.get_mut() = Cache::default();
        }
        Ok(())
    }

    fn unlock(&mut self) -> io::Result<()> {
        if self.locks {
            let written = self.write_back();
            let mut state = self.server.state.lock();
            let locked_by = &mut state.files[self.file].locked_by;
            if *locked_by == Some(self.number) {
                *locked_by = None;
            }
            return written;
        }
        Ok(())
    }

    fn replace_with_copy(&mut self, is_ours: &dyn Fn() -> bool) -> io::Result<()> {
        if !is_ours() {
            return Err(io::Error::other("another machine took the lock over"));
        }
        let mut state = self.server.state.lock();
        let bytes = state.files.last().map_or_else(Vec::new, |file| file.bytes.clone());
        state.files.push(ServerFile { bytes, locked_by: Some(self.number) });
        self.file = state.files.len() - 1;
        *self.cache.get_mut() = Cache::default();
        Ok(())
    }
}
