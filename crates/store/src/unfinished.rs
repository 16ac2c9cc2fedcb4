//! Decides whether the writer of a journal's unfinished end is dead.
//!
//! An end may be cut off only if its writer died in the middle of it; a suspicion is not enough. On
//! a network file system an end looks just like that while its writer lives and this machine sees
//! only a part of the append, with zeros for the bytes that have not arrived. Cutting it off then
//! would destroy acknowledged results.

use std::io;
use std::path::Path;

use super::disk::Disk;
use super::liveness::{Heartbeats, lock_path};
use super::lock::is_held;
use trialmill_core::event::ProcessId;
use trialmill_core::limits::READ_CHUNK_BYTES;

/// Evidence of which processes are dead, gathered over several reads of their lock files.
#[derive(Debug, Default)]
pub(super) struct Deaths {
    heartbeats: Heartbeats,
}

impl Deaths {
    /// Whether the writer of an unfinished end is dead. `workers` has the lock files of all processes
    /// of the study, `own` is the number of this one.
    ///
    /// On a local file system our holding the lock is the proof: its last holder ended in the
    /// middle. Zeros are the exception: a dying process does not write them, but a power cut leaves
    /// them, and then no other process lives. On a network file system at least one process must
    /// have died, or no other process may live; and a hole is never cut, because another machine
    /// may hold the bytes that belong there.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::liveness::Presence;

    /// Whether an end may be cut off, by who lives. Nothing held this down but two hosts on NFS: an end was
    /// cut off while its writer lived, and what it had acknowledged was gone.
    #[test]
    fn an_end_is_cut_off_only_if_its_writer_can_be_dead() {
        // (hole, network, who else is there, may be cut off); a process lives while it holds its lock file.
        let (nobody, alive, dead): (&[bool], &[bool], &[bool]) = (&[], &[true], &[false]);
        let both = &[true, false][..];
        let table = [
            (false, false, nobody, true),
            (false, false, alive, true),
            (true, false, nobody, true),
            (true, false, alive, false),
            (true, false, both, false),
            (true, false, dead, true),
            (false, true, nobody, true),
            (false, true, alive, false),
            (false, true, both, true),
            (false, true, dead, true),
            (true, true, nobody, false),
            (true, true, dead, false),
        ];
        for (has_hole, is_shared, others, expected) in table {
            let workers = tempfile::tempdir().unwrap();
            let own = Presence::take(lock_path(workers.path(), 1), false).unwrap();
            let mut held = vec![own];
            for (number, lives) in (2..).zip(others) {
                let path = lock_path(workers.path(), number);
                match lives {
                    true => held.push(Presence::take(path, false).unwrap()),
                    false => std::fs::write(path, "1\n").unwrap(),
                }
            }
            let is_dead =
                Deaths::default().writer_is_dead(has_hole, is_shared, workers.path(), Some(1));
            assert_eq!(is_dead, expected, "hole {has_hole}, network {is_shared}, {others:?}");
        }
    }
}
