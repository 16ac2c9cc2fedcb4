//! The watcher: a thread that looks, so that the state actor need not. It sees other processes
//! die, callers' deadlines pass, the journal grow by others' hands, and Ctrl-C.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::handle::StudyHandle;
use super::signals::{SignalGuard, SignalSlot};
use crate::error::Error;
use crate::evaluate::{StopSignal, reap_orphans};
use crate::event::{Lease, Process, ProcessId, Reason};
use crate::limits::{BEAT_EVERY, WATCH_POLL};
use crate::store::{Directory, Presence, Sign, Watcher};
use crate::study::{Command, Study};
use crate::trial::TrialId;

pub(crate) struct Watch {
    pub(crate) handle: StudyHandle,
    pub(crate) watcher: Option<Watcher>,
    pub(crate) directory: Option<Directory>,
    pub(crate) presence: Option<Arc<Presence>>,
    pub(crate) stop: Arc<StopSignal>,
    pub(crate) signals: Arc<SignalSlot>,
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
        // Nobody may have asked for the turn that lost it; what is evaluated now can not be stored.
        if self.handle.published.has_failed() {
            self.stop.stop();
        }
        let presses = self.signals.lock().as_ref().map_or(0, SignalGuard::presses);
        if presses > 0 || self.stop.is_stopped() {
            self.stop.stop();
            self.handle.interrupt();
        }
        if presses > 1 {
            self.stop.stop_without_grace();
        }
        let (others, leases) = self
            .handle
            .published
            .with(|snapshot| (snapshot.others.clone(), snapshot.leases.clone()));
        let Some(watcher) = &mut self.watcher else { return Ok(()) };
        let handle = &self.handle;
        let commands = take_back(watcher, self.directory.as_ref(), &others, &leases, |process| {
            handle.look(move |study| held_by(study, process))
        })?;
        if !commands.is_empty() {
            let buried = buried(&commands);
            handle.exchange(commands)?;
            buried.into_iter().for_each(|process| watcher.tidy(process));
        } else if watcher.has_grown() {
            handle.poke();
        }
        Ok(())
    }
}

/// The trials that a process holds, with their attempts; none for one that has left meanwhile.
pub(super) fn held_by(study: &Study, process: ProcessId) -> Option<Vec<(TrialId, u32)>> {
    let held = study.evaluating_by(process).map(|trial| (trial.id.clone(), trial.attempts));
    study.is_member(process).then(|| held.collect())
}

/// The processes that these commands bury.
pub(super) fn buried(commands: &[Command]) -> Vec<ProcessId> {
    let process = |command: &Command| match command {
        Command::Bury(process) => Some(*process),
        _ => None,
    };
    commands.iter().filter_map(process).collect()
}

/// What is to be taken back: everything of dead processes, once none of their commands goes on,
/// and the claims of callers whose deadline has passed. For a process of another machine that is
/// silent nothing is waited for: with its machine its commands are dead or cut off, and what they
/// report of an attempt that is not current any more does not count.
pub(super) fn take_back(
    watcher: &mut Watcher,
    directory: Option<&Directory>,
    others: &[Process],
    leases: &[(TrialId, u32, Lease)],
    held_by: impl Fn(ProcessId) -> Result<Option<Vec<(TrialId, u32)>>, Error>,
) -> Result<Vec<Command>, Error> {
    let mut commands = Vec::new();
    for process in others {
        let sign = watcher.sign(process);
        if sign == Sign::Alive {
            continue;
        }
        // What we know may be old: it has left in good order, and its lock file with it.
        let Some(held) = held_by(process.process)? else { continue };
        let attempts: Vec<_> = directory.map_or_else(Vec::new, |directory| {
            held.iter().map(|(trial, attempt)| (directory.trial_path(trial), *attempt)).collect()
        });
        if reap_orphans(&attempts) || sign == Sign::Silent {
            let Process { process, host, pid, .. } = process;
            let how = match sign {
                Sign::Silent => "has given no sign of life for a minute",
                _ => "is dead",
            };
            tracing::warn!("process p{process} ({pid} on {host}) {how}: its trials are free");
            commands.push(Command::Bury(*process));
        }
    }
    for (trial, attempt, lease) in leases {
        if watcher.is_expired(&trial.to_string(), *attempt, lease) {
            let (trial, attempt) = (trial.clone(), Some(*attempt));
            commands.push(Command::Release { trial, attempt, reason: Reason::Expired });
        }
    }
    Ok(commands)
}

impl Drop for WatchThread {
    fn drop(&mut self) {
        drop(self.quit.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
