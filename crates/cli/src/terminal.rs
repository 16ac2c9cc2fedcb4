//! What the program does for its commands before the first one: it adopts what they leave behind, and
//! gives them no terminal.

use std::fs::File;
use std::io;

use process_wrap::tokio::{CommandWrap, CommandWrapper, ProcessSession};
use tokio::process::Command;
use trialmill_runtime::evaluate::{adopt_orphans, detach_with};

/// To be called once, by the verbs that run commands.
pub(crate) fn prepare() {
    adopt_orphans();
    // A command that reaches for the terminal (a password, `stty`) would be stopped by the kernel, because
    // it is in the background, and nobody would know. In a session of its own it is told at once that
    // there is none. That start costs more, so it is for those who have a terminal.
    if File::open("/dev/tty").is_ok() {
        detach_with(into_session);
    }
}

fn into_session(command: &mut Command) -> io::Result<()> {
    let nothing = CommandWrap::with_new("", |_| ());
    ProcessSession.pre_spawn(command, &nothing)
}
