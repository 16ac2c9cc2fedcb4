//! The files of a trial: which there are, and a stretch of one. Only plain files directly in the trial's
//! own directory, and in ours inside it, are read; no link is followed.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Serialize;
use trialmill_store::{AttemptFiles, plain};

/// Files that are listed.
const MOST: usize = 200;
/// Bytes of one answer.
pub const STRETCH: u64 = 256 << 10;

/// A file of a trial.
#[derive(Debug, Serialize)]
pub struct File {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// When it was last written, in seconds since the Unix epoch.
    pub modified: Option<f64>,
}

/// The trial's directory, and the one inside it where what we write of each attempt is.
fn homes(dir: &Path) -> [PathBuf; 2] {
    [AttemptFiles::of(dir, 0).own(), dir.into()]
}

/// The plain files of a trial, by name.
pub fn list(dir: &Path) -> Vec<File> {
    if plain::own_dir(dir).is_err() {
        return Vec::new();
    }
    let homes = homes(dir).into_iter().filter(|home| plain::own_dir(home).is_ok());
    let mut files: Vec<File> = homes
        .filter_map(|home| std::fs::read_dir(home).ok())
        .flat_map(Iterator::flatten)
        .filter_map(|entry| {
            let data = entry.path().symlink_metadata().ok().filter(std::fs::Metadata::is_file)?;
            let modified = data.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok();
            Some(File {
                name: entry.file_name().to_str()?.to_string(),
                bytes: data.len(),
                modified: modified.map(|time| time.as_secs_f64()),
            })
        })
        .take(MOST)
        .collect();
    files.sort_by(|a, b| a.name.cmp(&b.name));
    files.dedup_by(|a, b| a.name == b.name);
    files
}

/// A stretch of a file, where it begins, and how long the file is. A negative `from` counts from the end.
///
/// # Errors
/// It is no plain file of the directory, or cannot be read.
pub fn stretch(dir: &Path, name: &str, from: i64) -> std::io::Result<(Vec<u8>, u64, u64)> {
    let wrong =
        |problem: &str| std::io::Error::new(std::io::ErrorKind::InvalidInput, problem.to_string());
    if name.is_empty() || name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(wrong("a trial's file is named without a path"));
    }
    plain::own_dir(dir)?;
    if let Some(above) = dir.parent() {
        plain::own_dir(above)?;
    }
    let [ours, own] = homes(dir);
    let home =
        if plain::own_dir(&ours).is_ok() && plain::is_file(&ours.join(name)) { ours } else { own };
    let mut file = plain::open(&home.join(name))?;
    let length = file.metadata()?.len();
    let from = match from {
        from if from < 0 => length.saturating_sub(from.unsigned_abs().min(STRETCH)),
        from => (from as u64).min(length),
    };
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(STRETCH).read_to_end(&mut bytes)?;
    Ok((bytes, from, length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_trial_is_read_whatever_it_is_called() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("trials/1");
        std::fs::create_dir_all(dir.join("inner")).unwrap();
        std::fs::write(home.path().join("secret"), "secret").unwrap();
        let ours = AttemptFiles::of(&dir, 1).own();
        std::fs::create_dir(&ours).unwrap();
        std::fs::write(ours.join("stdout.log"), "0123456789").unwrap();
        std::os::unix::fs::symlink(home.path().join("secret"), dir.join("link")).unwrap();
        nix::unistd::mkfifo(&dir.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let names: Vec<String> = list(&dir).into_iter().map(|file| file.name).collect();
        assert_eq!(names, ["stdout.log"]);
        for name in
            ["link", "pipe", "inner", "../../secret", "..", ".", "", "/etc/passwd", "a\0b", "none"]
        {
            assert!(stretch(&dir, name, 0).is_err(), "{name:?}");
        }
        let read = |from| stretch(&dir, "stdout.log", from).unwrap();
        assert_eq!(read(0), (b"0123456789".to_vec(), 0, 10));
        assert_eq!(read(7), (b"789".to_vec(), 7, 10));
        assert_eq!(read(-4), (b"6789".to_vec(), 6, 10));
        assert_eq!(read(99), (Vec::new(), 10, 10));
        assert_eq!(read(i64::MIN).1, 0);
        // The trial's directory itself may be a link that a command made.
        std::os::unix::fs::symlink(home.path(), home.path().join("trials/2")).unwrap();
        assert!(stretch(&home.path().join("trials/2"), "secret", 0).is_err());
        assert!(list(&home.path().join("trials/2")).is_empty());
    }
}
