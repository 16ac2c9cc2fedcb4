//! What the keys do.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::actions::carry_out;
use super::screen::{Action, Detail, Screen};

/// Trials that a page key goes over.
const PAGE: i64 = 10;
/// Evaluations that `+` adds: a tenth of the budget, and at least these.
const MORE: u64 = 10;

/// Takes a key; returns whether to end.
pub(crate) fn press(screen: &mut Screen, key: KeyEvent) -> bool {
    let is_ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    if is_ctrl && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return true;
    }
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
        KeyCode::Char('r' | 'R' | 'x' | '+') if screen.read_only => screen.say("this is read-only"),
        KeyCode::Char(letter @ ('r' | 'R' | 'x' | '+')) => ask(screen, letter),
        _ => {}
    }
    screen.read_log();
    false
}

fn ask(screen: &mut Screen, letter: char) {
    let study = screen.live.study();
    let selected = screen.trial();
    let asked = match letter {
        'r' => match selected {
            Some(trial) if trial.state.is_error() => Ok(Action::Retry(trial.id.clone())),
            Some(trial) => Err(format!(
                "trial {} is {}: only a failed or crashed one can be retried",
                trial.id, trial.state
            )),
            None => Err("there is no trial".into()),
        },
        'R' if study.errors() > 0 => Ok(Action::RetryAll),
        'R' => Err("no trial has failed or crashed".into()),
        'x' => match selected {
            Some(trial) if study.leases().any(|(own, _)| own.id == trial.id) => {
                Ok(Action::Release(trial.id.clone()))
            }
            Some(trial) => Err(format!("trial {} is held by no caller of ask", trial.id)),
            None => Err("there is no trial".into()),
        },
        _ => match study.policy().budget.evaluations {
            Some(limit) => Ok(Action::More((limit / 10).max(MORE))),
            None => Err("the evaluations are not limited".into()),
        },
    };
    match asked {
        Ok(action) => screen.asked = Some(action),
        Err(why) => screen.say(why),
    }
}
