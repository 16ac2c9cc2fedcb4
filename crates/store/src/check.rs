//! Checks whether a study's files are sound, and repairs them.
//!
//! Checking takes no lock that a worker would wait for. Repairing holds the journal's lock, so that
//! no process can join meanwhile, and refuses to start while any process takes part.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::finding::{Finding, FindingKind};
use super::liveness::lock_path;
use super::lock::{FileLock, is_held};
use super::tail::{Rest, Sound, Tail, sound_records};
use super::{Apply, Directory, Disk, RealDisk};
use crate::plain;
use trialmill_core::error::StoreError;
use trialmill_core::event::{Decoder, Event, ProcessId, encode};
use trialmill_core::trial::TrialId;

/// How long a repair waits for the journal's lock: long enough for a process that merely probes it.
const LOCK_WAIT: Duration = Duration::from_millis(300);
/// The journal's name, for findings.
pub const JOURNAL: &str = "journal.jsonl";
/// How many names a finding lists.
const MAX_NAMES: usize = 20;

/// The content of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalCheck {
    /// How many valid records it begins with.
    pub records: u64,
    /// How many bytes they take: the offset of the first bad byte.
    pub sound_bytes: u64,
    /// How many bytes there are in all.
    pub bytes: u64,
    /// What follows the last valid record.
    pub end: JournalEnd,
}

/// What follows the last valid record of a journal's valid prefix.
#[derive(Debug, Clone, PartialEq)]
pub enum JournalEnd {
    /// Nothing.
    Whole,
    /// An append that did not end, and was never acknowledged.
    Torn,
    /// Damage, and then records that may have been acknowledged.
    Damaged {
        /// What is wrong at the first bad byte.
        problem: String,
        /// How many valid records follow it.
        records: u64,
        /// The trials that those are about.
        trials: BTreeSet<TrialId>,
    },
}

/// Reads a journal to its end, damaged or not; `apply` gets the events before the damage.
///
/// # Errors
/// It cannot be read at all.
pub fn check_journal(directory: &Directory, apply: Apply<'_>) -> Result<JournalCheck, StoreError> {
    let path = directory.journal_path();
    let disk = RealDisk::open_read_only(&path).map_err(StoreError::io("open", &path))?;
    let mut tail = Tail::new(directory.definition().space.names().clone());
    let problem = match tail.catch_up(&disk, &path, apply) {
        Ok(Rest::Nothing | Rest::Torn) => None,
        Ok(Rest::Damaged(problem)) | Err(StoreError::Damaged { problem, .. }) => Some(problem),
        Err(StoreError::Study { source, .. }) => {
            Some(format!("it contradicts what is before: {source}"))
        }
        Err(error) => return Err(error),
    };
    let bytes = disk.len().map_err(StoreError::io("read", &path))?;
    let (sound_bytes, mut records, mut trials) = (tail.offset, 0, BTreeSet::new());
    let end = match problem {
        Some(problem) => {
            let after = &mut |event: Option<Event>| {
                records += 1;
                trials.extend(event.as_ref().and_then(|event| event.kind.trial_id()).cloned());
            };
            after_damage(directory, &disk, sound_bytes, after)?;
            JournalEnd::Damaged { problem, records, trials }
        }
        None if sound_bytes < bytes => JournalEnd::Torn,
        None => JournalEnd::Whole,
    };
    Ok(JournalCheck { records: tail.next_seq, sound_bytes, bytes, end })
}

/// Yields the events after the damage that the journal does not contain before it; `None` for a valid
/// record that cannot be interpreted.
fn after_damage(
    directory: &Directory,
    disk: &dyn Disk,
    offset: u64,
    found: &mut dyn FnMut(Option<Event>),
) -> Result<(), StoreError> {
    let path = directory.journal_path();
    let read = |error| StoreError::io("read", &path)(error);
    let mut known: HashSet<([u8; 8], u64)> = HashSet::new();
    sound_records(disk, 0, offset, &mut |Sound { seq, crc, .. }| {
        known.insert((crc, seq));
    })
    .map_err(read)?;
    let mut decoder = Decoder::new(directory.definition().space.names().clone());
    sound_records(disk, offset, u64::MAX, &mut |Sound { seq, crc, record }| {
        if known.insert((crc, seq)) {
            found(decoder.decode(record).ok().map(|(_, event)| event));
        }
    })
    .map_err(read)
}

/// Checks everything in the directory but the journal's content. `is_trial` and `is_member` know what
/// the study contains; without `is_trial`, nothing is reported about trials.
///
/// # Errors
/// The directory cannot be read.
pub fn check_entries(
    directory: &Directory,
    is_trial: &dyn Fn(&TrialId) -> bool,
    is_member: &dyn Fn(ProcessId) -> bool,
) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    for name in names(directory.path())? {
        let path = directory.path().join(&name);
        if is_leftover(&name) {
            let problem = "a process that died left it";
            found.push(Finding::harmless(FindingKind::Leftover, name, problem, BY_REPAIR));
        } else if name.starts_with("torn-") {
            let problem = "bytes of an append that did not end, which were cut off";
            let remedy = "remove it whenever you like: they were never acknowledged";
            found.push(Finding::harmless(FindingKind::TornBytesKept, name, problem, remedy));
        } else if name.starts_with(BEFORE_REPAIR) {
            let problem = "the journal as it was before a repair";
            let remedy = "remove it when nothing of it is missed";
            found.push(Finding::harmless(FindingKind::CopyKept, name, problem, remedy));
        } else if ["workers", "trials"].contains(&&*name) {
            match path.symlink_metadata() {
                Ok(data) if data.is_dir() => {}
                _ => found.push(not_its_own(name)),
            }
        } else if ["journal.lock", "study.json", "journal.jsonl"].contains(&&*name) {
            if !plain::is_file(&path) {
                found.push(not_its_own(name));
            }
        } else {
            let problem = "it is not the study's";
            found.push(Finding::harmless(
                FindingKind::ForeignFile,
                name,
                problem,
                "nothing needs to be",
            ));
        }
    }
    for name in names(&directory.workers_path())? {
        let path = directory.workers_path().join(&name);
        let file = format!("workers/{name}");
        let number = number_of(&name);
        if !plain::is_file(&path) {
            found.push(not_its_own(file));
        } else if !number.is_some_and(is_member) && !is_held(&path).unwrap_or(true) {
            let problem = "the lock file of a process that takes no part any more";
            found.push(Finding::harmless(FindingKind::LeftoverLock, file, problem, BY_REPAIR));
        }
    }
    let trials = directory.path().join("trials");
    let unknown = names(&trials)?.into_iter();
    let unknown: Vec<String> =
        unknown.filter(|name| !name.parse().is_ok_and(|id| is_trial(&id))).collect();
    if !unknown.is_empty() {
        let more = if unknown.len() > MAX_NAMES { ", …" } else { "" };
        let shown = unknown[..unknown.len().min(MAX_NAMES)].join(", ");
        let problem = format!("{} entries are of no trial: {shown}{more}", unknown.len());
        let remedy = "look whether you need them; nothing here removes them";
        found.push(Finding::harmless(
            FindingKind::UnknownTrialDirectory,
            "trials",
            problem,
            remedy,
        ));
    }
    for name in names(&trials)?.into_iter().filter(|name| !unknown.contains(name)) {
        if trials.join(&name).symlink_metadata().is_ok_and(|data| !data.is_dir()) {
            found.push(not_its_own(format!("trials/{name}")));
        }
    }
    Ok(found)
}

const BY_REPAIR: &str = "--repair removes it";
const BEFORE_REPAIR: &str = "journal.jsonl.before-repair-";

fn not_its_own(file: String) -> Finding {
    let problem = "it is a link, a pipe, a device or of the wrong kind, so it is never used";
    Finding::damage(
        FindingKind::WrongKind,
        file,
        problem,
        "move it away, or put the real one in its place",
    )
}

fn number_of(lock: &str) -> Option<ProcessId> {
    lock.strip_prefix('p')?.strip_suffix(".lock")?.parse().ok()
}

fn is_leftover(name: &str) -> bool {
    name.starts_with("journal.tmp-") || name.starts_with("study.tmp-")
}

/// The names in one of the study's own directories, sorted; empty if it is missing or not a
/// directory.
fn names(dir: &Path) -> Result<Vec<String>, StoreError> {
    if !dir.symlink_metadata().is_ok_and(|data| data.is_dir()) {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(dir).map_err(StoreError::io("read", dir))?;
    let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let mut names: Vec<String> = entries.flatten().map(name).collect();
    names.sort();
    Ok(names)
}

/// A study that no process uses, kept so while it is repaired.
#[derive(Debug)]
pub struct Repair<'a> {
    directory: &'a Directory,
    /// Held until the end of the repair.
    _lock: FileLock,
}

/// What became of the records after the damage.
#[derive(Debug, Default)]
pub struct Rescued {
    /// How many are in the journal again, with new numbers.
    pub kept: u64,
    /// How many contradict what is left, and exist only in the copy.
    pub dropped: u64,
    /// The trials that the dropped ones are about.
    pub trials: BTreeSet<TrialId>,
}

impl<'a> Repair<'a> {
    /// Begins a repair, if no process uses the study.
    ///
    /// # Errors
    /// A process does, or the lock cannot be taken.
    pub fn begin(directory: &'a Directory) -> Result<Self, StoreError> {
        let in_use = |who: String| StoreError::InUse { path: directory.path().into(), who };
        let mut lock = FileLock::open(&directory.journal_lock_path())?;
        match lock.lock(LOCK_WAIT) {
            Err(StoreError::LockTimeout { holder, .. }) => {
                return Err(in_use(format!("whoever holds its journal.lock{holder}")));
            }
            result => result?,
        }
        // A process joins under the journal's lock, which we hold now: so from here on none can.
        match directory.live_process()? {
            Some(process) => Err(in_use(format!("process p{process} of the study"))),
            None => Ok(Repair { directory, _lock: lock }),
        }
    }

    /// Cuts off a torn end; returns the name of the kept copy.
    ///
    /// # Errors
    /// A file operation fails; the journal is as before.
    pub fn cut(&self, check: &JournalCheck) -> Result<String, StoreError> {
        let copy = self.keep_copy()?;
        let path = self.directory.journal_path();
        let mut disk = RealDisk::open(&path).map_err(StoreError::io("open", &path))?;
        // A network file system needs the journal's own lock, too; elsewhere this does nothing.
        let cut = disk
            .lock(LOCK_WAIT)
            .and_then(|()| disk.truncate(check.sound_bytes))
            .and_then(|()| disk.sync());
        cut.map_err(StoreError::io("cut the torn end of", &path))?;
        Ok(copy)
    }

    /// Drops the damage: the journal then consists of its valid prefix and of those records after
    /// the damage that `apply` still accepts; a record may depend on one that was destroyed. The
    /// journal is replaced by a rename, so that a crash leaves either the old one or the new one.
    /// Also returns the name of the kept copy.
    ///
    /// # Errors
    /// A file operation fails; the journal is as before.
    pub fn drop_damaged(
        &self,
        check: &JournalCheck,
        apply: Apply<'_>,
    ) -> Result<(String, Rescued), StoreError> {
        let copy = self.keep_copy()?;
        let path = self.directory.journal_path();
        let disk = RealDisk::open_read_only(&path).map_err(StoreError::io("open", &path))?;
        let (mut rescued, mut lines) = (Rescued::default(), Vec::new());
        after_damage(self.directory, &disk, check.sound_bytes, &mut |event| {
            let taken = event.as_ref().is_some_and(|event| apply(event.clone()).is_ok());
            match event {
                Some(event) if taken => {
                    encode(check.records + rescued.kept, &event, &mut lines);
                    rescued.kept += 1;
                }
                event => {
                    rescued.dropped += 1;
                    rescued
                        .trials
                        .extend(event.as_ref().and_then(|event| event.kind.trial_id()).cloned());
                }
            }
        })?;
        let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
        let written = (|| {
            let mut file = plain::create(&temporary)?;
            io::copy(&mut plain::open(&path)?.take(check.sound_bytes), &mut file)?;
            file.write_all(&lines)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &path)?;
            super::replace::sync_parent(&path)
        })();
        if written.is_err() {
            let _ = std::fs::remove_file(&temporary);
        }
        written.map_err(StoreError::io("replace", &path))?;
        Ok((copy, rescued))
    }

    /// Removes what dead processes left behind, and returns its names.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn remove_leftovers(&self, found: &[Finding]) -> Result<Vec<String>, StoreError> {
        let is_leftover = |finding: &&Finding| {
            matches!(finding.kind, FindingKind::Leftover | FindingKind::LeftoverLock)
        };
        let names = found.iter().filter(is_leftover);
        let names: Vec<String> = names.map(|finding| finding.file.clone()).collect();
        for name in &names {
            let path = self.directory.path().join(name);
            std::fs::remove_file(&path).map_err(StoreError::io("remove", &path))?;
        }
        Ok(names)
    }

    /// Copies the journal, synced, under a new name: a repair may be the wrong one, and must never
    /// overwrite the copy that an earlier repair kept.
    fn keep_copy(&self) -> Result<String, StoreError> {
        let path = self.directory.journal_path();
        let copy = |name: &str| -> io::Result<()> {
            let mut to = File::create_new(self.directory.path().join(name))?;
            io::copy(&mut plain::open(&path)?, &mut to)?;
            to.sync_all()?;
            super::replace::sync_parent(&path)
        };
        for n in 1_u32.. {
            let name = format!("{BEFORE_REPAIR}{n}");
            match copy(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let kept: PathBuf = self.directory.path().join(name);
                    let _ = std::fs::remove_file(&kept);
                    return Err(StoreError::io("write", &kept)(error));
                }
                Ok(()) => return Ok(name),
            }
        }
        Ok(String::new())
    }
}

/// The lock file of a process, relative to the study's directory.
pub fn lock_name(process: ProcessId) -> String {
    lock_path(Path::new("workers"), process).to_string_lossy().into_owned()
}
