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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each sign says all that the weaker ones say, and nothing of the stronger ones.
    #[test]
    fn each_sign_stops_what_it_is_to_stop() {
        type Give = fn(&StopSignal);
        let signs: [(&str, Give); 5] = [
            ("nothing", |_| {}),
            ("ask no more", StopSignal::ask_no_more),
            ("drain", StopSignal::drain),
            ("stop", StopSignal::stop),
            ("without grace", StopSignal::stop_without_grace),
        ];
        for (at, (name, give)) in signs.into_iter().enumerate() {
            let stop = StopSignal::default();
            give(&stop);
            assert_eq!(stop.asks_no_more(), at == 1 || at == 2, "{name}");
            assert_eq!(stop.is_draining(), at == 2, "{name}");
            assert_eq!(stop.is_stopped(), at >= 3, "{name}");
            assert_eq!(
                (*stop.tasks.borrow(), *stop.impatient.borrow()),
                (at >= 3, at == 4),
                "{name}"
            );
        }
    }

    #[test]
    fn a_signal_stops_at_once_and_its_time_is_that_at_which_it_was_noticed() {
        let (stop, flag) = (StopSignal::default(), Arc::new(AtomicBool::new(false)));
        stop.listen(flag.clone());
        assert!(!stop.is_stopped());
        flag.store(true, Ordering::Release);
        assert!(stop.is_stopped());
        let before = SystemTime::now();
        let since = stop.since();
        stop.stop();
        assert!(since >= before && stop.since() == since);
    }

    #[test]
    fn a_grace_is_known_once_a_command_was_started() {
        let stop = StopSignal::default();
        assert_eq!(stop.grace(), None);
        stop.set_grace(Duration::from_secs(7));
        assert_eq!(stop.grace(), Some(Duration::from_secs(7)));
        stop.set_grace(Duration::ZERO);
        assert_eq!(stop.grace(), Some(Duration::from_millis(1)), "as short as can be");
    }
}
