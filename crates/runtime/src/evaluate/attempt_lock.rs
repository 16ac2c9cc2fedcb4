//! What keeps an orphaned command from running beside its trial's next attempt.
//!
//! When a worker process is killed, the commands it started keep running. So each command's
//! standard input is an empty file of its attempt, with a lock on it:
//! the command and all its descendants that keep their standard input hold that lock, and it is
//! free when the last of them is gone. Those that have another standard input are known by their
//! environment. A trial is not handed out again before they are gone; and any process on the same
//! machine that notices that the worker process is dead while its commands still run kills them.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use fs2::FileExt;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp};

use super::proc::{self, Environment};
use super::spare_files::SpareFiles;
use trialmill_store::{AttemptFiles, Identity, job_of, own_job, plain};

/// The lock of one attempt, to be given to its command as standard input. Each attempt has a file of
/// its own, so that reaping an old attempt cannot hit the command of a new one.
#[derive(Debug)]
pub(super) struct AttemptLock(File);

impl AttemptLock {
    /// Takes the lock of an attempt.
    ///
    /// # Errors
    /// The file cannot be made or locked.
    pub(super) fn take(files: &AttemptFiles, spare: &SpareFiles) -> io::Result<Self> {
        spare.take(&files.lock());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = plain::open_to_write(&mut options, &files.lock())?;
        FileExt::try_lock_exclusive(&file)?;
        Ok(AttemptLock(file))
    }

    /// The file to be the command's standard input. Our own copy is closed when the command has
    /// started; then only the command holds the lock.
    pub(super) fn into_stdin(self) -> std::process::Stdio {
        self.0.into()
    }
}

/// The lock of an attempt, if somebody holds it.
pub(super) fn held_lock(files: &AttemptFiles) -> Option<Identity> {
    [files.lock(), files.earlier_lock()].into_iter().find_map(|path| {
        let file = plain::open(&path).ok()?;
        match FileExt::try_lock_shared(&file) {
            Err(error) if error.kind() == fs2::lock_contended_error().kind() => {
                Identity::of_file(&file).ok()
            }
            _ => None,
        }
    })
}

/// Kills what is left of the commands of attempts whose worker process is dead, each given by its
/// trial's directory and its number; `job` is the batch system's name of what that process ran in.
/// Returns whether all are gone.
pub fn reap_orphans(attempts: &[(PathBuf, u32)], job: Option<&str>) -> bool {
    let mut marks = Marks::default();
    let mut locks_are_free = true;
    for (dir, attempt) in attempts {
        // A trial without a directory never had a command.
        let files = AttemptFiles::of(dir, *attempt);
        if marks.add_dir(&files) && marks.add_held_lock(&files) {
            locks_are_free = false;
        }
    }
    marks.job = job.map(str::to_string);
    let orphans = if marks.by_dir.is_empty() { Vec::new() } else { marks.processes() };
    for pid in &orphans {
        tracing::warn!("process {pid} still evaluates a trial whose worker is dead: killed");
        end(*pid, &orphans);
    }
    locks_are_free && orphans.is_empty()
}

/// Kills a process, and its group where the group is the command's too: its leader is one of those
/// found, or gone.
fn end(pid: Pid, found: &[Pid]) {
    let _ = match proc::stat(pid).map(|stat| stat.group) {
        Some(group)
            if group != getpgrp()
                && group.as_raw() > 1
                && (found.contains(&group) || proc::stat(group).is_none()) =>
        {
            killpg(group, Signal::SIGKILL)
        }
        _ => kill(pid, Signal::SIGKILL),
    };
}

/// What the processes of attempts are known by.
#[derive(Default)]
pub(super) struct Marks {
    locks: HashSet<Identity>,
    /// The number of the attempt, by the trial's directory.
    by_dir: HashMap<Identity, u32>,
    /// The batch system's job in which the attempts ran.
    job: Option<String>,
}

impl Marks {
    /// Those of one attempt.
    pub(super) fn of(files: &AttemptFiles) -> Self {
        let mut marks = Marks::default();
        marks.add_dir(files);
        marks.locks.extend(Identity::at(&files.lock()).ok());
        marks.job = own_job();
        marks
    }

    fn add_dir(&mut self, files: &AttemptFiles) -> bool {
        let Ok(dir) = Identity::at(files.trial()) else { return false };
        self.by_dir.insert(dir, files.attempt());
        true
    }

    fn add_held_lock(&mut self, files: &AttemptFiles) -> bool {
        let lock = held_lock(files);
        self.locks.extend(lock);
        lock.is_some()
    }

    /// The processes of this machine that belong to one of the attempts. Never this process, those
    /// that started it, or its own group; nor, if it was itself started within one of the attempts,
    /// the rest of its session.
    pub(super) fn processes(&self) -> Vec<Pid> {
        let ancestors = proc::ancestors();
        let (own, is_within) = (proc::stat(Pid::this()), self.says(Pid::this()));
        let is_near = |pid: Pid| {
            let (Some(own), Some(stat)) = (own, proc::stat(pid)) else { return false };
            stat.group == own.group || (is_within && stat.session == own.session)
        };
        let ours = |pid: &Pid| {
            !ancestors.contains(pid) && (self.holds(*pid) || (self.says(*pid) && !is_near(*pid)))
        };
        proc::all().into_iter().filter(ours).collect()
    }

    /// Whether a process belongs to one of the attempts: its standard input is their lock, or, for
    /// those that have another (`< data.csv`, a session of their own), their environment says so.
    pub(super) fn are_of(&self, pid: Pid) -> bool {
        self.holds(pid) || self.says(pid)
    }

    fn holds(&self, pid: Pid) -> bool {
        Identity::at(Path::new(&format!("/proc/{pid}/fd/0")))
            .is_ok_and(|stdin| self.locks.contains(&stdin))
    }

    fn says(&self, pid: Pid) -> bool {
        let environment = Environment::of(pid);
        let attempt =
            environment.get("TRIALMILL_ATTEMPT").and_then(|text| text.to_str()?.parse().ok());
        let dir = environment.get("TRIALMILL_TRIAL_DIR").map(Path::new);
        let dir = dir.and_then(|dir| Identity::at(dir).ok());
        let is_named =
            dir.is_some_and(|dir| attempt.is_some() && self.by_dir.get(&dir).copied() == attempt);
        // What was submitted to the batch system from within the attempt is a job of its own.
        let job = || job_of(|name| Some(environment.get(name)?.to_str()?.to_string()));
        is_named && self.job == job()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process that ends with code 7 once its input does, in a group of its own or in another.
    fn process(group: Option<&Child>) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", "read x; exit 7"]).stdin(Stdio::piped());
        command.process_group(group.map_or(0, |leader| leader.id() as i32)).spawn().unwrap()
    }

    fn pid(child: &Child) -> Pid {
        Pid::from_raw(child.id() as i32)
    }

    /// Whether it was killed; where not, it ends by itself.
    fn was_killed(mut child: Child) -> bool {
        drop(child.stdin.take());
        let status = child.wait().unwrap();
        assert!(status.code() == Some(7) || status.signal() == Some(9), "{status}");
        status.signal() == Some(9)
    }

    /// A command's children that cleared their environment went on after the command was killed.
    #[test]
    fn with_a_leader_its_group_ends() {
        let leader = process(None);
        let member = process(Some(&leader));
        end(pid(&leader), &[pid(&leader)]);
        assert!(was_killed(leader) && was_killed(member));
    }

    #[test]
    fn with_a_member_its_group_ends_if_the_leader_is_gone_or_found() {
        let leader = process(None);
        let (one, other) = (process(Some(&leader)), process(Some(&leader)));
        assert!(!was_killed(leader));
        end(pid(&one), &[pid(&one)]);
        assert!(was_killed(one) && was_killed(other));
        let leader = process(None);
        let member = process(Some(&leader));
        end(pid(&member), &[pid(&member), pid(&leader)]);
        assert!(was_killed(leader) && was_killed(member));
    }

    /// The command of somebody else, in whose group one of ours was started.
    #[test]
    fn a_group_whose_leader_is_not_the_command_s_goes_on() {
        let leader = process(None);
        let member = process(Some(&leader));
        end(pid(&member), &[pid(&member)]);
        assert!(was_killed(member) && !was_killed(leader));
    }

    /// If this fails, it takes all tests with it.
    #[test]
    fn our_own_group_goes_on() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        end(pid(&child), &[pid(&child), getpgrp()]);
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }

    /// A process that runs for an attempt is found by its environment, if it is of this very attempt, and not one of
    /// our group: that may be whoever started us.
    #[test]
    fn the_processes_of_an_attempt_are_found_by_what_they_say() {
        let home = tempfile::tempdir().unwrap();
        let (trial, other) = (home.path().join("1"), home.path().join("2"));
        for dir in [&trial, &other] {
            std::fs::create_dir(dir).unwrap();
        }
        let marks = Marks::of(&AttemptFiles::of(&trial, 3));
        let table = [
            (&trial, "3", true, true),
            (&trial, "3", false, false),
            (&trial, "2", true, false),
            (&trial, "three", true, false),
            (&other, "3", true, false),
        ];
        for (dir, attempt, is_apart, expected) in table {
            let mut command = Command::new("sleep");
            command.arg("60").env("TRIALMILL_TRIAL_DIR", dir).env("TRIALMILL_ATTEMPT", attempt);
            if is_apart {
                command.process_group(0);
            }
            let mut child = command.spawn().unwrap();
            // The environment is that of the program once it runs.
            while Environment::of(pid(&child)).get("TRIALMILL_ATTEMPT").is_none() {
                std::thread::yield_now();
            }
            let (found, is_its) = (marks.processes(), marks.are_of(pid(&child)));
            child.kill().unwrap();
            child.wait().unwrap();
            let what = format!("{dir:?}, {attempt}, {is_apart}");
            assert_eq!(found.contains(&pid(&child)), expected, "{what}");
            assert_eq!(is_its, expected || !is_apart, "{what}");
        }
    }
}
