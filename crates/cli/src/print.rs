//! What the verbs share: printing, and the argument that names a directory.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

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

/// Prints to stdout. A reader that has enough (`| head`) is not an error.
pub(crate) fn print(text: &str) -> ExitCode {
    match write(text) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => cannot_print(error),
        _ => ExitCode::SUCCESS,
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
