//! The program on another machine, with other clocks, or stopped at the worst moment: by a library
//! in front of the system's calls (`tests/support/other_world.c`).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Ran, Running, Trialmill};

/// How far a world's clocks are from ours, in seconds.
#[derive(Debug, Clone, Copy, Default)]

pub(crate) struct Clocks {
    pub(crate) wall_s: i64,
    pub(crate) monotonic_s: i64,
    pub(crate) boot_s: i64,
}

/// A machine for the programs that are started on it, with clocks that can be set meanwhile.
pub(crate) struct World {
    library: PathBuf,
    clocks: File,
    clocks_path: PathBuf,
    host: Option<String>,
    stop_at: Option<u32>,
}

impl World {
    /// None, with a line that says so, where the library cannot be built.
    pub(crate) fn new(study: &Trialmill, name: &str) -> Option<Self> {
        let library = study.path("other_world.so");
        if !library.exists() && !build(&library) {
            println!("skipped: no C compiler for the library that changes the system's calls");
            return None;
        }
        let clocks_path = study.write(&format!("clocks-{name}"), "");
        let clocks = File::options().write(true).open(&clocks_path).unwrap();
        let world = World { library, clocks, clocks_path, host: None, stop_at: None };
        world.set(Clocks::default());
        Some(world)
    }

    /// As a machine of another name.
    pub(crate) fn on_host(self, host: &str) -> Self {
        World { host: Some(host.into()), ..self }
    }

    /// Programs stop themselves in the middle of this write to the journal, holding its lock.
    pub(crate) fn stopping_at(self, write: u32) -> Self {
        World { stop_at: Some(write), ..self }
    }

    /// Sets the clocks, also of what is running.
    pub(crate) fn set(&self, clocks: Clocks) {
        let added = [clocks.wall_s, clocks.monotonic_s, clocks.boot_s];
        self.clocks.write_all_at(&added.map(i64::to_ne_bytes).concat(), 0).unwrap();
    }

    pub(crate) fn enter(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library).env("WORLD_CLOCKS", &self.clocks_path);
        command.envs(self.host.iter().map(|host| ("WORLD_HOST", host)));
        command.envs(self.stop_at.iter().map(|at| ("WORLD_STOP_AT", at.to_string())));
    }

    pub(crate) fn start(&self, study: &Trialmill, arguments: &[&str]) -> Running {
        let mut command = study.command(arguments);
        self.enter(&mut command);
        Running::with_pipes(command)
    }

    pub(crate) fn run(&self, study: &Trialmill, arguments: &[&str]) -> Ran {
        self.start(study, arguments).end()
    }
}

fn build(library: &Path) -> bool {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/support/other_world.c");
    let mut command = Command::new("cc");
    command.args(["-shared", "-fPIC", "-O1", "-Wno-unused-result", "-o"]).arg(library);
    let built = command.arg(source).arg("-ldl").status();
    cfg!(target_env = "gnu") && built.is_ok_and(|status| status.success())
}
