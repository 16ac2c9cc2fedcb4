//! A lane for each worker over time: what it evaluated, when it was idle, and what was given back.

use serde::Serialize;

use crate::live::Live;
use crate::runs::{Attempt, Ending, Lane};
use trialmill_core::trial::State;

/// Segments and marks of all lanes together, about.
const PIECES: usize = 40_000;

/// Which part of the time is wanted, and how fine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// From when, in seconds since the study's first event; from the start, if not given.
    pub from: Option<f64>,
    /// Until when; until now, if not given.
    pub to: Option<f64>,
    /// How many columns a picture has: what lies within one becomes one piece.
    pub columns: usize,
}

/// The lanes of the workers in a window of time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timeline {
    /// When the study's first event happened, in seconds since the Unix epoch.
    pub began: f64,
    /// The window, in seconds since then. So are all times here.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// The last event or now, whatever is later.
    pub end: f64,
    /// The lanes, by process and worker; callers from outside last.
    pub lanes: Vec<TimelineLane>,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TimelineLane {
    /// Its name.
    pub worker: String,
    /// Its machine, where it is a worker of a process of the study.
    pub host: Option<String>,
    /// When its process joined and left.
    pub joined: Option<f64>,
    /// See [`joined`](Self::joined); nothing while it takes part.
    pub left: Option<f64>,
    /// How many attempts it has begun.
    pub attempts: usize,
    /// Which share of its process's time it has evaluated something.
    pub busy: f64,
    /// What it did.
    pub segments: Vec<Segment>,
    /// Where an attempt ended without a result of its own.
    pub marks: Vec<Mark>,
}

/// A stretch of evaluation: one attempt, or several too short to be told apart.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// Its begin.
    pub from: f64,
    /// Its end.
    pub to: f64,
    /// How it ended, or what most of several came to.
    pub state: &'static str,
    /// How many attempts it is.
    pub count: u32,
    /// The trial, or the first of several.
    pub trial: String,
    /// The number of the attempt.
    pub attempt: u32,
}

/// An end without a result.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// When.
    pub at: f64,
    /// `died`, `released`, `expired`, `crashed`, `failed`.
    pub kind: &'static str,
    /// The trial.
    pub trial: String,
}

impl Timeline {
    /// The lanes in a window; `now` is a wall clock's time.
    pub fn of(live: &Live, window: Window, now: f64) -> Self {
        let runs = live.runs();
        let (began, last) = runs.span().unwrap_or((now, now));
        // A study at which nobody works ends with its last event, and not today.
        let end = if live.is_worked_on() { now.max(last) - began } else { last - began };
        let from = window.from.unwrap_or(0.0).max(0.0);
        let to = window.to.unwrap_or(end).clamp(from, end.max(from));
        let mut lanes: Vec<&Lane> = runs.lanes().iter().collect();
        lanes.sort_by_key(|lane| (lane.process.is_none(), lane.process, number(&lane.worker)));
        let columns = window.columns.clamp(1, (PIECES / lanes.len().max(1)).max(50));
        let view = View { live, began, from, to, end, column: (to - from) / columns as f64 };
        Timeline {
            began,
            from,
            to,
            end,
            lanes: lanes.into_iter().map(|lane| view.lane(lane)).collect(),
        }
    }
}

/// The number at the end of a worker's name.
fn number(worker: &str) -> u64 {
    worker.rsplit("-w").next().and_then(|n| n.parse().ok()).unwrap_or(0)
}

struct View<'a> {
    live: &'a Live,
    began: f64,
    from: f64,
    to: f64,
    end: f64,
    column: f64,
}

impl View<'_> {
    fn lane(&self, lane: &Lane) -> TimelineLane {
        let stays = self.live.runs().stays();
        let stay =
            lane.process.and_then(|process| stays.iter().rfind(|stay| stay.process == process));
        let since = |time: f64| time - self.began;
        let joined = stay.map(|stay| since(stay.joined));
        let left = stay.and_then(|stay| stay.left).map(since);
        let end_of = |attempt: &Attempt| since(attempt.end).min(self.end);
        let worked: f64 =
            lane.attempts.iter().map(|own| (end_of(own) - since(own.start)).max(0.0)).sum();
        let there = left.unwrap_or(self.end) - joined.unwrap_or(0.0);
        let (mut segments, mut marks): (Vec<Piece>, Vec<Mark>) = (Vec::new(), Vec::new());
        // A worker's attempts follow each other; those of a caller may overlap.
        let first = match lane.process {
            Some(_) => lane.attempts.partition_point(|own| end_of(own) < self.from),
            None => 0,
        };
        for attempt in &lane.attempts[first..] {
            let (from, to) = (since(attempt.start), end_of(attempt));
            if from > self.to {
                break;
            }
            if to < self.from {
                continue;
            }
            let kind = attempt.ending.name();
            let is_mark = !matches!(
                attempt.ending,
                Ending::Running | Ending::Reported(State::Success | State::External)
            );
            if is_mark
                && marks
                    .last()
                    .is_none_or(|mark| to - mark.at >= self.column * 3.0 || mark.kind != kind)
            {
                marks.push(Mark { at: to, kind, trial: self.id(attempt) });
            }
            let piece = Piece::of(from, to, *attempt);
            match segments.last_mut() {
                Some(last) if last.takes(&piece, self.column) => last.add(piece),
                _ => segments.push(piece),
            }
        }
        TimelineLane {
            worker: lane.worker.clone(),
            host: stay.map(|stay| stay.host.clone()),
            joined,
            left,
            attempts: lane.attempts.len(),
            busy: if there > 0.0 { (worked / there).min(1.0) } else { 0.0 },
            segments: segments.into_iter().map(|piece| self.segment(piece)).collect(),
            marks,
        }
    }

    fn segment(&self, piece: Piece) -> Segment {
        let most = piece.endings.iter().max_by_key(|(_, count)| *count);
        Segment {
            from: piece.from,
            to: piece.to,
            state: most.map_or("running", |(ending, _)| ending.name()),
            count: piece.endings.iter().map(|(_, count)| count).sum(),
            trial: self.id(&piece.first),
            attempt: piece.first.number,
        }
    }

    fn id(&self, attempt: &Attempt) -> String {
        self.live.study().trials().at(attempt.trial).id.to_string()
    }
}

/// A segment while it is put together.
struct Piece {
    from: f64,
    to: f64,
    first: Attempt,
    endings: Vec<(Ending, u32)>,
}

impl Piece {
    fn of(from: f64, to: f64, first: Attempt) -> Self {
        Piece { from, to, first, endings: vec![(first.ending, 1)] }
    }

    /// Whether another piece is too short and too near to be told apart from this one.
    fn takes(&self, next: &Piece, column: f64) -> bool {
        next.to - next.from < column
            && next.from - self.to < column
            && self.to - self.from < 2.0 * column
    }

    fn add(&mut self, next: Piece) {
        self.to = self.to.max(next.to);
        for (ending, count) in next.endings {
            match self.endings.iter_mut().find(|(own, _)| *own == ending) {
                Some((_, own)) => *own += count,
                None => self.endings.push((ending, count)),
            }
        }
    }
}
