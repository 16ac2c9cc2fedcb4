//! The two lines that a journal mostly consists of, read by hand in the very shape that
//! [`encode`](super::encode) gives them: opening a study is reading them, and this takes a third of
//! the time. Anything else is `None`, and read as JSON.

use crate::config::{Config, Names, Value};
use crate::trial::{Objective, Report, State, TrialId};

/// What is left of a line.
pub(super) struct Cursor<'a>(&'a str);

/// A `sampled` line or a `reported` one.
pub(super) struct Frequent<'a> {
    pub(super) seq: u64,
    pub(super) time: f64,
    pub(super) trial: TrialId,
    pub(super) what: What<'a>,
}

pub(super) enum What<'a> {
    Sampled { worker: &'a str, claimed: bool, config: Config },
    Reported { attempt: u32, report: Report },
}

/// Reads the body of a line, behind its checksum.
pub(super) fn read<'a>(body: &'a str, names: &Names) -> Option<Frequent<'a>> {
    let mut line = Cursor(body);
    line.eat("\"seq\":")?;
    let seq = line.number()?.parse().ok()?;
    line.eat(",\"event\":\"")?;
    let sampled = line.has("sampled");
    if !sampled {
        line.eat("reported")?;
    }
    line.eat("\",\"time\":")?;
    let time = line.float()?;
    line.eat(",\"trial\":")?;
    let trial = line.text()?.parse().ok()?;
    let what = if sampled { line.sampled(names)? } else { line.reported()? };
    line.0.is_empty().then_some(Frequent { seq, time, trial, what })
}

impl<'a> Cursor<'a> {
    fn has(&mut self, text: &str) -> bool {
        self.eat(text).is_some()
    }

    fn eat(&mut self, text: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    /// A text without escapes.
    fn text(&mut self) -> Option<&'a str> {
        self.eat("\"")?;
        let end = memchr::memchr2(b'"', b'\\', self.0.as_bytes())?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.strip_prefix('"')?;
        Some(text)
    }

    fn number(&mut self) -> Option<&'a str> {
        let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
        let end = self.0.as_bytes().iter().position(|byte| !is_part(byte))?;
        let (number, rest) = self.0.split_at(end);
        self.0 = rest;
        Some(number)
    }

    fn float(&mut self) -> Option<f64> {
        self.number()?.parse().ok()
    }

    fn sampled(&mut self, names: &Names) -> Option<What<'a>> {
        self.eat(",\"worker\":")?;
        let worker = self.text()?;
        let claimed = self.has(",\"attempt\":1");
        self.eat(",\"config\":")?;
        let mut values = Vec::with_capacity(names.len());
        for (at, name) in names.iter().enumerate() {
            self.eat(if at == 0 { "{" } else { "," })?;
            if self.text()? != &**name {
                return None;
            }
            self.eat(":")?;
            values.push(self.value()?);
        }
        self.eat("}}")?;
        Some(What::Sampled { worker, claimed, config: Config::new(names.clone(), values) })
    }

    fn value(&mut self) -> Option<Value> {
        match self.0.as_bytes().first()? {
            b'"' => self.text().map(Value::from),
            b't' => self.eat("true").map(|()| Value::Bool(true)),
            b'f' => self.eat("false").map(|()| Value::Bool(false)),
            _ => {
                let number = self.number()?;
                match number.bytes().any(|byte| b".eE".contains(&byte)) {
                    true => number.parse().ok().map(Value::Float),
                    false => number.parse().ok().map(Value::Int),
                }
            }
        }
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
