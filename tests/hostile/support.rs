//! A home with a study for one case, and the program in it with bounds on time and memory.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The longest that one verb may take, in a debug build on a machine that does other things.
const PATIENCE: Duration = Duration::from_mins(1);
/// The address space of the program, which bounds its memory.
const MEMORY_KIB: &str = "262144";
const SECRET: &str = "root:x:0:0\n";

pub(crate) const STUDY: &str = "space: {x: {type: float, lower: 0, upper: 1}}\nseed: 7\noptimizer: random_search\n\
                     budget: {evaluations: 3}\nworkers: 1\ncommand: [echo, '1']\n";

/// A home with a study in `s`, where trial 1 is evaluating, and things outside of it.
pub(crate) struct Home(tempfile::TempDir);

impl Home {
    pub(crate) fn empty() -> Self {
        let home = Home(tempfile::tempdir().unwrap());
        fs::create_dir(home.path("outside")).unwrap();
        fs::write(home.path("outside/passwd"), SECRET).unwrap();
        fs::write(home.path("study.yaml"), STUDY).unwrap();
        home
    }

    pub(crate) fn new() -> Self {
        let home = Home::empty();
        home.run(&["create", "study.yaml", "--dir", "s"]).is(&[0]);
        home.run(&["ask", "s", "--deadline", "3600"]).is(&[0]);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        self.run_with(arguments, &[])
    }

    pub(crate) fn run_with<S: AsRef<OsStr>>(&self, arguments: &[S], env: &[(&str, &OsStr)]) -> Ran {
        let (out, err) = (self.0.path().join(".out"), self.0.path().join(".err"));
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -v \"$0\"; exec \"$@\"", MEMORY_KIB])
            .arg(env!("CARGO_BIN_EXE_trialmill"))
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("RUST_LOG")
            .envs([("RUST_BACKTRACE", "0"), ("MALLOC_ARENA_MAX", "2")])
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(fs::File::create(&out).unwrap())
            .stderr(fs::File::create(&err).unwrap());
        let (mut child, began) = (command.spawn().unwrap(), Instant::now());
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if began.elapsed() > PATIENCE => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let read = |path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        let arguments: Vec<_> = arguments.iter().map(|a| a.as_ref().to_string_lossy()).collect();
        let what = arguments.join(" ").chars().take(200).collect();
        Ran { what, code: status.map(|s| s.code().unwrap_or(-1)), said: read(out) + &read(err) }
    }

    /// Nothing outside of the study was written.
    pub(crate) fn is_intact(&self, what: &str) {
        let names = fs::read_dir(self.path("outside")).unwrap().count();
        assert_eq!(names, 1, "{what}: something was made outside");
        assert_eq!(fs::read_to_string(self.path("outside/passwd")).unwrap(), SECRET, "{what}");
    }

    /// Runs all verbs, those that change things last.
    pub(crate) fn run_all(&self, what: &str, look: &[i32], change: &[i32]) {
        for (verb, codes) in [
            (&["status", "s", "--json"][..], look),
            (&["tell", "s", "1", "--objective", "1"], change),
            (&["worker", "s"], change),
            (&["check", "s", "--repair", "--drop-damaged"], &[0, 3, 4, 5]),
        ] {
            let ran = self.run(verb);
            assert!(ran.code.is_some_and(|code| codes.contains(&code)), "{what}: {ran:?}");
            ran.is_good(what);
            self.is_intact(&format!("{what}: {verb:?}"));
        }
    }
}

#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) what: String,
    /// None where it had to be killed.
    pub(crate) code: Option<i32>,
    pub(crate) said: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn is(&self, codes: &[i32]) {
        assert!(self.code.is_some_and(|code| codes.contains(&code)), "wanted {codes:?}: {self:?}");
        self.is_good("");
    }

    #[track_caller]
    pub(crate) fn is_good(&self, what: &str) {
        assert!(!self.said.contains("panicked"), "{what}: {self:?}");
        assert!(self.code == Some(0) || !self.said.is_empty(), "{what}: nothing is said: {self:?}");
        assert!(self.said.len() < 1 << 20, "{what}: {} says too much", self.what);
    }
}
