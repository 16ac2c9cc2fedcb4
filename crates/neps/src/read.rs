//! Reads a directory of NePS without any lock, and without writing anything.

use super::cache::{Cache, News};
use super::extras::Found;
use super::files::TrialFiles;
use super::pruned;
use super::record::{Record, Shared, progress};
use super::space::read_space;
use super::state::{StateFile, with_limits_of_neps};
use super::uncharged;
use trialmill_core::budget::Budget;
use trialmill_core::error::StoreError;
use trialmill_core::event::{Event, EventKind, Policy};
use trialmill_core::trial::{Trial, Trials};
use trialmill_store::clock::now_s;
use trialmill_store::{Apply, Directory};

/// Reads the current trials and NePS's limits, which come before those of our own policy. If something is wrong, returns what; then the trials
/// come from their directories, as far as those can be read.
///
/// # Errors
/// The directory cannot be read at all.
pub(crate) fn read_trials(
    directory: &Directory,
    own: Option<Policy>,
    apply: Apply<'_>,
) -> Result<Option<StoreError>, StoreError> {
    let (trials, problem) = trials(directory)?;
    let study = |source| StoreError::Study { path: directory.path().into(), source };
    let budget = StateFile::new(directory.path()).budget().unwrap_or_default();
    if own.is_some() || budget != Budget::default() {
        let kind =
            EventKind::Policy(Box::new(with_limits_of_neps(own.unwrap_or_default(), budget)));
        apply(Event { time: now_s(), kind }).map_err(study)?;
    }
    for trial in trials.into_list() {
        let put = EventKind::Put(Box::new(uncharged::read_back(pruned::read_back(trial))));
        apply(Event { time: now_s(), kind: put }).map_err(study)?;
    }
    Ok(problem)
}

fn trials(directory: &Directory) -> Result<(Trials, Option<StoreError>), StoreError> {
    let root = directory.path();
    let translation = read_space(root).1;
    let mut shared = Shared::new(directory.definition().space.names().clone(), translation);
    let files = TrialFiles::new(root);
    let mut cache = Cache::new(&root.join("configs"), false);
    let mut known = Found::default();
    let (missing, problem) = match cache.read_new(&mut shared) {
        Ok(News { records, missing, torn_at, .. }) => {
            known.learn(records);
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
        let configs = root.join("configs");
        let (ids, _) = files.list().map_err(StoreError::io("read", &configs))?;
        let mut found: Vec<Record> =
            ids.iter().filter_map(|id| files.read(id, &mut shared).ok()).collect();
        let sampled = |trial: &Trial| trial.metadata.time_sampled;
        found.sort_by(|a, b| sampled(&a.trial).total_cmp(&sampled(&b.trial)));
        for record in found {
            let there = known.trials.get(&record.trial.id).map(|trial| progress(trial.state));
            if there.is_none_or(|there| progress(record.trial.state) > there) {
                known.set(record);
            }
        }
    }
    Ok((known.trials, problem))
}
