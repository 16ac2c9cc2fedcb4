//! The few things a journal needs of a file, behind a trait so that a test can fail each of them.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::plain;

/// A file that grows at its end.
pub trait Disk: Send {
    /// Its length in bytes, as every process sees it now.
    fn len(&self) -> io::Result<u64>;
    /// Whether it is empty.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads at most `buffer.len()` bytes at a place; 0 only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Cuts the file to a length.
    fn truncate(&mut self, len: u64) -> io::Result<()>;
    /// Makes everything that was appended before this call, by anybody, survive power loss.
    fn sync(&mut self) -> io::Result<()>;
}

/// A real file.
#[derive(Debug)]
pub struct RealDisk(File);

impl RealDisk {
    /// Opens a file for reading and appending. It must exist: a study whose journal is gone must not
    /// begin a new one.
    pub fn open(path: &Path) -> io::Result<Self> {
        plain::open_to_write(OpenOptions::new().read(true).append(true), path).map(RealDisk)
    }

    /// Opens a file for reading only.
    pub fn open_read_only(path: &Path) -> io::Result<Self> {
        plain::open(path).map(RealDisk)
    }
}

impl Disk for RealDisk {
    /// Also notices that the file was removed: what is appended to it then is kept nowhere.
    fn len(&self) -> io::Result<u64> {
        let data = self.0.metadata()?;
        match data.nlink() {
            0 => Err(io::Error::new(io::ErrorKind::NotFound, "it was removed while it was in use")),
            _ => Ok(data.len()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

/// Replaces a file as a whole: readers see the old content or the new one, also after a crash.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("tmp-{}", std::process::id()));
    let result = (|| {
        let mut file = plain::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)?;
        sync_parent(path)
    })();
    if result.is_err() {
        let _ = std::fs::remove_file(&beside);
    }
    result
}

/// Makes the entry of a file in its directory survive power loss.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => File::open(parent)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}
