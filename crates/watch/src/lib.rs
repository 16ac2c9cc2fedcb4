//! A study in the terminal while it runs, from any process that sees its directory: progress and forecast,
//! the best so far, the workers, the newest trials, and the log, curve or error of one of them.
//!
//! It reads what is appended, and nothing twice. What is done from here (retry, release, more budget,
//! pause, stop, enqueue) goes through the study's own commands, after a yes.

mod actions;
mod draw;
mod keys;
mod options;
mod plain;
mod screen;

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyEventKind};
use trialmill_core::error::{Error, StoreError};
use trialmill_view::Live;

use screen::Screen;

pub use options::Options;
pub use plain::plain;

/// How often the study is looked at. That is one `stat` while nothing happens.
const LOOK: Duration = Duration::from_millis(400);
/// How long a key is waited for before the screen is drawn again: seconds go on where nothing else does.
const REDRAW: Duration = Duration::from_secs(1);

/// Watches a study until `q` is pressed or the terminal is gone.
///
/// # Errors
/// There is no study, or the terminal cannot be used.
pub fn watch(options: &Options) -> Result<(), Error> {
    let mut screen = Screen::new(Live::open(&options.dir)?, options);
    let mut terminal = ratatui::try_init().map_err(at_terminal)?;
    let ended = run(&mut terminal, &mut screen);
    ratatui::restore();
    ended
}

fn at_terminal(error: std::io::Error) -> Error {
    StoreError::io("use", std::path::Path::new("the terminal"))(error).into()
}

fn run(terminal: &mut ratatui::DefaultTerminal, screen: &mut Screen) -> Result<(), Error> {
    let mut drawn: Option<Instant> = None;
    let mut must = true;
    loop {
        must |= screen.look();
        if must || drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW) {
            terminal.draw(|frame| draw::draw(frame, screen)).map_err(at_terminal)?;
            drawn = Some(Instant::now());
            must = false;
        }
        // A terminal that is gone is an error here, or an end of input: then so are we.
        if !event::poll(LOOK).map_err(at_terminal)? {
            continue;
        }
        match event::read().map_err(at_terminal)? {
            Event::Key(key) if key.kind != KeyEventKind::Release => {
                must = true;
                if keys::press(screen, key) {
                    return Ok(());
                }
            }
            Event::Resize(..) => must = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // This is a test.

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use screen::Detail;
    use trialmill_runtime::Action;

    /// A terminal that is made small while it shows something has every size on its way.
    #[test]
    fn every_pane_is_drawn_at_every_size() {
        let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../tests/fixtures/journal-format-1");
        let options = Options { dir, plain_colours: false, read_only: false };
        let mut screen = Screen::new(Live::open(&options.dir).unwrap(), &options);
        let sizes = (0..130).step_by(13).flat_map(|x| (0..50).step_by(6).map(move |y| (x, y)));
        for (at, (columns, lines)) in sizes.chain([(1, 1), (2, 500), (500, 2)]).enumerate() {
            let mut terminal = Terminal::new(TestBackend::new(columns, lines)).unwrap();
            screen.detail = [Detail::Log, Detail::Curve, Detail::Errors][at % 3];
            screen.help = at % 5 == 0;
            screen.asked = (at % 7 == 0).then_some(Action::Retry { trial: None });
            screen.typed = (at % 11 == 0).then(|| "x=1 ".repeat(at));
            screen.select(at as i64 % 5 - 2);
            terminal.draw(|frame| draw::draw(frame, &screen)).unwrap();
        }
        screen.help = false;
        screen.asked = None;
        screen.typed = None;
        let mut terminal = Terminal::new(TestBackend::new(120, 40)).unwrap();
        terminal.draw(|frame| draw::draw(frame, &screen)).unwrap();
        let shown = terminal.backend().to_string();
        for part in ["5 success", "best so far", "evaluating", "newest"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
