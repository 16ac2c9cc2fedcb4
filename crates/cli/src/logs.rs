//! `logs` and `show`: what a trial's command said, and what became of each attempt.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use clap::Args;
use trialmill::{Error, State, TrialId};
use trialmill_core::error::{StoreError, StudyError};
use trialmill_core::limits::READ_CHUNK_BYTES;
use trialmill_core::notation::Shown;
use trialmill_core::trial::{Steps, printable};
use trialmill_store::clock::now_s;
use trialmill_store::{AttemptFiles, Stream, plain};
use trialmill_view::{Ending, Live};

use super::print::{Dir, print, say, write_bytes};

/// At most so many steps of an attempt are shown.
const SHOWN_STEPS: usize = 20;

/// Prints what a trial's command wrote to stdout and to stderr.
#[derive(Args)]
pub(super) struct Logs {
    #[command(flatten)]
    dir: Dir,
    /// The trial
    #[arg(value_name = "ID")]
    id: TrialId,
    /// Of this attempt, not of the latest
    #[arg(long, value_name = "N", value_parser = crate::numbers::from_1::<u32>)]
    attempt: Option<u32>,
    /// Go on with what it writes, until the attempt has ended
    #[arg(short, long)]
    follow: bool,
    /// Only what it wrote to stderr
    #[arg(long, conflicts_with = "stdout")]
    stderr: bool,
    /// Only what it wrote to stdout
    #[arg(long)]
    stdout: bool,
}

/// Shows one trial: its configuration, its attempts with their reasons, its curve, its files.
#[derive(Args)]
pub(super) struct Show {
    #[command(flatten)]
    dir: Dir,
    /// The trial
    #[arg(value_name = "ID")]
    id: TrialId,
}

fn position(live: &Live, id: &TrialId) -> Result<u32, Error> {
    let unknown = || StudyError::UnknownTrial(id.clone()).into();
    live.study().trials().position(id).ok_or_else(unknown)
}

impl Logs {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let mut live = Live::open(&self.dir.dir)?;
        let at = position(&live, &self.id)?;
        let latest = live.study().trials().at(at).attempts;
        let attempt = self.attempt.unwrap_or(latest);
        if attempt == 0 || attempt > latest {
            let problem = match latest {
                0 => format!("trial '{}' was not started yet", self.id),
                _ => format!("trial '{}' has attempts 1 to {latest}, not {attempt}", self.id),
            };
            return Err(Error::Setting(problem));
        }
        let files = AttemptFiles::of(&live.directory().trial_path(&self.id), attempt);
        let streams: &[Stream] = match (self.stdout, self.stderr) {
            (true, _) => &[Stream::Stdout],
            (_, true) => &[Stream::Stderr],
            _ => &[Stream::Stdout, Stream::Stderr],
        };
        let mut offsets = vec![0; streams.len()];
        loop {
            // Asked first: what is written before the end is printed after it.
            let goes_on = self.follow && {
                live.catch_up()?;
                let trial = live.study().trials().at(at);
                trial.state == State::Evaluating && trial.attempts == attempt
            };
            for (stream, offset) in streams.iter().zip(&mut offsets) {
                if let Some(code) = print_from(&files, *stream, offset)? {
                    return Ok(code);
                }
            }
            if !goes_on {
                break;
            }
            sleep(Duration::from_millis(200));
        }
        if offsets.iter().all(|offset| *offset == 0) {
            say(format_args!("attempt {attempt} at trial {} wrote nothing", self.id));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Prints a log from an offset on, and moves that. Returns an exit code where nobody reads any more.
fn print_from(
    files: &AttemptFiles,
    stream: Stream,
    offset: &mut u64,
) -> Result<Option<ExitCode>, Error> {
    let Some(path) = files.log_to_read(stream) else { return Ok(None) };
    let failed = |error| StoreError::io("read", &path)(error);
    let mut file: File = plain::open(&path).map_err(failed)?;
    // Once it has ended, its middle may have been left out.
    let len = file.metadata().map_err(failed)?.len();
    file.seek(SeekFrom::Start((*offset).min(len))).map_err(failed)?;
    let mut chunk = vec![0; READ_CHUNK_BYTES.min(64 << 10)];
    loop {
        let got = file.read(&mut chunk).map_err(failed)?;
        if got == 0 {
            return Ok(None);
        }
        *offset += got as u64;
        if let Err(error) = write_bytes(&chunk[..got]) {
            return Ok(Some(super::print::not_printed(error)));
        }
    }
}

/// What the attempts have reported so far, the latest steps of each.
fn steps(steps: &Steps) -> String {
    let mut text = String::new();
    for of in steps.attempts() {
        let left_out = of.steps.len().saturating_sub(SHOWN_STEPS);
        let shown = of.steps[left_out..].iter().map(|it| format!("{}: {}", it.step, it.value));
        let shown = shown.collect::<Vec<_>>().join(", ");
        let (n, earlier) = (of.attempt, if left_out > 0 { "…, " } else { "" });
        let _ = writeln!(text, "steps      {earlier}{shown} ({} of attempt {n})", of.steps.len());
        if let Some(at) = of.prune_at {
            let _ = writeln!(text, "           at step {at} the pruner said that it should end");
        }
    }
    text
}

impl Show {
    pub(super) fn run(self) -> Result<ExitCode, Error> {
        let live = Live::open(&self.dir.dir)?;
        let at = position(&live, &self.id)?;
        let trial = live.study().trials().at(at);
        let mut text = format!("trial      {} {}\n", trial.id, trial.state);
        for (name, value) in trial.config.iter() {
            let _ = writeln!(text, "  {name} = {}", printable(&value.to_string()));
        }
        if let Some(previous) = &trial.metadata.previous_trial_id {
            let _ = writeln!(text, "continues  trial {previous}");
        }
        let dir = live.directory().trial_path(&trial.id);
        for (worker, attempt) in live.runs().of_trial(at) {
            let stay = trialmill_core::event::process_of(worker)
                .and_then(|p| live.runs().stays().iter().find(|stay| stay.process == p));
            let host = stay.map_or(String::new(), |stay| {
                let called = stay.worker_id.iter().map(|id| format!(" of {}", printable(id)));
                let job = stay.job.iter().map(|job| format!(" ({})", printable(job)));
                called.chain([format!(" on {}", printable(&stay.host))]).chain(job).collect()
            });
            let end = if attempt.ending == Ending::Running { now_s() } else { attempt.end };
            let seconds = (end - attempt.start).max(0.0);
            let (n, how) = (attempt.number, attempt.ending.name());
            let worker = printable(worker);
            let ran = attempt.evaluation.map_or(String::new(), |n| format!(", evaluation {n}"));
            let _ =
                writeln!(text, "attempt {n}  {how} after {seconds:.3} s by {worker}{host}{ran}");
            let files = AttemptFiles::of(&dir, n);
            let logs = [Stream::Stdout, Stream::Stderr].into_iter();
            for path in logs.filter_map(|stream| files.log_to_read(stream)) {
                let bytes = path.metadata().map_or(0, |data| data.len());
                let _ = writeln!(text, "  {} ({bytes} bytes)", path.display());
            }
        }
        if let Some(report) = &trial.report {
            if let Some(objective) = &report.objective_to_minimize {
                let _ = writeln!(text, "objective  {objective}");
            }
            if let Some(cost) = report.cost {
                let _ = writeln!(text, "cost       {cost}");
            }
            if let Some(curve) = report.learning_curve.as_deref().filter(|curve| !curve.is_empty())
            {
                let shown = curve.iter().take(SHOWN_STEPS).map(ToString::to_string);
                let more = if curve.len() > SHOWN_STEPS { ", …" } else { "" };
                let shown = shown.collect::<Vec<_>>().join(", ");
                let _ = writeln!(text, "curve      {shown}{more} ({} steps)", curve.len());
            }
            if let Some(failure) = &report.failure {
                let _ = writeln!(text, "error      {}", printable(&failure.err));
            }
        }
        // The curve of a report has them all.
        let reported = trial.report.as_ref().is_some_and(|report| report.learning_curve.is_some());
        text.extend(trial.steps.as_deref().filter(|_| !reported).map(steps));
        for (name, note) in trial.notes.iter().flat_map(|notes| notes.iter()) {
            let note = note.as_str().map_or_else(|| Shown(note).to_string(), str::to_string);
            let _ = writeln!(text, "noted      {} = {}", printable(name), printable(&note));
        }
        let _ = writeln!(text, "directory  {}", dir.display());
        Ok(print(&text))
    }
}
