//! What Linux's `/proc` says about processes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::Pid;

/// Processes that a walk over descendants visits at most.
const MAX_TREE: usize = 65_536;

/// A process, as its `stat` shows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stat {
    pub(super) is_zombie: bool,
    pub(super) parent: Pid,
    pub(super) group: Pid,
    pub(super) session: Pid,
}

/// What is known of a process; nothing of one that is gone.
pub(super) fn stat(pid: Pid) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program is in brackets and may contain anything.
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let mut fields = std::str::from_utf8(&text[end + 1..]).ok()?.split_ascii_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    let mut next = || fields.next()?.parse().ok().map(Pid::from_raw);
    Some(Stat { is_zombie, parent: next()?, group: next()?, session: next()? })
}

/// All processes of this machine that we can see.
pub(super) fn all() -> Vec<Pid> {
    numbers(Path::new("/proc"))
}

fn numbers(dir: &Path) -> Vec<Pid> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw))
        .collect()
}

/// The children of a process, whichever of its threads has them.
pub(super) fn children(pid: Pid) -> Vec<Pid> {
    let mut found = Vec::new();
    for thread in numbers(&PathBuf::from(format!("/proc/{pid}/task"))) {
        match std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().filter_map(parse)),
            // Not every kernel has the file.
            Err(_) if thread == pid => {
                let parent = |child: &Pid| stat(*child).is_some_and(|stat| stat.parent == pid);
                return all().into_iter().filter(parent).collect();
            }
            Err(_) => {}
        }
    }
    found
}

/// The children of this process's first thread: those that Linux gave to it, and none that another thread
/// started. To look at this one thread alone is cheap enough for after each command.
pub(super) fn given_children() -> Vec<Pid> {
    let pid = Pid::this();
    match std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
        Ok(list) => list.split_ascii_whitespace().filter_map(parse).collect(),
        Err(_) => children(pid),
    }
}

fn parse(text: &str) -> Option<Pid> {
    text.parse().ok().map(Pid::from_raw)
}

/// All descendants of some processes, and these themselves.
pub(super) fn tree(roots: &[Pid]) -> Vec<Pid> {
    let mut found = roots.to_vec();
    let mut at = 0;
    while at < found.len() && found.len() < MAX_TREE {
        for child in children(found[at]) {
            if !found.contains(&child) {
                found.push(child);
            }
        }
        at += 1;
    }
    found
}

/// This process, its parent, and so on up to the first.
pub(super) fn ancestors() -> Vec<Pid> {
    let mut line = vec![Pid::this()];
    while let Some(stat) = line.last().and_then(|pid| stat(*pid))
        && stat.parent.as_raw() > 0
        && line.len() < 1_000
    {
        line.push(stat.parent);
    }
    line
}

/// The environment that a process was started with.
pub(super) struct Environment(Vec<u8>);

impl Environment {
    pub(super) fn of(pid: Pid) -> Self {
        Environment(std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default())
    }

    pub(super) fn get(&self, name: &str) -> Option<&OsStr> {
        let mut words = self.0.split(|byte| *byte == 0);
        words
            .find_map(|word| word.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
            .map(OsStr::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_found_with_its_parent_and_its_children() {
        let me = Pid::this();
        let own = stat(me).unwrap();
        assert_eq!((own.parent, own.is_zombie), (Pid::parent(), false));
        assert_eq!(ancestors()[..2], [me, Pid::parent()]);
        let mut child =
            std::process::Command::new("sleep").arg("60").env("X_Y", "z=1").spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        assert!(children(me).contains(&pid));
        assert!(tree(&[Pid::parent()]).contains(&pid));
        // The environment is that of the program once it runs.
        while Environment::of(pid).get("X_Y").is_none() {
            std::thread::yield_now();
        }
        assert_eq!(Environment::of(pid).get("X_Y").unwrap(), "z=1");
        assert_eq!(Environment::of(pid).get("X_"), None);
        child.kill().unwrap();
        while !stat(pid).unwrap().is_zombie {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(stat(pid).is_none());
    }
}
