//! What the seed documents promise: NePS's runtime and its state, in Rust. docs/neps.md has the table.
#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use trialmill::{
    AskOutcome, BoxError, Budget, Config, Error, GridSearch, Limit, Parameter, RandomSearch,
    Report, ReportDefaults, ReportOutcome, RunningTrial, SearchSpace, State, StopReason, Study,
    StudyBuilder, StudyError, Summary, Trial, Value,
};

fn study(dir: &tempfile::TempDir) -> StudyBuilder {
    let space = SearchSpace::new([("x", Parameter::float(-5.0, 5.0))]).unwrap();
    Study::builder(dir.path().join("s"))
        .space(space)
        .optimizer(RandomSearch::new())
        .seed(1)
        .workers(4)
        .ctrl_c(false)
}

// `run` takes closures that may fail.
#[allow(clippy::unnecessary_wraps)]
fn parabola(trial: &RunningTrial) -> Result<f64, BoxError> {
    Ok(trial.config().float("x")?.powi(2))
}

/// "At most 10 in this run" with four workers was 40: the limit was each worker's own.
#[test]
fn a_limit_of_the_run_is_one_of_all_its_workers_together() {
    let dir = tempfile::tempdir().unwrap();
    for batch in [1, 3] {
        for runs in 1..=2 {
            let outcome = study(&dir).batch(batch).max_evaluations_per_run(10).run(parabola);
            let outcome = outcome.unwrap();
            let before = if batch == 1 { 0 } else { 20 };
            assert_eq!(outcome.study().trials().len(), before + 10 * runs, "batch {batch}");
            assert_eq!(outcome.stopped(), StopReason::RunBudget(Limit::Evaluations));
            assert!(outcome.to_string().contains("the budget of this run is used: evaluations"));
        }
    }
    // The limit of the study holds over it, and the last run says which of the two it was.
    let last = study(&dir).max_evaluations(45).max_evaluations_per_run(10).run(parabola).unwrap();
    assert_eq!(last.study().trials().len(), 45);
    assert_eq!(last.stopped(), StopReason::Budget(Limit::Evaluations));
}

/// What was handed back, and what an answer did not use, is not spent.
#[test]
fn what_a_run_does_not_evaluate_it_has_not_spent() {
    let space = SearchSpace::new([("x", Parameter::int(1, 7))]).unwrap();
    let grid =
        || Study::in_memory().space(space.clone()).optimizer(GridSearch::default()).workers(3);
    // Each asks for five of the seven there are.
    let outcome =
        grid().batch(5).max_evaluations_per_run(7).ctrl_c(false).run(|_| Ok(1.0)).unwrap();
    assert_eq!(outcome.study().trials().len(), 7);

    let session = grid().max_evaluations_per_run(2).ctrl_c(false).open().unwrap();
    for done in [2, 4, 6, 7] {
        session.run(|_| Ok(1.0)).unwrap();
        let trials = session.handle().trials().unwrap();
        assert_eq!(trials.len(), done, "each run of a session has it anew");
    }
}

#[test]
fn a_limit_of_the_cost_of_the_run_ends_it_and_not_the_study() {
    let dir = tempfile::tempdir().unwrap();
    let begun = AtomicU64::new(0);
    let costly = |_: &RunningTrial| {
        begun.fetch_add(1, Ordering::SeqCst);
        Ok(Report::objective(1.0).cost(2.0))
    };
    let limit = Budget { cost: Some(6.0), ..Budget::default() };
    let outcome = study(&dir).workers(1).per_run(limit).run(costly).unwrap();
    assert_eq!(outcome.stopped(), StopReason::RunBudget(Limit::Cost));
    assert_eq!(begun.load(Ordering::SeqCst), 3);
    let more = study(&dir).workers(1).per_run(limit).max_cost(100.0).run(costly).unwrap();
    assert_eq!(more.study().trials().len(), 6);

    let steps = Budget { steps: Some(3), ..Budget::default() };
    let refused = study(&dir).per_run(steps).open().err().unwrap().to_string();
    assert!(refused.contains("per_run: steps are limited for the whole study alone"), "{refused}");
}

/// A result that said `account_for_cost: false` crashed its trial, or was charged all the same: a budget
/// that NePS would have gone on with was used up.
#[test]
fn a_cost_that_is_not_accounted_for_is_kept_and_not_charged_in_any_layout() {
    for layout in ["journal", "neps", "neps-0.14", "neps-0.13", "neps-0.12"] {
        let dir = tempfile::tempdir().unwrap();
        let study = || study(&dir).layout(trialmill::layout(layout).unwrap()).workers(1);
        let outcome = study().max_cost(5.0).max_evaluations(20).run(|trial| {
            let is_free = trial.id().number().is_some_and(|number| number % 2 == 0);
            Ok(Report::objective(1.0).cost(1.5).account_for_cost(!is_free))
        });
        // 1.5 for each second trial: 1, 3, 5 and 7.
        let outcome = outcome.unwrap();
        assert_eq!(outcome.study().trials().len(), 7, "{layout}");
        assert_eq!(outcome.stopped(), StopReason::Budget(Limit::Cost));
        let there = dir.path().join("s");
        for ours in [true, false] {
            let summary = Summary::read(&there).unwrap();
            assert_eq!(summary.study().spent().cost, 6.0, "{layout}, our files: {ours}");
            for trial in summary.study().trials() {
                let is_free = trial.id.number().is_some_and(|number| number % 2 == 0);
                let report = trial.report.as_ref().unwrap();
                assert_eq!(report.cost, Some(1.5), "{layout}, our files: {ours}");
                assert_eq!(report.account_for_cost, !is_free, "{layout}, our files: {ours}");
                assert_eq!(report.extra, None);
            }
            if layout == "journal" {
                break;
            }
            // What NePS's files say alone.
            std::fs::rename(there.join(".trialmill"), dir.path().join("aside")).ok();
        }
        if layout == "neps-0.12" {
            let state = std::fs::read_to_string(there.join(".optimizer_state.yaml")).unwrap();
            assert!(state.contains("used_budget: 6.0"), "{state}");
            let end = |id: u32, file: &str| {
                std::fs::read_to_string(there.join(format!("results/config_{id}/{file}"))).unwrap()
            };
            assert!(end(2, "metadata.yaml").contains("account_for_cost: false"));
            assert!(end(3, "metadata.yaml").contains("account_for_cost: true"));
            assert!(end(2, "result.yaml").contains("account_for_cost: false"));
            // As 0.12.2 writes it, where the result does not say so.
            let result = there.join("results/config_2/result.yaml");
            std::fs::write(&result, "cost: 1.5\nloss: 1.0\n").unwrap();
            assert_eq!(Summary::read(&there).unwrap().study().spent().cost, 6.0);
            // And as 0.12.0 does.
            let metadata = there.join("results/config_2/metadata.yaml");
            std::fs::write(&metadata, "budget:\n  account_for_cost: false\ntime_sampled: 1.0\n")
                .unwrap();
            assert_eq!(Summary::read(&there).unwrap().study().spent().cost, 6.0);
        }
    }
}

/// A cost budget and results without a cost: the run went on for ever, and NePS raises a `ValueError`.
#[test]
fn a_result_without_a_cost_is_an_error_where_the_budget_is_one_of_cost() {
    let dir = tempfile::tempdir().unwrap();
    let error =
        study(&dir).workers(2).max_cost(5.0).give_up_after(4).run(|_| Ok(0.25)).unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("the result (objective 0.25) has no cost"), "{shown}");
    assert_eq!(error.exit_code(), 8);

    // With a cost for those that report none it is none.
    let defaults = ReportDefaults { cost_if_not_provided: Some(1.0), ..ReportDefaults::default() };
    let outcome =
        study(&dir).overwrite(true).workers(1).max_cost(5.0).defaults(defaults).run(parabola);
    assert_eq!(outcome.unwrap().study().count(State::Success), 5);
    // A limit of the worker or of the run is minded as the study's is.
    let limit = Budget { cost: Some(1.0), ..Budget::default() };
    for of_run in [true, false] {
        let study = study(&dir).overwrite(true).workers(1).max_evaluations(3).give_up_after(2);
        let study = if of_run { study.per_run(limit) } else { study.per_worker(limit) };
        assert!(study.run(parabola).unwrap_err().to_string().contains("has no cost"));
    }
}

/// `put` took a configuration outside the space and handed it out, took a success back to pending, and
/// replaced a trial that was meant to be new.
#[test]
fn put_keeps_to_the_space_and_to_the_table_of_transitions() {
    let dir = tempfile::tempdir().unwrap();
    let session = study(&dir).open().unwrap();
    let handle = session.handle();
    let AskOutcome::Trials(asked) = handle.ask("me", 2, Duration::from_mins(10)).unwrap() else {
        panic!("nothing was handed out");
    };
    let report = |trial: &Trial, report| handle.report(&trial.id, Some(1), report).unwrap();
    assert_eq!(report(&asked[0], 0.5.into()), ReportOutcome::Accepted);
    assert_eq!(report(&asked[1], Report::failed("diverged")), ReportOutcome::Accepted);

    let new = |id: &str, config: serde_json::Value| {
        let json = config.as_object().unwrap().clone();
        let names: Vec<Box<str>> = json.keys().map(|name| name.as_str().into()).collect();
        let values = json.values().map(|x| Value::Float(x.as_f64().unwrap())).collect();
        let config = Config::new(names.into(), values);
        Trial::pending(id.parse().unwrap(), config, Default::default())
    };
    for outside in [serde_json::json!({"y": 2.0}), serde_json::json!({"x": 6.0})] {
        let refused = handle.put(new("a", outside)).unwrap_err().to_string();
        assert!(refused.contains("trial 'a'"), "{refused}");
    }
    handle.put_new(new("a", serde_json::json!({"x": 2.0}))).unwrap();
    let twice = handle.put_new(new("a", serde_json::json!({"x": 2.0}))).unwrap_err();
    assert!(matches!(twice, Error::Study(StudyError::DuplicateTrial(_))), "{twice}");

    // A success stays one, and what it came to may be corrected; a failure may be tried again.
    let (success, failed) = (&handle.trials().unwrap()[0], &handle.trials().unwrap()[1]);
    for (state, says) in [(State::Pending, "takes no result back"), (State::Evaluating, "cannot")] {
        let back = Trial { state, report: None, ..success.clone() };
        let refused = handle.put(back).unwrap_err().to_string();
        assert!(refused.contains(says), "{refused}");
    }
    let again = Trial { state: State::Evaluating, report: None, ..failed.clone() };
    assert!(handle.put(again).unwrap_err().to_string().contains("waits then"));
    let corrected = Some(Box::new(Report::objective(0.25)));
    handle.put(Trial { report: corrected.clone(), ..success.clone() }).unwrap();
    handle.put(Trial { state: State::Success, report: corrected, ..failed.clone() }).unwrap();
    let summary = handle.with_study(|study| study.count(State::Success)).unwrap();
    assert_eq!(summary, 2);
    handle.put(Trial { state: State::Corrupted, ..success.clone() }).unwrap();
}

/// Every worker of NePS from 0.13 on writes the objective as the curve of a success that has none; ours
/// wrote null beside it.
#[test]
fn a_learning_curve_is_the_objective_where_neps_would_write_that() {
    for (layout, is_there) in [("journal", false), ("neps", true), ("neps-0.12", false)] {
        let dir = tempfile::tempdir().unwrap();
        let study = study(&dir).layout(trialmill::layout(layout).unwrap()).workers(1);
        let outcome =
            study.max_evaluations(3).give_up_after(0).run(|trial| match trial.id().number() {
                Some(1) => Ok(Report::objective(0.5)),
                Some(2) => Ok(Report::objective(0.5).learning_curve([0.75, 0.5])),
                _ => Ok(Report::failed("x")),
            });
        let curves: Vec<usize> = outcome
            .unwrap()
            .study()
            .trials()
            .iter()
            .map(|trial| {
                trial.report.as_ref().unwrap().learning_curve.as_ref().map_or(0, |c| c.len())
            })
            .collect();
        assert_eq!(curves, [usize::from(is_there), 2, 0], "{layout}");
    }
}

/// NePS's `pre_load_hooks` may change the optimizer, or give another one back; ours could only look on.
#[test]
fn hooks_before_each_sampling_may_change_and_replace_the_optimizer() {
    let dir = tempfile::tempdir().unwrap();
    let space = SearchSpace::new([("x", Parameter::int(1, 3))]).unwrap();
    let order = Arc::new(AtomicU64::new(0));
    let (first, second) = (order.clone(), order.clone());
    let study = Study::builder(dir.path().join("s"))
        .space(space)
        .optimizer(RandomSearch::new())
        .workers(1)
        .ctrl_c(false)
        .pre_load_hook(move |optimizer, request| {
            assert_eq!(first.fetch_add(1, Ordering::SeqCst) % 2, 0, "in their order");
            // From the third on a grid, which ends.
            match request.trials.len() {
                2 => Box::new(GridSearch::default()),
                _ => optimizer,
            }
        })
        .pre_load_hook(move |optimizer, request| {
            assert_eq!(second.fetch_add(1, Ordering::SeqCst) % 2, 1, "in their order");
            let name = optimizer.info().name;
            let grid = request.trials.len() >= 2;
            assert_eq!(name, if grid { "grid_search" } else { "random_search" });
            optimizer
        });
    let outcome = study.max_evaluations(50).run(|_| Ok(1.0)).unwrap();
    assert_eq!(outcome.stopped(), StopReason::Finished);
    assert!((3..=5).contains(&outcome.study().trials().len()));
    // The study is still the one that it was created as.
    let summary = Summary::read(&dir.path().join("s")).unwrap();
    assert_eq!(summary.study().definition().optimizer.name, "random_search");
}

/// The hook after an evaluation got no directory, and could only panic.
#[test]
fn the_hook_after_an_evaluation_gets_its_directory_and_may_end_the_run() {
    let dir = tempfile::tempdir().unwrap();
    let study = || study(&dir).workers(1).max_evaluations(5);
    let root = dir.path().to_path_buf();
    let error = study()
        .post_evaluation_hook(move |trial, report, dir| {
            assert!(trial.config.float("x").is_ok() && report.is_success());
            let dir = dir.ok_or("no directory")?;
            assert!(dir.starts_with(&root) && dir.ends_with(trial.id.to_string()));
            if trial.id.number() == Some(2) { Err("the disk is full")? } else { Ok(()) }
        })
        .run(parabola)
        .unwrap_err();
    let shown = error.to_string();
    assert!(shown.contains("hook failed: the disk is full. What was reported is safe"), "{shown}");
    assert_eq!(error.exit_code(), 70);
    let summary = Summary::read(&dir.path().join("s")).unwrap();
    assert_eq!(summary.study().count(State::Success), 2);
    // In memory there is none; and the next run goes on.
    assert_eq!(study().run(parabola).unwrap().study().count(State::Success), 5);
}

/// A trial that was put with an earlier time was handed out after all others.
#[test]
fn trials_that_wait_are_handed_out_in_the_order_of_time_sampled() {
    let dir = tempfile::tempdir().unwrap();
    for again in [false, true] {
        let session = study(&dir).open().unwrap();
        let handle = session.handle();
        if !again {
            handle.sample(2).unwrap();
            let mut early = handle.trials().unwrap()[0].clone();
            for (id, time) in [("early", 1.0), ("unknown", f64::NAN), ("earlier", -1.0)] {
                early.id = id.parse().unwrap();
                early.metadata.time_sampled = time;
                handle.put_new(early.clone()).unwrap();
            }
        }
        let pending = handle.next_pending(9).unwrap();
        let ids: Vec<String> = pending.iter().map(|trial| trial.id.to_string()).collect();
        assert_eq!(ids, ["earlier", "early", "1", "2", "unknown"], "read again: {again}");
    }
}

/// `errors()` forgot what was tried again, and NePS's `ErrDump` keeps it.
#[test]
fn what_went_wrong_stays_in_the_log_when_it_is_tried_again() {
    for layout in ["journal", "neps", "neps-0.13", "neps-0.12"] {
        let dir = tempfile::tempdir().unwrap();
        let study = || study(&dir).layout(trialmill::layout(layout).unwrap()).workers(1);
        let run = study().max_evaluations(3).run(|trial| match trial.id().number() {
            Some(2) => Err("out of memory".into()),
            _ => Ok(1.0),
        });
        assert_eq!(run.unwrap().study().count(State::Crashed), 1, "{layout}");
        let session = study().open().unwrap();
        let handle = session.handle();
        for tried_again in [false, true] {
            let log = handle.error_log().unwrap();
            assert_eq!(log.len(), 1, "{layout}: {log:?}");
            let failure = log[0].report.as_ref().unwrap().failure.as_ref().unwrap();
            assert_eq!(failure.err, "out of memory", "{layout}");
            assert_eq!(log[0].id.to_string(), "2");
            assert_eq!(handle.errors().unwrap().len(), usize::from(!tried_again), "{layout}");
            handle.retry(&[State::Crashed]).unwrap();
        }
        let by_state = handle.trials_by_state().unwrap();
        let counts: Vec<_> = by_state.iter().map(|(state, of)| (*state, of.len())).collect();
        assert_eq!(counts, [(State::Pending, 1), (State::Success, 2)], "{layout}");
    }
}

/// NePS 0.12's trials had `metadata`, a dict that anybody may add to; ours had fixed fields.
#[test]
fn a_trial_is_noted_from_within_and_from_outside() {
    for layout in ["journal", "neps", "neps-0.13", "neps-0.12"] {
        let dir = tempfile::tempdir().unwrap();
        let study = || study(&dir).layout(trialmill::layout(layout).unwrap()).workers(2);
        let run = study().max_evaluations(4).run(|trial| {
            trial.note("host", "gpu-7")?;
            trial.note("seeds", vec![1, 2])?;
            trial.note("host", serde_json::Value::Null)?;
            parabola(trial)
        });
        for trial in run.unwrap().study().trials() {
            let notes = serde_json::to_string(&trial.notes).unwrap();
            assert_eq!(notes, r#"{"seeds":[1,2]}"#, "{layout}");
        }
        let session = study().open().unwrap();
        let (handle, id) = (session.handle(), "1".parse().unwrap());
        handle.note(&id, [("seen", true)]).unwrap();
        let big = [("big", "x".repeat(64 << 10))];
        assert!(handle.note(&id, big).unwrap_err().to_string().contains("65536"), "{layout}");
        handle.note(&"9".parse().unwrap(), [("seen", true)]).unwrap_err();
        let path = session.close().unwrap().directory().unwrap().to_path_buf();
        let read = Summary::read(&path).unwrap();
        let notes = serde_json::to_string(&read.study().trial(&id).unwrap().notes).unwrap();
        assert_eq!(notes, r#"{"seeds":[1,2],"seen":true}"#, "{layout}");
    }
}

/// Nobody but NePS could keep others from a study for a section of his own.
#[test]
fn a_section_of_one_s_own_keeps_everybody_out() {
    for layout in ["journal", "neps", "neps-0.12"] {
        let dir = tempfile::tempdir().unwrap();
        let study = || study(&dir).layout(trialmill::layout(layout).unwrap()).workers(1);
        study().max_evaluations(2).run(parabola).unwrap();
        let session = study().open().unwrap();
        let handle = session.handle();
        let directory = handle.directory().unwrap();
        let section = directory.lock(Duration::from_mins(1)).unwrap();
        let taken = directory.lock(Duration::ZERO).unwrap_err().to_string();
        assert!(taken.contains("lock"), "{layout}: {taken}");
        let (before, done) = (Summary::read(directory.path()).unwrap(), AtomicU64::new(0));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                handle.sample(3).unwrap();
                done.store(1, Ordering::SeqCst);
            });
            // Whatever that thread has done by now, nothing has changed.
            let now = Summary::read(directory.path()).unwrap();
            assert_eq!(now.study().trials().len(), before.study().trials().len(), "{layout}");
            assert_eq!(done.load(Ordering::SeqCst), 0, "{layout}");
            drop(section);
        });
        assert_eq!(handle.trials().unwrap().len(), 5, "{layout}");
    }
}

#[test]
fn each_worker_has_its_own_budget_beside_the_study_s() {
    let dir = tempfile::tempdir().unwrap();
    let three = Budget { evaluations: Some(3), ..Budget::default() };
    let run = || study(&dir).workers(2).per_worker(three).max_evaluations(10).run(parabola);
    let first = run().unwrap();
    assert_eq!(first.study().trials().len(), 6);
    assert!(matches!(first.stopped(), StopReason::WorkerBudget(_)));
    let second = run().unwrap();
    assert_eq!(second.study().trials().len(), 10, "the study's budget holds over all runs");
    let none = study(&dir).max_seconds_per_worker(0.0).max_evaluations(20).run(parabola).unwrap();
    assert_eq!((none.stopped(), none.study().trials().len()), (StopReason::WorkerSeconds, 10));
}

/// Two processes that were both called `gpu-7` could not be told apart by who read the study.
#[test]
fn a_worker_id_is_one_process_s_while_it_takes_part() {
    let dir = tempfile::tempdir().unwrap();
    let open = |id: &str| study(&dir).worker_id(id).workers(1).open();
    let refused = |id: &str| open(id).map(drop).unwrap_err();
    let first = open("gpu-7").unwrap();
    let error = refused("gpu-7");
    assert!(error.to_string().contains("'gpu-7' is in use by process p1 on "), "{error}");
    assert_eq!(error.exit_code(), 7);
    let other = open("gpu-8").unwrap();
    let summary = Summary::read(&dir.path().join("s")).unwrap();
    let named: Vec<_> = summary.status().processes.iter().map(|row| row.worker_id).collect();
    assert_eq!(named, [Some("gpu-7"), Some("gpu-8")]);
    first.close().unwrap();
    // Free again, and so is that of a process that died (`cli`, `dying`).
    open("gpu-7").unwrap().close().unwrap();
    other.close().unwrap();
    for wrong in ["", "p1-w1", "enqueue"] {
        let error = refused(wrong);
        assert!(error.to_string().starts_with("worker_id: "), "{error}");
        assert_eq!(error.exit_code(), 2);
    }
}
