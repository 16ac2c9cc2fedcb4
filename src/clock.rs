//! The clocks: the wall clock, for people; the time since boot, for deadlines on one machine.
//!
//! How long we wait is measured with `Instant`; nothing is decided by the wall clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since the Unix epoch, as NePS stores times.
pub(crate) fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Seconds since this machine started, suspended time included; the same for all its processes.
pub(crate) fn uptime_s() -> f64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    now.map_or(0.0, |now| Duration::from(now).as_secs_f64())
}
