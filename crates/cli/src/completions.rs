//! `completions` and `man`: for the shell, and for `man`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Command};
use trialmill::Error;
use trialmill_core::error::StoreError;

use super::print::print;

/// Prints what makes a shell complete verbs and options.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  trialmill completions bash > ~/.local/share/bash-completion/completions/trialmill\n  \
                        trialmill completions fish > ~/.config/fish/completions/trialmill.fish\n  \
                        trialmill completions zsh > ~/.zfunc/_trialmill"
)]
pub(super) struct Completions {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Prints the manual page, or writes that of each verb into a directory.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  trialmill man | man -l -\n  trialmill man --dir ~/.local/share/man/man1"
)]
pub(super) struct Man {
    /// Where the pages of all verbs go
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Completions {
    pub(super) fn run(self, program: &mut Command) -> ExitCode {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, program, "trialmill", &mut script);
        print(&String::from_utf8_lossy(&script))
    }
}

impl Man {
    pub(super) fn run(self, program: Command) -> Result<ExitCode, Error> {
        let Some(dir) = self.dir else {
            let mut page = Vec::new();
            let failed = StoreError::io("write", std::path::Path::new("the page"));
            clap_mangen::Man::new(program).render(&mut page).map_err(failed)?;
            return Ok(print(&String::from_utf8_lossy(&page)));
        };
        let failed = || StoreError::io("write", &dir);
        std::fs::create_dir_all(&dir).map_err(failed())?;
        clap_mangen::generate_to(program, &dir).map_err(failed())?;
        Ok(ExitCode::SUCCESS)
    }
}
