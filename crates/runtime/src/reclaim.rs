//! Reclaiming trials: from processes that died, and from callers whose deadline has passed.
//!
//! A running session does this on its watcher's thread; a short-lived process does it once, when it
//! opens the study.

use crate::evaluate::reap_orphans;
use trialmill_core::error::Error;
use trialmill_core::event::{Lease, Process, ProcessId, Reason};
use trialmill_core::study::{Command, StudyState};
use trialmill_core::trial::TrialId;
use trialmill_store::{Directory, Liveness, Watcher};

/// The trials that a process holds, with their attempts; `None` if it has left meanwhile.
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

/// The commands that requeue what is to be reclaimed: all trials of dead processes, once none of
/// their evaluation commands still runs, and the claims of callers whose deadline has passed. For a
/// silent process of another machine this does not wait: its commands are dead or cut off along
/// with their machine, and a report for an attempt that is no longer current does not count.
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
        // Our snapshot may be old: the process may have left cleanly and removed its lock file.
        let Some(held) = held_by(process.process)? else { continue };
        let attempts: Vec<_> = directory.map_or_else(Vec::new, |directory| {
            held.iter().map(|(trial, attempt)| (directory.trial_path(trial), *attempt)).collect()
        });
        if reap_orphans(&attempts, process.job.as_deref()) || liveness == Liveness::Silent {
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
