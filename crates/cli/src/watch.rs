//! `watch`: a study in the terminal, while it runs.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use trialmill::Error;
use trialmill_watch::Options;

use super::print::{Dir, not_printed, write};

/// Shows a study in the terminal, live, from any process or machine that sees its directory.
#[derive(Args)]
#[command(after_help = "Examples:\n  trialmill watch runs/x\n  \
                        trialmill watch runs/x --plain | tee progress.log\n\nKeys: ? shows them.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(super) struct Watch {
    #[command(flatten)]
    dir: Dir,
    /// A line a second instead of panes; also where the output is no terminal
    #[arg(long)]
    plain: bool,
    /// One such line, and no more
    #[arg(long)]
    once: bool,
    /// Nothing can be changed from here
    #[arg(long)]
    read_only: bool,
    /// Without colours; so does the variable NO_COLOR
    #[arg(long)]
    no_color: bool,
}

/// How often `--plain` writes a line.
const LINE: Duration = Duration::from_secs(1);

impl Watch {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let is_terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if self.plain || self.once || !is_terminal || is_dumb {
            let mut code = ExitCode::SUCCESS;
            trialmill_watch::plain(&self.dir.dir, LINE, self.once, &mut |line| {
                let Err(error) = write(&format!("{line}\n")) else {
                    return ControlFlow::Continue(());
                };
                code = not_printed(error);
                ControlFlow::Break(())
            })?;
            return Ok(code);
        }
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        trialmill_watch::watch(&Options {
            dir: self.dir.dir,
            plain_colours: self.no_color || no_color,
            read_only: self.read_only,
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
