//! The few operations that a journal needs from a file, behind a trait so that a test can fail each.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::file_system::FileSystem;
use super::lock::is_contended;
use super::place::{Identity, is_gone};
use super::replace::{sync_parent, temporary_name};
use crate::plain;
use trialmill_core::limits::{NETWORK_LOCK_PAUSE_MAX, NETWORK_PATIENCE};

/// A file that grows at its end.
pub trait Disk: Send {
    /// Its current length in bytes, as every process sees it.
    fn len(&self) -> io::Result<u64>;
    /// Whether it is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads at most `buffer.len()` bytes at an offset; returns 0 only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file to a length.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Makes everything that any process appended before this call survive power loss.
    fn sync(&mut self) -> io::Result<()>;

    /// Whether other machines read and write it through caches of their own. Then it is read and
    /// appended to only between [`lock`](Self::lock) and [`unlock`](Self::unlock), and synced before
    /// the unlock.
    fn is_shared(&self) -> bool {
        false
    }

    /// Whether it is still the file at its path. On a network file system [`lock`](Self::lock) sees to
    /// that.
    ///
    /// # Errors
    /// It cannot be known.
    fn is_in_place(&self) -> io::Result<bool> {
        Ok(true)
    }

    /// On a network file system: how long to wait for the lock before its holder counts as a dead
    /// machine.
    fn patience(&self) -> Duration {
        NETWORK_PATIENCE
    }

    /// Takes the file's own lock. From then on reads return what the server has, and not an old
    /// copy in this machine's cache. The caller must hold the study's lock.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if another machine held the lock all that time.
    fn lock(&mut self, timeout: Duration) -> io::Result<()> {
        let _ = timeout;
        Ok(())
    }

    /// Frees the lock.
    fn unlock(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// Replaces the file with a synced copy, and locks that: for a file whose lock a dead machine
    /// holds for ever. `is_ours` is checked immediately before the replacement.
    fn replace_with_copy(&mut self, is_ours: &dyn Fn() -> bool) -> io::Result<()> {
        let _ = is_ours;
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// A real file.
#[derive(Debug)]
pub struct RealDisk {
    file: File,
    path: PathBuf,
    shared: bool,
    /// Which file was opened.
    identity: Identity,
}

impl RealDisk {
    fn new(file: File, path: &Path) -> io::Result<Self> {
        let (shared, identity) = (FileSystem::of(path).is_shared(), Identity::of_file(&file)?);
        Ok(RealDisk { file, path: path.into(), shared, identity })
    }

    /// Opens a file for reading and appending. It must exist: a study whose journal is gone must not
    /// begin a new one.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::new(open_to_append(path)?, path)
    }

    /// Opens a file for reading only, as it is stored now.
    pub fn open_read_only(path: &Path) -> io::Result<Self> {
        let disk = Self::new(plain::open(path)?, path)?;
        if disk.shared {
            drop_cache(&disk.file);
        }
        Ok(disk)
    }
}

/// How long a reader waits until no writer holds the lock.
const NETWORK_READER_PATIENCE: Duration = Duration::from_secs(2);

/// Makes a network file system drop this machine's cached pages of an open file: taking a lock does
/// that (nfs(5), "Using file locks with NFS"). Stored records never change, so reading does not
/// need to keep the lock. If the lock cannot be taken, the reader sees the file as it was when it
/// was opened, a moment ago.
pub fn drop_cache(file: &File) {
    let begin = Instant::now();
    let mut pause = Duration::from_millis(1);
    while let Err(error) = fs2::FileExt::try_lock_shared(file) {
        if !is_contended(&error) || begin.elapsed() >= NETWORK_READER_PATIENCE {
            return;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(NETWORK_LOCK_PAUSE_MAX);
    }
    let _ = fs2::FileExt::unlock(file);
}

fn open_to_append(path: &Path) -> io::Result<File> {
    plain::open_to_write(OpenOptions::new().read(true).append(true), path)
}

impl Disk for RealDisk {
    /// Also notices that the file was removed: appends to a removed file are lost.
    fn len(&self) -> io::Result<u64> {
        let data = self.file.metadata()?;
        match data.nlink() {
            0 => Err(io::Error::new(io::ErrorKind::NotFound, "it was removed while it was in use")),
            _ => Ok(data.len()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    fn is_in_place(&self) -> io::Result<bool> {
        if self.shared {
            return Ok(true);
        }
        match Identity::at(&self.path) {
            Ok(found) => Ok(found == self.identity),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn lock(&mut self, timeout: Duration) -> io::Result<()> {
        if !self.shared {
            return Ok(());
        }
        let begin = Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match fs2::FileExt::try_lock_exclusive(&self.file) {
                // A machine that took us for dead may have put a copy in its place.
                Ok(()) if is_at(&self.file, &self.path)? => return Ok(()),
                Ok(()) => self.file = open_to_append(&self.path)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_contended(&error) => {
                    if begin.elapsed() >= timeout {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(NETWORK_LOCK_PAUSE_MAX);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn unlock(&mut self) -> io::Result<()> {
        if self.shared { fs2::FileExt::unlock(&self.file) } else { Ok(()) }
    }

    fn replace_with_copy(&mut self, is_ours: &dyn Fn() -> bool) -> io::Result<()> {
        let temporary = temporary_name(&self.path);
        let copied = (|| {
            let mut copy = plain::create(&temporary)?;
            io::copy(&mut plain::open(&self.path)?, &mut copy)?;
            copy.sync_all()?;
            if !is_ours() {
                return Err(io::Error::other("another machine took the lock over"));
            }
            let copy = open_to_append(&temporary)?;
            fs2::FileExt::try_lock_exclusive(&copy)?;
            // Close the old file first: an NFS client that still has it open moves it to another
            // name before the replacement, so that for a moment there is no journal.
            self.file = copy;
            std::fs::rename(&temporary, &self.path)?;
            sync_parent(&self.path)
        })();
        copied.inspect_err(|_| drop(std::fs::remove_file(&temporary)))
    }
}

/// Whether an open file is the one at a path. The path is opened again for that: on NFS this
/// machine's cache may answer a mere lookup.
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    Ok(Identity::of_file(file)? == Identity::of_file(&plain::open(path)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One on a network file system, as far as this code can tell.
    fn shared(path: &Path) -> RealDisk {
        RealDisk { shared: true, ..RealDisk::open(path).unwrap() }
    }

    fn read(disk: &RealDisk) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        let got = disk.read_at(&mut bytes, 0).unwrap();
        bytes.truncate(got);
        bytes
    }

    const NONE: Duration = Duration::ZERO;

    /// There the journal itself is locked: without it two machines appended to their own ideas of it.
    #[test]
    fn a_journal_on_a_network_is_locked_and_one_of_this_machine_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, "1").unwrap();
        let (mut one, mut other) = (shared(&path), shared(&path));
        one.lock(NONE).unwrap();
        assert_eq!(other.lock(NONE).unwrap_err().kind(), io::ErrorKind::TimedOut);
        one.unlock().unwrap();
        other.lock(NONE).unwrap();
        let mut here = RealDisk::open(&path).unwrap();
        here.shared = false;
        here.lock(NONE).unwrap();
        here.unlock().unwrap();
        assert_eq!(one.lock(NONE).unwrap_err().kind(), io::ErrorKind::TimedOut);
        other.unlock().unwrap();
        // Another machine has put a copy in its place.
        let copy = dir.path().join("copy");
        std::fs::write(&copy, "2").unwrap();
        std::fs::rename(&copy, &path).unwrap();
        assert_eq!(read(&one), b"1");
        one.lock(NONE).unwrap();
        assert_eq!(read(&one), b"2", "it is the file at the path that is locked");
        assert_eq!(shared(&path).lock(NONE).unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    /// A journal whose lock a dead machine keeps: everything in it goes on, and nobody else has the copy meanwhile.
    #[test]
    fn a_copy_takes_the_place_of_a_journal_only_if_the_turn_is_still_ours() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, "12").unwrap();
        let mut dead = shared(&path);
        dead.lock(NONE).unwrap();
        let mut living = shared(&path);
        assert!(living.replace_with_copy(&|| false).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a copy is left");
        assert_eq!(Identity::at(&path).unwrap(), dead.identity, "it was replaced");
        living.replace_with_copy(&|| true).unwrap();
        living.append(b"3").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"123");
        dead.append(b"4").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"123", "what it wrote late");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(shared(&path).lock(NONE).unwrap_err().kind(), io::ErrorKind::TimedOut);
        living.unlock().unwrap();
        dead.unlock().unwrap();
        dead.lock(NONE).unwrap();
        assert_eq!(read(&dead), b"123");
    }

    /// What cannot be synced must not count as synced. (A device has nothing to sync, and says so.)
    #[test]
    fn a_sync_is_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, "").unwrap();
        let mut disk = RealDisk::open(&path).unwrap();
        disk.sync().unwrap();
        disk.file = File::open("/dev/null").unwrap();
        assert!(disk.sync().is_err());
    }

    #[test]
    fn what_was_removed_or_replaced_is_not_the_journal() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal");
        std::fs::write(&path, "12").unwrap();
        let mut disk = RealDisk::open(&path).unwrap();
        disk.shared = false;
        assert!(disk.is_in_place().unwrap());
        assert_eq!(disk.len().unwrap(), 2);
        std::fs::remove_file(&path).unwrap();
        assert!(!disk.is_in_place().unwrap());
        assert_eq!(disk.len().unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(&path, "12").unwrap();
        assert!(!disk.is_in_place().unwrap());
        disk.shared = true;
        assert!(disk.is_in_place().unwrap(), "the lock tells, on a network");
    }
}
