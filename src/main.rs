//! The `trialmill` program: parse, run, exit code.

mod cli;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    cli::show_log(arguments.verbose);
    match cli::run(arguments) {
        Ok(code) => code,
        Err(error) => {
            cli::say(format_args!("trialmill: {}", cli::Hinted(&error)));
            ExitCode::from(error.exit_code())
        }
    }
}
