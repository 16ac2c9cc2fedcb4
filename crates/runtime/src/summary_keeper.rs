//! Keeps the files for people that another program keeps about a run (NePS: `summary/`), in directories that
//! are shared with it. A thread of its own reads the study as any reader does, so nobody waits for it, and it
//! rests 50 times as long as it worked: at most a fiftieth of one core, however many trials there are.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::handle::StudyHandle;
use super::published::Snapshot;
use trialmill_core::error::StoreError;
use trialmill_core::limits::{SUMMARY_PAUSE, SUMMARY_REST};
use trialmill_core::study::StudyState;
use trialmill_core::trial::State;
use trialmill_store::{Directory, read_study};

pub(crate) struct SummaryKeeper {
    directory: Arc<Directory>,
    quit: Sender<()>,
    thread: JoinHandle<()>,
}

impl SummaryKeeper {
    /// None where nothing is kept.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub(crate) fn start(
        directory: Option<&Arc<Directory>>,
        handle: &StudyHandle,
    ) -> std::io::Result<Option<Self>> {
        let Some(directory) = directory.filter(|directory| directory.layout().keeps_summary())
        else {
            return Ok(None);
        };
        let (quit, quitting) = crossbeam_channel::bounded(0);
        let (handle, its) = (handle.clone(), directory.clone());
        let thread = std::thread::Builder::new()
            .name("trialmill-summary".into())
            .spawn(move || keep(&its, &handle, &quitting))?;
        Ok(Some(SummaryKeeper { directory: directory.clone(), quit, thread }))
    }

    /// Writes the files for the last time: the study as this process leaves it.
    pub(crate) fn end(self, study: Option<&StudyState>) {
        drop(self.quit);
        let _ = self.thread.join();
        let Some(study) = study else { return };
        let has_ended = |state: &State| state.is_finished() && study.count(*state) > 0;
        if State::ALL.iter().any(has_ended)
            && let Err(error) = self.directory.layout().write_summary(&self.directory, study, true)
        {
            tell(&error);
        }
    }
}

fn keep(directory: &Directory, handle: &StudyHandle, quitting: &Receiver<()>) {
    let (mut kept, mut rest, mut has_told) = (0, SUMMARY_PAUSE, false);
    while let Err(RecvTimeoutError::Timeout) = quitting.recv_timeout(rest) {
        let ended = handle.published().with(Snapshot::finished);
        if ended == kept {
            continue;
        }
        let begin = Instant::now();
        match write(directory) {
            Ok(true) => kept = ended,
            // NePS is at it, or was writing what we read.
            Ok(false) => {}
            Err(error) if !std::mem::replace(&mut has_told, true) => tell(&error),
            Err(_) => {}
        }
        rest = (begin.elapsed() * SUMMARY_REST).max(SUMMARY_PAUSE);
    }
}

fn write(directory: &Directory) -> Result<bool, StoreError> {
    let mut study = StudyState::new(directory.definition().clone());
    match read_study(directory, &mut |event| study.apply(event))? {
        None => directory.layout().write_summary(directory, &study, false),
        Some(_) => Ok(false),
    }
}

fn tell(error: &StoreError) {
    tracing::warn!("the summary of the run is not kept: {error}");
}
