//! The real program, with a library in front of the system's calls (`fail_syscall.c`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

/// The real program, with a library in front of the system's calls.
pub(crate) struct Shim {
    library: PathBuf,
    pub(crate) home: tempfile::TempDir,
}

/// The study's trials.
pub(crate) const BUDGET: usize = 4;

impl Shim {
    pub(crate) fn new() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let source =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/support/fail_syscall.c");
        let library = home.path().join("fail_syscall.so");
        let arguments = ["-shared", "-fPIC", "-O1", "-Wno-unused-result", "-o"];
        let built =
            Command::new("cc").args(arguments).arg(&library).arg(source).arg("-ldl").status();
        if !built.is_ok_and(|status| status.success()) || !cfg!(target_env = "gnu") {
            println!("skipped: no C compiler for the library that lets system calls fail");
            return None;
        }
        let study = format!(
            "space: {{x: {{type: float, lower: 0.0, upper: 1.0}}}}\nseed: 7\noptimizer: random_search\n\
             budget: {{evaluations: {BUDGET}}}\nworkers: 2\n"
        );
        std::fs::write(home.path().join("study.yaml"), study).unwrap();
        Some(Shim { library, home })
    }

    /// The program, as it is or with this failure.
    pub(crate) fn run(
        &self,
        arguments: &[&str],
        failure: Option<(&str, i32, usize)>,
    ) -> (Output, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trialmill"));
        command.args(arguments).current_dir(self.home.path()).stdin(Stdio::null());
        command.env_remove("RUST_LOG");
        let log = self.home.path().join("failures.log");
        let _ = std::fs::remove_file(&log);
        if let Some((call, errno, k)) = failure {
            command.env("LD_PRELOAD", &self.library).env("FAIL_BELOW", self.home.path().join("s"));
            command.env("FAIL_CALL", call).env("FAIL_ERRNO", errno.to_string());
            command.env("FAIL_AT", k.to_string()).env("FAIL_LOG", &log);
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{arguments:?} {failure:?}: {said}");
        (output, std::fs::read_to_string(&log).unwrap_or_default())
    }

    /// The objective of each trial that succeeded, and how many trials there are.
    pub(crate) fn trials(&self) -> (BTreeMap<String, f64>, usize) {
        let (output, _) = self.run(&["trials", "s", "--json"], None);
        let text = String::from_utf8(output.stdout).unwrap();
        let trials: Vec<Json> = serde_json::from_str(&text).unwrap_or_default();
        let done = trials.iter().filter(|trial| trial["state"] == "success").map(|trial| {
            let objective = trial["report"]["objective_to_minimize"].as_f64();
            (trial["id"].as_str().unwrap_or_default().to_string(), objective.unwrap_or(f64::NAN))
        });
        (done.collect(), trials.len())
    }

    pub(crate) fn forget(&self) {
        let _ = std::fs::remove_dir_all(self.home.path().join("s"));
    }
}
