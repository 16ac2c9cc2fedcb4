//! The study's files are plain files and directories of its own. What a link, a pipe or a device of
//! such a name leads to is not the study's: it is never opened, so nothing hangs at it and nothing
//! outside the study's directory is written.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::OFlag;
use nix::sys::statfs::{NFS_SUPER_MAGIC, fstatfs};

/// Opens a file for reading.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens a file as these options say.
pub fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    match open_once(options, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && asks_server(path) => {
            open_once(options, path)
        }
        result => result,
    }
}

fn open_once(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // A name is looked at before it is opened, because opening a device may already do something.
    match std::fs::symlink_metadata(path) {
        Ok(data) => check(&data)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = options.custom_flags(flags.bits()).open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// The same for a file that is written to: then it has no second name, outside of the study.
pub fn open_to_write(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = open_with(options, path)?;
    match file.metadata()?.nlink() {
        0 | 1 => Ok(file),
        _ => Err(wrong("it has a second name (a hard link), which would be written to as well")),
    }
}

/// Makes a file anew; what stood there before, under this name or another, is not written to.
pub fn create(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => File::create_new(path),
    }
}

/// [`create`], with this content.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create(path)?.write_all(bytes)
}

/// Reads a file to its end; one with more than `limit` bytes is an error.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_limited(open(path)?, limit)
}

/// The same for any reader.
pub fn read_limited(from: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(limit + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is too large: {limit} bytes are allowed"),
        )),
        false => Ok(bytes),
    }
}

/// Whether a plain file is there.
pub fn is_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|data| data.is_file())
}

/// The same for anything but a link that leads nowhere, after the server was asked.
pub fn is_there(path: &Path) -> bool {
    path.exists() || (asks_server(path) && path.exists())
}

/// Makes a network file system forget which names it has looked for in vain, in a directory and in
/// those above it: it remembers that for up to a minute, while others make files of these names.
/// Opening a directory asks the server what has changed in it (nfs(5), "Data and metadata coherence").
pub fn ask_for_entries(path: &Path) {
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    // The nearest ones that are there, and each that is found thereby.
    let first = above.iter().rposition(|path| path.is_dir()).unwrap_or(0);
    above[first..].iter().all(|path| File::open(path).is_ok());
}

/// Asks a network server for the entries of the directory that a path is in, and of those above;
/// false on other file systems, where what is not found is not there.
fn asks_server(path: &Path) -> bool {
    let there = path.ancestors().skip(1).find_map(|above| {
        File::open(if above.as_os_str().is_empty() { Path::new(".") } else { above }).ok()
    });
    let is_nfs =
        |file: &File| fstatfs(file).is_ok_and(|data| data.filesystem_type() == NFS_SUPER_MAGIC);
    if !there.is_some_and(|file| is_nfs(&file)) {
        return false;
    }
    ask_for_entries(path);
    true
}

/// Makes a directory unless it is there. Of its path the last `own` are the study's, and no links.
pub fn create_dir(path: &Path, own: usize) -> io::Result<()> {
    path.ancestors().take(own).try_for_each(own_dir)?;
    std::fs::create_dir_all(path)
}

/// Refuses what is there and is no directory of the study's own.
pub fn own_dir(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(data) if !data.is_dir() => {
            Err(wrong(format!("{} is a link or a file, and not a directory", path.display())))
        }
        _ => Ok(()),
    }
}

fn check(data: &Metadata) -> io::Result<()> {
    match data.file_type() {
        kind if kind.is_file() => Ok(()),
        kind if kind.is_symlink() => Err(wrong("it is a link, and not a file of the study's own")),
        kind if kind.is_dir() => Err(wrong("it is a directory, and not a file")),
        _ => Err(wrong("it is a pipe, a socket or a device, and not a file")),
    }
}

fn wrong(problem: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, problem.into())
}
