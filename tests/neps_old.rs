//! Directories of NePS 0.12: read as NePS reads them, written so that NePS understands them, and
//! shared without a trial that runs twice.
#![allow(clippy::unwrap_used, clippy::panic)] // These are tests.

#[path = "support/copied.rs"]
mod copied;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Program;
use trialmill_layouts::Studies;

use copied::copy;

use fs2::FileExt;
use serde_json::{Value as Json, json};
use trialmill::{
    Durability, Optimizer, Parameter, RandomSearch, Report, SearchSpace, State, Summary, Trial,
    TrialId,
};
use trialmill_core::budget::Budget;
use trialmill_core::definition::Definition;
use trialmill_core::event::{Policy, Reason};
use trialmill_core::study::{Answer, Ask, Command, StopReason};
use trialmill_runtime::StateCore;
use trialmill_store::Directory;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/neps").join(name)
}

/// Every file with what is in it, but for our own.
fn files(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true if entry.file_name() == ".trialmill" => {}
            true => found.extend(files(&entry.path())),
            false => found.push((entry.path(), fs::read(entry.path()).unwrap())),
        }
    }
    found.sort();
    found
}

/// A run of NePS 0.12 with one finished trial and one whose worker was killed.
fn left_by_neps(version: &str) -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    copy(&fixture(version).join("batch"), &dir);
    (temp, dir)
}

fn open_with(dir: &Path, budget: Budget) -> StateCore {
    let space = SearchSpace::new([("x", Parameter::float(-1.0, 1.0))]).unwrap();
    let definition = Definition::new(space, RandomSearch::new().info());
    let policy = Policy { budget, ..Policy::default() };
    let layout = Some(trialmill_layouts::by_name("neps-0.12").unwrap());
    let (directory, _) = Directory::create_or_open(dir, definition, None, &policy, layout).unwrap();
    StateCore::open(directory, Durability::Synced, Box::new(RandomSearch::new())).unwrap()
}

fn open(dir: &Path) -> StateCore {
    open_with(dir, Budget::default())
}

fn ask(core: &mut StateCore) -> Trial {
    match try_ask(core) {
        Answer::Evaluate(mut handed) => handed.remove(0),
        answer => panic!("{answer:?}"),
    }
}

fn try_ask(core: &mut StateCore) -> Answer {
    let worker = trialmill_core::event::worker_id(core.process(), 1);
    core.execute_all(vec![Command::Ask(Ask { worker, n: 1, lease: None, evaluation: None })])
        .unwrap()
        .remove(0)
        .unwrap()
}

fn tell(core: &mut StateCore, trial: &Trial, report: Report) {
    let (trial, attempt) = (trial.id.clone(), Some(trial.attempts));
    let report = Command::Report { trial, attempt, report: Box::new(report) };
    assert_eq!(core.execute_all(vec![report]).unwrap().remove(0), Ok(Answer::Done));
}

fn state(core: &mut StateCore, id: &str) -> State {
    core.execute_all(Vec::new()).unwrap();
    core.study().trial(&id.parse().unwrap()).unwrap().state
}

fn text(dir: &Path, name: &str) -> String {
    fs::read_to_string(dir.join(name)).unwrap()
}

/// What NePS's own probe would find.
fn is_locked(dir: &Path, id: &TrialId) -> bool {
    let lock = fs::File::open(dir.join(format!("results/config_{id}/.config_lock"))).unwrap();
    lock.try_lock_exclusive().is_err()
}

/// The sidecar's and our ways to write numbers, made one.
fn plain(json: &Json) -> Json {
    match json {
        Json::Object(map) if map.len() == 1 && map.contains_key("$float") => map["$float"].clone(),
        Json::Object(map) => map.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
        Json::Array(list) => list.iter().map(plain).collect(),
        Json::Number(number) => json!(number.as_f64()),
        other => other.clone(),
    }
}

/// Our trials against what NePS's own classes say of a directory.
fn compare(ours: &Summary, sidecar: &Json, what: &str) {
    let theirs = sidecar["trials"].as_object().unwrap();
    assert_eq!(ours.study().trials().len(), theirs.len(), "{what}");
    let mut last = f64::NEG_INFINITY;
    for trial in ours.study().trials() {
        let what = format!("{what}, trial {}", trial.id);
        let theirs = &theirs[&trial.id.to_string()];
        let results = match &theirs["results"] {
            Json::Null => &theirs["report"]["results"],
            results => results,
        };
        let state = match theirs["state"].as_str().unwrap() {
            "evaluated" if results == "error" => State::Crashed,
            "evaluated" | "success" => State::Success,
            "error" => State::Crashed,
            "pending" => State::Pending,
            other => panic!("{what}: {other}"),
        };
        assert_eq!(trial.state, state, "{what}");
        assert_eq!(trial.attempts, u32::from(state != State::Pending), "{what}");
        let json = serde_json::to_value(ours.row(trial)).unwrap();
        assert_eq!(plain(&json["config"]), plain(&theirs["config"]), "{what}");
        assert_eq!(json["metadata"]["previous_trial_id"], theirs["previous"], "{what}");
        for time in ["time_sampled", "time_end"] {
            assert_eq!(json["metadata"][time], theirs["metadata"][time], "{what}: {time}");
        }
        assert!(trial.metadata.time_sampled >= last, "{what}: out of order");
        last = trial.metadata.time_sampled;
        if state == State::Success {
            let names = [
                ("objective_to_minimize", "loss"),
                ("cost", "cost"),
                ("learning_curve", "learning_curve"),
                ("extra", "info_dict"),
            ];
            for (name, old) in names {
                let (ours, theirs) = (plain(&json["report"][name]), plain(&results[old]));
                let none = name == "extra" && ours == json!({}) && theirs.is_null();
                assert!(none || ours == theirs, "{what}: {name} {ours} {theirs}");
            }
        }
    }
}

#[test]
fn every_directory_of_0_12_is_read_as_neps_reads_it_before_and_after_we_joined() {
    for version in ["0.12.0", "0.12.2"] {
        for name in ["batch", "budget", "hpo", "mf"] {
            let what = format!("{version}/{name}");
            let sidecar = fixture(version).join(format!("{name}.json"));
            let sidecar = serde_json::from_str(&fs::read_to_string(sidecar).unwrap()).unwrap();
            let temp = tempfile::tempdir().unwrap();
            let dir = temp.path().join("study");
            copy(&fixture(&what), &dir);
            let before = files(&dir);
            compare(&Summary::read(&dir).unwrap(), &sidecar, &what);
            assert!(!dir.join(".trialmill").exists() && before == files(&dir), "{what}");
            let directory = Directory::open(&dir).unwrap();
            let search = Box::new(RandomSearch::new());
            let core = StateCore::open(directory, Durability::Synced, search).unwrap();
            let max = (name == "budget").then_some(10.0);
            assert_eq!(core.study().policy().budget.cost, max, "{what}");
            drop(core);
            compare(&Summary::read(&dir).unwrap(), &sidecar, &format!("{what}, joined"));
            let neps_only = |file: &(PathBuf, Vec<u8>)| !file.0.ends_with(".decision_lock");
            let after: Vec<_> = files(&dir).into_iter().filter(neps_only).collect();
            let before: Vec<_> = before.into_iter().filter(neps_only).collect();
            assert!(before == after, "{what}: NePS's files were changed");
        }
    }
}

#[test]
fn what_is_written_is_what_neps_writes_and_what_is_read_again_without_our_journal() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    let mut core = open(&dir);
    core.join().unwrap();
    let info = "searcher_name: random_search\nsearcher_alg: random_search\n\
                searcher_selection: neps-default\nneps_decision_tree: false\nsearcher_args:\n  \
                use_priors: false\n  ignore_fidelity: true\n";
    assert_eq!(text(&dir, ".optimizer_info.yaml"), info);
    let reports = [
        Report::objective(0.5).cost(1.5).learning_curve([0.9, 0.5]).extra("epochs", 3),
        Report::crashed("ValueError", "it's broken").traceback("Traceback:\n  line"),
        Report::objective(f64::INFINITY).cost(2.5),
        Report::objective([1.0, 2.0]),
        Report::failed("diverged"),
    ];
    for report in reports.clone() {
        let trial = ask(&mut core);
        tell(&mut core, &trial, report);
    }
    let result = "cost: 1.5\ninfo_dict:\n  epochs: 3\nlearning_curve:\n- 0.9\n- 0.5\nloss: 0.5\n";
    assert_eq!(text(&dir, "results/config_1/result.yaml"), result);
    let metadata = text(&dir, "results/config_3/metadata.yaml");
    assert!(metadata.starts_with("account_for_cost: true\neval_cost: 2.5\nmax: null\ntime_end: "));
    assert!(metadata.ends_with("\nused: 1.5\n"), "{metadata}");
    let error = text(&dir, "results/config_2/error.yaml");
    assert_eq!(error, "err: it's broken\ntb: \"Traceback:\\n  line\"\n");
    assert_eq!(text(&dir, ".optimizer_state.yaml"), "used_budget: 4.0\n");
    let whole: Vec<Trial> = core.study().trials().iter().cloned().collect();
    drop(core);
    let with_journal = Summary::read(&dir).unwrap();
    assert!(whole.iter().eq(with_journal.study().trials().iter()), "the journal has everything");
    fs::remove_dir_all(dir.join(".trialmill")).unwrap();
    let alone = Summary::read(&dir).unwrap();
    for (before, after) in whole.iter().zip(alone.study().trials()) {
        assert_eq!((&before.id, &before.config), (&after.id, &after.config));
        let failed = before.state == State::Failed;
        assert_eq!(after.state, if failed { State::Crashed } else { before.state });
        let (before, after) = (before.report.as_ref().unwrap(), after.report.as_ref().unwrap());
        assert_eq!(before.objective_to_minimize, after.objective_to_minimize);
        assert_eq!((before.cost, &before.extra), (after.cost, &after.extra));
        assert_eq!(before.learning_curve, after.learning_curve);
        let message =
            |report: &Report| report.failure.as_ref().map(|f| (f.err.clone(), f.tb.clone()));
        assert_eq!(message(before), message(after));
    }
}

#[test]
fn a_trial_is_locked_for_neps_while_we_evaluate_it_and_comes_back_when_we_die() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    let mut core = open(&dir);
    core.join().unwrap();
    let (first, second) = (ask(&mut core), ask(&mut core));
    assert!(is_locked(&dir, &first.id) && is_locked(&dir, &second.id));
    tell(&mut core, &first, Report::objective(1.0));
    assert!(!is_locked(&dir, &first.id));
    // As the kernel does when a process dies: its locks are free, and nobody said anything.
    drop(core);
    assert!(!is_locked(&dir, &second.id));
    let mut core = open(&dir);
    core.join().unwrap();
    assert_eq!(state(&mut core, "2"), State::Evaluating, "its process is not buried yet");
    core.recover().unwrap();
    let again = ask(&mut core);
    assert_eq!((&again.id, again.attempts, again.losses), (&second.id, 2, 1));
    assert!(is_locked(&dir, &again.id));
    let (trial, attempt, reason) = (again.id.clone(), Some(2), Reason::Released);
    core.execute_all(vec![Command::Release { trial, attempt, reason }]).unwrap();
    assert!(!is_locked(&dir, &again.id));
}

#[test]
fn a_trial_of_a_killed_neps_worker_is_taken_and_one_that_neps_evaluates_is_not() {
    for version in ["0.12.0", "0.12.2"] {
        let (_temp, dir) = left_by_neps(version);
        let neps = fs::File::open(dir.join("results/config_2/.config_lock")).unwrap();
        neps.lock_exclusive().unwrap();
        let mut core = open_with(&dir, Budget { evaluations: Some(3), ..Budget::default() });
        core.join().unwrap();
        assert_eq!(state(&mut core, "2"), State::Evaluating, "{version}");
        assert_eq!(ask(&mut core).id.to_string(), "3", "{version}");
        assert!(matches!(try_ask(&mut core), Answer::Stop(StopReason::Budget(_))), "{version}");
        drop(neps);
        let taken = ask(&mut core);
        assert_eq!((taken.id.to_string().as_str(), taken.attempts), ("2", 2), "{version}");
        tell(&mut core, &taken, Report::objective(0.25));
        assert_eq!(text(&dir, "results/config_2/result.yaml"), "loss: 0.25\n");
    }
}

#[test]
fn what_neps_does_while_we_run_is_seen_at_the_next_turn() {
    let (_temp, dir) = left_by_neps("0.12.2");
    let mut core = open(&dir);
    core.join().unwrap();
    let results = dir.join("results");
    // NePS has sampled, and has not taken the trial's lock yet.
    copy(&results.join("config_2"), &results.join("config_3"));
    assert_eq!(state(&mut core, "3"), State::Evaluating);
    assert_eq!(ask(&mut core).id.to_string(), "2");
    assert_eq!(ask(&mut core).id.to_string(), "4", "an id of NePS is never used again");
    fs::write(results.join("config_3/result.yaml"), "cost: 2.0\nloss: 0.125\n").unwrap();
    assert_eq!(state(&mut core, "3"), State::Success);
    assert_eq!(core.study().best().unwrap().id.to_string(), "3");
    assert_eq!(core.study().spent().cost, 2.0);
    // A finished trial is not read again: a turn costs what changes.
    fs::write(results.join("config_3/result.yaml"), "{").unwrap();
    assert_eq!(state(&mut core, "3"), State::Success);
    let other = open(&dir);
    assert!(core.study().trials().iter().eq(other.study().trials().iter()), "one history");
}

/// NePS's seed removes corrupted trials before each sampling; here they stayed, each worker of NePS warned of them or
/// died of them, and `check` called the directory damaged for ever.
#[test]
fn what_makes_no_sense_is_named_and_set_aside_before_sampling_and_stops_nobody() {
    let (_temp, dir) = left_by_neps("0.12.2");
    let results = dir.join("results");
    for id in ["3", "4", "5", "8"] {
        copy(&results.join("config_1"), &results.join(format!("config_{id}")));
    }
    fs::remove_file(results.join("config_3/config.yaml")).unwrap();
    fs::write(results.join("config_4/error.yaml"), "err: x\ntb: null\n").unwrap();
    fs::write(results.join("config_5/result.yaml"), "loss: [").unwrap();
    fs::create_dir(results.join("config_6")).unwrap();
    // Somebody is at this one.
    fs::remove_file(results.join("config_8/config.yaml")).unwrap();
    fs::remove_file(results.join("config_8/result.yaml")).unwrap();
    let lock = fs::File::open(results.join("config_8/.config_lock")).unwrap();
    lock.lock_exclusive().unwrap();
    let before = files(&dir);
    let mut core = open(&dir);
    core.join().unwrap();
    let broken = ["3", "4", "5", "6", "8"];
    for id in broken {
        assert_eq!(state(&mut core, id), State::Corrupted, "{id}");
    }
    assert_eq!(ask(&mut core).id.to_string(), "2");
    assert_eq!(ask(&mut core).id.to_string(), "9");
    let after = files(&dir);
    let aside = |id: &str| dir.join(format!(".trialmill/config_{id}.set-aside"));
    let moved = ["3", "4", "5", "6"];
    for id in moved {
        let was = results.join(format!("config_{id}"));
        assert!(!was.exists() && aside(id).is_dir(), "{id}");
        for (path, content) in before.iter().filter(|(path, _)| path.starts_with(&was)) {
            let kept = aside(id).join(path.strip_prefix(&was).unwrap());
            assert_eq!(fs::read(&kept).unwrap(), *content, "nothing is lost: {}", kept.display());
        }
    }
    let is_moved =
        |path: &Path| moved.iter().any(|id| path.starts_with(results.join(format!("config_{id}"))));
    let mut others = before.iter().filter(|(path, _)| !is_moved(path));
    assert!(others.all(|file| after.contains(file)), "nothing else is changed");
    assert!(results.join("config_8").exists());
    // They stay what they are, and are not made anew.
    drop(core);
    let mut core = open(&dir);
    for id in broken {
        assert_eq!(state(&mut core, id), State::Corrupted, "{id}");
    }
    assert!(!results.join("config_3").exists());
}

#[test]
fn files_that_a_crash_took_are_written_again_and_half_written_state_stops_nobody() {
    let (_temp, dir) = left_by_neps("0.12.2");
    let results = dir.join("results");
    let whole = text(&dir, "results/config_1/result.yaml");
    drop(open(&dir));
    fs::remove_dir_all(results.join("config_2")).unwrap();
    fs::write(results.join("config_1/result.yaml"), "").unwrap();
    fs::write(results.join("config_1/config.yaml"), "").unwrap();
    fs::write(dir.join(".optimizer_state.yaml"), "").unwrap();
    fs::create_dir_all(dir.join(".seed_state")).unwrap();
    fs::write(dir.join(".seed_state/seed_info.json"), "").unwrap();
    let core = open(&dir);
    assert_eq!(text(&dir, "results/config_1/result.yaml"), whole);
    let x = core.study().trials().iter().next().unwrap().config.float("x").unwrap();
    assert_eq!(text(&dir, "results/config_1/config.yaml"), format!("x: {x}\n"));
    assert!(results.join("config_2/config.yaml").exists());
    assert!(!dir.join(".optimizer_state.yaml").exists() && !dir.join(".seed_state").exists());
    let kept = dir.join(".trialmill");
    assert!(kept.join("optimizer_state.yaml.damaged").exists());
    assert!(kept.join("seed_state.damaged/seed_info.json").exists());
}

#[test]
fn what_was_spent_is_told_to_neps_and_its_random_state_is_left_alone() {
    let (_temp, dir) = left_by_neps("0.12.0");
    let before = text(&dir, ".optimizer_state.yaml");
    let mut core = open_with(&dir, Budget { cost: Some(10.0), ..Budget::default() });
    core.join().unwrap();
    let trial = ask(&mut core);
    tell(&mut core, &trial, Report::objective(1.0).cost(2.5));
    let after = before.replace("used_budget: 0.0\n", "used_budget: 2.5\n");
    let (rest, seeds) = after.split_at(after.find("rnd_seeds").unwrap());
    assert_eq!(rest, "");
    assert_eq!(text(&dir, ".optimizer_state.yaml"), format!("remaining_budget: 7.5\n{seeds}"));
    assert!(text(&dir, "results/config_2/metadata.yaml").contains("max: 10.0\n"));
}

#[test]
fn a_whole_turn_of_costs_is_counted_once_also_where_neps_left_half_a_state() {
    let (_temp, dir) = left_by_neps("0.12.2");
    let mut core = open(&dir);
    core.join().unwrap();
    for (damage, used) in [(None, "3.5"), (Some("used_"), "7.0"), (Some(""), "10.5")] {
        if let Some(text) = damage {
            fs::write(dir.join(".optimizer_state.yaml"), text).unwrap();
        }
        let reports = [1.5, 2.0].map(|cost| {
            let Trial { id: trial, attempts, .. } = ask(&mut core);
            let report = Box::new(Report::objective(cost).cost(cost));
            Command::Report { trial, attempt: Some(attempts), report }
        });
        core.execute_all(reports.into()).unwrap();
        assert_eq!(text(&dir, ".optimizer_state.yaml"), format!("used_budget: {used}\n"));
    }
}

#[test]
#[ignore = "a measurement: cargo test --release --test neps_old -- --ignored --nocapture"]
fn trials_a_second_as_they_grow_in_number() {
    let temp = tempfile::tempdir().unwrap();
    let mut core = open(&temp.path().join("study"));
    core.join().unwrap();
    for thousand in 1..=10 {
        let begin = std::time::Instant::now();
        for _ in 0..1_000 {
            let trial = ask(&mut core);
            tell(&mut core, &trial, Report::objective(1.0));
        }
        println!("{thousand},000 trials: {:.0} a second", 1e3 / begin.elapsed().as_secs_f64());
    }
}

#[test]
fn a_trial_that_was_retried_waits_again_for_neps_too() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    let mut core = open(&dir);
    core.join().unwrap();
    let trial = ask(&mut core);
    tell(&mut core, &trial, Report::crashed("error", "once"));
    assert!(dir.join("results/config_1/error.yaml").exists());
    core.execute_all(vec![Command::Retry { states: vec![State::Crashed] }]).unwrap();
    assert!(!dir.join("results/config_1/error.yaml").exists());
    assert!(!text(&dir, "results/config_1/metadata.yaml").contains("time_end"));
    assert_eq!(ask(&mut core).attempts, 2);
}

/// Genuine NePS 0.12.2 beside trialmill, with and without kills: `tests/neps/live.py`.
#[test]
fn genuine_neps_shares_a_directory_and_no_trial_runs_twice() {
    let Some(home) = std::env::var_os("TRIALMILL_NEPS") else {
        println!("skipped: TRIALMILL_NEPS does not say where NePS is installed");
        return;
    };
    let live = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/neps/live.py");
    for more in [&[][..], &["--kill"]] {
        let arguments = ["--versions", "0.12.2", "--evaluations", "60"];
        let mut live = Program::new(&live);
        live.args(arguments).args(more).env("TRIALMILL_NEPS", &home);
        let done = live.env("TRIALMILL_BIN", env!("CARGO_BIN_EXE_trialmill")).output().unwrap();
        println!("{}", String::from_utf8_lossy(&done.stdout));
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}
