//! What the processes of one machine divide among their workers, told to each other: two that give out the same
//! GPUs would share them, and neither would know.

use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use fs2::FileExt;

use super::slots::Slots;
use trialmill_store::{own_job, plain};

/// Bytes of a claim that are read.
const MAX_CLAIM_BYTES: u64 = 64 << 10;

/// That this process gives out some slots, for as long as it lives.
#[derive(Debug)]
pub(crate) struct SlotClaim {
    path: PathBuf,
    /// Locked: a file that is not belongs to a process that is gone.
    _file: File,
}

impl SlotClaim {
    /// Says so, and warns of others that give out the same. A batch system that hides devices from jobs
    /// gives those of each the same numbers: so only processes of one job are compared.
    pub(crate) fn take(slots: &Slots, own: &[String]) -> Option<Self> {
        Self::take_in(&std::env::temp_dir(), slots, own).map(|(claim, warnings)| {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            claim
        })
    }

    fn take_in(temporary: &Path, slots: &Slots, own: &[String]) -> Option<(Self, Vec<String>)> {
        let kind = match slots {
            Slots::None => return None,
            Slots::Gpus => "gpus",
            Slots::Cores => "cores",
            Slots::List(_) => "list",
        };
        // Our own entry there is ours.
        let user = std::fs::metadata("/proc/self").ok()?.uid();
        let dir = temporary.join(format!("trialmill-slots-{user}"));
        let _ = DirBuilder::new().mode(0o700).create(&dir);
        // Another user's, or a link: nothing of ours.
        let data = std::fs::symlink_metadata(&dir).ok()?;
        if !data.is_dir() || data.uid() != user {
            return None;
        }
        let job = own_job().unwrap_or_default();
        let head = format!("{kind} {job}");
        let others = others(&dir);
        let path = dir.join(format!("{}-{:08x}", std::process::id(), rand::random::<u32>()));
        let mut file = plain::create(&path).ok()?;
        file.try_lock_exclusive().ok()?;
        file.write_all(format!("{head}\n{}\n", own.join("\n")).as_bytes()).ok()?;
        let warn = |(pid, text): (String, String)| {
            let mut lines = text.lines();
            let is_like_ours = lines.next() == Some(head.as_str());
            let theirs: Vec<&str> = lines.collect();
            let both: Vec<&str> =
                own.iter().map(String::as_str).filter(|one| theirs.contains(one)).collect();
            (is_like_ours && !both.is_empty()).then(|| {
                format!(
                    "slots: process {pid} of this machine gives out {kind} {} too: two commands may \
                     have the same at a time. Give each process its own, with CUDA_VISIBLE_DEVICES, \
                     taskset, or --slots LIST",
                    both.join(",")
                )
            })
        };
        let warnings = others.into_iter().filter_map(warn).collect();
        Some((SlotClaim { path, _file: file }, warnings))
    }
}

impl Drop for SlotClaim {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The claims of living processes; those of dead ones are removed.
fn others(dir: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        let Ok(file) = plain::open(&path) else { continue };
        if FileExt::try_lock_shared(&file).is_ok() {
            let _ = std::fs::remove_file(&path);
            continue;
        }
        let mut text = String::new();
        if file.take(MAX_CLAIM_BYTES).read_to_string(&mut text).is_ok() {
            found.push((name.split('-').next().unwrap_or_default().to_string(), text));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two runs on one machine had GPU 0 both, and neither said so.
    #[test]
    fn another_process_that_gives_out_the_same_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let list = |items: &[&str]| items.iter().map(ToString::to_string).collect::<Vec<_>>();
        let take = |slots: Slots, own: &[&str]| {
            SlotClaim::take_in(dir.path(), &slots, &list(own)).unwrap()
        };
        let (first, warnings) = take(Slots::Gpus, &["0", "1"]);
        assert_eq!(warnings, [""; 0]);
        let (_other, warnings) = take(Slots::Gpus, &["2", "3"]);
        assert_eq!(warnings, [""; 0]);
        let (_cores, warnings) = take(Slots::Cores, &["0", "1"]);
        assert_eq!(warnings, [""; 0], "cores are no GPUs");
        let (_same, warnings) = take(Slots::Gpus, &["1", "2"]);
        assert_eq!(warnings.len(), 2);
        assert!(warnings.iter().all(|it| it.contains(&std::process::id().to_string())));
        drop(first);
        let (_again, warnings) = take(Slots::Gpus, &["0"]);
        assert_eq!(warnings, [""; 0], "it is gone");
        assert!(SlotClaim::take_in(dir.path(), &Slots::None, &[]).is_none());
    }

    #[test]
    fn what_a_killed_process_left_claims_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let own = vec!["0".to_string()];
        let (claim, _) = SlotClaim::take_in(dir.path(), &Slots::Gpus, &own).unwrap();
        let text = std::fs::read(&claim.path).unwrap();
        let left = claim.path.with_file_name("999999-0");
        drop(claim);
        std::fs::write(&left, text).unwrap();
        let (_claim, warnings) = SlotClaim::take_in(dir.path(), &Slots::Gpus, &own).unwrap();
        assert!(warnings.is_empty() && !left.exists());
    }
}
