//! Files that people name: read to their end, within a bound.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::print::say;

/// How long nothing is said of what may take as long as somebody likes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Reads a file, or stdin where it is called `-`. What may come late (a pipe that nobody writes to yet, a
/// terminal) is waited for, and after a moment it is said for what.
///
/// # Errors
/// It cannot be read, or has more than `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let is_stdin = path.as_os_str() == "-";
    // Its size says nothing either: a pipe and `/dev/zero` have none.
    if !is_stdin && std::fs::metadata(path)?.is_file() {
        return trialmill_store::plain::read_limited(File::open(path)?, limit);
    }
    let name = if is_stdin { "stdin".into() } else { path.display().to_string() };
    let (here, waits) = channel::<()>();
    // Opening a pipe blocks as reading does.
    let teller = std::thread::Builder::new().name("waits".into()).spawn(move || {
        if waits.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let is_typed = is_stdin && io::stdin().is_terminal();
            let end = if is_typed { "Ctrl-D ends what you type, " } else { "" };
            say(format_args!("waiting for what is written to {name} ({end}Ctrl-C gives up)"));
        }
    });
    let bytes = match is_stdin {
        true => trialmill_store::plain::read_limited(io::stdin().lock(), limit),
        false => File::open(path).and_then(|f| trialmill_store::plain::read_limited(f, limit)),
    };
    drop(here);
    if let Ok(teller) = teller {
        let _ = teller.join();
    }
    bytes
}
