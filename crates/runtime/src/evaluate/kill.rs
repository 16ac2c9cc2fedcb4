//! Ending a command that must end: SIGTERM to its process group, some grace, SIGKILL.

use std::process::ExitStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::timeout;

use super::StopSignal;

/// Ends the command and everything in its process group, with some grace unless that is cut short;
/// returns how its leader ended.
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

/// Kills what an ended command left in the background: otherwise it would run beside the trial's next
/// attempt, and nothing would ever end it.
pub(super) fn rest(group: Option<u32>) {
    if let Some(group) = group {
        let _ = killpg(Pid::from_raw(group as i32), Signal::SIGKILL);
    }
}
