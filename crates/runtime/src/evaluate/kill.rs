//! Ends a command that must end, and kills whatever a command leaves behind.

use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::{sleep, timeout};

use super::StopSignal;
use super::attempt_lock::{Marks, held_lock};
use super::household::Household;
use super::proc;
use trialmill_core::limits::KILL_WAIT;
use trialmill_store::AttemptFiles;

/// A command's process, and all processes known to descend from it.
pub(super) struct Family<'a> {
    leader: Pid,
    files: &'a AttemptFiles,
    household: &'a Household,
    /// The descendants that were found last.
    descendants: Vec<Pid>,
}

impl<'a> Family<'a> {
    pub(super) fn of(leader: Pid, files: &'a AttemptFiles, household: &'a Household) -> Self {
        Family { leader, files, household, descendants: Vec::new() }
    }

    /// Asks the command's process group to end, and kills it after a grace period, which `stop` can
    /// cut short. Returns how the command ended; `None` if not even SIGKILL ended it within some
    /// seconds.
    pub(super) async fn end(
        &mut self,
        child: &mut Child,
        grace: Duration,
        stop: &StopSignal,
    ) -> Option<io::Result<ExitStatus>> {
        // A group that is already gone cannot be signalled, and need not be.
        let _ = killpg(self.leader, Signal::SIGTERM);
        // A stopped process does not handle the signal before it continues.
        let _ = killpg(self.leader, Signal::SIGCONT);
        let status = tokio::select! {
            status = timeout(grace, child.wait()) => status.ok(),
            () = stop.out_of_patience() => None,
        };
        if status.is_some() {
            return status;
        }
        // Before the kill: while the leader lives, everything it has started is its descendant,
        // whatever session and environment it is in (such as another trialmill with its commands).
        self.descendants = proc::tree(&[self.leader]);
        self.kill(&self.descendants);
        timeout(KILL_WAIT, child.wait()).await.ok()
    }

    /// Kills what an ended command left behind: it would run beside the trial's next attempt, and
    /// nothing would ever end it. Returns those that are still there after some seconds.
    pub(super) async fn sweep(mut self) -> Vec<Pid> {
        let _ = killpg(self.leader, Signal::SIGKILL);
        let begin = Instant::now();
        let mut pause = Duration::from_millis(2);
        loop {
            let left = self.left();
            if left.is_empty() || begin.elapsed() >= KILL_WAIT {
                return left;
            }
            self.kill(&left);
            self.descendants = left;
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// The members of the family that still live.
    fn left(&self) -> Vec<Pid> {
        let mut left = self.descendants.clone();
        let adopted = self.household.adopted();
        if !adopted.is_empty() {
            let marks = Marks::of(self.files);
            let nobody_runs = self.household.knows_whence() && self.household.running() == 0;
            let is_ours = |pid: &Pid| {
                let of_leader =
                    |stat: proc::Stat| [stat.group, stat.session].contains(&self.leader);
                nobody_runs || marks.are_of(*pid) || proc::stat(*pid).is_some_and(of_leader)
            };
            left.extend(adopted.into_iter().filter(is_ours));
        }
        if !self.household.adopts() && held_lock(self.files).is_some() {
            left.extend(Marks::of(self.files).processes());
        }
        if left.is_empty() {
            return left;
        }
        let mut left = proc::tree(&left);
        left.retain(|pid| {
            *pid != Pid::this() && proc::stat(*pid).is_some_and(|stat| !stat.is_zombie)
        });
        left
    }

    fn kill(&self, pids: &[Pid]) {
        let _ = killpg(self.leader, Signal::SIGKILL);
        for pid in pids {
            let _ = kill(*pid, Signal::SIGKILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StudyBuilder;
    use trialmill_core::space::{Parameter, SearchSpace};

    /// A program that uses the library adopts nobody; what a command had left ran on beside the next attempt.
    #[test]
    fn what_a_command_leaves_ends_also_where_nobody_adopts_it() {
        let home = tempfile::tempdir().unwrap();
        let pid = home.path().join("pid");
        let left = format!(
            "exec 3<&0; ( env -i setsid sh -c 'echo $$ > {0}; exec sleep 60' <&3 3<&- >{0}.out 2>&1 & ); \
             until [ -s {0} ]; do sleep 0.01; done; echo 1",
            pid.display()
        );
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        let study = StudyBuilder::in_directory(home.path().join("study")).space(space);
        let study = study.max_evaluations(1).ctrl_c(false).run_command(&["sh", "-c", &left]);
        assert_eq!(study.unwrap().study().best().unwrap().objective(), Some(1.0));
        let pid = Pid::from_raw(std::fs::read_to_string(pid).unwrap().trim().parse().unwrap());
        let goes_on = proc::stat(pid).is_some_and(|stat| !stat.is_zombie);
        let _ = kill(pid, Signal::SIGKILL);
        assert!(!goes_on);
    }
}
