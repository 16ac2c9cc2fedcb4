//! Which file system a study is on, and how far its locks reach.
//!
//! On a local file system one kernel sees every byte and every lock. On a network file system each
//! machine has a cache of its own, which agrees with the others' only where the protocol says so,
//! and a mount option can keep the locks from leaving the machine, without an error.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statfs::{NFS_SUPER_MAGIC, fstatfs};

use trialmill_core::error::StoreError;
use trialmill_core::event::Process;

/// What is known of the mount that a directory is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// As Linux names it: `ext4`, `nfs4`, `fuse.sshfs`.
    kind: String,
    reach: Reach,
    /// The option that keeps POSIX record locks, which NePS uses, on this machine.
    local_records: Option<String>,
}

/// How far flock reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    /// One kernel has the files to itself (or serves them to others, whose locks it keeps).
    Local,
    /// Every machine that has it mounted.
    Network,
    /// This machine alone, though others may have the files too; for this reason.
    ThisMachine(String),
    /// Unknown.
    Unknown,
}

/// File systems of one machine.
const LOCAL: [&str; 27] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "tmpfs", "ramfs", "rootfs", "overlay", "f2fs",
    "bcachefs", "jfs", "reiserfs", "nilfs2", "ntfs", "ntfs3", "vfat", "exfat", "msdos", "hfsplus",
    "udf", "ecryptfs", "fuseblk", "erofs", "squashfs", "aufs",
];

/// File systems of a cluster whose locks are the cluster's.
const CLUSTER: [&str; 4] = ["gpfs", "ceph", "gfs2", "ocfs2"];

impl FileSystem {
    /// The file system of a directory or file, from the list of mounts; for a missing path, that of
    /// its nearest existing ancestor.
    pub fn of(path: &Path) -> Self {
        let there = path.ancestors().find_map(|path| path.canonicalize().ok());
        let there = there.unwrap_or_else(|| "/".into());
        let device = std::fs::metadata(&there).map_or(0, |data| data.dev());
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        Self::find(&mounts, &there, device)
    }

    /// The mount of a path in the content of `/proc/self/mountinfo` (proc(5)): the one with its
    /// device number, otherwise the last of those with the longest mount point that contains the
    /// path.
    fn find(mounts: &str, path: &Path, device: u64) -> Self {
        let number = format!("{}:{}", nix::sys::stat::major(device), nix::sys::stat::minor(device));
        let mut best: Option<((bool, usize), Self)> = None;
        for line in mounts.lines() {
            let mut fields = line.split(' ');
            let (device, point) = (fields.nth(2), fields.nth(1).unwrap_or_default());
            if !path.starts_with(unescaped(point)) {
                continue;
            }
            let (own_options, rest) = (fields.next(), fields.skip_while(|field| *field != "-"));
            let mut rest = rest.skip(1);
            let (Some(kind), super_options) = (rest.next(), rest.nth(1)) else { continue };
            let rank = (device == Some(&*number), point.len());
            if best.as_ref().is_none_or(|(found, _)| rank >= *found) {
                let options = [own_options, super_options].map(Option::unwrap_or_default).join(",");
                best = Some((rank, Self::with_options(kind, &options)));
            }
        }
        best.map_or_else(|| Self::with_options("unknown", ""), |(_, found)| found)
    }

    /// What a kind of file system with these mount options does with locks.
    pub(super) fn with_options(kind: &str, options: &str) -> Self {
        let has = |wanted: &str| options.split(',').any(|option| option == wanted);
        let first = |wanted: &[&str]| wanted.iter().find(|option| has(option)).map(|o| (*o).into());
        let this_machine_or =
            |options: &[&str], other| first(options).map_or(other, Reach::ThisMachine);
        let reach = match kind {
            kind if LOCAL.contains(&kind) => Reach::Local,
            // nfs(5): `nolock` shows as `local_lock=all` on newer kernels.
            "nfs" | "nfs4" => {
                this_machine_or(&["local_lock=all", "local_lock=flock", "nolock"], Reach::Network)
            }
            "lustre" => this_machine_or(&["localflock"], Reach::Network),
            kind if CLUSTER.contains(&kind) => this_machine_or(&["localflocks"], Reach::Network),
            "cifs" | "smb3" => this_machine_or(&["nobrl", "nolock"], Reach::Unknown),
            "fuse.sshfs" | "fuse.s3fs" | "fuse.rclone" | "fuse.mount-s3" | "fuse.gcsfuse" => {
                Reach::ThisMachine(format!("{kind} has no locks between machines"))
            }
            _ => Reach::Unknown,
        };
        let local_records = match kind {
            "nfs" | "nfs4" => first(&["local_lock=posix"]),
            _ => None,
        };
        FileSystem { kind: kind.into(), reach, local_records }
    }

    /// As Linux names it.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whether other machines may read and write its files through caches of their own.
    pub fn is_shared(&self) -> bool {
        self.reach != Reach::Local
    }

    /// Whether it is not known how far its locks reach.
    pub fn is_unknown(&self) -> bool {
        self.reach == Reach::Unknown
    }

    /// Whether a process of another machine may work on files of ours here.
    ///
    /// # Errors
    /// The locks of the two do not reach each other. Where that is not known, it is a warning.
    pub fn admit(&self, process: &Process, path: &Path) -> Result<(), StoreError> {
        if let Some(why) = self.local_locks() {
            let Process { process, host, .. } = process;
            let who = format!("process p{process} of {host}");
            return Err(StoreError::LocalLocks { path: path.into(), who, why: why.into() });
        }
        if self.is_unknown() {
            tracing::warn!(
                "{}: process p{} of {} works here too, and it is not known whether locks of the \
                 file system {} reach it: see README, \"Several machines\"",
                path.display(),
                process.process,
                process.host,
                self.kind
            );
        }
        Ok(())
    }

    /// The same file system for files that are locked by POSIX record locks too, as NePS does.
    pub(super) fn for_record_locks(self) -> Self {
        match self.local_records {
            Some(why) => FileSystem { reach: Reach::ThisMachine(why), local_records: None, ..self },
            None => self,
        }
    }

    /// Why its locks do not reach other machines, where that is known: a mount option, or its kind.
    pub fn local_locks(&self) -> Option<&str> {
        match &self.reach {
            Reach::ThisMachine(why) => Some(why),
            _ => None,
        }
    }
}

/// Whether a file is on NFS: there flock is a lock of the server, and lookups are cached.
pub(super) fn is_nfs(file: &File) -> bool {
    fstatfs(file).is_ok_and(|data| data.filesystem_type() == NFS_SUPER_MAGIC)
}

/// Decodes a path as proc(5) writes it: blanks and backslashes as three octal digits.
fn unescaped(field: &str) -> String {
    let mut path = field.to_string();
    for (code, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        path = path.replace(code, character);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:26 / /mnt/a\\040b rw,relatime shared:9 - nfs4 srv:/x rw,vers=4.2,hard,local_lock=none,addr=1.2.3.4
31 22 0:27 / /mnt/c rw,relatime - nfs srv:/x rw,vers=3,nolock,local_lock=all
32 22 0:28 / /mnt/d rw,relatime - nfs srv:/x rw,vers=3,local_lock=posix
33 22 0:29 / /mnt/e rw - fuse.unheard-of x rw,user_id=0
34 31 0:30 / /mnt/c/local rw - tmpfs none rw
";

    fn of(path: &str) -> FileSystem {
        FileSystem::find(MOUNTS, Path::new(path), 0)
    }

    #[test]
    fn the_mount_of_a_path_is_found_with_its_kind() {
        let kinds = [
            ("/", "ext4"),
            ("/mnt/a b/runs", "nfs4"),
            ("/mnt/a", "ext4"),
            ("/mnt/c", "nfs"),
            ("/mnt/c/local/x", "tmpfs"),
            ("/mnt/cc", "ext4"),
        ];
        for (path, kind) in kinds {
            assert_eq!(of(path).kind(), kind, "{path}");
        }
        // The device number decides where it is among the mounts.
        let device = nix::sys::stat::makedev(0, 27);
        assert_eq!(FileSystem::find(MOUNTS, Path::new("/mnt/c/local"), device).kind(), "nfs");
    }

    /// With `nolock`, locks silently exclude only processes of one machine: two machines ran every
    /// trial twice.
    #[test]
    fn options_that_keep_locks_on_the_machine_are_named() {
        let table = [
            ("nfs4", "rw,local_lock=none", None, None),
            ("nfs", "rw,local_lock=all", Some("local_lock=all"), Some("local_lock=all")),
            ("nfs", "rw,local_lock=flock", Some("local_lock=flock"), Some("local_lock=flock")),
            ("nfs", "rw,nolock", Some("nolock"), Some("nolock")),
            ("nfs", "rw,local_lock=posix", None, Some("local_lock=posix")),
            ("nfs4", "rw,nolocks", None, None),
            ("lustre", "rw,flock", None, None),
            ("lustre", "rw,localflock", Some("localflock"), Some("localflock")),
            ("gfs2", "rw,localflocks", Some("localflocks"), Some("localflocks")),
            ("cifs", "rw,nobrl", Some("nobrl"), Some("nobrl")),
            ("ext4", "rw,nolock", None, None),
        ];
        for (kind, options, flock, records) in table {
            let found = FileSystem::with_options(kind, options);
            assert_eq!(found.local_locks(), flock, "{kind} {options}");
            assert_eq!(found.for_record_locks().local_locks(), records, "{kind} {options}");
        }
        assert!(FileSystem::with_options("fuse.sshfs", "rw").local_locks().is_some());
    }

    #[test]
    fn only_what_is_known_to_be_of_one_machine_counts_as_local() {
        for (kind, shared, unknown) in [
            ("ext4", false, false),
            ("overlay", false, false),
            ("nfs4", true, false),
            ("gpfs", true, false),
            ("cifs", true, true),
            ("9p", true, true),
            ("fuse.unheard-of", true, true),
            ("unknown", true, true),
        ] {
            let found = FileSystem::with_options(kind, "rw");
            assert_eq!((found.is_shared(), found.is_unknown()), (shared, unknown), "{kind}");
        }
    }

    #[test]
    fn the_temporary_directory_of_this_machine_is_on_some_mount() {
        let dir = tempfile::tempdir().unwrap();
        assert_ne!(FileSystem::of(dir.path()).kind(), "unknown");
        assert_eq!(FileSystem::of(&dir.path().join("a/b")), FileSystem::of(dir.path()));
    }
}
