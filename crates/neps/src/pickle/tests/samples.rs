//! Files that NePS itself wrote.

use std::path::{Path, PathBuf};

use super::super::{Item, Pickle, PickleError, read, write};
use super::*;

/// The files of `samples/`, and those below `TRIALMILL_PICKLES` if it is set.
pub(super) fn files() -> Vec<(PathBuf, Vec<u8>)> {
    fn collect(dir: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "pkl") {
                found.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/pickle/samples");
    collect(&own, &mut found);
    assert!(found.len() >= 14, "the samples are not where this test looks");
    if let Some(more) = std::env::var_os("TRIALMILL_PICKLES") {
        collect(Path::new(&more), &mut found);
    }
    found
}

fn sample(name: &str) -> Vec<u8> {
    let found = files().into_iter().find(|(path, _)| path.ends_with(name));
    found.unwrap().1
}

#[test]
fn every_file_of_neps_is_the_same_graph_after_being_written() {
    for (path, bytes) in files() {
        println!("{}", path.display());
        for pickle in read_all(&bytes) {
            let again = written(&pickle);
            let (read_again, length) = read(&again).unwrap();
            assert_eq!(length, again.len());
            assert_same(&pickle, &read_again);
            assert_eq!(written(&read_again), again, "writing is not stable");
            let mut copy = Pickle::new();
            let root = copy.copy_from(&pickle, pickle.root());
            copy.set_root(root);
            assert_same(&pickle, &copy);
            assert_same(&pickle, &copy.into_owned());
            assert_same(&read_again, &pickle.clone().into_owned());
        }
    }
}

#[test]
fn every_prefix_of_every_file_is_cut_off_and_not_bad() {
    for (path, bytes) in files() {
        let (mut rest, mut cuts) = (bytes.as_slice(), 0);
        while !rest.is_empty() {
            let (_, length) = read(rest).unwrap();
            // Small pickles are cut at every byte. The optimizer states are long only because of a
            // few long values.
            for cut in (0..length).filter(|cut| length < 4_000 || cut % 7 == 0) {
                let result = read(&rest[..cut]).map(|(_, length)| length);
                assert!(
                    matches!(result, Err(PickleError::Truncated { offset }) if offset <= cut),
                    "{} cut at {cut}: {result:?}",
                    path.display()
                );
                cuts += 1;
            }
            rest = &rest[length..];
        }
        assert!(cuts > 10);
    }
}

#[test]
fn the_trials_of_a_cache_are_found_by_the_names_of_their_fields() {
    let bytes = sample("0.17.0-trial_cache-odd.pkl");
    let records = read_all(&bytes);
    let trial = &records[1];
    assert_eq!(trial.class(trial.root()), Some(("neps.state.trial", "Trial")));
    let metadata = trial.field(trial.root(), "metadata").unwrap();
    let id = trial.field(metadata, "id").unwrap();
    assert_eq!(trial.get(id), &Item::Str("1".into()));
    let state = trial.field(metadata, "state").unwrap();
    assert_eq!(trial.class(state), Some(("neps.state.trial", "State")));
    assert_eq!(trial.field(metadata, "no such field"), None);
    assert_eq!(trial.field(id, "id"), None);
    let report = trial.field(trial.root(), "report").unwrap();
    let extra = trial.field(report, "extra").unwrap();
    let scalar = trial.field(extra, "np").unwrap();
    assert_eq!(trial.class(scalar), Some(("numpy._core.multiarray", "scalar")));
}

#[test]
fn a_changed_field_changes_nothing_else() {
    let bytes = sample("0.17.0-trial_cache-odd.pkl");
    let mut trial = read_all(&bytes).remove(1);
    let metadata = trial.field(trial.root(), "metadata").unwrap();
    let sampled_by = trial.field(metadata, "sampling_worker_id").unwrap();
    // Python made one item of these two equal strings.
    assert_eq!(trial.field(metadata, "evaluating_worker_id"), Some(sampled_by));
    let other = trial.str("worker_7");
    assert!(trial.set_field(metadata, "evaluating_worker_id", other));
    assert!(trial.set_field(metadata, "new", other));
    assert!(!trial.set_field(other, "new", other));
    let bytes = written(&trial);
    let (again, _) = read(&bytes).unwrap();
    let metadata = again.field(again.root(), "metadata").unwrap();
    let text = |name| again.get(again.field(metadata, name).unwrap());
    assert_eq!(text("evaluating_worker_id"), &Item::Str("worker_7".into()));
    assert_eq!(text("new"), &Item::Str("worker_7".into()));
    assert_eq!(text("sampling_worker_id"), &Item::Str("worker_0".into()));
}

#[test]
fn what_many_copies_have_in_common_is_written_once() {
    let bytes = sample("0.17.0-trial_cache-mf.pkl");
    let (cache, _) = read(&bytes).unwrap();
    let mut many = Pickle::new();
    let copies: Vec<_> = (0..100).map(|_| many.copy_from(&cache, cache.root())).collect();
    let list = many.add(Item::List(copies));
    many.set_root(list);
    let bytes = written(&many);
    let count = |text: &[u8]| bytes.windows(text.len()).filter(|it| *it == text).count();
    assert_eq!(count(b"evaluating_worker_id"), 1);
    assert_eq!(count(b"MetaData"), 1);
    let (again, _) = read(&bytes).unwrap();
    assert_same(&many, &again);
}

#[test]
fn what_cannot_be_written_leaves_the_bytes_as_they_were() {
    let mut pickle = Pickle::new();
    let mut inner = pickle.none();
    for _ in 0..1_100 {
        inner = pickle.add(Item::List(vec![inner]));
    }
    pickle.set_root(inner);
    let mut bytes = b"before".to_vec();
    assert!(matches!(write(&pickle, &mut bytes), Err(PickleError::Bad { .. })));
    assert_eq!(bytes, b"before");
    let tuple = pickle.add(Item::None);
    *pickle.get_mut(tuple).unwrap() = Item::Tuple(vec![tuple, tuple]);
    pickle.set_root(tuple);
    assert!(matches!(write(&pickle, &mut bytes), Err(PickleError::Bad { .. })));
    assert_eq!(bytes, b"before");
}
