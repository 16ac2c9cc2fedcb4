//! Reading a directory of NePS without any lock, and without writing anything into it.

use super::cache::{Cache, News};
use super::files::TrialFiles;
use super::mirror::{Mirror, progress};
use super::record::{Record, Shared};
use super::space::read_space;
use super::state::StateFile;
use crate::budget::Budget;
use crate::clock::now_s;
use crate::error::StoreError;
use crate::event::{Event, EventKind, Policy};
use crate::store::layout::Layout;
use crate::store::{Apply, Directory};
use crate::trial::Trial;

/// Reads the trials as they are now, and NePS's limits. Gives what is wrong, where something is;
/// then the trials come from their directories as far as those can be read.
///
/// # Errors
/// The directory cannot be read at all.
pub(in crate::store) fn read_trials(
    directory: &Directory,
    apply: Apply<'_>,
) -> Result<Option<StoreError>, StoreError> {
    let (records, problem) = records(directory)?;
    let study = |source| StoreError::Study { path: directory.path.clone(), source };
    let budget = StateFile::new(&directory.path).budget().unwrap_or_default();
    if budget != Budget::default() {
        let kind = EventKind::Policy(Policy { budget, ..Policy::default() });
        apply(Event { time: now_s(), kind }).map_err(study)?;
    }
    for Record { trial, .. } in records {
        let put = EventKind::Put(Box::new(trial));
        apply(Event { time: now_s(), kind: put }).map_err(study)?;
    }
    Ok(problem)
}

/// All records of a directory.
pub(super) fn records(
    directory: &Directory,
) -> Result<(Vec<Record>, Option<StoreError>), StoreError> {
    let root = &directory.path;
    let translation = read_space(root).map(|(_, translation)| translation).unwrap_or_default();
    let mut shared = Shared::new(directory.definition.space.names().clone(), translation);
    let files = TrialFiles::new(root);
    let mut cache = Cache::new(&Layout::Neps.trials_path(root), false);
    let mut mirror = Mirror::default();
    let (missing, problem) = match cache.look(&mut shared) {
        Ok(News { records, missing, torn_at, .. }) => {
            for record in records {
                mirror.learn(record);
            }
            let torn = torn_at.map(|offset| StoreError::Damaged {
                path: cache.path().into(),
                offset,
                problem: "a record is cut off".into(),
            });
            (missing, torn)
        }
        Err(error @ StoreError::Damaged { .. }) => (true, Some(error)),
        Err(error) => return Err(error),
    };
    if missing || problem.is_some() {
        let configs = Layout::Neps.trials_path(root);
        let (ids, _) = files.list().map_err(StoreError::io("read", &configs))?;
        let mut found: Vec<Record> =
            ids.iter().filter_map(|id| files.read(id, &mut shared).ok()).collect();
        let sampled = |trial: &Trial| trial.metadata.time_sampled;
        found.sort_by(|a, b| sampled(&a.trial).total_cmp(&sampled(&b.trial)));
        for record in found {
            let known = mirror.get(&record.trial.id).map(|known| progress(known.trial.state));
            if known.is_none_or(|known| progress(record.trial.state) > known) {
                mirror.set(record);
            }
        }
    }
    Ok((mirror.iter().cloned().collect(), problem))
}
