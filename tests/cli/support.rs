//! A home for one test, the program in it, and what is needed to look at both.

use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value as Json;
use tempfile::TempDir;

/// The longest that anything here is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program in a directory of its own, its working directory, which its commands know as
/// `$HERE`. The study file is `study.yaml`, the study is in `s`.
pub(crate) struct Trialmill {
    home: TempDir,
}

impl Trialmill {
    /// With a study file of one float `x` and this many evaluations, one worker, no command.
    pub(crate) fn new(evaluations: u64) -> Self {
        let space = "x: {type: float, lower: 0.0, upper: 1.0}";
        Self::with_space(space, evaluations)
    }

    /// The same with another space, in YAML.
    pub(crate) fn with_space(space: &str, evaluations: u64) -> Self {
        let study = Trialmill { home: tempfile::tempdir().unwrap() };
        study.write(
            "study.yaml",
            &format!(
                "space: {{{space}}}\noptimizer: random_search\nseed: 7\n\
                 budget: {{evaluations: {evaluations}}}\nworkers: 1\n"
            ),
        );
        study
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// What stands in a file of the home; nothing where there is none.
    pub(crate) fn read(&self, name: impl AsRef<Path>) -> String {
        String::from_utf8_lossy(&std::fs::read(self.path(name)).unwrap_or_default()).into_owned()
    }

    pub(crate) fn lines(&self, name: impl AsRef<Path>) -> Vec<String> {
        self.read(name).lines().map(str::to_string).collect()
    }

    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trialmill"));
        command.args(arguments);
        self.at_home(&mut command);
        command
    }

    /// The program started by a line of shell, which knows it as `$TRIALMILL`.
    pub(crate) fn shell(&self, line: &str) -> Ran {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("TRIALMILL", env!("CARGO_BIN_EXE_trialmill"));
        self.at_home(&mut command);
        Ran::of(&mut command)
    }

    fn at_home(&self, command: &mut Command) {
        command
            .current_dir(self.home.path())
            .env("HERE", self.home.path())
            .env_remove("RUST_LOG")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null());
    }

    /// Runs the program to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Ran {
        Ran::of(&mut self.command(arguments))
    }

    /// `run study.yaml --dir s -q OPTIONS -- sh SCRIPT`, the script being kept in a file, so that
    /// its braces are its own.
    pub(crate) fn study<'a>(&self, options: &[&'a str], script: &str) -> Vec<&'a str> {
        let mut hash = DefaultHasher::new();
        script.hash(&mut hash);
        let file = format!("script-{:x}.sh", hash.finish());
        // Once only: a shell may just be reading it.
        if !self.path(&file).exists() {
            self.write(&file, script);
        }
        let file: &'static str = Box::leak(file.into_boxed_str());
        let start = ["run", "study.yaml", "--dir", "s", "-q"];
        [&start[..], options, &["--", "sh", file]].concat()
    }

    /// Runs the study with this script to its end.
    pub(crate) fn run_study(&self, options: &[&str], script: &str) -> Ran {
        self.run(&self.study(options, script))
    }

    /// Starts the study with this script.
    pub(crate) fn start_study(&self, options: &[&str], script: &str) -> Running {
        self.start(&self.study(options, script))
    }

    pub(crate) fn start<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Running {
        Running::with_pipes(self.command(arguments))
    }

    /// The program, started by another one that takes it as its last arguments.
    pub(crate) fn through(&self, other: &str, options: &[&str], arguments: &[&str]) -> Command {
        self.start_by(other, options, &[&[env!("CARGO_BIN_EXE_trialmill")], arguments].concat())
    }

    /// Any program, started by another one.
    pub(crate) fn start_by(&self, other: &str, options: &[&str], program: &[&str]) -> Command {
        let mut command = Command::new(other);
        command.args(options).args(program);
        self.at_home(&mut command);
        command
    }

    /// Whether that other program can do this here.
    pub(crate) fn may(&self, other: &str, options: &[&str]) -> bool {
        let mut command = self.through(other, options, &["--version"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// Creates the study `s` and evaluates nothing.
    pub(crate) fn create(&self) {
        self.run(&["create", "study.yaml", "--dir", "s"]).exits(0);
        assert_eq!(self.trials().len(), 0);
    }

    /// What a verb says about the study with `--json`.
    pub(crate) fn json(&self, arguments: &[&str]) -> Json {
        let ran = self.run(&[arguments, &["--json"]].concat()).exits(0);
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    }

    pub(crate) fn status(&self) -> Json {
        self.json(&["status", "s"])
    }

    pub(crate) fn trials(&self) -> Vec<Json> {
        self.json(&["trials", "s"]).as_array().unwrap().clone()
    }

    /// How many trials are in a state.
    pub(crate) fn count(&self, state: &str) -> u64 {
        self.status()["counts"][state].as_u64().unwrap()
    }

    /// The state of each trial.
    pub(crate) fn states(&self) -> Vec<String> {
        self.trials().iter().map(|trial| text(&trial["state"])).collect()
    }
}

pub(crate) fn text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_string)
}

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(command: &mut Command) -> Self {
        Self::from(command.output().unwrap())
    }

    fn from(output: std::process::Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let ran =
            Ran { status: output.status, stdout: text(output.stdout), stderr: text(output.stderr) };
        assert!(!ran.stderr.contains("panicked"), "{ran:#?}");
        ran
    }

    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{self:#?}");
        self
    }

    /// All of these stand in what it said, on stdout or on stderr.
    #[track_caller]
    pub(crate) fn says(self, what: &[&str]) -> Self {
        for what in what {
            assert!(
                self.stdout.contains(what) || self.stderr.contains(what),
                "nothing about '{what}': {self:#?}"
            );
        }
        self
    }

    #[track_caller]
    pub(crate) fn says_nothing_of(self, what: &str) -> Self {
        let said = self.stdout.contains(what) || self.stderr.contains(what);
        assert!(!said, "something about '{what}': {self:#?}");
        self
    }
}

/// The program while it runs; killed at the end of the test, if it is still there.
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn of(mut command: Command) -> Self {
        Running(Some(command.spawn().unwrap()))
    }

    /// What it says is kept.
    pub(crate) fn with_pipes(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::of(command)
    }

    pub(crate) fn id(&mut self) -> u32 {
        self.child().id()
    }

    /// Whether it was stopped, by SIGSTOP.
    pub(crate) fn is_stopped(&mut self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
        stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"))
    }

    /// Whether it has a file of this name open.
    pub(crate) fn has_open(&mut self, name: &str) -> bool {
        let files = std::fs::read_dir(format!("/proc/{}/fd", self.id())).unwrap().flatten();
        files
            .filter_map(|file| std::fs::read_link(file.path()).ok())
            .any(|path| path.ends_with(name))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().unwrap()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill(Pid::from_raw(self.child().id() as i32), signal).unwrap();
    }

    /// SIGKILL, and its end.
    pub(crate) fn kill(mut self) {
        self.child().kill().unwrap();
        self.child().wait().unwrap();
    }

    /// Nobody reads any more what it says.
    pub(crate) fn close_pipes(&mut self) {
        let child = self.child();
        drop((child.stdout.take(), child.stderr.take()));
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child().try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ran {
        eventually("the program ends", || self.has_ended());
        Ran::from(self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until something is so, and fails if it never is.
#[track_caller]
pub(crate) fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the process with the id that a command left in a file goes on. A zombie has ended.
pub(crate) fn goes_on(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0)
}

/// A file system in memory, of its own; gone at the end of the test.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// None, with a line that says so, where we may not mount.
    pub(crate) fn new(at: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = is_root() && Self::mount(at, options);
        if !mounted {
            eprintln!("skipped a part: no tmpfs can be mounted here");
        }
        mounted.then(|| Mount(at.into()))
    }

    pub(crate) fn remount(&self, options: &str) {
        assert!(Self::mount(&self.0, &format!("remount,{options}")));
    }

    fn mount(at: &Path, options: &str) -> bool {
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at);
        command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Ends a command that a test found going on, so that it does not stay behind.
pub(crate) fn end_by_id(pid: &str) {
    if let Ok(pid) = pid.trim().parse() {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}
