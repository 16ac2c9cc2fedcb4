//! Directories that look like NePS's and want to hang us, to lead us out of them, or to run something.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/copied.rs"]
mod copied;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use copied::copy;

use tempfile::TempDir;

/// A directory that genuine NePS wrote, in a home where a forbidden thing would be seen.
struct Victim {
    home: TempDir,
}

impl Victim {
    fn new() -> Self {
        let victim = Victim { home: tempfile::tempdir().unwrap() };
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/neps");
        copy(&fixtures.join("0.17.0/classic"), &victim.dir());
        victim
    }

    fn dir(&self) -> PathBuf {
        self.home.path().join("study")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// Every verb that looks, and every one that would write.
    fn survives(&self, what: &str) -> Vec<Output> {
        let dir = self.dir().to_string_lossy().into_owned();
        let worker =
            ["worker", &dir, "--quiet", "--evaluations-per-worker", "1", "--", "echo", "1"];
        let verbs: [&[&str]; 6] = [
            &["status", &dir],
            &["trials", &dir, "--json"],
            &["check", &dir],
            &worker,
            &["check", &dir, "--repair"],
            &["release", &dir, "1"],
        ];
        let run = |arguments: &&[&str]| {
            let begin = Instant::now();
            let mut command = Command::new("timeout");
            command.args(["60", env!("CARGO_BIN_EXE_trialmill")]).args(*arguments);
            let output = command.current_dir(self.home.path()).output().unwrap();
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(begin.elapsed() < Duration::from_mins(1), "{what}: {arguments:?} hangs");
            assert!(!text.contains("panicked"), "{what}: {arguments:?}: {text}");
            assert!(output.status.code().is_some(), "{what}: {arguments:?}: {output:?}");
            output
        };
        let outputs = verbs.iter().map(run).collect();
        let pwned = self.home.path().join("PWNED");
        assert!(!pwned.exists(), "{what}: something was executed");
        outputs
    }
}

/// `posix.system("touch PWNED")`, and the same hidden where a record has an exception.
const GADGET: &[u8] = b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0btouch PWNED\x85R.";

#[test]
fn a_pickle_that_wants_to_run_something_is_refused_by_the_name_it_asks_for() {
    for file in ["configs/.trial_cache.pkl", "optimizer_state.pkl", "pipeline_space.pkl"] {
        let victim = Victim::new();
        fs::write(victim.path(file), GADGET).unwrap();
        let outputs = victim.survives(file);
        let said = String::from_utf8_lossy(&outputs[2].stdout).into_owned();
        if file != "pipeline_space.pkl" {
            assert!(said.contains("posix.system"), "{file}: {said}");
            assert_eq!(outputs[2].status.code(), Some(5), "{file}");
        }
    }
}

#[test]
fn a_file_that_is_a_pipe_a_link_or_a_directory_hangs_nobody_and_leads_nowhere() {
    for file in [
        "configs/.trial_cache.pkl",
        "optimizer_state.pkl",
        "optimizer_info.yaml",
        "configs/config_1/metadata.json",
        "configs/config_1/report.yaml",
        ".configs.lock",
        ".optimizer.lock",
        "shared_errors.jsonl",
    ] {
        for kind in ["pipe", "link", "directory"] {
            let victim = Victim::new();
            let secret = victim.home.path().join("secret");
            fs::write(&secret, "untouched").unwrap();
            let path = victim.path(file);
            let _ = fs::remove_file(&path);
            match kind {
                "pipe" => {
                    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600))
                        .unwrap();
                }
                "link" => symlink(&secret, &path).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            victim.survives(&format!("{file} as a {kind}"));
            assert_eq!(fs::read_to_string(&secret).unwrap(), "untouched", "{file}");
        }
    }
}

#[test]
fn a_trial_directory_that_leads_elsewhere_is_not_written_through() {
    let victim = Victim::new();
    let elsewhere = victim.home.path().join("elsewhere");
    fs::rename(victim.path("configs/config_1"), &elsewhere).unwrap();
    fs::remove_file(elsewhere.join("report.yaml")).unwrap();
    symlink(&elsewhere, victim.path("configs/config_1")).unwrap();
    victim.survives("a linked trial directory");
    assert!(!elsewhere.join("report.yaml").exists(), "it was written through a link");

    let victim = Victim::new();
    let elsewhere = victim.home.path().join("elsewhere");
    fs::rename(victim.path("configs"), &elsewhere).unwrap();
    fs::remove_file(elsewhere.join("config_1/report.yaml")).unwrap();
    symlink(&elsewhere, victim.path("configs")).unwrap();
    victim.survives("a linked configs/");
    assert!(!elsewhere.join("config_1/report.yaml").exists(), "it was written through a link");
}

#[test]
fn texts_that_explode_or_nest_without_end_are_refused_when_the_cache_is_gone() {
    let deep = "[".repeat(100_000);
    let bomb = {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let list = vec![format!("*a{}", n - 1); 10].join(", ");
            text += &format!("a{n}: &a{n} [{list}]\n");
        }
        text
    };
    let digits = "9".repeat(100_000);
    for (file, text) in [
        ("config.yaml", deep.as_str()),
        ("config.yaml", bomb.as_str()),
        ("config.yaml", digits.as_str()),
        ("config.yaml", "!!python/object/apply:os.system [touch PWNED]\n"),
        ("report.yaml", bomb.as_str()),
        ("metadata.json", deep.as_str()),
        ("metadata.json", "{\"id\": \"../../x\", \"state\": \"success\"}"),
    ] {
        let victim = Victim::new();
        fs::remove_file(victim.path("configs/.trial_cache.pkl")).unwrap();
        fs::write(victim.path("configs/config_1").join(file), text).unwrap();
        victim.survives(file);
        assert!(victim.path("configs/config_2/config.yaml").exists());
    }
}
