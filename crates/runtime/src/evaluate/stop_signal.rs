//! How all workers of a process learn that the run is to stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

/// Tells all workers of the process that the run is to stop.
#[derive(Debug)]
pub struct StopSignal {
    stopped: AtomicBool,
    /// Set by the handler of a signal, possibly before anything else has noticed it.
    signalled: OnceLock<Arc<AtomicBool>>,
    since: OnceLock<SystemTime>,
    asks_no_more: AtomicBool,
    draining: AtomicBool,
    /// How many milliseconds commands have to end; 0 before one was started.
    grace_ms: AtomicU64,
    tasks: tokio::sync::watch::Sender<bool>,
    impatient: tokio::sync::watch::Sender<bool>,
}

impl Default for StopSignal {
    fn default() -> Self {
        StopSignal {
            stopped: AtomicBool::new(false),
            signalled: OnceLock::new(),
            since: OnceLock::new(),
            asks_no_more: AtomicBool::new(false),
            draining: AtomicBool::new(false),
            grace_ms: AtomicU64::new(0),
            tasks: tokio::sync::watch::Sender::new(false),
            impatient: tokio::sync::watch::Sender::new(false),
        }
    }
}

impl StopSignal {
    /// Stop.
    pub fn stop(&self) {
        self.since();
        self.stopped.store(true, Ordering::Release);
        self.tasks.send_replace(true);
    }

    /// Stop, and kill commands that do not end at once.
    pub fn stop_without_grace(&self) {
        self.stop();
        self.impatient.send_replace(true);
    }

    /// Whether to stop.
    pub fn is_stopped(&self) -> bool {
        let signalled = || self.signalled.get().is_some_and(|flag| flag.load(Ordering::Acquire));
        self.stopped.load(Ordering::Acquire) || signalled()
    }

    /// Also stops as soon as this flag is set, by a signal's handler.
    pub(crate) fn listen(&self, flag: Arc<AtomicBool>) {
        let _ = self.signalled.set(flag);
    }

    /// How long the commands of this process have to end, where it runs some.
    pub(crate) fn grace(&self) -> Option<Duration> {
        let ms = self.grace_ms.load(Ordering::Relaxed);
        (ms > 0).then(|| Duration::from_millis(ms))
    }

    /// Notes that a command with this grace period was started.
    pub(crate) fn set_grace(&self, grace: Duration) {
        let ms = u64::try_from(grace.as_millis()).unwrap_or(u64::MAX).max(1);
        self.grace_ms.store(ms, Ordering::Relaxed);
    }

    /// When it was first noticed that this is to stop; now, if it never was.
    pub(crate) fn since(&self) -> SystemTime {
        *self.since.get_or_init(SystemTime::now)
    }

    /// Ask for no more trials, but evaluate those that were handed out.
    pub(crate) fn ask_no_more(&self) {
        self.asks_no_more.store(true, Ordering::Release);
    }

    /// Whether no more trials are to be asked for.
    pub(crate) fn asks_no_more(&self) -> bool {
        self.asks_no_more.load(Ordering::Acquire) || self.is_draining()
    }

    /// Start no more evaluations, but let those that run end by themselves.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether no more evaluations are to be started.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Waits until it is time to stop.
    pub(crate) async fn stopped(&self) {
        // The sender lives in `self`, so the channel cannot close while we wait.
        let _ = self.tasks.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Waits until there is no more grace.
    pub(crate) async fn out_of_patience(&self) {
        let _ = self.impatient.subscribe().wait_for(|impatient| *impatient).await;
    }
}
