//! A line a second, for a pipe, a log file, or a terminal that can do nothing else.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use trialmill_core::error::Error;
use trialmill_core::trial::State;
use trialmill_store::clock::now_s;
use trialmill_view::Live;
use trialmill_view::figures::{BudgetFigure, number, seconds};

/// Writes a line whenever something has happened, at most one each `every`, until nobody works on the study
/// or whoever writes it breaks off. With `once`, one line.
///
/// # Errors
/// There is no study, or it cannot be read.
pub fn plain(
    dir: &Path,
    every: Duration,
    once: bool,
    write: &mut dyn FnMut(&str) -> ControlFlow<()>,
) -> Result<(), Error> {
    let mut live = Live::open(dir)?;
    let mut last = None;
    loop {
        // In this order: what the last worker wrote is read after it was seen to be gone.
        let works = live.is_worked_on();
        live.catch_up()?;
        let version = (live.epoch(), live.version());
        let is_new = last != Some(version) || !works;
        if is_new && write(&line(&live, works)).is_break() {
            return Ok(());
        }
        if once || !works {
            return Ok(());
        }
        last = Some(version);
        std::thread::sleep(every);
    }
}

fn line(live: &Live, works: bool) -> String {
    let study = live.study();
    let budget = BudgetFigure::of(live, now_s());
    let mut line = format!("{} trials", study.trials().len());
    for state in State::ALL {
        if study.count(state) > 0 {
            line += &format!(", {} {state}", study.count(state));
        }
    }
    match study.best() {
        Some(best) => {
            let objective = best.objectives().first().copied().unwrap_or(f64::NAN);
            line += &format!("; best {} by trial {}", number(objective), best.id);
        }
        None if study.front().len() > 1 => {
            line += &format!("; {} on the front", study.front().len());
        }
        None => {}
    }
    if let Some(rate) = budget.trials_per_second.filter(|_| works) {
        line += &format!("; {} a second", number(rate));
    }
    match budget.seconds_left {
        Some(left) if left <= 0.0 => line += "; budget used",
        Some(left) if works => line += &format!("; {} left", seconds(left)),
        _ => {}
    }
    if study.policy().paused {
        line += "; paused";
    }
    if !works {
        line += "; nobody works on it";
    }
    if let Some(problem) = live.summary().problem() {
        line += &format!("; {}", trialmill_core::trial::printable(&problem.to_string()));
    }
    line
}
