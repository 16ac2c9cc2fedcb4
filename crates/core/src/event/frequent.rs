//! Hand-written encoding and decoding of the three most frequent lines, `sampled`, `stepped` and
//! `reported`: they make up most of a journal, and this takes a third of serde_json's time. The bytes are
//! exactly those that serde_json produces. For anything unusual these functions return `None`, and
//! the caller falls back to serde_json.

use arcstr::ArcStr;

use super::{Event, EventKind};
use crate::config::{Config, Names, Value};
use crate::interner::Interner;
use crate::trial::{Objective, Report, State, Step, TrialId};

/// Writes the body of a line: what follows its checksum, up to its last brace. On failure, `out` may
/// contain a part of it.
pub(super) fn write(seq: u64, event: &Event, out: &mut Vec<u8>) -> Option<()> {
    let mut line = Pen(out);
    line.put("\"seq\":");
    line.int(seq);
    match &event.kind {
        EventKind::Sampled { trial, config, previous: None, worker, claimed, evaluation } => {
            line.put(",\"event\":\"sampled\",\"time\":");
            line.float(event.time)?;
            line.id(trial)?;
            line.put(",\"worker\":");
            line.text(worker)?;
            line.put(if *claimed { ",\"attempt\":1" } else { "" });
            if let Some(number) = evaluation {
                line.put(",\"evaluation\":");
                line.int(*number);
            }
            line.put(",\"config\":{");
            for (at, (name, value)) in config.iter().enumerate() {
                line.put(if at == 0 { "" } else { "," });
                line.text(name)?;
                line.put(":");
                match value {
                    Value::Bool(x) => line.put(if *x { "true" } else { "false" }),
                    Value::Int(x) => line.int(*x),
                    Value::Float(x) => line.float(*x)?,
                    Value::Str(x) => line.text(x)?,
                    Value::Null | Value::BigInt(_) | Value::Nested(_) => return None,
                }
            }
            line.put("}");
            Some(())
        }
        EventKind::Stepped { trial, attempt, steps, prune_at } => {
            line.put(",\"event\":\"stepped\",\"time\":");
            line.float(event.time)?;
            line.id(trial)?;
            line.put(",\"attempt\":");
            line.int(*attempt);
            line.put(",\"steps\":[");
            for (at, Step { step, value }) in steps.iter().enumerate() {
                line.put(if at == 0 { "[" } else { ",[" });
                line.int(*step);
                for x in value.as_slice() {
                    line.put(",");
                    line.float(*x)?;
                }
                line.put("]");
            }
            line.put("]");
            if let Some(step) = prune_at {
                line.put(",\"prune_at\":");
                line.int(*step);
            }
            Some(())
        }
        EventKind::Reported { trial, attempt, report } => {
            // Every field is named, so that one more cannot be left out of the line by mistake.
            let Report {
                objective_to_minimize: Some(Objective::One(objective)),
                cost,
                account_for_cost: true,
                learning_curve: None,
                extra: None,
                constraints: None,
                failure: None,
                reported_as: State::Success,
                evaluation_duration,
            } = **report
            else {
                return None;
            };
            line.put(",\"event\":\"reported\",\"time\":");
            line.float(event.time)?;
            line.id(trial)?;
            line.put(",\"attempt\":");
            line.int(*attempt);
            line.put(",\"state\":\"success\",\"objective_to_minimize\":");
            line.float(objective)?;
            if let Some(cost) = cost {
                line.put(",\"cost\":");
                line.float(cost)?;
            }
            if let Some(duration) = evaluation_duration {
                line.put(",\"evaluation_duration\":");
                line.float(duration)?;
            }
            Some(())
        }
        _ => None,
    }
}

struct Pen<'a>(&'a mut Vec<u8>);

impl Pen<'_> {
    #[inline]
    fn put(&mut self, text: &str) {
        self.0.extend_from_slice(text.as_bytes());
    }

    /// A string without escapes.
    fn text(&mut self, text: &str) -> Option<()> {
        let wants_escape = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        // No early exit, so that the compiler can check many bytes in one step.
        if text.bytes().fold(false, |any, byte| any | wants_escape(byte)) {
            return None;
        }
        self.put("\"");
        self.put(text);
        self.put("\"");
        Some(())
    }

    fn int(&mut self, number: impl itoa::Integer) {
        self.put(itoa::Buffer::new().format(number));
    }

    fn float(&mut self, number: f64) -> Option<()> {
        number.is_finite().then(|| serde_json::to_writer(&mut *self.0, &number).ok())?
    }

    fn id(&mut self, id: &TrialId) -> Option<()> {
        let TrialId::Number(number) = id else { return None };
        self.put(",\"trial\":\"");
        self.int(*number);
        self.put("\"");
        Some(())
    }
}

/// What is left of a line.
pub(super) struct Cursor<'a>(&'a str);

/// A `sampled` line, a `stepped` or a `reported` one.
pub(super) struct Frequent<'a> {
    pub(super) seq: u64,
    pub(super) time: f64,
    pub(super) trial: TrialId,
    pub(super) what: What<'a>,
}

pub(super) enum What<'a> {
    Sampled { worker: &'a str, claimed: bool, evaluation: Option<u32>, config: Config },
    Stepped { attempt: u32, steps: Box<[Step]>, prune_at: Option<u64> },
    Reported { attempt: u32, report: Report },
}

/// Reads the body of a line, after its checksum.
pub(super) fn read<'a>(
    body: &'a str,
    names: &Names,
    interner: &mut Interner<ArcStr>,
) -> Option<Frequent<'a>> {
    let mut line = Cursor(body);
    line.eat("\"seq\":")?;
    let seq = line.number()?.parse().ok()?;
    line.eat(",\"event\":\"")?;
    let event = ["sampled", "stepped", "reported"].into_iter().find(|event| line.has(event))?;
    line.eat("\",\"time\":")?;
    let time = line.float()?;
    line.eat(",\"trial\":")?;
    let trial = line.text()?.parse().ok()?;
    let what = match event {
        "sampled" => line.sampled(names, interner)?,
        "stepped" => line.stepped()?,
        _ => line.reported()?,
    };
    line.0.is_empty().then_some(Frequent { seq, time, trial, what })
}

/// The number, name and time of any line, in the order in which they are written.
pub(super) fn read_head(body: &str) -> Option<(u64, &str, f64)> {
    let mut line = Cursor(body);
    line.eat("\"seq\":")?;
    let seq = line.number()?.parse().ok()?;
    line.eat(",\"event\":")?;
    let event = line.text()?;
    line.eat(",\"time\":")?;
    Some((seq, event, line.float()?))
}

impl<'a> Cursor<'a> {
    fn has(&mut self, text: &str) -> bool {
        self.eat(text).is_some()
    }

    fn eat(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// A string without escapes.
    fn text(&mut self) -> Option<&'a str> {
        self.eat("\"")?;
        let end = memchr::memchr2(b'"', b'\\', self.0.as_bytes())?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix('"')?;
        Some(text)
    }

    /// A number as JSON has it: other spellings, which `parse` would take, are left to JSON.
    fn number(&mut self) -> Option<&'a str> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let end = self.0.as_bytes().iter().position(|byte| !is_part(byte))?;
        let (number, rest) = self.0.split_at(end);
        self.0 = rest;
        let begins_well = match number.strip_prefix('-').unwrap_or(number).as_bytes() {
            [b'0'] => number == "0",
            [b'0', next, ..] => !next.is_ascii_digit(),
            [first, ..] => first.is_ascii_digit(),
            [] => false,
        };
        (begins_well && !number.ends_with('.')).then_some(number)
    }

    fn float(&mut self) -> Option<f64> {
        self.number()?.parse().ok().filter(|number: &f64| number.is_finite())
    }

    fn sampled(&mut self, names: &Names, interner: &mut Interner<ArcStr>) -> Option<What<'a>> {
        self.eat(",\"worker\":")?;
        let worker = self.text()?;
        let claimed = self.has(",\"attempt\":1");
        let evaluation = match self.has(",\"evaluation\":") {
            true => Some(self.number()?.parse().ok()?),
            false => None,
        };
        self.eat(",\"config\":")?;
        let mut values = Vec::with_capacity(names.len());
        self.eat("{")?;
        let mut next = if self.0.starts_with('"') { Some(self.text()?) } else { None };
        for name in names.iter() {
            // One that is not there: its conditions do not hold.
            if next != Some(&**name) {
                values.push(None);
                continue;
            }
            self.eat(":")?;
            values.push(Some(self.value(interner)?));
            next = if self.has(",") { Some(self.text()?) } else { None };
        }
        if next.is_some() {
            return None;
        }
        self.eat("}}")?;
        let config = Config::of_equally_many(names.clone(), values.into());
        Some(What::Sampled { worker, claimed, evaluation, config })
    }

    fn value(&mut self, interner: &mut Interner<ArcStr>) -> Option<Value> {
        match self.0.as_bytes().first()? {
            b'"' => self.text().map(|text| Value::Str(interner.intern(text))),
            b't' => self.eat("true").map(|()| Value::Bool(true)),
            b'f' => self.eat("false").map(|()| Value::Bool(false)),
            _ => {
                let number = self.number()?;
                match number.bytes().any(|byte| b".eE".contains(&byte)) {
                    true => {
                        let number: f64 = number.parse().ok()?;
                        number.is_finite().then_some(Value::Float(number))
                    }
                    false => number.parse().ok().map(Value::Int),
                }
            }
        }
    }

    fn stepped(&mut self) -> Option<What<'a>> {
        self.eat(",\"attempt\":")?;
        let attempt = self.number()?.parse().ok()?;
        self.eat(",\"steps\":[")?;
        let mut steps = Vec::new();
        while !self.has("]") {
            self.eat(if steps.is_empty() { "[" } else { ",[" })?;
            let step = self.number()?.parse().ok()?;
            self.eat(",")?;
            // One value each: several are rare.
            let value = Objective::One(self.float()?);
            self.eat("]")?;
            steps.push(Step { step, value });
        }
        let prune_at = match self.has(",\"prune_at\":") {
            true => Some(self.number()?.parse().ok()?),
            false => None,
        };
        self.eat("}")?;
        Some(What::Stepped { attempt, steps: steps.into(), prune_at })
    }

    fn reported(&mut self) -> Option<What<'a>> {
        self.eat(",\"attempt\":")?;
        let attempt = self.number()?.parse().ok()?;
        self.eat(",\"state\":\"success\",\"objective_to_minimize\":")?;
        let mut report = Report::without_objective(State::Success);
        report.objective_to_minimize = Some(Objective::One(self.float()?));
        if self.has(",\"cost\":") {
            report.cost = Some(self.float()?);
        }
        if self.has(",\"evaluation_duration\":") {
            report.evaluation_duration = Some(self.float()?);
        }
        self.eat("}")?;
        Some(What::Reported { attempt, report })
    }
}
