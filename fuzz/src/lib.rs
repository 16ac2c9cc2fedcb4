//! What is fuzzed: one function for each thing that reads bytes from outside, with what must hold of
//! whatever it reads. `run.sh` runs each of them; a new parser gets a function here, a file in
//! `fuzz_targets/`, a `[[bin]]`, and seeds.

use trialmill_layouts::Studies;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use trialmill_core::definition::Definition;
use trialmill_runtime::evaluate::{CommandTemplate, parse_result};
use trialmill_core::event::Policy;
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, SimDisk, check_journal, read_study};
use trialmill::{
    Durability, Optimizer, Parameter, RandomSearch, SearchSpace, StudyState, StudyFile, TrialId, Value,
};

/// A study whose files are replaced.
struct Home {
    temp: TempDir,
    directory: Directory,
}

thread_local! {
    static HOME: OnceCell<Home> = const { OnceCell::new() };
}

fn space_of_all_kinds() -> SearchSpace {
    SearchSpace::new([
        ("lr", Parameter::float(1e-5, 0.1).log()),
        ("layers", Parameter::int(1, 8)),
        ("optimizer", Parameter::categorical(["sgd", "adam"])),
        ("epochs", Parameter::int(1, 81).fidelity()),
    ])
    .expect("a sound space")
}

fn with_home<R>(work: impl FnOnce(&Home) -> R) -> R {
    let new = || {
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let temp = tempfile::tempdir_in(parent).expect("a home");
        let definition = Definition::new(space_of_all_kinds(), RandomSearch::new().info());
        let path = temp.path().join("study");
        let policy = Policy::default();
        let created = Directory::create_or_open(&path, definition, Some(7), &policy, None);
        Home { directory: created.expect("a study").0, temp }
    };
    HOME.with(|home| work(home.get_or_init(new)))
}

/// `journal.jsonl`: what is read of it is a study, and whoever checks it reads the same.
pub fn journal(bytes: &[u8]) {
    with_home(|home| {
        let directory = &home.directory;
        std::fs::write(directory.journal_path(), bytes).expect("written");
        let mut study = StudyState::new(directory.definition().clone());
        let read = read_study(directory, &mut |event| study.apply(event));
        let mut again = StudyState::new(directory.definition().clone());
        let checked = check_journal(directory, &mut |event| again.apply(event));
        assert_eq!(read.is_ok(), checked.is_ok());
        assert_eq!(print(&study), print(&again));
    });
}

/// Records with sound checksums, one per line of the input, without their numbers: what a program
/// with a mistake, or a malicious one, could have written.
pub fn records(bytes: &[u8]) {
    journal(&with_checksums(bytes));
}

fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut journal = Vec::new();
    for (seq, body) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let body = [format!("\"seq\":{seq},").as_bytes(), body].concat();
        journal.extend(format!("{{\"crc\":\"{:08x}\",", crc32fast::hash(&body)).into_bytes());
        journal.extend(body);
        journal.push(b'\n');
    }
    journal
}

/// A journal that is opened for writing, with a sound beginning: the opening cuts a torn end, or
/// refuses and changes nothing; a second opening finds the same, and the study goes on.
pub fn recovery(bytes: &[u8]) {
    // The first byte says how much of the input has sound checksums.
    let Some((share, bytes)) = bytes.split_first() else { return };
    let (sound, torn) = bytes.split_at(bytes.len() * usize::from(*share) / 255);
    let policy = br#""event":"policy","time":1.5,"policy":{"budget":{"evaluations":9},"count_in_progress":true,"max_attempts":3}}"#;
    let sound =
        if sound.is_empty() { policy.to_vec() } else { [&policy[..], b"\n", sound].concat() };
    let journal = [with_checksums(&sound), torn.to_vec()].concat();
    with_home(|home| {
        let open = |disk: &SimDisk| {
            let (disk, directory) = (Box::new(disk.clone()), home.directory.clone());
            StateCore::open_on(disk, directory, Durability::Synced, Box::new(RandomSearch::new()))
        };
        let disk = SimDisk::new(journal.clone());
        match open(&disk) {
            Ok(first) => {
                let now = disk.bytes().0;
                assert!(journal.starts_with(&now), "it was changed before its end");
                let second = open(&disk).expect("a second opening");
                assert_eq!(print(first.study()), print(second.study()));
                assert!(disk.bytes().0 == now, "a second opening changes it");
            }
            Err(_) => assert!(disk.bytes().0 == journal, "it was refused and changed"),
        }
        for entry in std::fs::read_dir(home.directory.path()).expect("listed").flatten() {
            if entry.file_name().to_string_lossy().starts_with("torn-") {
                std::fs::remove_file(entry.path()).expect("removed");
            }
        }
    });
}

/// Everything that a study knows, as text.
fn print(study: &StudyState) -> String {
    let trials: Vec<_> = study.trials().iter().collect();
    let leases: Vec<_> = study.leases().collect();
    let processes: Vec<_> = study.processes().collect();
    let numbers = (study.claims(), study.requeues(), study.sample_count(), study.spent());
    let front: Vec<_> = study.front().iter().map(|trial| trial.id.clone()).collect();
    format!("{trials:?} {leases:?} {processes:?} {numbers:?} {front:?} {:?}", study.policy())
}

/// A directory of NePS, some of whose files are these bytes; all others are those that NePS wrote.
fn neps(files: &[&str], bytes: &[u8]) {
    let Some((which, bytes)) = bytes.split_first() else { return };
    let file = files[usize::from(*which) % files.len()];
    with_home(|home| {
        let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/neps");
        let root = home.temp.path().join("neps");
        let trial = root.join("configs/config_1");
        if !root.is_dir() {
            std::fs::create_dir_all(&trial).expect("made");
        }
        for (name, sample) in [
            ("optimizer_info.yaml", "yaml/samples/neps-0.17.0/hpo/optimizer_info.yaml"),
            ("pipeline_space.pkl", "pickle/samples/0.17.0-pipeline_space-classic.pkl"),
            ("optimizer_state.pkl", "pickle/samples/0.17.0-optimizer_state.pkl"),
            (CONFIG, "yaml/samples/neps-0.17.0/hpo/configs/config_1/config.yaml"),
            (METADATA, "yaml/samples/neps-0.17.0/hpo/configs/config_1/metadata.json"),
            (REPORT, "yaml/samples/neps-0.17.0/hpo/configs/config_1/report.yaml"),
        ] {
            std::fs::copy(samples.join(sample), root.join(name)).expect("copied");
        }
        let _ = std::fs::remove_file(root.join(CACHE));
        std::fs::write(root.join(file), bytes).expect("written");
        let Ok(directory) = Directory::open_read_only(&root) else { return };
        let read = || {
            let mut study = StudyState::new(directory.definition().clone());
            let problem = read_study(&directory, &mut |event| study.apply(event));
            (print(&study), format!("{problem:?}"))
        };
        assert_eq!(read(), read());
    });
}

const CACHE: &str = "configs/.trial_cache.pkl";
const CONFIG: &str = "configs/config_1/config.yaml";
const METADATA: &str = "configs/config_1/metadata.json";
const REPORT: &str = "configs/config_1/report.yaml";

/// NePS's pickles; the first byte says which. They are read, and nothing in them is run.
pub fn neps_pickle(bytes: &[u8]) {
    neps(&[CACHE, "pipeline_space.pkl", "optimizer_state.pkl"], bytes);
}

/// NePS's YAML 1.1 and JSON files; the first byte says which.
pub fn neps_text(bytes: &[u8]) {
    neps(&[CONFIG, REPORT, METADATA, "optimizer_info.yaml"], bytes);
}

/// `study.json`.
pub fn study_json(bytes: &[u8]) {
    with_home(|home| {
        let path = home.temp.path().join("other");
        std::fs::create_dir_all(path.join("workers")).expect("made");
        std::fs::write(path.join("study.json"), bytes).expect("written");
        if let Ok(directory) = Directory::open_read_only(&path) {
            sample(&directory.definition().space);
        }
        let _ = Directory::open(&path);
    });
}

/// The study file: the first byte says whether it is JSON, else YAML.
pub fn study_file(bytes: &[u8]) {
    let Some((first, bytes)) = bytes.split_first() else { return };
    with_home(|home| {
        let name = if first % 4 == 0 { "study.json" } else { "study.yaml" };
        let path = home.temp.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        let _ = StudyFile::read(&path);
    });
}

/// A search space: what is read is written and read again as the same, and samples fit it.
pub fn space(bytes: &[u8]) {
    let Ok(json) = serde_json::from_slice(bytes) else { return };
    let Ok(space) = SearchSpace::from_json(&json) else { return };
    let written = space.to_json();
    let again = SearchSpace::from_json(&written).expect("what is written can be read");
    assert_eq!(again.to_json(), written);
    sample(&space);
}

fn sample(space: &SearchSpace) {
    for unit in [0.0, 1e-17, 0.25, 0.5, 1.0 - f64::EPSILON / 2.0, 1.0] {
        let config = space.config(|(_, parameter)| parameter.domain().from_unit(unit));
        space.check(&config).expect("a sample fits its space");
        for (name, value) in config.iter() {
            let parameter = space.get(name).expect("a parameter");
            let unit = parameter.domain().to_unit(value);
            assert!((0.0..=1.0).contains(&unit), "{name}: {value} is at {unit}");
            let text = value.to_string();
            assert!(!text.is_empty() || matches!(value, Value::Str(_)), "{name}");
        }
    }
}

/// What a command prints.
pub fn result(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse_result(text, &Default::default()) {
        Ok(report) => assert!(report.failure.is_some() || report.objective_to_minimize.is_some()),
        Err(error) => assert!(!error.is_empty()),
    }
}

/// A trial's id is printed as it was read, and is a file's name.
pub fn trial_id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(id) = text.parse::<TrialId>() {
        assert_eq!(id.to_string(), text);
        assert!(!text.contains('/') && !text.starts_with('.') && text.len() <= 128, "{text}");
    }
}

/// A command with templates, a word per line.
pub fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let words: Vec<&str> = ["sh"].into_iter().chain(text.lines()).collect();
    let _ = CommandTemplate::new(&words, &space_of_all_kinds());
}
