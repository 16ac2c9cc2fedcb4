//! Gives NePS's (Python) workers their turn at the locks.
//!
//! NePS polls its locks 5 to 20 times a second without queueing, so it hardly ever finds one free
//! that a busy process takes again and again. But it opens the lock file for each request, and
//! closes it when it is done; we keep ours open. So an open without a close is a process that waits
//! for the lock or holds it, and until it closes the file we stay away from the lock. inotify sees
//! only this host; on others, NePS finds the lock free between our commits.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use trialmill_core::limits::{NEPS_PACE, NEPS_PRESENT, NEPS_TURN};

/// The other processes that use the lock files.
pub(super) struct PythonTurns {
    inotify: Option<Inotify>,
    files: HashMap<WatchDescriptor, PathBuf>,
    /// For each file, when its current openers opened it, in order.
    open: HashMap<PathBuf, Vec<Instant>>,
    last_seen: Option<Instant>,
    our_last: Instant,
    /// How long an open file counts as a request for the lock.
    turn: Duration,
}

impl PythonTurns {
    /// Watches lock files that we have already opened.
    pub(super) fn watch(paths: &[&Path]) -> Self {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).ok();
        let mut files = HashMap::new();
        let events = AddWatchFlags::IN_OPEN
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_CLOSE_NOWRITE;
        for path in paths {
            if let Some(Ok(watch)) = inotify.as_ref().map(|i| i.add_watch(*path, events)) {
                files.insert(watch, path.to_path_buf());
            }
        }
        let our_last = Instant::now();
        PythonTurns {
            inotify,
            files,
            open: HashMap::new(),
            last_seen: None,
            our_last,
            turn: NEPS_TURN,
        }
    }

    /// The same, for a NePS that polls at another pace.
    pub(super) fn lasting(self, turn: Duration) -> Self {
        PythonTurns { turn, ..self }
    }

    /// Waits while another process has this lock file open, but no longer than NePS needs to notice
    /// that the lock is free.
    pub(super) fn yield_turn(&mut self, path: &Path) {
        let begin = Instant::now();
        while begin.elapsed() < self.turn {
            self.poll();
            if self.open.get(path).is_none_or(Vec::is_empty) {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// If NePS workers are present, waits until some time has passed since our last sampling: they
    /// are slower, and should get their share of the trials.
    pub(super) fn keep_pace(&mut self) {
        self.poll();
        if self.others_are_present() {
            std::thread::sleep(NEPS_PACE.saturating_sub(self.our_last.elapsed()));
        }
        self.our_last = Instant::now();
    }

    /// Whether others used a lock a short time ago.
    pub(super) fn others_are_present(&self) -> bool {
        self.last_seen.is_some_and(|seen| seen.elapsed() < NEPS_PRESENT)
    }

    fn poll(&mut self) {
        let Some(inotify) = &self.inotify else { return };
        while let Ok(events) = inotify.read_events() {
            for event in events {
                let Some(path) = self.files.get(&event.wd) else { continue };
                let open = self.open.entry(path.clone()).or_default();
                if event.mask.contains(AddWatchFlags::IN_OPEN) {
                    self.last_seen = Some(Instant::now());
                    open.push(Instant::now());
                } else {
                    open.pop();
                }
            }
        }
        // Another trialmill process keeps its descriptor open for its life: that is no request.
        let turn = self.turn;
        self.open.values_mut().for_each(|open| open.retain(|since| since.elapsed() < turn));
    }
}
