//! Evaluations by a command per trial, in any language.
//!
//! The configuration reaches the command as templated arguments, as environment variables
//! (`TRIALMILL_PARAM_<name>`) and as a JSON file (`TRIALMILL_CONFIG`). Its result is the file that
//! `TRIALMILL_RESULT` names, or else the last line of its standard output. What it prints is kept in
//! the trial's directory, as `stdout.log` and `stderr.log`. What it reports before its end is in
//! `progress.rs`.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::Duration;

use nix::errno::Errno;
use tokio::process::{Child, Command};

use super::template::Files;
use super::{
    AttemptLock, CommandTemplate, Ended, RunningTrial, attempt_lock, kill, progress, result,
};
use trialmill_core::config::ShownConfig;
use trialmill_core::error::StoreError;
use trialmill_core::limits::{KILL_GRACE, MAX_RESULT_BYTES, STDERR_TAIL_BYTES};
use trialmill_core::objectives::Objectives;
use trialmill_core::trial::Report;
use trialmill_store::plain;

use crate::OnPrune;

/// Runs a command per trial. Thousands may run at once; none needs a thread.
#[derive(Debug, Clone)]
pub struct ProcessEvaluator {
    command: CommandTemplate,
    grace: Duration,
    on_prune: OnPrune,
    objectives: Objectives,
}

impl ProcessEvaluator {
    /// Evaluates with this command.
    pub fn new(command: CommandTemplate) -> Self {
        let (grace, on_prune) = (KILL_GRACE, OnPrune::default());
        ProcessEvaluator { command, grace, on_prune, objectives: Objectives::default() }
    }

    /// How long a command may take to end after SIGTERM, before SIGKILL.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// What happens to a command whose evaluation should end.
    pub fn on_prune(mut self, on_prune: OnPrune) -> Self {
        self.on_prune = on_prune;
        self
    }

    /// What a result may call its objectives.
    pub fn objectives(mut self, objectives: Objectives) -> Self {
        self.objectives = objectives;
        self
    }

    /// Evaluates one trial.
    ///
    /// # Errors
    /// The disk is full, or cannot be written: that is not the trial's fault, nor would the next
    /// one fare better.
    pub async fn evaluate(&self, trial: &RunningTrial) -> Result<Ended, StoreError> {
        let ended = self.run(trial).await;
        if let Ok(dir) = trial.dir() {
            attempt_lock::remove(dir, trial.attempt());
            progress::tidy(&Files::of(dir));
        }
        ended
    }

    async fn run(&self, trial: &RunningTrial) -> Result<Ended, StoreError> {
        trial.check_place()?;
        let started = trial.dir().and_then(|dir| {
            let files = Files::of(dir);
            let child = self.start(trial, &files)?;
            Ok((child, files))
        });
        let (mut child, files) = match started {
            Ok(started) => started,
            Err(error) if cannot_be_written(&error) => {
                let study = trial.study_dir().unwrap_or(Path::new("."));
                return Err(StoreError::io("write a trial's files in", study)(error));
            }
            Err(error) => {
                let message = format!("the command could not be started: {error}");
                return Ok(Ended::Report(Box::new(Report::crashed("start", message))));
            }
        };
        let group = child.id();
        let mut steps = progress::Follower::new(trial, &files);
        let ends_it = self.on_prune == OnPrune::Terminate;
        let time_is_up = async {
            match trial.timeout() {
                Some(timeout) => tokio::time::sleep(timeout).await,
                None => std::future::pending().await,
            }
        };
        let (status, ended_by_us) = tokio::select! {
            status = child.wait() => {
                kill::rest(group);
                (status, None)
            }
            () = time_is_up => (kill::end(&mut child, self.grace, trial.stop_signal()).await, Some("timeout")),
            () = steps.until_pruned(ends_it) => {
                (kill::end(&mut child, self.grace, trial.stop_signal()).await, Some("pruned"))
            }
            () = trial.stop_signal().stopped() => {
                // If the command still wrote a result, use it; otherwise release the trial.
                let how = kill::end(&mut child, self.grace, trial.stop_signal()).await;
                let _ = steps.drain().await;
                return match how.map(|how| self.judge(how, &files)) {
                    Ok(report) if report.is_success() => Ok(Ended::Report(Box::new(report))),
                    _ => Ok(Ended::Released),
                };
            }
        };
        // What it wrote last was not read yet. If the state is lost, the report will hear of it.
        let _ = steps.drain().await;
        let report = match (status, ended_by_us) {
            (Ok(_), Some("pruned")) => Report::pruned(),
            (Err(error), _) => Report::crashed("wait", format!("its end was not seen: {error}")),
            (Ok(_), Some(kind)) => {
                let limit = trial.timeout().unwrap_or_default().as_secs_f64();
                let report = Report::crashed(kind, format!("killed at its limit of {limit} s"));
                with_stderr(report, &files)
            }
            (Ok(status), None) => match self.judge(status, &files) {
                // It was told to end, and ended well without a result.
                report
                    if trial.should_prune() && status.success() && is_without_result(&report) =>
                {
                    Report::pruned()
                }
                report => report,
            },
        };
        Ok(Ended::Report(Box::new(report)))
    }

    fn judge(&self, status: ExitStatus, files: &Files) -> Report {
        judge(status, files, &self.objectives)
    }

    fn start(&self, trial: &RunningTrial, files: &Files) -> io::Result<Child> {
        let lock = AttemptLock::take(&files.dir, trial.attempt())?;
        keep_logs_of_earlier_attempts(trial.attempt(), files)?;
        let config = ShownConfig(trial.config());
        let config = serde_json::to_vec_pretty(&config).map_err(io::Error::from)?;
        plain::write(&files.config, &config)?;
        match std::fs::remove_file(&files.result) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        progress::create(files)?;
        let words = self.command.words(trial, files);
        let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("TRIALMILL_TRIAL_ID", trial.id().to_string())
            .env("TRIALMILL_ATTEMPT", trial.attempt().to_string())
            .env("TRIALMILL_TRIAL_DIR", &files.dir)
            .env("TRIALMILL_CONFIG", &files.config)
            .env("TRIALMILL_RESULT", &files.result)
            .env("TRIALMILL_PROGRESS", &files.progress)
            .env("TRIALMILL_ANSWERS", &files.answers)
            .stdin(lock.into_stdin())
            .stdout(plain::create(&files.stdout)?)
            .stderr(plain::create(&files.stderr)?)
            .process_group(0);
        for (name, value) in [
            ("TRIALMILL_STUDY_DIR", trial.study_dir()),
            ("TRIALMILL_PREVIOUS_DIR", trial.previous_dir()),
        ] {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        // `a-b` and `a_b` would become the same variable: it is set only for a parameter whose name
        // is exactly the variable's.
        let mut users: HashMap<String, u32> = HashMap::new();
        for name in trial.config().names().iter() {
            *users.entry(variable(name)).or_default() += 1;
            // Of a parameter that is not there nothing comes from whoever started us.
            command.env_remove(format!("TRIALMILL_PARAM_{}", variable(name)));
        }
        for (name, value) in trial.config().iter() {
            let variable = variable(name);
            if name == variable || users.get(&variable) == Some(&1) {
                command.env(format!("TRIALMILL_PARAM_{variable}"), value.to_string());
            }
        }
        command.spawn().map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", program.display()))
        })
    }
}

fn is_without_result(report: &Report) -> bool {
    report.failure.as_ref().is_some_and(|failure| failure.err_type == "result")
}

/// A disk that is full or fails is not the fault of the trial, nor will the next one fare better.
fn cannot_be_written(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    let is_full =
        matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem | FileTooLarge);
    is_full || error.raw_os_error() == Some(Errno::EIO as i32)
}

/// A parameter's name as that of an environment variable.
fn variable(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// `stdout.log` is always the latest attempt's; those of attempt n move to `stdout.attempt-n.log`.
fn keep_logs_of_earlier_attempts(attempt: u32, files: &Files) -> io::Result<()> {
    for (log, stem) in [(&files.stdout, "stdout"), (&files.stderr, "stderr")] {
        if attempt > 1 && log.exists() {
            let kept = files.dir.join(format!("{stem}.attempt-{}.log", attempt - 1));
            std::fs::rename(log, kept)?;
        }
    }
    Ok(())
}

fn judge(status: ExitStatus, files: &Files, objectives: &Objectives) -> Report {
    if let Some(signal) = status.signal() {
        let name = nix::sys::signal::Signal::try_from(signal).map_or("", |signal| signal.as_str());
        let message = format!("the command was killed by signal {signal} {name}");
        return with_stderr(Report::crashed("signal", message.trim_end()), files);
    }
    let code = status.code().unwrap_or(-1);
    if code != 0 {
        let mut message = format!("the command ended with exit code {code}");
        // The end of stderr usually has the reason, and this message is what users see first.
        if let Some(words) = last_words(files) {
            message += &format!(": {words}");
        }
        return with_stderr(Report::crashed("exit", message), files);
    }
    let text = match std::fs::metadata(&files.result) {
        Ok(data) if data.len() > MAX_RESULT_BYTES => {
            let problem = format!("the result file has more than {MAX_RESULT_BYTES} bytes");
            return with_stderr(Report::crashed("result", problem), files);
        }
        Ok(data) if data.len() > 0 => std::fs::read(&files.result),
        _ => last_line(&files.stdout),
    };
    let parsed = match text {
        Ok(bytes) => match std::str::from_utf8(&bytes) {
            Ok(text) => result::parse(text, objectives),
            Err(_) => Err("the result is not UTF-8".into()),
        },
        Err(error) => Err(format!("the result cannot be read: {error}")),
    };
    match parsed {
        Ok(report) => report,
        Err(problem) => with_stderr(Report::crashed("result", problem), files),
    }
}

fn last_words(files: &Files) -> Option<String> {
    let end = tail(&files.stderr, STDERR_TAIL_BYTES).ok()?;
    let text = String::from_utf8_lossy(&end);
    let words = text.lines().map(str::trim).rfind(|line| !line.is_empty())?;
    Some(words.chars().take(200).collect())
}

fn last_line(path: &Path) -> io::Result<Vec<u8>> {
    let end = tail(path, MAX_RESULT_BYTES)?;
    let lines = end.split(|byte| *byte == b'\n');
    let last = lines.rev().find(|line| !line.iter().all(u8::is_ascii_whitespace));
    Ok(last.unwrap_or_default().to_vec())
}

fn tail(path: &Path, bytes: u64) -> io::Result<Vec<u8>> {
    let mut file = plain::open(path)?;
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(bytes)))?;
    let mut end = Vec::new();
    file.take(bytes).read_to_end(&mut end)?;
    Ok(end)
}

fn with_stderr(report: Report, files: &Files) -> Report {
    match tail(&files.stderr, STDERR_TAIL_BYTES) {
        Ok(end) if !end.trim_ascii().is_empty() => {
            report.traceback(String::from_utf8_lossy(end.trim_ascii()).into_owned())
        }
        _ => report,
    }
}
