//! An exclusive lock on a file, between processes.
//!
//! The lock is freed by the kernel when its holder dies, never by age. It is two locks on one
//! descriptor: flock (by fs2) and an OFD record lock. On a local file system they do not see each
//! other, and both are needed: NePS locks with either kind, and an NFS server keeps the locks of its
//! clients as record locks, so a process on the server itself meets them only as such. On an NFS
//! client flock *is* a record lock of the whole file, and one of the two is enough.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs2::FileExt;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::file_system::is_nfs;
use super::place::{Identity, Place, is_gone};
use super::replace::temporary_name;
use crate::plain;
use trialmill_core::error::StoreError;
use trialmill_core::limits::{
    LOCK_PATH_CHECK, LOCK_PAUSE_MAX, LOCK_TIMEOUT, NETWORK_LOCK_PAUSE_MAX,
};

/// A lock file, opened once and kept open. Dropping it frees the lock.
#[derive(Debug)]
pub struct FileLock {
    file: File,
    /// Which file that is; none where it must be asked again, because a server may have forgotten it.
    identity: Option<Identity>,
    path: PathBuf,
    /// The directory that it is in.
    parent: Place,
    /// Whether the record lock is taken in addition to flock.
    record: bool,
    nfs: bool,
    pause_max: Duration,
}

impl FileLock {
    /// Opens the lock file (close-on-exec, so no child keeps the lock alive) without locking it.
    ///
    /// # Errors
    /// It cannot be opened or created.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file =
            plain::open_to_write(&mut options, path).map_err(StoreError::io("open", path))?;
        let nfs = is_nfs(&file);
        let pause_max = if nfs { NETWORK_LOCK_PAUSE_MAX } else { LOCK_PAUSE_MAX };
        let parent = Place::of(path.parent().unwrap_or(Path::new("")));
        let identity = if nfs { None } else { Identity::of_file(&file).ok() };
        Ok(FileLock { file, identity, path: path.into(), parent, record: !nfs, nfs, pause_max })
    }

    /// Takes both kinds of lock on every file system, with another longest pause between two
    /// attempts: for files that other programs lock, too.
    pub fn shared_with_others(self, pause_max: Duration) -> Self {
        let pause_max = pause_max.max(self.pause_max);
        FileLock { record: true, pause_max, ..self }
    }

    /// Tries to take the lock, without waiting. Returns whether it was free.
    ///
    /// # Errors
    /// The file system has no locks.
    pub fn try_lock(&self) -> Result<bool, StoreError> {
        let no_locks = |source| StoreError::NoLocks { path: self.path.clone(), source };
        match retry(|| FileExt::try_lock_exclusive(&self.file)) {
            Ok(()) => {}
            Err(error) if is_contended(&error) => return Ok(false),
            Err(error) => return Err(no_locks(error)),
        }
        if !self.record {
            return Ok(true);
        }
        match set_record(&self.file, libc::F_WRLCK) {
            Ok(()) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => {
                self.unlock_flock()?;
                Ok(false)
            }
            Err(error) => {
                let _ = self.unlock_flock();
                Err(no_locks(error.into()))
            }
        }
    }

    /// Takes the lock, waiting up to `timeout`. If the lock file was removed or replaced, this
    /// locks the one that others find at its path instead. But if the whole directory was moved or
    /// replaced, that is an error: others lock other files, and to continue would fork the study's
    /// history.
    ///
    /// # Errors
    /// Another process held it all that time, the file system has no locks, or the directory was moved
    /// or replaced ([`StoreError::Moved`]); then no file was created.
    pub fn lock(&mut self, timeout: Duration) -> Result<(), StoreError> {
        let begin = Instant::now();
        let mut checked = begin;
        // Holders keep it for microseconds, so the first pauses are short.
        let mut pause = Duration::from_micros(20);
        loop {
            let locked = self.try_lock()?;
            if locked || checked.elapsed() >= LOCK_PATH_CHECK {
                checked = Instant::now();
                if self.was_replaced() {
                    self.parent.check()?;
                    self.hold(Self::open(&self.path)?);
                    continue;
                }
            }
            if locked {
                return Ok(());
            }
            if begin.elapsed() >= timeout {
                return Err(self.timed_out(timeout));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(self.pause_max);
        }
    }

    fn timed_out(&self, timeout: Duration) -> StoreError {
        StoreError::LockTimeout {
            path: self.path.clone(),
            waited_s: timeout.as_secs(),
            holder: self.holder(),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file that we hold is not the one that others find at its path. On NFS the path is
    /// opened for that, because a lookup alone may be answered from this machine's cache.
    pub fn was_replaced(&self) -> bool {
        let found = match self.nfs {
            true => plain::open(&self.path).and_then(|file| file.metadata()),
            false => std::fs::metadata(&self.path),
        };
        let found = found.map(|data| Identity::of(&data));
        let held = self.identity.map_or_else(|| Identity::of_file(&self.file), Ok);
        !matches!((held, found), (Ok(held), Ok(found)) if held == found)
    }

    /// Continues with the file that another lock has opened.
    fn hold(&mut self, other: FileLock) {
        (self.file, self.identity) = (other.file, other.identity);
    }

    /// Replaces a lock file whose holder has been silent for too long with a new one that we hold: a
    /// server may keep the locks of a dead machine for ever. The old holder notices it with
    /// [`was_replaced`](Self::was_replaced).
    pub fn replace(&mut self) -> Result<(), StoreError> {
        let temporary = temporary_name(&self.path);
        let failed = |error| StoreError::io("replace", &self.path)(error);
        let mut new = Self::open(&temporary)?;
        new.lock(LOCK_TIMEOUT)?;
        std::fs::rename(&temporary, &self.path).map_err(failed)?;
        self.hold(new);
        Ok(())
    }

    /// Frees the lock.
    ///
    /// # Errors
    /// The system refuses, which does not happen for a lock that is held.
    pub fn unlock(&self) -> Result<(), StoreError> {
        let freed = match self.record {
            true => set_record(&self.file, libc::F_UNLCK).map_err(io::Error::from),
            false => Ok(()),
        };
        self.unlock_flock()?;
        freed.map_err(StoreError::io("unlock", &self.path))
    }

    fn unlock_flock(&self) -> Result<(), StoreError> {
        FileExt::unlock(&self.file).map_err(StoreError::io("unlock", &self.path))
    }

    /// The file itself, for what is written into it.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Who holds the lock according to Linux's `/proc/locks`, for an error message.
    fn holder(&self) -> String {
        let Ok(inode) = self.file.metadata().map(|data| data.ino()) else { return String::new() };
        let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
        // `1: FLOCK  ADVISORY  WRITE 4242 fe:01:1234 0 EOF`; for an OFD record lock the process is
        // unknown, and the field is -1.
        let mut held = locks.lines().filter(|line| line.contains(&format!(":{inode} ")));
        match held.find_map(|line| line.split_whitespace().nth(4)?.parse::<u32>().ok()) {
            Some(pid) => format!(" by process {pid} of this machine"),
            None => ", by a process of another machine it seems".into(),
        }
    }
}

/// Whether any process holds the lock of a file, of either kind. This tries a shared lock, so that
/// processes that merely probe do not see each other. A missing file is not held, nor is anything
/// that no process of ours could have created.
pub fn is_held(path: &Path) -> io::Result<bool> {
    let file = match plain::open(path) {
        Ok(file) => file,
        Err(error) if is_gone(&error) || error.raw_os_error().is_none() => return Ok(false),
        Err(error) => return Err(error),
    };
    match retry(|| FileExt::try_lock_shared(&file)) {
        Ok(()) => Ok(!is_nfs(&file) && has_record(&file)),
        Err(error) if is_contended(&error) => Ok(true),
        Err(error) => Err(error),
    }
}

/// The same for a flock of this machine, read from Linux's `/proc/locks`: without trying the lock,
/// which would make another process's attempt fail.
pub fn is_flocked_here(path: &Path) -> bool {
    let Ok(inode) = path.symlink_metadata().map(|data| data.ino()) else { return false };
    let locks = std::fs::read_to_string("/proc/locks").unwrap_or_default();
    let held = format!(":{inode} ");
    locks.lines().any(|line| line.contains("FLOCK") && line.contains(&held))
}

pub(super) fn is_contended(error: &io::Error) -> bool {
    error.kind() == fs2::lock_contended_error().kind()
}

fn retry(mut try_it: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match try_it() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn set_record(file: &File, kind: libc::c_int) -> Result<(), Errno> {
    loop {
        match fcntl(file, FcntlArg::F_OFD_SETLK(&whole_file(kind))) {
            Err(Errno::EINTR) => {}
            result => return result.map(drop),
        }
    }
}

/// Whether another process has an exclusive record lock on a file.
fn has_record(file: &File) -> bool {
    let mut found = whole_file(libc::F_RDLCK);
    fcntl(file, FcntlArg::F_OFD_GETLK(&mut found)).is_ok()
        && found.l_type != libc::F_UNLCK as libc::c_short
}

/// The whole file, whatever its length.
fn whole_file(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_others_names_its_holder_and_is_freed_by_drop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        assert!(!is_held(&path).unwrap());
        let mut first = FileLock::open(&path).unwrap();
        first.lock(Duration::ZERO).unwrap();
        assert!(is_held(&path).unwrap());
        let mut second = FileLock::open(&path).unwrap();
        let error = second.lock(Duration::from_millis(5)).unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        assert!(second.try_lock().unwrap());
        second.unlock().unwrap();
        assert!(!is_held(&path).unwrap());
    }

    /// A worker on the NFS server itself saw no lock of the clients, whose locks the server keeps as
    /// record locks: both appended at once, and it buried living workers.
    #[test]
    fn record_locks_as_an_nfs_server_keeps_them_exclude_us_and_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let client = File::create(&path).unwrap();
        set_record(&client, libc::F_WRLCK).unwrap();
        let ours = FileLock::open(&path).unwrap();
        assert!(!ours.try_lock().unwrap());
        assert!(is_held(&path).unwrap());
        set_record(&client, libc::F_UNLCK).unwrap();
        assert!(!is_held(&path).unwrap());
        assert!(ours.try_lock().unwrap());
        assert_eq!(set_record(&client, libc::F_WRLCK), Err(Errno::EAGAIN));
    }

    #[test]
    fn who_waits_for_a_lock_file_that_is_replaced_gets_the_new_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.lock");
        let mut dead = FileLock::open(&path).unwrap();
        dead.lock(Duration::ZERO).unwrap();
        let mut waits = FileLock::open(&path).unwrap();
        let mut takes_over = FileLock::open(&path).unwrap();
        takes_over.replace().unwrap();
        assert!(dead.was_replaced());
        assert!(!takes_over.was_replaced());
        let error = waits.lock(LOCK_PATH_CHECK * 2).unwrap_err();
        assert!(matches!(error, StoreError::LockTimeout { .. }), "{error}");
        takes_over.unlock().unwrap();
        waits.lock(Duration::ZERO).unwrap();
        assert!(!takes_over.try_lock().unwrap());
    }
}
