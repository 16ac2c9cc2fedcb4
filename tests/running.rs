//! Studies that run in this process: closures, hooks, limits, errors, the handle.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::time::Duration;

use trialmill::RandomSearch;
use trialmill::{
    AskOutcome, BoxError, Budget, Error, GridSearch, Objective, OnError, Optimizer, OptimizerInfo,
    Parameter, Proposal, Report, ReportDefaults, ReportOutcome, RunningTrial, SamplingRequest,
    SearchSpace, State, StopReason, Study, StudyBuilder, Summary, Trial, current_trial,
};

fn space() -> SearchSpace {
    SearchSpace::new([("x", Parameter::float(0.0, 1.0)), ("n", Parameter::int(1, 9))]).unwrap()
}

fn study(dir: &tempfile::TempDir) -> StudyBuilder {
    Study::builder(dir.path().join("study"))
        .space(space())
        .seed(1)
        .ctrl_c(false)
        .optimizer(RandomSearch::new())
}

fn objective(trial: &RunningTrial) -> Result<f64, BoxError> {
    Ok(trial.config().float("x")?)
}

#[test]
fn each_worker_sees_its_own_current_trial() {
    let dir = tempfile::tempdir().unwrap();
    assert!(current_trial().is_none());
    // All eight evaluate at once, each time.
    let barrier = Barrier::new(8);
    let outcome = study(&dir)
        .workers(8)
        .max_evaluations(80)
        .run(|trial: &RunningTrial| {
            barrier.wait();
            let current = current_trial().ok_or("no current trial")?;
            assert_eq!(current.id(), trial.id());
            assert_eq!(current.config(), trial.config());
            std::fs::write(trial.dir()?.join("mark"), trial.id().to_string())?;
            Ok(0.5)
        })
        .unwrap();
    assert!(current_trial().is_none());
    assert_eq!(outcome.study().count(State::Success), 80);
    for trial in outcome.study().trials() {
        let mark = dir.path().join("study/trials").join(trial.id.to_string()).join("mark");
        assert_eq!(std::fs::read_to_string(mark).unwrap(), trial.id.to_string());
    }
}

#[test]
fn a_panic_an_error_and_a_failure_are_recorded_and_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let on_error = ReportDefaults {
        // Better than any success.
        objective_on_error: Some(Objective::One(0.0)),
        cost_on_error: Some(2.0),
        cost_if_not_provided: Some(1.0),
        ..ReportDefaults::default()
    };
    let outcome = study(&dir)
        .workers(2)
        .defaults(on_error)
        .max_evaluations(40)
        .run(|trial: &RunningTrial| match trial.id().number().unwrap_or(0) % 4 {
            0 => panic!("boom {}", trial.id()),
            1 => Err("it diverged".into()),
            2 => Ok(Report::failed("infeasible")),
            _ => Ok(Report::objective(0.25)),
        })
        .unwrap();
    let study = outcome.study();
    let counts = [State::Success, State::Failed, State::Crashed].map(|state| study.count(state));
    assert_eq!(counts, [10, 10, 20]);
    assert_eq!(study.spent().cost, 10.0 + 2.0 * 30.0);
    let trial = study.trial(&"4".parse().unwrap()).unwrap();
    let report = trial.report.as_ref().unwrap();
    let failure = report.failure.as_ref().unwrap();
    assert_eq!(failure.err_type, "panic");
    assert!(failure.err.starts_with("boom 4, at tests/running.rs:"), "{}", failure.err);
    assert_eq!(report.objective_to_minimize, Some(Objective::One(0.0)));
    assert_eq!(outcome.best().and_then(Trial::objective), Some(0.25), "an error is never best");
    assert_eq!(study.front().len(), 1);
}

#[test]
fn errors_stop_what_they_are_said_to_stop() {
    let fails_at_3 = |trial: &RunningTrial| match trial.id().number() {
        Some(3) => Err(BoxError::from("third")),
        _ => Ok(0.0),
    };
    let run = |what| {
        let dir = tempfile::tempdir().unwrap();
        study(&dir).workers(1).max_evaluations(9).on_error(what).run(fails_at_3)
    };
    for (what, trials) in [(OnError::Ignore, 9), (OnError::StopWorker, 3), (OnError::StopAll, 3)] {
        assert_eq!(run(what).unwrap().study().trials().len(), trials, "{what:?}");
    }
    for what in [OnError::RaiseWorker, OnError::RaiseAny] {
        let error = run(what).unwrap_err();
        assert!(matches!(&error, Error::Evaluation { message, .. } if message == "third"));
        assert_eq!(error.exit_code(), 8);
    }
    // Errors of an earlier run do not keep a later one from going on.
    let dir = tempfile::tempdir().unwrap();
    let again = || study(&dir).workers(1).max_evaluations(9).on_error(OnError::RaiseAny);
    assert!(again().run(fails_at_3).is_err());
    assert_eq!(again().run(fails_at_3).unwrap().study().trials().len(), 9);
}

#[test]
fn a_run_in_which_nothing_succeeds_gives_up() {
    let dir = tempfile::tempdir().unwrap();
    let fails = |_: &RunningTrial| -> Result<f64, BoxError> { Err("no such data".into()) };
    let error = study(&dir).workers(2).max_evaluations(500).run(fails).unwrap_err();
    assert!(error.to_string().contains("no such data"), "{error}");
    let summary = Summary::read(&dir.path().join("study")).unwrap();
    assert!((20..30).contains(&summary.study().errors()));
    // Given back and mended, the same study succeeds.
    let session = study(&dir).workers(2).max_evaluations(50).open().unwrap();
    let given_back = session.handle().retry(&[State::Crashed]).unwrap();
    assert_eq!(given_back.len() as u64, summary.study().errors());
    session.run(objective).unwrap();
    let outcome = session.close().unwrap();
    assert_eq!(outcome.study().count(State::Success), 50);
    assert_eq!(outcome.study().errors(), 0);
}

#[test]
fn a_budget_of_cost_stops_the_study() {
    let dir = tempfile::tempdir().unwrap();
    let dear = |_: &RunningTrial| Ok(Report::objective(1.0).cost(2.5));
    let outcome = study(&dir).workers(1).max_cost(10.0).run(dear).unwrap();
    assert_eq!((outcome.study().trials().len(), outcome.study().spent().cost), (4, 10.0));
}

#[test]
fn a_report_is_durable_before_the_hook_hears_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study");
    let (seen, events, samples) = <(Arc<AtomicU64>, Arc<AtomicU64>, Arc<AtomicU64>)>::default();
    let (count_seen, count_events, count_samples) = (seen.clone(), events.clone(), samples.clone());
    let journal = path.join("journal.jsonl");
    study(&dir)
        .workers(4)
        .batch(3)
        .max_evaluations(60)
        .before_sampling(move |request: &SamplingRequest<'_>| {
            count_samples.fetch_add(request.n() as u64, Ordering::Relaxed);
        })
        .after_evaluation(move |trial, report| {
            let text = std::fs::read_to_string(&journal).unwrap();
            let line = |line: &&str| {
                line.contains("\"reported\"")
                    && line.contains(&format!("\"trial\":\"{}\"", trial.id))
            };
            assert_eq!(text.lines().filter(line).count(), 1);
            assert!(report.evaluation_duration.is_some());
            count_seen.fetch_add(1, Ordering::Relaxed);
        })
        .on_event(move |_| {
            count_events.fetch_add(1, Ordering::Relaxed);
        })
        .run(objective)
        .unwrap();
    assert_eq!((seen.load(Ordering::Relaxed), samples.load(Ordering::Relaxed)), (60, 60));
    // A sampling and a report for each trial; that we joined, and that we left.
    assert_eq!(events.load(Ordering::Relaxed), 122);
}

#[test]
fn a_closure_can_see_that_its_time_is_up() {
    let dir = tempfile::tempdir().unwrap();
    let patient = |trial: &RunningTrial| -> Result<f64, BoxError> {
        while !trial.should_stop() {
            std::thread::yield_now();
        }
        Err("told to stop".into())
    };
    let outcome = study(&dir)
        .workers(2)
        .timeout(Duration::from_millis(20))
        .max_evaluations(4)
        .run(patient)
        .unwrap();
    let kinds: BTreeSet<_> = outcome
        .study()
        .trials()
        .iter()
        .map(|t| t.report.as_ref().unwrap().failure.as_ref().unwrap().err_type.clone())
        .collect();
    assert_eq!(kinds, BTreeSet::from(["timeout".to_string()]));
}

#[test]
fn stopping_hands_back_what_is_not_done_and_the_next_run_does_it() {
    let dir = tempfile::tempdir().unwrap();
    let session = study(&dir).workers(3).max_evaluations(30).open().unwrap();
    let (stop, begun) = (session.stop_signal(), AtomicUsize::new(0));
    let reason = session.run(|trial| {
        if begun.fetch_add(1, Ordering::SeqCst) == 12 {
            stop.stop();
        }
        match trial.should_stop() {
            true => Err(BoxError::from("stopped")),
            false => Ok(0.0),
        }
    });
    let outcome = session.close().unwrap();
    assert_eq!(reason.unwrap(), StopReason::Interrupted);
    assert!(outcome.was_interrupted());
    assert_eq!(outcome.study().count(State::Evaluating), 0);
    assert!(outcome.study().count(State::Pending) >= 1);
    assert_eq!(outcome.study().errors(), 0);
    let outcome = study(&dir).max_evaluations(30).run(objective).unwrap();
    assert_eq!(outcome.study().count(State::Success), 30);
    assert_eq!(outcome.study().trials().len(), 30, "handed-back trials come before new ones");
}

#[test]
fn the_handle_does_what_neps_state_does() {
    let dir = tempfile::tempdir().unwrap();
    let session = study(&dir).max_evaluations(10).open().unwrap();
    let handle = session.handle();
    let sampled = handle.sample(3).unwrap().into_trials();
    assert_eq!(sampled.len(), 3);
    assert_eq!(handle.next_pending(2).unwrap(), sampled[..2]);
    let minute = Duration::from_mins(1);
    let AskOutcome::Trials(asked) = handle.ask("me", 2, minute).unwrap() else { panic!() };
    assert_eq!(
        asked.iter().map(|trial| &trial.id).collect::<Vec<_>>(),
        [&sampled[0].id, &sampled[1].id]
    );
    assert_eq!(handle.evaluating().unwrap().len(), 2);
    let (first, second) = (&asked[0].id, &asked[1].id);
    assert_eq!(handle.report(first, Some(1), 0.5.into()).unwrap(), ReportOutcome::Accepted);
    let late = handle.report(first, Some(1), 0.6.into()).unwrap();
    assert_eq!(late, ReportOutcome::Superseded { state: State::Success, attempts: 1 });
    assert_eq!(handle.release(second, None).unwrap(), ReportOutcome::Accepted);
    assert_eq!(handle.trial(second).unwrap().state, State::Pending);
    assert!(handle.trial(&"99".parse().unwrap()).is_err());
    assert_eq!(handle.trial_ids().unwrap().len(), 3);
    assert_eq!(handle.optimizer_info().unwrap().name, "random_search");
    assert_eq!(handle.optimizer_state().unwrap().2, 3);
    let mut corrected = handle.trial(first).unwrap();
    corrected.report = Some(Box::new(Report::objective(0.125).extra("note", "measured again")));
    handle.put(corrected).unwrap();
    assert_eq!(
        handle.with_study(|study| study.best().and_then(Trial::objective)).unwrap(),
        Some(0.125)
    );
    assert!(handle.errors().unwrap().is_empty());
    assert!(handle.with_study(|_| panic!("somebody else's mistake")).is_err());
    assert_eq!(handle.trial_ids().unwrap().len(), 3, "the state does not mind");
    let huge = "x".repeat(trialmill_core::limits::MAX_LINE_BYTES);
    let error = handle.report(second, None, Report::failed(huge)).unwrap();
    assert!(matches!(error, ReportOutcome::Superseded { .. }), "it is pending again");
    let AskOutcome::Trials(again) = handle.ask("me", 1, minute).unwrap() else { panic!() };
    assert_eq!((&again[0].id, again[0].attempts), (second, 2));
    let huge = Report::failed("x".repeat(trialmill_core::limits::MAX_LINE_BYTES));
    assert!(handle.report(second, None, huge).unwrap_err().to_string().contains("bytes"));
    assert_eq!(handle.report(second, None, 0.7.into()).unwrap(), ReportOutcome::Accepted);
    drop(session);
    let summary = Summary::read(&dir.path().join("study")).unwrap();
    assert_eq!(summary.study().count(State::Success), 2);
    assert!(summary.problem().is_none());
}

/// Proposes from a thread of its own, and waits for all results between its batches of four.
struct Slow {
    asked: Arc<Mutex<Vec<usize>>>,
}

impl Optimizer for Slow {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("slow", [("batch", 4)])
    }

    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        let trials = request.trials();
        if trials.len() >= 12 {
            return Ok(Proposal::Finished);
        }
        if trials.iter().any(|trial| !trial.state.is_finished()) {
            return Ok(Proposal::Wait);
        }
        self.asked.lock().unwrap().push(trials.len());
        let mut rng = request.rng(0);
        let draw = |_| request.space().config(|(_, parameter)| parameter.sample(&mut rng)).into();
        Ok(Proposal::Evaluate((0..request.n().min(4)).map(draw).collect()))
    }

    fn is_slow(&self) -> bool {
        true
    }
}

/// Once a run hung for ever, in one of a hundred: the optimizer said that it had finished in the very
/// turn in which workers began to wait, and nobody told those. Hence the rounds.
#[test]
fn no_worker_waits_for_ever_for_a_slow_optimizer() {
    for _ in 0..30 {
        a_slow_optimizer_proposes_and_waits();
    }
}

fn a_slow_optimizer_proposes_and_waits() {
    let dir = tempfile::tempdir().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let outcome =
        study(&dir).optimizer(Slow { asked: asked.clone() }).workers(4).run(objective).unwrap();
    assert_eq!(outcome.stopped(), StopReason::Finished);
    assert!(outcome.study().trials().len() >= 12);
    assert!(asked.lock().unwrap().len() >= 3);
    // Opening it with another optimizer shows both.
    let error = study(&dir).optimizer(GridSearch::default()).run(objective).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("slow(batch=4)") && text.contains("grid_search(points=10)"), "{text}");
    assert_eq!(error.exit_code(), 3);
}

#[test]
fn an_optimizer_that_fails_ends_the_run_with_its_words() {
    struct Broken(bool);
    impl Optimizer for Broken {
        fn info(&self) -> OptimizerInfo {
            OptimizerInfo { name: "broken".into(), arguments: serde_json::Map::new() }
        }
        fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
            match request.trials().len() {
                0..5 => Ok(Proposal::Evaluate(vec![
                    request.space().config(|(_, p)| p.domain().from_unit(0.5)).into(),
                ])),
                _ => Err("the matrix is singular".into()),
            }
        }
        fn is_slow(&self) -> bool {
            self.0
        }
    }
    for slow in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let error = study(&dir).optimizer(Broken(slow)).workers(2).run(objective).unwrap_err();
        assert!(error.to_string().contains("the matrix is singular"), "{error}");
        assert_eq!(error.exit_code(), 7);
        let summary = Summary::read(&dir.path().join("study")).unwrap();
        assert_eq!(summary.study().trials().len(), 5);
    }
}

#[test]
fn a_directory_is_overwritten_only_when_nobody_holds_it() {
    let dir = tempfile::tempdir().unwrap();
    let session = study(&dir).max_evaluations(3).open().unwrap();
    let error = study(&dir).overwrite(true).run(objective).unwrap_err();
    assert!(error.to_string().contains("in use"), "{error}");
    session.close().unwrap();
    study(&dir).max_evaluations(3).run(objective).unwrap();
    let outcome = study(&dir).overwrite(true).max_evaluations(2).run(objective).unwrap();
    assert_eq!(outcome.study().trials().len(), 2);
    let other = dir.path().join("other");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("thesis.tex"), "years of work").unwrap();
    let error = Study::builder(&other).space(space()).overwrite(true).run(objective).unwrap_err();
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    assert!(other.join("thesis.tex").exists());
}

#[test]
fn a_grid_and_a_study_in_memory_end_by_themselves() {
    let space =
        SearchSpace::new([("a", Parameter::categorical(["x", "y"])), ("b", Parameter::int(1, 3))]);
    let outcome = Study::in_memory()
        .space(space.unwrap())
        .optimizer(GridSearch::default())
        .workers(3)
        .run(|trial: &RunningTrial| {
            assert!(trial.dir().is_err());
            Ok(trial.config().int("b")? as f64)
        })
        .unwrap();
    assert_eq!((outcome.study().trials().len(), outcome.stopped()), (6, StopReason::Finished));
    assert_eq!(outcome.best().unwrap().config.int("b").unwrap(), 1);
}

#[test]
fn settings_that_make_no_sense_are_refused_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let nan = Budget { cost: Some(f64::NAN), ..Budget::default() };
    for builder in [
        study(&dir).workers(0),
        study(&dir).batch(0),
        study(&dir).budget(nan),
        study(&dir).max_seconds_per_worker(-1.0),
        Study::builder(dir.path().join("study")),
    ] {
        assert!(builder.run(objective).is_err());
        assert!(!dir.path().join("study/study.json").exists());
    }
}

/// A grid that is slow to ask: it once left out every second point, because each proposal took its
/// random streams twice.
struct SlowGrid(GridSearch);

impl Optimizer for SlowGrid {
    fn info(&self) -> OptimizerInfo {
        self.0.info()
    }
    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        self.0.ask(request)
    }
    fn is_slow(&self) -> bool {
        true
    }
}

#[test]
fn a_slow_optimizer_leaves_no_sample_out() {
    let dir = tempfile::tempdir().unwrap();
    let space = SearchSpace::new([("n", Parameter::int(1, 40))]).unwrap();
    let grid = SlowGrid(GridSearch::new(40).unwrap());
    let outcome = Study::builder(dir.path().join("study"))
        .space(space)
        .optimizer(grid)
        .workers(4)
        .run(|trial| Ok(trial.config().float("n")?))
        .unwrap();
    let seen: BTreeSet<i64> =
        outcome.study().trials().iter().map(|t| t.config.int("n").unwrap()).collect();
    assert_eq!(seen, (1..=40).collect());
}

/// The hook is where people write their own records: it must not hear of results that do not count,
/// and must see the trial as it is stored.
#[test]
fn the_hook_hears_only_of_reports_that_count() {
    let dir = tempfile::tempdir().unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = heard.clone();
    let session = study(&dir)
        .workers(1)
        .max_evaluations(1)
        .after_evaluation(move |trial, _| {
            hears.lock().unwrap().push((trial.attempts, trial.state, trial.objective()));
        })
        .open()
        .unwrap();
    let handle = session.handle();
    session
        .run(|trial| {
            // Somebody takes the first attempt away while it is going on.
            if trial.attempt() == 1 {
                assert_eq!(handle.release(trial.id(), Some(1))?, ReportOutcome::Accepted);
            }
            Ok(f64::from(trial.attempt()))
        })
        .unwrap();
    assert_eq!(*heard.lock().unwrap(), [(2, State::Success, Some(2.0))]);
    drop(session);
    let panics = study(&dir).max_evaluations(5).after_evaluation(|_, _| panic!("no space left"));
    let error = panics.run(objective).unwrap_err().to_string();
    assert!(error.contains("hook") && error.contains("no space left"), "{error}");
}

/// The worker made a finished trial of its own for the hook, with its own clock: the times that a hook
/// wrote down were not those of the study.
#[test]
fn the_hook_sees_the_trial_as_it_is_stored() {
    let dir = tempfile::tempdir().unwrap();
    let heard: Arc<Mutex<Vec<Trial>>> = Arc::default();
    let hears = heard.clone();
    let outcome = study(&dir)
        .workers(2)
        .batch(2)
        .max_evaluations(10)
        .after_evaluation(move |trial, report| {
            assert_eq!(trial.report.as_deref(), Some(report));
            hears.lock().unwrap().push(trial.clone());
        })
        .run(objective)
        .unwrap();
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 10);
    for trial in heard.iter() {
        assert_eq!(Some(trial), outcome.study().trial(&trial.id));
    }
}

#[test]
fn a_caller_s_deadline_passes_also_in_memory() {
    let session = Study::in_memory().space(space()).workers(1).max_evaluations(1).open().unwrap();
    let handle = session.handle();
    assert!(handle.ask("p1-w1", 1, Duration::ZERO).is_err(), "a worker's name is not a caller's");
    let AskOutcome::Trials(asked) = handle.ask("me", 1, Duration::from_millis(1)).unwrap() else {
        panic!()
    };
    let given_back = || handle.snapshot().count(State::Pending) == 1;
    let begin = std::time::Instant::now();
    while !given_back() {
        assert!(begin.elapsed() < Duration::from_secs(20), "the deadline never passes");
        std::thread::yield_now();
    }
    let late = handle.report(&asked[0].id, Some(1), 0.5.into()).unwrap();
    assert_eq!(late, ReportOutcome::Superseded { state: State::Pending, attempts: 1 });
}

/// Somebody tidied up below a running study; it went on for hours and left nothing.
#[test]
fn a_directory_that_is_removed_under_a_run_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let session = study(&dir).workers(1).open().unwrap();
    let path = dir.path().join("study");
    let error = session
        .run(|trial| {
            if trial.id().number() == Some(5) {
                std::fs::remove_dir_all(&path)?;
            }
            Ok(1.0)
        })
        .unwrap_err();
    assert!(error.to_string().contains("removed"), "{error}");
    assert_eq!(error.exit_code(), 3);
}

/// A process was killed while it created a study; from then on the directory was refused for ever.
#[test]
fn a_study_whose_creator_was_killed_is_created_by_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("study");
    study(&dir).max_evaluations(3).open().unwrap().close().unwrap();
    let journal = std::fs::read_to_string(path.join("journal.jsonl")).unwrap();
    std::fs::remove_file(path.join("study.json")).unwrap();
    // What it had done: the journal with the rules of the study in it.
    let first = journal.lines().next().unwrap();
    std::fs::write(path.join("journal.jsonl"), format!("{first}\n")).unwrap();
    assert_eq!(study(&dir).max_evaluations(3).run(objective).unwrap().study().trials().len(), 3);
    // A journal with more in it is a study that lost its study.json: not to be begun anew.
    std::fs::remove_file(path.join("study.json")).unwrap();
    let error = study(&dir).max_evaluations(3).run(objective).unwrap_err();
    assert!(error.to_string().contains("no study.json"), "{error}");
}

/// From Rust only random and grid search could be named without the struct of all settings.
#[test]
fn an_optimizer_can_be_named_as_in_a_study_file() {
    let named = |name: &str| {
        let optimizer = OptimizerInfo::new(name, [("n_startup_trials", 3)]);
        Study::in_memory().space(space()).optimizer_named(optimizer).workers(1).max_evaluations(5)
    };
    let outcome = named("tpe").run(objective).unwrap();
    assert_eq!(outcome.study().definition().optimizer.name, "tpe");
    assert_eq!(outcome.study().count(State::Success), 5);
    let error = named("tpee").run(objective).unwrap_err().to_string();
    assert!(error.contains("tpee") && error.contains("tpe,"), "{error}");
}
