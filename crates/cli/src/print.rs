//! What the verbs share: printing, and the argument that names a directory.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::stat::{fstat, major, minor};

/// A study's directory, as an argument.
#[derive(clap::Args)]
pub(crate) struct Dir {
    /// The study's directory
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
}

/// Prints to stderr. Unlike `eprintln!`, it does not panic when stderr is closed.
pub(crate) fn say(text: impl std::fmt::Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

pub(crate) fn write(text: &str) -> io::Result<()> {
    write_bytes(text.as_bytes())
}

pub(crate) fn write_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Whether nobody can see what is printed, because stdout was closed when the program was started. The
/// runtime opens `/dev/null` in its place, for reading too; no shell's `> /dev/null` does that.
pub(crate) fn is_closed() -> bool {
    let out = io::stdout();
    let is_null =
        fstat(&out).is_ok_and(|data| (major(data.st_rdev), minor(data.st_rdev)) == (1, 3));
    let mode = fcntl(&out, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate);
    is_null && mode.is_ok_and(|mode| mode & OFlag::O_ACCMODE == OFlag::O_RDWR)
}

/// Prints to stdout. A reader that has enough (`| head`) is not an error.
pub(crate) fn print(text: &str) -> ExitCode {
    write(text).map_or_else(not_printed, |()| ExitCode::SUCCESS)
}

/// What it means that something could not be printed.
pub(crate) fn not_printed(error: io::Error) -> ExitCode {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        _ => cannot_print(error),
    }
}

pub(crate) fn cannot_print(error: impl std::fmt::Display) -> ExitCode {
    say(format_args!("trialmill: cannot print: {error}"));
    ExitCode::from(1)
}

/// Prints JSON for scripts, with a line end.
pub(crate) fn print_json(value: &impl serde::Serialize) -> ExitCode {
    // Not by way of a `Value`, which would make a float of a long whole number.
    match serde_json::to_string_pretty(value) {
        Ok(json) => print(&format!("{json}\n")),
        Err(error) => cannot_print(error),
    }
}
