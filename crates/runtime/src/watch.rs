//! The watcher: a thread that polls, so that the state actor need not. It notices when other
//! processes die, callers' deadlines pass, other processes append to the journal, or the user
//! presses Ctrl-C.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::handle::StudyHandle;
use super::lately::Lately;
use super::reclaim::{buried, held_by, reclaim};
use super::signals::{SignalGuard, SignalSlot};
use crate::evaluate::StopSignal;
use trialmill_core::error::Error;
use trialmill_core::limits::{HEARTBEAT_INTERVAL, WATCH_POLL};
use trialmill_store::{Directory, Place, Presence, Watcher};

pub(crate) struct Watch {
    pub(crate) handle: StudyHandle,
    pub(crate) watcher: Option<Watcher>,
    pub(crate) directory: Option<Arc<Directory>>,
    pub(crate) place: Option<Place>,
    pub(crate) presence: Option<Arc<Presence>>,
    pub(crate) stop: Arc<StopSignal>,
    pub(crate) signals: Arc<SignalSlot>,
    pub(crate) until: Option<SystemTime>,
    pub(crate) lately: Arc<Lately>,
    pub(crate) has_said: bool,
}

/// The watcher's thread; it ends when this is dropped.
pub(crate) struct WatchThread {
    quit: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start(self) -> std::io::Result<WatchThread> {
        let (quit, quitting) = crossbeam_channel::bounded(0);
        let thread = std::thread::Builder::new()
            .name("trialmill-watch".into())
            .spawn(move || self.watch(&quitting))?;
        Ok(WatchThread { quit: Some(quit), thread: Some(thread) })
    }

    fn watch(mut self, quitting: &Receiver<()>) {
        let mut last_heartbeat = Instant::now();
        while let Err(RecvTimeoutError::Timeout) = quitting.recv_timeout(WATCH_POLL) {
            if let Err(error) = self.poll() {
                tracing::error!("the watcher ends: {error}");
                self.stop.stop();
                return;
            }
            if last_heartbeat.elapsed() >= HEARTBEAT_INTERVAL {
                last_heartbeat = Instant::now();
                if let Some(presence) = &self.presence
                    && let Err(error) = presence.heartbeat()
                {
                    tracing::warn!("this process's sign of life cannot be written: {error}");
                }
            }
        }
    }

    /// Polls once. A session does this first of all, so that the trials of a dead process are
    /// requeued before anything new is sampled.
    pub(crate) fn poll(&mut self) -> Result<(), Error> {
        // The state may have been lost in a batch that no worker waits for. What the workers evaluate
        // now can no longer be stored, so stop them.
        if self.handle.published().has_failed() {
            self.stop.stop();
        }
        let presses = self.signals.lock().as_ref().map_or(0, SignalGuard::presses);
        if self.until.is_some_and(|until| SystemTime::now() >= until) {
            self.stop.stop();
        }
        if presses > 0 && !std::mem::replace(&mut self.has_said, true) {
            match self.stop.grace() {
                Some(grace) => tracing::warn!(
                    "stopping: nothing more begins, commands have {} s to end, and what does not end is \
                     handed back. Ctrl-C again ends the wait",
                    grace.as_secs_f64()
                ),
                None => tracing::warn!(
                    "stopping: nothing more begins, and evaluations that do not ask whether to stop are \
                     waited for. The third Ctrl-C kills this process; its trials are then handed back"
                ),
            }
        }
        let stop_now = self.handle.published().with(|snapshot| snapshot.stop_now);
        if presses > 0 || stop_now || self.stop.is_stopped() {
            self.stop.stop();
            self.handle.interrupt();
            self.lately.hand_back(&self.handle);
        }
        if presses > 1 {
            self.stop.stop_without_grace();
        }
        // The next batch would meet it too; but evaluations may take hours until then.
        if self.place.as_ref().is_some_and(|place| place.check().is_err()) {
            self.handle.poke();
            return Ok(());
        }
        let (others, leases) = self
            .handle
            .published()
            .with(|snapshot| (snapshot.others.clone(), snapshot.leases.clone()));
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        let handle = &self.handle;
        let commands = reclaim(watcher, self.directory.as_deref(), &others, &leases, |process| {
            handle.with_study(move |study| held_by(study, process))
        })?;
        if !commands.is_empty() {
            let buried = buried(&commands);
            handle.exchange(commands)?;
            for process in buried {
                watcher.tidy(process);
            }
        } else if watcher.has_grown() {
            handle.poke();
        }
        Ok(())
    }
}

impl Drop for WatchThread {
    fn drop(&mut self) {
        drop(self.quit.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
