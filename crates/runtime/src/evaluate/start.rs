//! Starting a command: its files, its words, its environment, its directory.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{Resource, getrlimit};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::attempt_lock::{AttemptLock, held_lock};
use super::output::Output;
use super::setup::NotStarted;
use super::spare_files::SpareFiles;
use super::template::{CommandTemplate, shown};
use super::{RunningTrial, progress};
use crate::slots::{self, Share};
use trialmill_core::config::ShownConfig;
use trialmill_core::evaluation::Evaluation;
use trialmill_core::limits::{KILL_GRACE, MAX_ARGUMENT_BYTES, SPARE_DESCRIPTORS};
use trialmill_store::{AttemptFiles, FileSystem, Stream, plain};

/// What our own variables begin with.
const OURS: &str = "TRIALMILL_";
/// How many seconds a command has to end when it is asked to.
const GRACE: &str = "TRIALMILL_GRACE_SECONDS";

/// Makes a command, before it is started, the leader of a session of its own.
pub type Detach = fn(&mut Command) -> io::Result<()>;

static DETACH: OnceLock<Detach> = OnceLock::new();

/// Starts every command in a session of its own with this, instead of in a process group of its own: for
/// programs with a terminal, which would stop a command that reaches for it. To be called once.
pub fn detach_with(detach: Detach) {
    let _ = DETACH.set(detach);
}

/// What all commands of this process have in common.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// Where they run: as it is called, because a directory may be replaced by another of its name.
    directory: Option<PathBuf>,
    /// Variables of an outer trial, if this process was started by one: they would name its files.
    inherited: Vec<OsString>,
    /// Variables that were asked for.
    environment: BTreeMap<String, String>,
    /// How long a command has to end when it is asked to.
    pub(super) grace: Duration,
}

impl Surroundings {
    pub(super) fn here() -> Self {
        let ours = |(name, _): &(OsString, OsString)| name.to_string_lossy().starts_with(OURS);
        Surroundings {
            directory: std::env::current_dir().ok(),
            inherited: std::env::vars_os().filter(ours).map(|(name, _)| name).collect(),
            environment: BTreeMap::new(),
            grace: KILL_GRACE,
        }
    }

    /// As this evaluation says it.
    pub(super) fn of(self, evaluation: &Evaluation) -> Self {
        let wanted = evaluation.directory.as_deref().map(PathBuf::from);
        let directory = match wanted {
            Some(wanted) if wanted.is_dir() || self.directory.as_ref() == Some(&wanted) => {
                Some(wanted)
            }
            Some(wanted) => {
                let here = self.directory.as_deref().unwrap_or(Path::new("."));
                tracing::warn!(
                    "the study's commands run in {}, which is not on this machine: here they run in {}",
                    wanted.display(),
                    here.display()
                );
                self.directory.clone()
            }
            None => self.directory.clone(),
        };
        let environment = evaluation.environment.clone();
        Surroundings { directory, environment, ..self }.with_grace(evaluation.grace())
    }

    /// With this grace; inside a trial, a part of that trial's own, or its commands would outlive it.
    fn with_grace(self, grace: Duration) -> Self {
        let outer = std::env::var(GRACE).ok().and_then(|text| text.parse::<f64>().ok());
        let outer = outer.and_then(|seconds| Duration::try_from_secs_f64(seconds * 0.7).ok());
        Surroundings { grace: outer.map_or(grace, |outer| outer.min(grace)), ..self }
    }
}

/// Starts the command of a trial.
pub(super) fn start(
    template: &CommandTemplate,
    trial: &RunningTrial,
    around: &Surroundings,
    (spare, share): (&SpareFiles, Option<&Share>),
) -> Result<(Child, Output), NotStarted> {
    spare_descriptors().map_err(|error| NotStarted::of("a command's files", error))?;
    let of_file = |path: &Path| {
        let path = path.to_path_buf();
        move |error| NotStarted::of_file(&path, error)
    };
    let study = trial.study_dir().unwrap_or(Path::new("."));
    let dir = trial.dir().map_err(of_file(study))?;
    let files = AttemptFiles::of(dir, trial.attempt());
    plain::create_dir(&files.own(), 1).map_err(of_file(&files.own()))?;
    wait_for_earlier(trial, &files)?;
    let lock = AttemptLock::take(&files, spare).map_err(of_file(&files.lock()))?;
    let config = serde_json::to_vec_pretty(&ShownConfig(trial.config()));
    let config = config.map_err(|error| NotStarted::Trial(error.to_string()))?;
    plain::write(&files.config(), &config).map_err(of_file(&files.config()))?;
    match std::fs::remove_file(files.result()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(NotStarted::of_file(&files.result(), error));
        }
        _ => {}
    }
    progress::create(&files, spare).map_err(of_file(&files.progress()))?;
    let log = |stream| {
        let path = files.log(stream);
        plain::create_readable(&path).map_err(of_file(&path))
    };
    let (stdout, stderr) = (log(Stream::Stdout)?, log(Stream::Stderr)?);
    let kept = stdout.try_clone().map_err(of_file(&files.log(Stream::Stdout)))?;

    let words =
        template.words(trial, &files).map_err(|error| NotStarted::Trial(error.to_string()))?;
    let Some((program, arguments)) = words.split_first() else {
        return Err(NotStarted::Trial("the command is empty".into()));
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(lock.into_stdin()).stdout(stdout).stderr(stderr);
    for name in &around.inherited {
        command.env_remove(name);
    }
    if let Some(directory) = &around.directory {
        command.current_dir(directory);
    }
    if let Some(share) = share {
        let is_set = |name: &str| std::env::var_os(name).is_some();
        command.envs(slots::variables(share, &is_set));
    }
    command.envs(&around.environment);
    command.env(GRACE, around.grace.as_secs_f64().to_string());
    describe(&mut command, trial, &files);
    let failed = |error| NotStarted::of(program.display(), error);
    match DETACH.get() {
        Some(detach) => detach(&mut command).map_err(failed)?,
        None => {
            command.process_group(0);
        }
    }
    // A process has the cores of the thread that starts it.
    let _on_its_cores = share.and_then(|share| share.cores.as_ref()).map(OnCores::only);
    match command.spawn() {
        Ok(child) => Ok((child, Output::new(files, kept))),
        Err(error) => Err(match around.directory.as_deref().filter(|dir| !dir.is_dir()) {
            Some(dir) => {
                NotStarted::of(format_args!("the working directory {}", dir.display()), error)
            }
            None => failed(error),
        }),
    }
}

/// While it lives, this thread may run on some cores only.
struct OnCores(Option<CpuSet>);

impl OnCores {
    fn only(cores: &CpuSet) -> Self {
        let this = Pid::from_raw(0);
        let before = sched_getaffinity(this).ok();
        if let Err(error) = sched_setaffinity(this, cores) {
            tracing::warn!("a command may run on all cores: {error}");
        }
        OnCores(before)
    }
}

impl Drop for OnCores {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = sched_setaffinity(Pid::from_raw(0), before);
        }
    }
}

/// The variables that say what the trial is.
fn describe(command: &mut Command, trial: &RunningTrial, files: &AttemptFiles) {
    command
        .env("TRIALMILL_TRIAL_ID", trial.id().to_string())
        .env("TRIALMILL_ATTEMPT", trial.attempt().to_string())
        .env("TRIALMILL_TRIAL_DIR", files.trial())
        .env("TRIALMILL_CONFIG", files.config())
        .env("TRIALMILL_RESULT", files.result())
        .env("TRIALMILL_PROGRESS", files.progress())
        .env("TRIALMILL_ANSWERS", files.answers())
        .env("TRIALMILL_WORKER", trial.worker().to_string());
    let worker = trial.trial().metadata.evaluating_worker_id.as_deref();
    for (name, value) in [
        ("TRIALMILL_STUDY_DIR", trial.study_dir().map(|dir| dir.as_os_str().to_os_string())),
        ("TRIALMILL_PREVIOUS_DIR", trial.previous_dir().map(|dir| dir.as_os_str().to_os_string())),
        ("TRIALMILL_WORKER_ID", worker.map(Into::into)),
    ] {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    // `a-b` and `a_b` would become the same variable: it is set only for a parameter whose name
    // is exactly the variable's.
    let mut users: HashMap<String, u32> = HashMap::new();
    for (name, _) in trial.config().iter() {
        *users.entry(variable(name)).or_default() += 1;
    }
    for (name, value) in trial.config().iter() {
        let variable = variable(name);
        if name != variable && users.get(&variable) != Some(&1) {
            continue;
        }
        let (variable, value) = (format!("TRIALMILL_PARAM_{variable}"), shown(value));
        // No variable can hold more; it is in the file all the same.
        if variable.len() + value.len() + 2 <= MAX_ARGUMENT_BYTES {
            command.env(variable, value);
        }
    }
}

/// A parameter's name as that of an environment variable.
fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Checks that no process of an earlier attempt goes on, which only happens where not even SIGKILL
/// ended it. On a network file system a server may keep the lock of a dead machine.
fn wait_for_earlier(trial: &RunningTrial, files: &AttemptFiles) -> Result<(), NotStarted> {
    if trial.attempt() == 1 || FileSystem::of(files.trial()).is_shared() {
        return Ok(());
    }
    let is_held = |n: &u32| held_lock(&AttemptFiles::of(files.trial(), *n)).is_some();
    match (1..trial.attempt()).rev().take(8).find(is_held) {
        Some(n) => Err(NotStarted::SetUp(format!(
            "a process of attempt {n} at trial {} goes on and could not be killed",
            trial.id()
        ))),
        None => Ok(()),
    }
}

/// Keeps the last descriptors for the study's own files: a run that cannot open them loses its state.
fn spare_descriptors() -> io::Result<()> {
    let is_ample = getrlimit(Resource::RLIMIT_NOFILE).is_ok_and(|(soft, _)| soft >= 1_024);
    if is_ample {
        return Ok(());
    }
    let spare: io::Result<Vec<File>> =
        (0..SPARE_DESCRIPTORS).map(|_| File::open("/dev/null")).collect();
    spare.map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::StudyBuilder;
    use crate::evaluate::StopSignal;
    use trialmill_core::space::{Parameter, SearchSpace};

    /// A trial in memory, which has these values, at some attempt.
    fn running(values: &[(&str, &str)], attempt: u32) -> RunningTrial {
        let space = values.iter().map(|(name, value)| (*name, Parameter::constant(*value)));
        let space = SearchSpace::new(space).unwrap();
        let session = StudyBuilder::in_memory().space(space).ctrl_c(false).open().unwrap();
        let handle = session.handle();
        let mut trial = handle.sample(1).unwrap().into_trials().remove(0);
        trial.attempts = attempt;
        let stop = Arc::new(StopSignal::default());
        RunningTrial::begin(trial, 0, None, None, None, stop, handle)
    }

    /// Its next attempt ran beside one that nothing could end.
    #[test]
    fn an_attempt_waits_for_each_earlier_one_that_goes_on() {
        let home = tempfile::tempdir().unwrap();
        let of = |attempt| AttemptFiles::of(home.path(), attempt);
        std::fs::create_dir_all(of(1).own()).unwrap();
        let lock = AttemptLock::take(&of(1), &SpareFiles::default()).unwrap();
        let wait = |attempt| wait_for_earlier(&running(&[("x", "1")], attempt), &of(attempt));
        assert!(wait(1).is_ok(), "it is the first");
        for later in [2, 3, 9] {
            let waits = wait(later).unwrap_err();
            assert!(matches!(waits, NotStarted::SetUp(ref why) if why.contains("attempt 1 ")));
        }
        drop(lock);
        // A process that another test has just started has our descriptors until it is another program.
        let begin = std::time::Instant::now();
        while wait(2).is_err() {
            assert!(begin.elapsed() < Duration::from_mins(1), "its lock is free");
        }
    }

    /// A value that no variable can hold is in the file; of two names for one variable neither is taken for the other.
    #[test]
    fn a_variable_holds_what_fits_and_is_no_other_parameter_s() {
        let name = "TRIALMILL_PARAM_x";
        let most = MAX_ARGUMENT_BYTES - name.len() - 2;
        for (bytes, is_set) in [(60_000, true), (most, true), (most + 1, false)] {
            let mut command = Command::new("true");
            let value = "y".repeat(bytes);
            let trial = running(&[("x", &value)], 1);
            describe(&mut command, &trial, &AttemptFiles::of(Path::new("/dir"), 1));
            let found = command.as_std().get_envs().find(|(key, _)| *key == name);
            assert_eq!(found.is_some(), is_set, "{bytes}");
            let found = found.and_then(|(_, value)| value);
            assert!(!is_set || found.is_some_and(|found| found == value.as_str()), "{bytes}");
        }
        let mut command = Command::new("true");
        let trial =
            running(&[("a-b", "1"), ("a_b", "2"), ("c-d", "3"), ("e.f", "4"), ("e f", "5")], 1);
        describe(&mut command, &trial, &AttemptFiles::of(Path::new("/dir"), 1));
        let set: Vec<_> = command
            .as_std()
            .get_envs()
            .filter_map(|(key, value)| {
                let key = key.to_str()?.strip_prefix("TRIALMILL_PARAM_")?;
                Some((key.to_string(), value?.to_str()?.to_string()))
            })
            .collect();
        assert_eq!(set, [("a_b", "2"), ("c_d", "3")].map(|(k, v)| (k.into(), v.into())));
    }

    /// All commands after the first had its cores.
    #[test]
    fn a_thread_has_all_its_cores_again() {
        let this = Pid::from_raw(0);
        let before = sched_getaffinity(this).unwrap();
        let mut one = CpuSet::new();
        let first = (0..CpuSet::count()).find(|core| before.is_set(*core).unwrap()).unwrap();
        one.set(first).unwrap();
        let held = OnCores::only(&one);
        assert_eq!(sched_getaffinity(this).unwrap(), one);
        drop(held);
        assert_eq!(sched_getaffinity(this).unwrap(), before);
    }
}
