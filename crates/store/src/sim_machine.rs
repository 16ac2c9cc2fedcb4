//! Another machine, or another mount, simulated on this one: what two machines that share a directory do to each
//! other is decided by their names and boots, by the kind of the file system, and by a clock.

use std::time::{Duration, Instant};

use super::{Directory, FileSystem, Machine, Watcher};

impl Directory {
    /// The same study as a process of another machine has it.
    #[must_use]
    pub fn seen_from(self, host: &str, boot: &str) -> Self {
        Directory { machine: Machine { host: host.into(), boot: boot.into() }, ..self }
    }

    /// The same study on a mount of another kind, with these options.
    #[must_use]
    pub fn mounted_as(self, kind: &str, options: &str) -> Self {
        Directory { mount: Some(FileSystem::with_options(kind, options)), ..self }
    }
}

impl Watcher {
    /// From now on, everything that was seen was seen that much earlier: at most as long ago as this machine has run.
    pub fn let_pass(&mut self, time: Duration) {
        let earlier = |when: &mut Instant| *when = when.checked_sub(time).unwrap_or(*when);
        self.heartbeats.0.values_mut().for_each(|seen| earlier(&mut seen.since));
        self.known.values_mut().for_each(|(_, asked)| earlier(asked));
        self.leases.values_mut().for_each(earlier);
    }
}
