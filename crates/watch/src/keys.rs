//! What the keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use trialmill_runtime::{Action, More};

use super::actions::{carry_out, typed, values};
use super::screen::{Detail, Screen};

/// Trials that a page key goes over.
const PAGE: i64 = 10;
/// What `+` adds: a tenth of the budget, of evaluations and steps at least these.
const MORE: u64 = 10;
/// Letters that may be typed.
const TYPED: usize = 100_000;
/// Keys that do something to the study.
const ACTIONS: &str = "rRx+psSn";

/// Takes a key; returns whether to end.
pub(crate) fn press(screen: &mut Screen, key: KeyEvent) -> bool {
    let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    if is_ctrl && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return true;
    }
    screen.said = None;
    if let Some(action) = screen.asked.take() {
        if matches!(key.code, KeyCode::Char('y' | 'Y')) {
            let said =
                carry_out(&screen.dir, action).unwrap_or_else(|why| format!("not done: {why}"));
            screen.say(said);
        } else {
            screen.say("not done");
        }
        return false;
    }
    if screen.typed.is_some() {
        type_on(screen, key.code, is_ctrl);
        return false;
    }
    if screen.help {
        screen.help = false;
        return false;
    }
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return true,
        KeyCode::Char('?' | 'h') => screen.help = true,
        KeyCode::Up | KeyCode::Char('k') => screen.select(-1),
        KeyCode::Down | KeyCode::Char('j') => screen.select(1),
        KeyCode::PageUp => screen.select(-PAGE),
        KeyCode::PageDown => screen.select(PAGE),
        KeyCode::Home | KeyCode::Char('g') => screen.selected = None,
        KeyCode::Tab => {
            screen.detail = match screen.detail {
                Detail::Log => Detail::Curve,
                Detail::Curve => Detail::Errors,
                Detail::Errors => Detail::Log,
            }
        }
        KeyCode::Char('l') => screen.detail = Detail::Log,
        KeyCode::Char('c') => screen.detail = Detail::Curve,
        KeyCode::Char('e') => screen.detail = Detail::Errors,
        KeyCode::Char(letter) if ACTIONS.contains(letter) && screen.read_only => {
            screen.say("this is read-only");
        }
        KeyCode::Char(letter) if ACTIONS.contains(letter) => ask(screen, letter),
        _ => {}
    }
    screen.read_log();
    false
}

/// A line that is typed. Return asks whether it is to be enqueued.
fn type_on(screen: &mut Screen, key: KeyCode, is_ctrl: bool) {
    let Some(text) = &mut screen.typed else { return };
    match key {
        KeyCode::Esc => screen.typed = None,
        KeyCode::Enter => match values(text) {
            Ok(config) => {
                screen.typed = None;
                screen.asked = Some(Action::Enqueue { config });
            }
            Err(why) => screen.say(why),
        },
        KeyCode::Backspace => {
            text.pop();
        }
        KeyCode::Char('u') if is_ctrl => text.clear(),
        KeyCode::Char('w') if is_ctrl => {
            let kept = text.trim_end().rfind(' ').map_or(0, |at| at + 1);
            text.truncate(kept);
        }
        KeyCode::Char(letter) if !is_ctrl && text.len() < TYPED => text.push(letter),
        _ => {}
    }
}

fn ask(screen: &mut Screen, letter: char) {
    let study = screen.live.study();
    let selected = screen.trial();
    let asked = match letter {
        'r' => match selected {
            Some(trial) if trial.state.is_error() => {
                Ok(Action::Retry { trial: Some(trial.id.clone()) })
            }
            Some(trial) => Err(format!(
                "trial {} is {}: only a failed or crashed one can be retried",
                trial.id, trial.state
            )),
            None => Err("there is no trial".into()),
        },
        'R' if study.errors() > 0 => Ok(Action::Retry { trial: None }),
        'R' => Err("no trial has failed or crashed".into()),
        'x' => match selected {
            Some(trial) if study.leases().any(|(own, _)| own.id == trial.id) => {
                Ok(Action::Release { trial: trial.id.clone() })
            }
            Some(trial) => Err(format!("trial {} is held by no caller of ask", trial.id)),
            None => Err("there is no trial".into()),
        },
        'p' if study.policy().paused => Ok(Action::Resume),
        'p' => Ok(Action::Pause),
        's' | 'S' if study.processes().next().is_none() => {
            Err("no process works on this study".into())
        }
        's' => Ok(Action::Stop { now: false }),
        'S' => Ok(Action::Stop { now: true }),
        'n' => {
            screen.typed = Some(selected.map_or(String::new(), |trial| typed(&trial.config)));
            return;
        }
        _ => more(screen).map(Action::Budget).ok_or_else(|| "this study has no limit".into()),
    };
    match asked {
        Ok(action) => screen.asked = Some(action),
        Err(why) => screen.say(why),
    }
}

/// A tenth more of what is used up most.
fn more(screen: &Screen) -> Option<More> {
    let (used, _) = screen.numbers.most_used()?;
    let budget = &screen.live.study().policy().budget;
    let whole = |limit: Option<u64>| limit.map(|limit| (limit / 10).max(MORE));
    let real = |limit: Option<f64>| limit.map(|limit| limit / 10.0);
    let none = More::default();
    Some(match used.name {
        "cost" => More { cost: real(budget.cost), ..none },
        "fidelity" => More { fidelity: real(budget.fidelity), ..none },
        "evaluation_seconds" => {
            More { evaluation_seconds: real(budget.evaluation_seconds), ..none }
        }
        "steps" => More { steps: whole(budget.steps), ..none },
        _ => More { evaluations: whole(budget.evaluations), ..none },
    })
}
