//! The steps of a command: lines that it appends to the file that `TRIALMILL_PROGRESS` names, or prints
//! with a prefix. Each is answered with a line in the file that `TRIALMILL_ANSWERS` names.
//!
//! Files, and no pipe: a command that nobody listens to any more is neither stopped nor killed by that,
//! and a copy of the directory does not wait for ever. What was written is read in the order of the
//! file, as many lines at a time as there are, and no more before those are stored; so a command that
//! writes faster than they can be stored loses none, and others do not wait for it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::Deserialize;
use serde_json::json;

use super::{RunningTrial, result};
use crate::StepOutcome;
use crate::client::step_outcome;
use trialmill_core::error::Error;
use trialmill_core::limits::{
    MAX_STEP_LINE_BYTES, PROGRESS_CHUNK_BYTES, PROGRESS_POLL, PROGRESS_POLL_MAX, STEPS_OF_A_LINE,
};
use trialmill_core::study::Command;
use trialmill_core::trial::{Objective, Step};
use trialmill_store::{AttemptFiles, Stream, plain};

/// What a line of stdout begins with that is a step.
const PREFIX: &str = "trialmill-step ";

/// Follows the files of one command.
pub(super) struct Follower {
    trial: RunningTrial,
    sources: [Source; 2],
    answers: Option<File>,
    has_complained: bool,
}

/// A file to which lines are appended.
struct Source {
    file: Option<File>,
    /// Whether only the lines with the prefix are steps.
    prefixed: bool,
    /// Up to where its lines were stored.
    offset: u64,
    /// Whether `offset` is in the middle of a line that is too long to be one.
    in_long_line: bool,
}

/// Creates the two files that a command finds empty.
pub(super) fn create(files: &AttemptFiles) -> io::Result<()> {
    plain::create(&files.progress())?;
    plain::create(&files.answers())?;
    Ok(())
}

/// Removes those that stayed empty: most commands report no steps.
pub(super) fn tidy(files: &AttemptFiles) {
    for path in [&files.progress(), &files.answers()] {
        if path.metadata().is_ok_and(|data| data.len() == 0) {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Follower {
    pub(super) fn new(trial: &RunningTrial, files: &AttemptFiles) -> Self {
        let source = |path: &Path, prefixed| {
            let file = plain::open(path).ok();
            Source { file, prefixed, offset: 0, in_long_line: false }
        };
        let append = File::options().append(true).open(files.answers());
        Follower {
            trial: trial.clone(),
            sources: [source(&files.progress(), false), source(&files.log(Stream::Stdout), true)],
            answers: append.ok(),
            has_complained: false,
        }
    }

    /// Stores steps as they come, until one is answered with the end of the evaluation, if that ends
    /// the command.
    pub(super) async fn until_pruned(&mut self, ends_it: bool) {
        let mut pause = PROGRESS_POLL;
        loop {
            tokio::time::sleep(pause).await;
            pause = match self.drain().await {
                Ok(true) => PROGRESS_POLL,
                Ok(false) => (pause * 3 / 2).min(PROGRESS_POLL_MAX),
                // The run ends, and with it the command.
                Err(_) => std::future::pending().await,
            };
            if ends_it && self.trial.should_prune() {
                return;
            }
        }
    }

    /// Stores what there is; returns whether that was anything.
    pub(super) async fn drain(&mut self) -> Result<bool, Error> {
        let mut any = false;
        for at in 0..self.sources.len() {
            while let Some(read) = self.sources[at].read() {
                any = true;
                self.store(&read).await?;
                let source = &mut self.sources[at];
                (source.offset, source.in_long_line) = (read.end, read.in_long_line);
            }
        }
        Ok(any)
    }

    async fn store(&mut self, read: &Read) -> Result<(), Error> {
        let (mut steps, mut answers) = (Vec::new(), Vec::new());
        for line in &read.lines {
            match line {
                Ok(step) => {
                    answers.push(json!({"step": step.step}));
                    steps.push(step.clone());
                }
                Err(problem) => answers.push(json!({"error": problem})),
            }
        }
        if let Some(problem) = answers.iter().find_map(|answer| answer["error"].as_str()) {
            self.complain(problem);
        }
        let mut prune = self.trial.should_prune();
        for steps in steps.chunks(STEPS_OF_A_LINE) {
            let (trial, attempt) = (self.trial.id().clone(), Some(self.trial.attempt()));
            let command = Command::Step { trial, attempt, steps: steps.to_vec() };
            match self.trial.study().exchange_async(vec![command]).await?.pop() {
                Some(Ok(answer)) => {
                    let outcome = step_outcome(answer);
                    self.trial.hear(&outcome);
                    prune |= outcome != StepOutcome::Continue;
                }
                Some(Err(error)) => self.complain(&error.to_string()),
                None => {}
            }
        }
        let mut text = Vec::new();
        for mut answer in answers {
            if answer.get("step").is_some() {
                answer["prune"] = prune.into();
            }
            text.extend_from_slice(answer.to_string().as_bytes());
            text.push(b'\n');
        }
        // One write, so that no reader sees the half of a line. A full disk costs the answers only.
        if let Some(answers) = &mut self.answers {
            let _ = answers.write_all(&text);
        }
        Ok(())
    }

    /// Says once what is wrong with the lines of a command.
    fn complain(&mut self, problem: &str) {
        if !std::mem::replace(&mut self.has_complained, true) {
            tracing::warn!("trial {}: {problem}", self.trial.id());
        }
    }
}

/// Whole lines that were read.
struct Read {
    lines: Vec<Result<Step, String>>,
    /// Where they end.
    end: u64,
    in_long_line: bool,
}

impl Source {
    /// Reads the next whole lines, if there are any.
    fn read(&self) -> Option<Read> {
        let file = self.file.as_ref()?;
        // Mostly nothing was added, and nothing need be read.
        let more = file.metadata().ok()?.len().checked_sub(self.offset).filter(|more| *more > 0)?;
        let mut bytes = vec![0; PROGRESS_CHUNK_BYTES.min(more as usize)];
        let got = file.read_at(&mut bytes, self.offset).ok()?;
        bytes.truncate(got);
        let mut read =
            Read { lines: Vec::new(), end: self.offset, in_long_line: self.in_long_line };
        let mut rest = &bytes[..];
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let line = &rest[..at];
            rest = &rest[at + 1..];
            read.end += at as u64 + 1;
            // The end of a long line is none.
            if !std::mem::take(&mut read.in_long_line) {
                read.lines.extend(self.step_of(line));
            }
        }
        if rest.len() > MAX_STEP_LINE_BYTES {
            if !read.in_long_line && !self.prefixed {
                let problem = format!("a step's line has more than {MAX_STEP_LINE_BYTES} bytes");
                read.lines.push(Err(problem));
            }
            (read.end, read.in_long_line) = (read.end + rest.len() as u64, true);
        }
        (read.end > self.offset).then_some(read)
    }

    fn step_of(&self, line: &[u8]) -> Option<Result<Step, String>> {
        let line = match self.prefixed {
            true => line.strip_prefix(PREFIX.as_bytes())?,
            false => line,
        };
        let line = line.trim_ascii();
        (!line.is_empty()).then(|| match std::str::from_utf8(line) {
            Ok(text) => parse(text),
            Err(_) => Err("a step's line is not UTF-8".into()),
        })
    }
}

/// Reads a step: `3 0.2`, or `{"step": 3, "value": 0.2}`. Several objectives are several numbers.
pub fn parse(text: &str) -> Result<Step, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        step: u64,
        value: serde_json::Value,
    }
    let wrong = || {
        let shown: String = text.chars().take(80).collect();
        format!("this is not a step, as `3 0.2` or {{\"step\": 3, \"value\": 0.2}} is: {shown}")
    };
    if text.starts_with('{') {
        let json = trialmill_core::json::read(text).map_err(|_| wrong())?;
        let line: Line = serde_json::from_value(json).map_err(|_| wrong())?;
        let value = result::objective(&line.value).filter(|value| !value.as_slice().is_empty());
        return Ok(Step::new(line.step, value.ok_or_else(wrong)?));
    }
    let mut words = text.split_ascii_whitespace();
    let step = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    let values: Result<Vec<f64>, _> = words.map(str::parse).collect();
    match values {
        Ok(values) if !values.is_empty() => Ok(Step::new(step, Objective::from(values))),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_two_words_or_an_object_and_nothing_else() {
        for (text, step) in [
            ("3 0.2", Step::new(3, 0.2)),
            ("0  -1e-3 7", Step::new(0, [-1e-3, 7.0])),
            (r#"{"step": 3, "value": 0.2}"#, Step::new(3, 0.2)),
            (r#"{"value": [1, 2], "step": 9}"#, Step::new(9, [1.0, 2.0])),
            (r#"{"step": 1, "value": Infinity}"#, Step::new(1, f64::INFINITY)),
            ("1 inf", Step::new(1, f64::INFINITY)),
        ] {
            assert_eq!(parse(text), Ok(step), "{text}");
        }
        assert!(parse("4 nan").unwrap().single().is_none());
        for text in [
            "3",
            "x 1",
            "-1 0.2",
            "1.5 0.2",
            "3 low",
            "{}",
            r#"{"step": 3}"#,
            "[3, 0.2]",
            "{",
            r#"{"step": 3, "value": []}"#,
            r#"{"step": 3, "value": 1, "loss": 2}"#,
            r#"{"step": 3, "value": null}"#,
        ] {
            assert!(parse(text).unwrap_err().contains("not a step"), "{text}");
        }
    }

    /// Whatever the lines are and wherever they are cut, each is read once, and only when it is whole.
    #[test]
    fn lines_are_read_whole_and_long_ones_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let long = "x".repeat(PROGRESS_CHUNK_BYTES + 10);
        let text = format!(
            "noise\ntrialmill-step 1 0.5\n{long}\ntrialmill-step 2 0.25\n\n  \ntrialmill-step 3"
        );
        std::fs::write(&path, &text).unwrap();
        let file = Some(plain::open(&path).unwrap());
        let mut source = Source { file, prefixed: true, offset: 0, in_long_line: false };
        let mut steps = Vec::new();
        let mut take = |source: &mut Source| {
            while let Some(read) = source.read() {
                steps.extend(read.lines.into_iter().map(Result::unwrap));
                (source.offset, source.in_long_line) = (read.end, read.in_long_line);
            }
            steps.len()
        };
        assert_eq!(take(&mut source), 2);
        File::options().append(true).open(&path).unwrap().write_all(b" 0.125\n").unwrap();
        assert_eq!(take(&mut source), 3);
        assert_eq!(steps[2], Step::new(3, 0.125));
    }
}
