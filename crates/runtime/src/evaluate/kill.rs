//! Ending a command that must end: SIGTERM to its process group, some grace, SIGKILL.

use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::timeout;

use super::StopSignal;

/// Ends the command and everything in its process group, with some grace unless that is cut short;
/// gives how its leader ended.
pub(super) async fn end(
    child: &mut Child,
    grace: Duration,
    stop: &StopSignal,
) -> std::io::Result<ExitStatus> {
    let Some(group) = child.id().map(|pid| Pid::from_raw(pid as i32)) else {
        return child.wait().await;
    };
    // A group that is already gone cannot be signalled, and need not be.
    let _ = killpg(group, Signal::SIGTERM);
    let status = tokio::select! {
        status = timeout(grace, child.wait()) => status.ok(),
        () = stop.out_of_patience() => None,
    };
    // Also after a quick end of the leader: its children may have ignored the request.
    let _ = killpg(group, Signal::SIGKILL);
    match status {
        Some(status) => status,
        None => child.wait().await,
    }
}

/// Kills what a command that has ended left in the background: it would go on beside the trial's
/// next attempt, and nobody would end it any more.
pub(super) fn rest(group: Option<u32>) {
    if let Some(group) = group {
        let _ = killpg(Pid::from_raw(group as i32), Signal::SIGKILL);
    }
}
