//! Progress while a study runs: a bar on a terminal, plain lines elsewhere. The numbers are the
//! study's, of all processes; reading them makes nobody wait.

use std::io::IsTerminal;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};
use indicatif::{ProgressBar, ProgressStyle};
use trialmill::{State, StudyHandle};
use trialmill_core::limits::PROGRESS_EVERY;
use trialmill_runtime::Snapshot;

/// Shows progress until it is dropped.
pub(super) struct Progress {
    quit: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    pub(super) fn start(handle: StudyHandle) -> Self {
        let (quit, quitting) = bounded::<()>(0);
        let thread = std::thread::spawn(move || {
            let terminal = std::io::stderr().is_terminal();
            let bar = terminal.then(|| bar(&handle.snapshot()));
            let began = (Instant::now(), handle.snapshot().finished());
            let every = PROGRESS_EVERY[usize::from(!terminal)];
            while let Err(RecvTimeoutError::Timeout) = quitting.recv_timeout(every) {
                show(bar.as_ref(), &handle.snapshot(), began);
            }
            if let Some(bar) = bar {
                show(Some(&bar), &handle.snapshot(), began);
                // Where it stands, and not full; what follows begins a line of its own.
                bar.abandon();
                super::print::say("");
            }
        });
        Progress { quit: Some(quit), thread: Some(thread) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.quit.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn bar(snapshot: &Snapshot) -> ProgressBar {
    let (bar, template) = match snapshot.budget.evaluations {
        Some(n) => (ProgressBar::new(n), "{wide_bar} {pos}/{len} {msg} [{elapsed}, {eta} left]"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} {msg} [{elapsed}]"),
    };
    let style = ProgressStyle::with_template(template);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn show(bar: Option<&ProgressBar>, snapshot: &Snapshot, began: (Instant, u64)) {
    let errors = snapshot.count(State::Failed) + snapshot.count(State::Crashed);
    let mut text = format!("done, {} running", snapshot.count(State::Evaluating));
    if snapshot.paused {
        text += ", PAUSED";
    }
    if errors > 0 {
        text += &format!(", {errors} errors");
    }
    if let Some((id, objective)) = &snapshot.best {
        text += &format!(", best {objective:.6} (trial {id})");
    }
    match bar {
        Some(bar) => {
            bar.set_position(snapshot.finished());
            bar.set_message(text);
        }
        None => {
            let of = snapshot.budget.evaluations.map_or_else(String::new, |n| format!(" of {n}"));
            let new = snapshot.finished().saturating_sub(began.1);
            let rate = new as f64 / began.0.elapsed().as_secs_f64();
            super::print::say(format_args!(
                "{}{of} {text}, {rate:.2} a second",
                snapshot.finished()
            ));
        }
    }
}
