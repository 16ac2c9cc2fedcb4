//! The children of this process: the commands that it started, and processes that it adopted.
//!
//! When a process ends, Linux gives its children to the nearest ancestor that adopts orphans, or to
//! the first process of the machine or container. The program asks to be such an ancestor: so whatever
//! a command leaves behind comes to it, even from a session of its own and with another environment,
//! and can be ended. Whoever adopts must also reap; a container's first process adopts unasked.

use std::collections::HashSet;
use std::io;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use parking_lot::Mutex;

use super::proc;

static ADOPTS: AtomicBool = AtomicBool::new(false);

/// Children of this process that belong to no trial: an optimizer that is a process.
static BESIDE: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// Starts a process that belongs to no trial, and must not be taken for what a command left behind.
pub(super) fn start_beside(command: &mut Command) -> io::Result<Child> {
    // Held over the start: so whoever lists our children never meets one that is not noted yet.
    let mut beside = BESIDE.lock();
    let child = command.spawn()?;
    beside.push(Pid::from_raw(child.id() as i32));
    Ok(child)
}

/// It has ended, and was waited for.
pub(super) fn ended_beside(child: &Child) {
    BESIDE.lock().retain(|pid| pid.as_raw() != child.id() as i32);
}

/// Makes this process adopt what its commands leave behind. For programs that start no processes of
/// their own beside them: children that no trial and no optimizer has count as left behind.
pub fn adopt_orphans() {
    let adopts = nix::sys::prctl::set_child_subreaper(true);
    ADOPTS.store(adopts.is_ok() || is_first(), Ordering::Release);
}

/// Whether this process is the first of its container or machine.
fn is_first() -> bool {
    Pid::this().as_raw() == 1
}

/// Who is a child of this process, and why.
#[derive(Debug, Default)]
pub(super) struct Household {
    /// The commands that run.
    commands: Mutex<HashSet<Pid>>,
    /// Children from before: whoever became this program by `exec` had them.
    strangers: HashSet<Pid>,
    adopts: bool,
}

impl Household {
    /// As it is before the first command.
    pub(super) fn new() -> Self {
        let adopts = ADOPTS.load(Ordering::Acquire);
        let strangers = if adopts { proc::children(Pid::this()) } else { Vec::new() };
        let strangers = strangers.into_iter().collect();
        Household { commands: Mutex::default(), strangers, adopts }
    }

    pub(super) fn adopts(&self) -> bool {
        self.adopts
    }

    /// A command was started.
    pub(super) fn started(&self, pid: Pid) {
        self.commands.lock().insert(pid);
    }

    /// It has ended, and was waited for.
    pub(super) fn ended(&self, pid: Pid) {
        self.commands.lock().remove(&pid);
    }

    /// How many commands run.
    pub(super) fn running(&self) -> usize {
        self.commands.lock().len()
    }

    /// The living processes that were adopted; those that have ended are reaped.
    pub(super) fn adopted(&self) -> Vec<Pid> {
        if !self.adopts {
            return Vec::new();
        }
        let mut found = {
            let beside = BESIDE.lock();
            let mut found = proc::given_children();
            found.retain(|pid| !beside.contains(pid));
            found
        };
        let commands = self.commands.lock();
        found.retain(|pid| !commands.contains(pid) && !self.strangers.contains(pid));
        drop(commands);
        found.retain(|pid| match proc::stat(*pid) {
            Some(stat) if stat.is_zombie => {
                let _ = waitpid(*pid, Some(WaitPidFlag::WNOHANG));
                false
            }
            found => found.is_some(),
        });
        found
    }

    /// Whether an adopted process that nothing else is known of must come from a command: not in a
    /// container's first process, which adopts everybody's.
    pub(super) fn knows_whence(&self) -> bool {
        self.adopts && !is_first()
    }
}
