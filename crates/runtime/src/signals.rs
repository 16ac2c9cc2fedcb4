//! Ctrl-C, SIGTERM, SIGHUP, and what batch systems send before a job's end (SIGUSR1, SIGUSR2, SIGXCPU):
//! the first one ends the run cleanly, the second kills the commands without grace, the third kills this
//! process. After the run the signals have their old effect again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU};
use signal_hook::flag;

struct Signals {
    /// Set from the first signal to the end of the run.
    asked: Arc<AtomicBool>,
    pressed: Arc<AtomicBool>,
    /// Whether one of them came from the keyboard.
    typed: Arc<AtomicBool>,
    first: Mutex<Option<Instant>>,
    /// How many presses this run has noticed.
    presses: AtomicUsize,
    /// Whether signals have their default effect: outside a run, and at the third press in one.
    default: Arc<AtomicBool>,
    runs: AtomicUsize,
}

/// Signals that are not typed and come so soon after the first are the same request.
const SAME_REQUEST: Duration = Duration::from_secs(1);

static SIGNALS: OnceLock<Option<Signals>> = OnceLock::new();

/// The guard of the current run, if there is one.
pub(crate) type SignalSlot = parking_lot::Mutex<Option<SignalGuard>>;

/// While it lives, the first and the second Ctrl-C only set a flag.
pub(crate) struct SignalGuard(&'static Signals);

impl SignalGuard {
    /// `None` if the system refuses the handlers; then a signal kills at once, and the next start
    /// requeues the trials.
    pub(crate) fn new() -> Option<Self> {
        let signals = SIGNALS.get_or_init(|| register().ok()).as_ref()?;
        if signals.runs.fetch_add(1, Ordering::AcqRel) == 0 {
            signals.asked.store(false, Ordering::Release);
            signals.pressed.store(false, Ordering::Release);
            signals.typed.store(false, Ordering::Release);
            *signals.first.lock() = None;
            signals.presses.store(0, Ordering::Release);
            signals.default.store(false, Ordering::Release);
        }
        Some(SignalGuard(signals))
    }

    /// Is set by the first signal, at once.
    pub(crate) fn asked(&self) -> Arc<AtomicBool> {
        self.0.asked.clone()
    }

    /// How often Ctrl-C was pressed; presses between two calls count as one, and so do other signals
    /// that come within a second: a job's end sends some of them twice. From the second press on, the
    /// next one kills.
    pub(crate) fn presses(&self) -> usize {
        if !self.0.pressed.swap(false, Ordering::AcqRel) {
            return self.0.presses.load(Ordering::Acquire);
        }
        let typed = self.0.typed.swap(false, Ordering::AcqRel);
        let first = *self.0.first.lock().get_or_insert_with(Instant::now);
        let so_far = self.0.presses.load(Ordering::Acquire);
        if so_far > 0 && !typed && first.elapsed() < SAME_REQUEST {
            return so_far;
        }
        let presses = self.0.presses.fetch_add(1, Ordering::AcqRel) + 1;
        if presses >= 2 {
            self.0.default.store(true, Ordering::Release);
        }
        presses
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        if self.0.runs.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.default.store(true, Ordering::Release);
        }
    }
}

fn register() -> std::io::Result<Signals> {
    let signals = Signals {
        asked: Arc::default(),
        pressed: Arc::default(),
        typed: Arc::default(),
        first: Mutex::new(None),
        presses: AtomicUsize::new(0),
        default: Arc::new(AtomicBool::new(true)),
        runs: AtomicUsize::new(0),
    };
    // A closing terminal interrupts the run too, unless `nohup` asked to survive that.
    let others = [SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU].into_iter().filter(|s| !is_ignored(*s));
    for signal in [SIGINT, SIGTERM].into_iter().chain(others) {
        flag::register_conditional_default(signal, signals.default.clone())?;
        flag::register(signal, signals.asked.clone())?;
        if signal == SIGINT {
            flag::register(signal, signals.typed.clone())?;
        }
        flag::register(signal, signals.pressed.clone())?;
    }
    Ok(signals)
}

/// Hears of the ends of children, also where whoever started this process asked not to.
pub(crate) fn hear_of_children() {
    static HEARS: OnceLock<()> = OnceLock::new();
    HEARS.get_or_init(|| {
        if is_ignored(SIGCHLD)
            && let Err(error) = flag::register(SIGCHLD, Arc::default())
        {
            tracing::warn!("the ends of commands may not be seen: {error}");
        }
    });
}

fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
