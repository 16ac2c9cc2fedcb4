//! Ctrl-C, SIGTERM and SIGHUP: the first one ends the run cleanly, the second kills the commands
//! without grace, the third kills this process. After the run the signals have their old effect
//! again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

struct Signals {
    pressed: Arc<AtomicBool>,
    /// How many presses this run has noticed.
    presses: AtomicUsize,
    /// Whether signals have their default effect: outside a run, and at the third press in one.
    default: Arc<AtomicBool>,
    runs: AtomicUsize,
}

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
            signals.pressed.store(false, Ordering::Release);
            signals.presses.store(0, Ordering::Release);
            signals.default.store(false, Ordering::Release);
        }
        Some(SignalGuard(signals))
    }

    /// How often Ctrl-C was pressed; presses between two calls count as one. From the second press
    /// on, the next one kills.
    pub(crate) fn presses(&self) -> usize {
        if !self.0.pressed.swap(false, Ordering::AcqRel) {
            return self.0.presses.load(Ordering::Acquire);
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
        pressed: Arc::new(AtomicBool::new(false)),
        presses: AtomicUsize::new(0),
        default: Arc::new(AtomicBool::new(true)),
        runs: AtomicUsize::new(0),
    };
    // A closing terminal interrupts the run too, unless `nohup` asked to survive that.
    let hangup = (!is_ignored(SIGHUP)).then_some(SIGHUP);
    for signal in [SIGINT, SIGTERM].into_iter().chain(hangup) {
        flag::register_conditional_default(signal, signals.default.clone())?;
        flag::register(signal, signals.pressed.clone())?;
    }
    Ok(signals)
}

fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (signal - 1) & 1 == 1
}
