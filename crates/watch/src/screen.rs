//! What the screen knows: the study, what is selected, and what is asked.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use trialmill_core::trial::{State, Trial};
use trialmill_runtime::Action;
use trialmill_store::clock::now_s;
use trialmill_store::{AttemptFiles, Stream};
use trialmill_view::Live;
use trialmill_view::figures::{
    BudgetFigure, Burn, Curve, ErrorKind, ObjectiveInfo, Range, errors, objective,
};

use super::options::Options;

/// Trials that are listed.
const NEWEST: usize = 500;
/// Points of the history that are drawn: more are not told apart.
const POINTS: usize = 6_000;
/// Bytes of a log that are shown.
const TAIL: i64 = 16 << 10;
/// A large study is counted through again only after this many times as long as it took.
const PART: u32 = 10;

/// What is shown of the selected trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    Log,
    Curve,
    Errors,
}

/// The numbers of the last look.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(crate) objective: ObjectiveInfo,
    pub(crate) budget: BudgetFigure,
    pub(crate) errors: Vec<ErrorKind>,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) best: Vec<(f64, f64)>,
    pub(crate) range: Range,
    pub(crate) alive: usize,
}

pub(crate) struct Screen {
    pub(crate) live: Live,
    pub(crate) dir: PathBuf,
    pub(crate) plain_colours: bool,
    pub(crate) read_only: bool,
    pub(crate) detail: Detail,
    pub(crate) numbers: Numbers,
    /// The place of the selected trial; none follows the newest.
    pub(crate) selected: Option<u32>,
    /// What is done after a yes.
    pub(crate) asked: Option<Action>,
    /// A configuration that is being typed.
    pub(crate) typed: Option<String>,
    pub(crate) help: bool,
    pub(crate) said: Option<(String, Instant)>,
    pub(crate) problem: Option<String>,
    pub(crate) log: VecDeque<String>,
    counted: Instant,
    took: Duration,
    version: (u64, u64),
}

impl Screen {
    pub(crate) fn new(live: Live, options: &Options) -> Self {
        let numbers = Numbers::of(&live);
        let mut screen = Screen {
            live,
            dir: options.dir.clone(),
            plain_colours: options.plain_colours,
            read_only: options.read_only,
            detail: Detail::Log,
            numbers,
            selected: None,
            asked: None,
            typed: None,
            help: false,
            said: None,
            problem: None,
            log: VecDeque::new(),
            counted: Instant::now(),
            took: Duration::ZERO,
            version: (0, 0),
        };
        screen.read_log();
        screen
    }

    /// Reads what has happened; returns whether the screen changes.
    pub(crate) fn look(&mut self) -> bool {
        match self.live.catch_up() {
            Ok(_) => self.problem = self.live.summary().problem().map(ToString::to_string),
            Err(error) => self.problem = Some(error.to_string()),
        }
        let version = (self.live.epoch(), self.live.version());
        let is_new = version != self.version && self.counted.elapsed() >= self.took * PART;
        if is_new {
            let began = Instant::now();
            self.numbers = Numbers::of(&self.live);
            self.version = version;
            self.counted = Instant::now();
            self.took = began.elapsed();
        }
        let before = self.log.back().cloned();
        self.read_log();
        is_new || before != self.log.back().cloned()
    }

    /// The trials that are listed, the newest first.
    pub(crate) fn listed(&self) -> impl Iterator<Item = (u32, &Trial)> {
        let trials = self.live.study().trials();
        let len = trials.len() as u32;
        (0..len).rev().take(NEWEST).map(move |at| (at, trials.at(at)))
    }

    /// The selected trial.
    pub(crate) fn trial(&self) -> Option<&Trial> {
        let trials = self.live.study().trials();
        let last = (trials.len() as u32).checked_sub(1)?;
        Some(trials.at(self.selected.unwrap_or(last).min(last)))
    }

    /// Selects another trial, up (newer) or down (older).
    pub(crate) fn select(&mut self, by: i64) {
        let Some(last) = (self.live.study().trials().len() as i64).checked_sub(1) else { return };
        let at = self.selected.map_or(last, i64::from) - by;
        let oldest = (last + 1 - NEWEST as i64).max(0);
        self.selected = Some(at.clamp(oldest, last) as u32);
        self.read_log();
    }

    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.said = Some((text.into(), Instant::now()));
    }

    /// The last lines of what the selected trial's command says.
    pub(crate) fn read_log(&mut self) {
        self.log.clear();
        let Some(trial) = self.trial() else { return };
        let dir = self.live.directory().trial_path(&trial.id);
        let files = AttemptFiles::of(&dir, trial.attempts);
        let streams = match trial.state.is_error() {
            true => [Stream::Stderr, Stream::Stdout],
            false => [Stream::Stdout, Stream::Stderr],
        };
        for path in streams.into_iter().filter_map(|stream| files.log_to_read(stream)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let Ok((bytes, ..)) = trialmill_view::files::stretch(&dir, &name, -TAIL) else {
                continue;
            };
            if bytes.is_empty() {
                continue;
            }
            self.log = String::from_utf8_lossy(&bytes).lines().map(shown).collect();
            return;
        }
    }

    /// The curve of the selected trial.
    pub(crate) fn curve(&self) -> Option<Curve> {
        self.trial().map(|trial| Curve::of(trial, 0)).filter(|curve| !curve.points.is_empty())
    }

    pub(crate) fn count(&self, state: State) -> u64 {
        self.live.study().count(state)
    }
}

/// A line that another program wrote, as a terminal may be given it.
fn shown(line: &str) -> String {
    // A progress bar writes over itself: what stands there at the end counts.
    let last = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or("");
    trialmill_core::trial::printable(&last.replace('\t', "    ")).chars().take(400).collect()
}

impl Numbers {
    /// The limit that is used up most.
    pub(crate) fn most_used(&self) -> Option<(&Burn, f64)> {
        let limited = self.budget.burns.iter().filter_map(|burn| Some((burn, burn.limit?)));
        limited.max_by(|a, b| (a.0.spent / a.1).total_cmp(&(b.0.spent / b.1)))
    }

    fn of(live: &Live) -> Self {
        let (study, ends) = (live.study(), live.runs().ends());
        let objective = objective(live, 0);
        let every = ends.len().div_ceil(POINTS).max(1);
        let mut points = Vec::new();
        let mut best: Vec<(f64, f64)> = Vec::new();
        for row in 0..ends.len() {
            let Some(y) = ends.objective(row, 0).filter(|y| y.is_finite()) else { continue };
            let x = (row + 1) as f64;
            if best.last().is_none_or(|(_, best)| objective.is_better(y, *best)) {
                best.push((x, y));
            } else if row % every == 0 {
                points.push((x, y));
            }
        }
        let values: Vec<f64> = points.iter().chain(&best).map(|(_, y)| *y).collect();
        Numbers {
            range: Range::of(&values, objective.direction),
            budget: BudgetFigure::of(live, now_s()),
            errors: errors(live),
            alive: study.processes().filter(|own| live.directory().is_alive(own)).count(),
            objective,
            points,
            best,
        }
    }
}
