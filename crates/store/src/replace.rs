//! Replaces a file as a whole, and makes that survive power loss.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::plain;

/// Replaces a file as a whole: readers see the old content or the new one, also after a crash.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = temporary_name(path);
    let result = (|| {
        let mut file = plain::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&temporary, path)?;
        sync_parent(path)
    })();
    if result.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    result
}

/// A temporary name in the same directory for the file's replacement. It contains more than the
/// process id, because processes on two machines may have the same.
pub(super) fn temporary_name(path: &Path) -> PathBuf {
    let number: u32 = rand::random();
    path.with_extension(format!("tmp-{}-{number:08x}", std::process::id()))
}

/// Makes the entry of a file in its directory survive power loss.
pub fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
