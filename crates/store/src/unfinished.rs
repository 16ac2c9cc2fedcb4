//! Whose the unfinished end of a journal is.
//!
//! An end is cut off because its writer died in the middle of it. A doubt is no death: on a network
//! file system an end looks the same while its writer lives and this machine sees a part of it only,
//! as zeros for what has not arrived. What was cut off then were acknowledged results.

use std::io;
use std::path::Path;

use super::disk::Disk;
use super::liveness::{Heartbeats, lock_path};
use super::lock::is_held;
use trialmill_core::event::ProcessId;
use trialmill_core::limits::READ_CHUNK_BYTES;

/// What shows whether processes live.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    heartbeats: Heartbeats,
}

impl Deaths {
    /// Whether the writer of an unfinished end is dead. `workers` has the lock files of all processes
    /// of the study, `own` is the number of this one.
    ///
    /// On a local file system our lock is the proof: its last holder ended in the middle. Zeros alone
    /// are no append of a process that died; a power cut leaves them, and then nobody lives. On a
    /// network file system somebody of the study must have died, or nobody else live, and a hole is
    /// never cut: what belongs there may be stored by another machine.
    pub(super) fn writer_is_dead(
        &mut self,
        has_hole: bool,
        is_shared: bool,
        workers: &Path,
        own: Option<ProcessId>,
    ) -> bool {
        match (is_shared, has_hole) {
            (false, false) => true,
            (true, true) => false,
            (false, true) => self.others(workers, own).all_are_dead,
            (true, false) => {
                let others = self.others(workers, own);
                others.one_is_dead || others.all_are_dead
            }
        }
    }

    fn others(&mut self, workers: &Path, own: Option<ProcessId>) -> Others {
        let own = own.map(|process| lock_path(workers, process));
        let mut others = Others { one_is_dead: false, all_are_dead: true };
        for entry in std::fs::read_dir(workers).into_iter().flatten().flatten() {
            let path = entry.path();
            if Some(&path) == own.as_ref() {
                continue;
            }
            let is_dead = is_held(&path).is_ok_and(|held| !held) || self.heartbeats.overdue(&path);
            others.one_is_dead |= is_dead;
            others.all_are_dead &= is_dead;
        }
        others
    }
}

struct Others {
    one_is_dead: bool,
    all_are_dead: bool,
}

/// Whether there are zeros in a file from `offset` on.
pub(super) fn has_hole(disk: &dyn Disk, mut offset: u64) -> io::Result<bool> {
    let mut chunk = vec![0; READ_CHUNK_BYTES];
    loop {
        let got = disk.read_at(&mut chunk, offset)?;
        if got == 0 || chunk[..got].contains(&0) {
            return Ok(got > 0);
        }
        offset += got as u64;
    }
}
