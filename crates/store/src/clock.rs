//! The clocks: the wall clock, for people; the time since boot, for deadlines on one machine.
//!
//! How long we wait is measured with `Instant`; nothing is decided by the wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

/// The last time that was returned, and the time since boot at that moment.
static LAST: Mutex<Stamp> = Mutex::new(Stamp { time_s: 0.0, uptime_s: 0.0 });

#[derive(Debug, Clone, Copy)]
struct Stamp {
    time_s: f64,
    uptime_s: f64,
}

impl Stamp {
    /// The wall clock's time; if that was set back, the last returned time plus the elapsed time.
    fn next(self, wall_s: f64, uptime_s: f64) -> Self {
        let passed_s = (uptime_s - self.uptime_s).max(0.0);
        Stamp { time_s: wall_s.max(self.time_s + passed_s), uptime_s }
    }
}

/// Seconds since the Unix epoch, as NePS stores times. In one process they never go back, whatever
/// is done to the wall clock: what happened later has the later time, and no trial ends before it
/// began. So a process that has seen a clock that was ahead stays ahead, until it ends.
pub fn now_s() -> f64 {
    let mut last = LAST.lock();
    let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    *last = last.next(wall.as_secs_f64(), uptime_s());
    last.time_s
}

/// Seconds since this machine started, suspended time included; the same for all its processes.
pub fn uptime_s() -> f64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    now.map_or(0.0, |now| Duration::from(now).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_keeps_advancing_and_one_that_is_set_forward_is_followed() {
        let mut stamp = Stamp { time_s: 0.0, uptime_s: 0.0 };
        let mut told = |wall_s, uptime_s| {
            stamp = stamp.next(wall_s, uptime_s);
            stamp.time_s
        };
        assert_eq!(told(1000.0, 50.0), 1000.0);
        assert_eq!(told(1001.0, 51.0), 1001.0);
        assert_eq!(told(-2600.0, 53.0), 1003.0, "set back by an hour");
        assert_eq!(told(-2599.5, 53.5), 1003.5);
        assert_eq!(told(9000.0, 54.0), 9000.0, "set forward");
        // The machine was suspended: the time since boot includes that.
        assert_eq!(told(9600.0, 654.0), 9600.0);
    }
}
