//! Reads a directory of NePS 0.12 without taking, or even trying, any of its locks.

use super::files::TrialFiles;
use super::found::news;
use crate::record::Shared;
use crate::space::Translation;
use trialmill_core::error::StoreError;
use trialmill_core::event::{Event, EventKind, Policy};
use trialmill_core::limits::{NEPS_READ_PAUSE, NEPS_READS};
use trialmill_core::trial::{State, Trial, TrialId, Trials};
use trialmill_store::clock::now_s;
use trialmill_store::is_flocked_here;
use trialmill_store::{Apply, Directory, has_own_files, read_journal};

/// Reads the events of our journal, and then what the trials' files contain beyond them. If something
/// is wrong with the journal, returns what.
///
/// # Errors
/// The directory cannot be read at all.
pub(crate) fn read_study(
    directory: &Directory,
    apply: Apply<'_>,
) -> Result<Option<StoreError>, StoreError> {
    let mut known = Trials::default();
    let problem = match has_own_files(directory.layout(), directory.path()) {
        true => read_journal(directory, &mut |event| {
            follow(&mut known, &event);
            apply(event)
        })?,
        false => {
            let kind = EventKind::Policy(Box::new(Policy {
                budget: directory.layout().budget(directory.path()),
                ..Policy::default()
            }));
            emit(directory, kind, apply)?;
            None
        }
    };
    let files = TrialFiles::new(directory.path(), &directory.own_path());
    let names = directory.definition().space.names().clone();
    let mut shared = Shared::new(names, Translation::default());
    let listed = files.list().map_err(StoreError::io("read", files.results()))?;
    let is_open = |id: &&TrialId| known.get(id).is_none_or(|known| !known.state.is_finished());
    let mut found: Vec<Trial> = Vec::new();
    let mut left: Vec<&TrialId> = listed.iter().filter(is_open).collect();
    for looks in 1..=NEPS_READS {
        // A file that makes no sense may be half written: read all of them again.
        left.retain(|id| {
            let held = || is_flocked_here(&files.lock_path(id));
            // What makes no sense is for `check` and for whoever works there to say.
            let news = news(&files, id, &files.stamps(id), known.get(id), &mut shared, held)
                .map(|news| news.trial);
            let is_odd = news.as_ref().is_some_and(|trial| trial.state == State::Corrupted);
            let again = is_odd && looks < NEPS_READS;
            found.extend(news.filter(|_| !again));
            again
        });
        if left.is_empty() {
            break;
        }
        std::thread::sleep(NEPS_READ_PAUSE);
    }
    found.sort_by(|a, b| {
        let times = (a.metadata.time_sampled, b.metadata.time_sampled);
        times.0.total_cmp(&times.1).then_with(|| a.id.cmp(&b.id))
    });
    for trial in found {
        emit(directory, EventKind::Put(Box::new(trial)), apply)?;
    }
    Ok(problem)
}

/// Applies an event to trials outside of a study. This ignores an event that makes no sense; the
/// reader's own study refuses it.
fn follow(trials: &mut Trials, event: &Event) {
    let Event { time, kind } = event.clone();
    match kind {
        EventKind::Sampled { trial: id, config, previous, worker, claimed, evaluation } => {
            trials.set(Trial::sampled(id, config, previous, worker, claimed, evaluation, time));
        }
        EventKind::Put(trial) => trials.set(*trial),
        kind => {
            if let Some(at) = kind.trial_id().and_then(|id| trials.position(id)) {
                trials.at_mut(at).apply(kind, time);
            }
        }
    }
}

fn emit(directory: &Directory, kind: EventKind, apply: Apply<'_>) -> Result<(), StoreError> {
    let study = |source| StoreError::Study { path: directory.path().into(), source };
    apply(Event { time: now_s(), kind }).map_err(study)
}
