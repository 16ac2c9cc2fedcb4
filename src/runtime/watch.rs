//! The watcher: a thread that looks, so that the state actor need not. It sees other processes
//! die, callers' deadlines pass, the journal grow by others' hands, and Ctrl-C.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::handle::StudyHandle;
use super::signals::SignalGuard;
use crate::error::Error;
use crate::evaluate::{StopSignal, reap_orphans};
use crate::event::{Process, Reason};
use crate::limits::{BEAT_EVERY, WATCH_POLL};
use crate::store::{Directory, Presence, Sign, Watcher};
use crate::study::Command;

pub(crate) struct Watch {
    pub(crate) handle: StudyHandle,
    pub(crate) watcher: Option<Watcher>,
    pub(crate) directory: Option<Directory>,
    pub(crate) presence: Option<Arc<Presence>>,
    pub(crate) stop: Arc<StopSignal>,
    pub(crate) signals: Option<SignalGuard>,
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
        let mut beaten = Instant::now();
        while let Err(RecvTimeoutError::Timeout) = quitting.recv_timeout(WATCH_POLL) {
            if let Err(error) = self.look() {
                tracing::error!("the watcher ends: {error}");
                self.stop.stop();
                return;
            }
            if beaten.elapsed() >= BEAT_EVERY {
                beaten = Instant::now();
                if let Some(presence) = &self.presence
                    && let Err(error) = presence.beat()
                {
                    tracing::warn!("this process's sign of life cannot be written: {error}");
                }
            }
        }
    }

    /// One look around; also the first thing at a start, so that what a dead process held is taken
    /// back before anything new is sampled.
    pub(crate) fn look(&mut self) -> Result<(), Error> {
        let pressed = self.signals.as_ref().is_some_and(SignalGuard::is_pressed);
        if pressed || self.stop.is_stopped() {
            self.stop.stop();
            self.handle.interrupt();
        }
        let (others, leases) = self
            .handle
            .published
            .with(|snapshot| (snapshot.others.clone(), snapshot.leases.clone()));
        let mut commands = Vec::new();
        if let Some(watcher) = &mut self.watcher {
            for process in others {
                if watcher.sign(&process) == Sign::Dead
                    && commands_are_gone(&self.handle, self.directory.as_ref(), &process)?
                {
                    tracing::warn!(
                        "process p{} ({} on {}) is dead: its trials are taken back",
                        process.process,
                        process.pid,
                        process.host
                    );
                    commands.push(Command::Bury(process.process));
                }
            }
            for (trial, attempt, lease) in leases {
                if watcher.is_expired(&trial.to_string(), attempt, &lease) {
                    let (attempt, reason) = (Some(attempt), Reason::Expired);
                    commands.push(Command::Release { trial, attempt, reason });
                }
            }
            if commands.is_empty() && watcher.has_grown() {
                self.handle.poke();
            }
        }
        if !commands.is_empty() {
            self.handle.exchange(commands)?;
        }
        Ok(())
    }
}

/// Whether no command goes on for any trial of a dead process.
fn commands_are_gone(
    handle: &StudyHandle,
    directory: Option<&Directory>,
    process: &Process,
) -> Result<bool, Error> {
    let Some(directory) = directory else { return Ok(true) };
    let number = process.process;
    let held: Vec<_> =
        handle.look(move |study| study.evaluating_by(number).map(|t| t.id.clone()).collect())?;
    let mut gone = true;
    for trial in held {
        gone &= reap_orphans(&directory.trial_path(&trial)).unwrap_or(true);
    }
    Ok(gone)
}

impl Drop for WatchThread {
    fn drop(&mut self) {
        drop(self.quit.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
