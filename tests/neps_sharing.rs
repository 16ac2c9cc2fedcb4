//! Several trialmill processes on a directory in NePS's layout. Beside genuine NePS workers they are
//! in `tests/neps/live.py`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use trialmill_layouts::Studies;

use serde_json::Value as Json;
use tempfile::TempDir;
use trialmill::{
    AskOutcome, Parameter, RandomSearch, Report, ReportOutcome, SearchSpace, State, Study, Summary,
};
use trialmill_core::event::{EventKind, Policy};
use trialmill_core::study::{Answer, Ask};
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, FileLock, Purpose, Replica};

const PATIENCE: Duration = Duration::from_mins(1);

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        let home = Home(tempfile::tempdir().unwrap());
        let study = "space:\n  x: {lower: -5.0, upper: 5.0}\n  kind: [a, 'on', '1e5']\nseed: 7\n";
        fs::write(home.0.path().join("study.yaml"), study).unwrap();
        home
    }

    fn dir(&self) -> PathBuf {
        self.0.path().join("runs/study")
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trialmill"));
        command.args(arguments).current_dir(self.0.path()).stdout(Stdio::null());
        command.spawn().unwrap()
    }

    fn run(&self, layout: &str, evaluations: u64, command: &str) -> Child {
        let evaluations = evaluations.to_string();
        let workers = ["--workers", "2", "--quiet", "--", "sh", "-c", command];
        let study = ["run", "study.yaml", "--layout", layout, "--dir", "runs/study"];
        self.start(&[&study[..], &["--evaluations", &evaluations], &workers].concat())
    }

    fn ledger(&self) -> BTreeMap<String, u32> {
        let mut evaluated = BTreeMap::new();
        let text = fs::read_to_string(self.0.path().join("ledger")).unwrap_or_default();
        for line in text.lines() {
            *evaluated.entry(line.to_string()).or_default() += 1;
        }
        evaluated
    }

    fn check(&self) -> Json {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trialmill"));
        let output = command.args(["check", "--json"]).arg(self.dir()).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is() {
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn counts(dir: &Path, state: State) -> u64 {
    Summary::read(dir).map_or(0, |summary| summary.study().count(state))
}

/// NePS workers started together on a new directory read its half-written files, and some die.
#[test]
fn eight_processes_that_find_no_directory_make_one_and_share_it() {
    for layout in ["neps", "neps-0.13"] {
        let home = Home::new();
        let command = "echo $TRIALMILL_TRIAL_ID >> ledger; echo {x}";
        let started: Vec<Child> = (0..8).map(|_| home.run(layout, 120, command)).collect();
        for mut child in started {
            assert!(child.wait().unwrap().success(), "{layout}");
        }
        let ledger = home.ledger();
        assert_eq!(ledger.len(), 120, "{layout}");
        assert!(ledger.values().all(|times| *times == 1), "{layout}: {ledger:?}");
        assert_eq!(counts(&home.dir(), State::Success), 120, "{layout}");
        assert_eq!(home.check()["findings"], serde_json::json!([]), "{layout}");
        let beside: Vec<_> = fs::read_dir(home.0.path().join("runs")).unwrap().collect();
        assert_eq!(beside.len(), 1, "{layout}: something is left beside: {beside:?}");
    }
}

#[test]
fn the_trials_of_a_killed_process_are_taken_back_and_all_its_reports_are_there() {
    let home = Home::new();
    let slow = "echo $TRIALMILL_TRIAL_ID >> ledger; test -e go || sleep 60; echo {x}";
    fs::write(home.0.path().join("go"), "").unwrap();
    let mut first = home.run("neps", 12, slow);
    eventually("reports", || counts(&home.dir(), State::Success) >= 3);
    fs::remove_file(home.0.path().join("go")).unwrap();
    let evaluating = || counts(&home.dir(), State::Evaluating);
    eventually("two that hang", || evaluating() == 2 || counts(&home.dir(), State::Success) == 12);
    let done = counts(&home.dir(), State::Success);
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(done < 12, "the machine was faster than this test: {done}");

    fs::write(home.0.path().join("go"), "").unwrap();
    assert!(home.run("neps", 12, slow).wait().unwrap().success());
    let summary = Summary::read(&home.dir()).unwrap();
    let study = summary.study();
    assert_eq!((study.count(State::Success), study.trials().len()), (12, 12));
    let twice = study.trials().iter().filter(|trial| trial.attempts == 2).count();
    assert_eq!(twice, 2, "two were being evaluated when their process died");
    let sum: u32 = home.ledger().values().sum();
    // The kill may have come before a command had begun.
    assert!((12..=14).contains(&sum), "{sum} evaluations of 12 trials");
    assert_eq!(home.check()["sound"], true);
}

#[test]
fn a_trial_handed_to_a_caller_outside_comes_back_after_its_deadline() {
    let home = Home::new();
    let create = ["create", "study.yaml", "--layout", "neps", "--dir", "runs/study"];
    assert!(home.start(&create).wait().unwrap().success());
    assert!(home.start(&["ask", "runs/study", "--deadline", "0.2"]).wait().unwrap().success());
    assert_eq!(counts(&home.dir(), State::Evaluating), 1);
    let home_dir = home.dir();
    eventually("the deadline", || {
        let ask = ["ask", "runs/study", "--deadline", "1000", "--caller", "second"];
        assert!(home.start(&ask).wait().unwrap().success());
        let summary = Summary::read(&home_dir).unwrap();
        summary.study().trials().iter().any(|trial| trial.attempts == 2)
    });
    assert!(
        home.start(&["tell", "runs/study", "1", "--objective", "0.5"]).wait().unwrap().success()
    );
    let summary = Summary::read(&home.dir()).unwrap();
    assert_eq!(summary.study().best().unwrap().objective(), Some(0.5));
}

/// Genuine NePS 0.17 rewrites the cache without a lock when it starts. Trial 8 of another NePS worker,
/// just sampled, was dropped by that; we sampled a trial 8 too and moved its directory away, so both were
/// evaluated under one id, and one of the two results was lost (live.py --kill, seed 1588699843).
#[test]
fn a_trial_that_an_unlocked_rewrite_dropped_before_we_saw_it_keeps_its_id() {
    let home = Home::new();
    let mut first = home.run("neps", 3, "echo {x}");
    assert!(first.wait().unwrap().success());
    let cache = home.dir().join("configs/.trial_cache.pkl");
    let before = fs::read(&cache).unwrap();

    // We stay, and look only when we are asked. Somebody samples trial 4, and it is dropped.
    trialmill::Study::builder(home.dir()).max_evaluations(10).create().unwrap();
    let directory = Directory::open(&home.dir()).unwrap();
    let optimizer = trialmill_optimizers::of_study(directory.definition(), true, false);
    let mut core = StateCore::open(directory, trialmill::Durability::Buffered, optimizer).unwrap();
    assert!(home.start(&["ask", "runs/study"]).wait().unwrap().success());
    assert!(home.dir().join("configs/config_4/config.yaml").exists());
    fs::write(&cache, before).unwrap();

    let ask = Ask { worker: "me".into(), n: 1, lease: None, evaluation: None };
    let answer = core
        .execute_all(vec![trialmill_core::study::Command::Ask(ask)])
        .unwrap()
        .remove(0)
        .unwrap();
    let Answer::Evaluate(handed) = answer else { panic!("{answer:?}") };
    drop(core);
    let summary = Summary::read(&home.dir()).unwrap();
    let study = summary.study();
    assert_eq!(study.trials().len(), 5, "trial 4 is lost");
    assert_eq!(handed[0].id.to_string(), "5");
    assert!(!home.dir().join(".trialmill/config_4.set-aside").exists());
}

/// NePS 0.17 stores its parameters by name; a study file has them in the order of its author.
#[test]
fn a_study_file_with_the_same_space_in_another_order_joins_a_run_of_neps() {
    let home = Home::new();
    let classic =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/neps/0.17.0/classic");
    let mut copy = Command::new("cp");
    copy.arg("-r").arg(classic).arg(home.0.path().join("classic"));
    assert!(copy.status().unwrap().success());
    let space = "space:\n  x: {lower: -1.0, upper: 1.0}\n  opt: [sgd, 'on', adam]\n  \
                 n: {lower: 1, upper: 10}\n  lr: {lower: 1.0e-6, upper: 0.1, log: true}\n";
    fs::write(home.0.path().join("classic.yaml"), space).unwrap();
    let run = ["run", "classic.yaml", "--dir", "classic", "--evaluations", "10", "--quiet", "--"];
    let mut child = home.start(&[&run[..], &["sh", "-c", "echo {x}"]].concat());
    assert!(child.wait().unwrap().success());
    let summary = Summary::read(&home.0.path().join("classic")).unwrap();
    assert_eq!(summary.study().spent().evaluations, 10);
}

/// A report was dropped by an unlocked rewrite before another process had seen it: the trial stayed
/// `evaluating` for that one, and giving it back would have removed the report's last copy.
#[test]
fn a_report_that_an_unlocked_rewrite_dropped_and_an_emptied_cache_are_put_back() {
    let home = Home::new();
    assert!(home.run("neps", 3, "echo {x}").wait().unwrap().success());
    trialmill::Study::builder(home.dir()).max_evaluations(10).create().unwrap();
    let cache = home.dir().join("configs/.trial_cache.pkl");
    assert!(home.start(&["ask", "runs/study"]).wait().unwrap().success());
    let before = fs::read(&cache).unwrap();
    let directory = Directory::open(&home.dir()).unwrap();
    let optimizer = trialmill_optimizers::of_study(directory.definition(), true, false);
    let mut core = StateCore::open(directory, trialmill::Durability::Buffered, optimizer).unwrap();
    assert_eq!(core.study().count(State::Evaluating), 1);

    assert!(
        home.start(&["tell", "runs/study", "4", "--objective", "0.5"]).wait().unwrap().success()
    );
    // The same trials, made one dict by somebody who had read them before.
    fs::remove_file(&cache).unwrap();
    fs::write(&cache, before).unwrap();
    core.execute_all(Vec::new()).unwrap();
    assert_eq!((core.study().count(State::Evaluating), core.study().count(State::Success)), (0, 4));
    assert_eq!(counts(&home.dir(), State::Success), 4, "nor is it in the cache");

    // NePS empties the file before it writes it anew, and may die in between.
    fs::write(&cache, b"").unwrap();
    core.execute_all(Vec::new()).unwrap();
    assert_eq!(core.study().count(State::Success), 4);
    drop(core);
    assert_eq!(counts(&home.dir(), State::Success), 4);
    assert_eq!(home.check()["sound"], true);
}

/// A study that nobody else looks at.
struct Alone(trialmill::StudyState);

impl Replica for Alone {
    fn trials(&self) -> &trialmill::Trials {
        self.0.trials()
    }

    fn apply(
        &mut self,
        event: trialmill_core::event::Event,
    ) -> Result<(), trialmill_core::error::StudyError> {
        self.0.apply(event)
    }
}

/// Of two samples in one step the second was too large to store. The step was refused, but the first
/// was written: a trial that nobody had decided, and that nobody would evaluate, stood in the cache.
#[test]
fn a_step_that_is_refused_leaves_nothing_of_itself() {
    let home = Home::new();
    assert!(home.run("neps", 2, "echo {x}").wait().unwrap().success());
    let directory = Directory::open(&home.dir()).unwrap();
    let mut store = directory.layout().open(&directory, trialmill::Durability::Buffered).unwrap();
    let sampled = |number, kind: String| {
        let names = directory.definition().space.names().clone();
        let kind = trialmill::Value::Str(kind.into());
        let config = trialmill::Config::new(names, vec![trialmill::Value::Float(1.0), kind]);
        let (trial, worker) = (trialmill::TrialId::Number(number), "me".into());
        let (claimed, evaluation) = (false, None);
        let kind =
            EventKind::Sampled { trial, config, previous: None, worker, claimed, evaluation };
        trialmill_core::event::Event { time: 1.0, kind }
    };
    let mut study = Alone(trialmill::StudyState::new(directory.definition().clone()));
    store.begin(Purpose::Sampling, &mut study).unwrap();
    let too_large = "a".repeat(trialmill_core::limits::MAX_LINE_BYTES + 1);
    let events = [sampled(3, "a".into()), sampled(4, too_large)];
    let refused = store.stage(&events, study.trials()).unwrap_err();
    assert!(refused.to_string().contains("'4'"), "{refused}");
    store.commit(study.trials()).unwrap();
    let trials = || Summary::read(&home.dir()).unwrap().study().trials().len();
    assert_eq!(trials(), 2);
    store.begin(Purpose::Sampling, &mut study).unwrap();
    let event = sampled(3, "on".into());
    store.stage(std::slice::from_ref(&event), study.trials()).unwrap();
    study.apply(event).unwrap();
    store.commit(study.trials()).unwrap();
    drop(store);
    assert_eq!(trials(), 3);
    assert_eq!(home.check()["findings"].as_array().unwrap().len(), 0, "{:?}", home.check());
}

/// A process that looked at a directory in the moment in which only NePS's files were there, and came
/// back when another process had made ours, took NePS's word, which has no seed: it drew one of its
/// own, and refused the study as one with another seed.
#[test]
fn a_directory_that_was_looked_at_before_our_files_were_made_is_what_they_say() {
    let home = Home::new();
    home.run("neps", 3, "echo {x}").wait().unwrap();
    let own = home.dir().join(".trialmill");
    let aside = home.0.path().join("aside");
    fs::rename(&own, &aside).unwrap();
    let early = Directory::open_read_only(&home.dir()).unwrap();
    fs::rename(&aside, &own).unwrap();
    let there = Directory::open_read_only(&home.dir()).unwrap();
    let (wanted, policy) = (there.definition().clone(), Policy::default());
    let resumed = early.resume(wanted, Some(7), &policy, None).unwrap();
    assert_eq!(resumed.definition(), there.definition());
}

/// While NePS fits a model it holds its optimizer's lock, for minutes. A turn that only reports does not wait
/// for it, one that samples does; no test saw a turn that took itself for the other kind.
#[test]
fn a_report_does_not_wait_for_a_model_of_neps_and_a_sample_does() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("study");
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let session = Study::builder(&dir)
        .space(space)
        .optimizer(RandomSearch::new())
        .layout(trialmill::layout("neps").unwrap())
        .ctrl_c(false)
        .open()
        .unwrap();
    let handle = session.handle();
    let minute = Duration::from_mins(1);
    let AskOutcome::Trials(first) = handle.ask("me", 1, minute).unwrap() else {
        panic!("no trial")
    };
    let mut model = FileLock::open(&dir.join(".optimizer.lock"))
        .unwrap()
        .shared_with_others(Duration::from_millis(1));
    model.lock(PATIENCE).unwrap();

    let (told, reported) = std::sync::mpsc::channel();
    let reports = handle.clone();
    let id = first[0].id.clone();
    let report = std::thread::spawn(move || {
        told.send(reports.report(&id, None, Report::objective(0.5)).unwrap()).unwrap();
    });
    assert_eq!(reported.recv_timeout(PATIENCE).expect("it waits"), ReportOutcome::Accepted);
    report.join().unwrap();

    let (handed, asked) = std::sync::mpsc::channel();
    let asks =
        std::thread::spawn(move || handed.send(handle.ask("me", 1, minute).unwrap()).unwrap());
    assert!(asked.recv_timeout(Duration::from_millis(300)).is_err(), "sampled under NePS's lock");
    model.unlock().unwrap();
    assert!(matches!(asked.recv_timeout(PATIENCE).unwrap(), AskOutcome::Trials(_)));
    asks.join().unwrap();
    session.close().unwrap();
}
