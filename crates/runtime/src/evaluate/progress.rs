//! The steps of a command: lines that it appends to the file that `TRIALMILL_PROGRESS` names, or prints
//! with a prefix. Each is answered with a line in the file that `TRIALMILL_ANSWERS` names.
//!
//! Files, and no pipe: a command that nobody listens to any more is neither stopped nor killed by that,
//! and a copy of the directory does not wait for ever. What was written is read in the order of the
//! file, as many lines at a time as there are, and no more before those are stored; so a command that
//! writes faster than they can be stored loses none, and others do not wait for it.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use super::spare_files::SpareFiles;
use super::{RunningTrial, result};
use crate::StepOutcome;
use crate::client::step_outcome;
use trialmill_core::error::Error;
use trialmill_core::limits::{
    MAX_STEP_LINE_BYTES, PROGRESS_CHUNK_BYTES, PROGRESS_POLL, PROGRESS_POLL_MAX, STEPS_OF_A_LINE,
};
use trialmill_core::objectives::Objectives;
use trialmill_core::study::Command;
use trialmill_core::trial::{Objective, Step};
use trialmill_store::{AttemptFiles, Stream, plain};

/// What a line of stdout begins with that is a step.
const PREFIX: &str = "trialmill-step ";

/// What a command is told that overwrites its file of steps.
const WRITTEN_ANEW: &str =
    "the file of steps was written anew: append to it (`>>`), or steps are lost";
/// How many of the bytes before the offset are kept, to see whether they are still there.
const TAIL_BYTES: usize = 64;

/// Follows the files of one command.
pub(super) struct Follower {
    trial: RunningTrial,
    objectives: Objectives,
    sources: [Source; 2],
    answers: Option<File>,
    has_complained: bool,
}

/// A file to which lines are appended.
struct Source {
    path: PathBuf,
    file: Option<File>,
    /// Whether only the lines with the prefix are steps.
    prefixed: bool,
    /// Up to where its lines were stored.
    offset: u64,
    /// Whether `offset` is in the middle of a line that is too long to be one.
    in_long_line: bool,
    /// The last bytes before it.
    tail: Vec<u8>,
}

/// Creates the two files that a command finds empty.
pub(super) fn create(files: &AttemptFiles, spare: &SpareFiles) -> io::Result<()> {
    for path in [files.progress(), files.answers()] {
        if !spare.take(&path) {
            plain::create(&path)?;
        }
    }
    Ok(())
}

/// Those that stayed empty: most commands report no steps.
pub(super) fn empty(files: &AttemptFiles) -> impl Iterator<Item = PathBuf> {
    let is_empty = |path: &PathBuf| path.metadata().is_ok_and(|data| data.len() == 0);
    [files.progress(), files.answers()].into_iter().filter(is_empty)
}

impl Follower {
    pub(super) fn new(trial: &RunningTrial, files: &AttemptFiles, objectives: &Objectives) -> Self {
        let source = |path: PathBuf, prefixed| Source::new(path, prefixed);
        let append = File::options().append(true).open(files.answers());
        Follower {
            trial: trial.clone(),
            objectives: objectives.clone(),
            sources: [source(files.progress(), false), source(files.log(Stream::Stdout), true)],
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
            if self.sources[at].is_overwritten() {
                self.complain(WRITTEN_ANEW);
            }
            loop {
                while let Some(read) = self.sources[at].read(false, &self.objectives) {
                    any = true;
                    self.store(&read).await?;
                    self.sources[at].pass(read);
                }
                if !self.sources[at].is_replaced() {
                    break;
                }
                self.complain(WRITTEN_ANEW);
            }
        }
        Ok(any)
    }

    /// The same after the command's end. Where it ended by itself, its last line need not be ended.
    pub(super) async fn finish(&mut self, ended_well: bool) -> Result<(), Error> {
        self.drain().await?;
        for at in 0..self.sources.len() {
            if let Some(read) = self.sources[at].read(true, &self.objectives).filter(|_| ended_well)
            {
                self.store(&read).await?;
                self.sources[at].pass(read);
            }
        }
        Ok(())
    }

    async fn store(&mut self, read: &Read) -> Result<(), Error> {
        let (mut steps, mut answers) = (Vec::new(), Vec::new());
        for line in &read.lines {
            match line.clone().and_then(|step| fitting(step, &self.objectives)) {
                Ok(step) => {
                    answers.push(json!({"step": step.step}));
                    steps.push((answers.len() - 1, step));
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
            let places = steps.iter().map(|(place, _)| *place);
            let steps = steps.iter().map(|(_, step)| step.clone()).collect();
            let command = Command::Step { trial, attempt, steps };
            match self.trial.study().exchange_async(vec![command]).await?.pop() {
                Some(Ok(answer)) => {
                    let outcome = step_outcome(answer);
                    self.trial.hear(&outcome);
                    prune |= outcome != StepOutcome::Continue;
                }
                Some(Err(error)) => {
                    let problem = error.to_string();
                    self.complain(&problem);
                    places.for_each(|place| answers[place] = json!({"error": problem}));
                }
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
    tail: Vec<u8>,
}

/// A step with as many values as the study says that it has objectives.
fn fitting(step: Step, objectives: &Objectives) -> Result<Step, String> {
    objectives.fit(step.value.as_slice().len()).map(|()| step)
}

impl Source {
    fn new(path: PathBuf, prefixed: bool) -> Self {
        let file = plain::open(&path).ok();
        Source { path, file, prefixed, offset: 0, in_long_line: false, tail: Vec::new() }
    }

    /// What was read is stored.
    fn pass(&mut self, read: Read) {
        (self.offset, self.in_long_line, self.tail) = (read.end, read.in_long_line, read.tail);
    }

    /// Whether what was read is not there any more, because somebody has written the file from its beginning, as
    /// `>` does; then it is read from there. The middle of a log is ours to free.
    fn is_overwritten(&mut self) -> bool {
        let is_ours = self.prefixed || self.tail.is_empty();
        let Some(file) = self.file.as_ref().filter(|_| !is_ours) else { return false };
        let mut there = vec![0; self.tail.len()];
        let from = self.offset - self.tail.len() as u64;
        if file.read_exact_at(&mut there, from).is_ok() && there == self.tail {
            return false;
        }
        self.begin_anew();
        true
    }

    /// Whether another file has taken its place; then that one is read.
    fn is_replaced(&mut self) -> bool {
        let removed = |file: &File| file.metadata().is_ok_and(|data| data.nlink() == 0);
        if self.prefixed || !self.file.as_ref().is_some_and(removed) {
            return false;
        }
        let Ok(file) = plain::open(&self.path) else { return false };
        self.file = Some(file);
        self.begin_anew();
        true
    }

    fn begin_anew(&mut self) {
        (self.offset, self.in_long_line) = (0, false);
        self.tail.clear();
    }

    /// Reads the next whole lines, if there are any; with `ended` also one that does not end.
    fn read(&self, ended: bool, objectives: &Objectives) -> Option<Read> {
        let file = self.file.as_ref()?;
        // Mostly nothing was added, and nothing need be read.
        let more = file.metadata().ok()?.len().checked_sub(self.offset).filter(|more| *more > 0)?;
        let mut bytes = vec![0; PROGRESS_CHUNK_BYTES.min(more as usize)];
        let got = file.read_at(&mut bytes, self.offset).ok()?;
        bytes.truncate(got);
        if ended && !bytes.contains(&b'\n') {
            bytes.push(b'\n');
        }
        let (end, in_long_line, tail) = (self.offset, self.in_long_line, Vec::new());
        let mut read = Read { lines: Vec::new(), end, in_long_line, tail };
        let mut rest = &bytes[..];
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let line = &rest[..at];
            rest = &rest[at + 1..];
            read.end += at as u64 + 1;
            // The end of a long line is none.
            if !std::mem::take(&mut read.in_long_line) {
                read.lines.extend(self.step_of(line, objectives));
            }
        }
        if rest.len() > MAX_STEP_LINE_BYTES {
            if !read.in_long_line && !self.prefixed {
                let problem = format!("a step's line has more than {MAX_STEP_LINE_BYTES} bytes");
                read.lines.push(Err(problem));
            }
            (read.end, read.in_long_line) = (read.end + rest.len() as u64, true);
        }
        // The end of a line that does not end is not in the file.
        read.end = read.end.min(self.offset + got as u64);
        let passed = (read.end - self.offset) as usize;
        read.tail.extend(self.tail.iter().chain(&bytes[..passed]));
        read.tail.drain(..read.tail.len().saturating_sub(TAIL_BYTES));
        (passed > 0).then_some(read)
    }

    fn step_of(&self, line: &[u8], objectives: &Objectives) -> Option<Result<Step, String>> {
        let line = match self.prefixed {
            true => line.strip_prefix(PREFIX.as_bytes())?,
            false => line,
        };
        let line = line.trim_ascii();
        (!line.is_empty()).then(|| match std::str::from_utf8(line) {
            Ok(text) => parse(text, objectives),
            Err(_) => Err("a step's line is not UTF-8".into()),
        })
    }
}

/// Reads a step: `3 0.2`, or `{"step": 3, "value": 0.2}`. Several objectives are several numbers, or each has its
/// name: `{"step": 3, "error": 0.2, "latency": 5}`.
pub fn parse(text: &str, objectives: &Objectives) -> Result<Step, String> {
    let wrong = || {
        let shown: String = text.chars().take(80).collect();
        format!("this is not a step, as `3 0.2` or {{\"step\": 3, \"value\": 0.2}} is: {shown}")
    };
    if text.starts_with('{') {
        let json = trialmill_core::json::read(text).map_err(|_| wrong())?;
        return of_object(json, objectives)?.ok_or_else(wrong);
    }
    let mut words = text.split_ascii_whitespace();
    let step = words.next().and_then(|word| word.parse().ok()).ok_or_else(wrong)?;
    let values: Result<Vec<f64>, _> = words.map(str::parse).collect();
    match values {
        Ok(values) if !values.is_empty() => Ok(Step::new(step, Objective::from(values))),
        _ => Err(wrong()),
    }
}

/// The step that an object is; none if it is not one.
fn of_object(json: Json, objectives: &Objectives) -> Result<Option<Step>, String> {
    let Json::Object(mut map) = json else { return Ok(None) };
    let Some(step) = map.shift_remove("step").as_ref().and_then(Json::as_u64) else {
        return Ok(None);
    };
    let of_step = |problem: String| problem.replacen("the result", "the step", 1);
    let mut value = result::named(&mut map, objectives).map_err(of_step)?;
    if value.is_none() {
        value = map.shift_remove("value");
    }
    // Whatever else it has was meant for something.
    let value = value.filter(|_| map.is_empty()).and_then(|value| result::objective(&value));
    Ok(value.filter(|value| !value.as_slice().is_empty()).map(|value| Step::new(step, value)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::StudyBuilder;
    use crate::evaluate::StopSignal;
    use trialmill_core::space::{Parameter, SearchSpace};
    use trialmill_core::trial::{Trial, TrialId};

    #[test]
    fn a_step_is_two_words_or_an_object_and_nothing_else() {
        let unsaid = Objectives::default();
        for (text, step) in [
            ("3 0.2", Step::new(3, 0.2)),
            ("0  -1e-3 7", Step::new(0, [-1e-3, 7.0])),
            (r#"{"step": 3, "value": 0.2}"#, Step::new(3, 0.2)),
            (r#"{"value": [1, 2], "step": 9}"#, Step::new(9, [1.0, 2.0])),
            (r#"{"step": 1, "value": Infinity}"#, Step::new(1, f64::INFINITY)),
            ("1 inf", Step::new(1, f64::INFINITY)),
        ] {
            assert_eq!(parse(text, &unsaid), Ok(step), "{text}");
        }
        assert!(parse("4 nan", &unsaid).unwrap().single().is_none());
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
            assert!(parse(text, &unsaid).unwrap_err().contains("not a step"), "{text}");
        }
    }

    #[test]
    fn the_values_of_a_step_may_have_the_objectives_names() {
        let goals = serde_json::json!({"error": "minimize", "accuracy": "maximize"});
        let goals = Objectives::from_json(&goals).unwrap();
        for (text, wanted) in [
            (r#"{"accuracy": 0.75, "step": 2, "error": 0.5}"#, Ok(Step::new(2, [0.5, 0.75]))),
            (r#"{"step": 2, "value": [0.5, 0.75]}"#, Ok(Step::new(2, [0.5, 0.75]))),
            (r#"{"step": 2, "error": 0.5}"#, Err("the step has no 'accuracy'")),
            (r#"{"step": 2, "error": 0.5, "accuracy": 1, "value": 3}"#, Err("not a step")),
            (r#"{"step": 2, "error": "low", "accuracy": 1}"#, Err("not a step")),
        ] {
            match (parse(text, &goals), wanted) {
                (Ok(step), Ok(wanted)) => assert_eq!(step, wanted),
                (Err(problem), Err(wanted)) => assert!(problem.contains(wanted), "{problem}"),
                (read, _) => panic!("{text}: {read:?}"),
            }
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
        let mut source = Source::new(path.clone(), true);
        let mut steps = Vec::new();
        let mut take = |source: &mut Source| {
            while let Some(mut read) = source.read(false, &Objectives::default()) {
                steps.extend(read.lines.drain(..).map(Result::unwrap));
                source.pass(read);
            }
            steps.len()
        };
        assert_eq!(take(&mut source), 2);
        File::options().append(true).open(&path).unwrap().write_all(b" 0.125\n").unwrap();
        assert_eq!(take(&mut source), 3);
        assert_eq!(steps[2], Step::new(3, 0.125));
    }

    /// Whoever waits for the answers counts them: one for each line, also for one that is too long.
    #[test]
    fn a_line_may_have_its_full_length_and_one_that_has_more_is_answered_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("steps");
        let padded = |bytes: usize| format!("1 0.5{}", " ".repeat(bytes - 5));
        // Each: the line, and how many pieces of it are written before its end.
        for (bytes, pieces, fits) in [
            (MAX_STEP_LINE_BYTES, 1, true),
            (MAX_STEP_LINE_BYTES + 1, 1, false),
            (MAX_STEP_LINE_BYTES * 3, 3, false),
            (PROGRESS_CHUNK_BYTES * 2, 1, false),
        ] {
            let what = format!("{bytes} bytes in {pieces}");
            std::fs::write(&path, "").unwrap();
            let mut source = Source::new(path.clone(), false);
            let (mut read_ok, mut problems) = (Vec::new(), 0);
            let mut take = |source: &mut Source| {
                while let Some(mut read) = source.read(false, &Objectives::default()) {
                    for line in read.lines.drain(..) {
                        match line {
                            Ok(step) => read_ok.push(step.step),
                            Err(problem) => {
                                assert!(problem.contains("more than"), "{what}: {problem}");
                                problems += 1;
                            }
                        }
                    }
                    source.pass(read);
                }
            };
            let mut file = File::options().append(true).open(&path).unwrap();
            for piece in padded(bytes).as_bytes().chunks(bytes / pieces) {
                file.write_all(piece).unwrap();
                take(&mut source);
            }
            file.write_all(b"\n2 0.25\n").unwrap();
            take(&mut source);
            let expected = if fits { (vec![1, 2], 0) } else { (vec![2], 1) };
            assert_eq!((read_ok, problems), expected, "{what}");
        }
    }

    /// The middle of a long log is freed while its command runs; the steps in it were not to be read a second time.
    #[test]
    fn a_log_whose_middle_is_freed_is_not_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stdout.log");
        let text = "trialmill-step 1 0.5\n";
        std::fs::write(&path, text).unwrap();
        let mut source = Source::new(path.clone(), true);
        let read = source.read(false, &Objectives::default()).unwrap();
        source.pass(read);
        std::fs::write(&path, "\0".repeat(text.len())).unwrap();
        assert!(!source.is_overwritten());
        assert_eq!(source.offset, text.len() as u64);
    }

    /// A command that was refused a step read that of another.
    #[test]
    fn each_line_is_answered_in_its_place() {
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        let study = StudyBuilder::in_memory().space(space).ctrl_c(false).open().unwrap();
        let handle = study.handle();
        let known = handle.ask("me", 1, Duration::from_hours(1)).unwrap().into_trials().remove(0);
        let unknown = Trial { id: TrialId::Number(9), ..known.clone() };
        let dir = tempfile::tempdir().unwrap();
        for (trial, stored) in [(known, true), (unknown, false)] {
            let files = AttemptFiles::of(&dir.path().join(trial.id.to_string()), 1);
            std::fs::create_dir_all(files.own()).unwrap();
            std::fs::write(files.log(Stream::Stdout), "").unwrap();
            std::fs::write(files.answers(), "").unwrap();
            std::fs::write(files.progress(), "1 0.5\nnonsense\n2 0.25\n").unwrap();
            let stop = Arc::new(StopSignal::default());
            let running = RunningTrial::begin(trial, 0, None, None, None, stop, handle.clone());
            let mut follower = Follower::new(&running, &files, &Objectives::default());
            assert!(actix::System::new().block_on(follower.drain()).unwrap());
            let answers = std::fs::read_to_string(files.answers()).unwrap();
            let answers: Vec<Json> =
                answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            assert_eq!(answers.len(), 3, "{answers:?}");
            assert!(answers[1]["error"].as_str().unwrap().contains("not a step"));
            for (at, step) in [(0, 1), (2, 2)] {
                if stored {
                    assert_eq!(answers[at], json!({"step": step, "prune": false}));
                } else {
                    assert!(answers[at]["error"].as_str().unwrap().contains('9'), "{answers:?}");
                }
            }
        }
    }

    /// A script that wrote each step with `>` and not `>>` lost all but the first, in silence; and one that
    /// waited for the answer waited for ever.
    #[test]
    fn what_is_written_anew_is_read_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("steps");
        std::fs::write(&path, "").unwrap();
        let mut source = Source::new(path.clone(), false);
        let found = |source: &mut Source, ended: bool| {
            let anew = source.is_overwritten();
            let mut steps = Vec::new();
            loop {
                while let Some(mut read) = source.read(ended, &Objectives::default()) {
                    steps.extend(read.lines.drain(..).map(|line| line.unwrap().step));
                    source.pass(read);
                }
                if !source.is_replaced() {
                    break;
                }
            }
            (anew, steps)
        };
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("1 0.5\n");
        assert_eq!(found(&mut source, false), (false, vec![1]));
        write("1 0.5\n2 0.5\n");
        assert_eq!(found(&mut source, false), (false, vec![2]), "appended to");
        write("3 0.5\n4 0.5\n");
        assert_eq!(found(&mut source, false), (true, vec![3, 4]), "of the same length");
        write("5 0.5\n4 0.25\n");
        assert_eq!(found(&mut source, false), (true, vec![5, 4]), "longer");
        write("6 0.5\n");
        assert_eq!(found(&mut source, false), (true, vec![6]), "shorter");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(found(&mut source, false), (false, vec![]), "gone");
        write("7 0.5\n8 0.25");
        assert_eq!(found(&mut source, false), (false, vec![7]), "another file");
        assert_eq!(found(&mut source, true), (false, vec![8]), "at the end");
        assert_eq!(found(&mut source, true), (false, vec![]));
    }
}
