//! The `trialmill` program: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    trialmill_cli::main()
}
