//! One event as one line of the journal.
//!
//! ```json
//! {"crc":"1c291ca3","seq":7,"event":"reported","time":1763752512.25,"trial":"3","attempt":1,…}
//! ```
//! The checksum (CRC-32, IEEE) covers all bytes of the line after its own comma, so a line can be
//! verified before it is parsed; `seq` counts the lines, so one that is lost, doubled or moved is
//! seen. The shape is flat, a struct per event in `line/body.rs`, and most strings borrow from the
//! line: reading is four times as fast as with tagged enums. `frequent.rs` writes and reads the three
//! most frequent events by hand.

mod body;
mod error;

use std::borrow::Cow;

use arcstr::ArcStr;
use serde::de::DeserializeSeed;
use serde::{Deserialize, Serialize};

use self::body::{
    ClaimedLine, DeletedLine, EvaluationLine, Held, LeftLine, NotedLine, PolicyLine, PutLine,
    ReportedLine, RequeuedLine, SampledLine, SteppedLine, StoppedLine, Str,
};
pub use self::error::LineError;
use super::frequent::{self, Frequent, What};
use super::{Event, EventKind};
use crate::config::{Config, ConfigSeed, Names};
use crate::interner::Interner;
use crate::trial::{MetaData, Trial, WorkerId};

const HEAD: &[u8] = b"{\"crc\":\"";
const HEAD_LEN: usize = HEAD.len() + 8 + 2;

/// What every line begins with after its checksum.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    seq: u64,
    #[serde(borrow)]
    event: Str<'a>,
    time: f64,
}

/// Appends an event as a line to `out`.
pub fn encode(seq: u64, event: &Event, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(HEAD);
    out.extend_from_slice(b"00000000\",");
    if frequent::write(seq, event, out).is_none() {
        // The comma goes too: `add` writes its own.
        out.truncate(start + HEAD_LEN - 1);
        write(seq, event, out);
    }
    out.push(b'}');
    let crc = crc32fast::hash(&out[start + HEAD_LEN..]);
    out[start + HEAD.len()..start + HEAD.len() + 8].copy_from_slice(&hex(crc));
    out.push(b'\n');
}

/// Writes the body of any line, from the comma after its checksum to before its last brace.
fn write(seq: u64, event: &Event, out: &mut Vec<u8>) {
    let name = match &event.kind {
        EventKind::Policy(_) => "policy",
        EventKind::Evaluation { .. } => "evaluation",
        EventKind::Joined(_) => "joined",
        EventKind::Left { .. } => "left",
        EventKind::Sampled { .. } => "sampled",
        EventKind::Claimed { .. } => "claimed",
        EventKind::Stepped { .. } => "stepped",
        EventKind::Reported { .. } => "reported",
        EventKind::Requeued { .. } => "requeued",
        EventKind::Put(_) => "put",
        EventKind::Stopped { .. } => "stopped",
        EventKind::Noted { .. } => "noted",
        EventKind::Deleted { .. } => "deleted",
    };
    add(&Head { seq, event: name.into(), time: event.time }, out);
    match &event.kind {
        EventKind::Policy(policy) => add(&PolicyLine { policy: Cow::Borrowed(policy) }, out),
        EventKind::Evaluation { number, own, evaluation } => {
            let (number, own, evaluation) = (*number, *own, Cow::Borrowed(&**evaluation));
            add(&EvaluationLine { number, own, evaluation }, out);
        }
        EventKind::Joined(process) => add(process, out),
        EventKind::Left { process, errors_in_a_row } => {
            let (process, errors_in_a_row) = (*process, *errors_in_a_row);
            add(&LeftLine { process, errors_in_a_row }, out);
        }
        EventKind::Sampled { trial, config, previous, worker, claimed, evaluation } => {
            let line = SampledLine {
                trial: trial.clone(),
                worker: Str::from(&**worker),
                attempt: claimed.then_some(1),
                evaluation: *evaluation,
                previous: previous.clone(),
                config: Held::ToWrite(config),
            };
            add(&line, out);
        }
        EventKind::Claimed { trial, attempt, worker, evaluation, lease } => {
            let line = ClaimedLine {
                trial: trial.clone(),
                attempt: *attempt,
                worker: Str::from(&**worker),
                evaluation: *evaluation,
                lease: lease.as_ref().map(Cow::Borrowed),
            };
            add(&line, out);
        }
        EventKind::Stepped { trial, attempt, steps, prune_at } => {
            let (trial, attempt, prune_at) = (trial.clone(), *attempt, *prune_at);
            add(&SteppedLine { trial, attempt, steps: Cow::Borrowed(steps), prune_at }, out);
        }
        EventKind::Reported { trial, attempt, report } => {
            add(&ReportedLine::new(trial, *attempt, report), out);
        }
        EventKind::Requeued { trial, attempt, reason } => {
            let (attempt, reason) = (*attempt, *reason);
            add(&RequeuedLine { trial: trial.clone(), attempt, reason }, out);
        }
        EventKind::Put(trial) => add(&PutLine::new(trial), out),
        EventKind::Stopped { reason } => add(&StoppedLine { reason: *reason }, out),
        EventKind::Noted { trial, notes } => {
            add(&NotedLine { trial: trial.clone(), notes: Cow::Borrowed(notes) }, out);
        }
        EventKind::Deleted { trial } => add(&DeletedLine { trial: trial.clone() }, out),
    }
}

fn hex(crc: u32) -> [u8; 8] {
    std::array::from_fn(|at| b"0123456789abcdef"[(crc >> (28 - 4 * at) & 15) as usize])
}

/// Adds the fields of a struct to an object that has others already and is not closed yet.
fn add(fields: &impl Serialize, out: &mut Vec<u8>) {
    let start = out.len();
    let written = serde_json::to_writer(&mut *out, fields);
    // Memory takes every byte, and only a map with other keys than strings is refused: none is.
    debug_assert!(written.is_ok(), "{written:?}");
    // The braces of its own: the first becomes the comma after what was there.
    out[start] = b',';
    out.pop();
}

/// Checks a line's shape and checksum.
pub fn verified(line: &[u8]) -> Result<(), LineError> {
    let shaped = line.len() > HEAD_LEN
        && line.starts_with(HEAD)
        && &line[HEAD_LEN - 2..HEAD_LEN] == b"\","
        && line.len() <= crate::limits::MAX_LINE_BYTES;
    if !shaped {
        return Err(LineError::Shape(line.len()));
    }
    let body = &line[HEAD_LEN..];
    if line[HEAD.len()..HEAD.len() + 8] != hex(crc32fast::hash(body)) {
        return Err(LineError::Checksum);
    }
    Ok(())
}

/// Decodes lines; parameter names and worker names are shared between the events.
pub struct Decoder {
    names: Names,
    /// The names of workers, and the choices of categorical parameters.
    choices: Interner<ArcStr>,
    workers: Interner<WorkerId>,
}

impl Decoder {
    /// A decoder for the lines of a study whose parameters have these names.
    pub fn new(names: Names) -> Self {
        Decoder { names, choices: Interner::default(), workers: Interner::default() }
    }

    /// Reads a line (without its line feed); returns its sequence number and its event.
    pub fn decode(&mut self, line: &[u8]) -> Result<(u64, Event), LineError> {
        verified(line)?;
        // Checked once as a whole: from bytes, serde_json would check every string on its own.
        let line = std::str::from_utf8(line)
            .map_err(|error| LineError::content(format!("it is not UTF-8: {error}")))?;
        match self.decode_frequent(&line[HEAD_LEN..]) {
            Some(read) => Ok(read),
            None => self.decode_any(line),
        }
    }

    fn decode_frequent(&mut self, body: &str) -> Option<(u64, Event)> {
        let Frequent { seq, time, trial, what } =
            frequent::read(body, &self.names, &mut self.choices)?;
        let kind = match what {
            What::Sampled { worker, claimed, evaluation, config } => {
                let worker = self.workers.intern(worker);
                EventKind::Sampled { trial, config, previous: None, worker, claimed, evaluation }
            }
            What::Stepped { attempt, steps, prune_at } => {
                EventKind::Stepped { trial, attempt, steps, prune_at }
            }
            What::Reported { attempt, report } => {
                EventKind::Reported { trial, attempt, report: Box::new(report) }
            }
        };
        Some((seq, Event { time, kind }))
    }

    fn decode_any(&mut self, line: &str) -> Result<(u64, Event), LineError> {
        // As we write it, the head is read by hand; any other order of the fields means the same.
        let Head { seq, event, time } = match frequent::read_head(&line[HEAD_LEN..]) {
            Some((seq, event, time)) => Head { seq, event: event.into(), time },
            None => parse(line)?,
        };
        let kind = match &*event.0 {
            "policy" => {
                EventKind::Policy(parse::<PolicyLine<'_>>(line)?.policy.into_owned().into())
            }
            "evaluation" => {
                let EvaluationLine { number, own, evaluation } = parse(line)?;
                EventKind::Evaluation { number, own, evaluation: evaluation.into_owned().into() }
            }
            "joined" => EventKind::Joined(parse(line)?),
            "left" => {
                let LeftLine { process, errors_in_a_row } = parse(line)?;
                EventKind::Left { process, errors_in_a_row }
            }
            "sampled" => {
                let line: SampledLine<'_> = parse(line)?;
                EventKind::Sampled {
                    trial: line.trial,
                    config: self.config(line.config)?,
                    previous: line.previous,
                    worker: self.worker(line.worker),
                    claimed: line.attempt.is_some(),
                    evaluation: line.evaluation,
                }
            }
            "claimed" => {
                let ClaimedLine { trial, attempt, worker, evaluation, lease } = parse(line)?;
                let (worker, lease) = (self.worker(worker), lease.map(Cow::into_owned));
                EventKind::Claimed { trial, attempt, worker, evaluation, lease }
            }
            "stepped" => {
                let SteppedLine { trial, attempt, steps, prune_at } = parse(line)?;
                let steps = steps.into_owned().into();
                EventKind::Stepped { trial, attempt, steps, prune_at }
            }
            "reported" => parse::<ReportedLine<'_>>(line)?.into_event()?,
            "requeued" => {
                let RequeuedLine { trial, attempt, reason } = parse(line)?;
                EventKind::Requeued { trial, attempt, reason }
            }
            "stopped" => EventKind::Stopped { reason: parse::<StoppedLine>(line)?.reason },
            "noted" => {
                let NotedLine { trial, notes } = parse(line)?;
                EventKind::Noted { trial, notes: Box::new(notes.into_owned()) }
            }
            "deleted" => EventKind::Deleted { trial: parse::<DeletedLine>(line)?.trial },
            "put" => EventKind::Put(Box::new(self.put(parse(line)?)?)),
            other => {
                let problem = format!("the event '{other}' is not known to this version");
                return Err(LineError::content(problem));
            }
        };
        Ok((seq, Event { time, kind }))
    }

    fn put(&mut self, mut line: PutLine<'_>) -> Result<Trial, LineError> {
        let report = line.take_report()?;
        let metadata = MetaData {
            previous_trial_id: line.previous,
            sampling_worker_id: line.worker.map(|worker| self.worker(worker)),
            time_sampled: line.time_sampled.0,
            evaluating_worker_id: line.evaluating_worker.map(|worker| self.worker(worker)),
            evaluation_duration: line.duration.map(|it| it.0),
            time_submitted: line.time_submitted.map(|it| it.0),
            time_started: line.time_started.map(|it| it.0),
            time_end: line.time_end.map(|it| it.0),
            evaluation: line.evaluation,
        };
        Ok(Trial {
            id: line.trial,
            config: self.config(line.config)?,
            state: line.put_state,
            attempts: line.attempt,
            losses: line.losses.unwrap_or(0),
            failures: line.failures.unwrap_or(0),
            metadata,
            // Lines of their own, after this one.
            steps: None,
            notes: None,
            report,
        })
    }

    fn config(&self, config: Held<'_, Config>) -> Result<Config, LineError> {
        match config {
            Held::ToWrite(config) => Ok(config.clone()),
            Held::Read(json) => ConfigSeed(&self.names)
                .deserialize(&mut serde_json::Deserializer::from_str(json.get()))
                .map_err(|error| LineError::content(format!("its config: {error}"))),
        }
    }

    fn worker(&mut self, name: Str<'_>) -> WorkerId {
        self.workers.intern(&name.0)
    }
}

fn parse<'a, T: Deserialize<'a>>(line: &'a str) -> Result<T, LineError> {
    serde_json::from_str(line).map_err(LineError::content)
}

#[cfg(test)]
mod tests;
