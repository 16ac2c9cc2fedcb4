//! Directories that genuine NePS wrote, read by us, mended by us, and taken to other layouts and back.
//!
//! What must come out is in the `.json` beside each: what NePS's own classes say about it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/copied.rs"]
mod copied;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use copied::copy;

use serde_json::{Map, Value as Json, json};
use trialmill::Summary;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/neps")
}

/// Every fixture of these versions: its name, its directory and what NePS says about it.
fn all(versions: &[&str]) -> Vec<(String, PathBuf, Json)> {
    let mut found = Vec::new();
    for version in versions {
        for entry in fs::read_dir(fixtures().join(version)).unwrap() {
            let path = entry.unwrap().path();
            let sidecar = path.with_extension("json");
            if path.is_dir() && sidecar.is_file() {
                let json = serde_json::from_str(&fs::read_to_string(sidecar).unwrap()).unwrap();
                let name = format!("{version}/{}", path.file_name().unwrap().display());
                found.push((name, path, json));
            }
        }
    }
    assert!(found.len() >= 5, "the fixtures are not where this test looks");
    found
}

fn trialmill(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_trialmill")).args(arguments).output().unwrap();
    assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"), "{output:?}");
    output
}

fn trials(directory: &Path) -> Vec<Json> {
    let summary = Summary::read(directory).unwrap();
    assert!(summary.problem().is_none(), "{}: {:?}", directory.display(), summary.problem());
    summary
        .study()
        .trials()
        .iter()
        .map(|trial| serde_json::to_value(summary.row(trial)).unwrap())
        .collect()
}

/// The sidecar's and our ways to write numbers that are not finite, made one.
fn plain(json: &Json) -> Json {
    match json {
        Json::Object(map) if map.len() == 1 && map.contains_key("$float") => map["$float"].clone(),
        Json::Object(map) => map.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        Json::Array(list) => list.iter().map(plain).collect(),
        Json::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

/// `SAMPLING__Resolvable.opt::categorical__3: 2` is `opt`, and its third choice.
fn in_plain_names(config: &Json, ours: &Json, summary: &Summary) -> Json {
    let space = &summary.study().definition().space;
    let mut named = Map::new();
    for (key, value) in config.as_object().unwrap() {
        let Some(rest) = key.strip_prefix("SAMPLING__Resolvable.") else {
            let name = key.strip_prefix("ENVIRONMENT__").unwrap_or(key);
            named.insert(name.into(), value.clone());
            continue;
        };
        let (name, kind) = rest.split_once("::").unwrap();
        let value = match (kind.starts_with("categorical"), space.get(name).unwrap().domain()) {
            (true, trialmill_core::space::Domain::Categorical { choices, .. }) => {
                json!(choices[value.as_u64().unwrap() as usize])
            }
            _ => value.clone(),
        };
        named.insert(name.into(), value);
    }
    // Constants, which such a configuration leaves out.
    for (name, value) in ours.as_object().unwrap() {
        if !named.contains_key(name) {
            assert!(space.get(name).unwrap().domain().to_string().contains("constant"), "{name}");
            named.insert(name.clone(), value.clone());
        }
    }
    plain(&Json::Object(named))
}

#[test]
fn every_directory_with_a_cache_is_read_as_neps_reads_it() {
    for (name, path, sidecar) in all(&["0.13.0", "0.17.0"]) {
        let summary = Summary::read(&path).unwrap();
        let theirs = sidecar["trials_from_cache"].as_object().unwrap();
        let ours = trials(&path);
        assert_eq!(ours.len(), theirs.len(), "{name}");
        let order: Vec<&str> = ours.iter().map(|trial| trial["id"].as_str().unwrap()).collect();
        assert_eq!(order, theirs.keys().collect::<Vec<_>>(), "{name}");
        for ours in &ours {
            let id = ours["id"].as_str().unwrap();
            let theirs = &theirs[id];
            let what = format!("{name}, trial {id}");
            let config = in_plain_names(&theirs["config"], &ours["config"], &summary);
            assert_eq!(plain(&ours["config"]), config, "{what}");
            for (key, value) in theirs["metadata"].as_object().unwrap() {
                // Where NePS wrote it; here it is somewhere else.
                if !key.ends_with("location") {
                    assert_eq!(plain(&ours["metadata"][key]), plain(value), "{what}: {key}");
                }
            }
            compare_reports(&ours["report"], &theirs["report"], &what, name.ends_with("/odd"));
        }
    }
}

fn compare_reports(ours: &Json, theirs: &Json, what: &str, odd: bool) {
    assert_eq!(ours.is_null(), theirs.is_null(), "{what}");
    if theirs.is_null() {
        return;
    }
    for key in ["objective_to_minimize", "cost", "learning_curve", "reported_as"] {
        assert_eq!(plain(&ours[key]), plain(&theirs[key]), "{what}: {key}");
    }
    // The scripts were named anew in the sidecars, and only there.
    let lines = |json: &Json| -> Vec<String> {
        let lines = json.as_str().unwrap_or_default().lines();
        lines.filter(|line| !line.contains("/opt/run/")).map(str::to_string).collect()
    };
    assert_eq!(lines(&ours["tb"]), lines(&theirs["tb"]), "{what}");
    assert_eq!(
        plain(&ours["evaluation_duration"]),
        plain(&theirs["evaluation_duration"]),
        "{what}"
    );
    if let Some([kind, message]) = theirs["err"]["$exception"].as_array().map(Vec::as_slice) {
        assert_eq!((&ours["err_type"], &ours["err"]), (kind, message), "{what}");
    }
    // Sets and complex numbers have no plain form; the nearest is shown.
    if !odd {
        let extra = |json: &Json| match plain(json) {
            Json::Null => json!({}),
            extra => extra,
        };
        assert_eq!(extra(&ours["extra"]), extra(&theirs["extra"]), "{what}");
    }
}

#[test]
fn a_study_taken_to_another_layout_and_back_is_the_same() {
    for (name, path, _) in all(&["0.13.0", "0.17.0"]) {
        let temp = tempfile::tempdir().unwrap();
        let before = trials(&path);
        let mut from = path.clone();
        for layout in ["journal", "neps", "neps-0.13", "neps-0.14", "journal"] {
            let to = temp.path().join(format!("{layout}-{}", from.to_string_lossy().len()));
            let arguments = [&*from.to_string_lossy(), &*to.to_string_lossy(), "--layout", layout];
            let output = trialmill(&[&["convert"], &arguments[..]].concat());
            assert!(output.status.success(), "{name} to {layout}: {output:?}");
            let after = trials(&to);
            assert_eq!(after.len(), before.len(), "{name} to {layout}");
            for (before, after) in before.iter().zip(&after) {
                assert_eq!(resting(after), resting(before), "{name} to {layout}");
            }
            from = to;
        }
    }
}

/// A trial without what a copy cannot have: where it is; who just evaluates it.
fn resting(trial: &Json) -> Json {
    let mut trial = trial.clone();
    let meta = trial["metadata"].as_object_mut().unwrap();
    meta.remove("location");
    meta.remove("previous_trial_location");
    if trial["state"] == "evaluating" {
        trial["state"] = json!("pending");
        trial["metadata"]["state"] = json!("pending");
        trial["metadata"]["evaluating_worker_id"] = Json::Null;
        trial["metadata"]["time_started"] = Json::Null;
    }
    trial
}

/// NePS 0.17 appends each trial twice and rewrites all of it every six trials, in place and without a
/// rename. A worker killed in the middle left a tail that every later worker died of, for ever.
#[test]
fn a_cache_cut_anywhere_in_its_last_records_loses_nothing_that_a_directory_has() {
    let (_, path, _) = all(&["0.17.0"]).into_iter().find(|(n, ..)| n.ends_with("classic")).unwrap();
    let before = trials(&path);
    let cache = fs::read(path.join("configs/.trial_cache.pkl")).unwrap();
    let cuts = (1..12).map(|n| cache.len() - 1 - n * (cache.len() - 2) / 12);
    for cut in cuts {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("study");
        copy(&path, &dir);
        fs::write(dir.join("configs/.trial_cache.pkl"), &cache[..cut]).unwrap();
        let text = dir.to_string_lossy().into_owned();
        assert_eq!(trialmill(&["check", &text]).status.code(), Some(5), "cut at {cut}");
        assert!(trialmill(&["check", &text, "--repair"]).status.success(), "cut at {cut}");
        let after = trials(&dir);
        assert_eq!(after.len(), before.len(), "cut at {cut}");
        for trial in &before {
            let same = |after: &&Json| after["id"] == trial["id"];
            let after = after.iter().find(same).unwrap();
            for field in ["config", "state"] {
                assert_eq!(after[field], trial[field], "cut at {cut}");
            }
            let objective = |trial: &Json| trial["report"]["objective_to_minimize"].clone();
            assert_eq!(objective(after), objective(trial), "cut at {cut}");
        }
    }
}

type Break = fn(&Path);

/// Each of these stopped every NePS worker for good; what was acknowledged must come back whole.
#[test]
fn what_bricks_a_directory_is_named_by_check_and_mended_without_loss() {
    let (_, path, _) = all(&["0.17.0"]).into_iter().find(|(n, ..)| n.ends_with("/budget")).unwrap();
    let breaks: [(&str, Break); 8] = [
        ("cache_missing", |dir| fs::remove_file(dir.join("configs/.trial_cache.pkl")).unwrap()),
        ("cache_damaged", |dir| {
            let cache = dir.join("configs/.trial_cache.pkl");
            let mut bytes = fs::read(&cache).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle..middle + 40].fill(0xff);
            fs::write(cache, bytes).unwrap();
        }),
        ("optimizer_state", |dir| fs::write(dir.join("optimizer_state.pkl"), b"").unwrap()),
        ("optimizer_state", |dir| fs::remove_file(dir.join("optimizer_state.pkl")).unwrap()),
        ("orphan_directory", |dir| fs::create_dir(dir.join("configs/config_99")).unwrap()),
        ("vanished_from_cache", |dir| {
            copy(&dir.join("configs/config_1"), &dir.join("configs/config_98"));
            let metadata = dir.join("configs/config_98/metadata.json");
            let text =
                fs::read_to_string(&metadata).unwrap().replace("\"id\": \"1\"", "\"id\": \"98\"");
            fs::write(metadata, text).unwrap();
        }),
        ("missing_files", |dir| {
            fs::write(dir.join("configs/config_1/metadata.json"), b"").unwrap();
        }),
        ("missing_files", |dir| fs::remove_file(dir.join("configs/config_2/report.yaml")).unwrap()),
    ];
    let before = trials(&path);
    for (kind, break_it) in breaks {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("study");
        copy(&path, &dir);
        break_it(&dir);
        let text = dir.to_string_lossy().into_owned();
        let seen = trialmill(&["check", &text, "--json"]);
        assert_eq!(seen.status.code(), Some(5), "{kind}: {seen:?}");
        let seen: Json = serde_json::from_slice(&seen.stdout).unwrap();
        let kinds: Vec<&Json> =
            seen["findings"].as_array().unwrap().iter().map(|finding| &finding["kind"]).collect();
        assert!(kinds.contains(&&json!(kind)), "{kind}: {kinds:?}");
        let mended = trialmill(&["check", &text, "--repair"]);
        assert!(mended.status.success(), "{kind}: {mended:?}");
        let after = trials(&dir);
        for trial in &before {
            let after = after.iter().find(|after| after["id"] == trial["id"]).expect(kind);
            let fields = |t: &Json| (t["config"].clone(), t["report"].clone(), t["state"].clone());
            assert_eq!(fields(after), fields(trial), "{kind}");
        }
    }
}

/// Looking at somebody's run must not leave anything in it.
#[test]
fn looking_changes_nothing() {
    for (name, path, _) in all(&["0.13.0", "0.17.0"]) {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("study");
        copy(&path, &dir);
        let text = dir.to_string_lossy().into_owned();
        let list = |dir: &Path| {
            let mut files = Vec::new();
            let mut dirs = vec![dir.to_path_buf()];
            while let Some(dir) = dirs.pop() {
                for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
                    match entry.file_type().unwrap().is_dir() {
                        true => dirs.push(entry.path()),
                        false => files.push((entry.path(), fs::read(entry.path()).unwrap())),
                    }
                }
            }
            files.sort();
            files
        };
        let before = list(&dir);
        for verb in ["status", "best", "trials", "check"] {
            let output = trialmill(&[verb, &text]);
            assert!(output.status.success(), "{name}, {verb}: {output:?}");
        }
        assert!(before == list(&dir), "{name}: something was written");
    }
}

/// Where `tests/neps/install_neps.sh` has put genuine NePS; without, what needs it is left out.
fn genuine_neps() -> Option<PathBuf> {
    let home = std::env::var_os("TRIALMILL_NEPS").map(PathBuf::from);
    if home.is_none() {
        println!("left out: set TRIALMILL_NEPS to where tests/neps/install_neps.sh put NePS");
    }
    home
}

fn reread(neps: &Path, version: &str, before: &Path, after: &Path, only_common: bool) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/neps/reread.py");
    let mut python = Command::new(neps.join("bin/neps-python-nt"));
    python.arg(version).arg(script).arg(before).arg(after);
    if only_common {
        python.arg("--only-common");
    }
    let output = python.output().unwrap();
    assert!(output.status.success(), "{}: {output:?}", before.display());
}

#[test]
fn genuine_neps_reads_the_same_from_what_we_wrote() {
    let Some(neps) = genuine_neps() else { return };
    for (name, path, _) in all(&["0.13.0", "0.17.0"]) {
        let version = name.split('/').next().unwrap();
        let layout = if version == "0.13.0" { "neps-0.13" } else { "neps" };
        // Objects of numpy have no plain form; and who was evaluating does not in a copy.
        if name.ends_with("/odd") || name.ends_with("/batch") {
            continue;
        }
        let temp = tempfile::tempdir().unwrap();
        let (before, after) = (temp.path().join("before"), temp.path().join("after"));
        copy(&path, &before);
        let arguments = [&*before.to_string_lossy(), &*after.to_string_lossy(), "--layout", layout];
        assert!(trialmill(&[&["convert"], &arguments[..]].concat()).status.success(), "{name}");
        // A copy has plain names; NePS's own for them are known where its space is.
        let space = path.join("pipeline_space.pkl");
        if !space.is_file() || !fs::read(&space).unwrap().windows(8).any(|w| w == b"_reconst") {
            reread(&neps, version, &before, &after, false);
        }
    }
}

/// Tuples, sets, numbers of numpy, dates: what we do not understand goes through our hands untouched.
#[test]
fn objects_of_python_survive_when_we_rewrite_the_cache() {
    let Some(neps) = genuine_neps() else { return };
    let temp = tempfile::tempdir().unwrap();
    let (before, after) = (temp.path().join("before"), temp.path().join("after"));
    for dir in [&before, &after] {
        copy(&fixtures().join("0.17.0/odd"), dir);
        let cache = fixtures().join("0.17.0/variants/trial_cache.odd.numpy1.26.pkl");
        fs::copy(cache, dir.join("configs/.trial_cache.pkl")).unwrap();
    }
    let len = || fs::metadata(after.join("configs/.trial_cache.pkl")).unwrap().len();
    let appended = len();
    trialmill::Study::builder(&after).max_evaluations(10).create().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_trialmill"))
        .arg("ask")
        .arg(&after)
        .env("NEPS_TRIAL_CACHE_MAX_UPDATES_BEFORE_CONSOLIDATION", "0")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_ne!(len(), appended, "the cache was not rewritten");
    reread(&neps, "0.17.0", &before, &after, true);
}

/// The same for 0.12, where a kill in the wrong instant left an empty state that stopped every worker.
#[test]
fn what_bricks_a_directory_of_0_12_is_named_by_check_and_mended() {
    let (_, path, _) = all(&["0.12.2"]).into_iter().find(|(n, ..)| n.ends_with("/hpo")).unwrap();
    for (kind, file) in
        [("optimizer_state", ".optimizer_state.yaml"), ("seed_state", ".seed_state/seed_info.json")]
    {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("study");
        copy(&path, &dir);
        let text = dir.to_string_lossy().into_owned();
        assert!(trialmill(&["check", &text]).status.success(), "the fixture is sound");
        fs::write(dir.join(file), b"").unwrap();
        let seen = trialmill(&["check", &text, "--json"]);
        assert_eq!(seen.status.code(), Some(5), "{kind}: {seen:?}");
        let seen: Json = serde_json::from_slice(&seen.stdout).unwrap();
        assert_eq!(seen["findings"][0]["kind"], kind);
        let before = trials(&dir);
        let mended = trialmill(&["check", &text, "--repair"]);
        assert!(mended.status.success(), "{kind}: {mended:?}");
        assert_eq!(before, trials(&dir));
    }
    // Two endings at once: NePS only logs it.
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    copy(&path, &dir);
    fs::write(dir.join("results/config_1/error.yaml"), "err: x\ntb: y\n").unwrap();
    let seen = trialmill(&["check", &dir.to_string_lossy(), "--json"]);
    // It is a finding, and was a warning eleven times beside it.
    assert_eq!(String::from_utf8_lossy(&seen.stderr), "");
    let seen: Json = serde_json::from_slice(&seen.stdout).unwrap();
    assert_eq!(seen["findings"][0]["kind"], "corrupted_trial", "{seen}");
    assert_eq!(seen["findings"][0]["trials"], json!(["1"]));
    let dir = dir.to_string_lossy();
    let mended = trialmill(&["check", &dir, "--repair"]);
    let said = String::from_utf8_lossy(&mended.stderr).into_owned();
    assert!(mended.status.success() && said.matches("is left alone").count() == 1, "{said}");
    assert!(trialmill(&["check", &dir]).status.success());
}

/// Of a structured space every name was `SAMPLING__Resolvable…::categorical__2`, and with a space of one's own all
/// values were silently empty: all trials crashed, and the budget was gone. What each trial is NePS itself has said
/// (`tests/neps/structured.py --keep`).
#[test]
fn a_structured_space_is_resolved_as_neps_resolves_it() {
    let resolved = fs::read_to_string(fixtures().join("0.17.0/structured-resolved.json")).unwrap();
    let resolved: Json = serde_json::from_str(&resolved).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    copy(&fixtures().join("0.17.0/structured"), &dir);
    let as_resolved = || {
        let ours = trials(&dir);
        assert_eq!(ours.len(), resolved.as_object().unwrap().len());
        for trial in ours {
            let id = trial["id"].as_str().unwrap();
            assert_eq!(plain(&trial["config"]), plain(&resolved[id]), "trial {id}");
        }
    };
    as_resolved();
    let text = dir.to_string_lossy().into_owned();
    let worker = |options: &[&str], template: &str| {
        let start = ["worker", &text, "--drain", "-q"];
        let output = trialmill(&[&start[..], options, &["--", "echo", template]].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    // What is not in it is refused before anything is evaluated.
    let (code, said) = worker(&[], "{rate}");
    assert!(
        code == Some(2) && said.contains("rate") && said.contains("kernel, activation"),
        "{said}"
    );
    let space = temp.path().join("other.yaml");
    fs::write(&space, "space: {lr: {lower: 0.0, upper: 1.0}, rate: {lower: 0, upper: 1}}\n")
        .unwrap();
    let (code, said) = worker(&["--space", &space.to_string_lossy()], "{rate}");
    assert!(
        code == Some(2) && said.contains("it has 'rate', and trial 1 has lr, epochs"),
        "{said}"
    );
    // The files that NePS wrote stay what they were, also where they are written again.
    let files = |id: &str| dir.join(format!("configs/config_{id}/config.yaml"));
    let lines = |id: &str| {
        let text = fs::read_to_string(files(id)).unwrap();
        text.lines().map(str::to_string).collect::<std::collections::BTreeSet<_>>()
    };
    let before = lines("1");
    fs::remove_file(files("1")).unwrap();
    assert!(trialmill(&["check", &text, "--repair"]).status.success());
    assert_eq!(lines("1"), before);
    let (code, said) = worker(&[], "{kernel}");
    assert!(code == Some(0), "{said}");
    let ended = trials(&dir);
    for trial in &ended {
        let kernel = resolved[trial["id"].as_str().unwrap()]["kernel"].as_f64();
        assert_eq!(trial["report"]["objective_to_minimize"].as_f64(), kernel);
    }
    as_resolved();
    // A lost cache is made anew of the files, and the other way round.
    fs::remove_file(dir.join("configs/.trial_cache.pkl")).unwrap();
    assert!(trialmill(&["check", &text, "--repair"]).status.success());
    as_resolved();
    fs::remove_file(files("1")).unwrap();
    assert!(trialmill(&["check", &text, "--repair"]).status.success());
    assert_eq!(lines("1"), before);
}
