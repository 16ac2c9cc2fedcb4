//! A lock that excludes both of NePS's kinds of locks, with NePS's settings for waiting.
//!
//! NePS 0.13 and later lock with POSIX records by default; its tools, its older versions and
//! `NEPS_LINUX_FILELOCK_FUNCTION=flock` lock with flock. On a local Linux file system these two do
//! not see each other at all. [`FileLock`] takes both, always in this order: flock, then an OFD lock,
//! which excludes POSIX locks both ways and is not lost when another descriptor of the file is
//! closed. Both are on one descriptor that stays open: the state actor alone owns it.

use std::path::Path;
use std::time::{Duration, Instant};

use trialmill_core::error::StoreError;
use trialmill_core::limits::{LOCK_PAUSE_MAX, NEPS_LOCK_TIMEOUT, NETWORK_PATIENCE, NETWORK_POLL};
use trialmill_store::FileLock;

/// One of NePS's lock files, kept open. Dropping it frees the lock.
#[derive(Debug)]
pub(super) struct SharedLock {
    file: FileLock,
    timeout: Duration,
}

/// Stands for waiting without a timeout.
const FOREVER: Duration = Duration::from_hours(100 * 365 * 24);

/// Parses one of NePS's settings: seconds, or `None` for waiting without a timeout.
fn seconds(text: &str) -> Option<Duration> {
    match text.trim().to_lowercase().as_str() {
        "none" | "n" | "null" => Some(FOREVER),
        text => Duration::try_from_secs_f64(text.parse().ok()?).ok(),
    }
}

impl SharedLock {
    /// Opens a lock file without locking it. `settings` is the middle of NePS's names for its poll
    /// and its timeout: `STATE` for `NEPS_STATE_FILELOCK_POLL` and `..._TIMEOUT`, in seconds.
    pub(super) fn open(path: &Path, settings: &str) -> Result<Self, StoreError> {
        let setting = |what: &str| {
            std::env::var(format!("NEPS_{settings}_{what}")).ok().as_deref().and_then(seconds)
        };
        // NePS's default pause suits many slow workers. We poll more often, because a lock is held
        // only for milliseconds.
        let pause_max = setting("POLL").filter(|pause| *pause != FOREVER).unwrap_or(LOCK_PAUSE_MAX);
        Ok(SharedLock {
            file: FileLock::open(path)?.shared_with_others(pause_max),
            timeout: setting("TIMEOUT").unwrap_or(NEPS_LOCK_TIMEOUT),
        })
    }

    /// Waits for the lock.
    pub(super) fn lock(&mut self) -> Result<(), StoreError> {
        self.file.lock(self.timeout)
    }

    /// The same on a network file system, where a machine can die while it holds the lock, and the
    /// server keeps it for ever (NFS 3). While this waits, it calls `holder_is_dead` again and
    /// again. Once that returns true, and every other process must have run out of patience too, it
    /// replaces the lock file with a new one. NePS finds the new file, because it opens the path
    /// for each lock. `since` is when this batch began to wait: a dead machine may hold several
    /// locks, and is waited for once. Returns whether the file was replaced.
    pub(super) fn lock_or_replace(
        &mut self,
        since: Instant,
        holder_is_dead: &mut dyn FnMut() -> bool,
    ) -> Result<bool, StoreError> {
        loop {
            match self.file.lock(NETWORK_POLL) {
                Ok(()) => return Ok(false),
                Err(error @ StoreError::LockTimeout { .. }) => {
                    let is_dead = holder_is_dead();
                    let waited = since.elapsed();
                    if is_dead && waited >= NETWORK_PATIENCE {
                        self.file.replace()?;
                        return Ok(true);
                    }
                    if waited >= self.timeout.max(NETWORK_PATIENCE) {
                        return Err(error);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Whether another machine has replaced the lock file.
    pub(super) fn was_replaced(&self) -> bool {
        self.file.was_replaced()
    }

    /// Frees it.
    pub(super) fn unlock(&self) -> Result<(), StoreError> {
        self.file.unlock()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    /// Whether Python can take the lock at this moment.
    fn python_gets_it(path: &Path, function: &str) -> bool {
        let script = format!(
            "import fcntl, sys\ntry: fcntl.{function}(open(sys.argv[1], 'a'), fcntl.LOCK_EX | \
             fcntl.LOCK_NB)\nexcept OSError: sys.exit(1)"
        );
        let mut python = std::process::Command::new("python3");
        python.args(["-c", &script]).arg(path).status().unwrap().success()
    }

    /// fs2 alone gave no protection at all against NePS 0.13: both wrote at once.
    #[test]
    fn both_kinds_of_python_locks_are_excluded_and_exclude_us() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(".configs.lock");
        let mut lock = SharedLock::open(&path, "TRIAL_FILELOCK").unwrap();
        for function in ["flock", "lockf"] {
            assert!(python_gets_it(&path, function), "{function}: it is free");
            lock.lock().unwrap();
            assert!(!python_gets_it(&path, function), "{function}: we hold it");
            // Another descriptor of the file, opened and closed, must not free it.
            drop(std::fs::File::open(&path).unwrap());
            assert!(!python_gets_it(&path, function), "{function}: we hold it still");
            lock.unlock().unwrap();
            assert!(python_gets_it(&path, function), "{function}: it is free again");

            let script = format!(
                "import fcntl, sys\nf = open(sys.argv[1], 'a')\nfcntl.{function}(f, fcntl.LOCK_EX)\n\
                 print('held', flush=True)\nsys.stdin.read()"
            );
            let mut python = std::process::Command::new("python3")
                .args(["-c", &script])
                .arg(&path)
                .stdin(std::process::Stdio::piped())
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let mut output = [0; 5];
            io::Read::read_exact(python.stdout.as_mut().unwrap(), &mut output).unwrap();
            assert!(!lock.file.try_lock().unwrap(), "{function}: Python holds it");
            drop(python.stdin.take());
            python.wait().unwrap();
            assert!(lock.file.try_lock().unwrap(), "{function}: Python has freed it");
            lock.unlock().unwrap();
        }
    }

    /// With `NEPS_STATE_FILELOCK_TIMEOUT=None` we gave up after two minutes, where NePS waits for
    /// ever.
    #[test]
    fn no_timeout_is_none() {
        assert_eq!(seconds(" None "), Some(FOREVER));
        assert_eq!(seconds("1.5"), Some(Duration::from_millis(1500)));
        for wrong in ["-1", "soon", "nan", "1e300"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
