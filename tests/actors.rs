//! Parts of the program that fail while others go on: the state actor, an evaluation that takes its
//! process with it, callers that do not wait for their answer, a stop in the middle of a commit.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use trialmill_layouts::Studies;

use trialmill::{
    AskOutcome, BoxError, OnError, Optimizer, OptimizerInfo, Parameter, Proposal, RandomSearch,
    Report, RunningTrial, SamplingRequest, SearchSpace, State, Study, StudyBuilder, StudyState,
    Trial,
};
use trialmill_core::event::EventKind;
use trialmill_store::{Directory, read_study};

/// How soon a run ends whose state is lost: far below the evaluations that it leaves, far above what
/// the backtrace of the panic takes on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(20);

fn builder(dir: &Path) -> StudyBuilder {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    Study::builder(dir).space(space).seed(1).ctrl_c(false).optimizer(RandomSearch::new())
}

/// The study as its journal says, and the reports that stand in it.
fn stored(dir: &Path) -> (StudyState, BTreeSet<(String, u32)>) {
    let directory = Directory::open(dir).unwrap();
    let (mut study, mut reports) =
        (StudyState::new(directory.definition().clone()), BTreeSet::new());
    let problem = read_study(&directory, &mut |event| {
        if let EventKind::Reported { trial, attempt, .. } = &event.kind {
            reports.insert((trial.to_string(), *attempt));
        }
        study.apply(event)
    });
    assert!(problem.unwrap().is_none());
    (study, reports)
}

/// What was acknowledged.
#[derive(Clone, Default)]
struct Acks(Arc<Mutex<BTreeSet<(String, u32)>>>);

impl Acks {
    fn hear(&self, builder: StudyBuilder) -> StudyBuilder {
        let acks = self.clone();
        builder.after_evaluation(move |trial: &Trial, _: &Report| {
            acks.0.lock().unwrap().insert((trial.id.to_string(), trial.attempts));
        })
    }

    /// Everything that was acknowledged is stored; so a state that was lost acknowledged nothing.
    fn assert_kept(&self, dir: &Path) {
        let (_, reports) = stored(dir);
        let acked = self.0.lock().unwrap();
        assert!(!acked.is_empty() && acked.is_subset(&reports), "{acked:?} of {reports:?}");
    }
}

/// Samples like random search, and panics once an evaluation that takes an hour has begun.
struct PanicsOnce(Arc<OnceLock<Instant>>);

impl Optimizer for PanicsOnce {
    fn info(&self) -> OptimizerInfo {
        RandomSearch::new().info()
    }
    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        assert!(self.0.get().is_none(), "a mistake in the state actor");
        RandomSearch::new().ask(request)
    }
}

/// The state actor dies in the middle of a turn, while other workers evaluate what takes an hour:
/// three of four, and the fourth asks once the first of them has begun.
#[test]
fn a_panic_in_the_state_actor_ends_the_run_at_once_and_nothing_is_acknowledged_behind_it() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    let acks = Acks::default();
    let began = Arc::new(OnceLock::new());
    let run = acks.hear(builder(&dir)).optimizer(PanicsOnce(began.clone())).workers(4);
    let error = run.max_evaluations(40).run(|trial: &RunningTrial| {
        let number = trial.id().number().unwrap();
        if (10..=12).contains(&number) {
            began.get_or_init(Instant::now);
        }
        let until = Instant::now() + Duration::from_hours(1);
        let goes_on = || number < 10 || (number > 12 && began.get().is_some());
        while !goes_on() && Instant::now() < until && !trial.should_stop() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(0.5)
    });
    let error = error.unwrap_err();
    assert!(error.to_string().contains("a mistake in the state actor"), "{error}");
    assert_eq!(error.exit_code(), 70, "{error}");
    let took = began.get().unwrap().elapsed();
    assert!(took < AT_ONCE, "it took {took:?}");
    acks.assert_kept(&dir);
    // The next start goes on from what was acknowledged.
    let outcome = builder(&dir).workers(4).max_evaluations(40).run(|_: &RunningTrial| Ok(0.5));
    assert_eq!(outcome.unwrap().study().count(State::Success), 40);
}

/// Nobody asks anything when the turn comes that loses the state: the watcher wakes the state actor
/// because the journal has grown, and what has come is damaged. The run went on with evaluations of
/// hours whose results nobody could store.
#[test]
fn a_state_that_is_lost_while_everybody_evaluates_ends_the_run_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    let lost = Mutex::new(None);
    let run = builder(&dir).workers(2).max_evaluations(4).run(|trial: &RunningTrial| {
        // Both are evaluating; now somebody writes past the lock.
        if trial.id().number() == Some(2) {
            let mut journal =
                std::fs::OpenOptions::new().append(true).open(dir.join("journal.jsonl"))?;
            let text = std::fs::read_to_string(dir.join("journal.jsonl"))?;
            let moved = text.lines().last().unwrap().replacen("\"seq\":", "\"seq\":1", 1);
            let body = moved.split_once(',').unwrap().1;
            let crc = crc32fast::hash(body.as_bytes());
            writeln!(journal, "damaged\n{{\"crc\":\"{crc:08x}\",{body}")?;
            *lost.lock().unwrap() = Some(Instant::now());
        }
        let until = Instant::now() + Duration::from_mins(1);
        while Instant::now() < until && !trial.should_stop() {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(0.5)
    });
    let took = lost.lock().unwrap().unwrap().elapsed();
    let error = run.unwrap_err();
    assert_eq!(error.exit_code(), 5, "{error}");
    assert!(took < AT_ONCE, "it took {took:?}");
}

/// What a hook hears of is stored, so it is not lost with the state that the hook's panic ends.
#[test]
fn a_hook_that_panics_in_the_middle_of_a_commit_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    let (acks, mut reports) = (Acks::default(), 0);
    let run = acks.hear(builder(&dir)).workers(4).max_evaluations(40).on_event(move |event| {
        reports += u32::from(matches!(event.kind, EventKind::Reported { .. }));
        assert!(reports != 12, "no space left on device");
    });
    let error = run.run(|_: &RunningTrial| Ok(0.5)).unwrap_err();
    assert!(error.to_string().contains("no space left on device"), "{error}");
    acks.assert_kept(&dir);
    let outcome = builder(&dir).workers(4).max_evaluations(40).run(|_: &RunningTrial| Ok(0.5));
    assert_eq!(outcome.unwrap().study().count(State::Success), 40);
}

/// A stop that comes from within a commit, with reports and requests waiting for the next.
#[test]
fn a_stop_in_the_middle_of_a_commit_stores_what_was_evaluated_and_hands_back_the_rest() {
    for at in [1, 5, 20] {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("study");
        let (acks, mut reports) = (Acks::default(), 0);
        let stop = Arc::new(Mutex::new(None::<Box<dyn Fn() + Send>>));
        let stopper = stop.clone();
        let build = acks.hear(builder(&dir)).workers(8).max_evaluations(200);
        let session = build
            .on_event(move |event| {
                reports += u32::from(matches!(event.kind, EventKind::Reported { .. }));
                if let (true, Some(stop)) = (reports >= at, &*stopper.lock().unwrap()) {
                    stop();
                }
            })
            .open()
            .unwrap();
        let signal = session.stop_signal();
        *stop.lock().unwrap() = Some(Box::new(move || signal.stop()));
        session.run(|_: &RunningTrial| Ok(0.5)).unwrap();
        let outcome = session.close().unwrap();
        acks.assert_kept(&dir);
        let (study, reports) = stored(&dir);
        assert_eq!(*acks.0.lock().unwrap(), reports, "what is stored was acknowledged");
        assert_eq!((study.count(State::Evaluating), study.processes().count()), (0, 0));
        assert_eq!(outcome.study().trials().len(), study.trials().len());
        let outcome = builder(&dir).workers(8).max_evaluations(200).run(|_: &RunningTrial| Ok(0.5));
        assert_eq!(outcome.unwrap().study().count(State::Success), 200);
    }
}

/// Whoever asks while the study is closed gets an answer that holds, or an error; nobody waits.
#[test]
fn callers_at_the_moment_of_closing_get_an_answer_that_holds_or_an_error() {
    for round in 0..10 {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("study");
        let session = builder(&dir).max_evaluations(100_000).open().unwrap();
        let handles: Vec<_> = (0..4).map(|_| session.handle()).collect();
        let told = Mutex::new(BTreeSet::new());
        let count = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for (n, handle) in handles.into_iter().enumerate() {
                let (told, count) = (&told, &count);
                scope.spawn(move || {
                    let name = format!("caller-{n}");
                    while let Ok(AskOutcome::Trials(list)) =
                        handle.ask(&name, 1, Duration::from_hours(1))
                    {
                        let Ok(_) = handle.report(&list[0].id, Some(1), Report::objective(0.5))
                        else {
                            break;
                        };
                        told.lock().unwrap().insert((list[0].id.to_string(), 1));
                        count.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            while count.load(Ordering::SeqCst) < 5 + round {
                std::thread::yield_now();
            }
            drop(session.close().unwrap());
        });
        let (_, reports) = stored(&dir);
        assert!(told.lock().unwrap().is_subset(&reports), "told and not stored");
    }
}

/// Not a test: this binary as a process whose evaluation of trial 3 takes the process with it.
#[test]
#[ignore = "no test: a process that others start"]
fn dying_process() {
    let Some(dir) = std::env::var_os("TRIALMILL_TEST_DIR") else { return };
    let how = std::env::var("TRIALMILL_TEST_DEATH").unwrap();
    let run = builder(Path::new(&dir)).workers(1).max_evaluations(10);
    let outcome = run.run(|trial: &RunningTrial| match (trial.id().number(), how.as_str()) {
        (Some(3), "abort") => std::process::abort(),
        (Some(3), "overflow") => Ok(overflow(1.0)),
        (Some(3), "exit") => std::process::exit(7),
        _ => Ok(0.5),
    });
    assert_eq!(outcome.unwrap().study().count(State::Success), 9);
}

/// More frames than any stack has.
fn overflow(x: f64) -> f64 {
    let frame = std::hint::black_box([x; 512]);
    if x < 0.0 { frame[0] } else { overflow(x + 1.0) + frame[1] }
}

/// A closure that aborts, overflows the stack or exits cannot be fenced: it takes its process along.
/// The trial counts as crashed after three tries, and all others are evaluated. (Where a process has
/// several workers, what they evaluate just then loses the attempt too.)
#[test]
fn an_evaluation_that_kills_its_process_is_not_tried_for_ever() {
    for how in ["abort", "overflow", "exit"] {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("study");
        let mut deaths = 0;
        loop {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["--exact", "dying_process", "--ignored"]).env("TRIALMILL_TEST_DIR", &dir);
            command.env("TRIALMILL_TEST_DEATH", how).stdout(Stdio::null()).stderr(Stdio::null());
            if command.status().unwrap().success() {
                break;
            }
            deaths += 1;
            assert!(deaths < 4, "{how}: it is tried for ever");
        }
        assert_eq!(deaths, 3, "{how}");
        let (study, _) = stored(&dir);
        assert_eq!((study.count(State::Success), study.count(State::Crashed)), (9, 1), "{how}");
        let crashed = study.last_error().unwrap();
        assert_eq!(crashed.id.to_string(), "3");
        let failure = crashed.report.as_ref().unwrap().failure.as_ref().unwrap();
        assert_eq!(failure.err_type, "worker-died");
    }
}

/// Processes of other machines are buried after a minute without a sign of life, and their trials
/// given to others; the signs might have stopped, and nothing on one machine shows it.
#[test]
fn a_run_gives_signs_of_life_as_long_as_it_evaluates() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    let sign = dir.join("workers/p1.lock");
    let evaluate = |_: &RunningTrial| {
        let count = || -> u64 { std::fs::read_to_string(&sign).unwrap().trim().parse().unwrap() };
        let (first, begin) = (count(), Instant::now());
        while count() == first {
            assert!(begin.elapsed() < Duration::from_secs(50), "another machine calls it silent");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(1.0)
    };
    let outcome = builder(&dir).workers(1).max_evaluations(2).run(evaluate).unwrap();
    assert_eq!(outcome.study().count(State::Success), 2, "{:?}", outcome.study().last_error());
}

/// Who stops in the middle of a batch hands the rest of it back, whatever it stops for.
#[test]
fn a_worker_that_stops_in_a_batch_begins_no_more_of_it() {
    for interrupted in [false, true] {
        let temp = tempfile::tempdir().unwrap();
        let session = builder(temp.path())
            .workers(1)
            .batch(3)
            .on_error(OnError::StopWorker)
            .max_evaluations(9)
            .open()
            .unwrap();
        let stop = session.stop_signal();
        let evaluate = |trial: &RunningTrial| -> Result<f64, BoxError> {
            match trial.id().to_string().as_str() {
                "2" if interrupted => stop.stop(),
                "2" => return Err("diverged".into()),
                _ => {}
            }
            Ok(1.0)
        };
        session.run(evaluate).unwrap();
        let outcome = session.close().unwrap();
        let states: Vec<_> = outcome.study().trials().iter().map(|trial| trial.state).collect();
        let second = if interrupted { State::Success } else { State::Crashed };
        assert_eq!(states, [State::Success, second, State::Pending]);
    }
}
