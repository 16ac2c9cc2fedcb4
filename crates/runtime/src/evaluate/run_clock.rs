//! Measures the time in which this process runs: a limit must not elapse while a batch system has
//! suspended it.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::sleep;

use trialmill_core::limits::SUSPENDED;

/// A clock that stands still while this process is suspended.
#[derive(Debug)]
pub(super) struct RunClock(Mutex<State>);

#[derive(Debug)]
struct State {
    counted: Duration,
    last: Instant,
}

impl Default for RunClock {
    fn default() -> Self {
        RunClock(Mutex::new(State { counted: Duration::ZERO, last: Instant::now() }))
    }
}

impl RunClock {
    /// Must be called often: a long time between two calls counts as a suspension.
    pub(super) fn tick(&self) {
        let mut state = self.0.lock();
        let passed = state.last.elapsed().min(SUSPENDED);
        state.counted += passed;
        state.last = Instant::now();
    }

    fn now(&self) -> Duration {
        let state = self.0.lock();
        state.counted + state.last.elapsed().min(SUSPENDED)
    }

    /// Waits until so much time has passed.
    pub(super) async fn passes(&self, time: Duration) {
        let end = self.now().saturating_add(time);
        while let Some(left) = end.checked_sub(self.now()).filter(|left| !left.is_zero()) {
            sleep(left).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job was suspended for longer than its trials' limit, and all were killed when it
    /// continued.
    #[test]
    fn time_in_which_this_process_stood_still_is_not_counted() {
        let clock = RunClock::default();
        clock.tick();
        for n in 1..=3 {
            let before = clock.now();
            clock.0.lock().last = Instant::now().checked_sub(SUSPENDED * 600).unwrap();
            clock.tick();
            let counted = clock.now().saturating_sub(before);
            let expected = SUSPENDED / 2..=SUSPENDED * 3;
            assert!(expected.contains(&counted), "the {n}th time: {counted:?}");
        }
    }
}
