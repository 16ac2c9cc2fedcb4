//! One event as one line of the journal.
//!
//! ```json
//! {"crc":"1c291ca3","seq":7,"event":"reported","time":1763752512.25,"trial":"3","attempt":1,…}
//! ```
//! The checksum (CRC-32, IEEE) covers all bytes of the line behind its own comma, so a line can be
//! verified before it is parsed; `seq` counts the lines, so one that is lost, doubled or moved is
//! seen. The shape is flat, and the hot values borrow from the line: reading is four times as fast
//! as with tagged enums. `frequent.rs` reads the two frequent events by hand.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeSeed, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::frequent::{self, Frequent, What};
use super::{Event, EventKind, Lease, Policy, Process, Reason};
use crate::config::{Config, ConfigSeed, Names};
use crate::texts::Texts;
use crate::trial::{Failure, MetaData, Objective, Real, Report, State, Trial, TrialId, WorkerId};

const HEAD: &[u8] = b"{\"crc\":\"";
const HEAD_LEN: usize = HEAD.len() + 8 + 2;

/// Why a line cannot be used.
#[derive(Debug, Error)]
pub(crate) enum LineError {
    #[error("a line of {0} bytes is not a record")]
    Shape(usize),
    #[error("the checksum does not match")]
    Checksum,
    #[error("a sound record cannot be understood: {0}")]
    Content(String),
}

/// Appends an event as a line to `out`.
pub(crate) fn encode(seq: u64, event: &Event, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(HEAD);
    out.extend_from_slice(b"00000000\",");
    if frequent::write(seq, event, out).is_none() {
        out.truncate(start + HEAD_LEN);
        write(seq, event, out);
    }
    out.push(b'}');
    let crc = crc32fast::hash(&out[start + HEAD_LEN..]);
    out[start + HEAD.len()..start + HEAD.len() + 8].copy_from_slice(&hex(crc));
    out.push(b'\n');
}

/// Writes the body of any line, behind its checksum and before its last brace.
fn write(seq: u64, event: &Event, out: &mut Vec<u8>) {
    let mut line = Writer { out, first: true };
    line.field("seq", &seq);
    let name = match &event.kind {
        EventKind::Policy(_) => "policy",
        EventKind::Joined(_) => "joined",
        EventKind::Left { .. } => "left",
        EventKind::Sampled { .. } => "sampled",
        EventKind::Claimed { .. } => "claimed",
        EventKind::Reported { .. } => "reported",
        EventKind::Requeued { .. } => "requeued",
        EventKind::Put(_) => "put",
    };
    line.field("event", name);
    line.field("time", &event.time);
    match &event.kind {
        EventKind::Policy(policy) => line.field("policy", policy),
        EventKind::Joined(process) => {
            line.field("process", &process.process);
            line.field("host", &process.host);
            line.field("boot", &process.boot);
            line.field("pid", &process.pid);
        }
        EventKind::Left { process } => line.field("process", process),
        EventKind::Sampled { trial, config, previous, worker, claimed } => {
            line.field("trial", trial);
            line.field("worker", worker);
            if *claimed {
                line.field("attempt", &1);
            }
            line.optional("previous", previous);
            line.field("config", config);
        }
        EventKind::Claimed { trial, attempt, worker, lease } => {
            line.field("trial", trial);
            line.field("attempt", attempt);
            line.field("worker", worker);
            line.optional("lease", lease);
        }
        EventKind::Reported { trial, attempt, report } => {
            line.field("trial", trial);
            line.field("attempt", attempt);
            line.report(report);
        }
        EventKind::Requeued { trial, attempt, reason } => {
            line.field("trial", trial);
            line.field("attempt", attempt);
            line.field("reason", reason);
        }
        EventKind::Put(trial) => line.put(trial),
    }
}

fn hex(crc: u32) -> [u8; 8] {
    std::array::from_fn(|at| b"0123456789abcdef"[(crc >> (28 - 4 * at) & 15) as usize])
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl Writer<'_> {
    fn field(&mut self, key: &str, value: &(impl Serialize + ?Sized)) {
        let start = self.out.len();
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        // Writing our own values into memory fails only for a map whose keys are not texts, and
        // there is none; should one come, the field is left out rather than the line broken.
        if serde_json::to_writer(&mut *self.out, value).is_err() {
            self.out.truncate(start);
        }
    }

    fn optional(&mut self, key: &str, value: &Option<impl Serialize>) {
        if let Some(value) = value {
            self.field(key, value);
        }
    }

    fn report(&mut self, report: &Report) {
        self.field("state", &report.reported_as);
        self.optional("objective_to_minimize", &report.objective_to_minimize);
        self.optional("cost", &report.cost.map(Real));
        self.optional("learning_curve", &report.learning_curve);
        self.optional("extra", &report.extra);
        if let Some(failure) = &report.failure {
            self.field("err_type", &failure.err_type);
            self.field("err", &failure.err);
            self.optional("tb", &failure.tb);
        }
        self.optional("evaluation_duration", &report.evaluation_duration.map(Real));
    }

    fn put(&mut self, trial: &Trial) {
        self.field("trial", &trial.id);
        self.field("attempt", &trial.attempts);
        self.field("put_state", &trial.state);
        self.optional("losses", &Some(trial.losses).filter(|losses| *losses > 0));
        let meta = &trial.metadata;
        self.optional("previous", &meta.previous_trial_id);
        self.optional("worker", &meta.sampling_worker_id);
        // NePS imports trials whose times are not numbers.
        self.field("time_sampled", &Real(meta.time_sampled));
        self.optional("evaluating_worker", &meta.evaluating_worker_id);
        self.optional("duration", &meta.evaluation_duration.map(Real));
        self.optional("time_submitted", &meta.time_submitted.map(Real));
        self.optional("time_started", &meta.time_started.map(Real));
        self.optional("time_end", &meta.time_end.map(Real));
        self.field("config", &trial.config);
        if let Some(report) = &trial.report {
            self.report(report);
        }
    }
}

#[derive(Deserialize)]
struct Line<'a> {
    seq: u64,
    #[serde(borrow)]
    event: Text<'a>,
    time: f64,
    #[serde(borrow)]
    trial: Option<Text<'a>>,
    attempt: Option<u32>,
    #[serde(borrow)]
    worker: Option<Text<'a>>,
    #[serde(borrow)]
    previous: Option<Text<'a>>,
    #[serde(borrow)]
    config: Option<&'a RawValue>,
    state: Option<State>,
    objective_to_minimize: Option<Objective>,
    cost: Option<Real>,
    learning_curve: Option<Vec<Objective>>,
    #[serde(borrow)]
    extra: Option<&'a RawValue>,
    err_type: Option<String>,
    err: Option<String>,
    tb: Option<String>,
    evaluation_duration: Option<Real>,
    reason: Option<Reason>,
    lease: Option<Lease>,
    process: Option<u32>,
    host: Option<Arc<str>>,
    boot: Option<Arc<str>>,
    pid: Option<u32>,
    policy: Option<Policy>,
    put_state: Option<State>,
    losses: Option<u32>,
    time_sampled: Option<Real>,
    #[serde(borrow)]
    evaluating_worker: Option<Text<'a>>,
    duration: Option<Real>,
    time_submitted: Option<Real>,
    time_started: Option<Real>,
    time_end: Option<Real>,
}

/// Checks a line's shape and checksum.
pub(crate) fn verified(line: &[u8]) -> Result<(), LineError> {
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

/// Reads lines, sharing the names of parameters and workers between them.
pub(crate) struct Decoder {
    names: Names,
    /// The names of workers, and the choices of categorical parameters.
    texts: Texts,
}

impl Decoder {
    pub(crate) fn new(names: Names) -> Self {
        Decoder { names, texts: Texts::default() }
    }

    /// Reads a line (without its line feed); gives its sequence number and its event.
    pub(crate) fn decode(&mut self, line: &[u8]) -> Result<(u64, Event), LineError> {
        verified(line)?;
        // Checked once as a whole: from bytes, serde_json would check every text on its own.
        let line = std::str::from_utf8(line)
            .map_err(|error| LineError::Content(format!("it is not UTF-8: {error}")))?;
        if let Some(read) = self.decode_frequent(&line[HEAD_LEN..]) {
            return Ok(read);
        }
        let line: Line<'_> =
            serde_json::from_str(line).map_err(|error| LineError::Content(error.to_string()))?;
        Ok((line.seq, self.event(line)?))
    }

    fn decode_frequent(&mut self, body: &str) -> Option<(u64, Event)> {
        let Frequent { seq, time, trial, what } =
            frequent::read(body, &self.names, &mut self.texts)?;
        let kind = match what {
            What::Sampled { worker, claimed, config } => {
                let worker = self.texts.share(worker);
                EventKind::Sampled { trial, config, previous: None, worker, claimed }
            }
            What::Reported { attempt, report } => {
                EventKind::Reported { trial, attempt, report: Box::new(report) }
            }
        };
        Some((seq, Event { time, kind }))
    }

    fn event(&mut self, line: Line<'_>) -> Result<Event, LineError> {
        let time = line.time;
        let kind = match &*line.event.0 {
            "sampled" => EventKind::Sampled {
                trial: id(&line.trial, "trial")?,
                config: self.config(line.config)?,
                previous: optional_id(&line.previous)?,
                worker: self.worker(need(line.worker, "worker")?),
                claimed: line.attempt.is_some(),
            },
            "reported" => EventKind::Reported {
                trial: id(&line.trial, "trial")?,
                attempt: need(line.attempt, "attempt")?,
                report: Box::new(report(line)?),
            },
            "claimed" => EventKind::Claimed {
                trial: id(&line.trial, "trial")?,
                attempt: need(line.attempt, "attempt")?,
                worker: self.worker(need(line.worker, "worker")?),
                lease: line.lease,
            },
            "requeued" => EventKind::Requeued {
                trial: id(&line.trial, "trial")?,
                attempt: need(line.attempt, "attempt")?,
                reason: need(line.reason, "reason")?,
            },
            "joined" => EventKind::Joined(Process {
                process: need(line.process, "process")?,
                host: need(line.host, "host")?,
                boot: need(line.boot, "boot")?,
                pid: need(line.pid, "pid")?,
            }),
            "left" => EventKind::Left { process: need(line.process, "process")? },
            "policy" => EventKind::Policy(need(line.policy, "policy")?),
            "put" => return self.put(line),
            other => {
                let problem = format!("the event '{other}' is not known to this version");
                return Err(LineError::Content(problem));
            }
        };
        Ok(Event { time, kind })
    }

    fn put(&mut self, mut line: Line<'_>) -> Result<Event, LineError> {
        let time = line.time;
        let mut trial = Trial::pending(
            id(&line.trial, "trial")?,
            self.config(line.config)?,
            MetaData {
                previous_trial_id: optional_id(&line.previous)?,
                sampling_worker_id: line.worker.take().map(|worker| self.worker(worker)),
                time_sampled: need(line.time_sampled.take(), "time_sampled")?.0,
                evaluating_worker_id: line
                    .evaluating_worker
                    .take()
                    .map(|worker| self.worker(worker)),
                evaluation_duration: line.duration.take().map(|x| x.0),
                time_submitted: line.time_submitted.take().map(|x| x.0),
                time_started: line.time_started.take().map(|x| x.0),
                time_end: line.time_end.take().map(|x| x.0),
            },
        );
        trial.state = need(line.put_state, "put_state")?;
        trial.attempts = need(line.attempt, "attempt")?;
        trial.losses = line.losses.unwrap_or(0);
        trial.report = match line.state {
            Some(_) => Some(Box::new(report(line)?)),
            None => None,
        };
        Ok(Event { time, kind: EventKind::Put(Box::new(trial)) })
    }

    fn config(&self, raw: Option<&RawValue>) -> Result<Config, LineError> {
        let text = need(raw, "config")?.get();
        ConfigSeed(&self.names)
            .deserialize(&mut serde_json::Deserializer::from_str(text))
            .map_err(|error| LineError::Content(format!("its config: {error}")))
    }

    fn worker(&mut self, name: Text<'_>) -> WorkerId {
        self.texts.share(&name.0)
    }
}

fn report(line: Line<'_>) -> Result<Report, LineError> {
    let failure = line.err_type.map(|err_type| {
        Box::new(Failure { err_type, err: line.err.unwrap_or_default(), tb: line.tb })
    });
    let extra = match line.extra {
        Some(raw) => Some(Box::new(
            serde_json::from_str(raw.get())
                .map_err(|error| LineError::Content(format!("its extra: {error}")))?,
        )),
        None => None,
    };
    Ok(Report {
        objective_to_minimize: line.objective_to_minimize,
        cost: line.cost.map(|x| x.0),
        learning_curve: line.learning_curve.map(Into::into),
        extra,
        failure,
        reported_as: need(line.state, "state")?,
        evaluation_duration: line.evaluation_duration.map(|x| x.0),
    })
}

fn need<T>(value: Option<T>, name: &str) -> Result<T, LineError> {
    value.ok_or_else(|| LineError::Content(format!("it has no '{name}'")))
}

fn id(text: &Option<Text<'_>>, name: &str) -> Result<TrialId, LineError> {
    let text = need(text.as_ref(), name)?;
    text.0
        .parse()
        .map_err(|error: crate::trial::InvalidTrialId| LineError::Content(error.to_string()))
}

fn optional_id(text: &Option<Text<'_>>) -> Result<Option<TrialId>, LineError> {
    if text.is_some() { id(text, "previous").map(Some) } else { Ok(None) }
}

/// A text that borrows from the line unless it has escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct ByHand;
        impl<'de> Visitor<'de> for ByHand {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.into())))
            }
        }
        from.deserialize_str(ByHand)
    }
}

#[cfg(test)]
mod tests;
