//! What a command leaves for us: its result file, and what it writes to its two streams.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::SystemTime;

use nix::fcntl::{FallocateFlags, fallocate};

use trialmill_core::limits::{LOG_HEAD_BYTES, LOG_TAIL_BYTES, MAX_RESULT_BYTES, STDERR_TAIL_BYTES};
use trialmill_store::{AttemptFiles, Identity, Stream, plain};

/// The output of one attempt.
#[derive(Debug)]
pub(super) struct Output {
    files: AttemptFiles,
    /// Our own descriptor, so that the result is not lost if the command empties its trial's
    /// directory.
    stdout: File,
}

/// The identity, length and time of the result file at some moment.
pub(super) type Mark = Option<(Identity, u64, SystemTime)>;

impl Output {
    pub(super) fn new(files: AttemptFiles, stdout: File) -> Self {
        Output { files, stdout }
    }

    pub(super) fn files(&self) -> &AttemptFiles {
        &self.files
    }

    /// The current mark of the result file. If a later one differs, it was written in between.
    pub(super) fn mark(&self) -> Mark {
        let data = std::fs::metadata(self.files.result()).ok()?;
        Some((Identity::of(&data), data.len(), data.modified().ok()?))
    }

    /// Whether the result file was written at this time or later.
    pub(super) fn is_written_since(&self, time: SystemTime) -> bool {
        self.mark().is_some_and(|(_, len, written)| len > 0 && written >= time)
    }

    /// The content of the result file; `None` if it is missing or empty.
    pub(super) fn result_file(&self) -> Option<Result<String, String>> {
        let path = self.files.result();
        let data = std::fs::metadata(&path).ok().filter(|data| data.len() > 0)?;
        if data.len() > MAX_RESULT_BYTES {
            return Some(Err(format!("the result file has more than {MAX_RESULT_BYTES} bytes")));
        }
        Some(readable(
            File::open(&path).and_then(|file| plain::read_limited(file, MAX_RESULT_BYTES)),
        ))
    }

    /// The last line of stdout that is not blank.
    pub(super) fn last_line(&self) -> Result<String, String> {
        let end = tail(&self.stdout, MAX_RESULT_BYTES).map(|end| {
            let lines = end.split(|byte| *byte == b'\n');
            let last = lines.rev().find(|line| !line.iter().all(u8::is_ascii_whitespace));
            last.unwrap_or_default().to_vec()
        });
        readable(end)
    }

    /// The end of stderr, trimmed; `None` if it is blank.
    pub(super) fn stderr(&self) -> Option<String> {
        let file = plain::open(&self.files.log(Stream::Stderr)).ok()?;
        let end = tail(&file, STDERR_TAIL_BYTES).ok()?;
        let said = end.trim_ascii();
        (!said.is_empty()).then(|| String::from_utf8_lossy(said).into_owned())
    }

    /// While the command runs: frees the disk space of the middle of a long log. The file keeps its
    /// length, so the command can continue to append. Not every file system supports this.
    pub(super) fn free_middles(&self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut options = std::fs::OpenOptions::new();
            let path = self.files.log(stream);
            let Ok(file) = plain::open_to_write(options.write(true), &path) else { continue };
            let len = file.metadata().map_or(0, |data| data.len());
            let middle = len.saturating_sub(LOG_HEAD_BYTES + LOG_TAIL_BYTES);
            if middle > 0 {
                let how =
                    FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                let _ = fallocate(&file, how, LOG_HEAD_BYTES as i64, middle as i64);
            }
        }
    }

    /// After the command has ended: cuts a long log down to its head and its tail, with a line that
    /// says so in between.
    pub(super) fn shorten(&self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let path = self.files.log(stream);
            if let Err(error) = shorten(&path) {
                tracing::warn!("{} stays as long as it is: {error}", path.display());
            }
        }
    }
}

fn shorten(path: &Path) -> io::Result<()> {
    let len = match std::fs::symlink_metadata(path) {
        Ok(data) if data.is_file() => data.len(),
        _ => return Ok(()),
    };
    let middle = len.saturating_sub(LOG_HEAD_BYTES + LOG_TAIL_BYTES);
    if middle == 0 {
        return Ok(());
    }
    let mut from = plain::open(path)?;
    let beside = path.with_extension("log.short");
    let written = (|| {
        let mut to = plain::create(&beside)?;
        io::copy(&mut (&mut from).take(LOG_HEAD_BYTES), &mut to)?;
        writeln!(to, "\n… trialmill left out {middle} bytes here …")?;
        from.seek(SeekFrom::Start(LOG_HEAD_BYTES + middle))?;
        io::copy(&mut from.take(LOG_TAIL_BYTES), &mut to)?;
        std::fs::rename(&beside, path)
    })();
    written.inspect_err(|_| drop(std::fs::remove_file(&beside)))
}

fn readable(bytes: io::Result<Vec<u8>>) -> Result<String, String> {
    let bytes = bytes.map_err(|error| format!("the result cannot be read: {error}"))?;
    trialmill_core::json::text(bytes).map_err(|problem| format!("the result: {problem}"))
}

/// Reads without moving the file position, which we share with the command.
fn tail(file: &File, bytes: u64) -> io::Result<Vec<u8>> {
    let len = file.metadata()?.len();
    let mut end = vec![0; usize::try_from(len.min(bytes)).unwrap_or(0)];
    let mut read = 0;
    while read < end.len() {
        let at = len - (end.len() - read) as u64;
        match file.read_at(&mut end[read..], at)? {
            0 => break,
            n => read += n,
        }
    }
    end.truncate(read);
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The output of a first attempt that has printed this.
    fn having_printed(home: &tempfile::TempDir, text: &str) -> Output {
        let files = AttemptFiles::of(home.path(), 1);
        std::fs::create_dir(files.own()).unwrap();
        let log = files.log(Stream::Stdout);
        std::fs::write(&log, text).unwrap();
        Output::new(files, File::open(&log).unwrap())
    }

    /// A command that printed in an endless loop filled the disk, and its log could not be opened.
    #[test]
    fn a_long_log_keeps_its_head_and_its_tail() {
        let home = tempfile::tempdir().unwrap();
        let line = |n: u64| format!("{n:09}\n");
        let lines = (LOG_HEAD_BYTES + LOG_TAIL_BYTES) / 10 + 100_000;
        let output = having_printed(&home, &(0..lines).map(line).collect::<String>());
        let path = output.files().log(Stream::Stdout);
        output.free_middles();
        let whole = std::fs::metadata(&path).unwrap().len();
        assert_eq!(whole, lines * 10, "the command goes on at its end");
        assert_eq!(output.last_line().unwrap(), line(lines - 1).trim());
        output.shorten();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with(&line(0)) && text.ends_with(&line(lines - 1)));
        assert!(
            text.contains("left out") && text.len() as u64 <= LOG_HEAD_BYTES + LOG_TAIL_BYTES + 100
        );
        let before = text.len();
        output.shorten();
        assert!(before.abs_diff(std::fs::read(&path).unwrap().len()) < 100);
    }

    /// The disk of a command that prints without end was full long before its end.
    #[test]
    fn the_middle_of_a_long_log_takes_no_disk_while_its_command_runs() {
        use std::os::unix::fs::MetadataExt;
        let home = tempfile::tempdir().unwrap();
        let (edges, middle) = (LOG_HEAD_BYTES + LOG_TAIL_BYTES, 8 << 20);
        let output = having_printed(&home, &"x".repeat((edges + middle) as usize));
        let path = output.files().log(Stream::Stdout);
        let on_disk = || std::fs::metadata(&path).unwrap().blocks() * 512;
        let stderr = output.files().log(Stream::Stderr);
        std::fs::write(&stderr, "short").unwrap();
        let how = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        let writable = File::options().write(true).open(&stderr).unwrap();
        File::open(&path).unwrap().sync_all().unwrap();
        let before = on_disk();
        if before < middle || fallocate(&writable, how, 0, 1).is_err() {
            println!("skipped: this file system packs files, or frees no part of one");
            return;
        }
        output.free_middles();
        assert!(before.saturating_sub(on_disk()) > middle / 2, "{before} and {}", on_disk());
    }

    #[test]
    fn a_result_file_may_be_as_large_as_the_limit_and_no_larger() {
        let home = tempfile::tempdir().unwrap();
        let output = having_printed(&home, "");
        for (more, is_read) in [(0, true), (1, false)] {
            let text = format!("1{}", " ".repeat((MAX_RESULT_BYTES + more - 1) as usize));
            std::fs::write(output.files().result(), text).unwrap();
            assert_eq!(output.result_file().unwrap().is_ok(), is_read, "{more}");
        }
    }

    /// After a stop, what a command had written before it would be the value of an unfinished evaluation.
    #[test]
    fn only_a_result_with_content_that_is_as_late_counts_after_a_stop() {
        let home = tempfile::tempdir().unwrap();
        let output = having_printed(&home, "");
        let result = output.files().result();
        let stop = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        assert!(!output.is_written_since(stop), "there is none");
        let table = [("0.5", -1, false), ("0.5", 0, true), ("0.5", 1, true), ("", 1, false)];
        for (content, after, counts) in table {
            std::fs::write(&result, content).unwrap();
            let written = SystemTime::UNIX_EPOCH
                + std::time::Duration::from_secs(1_000_000_u64.saturating_add_signed(after));
            File::options().write(true).open(&result).unwrap().set_modified(written).unwrap();
            assert_eq!(output.is_written_since(stop), counts, "{content:?} {after}");
        }
    }
}
