//! Reclaiming trials: from processes that died, and from callers whose deadline has passed.
//!
//! A running process does this from its watcher's thread, a process that does not stay does it
//! once when it opens the study.

use crate::evaluate::reap_orphans;
use trialmill_core::error::Error;
use trialmill_core::event::{Lease, Process, ProcessId, Reason};
use trialmill_core::study::{Command, StudyState};
use trialmill_core::trial::TrialId;
use trialmill_store::{Directory, Liveness, Watcher};

/// The trials that a process holds, with their attempts; none for one that has left meanwhile.
pub(super) fn held_by(study: &StudyState, process: ProcessId) -> Option<Vec<(TrialId, u32)>> {
    let held = study.evaluating_by(process).map(|trial| (trial.id.clone(), trial.attempts));
    study.is_member(process).then(|| held.collect())
}

/// The processes that these commands bury.
pub(super) fn buried(commands: &[Command]) -> Vec<ProcessId> {
    let process = |command: &Command| match command {
        Command::Bury(process) => Some(*process),
        _ => None,
    };
    commands.iter().filter_map(process).collect()
}

/// What is to be taken back: everything of dead processes, once none of their commands goes on,
/// and the claims of callers whose deadline has passed. For a process of another machine that is
/// silent nothing is waited for: with its machine its commands are dead or cut off, and what they
/// report of an attempt that is not current any more does not count.
pub(super) fn reclaim(
    watcher: &mut Watcher,
    directory: Option<&Directory>,
    others: &[Process],
    leases: &[(TrialId, u32, Lease)],
    held_by: impl Fn(ProcessId) -> Result<Option<Vec<(TrialId, u32)>>, Error>,
) -> Result<Vec<Command>, Error> {
    let mut commands = Vec::new();
    for process in others {
        let liveness = watcher.liveness(process);
        if liveness == Liveness::Alive {
            continue;
        }
        // What we know may be old: it has left in good order, and its lock file with it.
        let Some(held) = held_by(process.process)? else { continue };
        let attempts: Vec<_> = directory.map_or_else(Vec::new, |directory| {
            held.iter().map(|(trial, attempt)| (directory.trial_path(trial), *attempt)).collect()
        });
        if reap_orphans(&attempts) || liveness == Liveness::Silent {
            let Process { process, host, pid, .. } = process;
            let how = match liveness {
                Liveness::Silent => "has given no sign of life for a minute",
                _ => "is dead",
            };
            tracing::warn!("process p{process} ({pid} on {host}) {how}: its trials are free");
            commands.push(Command::Bury(*process));
        }
    }
    for (trial, attempt, lease) in leases {
        if watcher.is_expired(&trial.to_string(), *attempt, lease) {
            let (trial, attempt) = (trial.clone(), Some(*attempt));
            commands.push(Command::Release { trial, attempt, reason: Reason::Expired });
        }
    }
    Ok(commands)
}
