//! Opens plain files and nothing else. A link, a pipe or a device with the name of a study's file is
//! never opened: so nothing can make this process hang, and nothing outside the study's directory is
//! written.

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

/// Opens a file with these options. NFS may answer from a cache that a file does not exist, so this
/// asks the server before it says so.
pub fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    match open_once(options, path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && asks_server(path) => {
            open_once(options, path)
        }
        result => result,
    }
}

fn open_once(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // Check the name before opening it: merely opening a device may have an effect.
    match std::fs::symlink_metadata(path) {
        Ok(data) => check(&data)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // It may be replaced between that check and the open: then a link is refused, opening a pipe
    // does not block, and the check of the open file finds everything else.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let file = options.custom_flags(flags.bits()).open(path)?;
    check(&file.metadata()?)?;
    Ok(file)
}

/// The same for a file to be written: it must not have a second name (a hard link), because that
/// could be outside of the study.
pub fn open_to_write(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let file = open_with(options, path)?;
    match file.metadata()?.nlink() {
        0 | 1 => Ok(file),
        _ => Err(wrong("it has a second name (a hard link), which would be written to as well")),
    }
}

/// Creates a new file in place of an existing one. The old file is removed and not truncated,
/// because it may be a link, or have a second name outside of the study.
pub fn create(path: &Path) -> io::Result<File> {
    create_with(OpenOptions::new().write(true), path)
}

/// The same for a file that is also read.
pub fn create_readable(path: &Path) -> io::Result<File> {
    create_with(OpenOptions::new().read(true).write(true), path)
}

fn create_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    match options.create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            std::fs::remove_file(path)?;
            options.open(path)
        }
        created => created,
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

/// Whether a plain file exists.
pub fn is_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|data| data.is_file())
}

/// Whether anything but a dangling link exists at a path, after asking the server. What cannot be
/// inspected counts as existing.
pub fn is_there(path: &Path) -> bool {
    let exists = || path.try_exists().unwrap_or(true);
    exists() || (asks_server(path) && exists())
}

/// Whether the entries of a directory cannot be inspected: then a file that is not found may exist.
pub fn is_hidden(dir: &Path) -> bool {
    dir.join(".").try_exists().is_err()
}

/// Makes a network file system forget which names did not exist, in a directory and in those above
/// it: it remembers that for up to a minute, even while others create such files. Opening a
/// directory asks the server what has changed in it (nfs(5), "Data and metadata coherence").
pub fn ask_for_entries(path: &Path) {
    let mut above: Vec<&Path> = path.ancestors().collect();
    above.reverse();
    // First the nearest existing ancestor, then each one found through it.
    let first = above.iter().rposition(|path| path.is_dir()).unwrap_or(0);
    above[first..].iter().all(|path| File::open(path).is_ok());
}

/// Asks a network server for the entries of the directory that contains a path, and of those above;
/// returns false on other file systems, where a name that is not found does not exist.
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

/// Creates a directory unless it exists. The last `own` components of its path belong to the study
/// and must not be links. Those above them must exist already, because a study that was moved must
/// not be created again under its old name.
pub fn create_dir(path: &Path, own: usize) -> io::Result<()> {
    let mut missing = Vec::new();
    for path in path.ancestors().take(own) {
        match std::fs::symlink_metadata(path) {
            Ok(_) => own_dir(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(path),
            Err(error) => return Err(error),
        }
    }
    for path in missing.into_iter().rev() {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => own_dir(path)?,
            made => made?,
        }
    }
    Ok(())
}

/// Refuses anything that exists but is not a directory of the study's own.
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
