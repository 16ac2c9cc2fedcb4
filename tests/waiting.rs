//! What must not wait for what: a report's acknowledgement for the worker's next trial, other
//! processes for one whose optimizer broke, the end of a study for the optimizer's ideas.

#![allow(clippy::unwrap_used)]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use trialmill_layouts::Studies;

use trialmill::{
    AskOutcome, BoxError, Durability, Error, Optimizer, OptimizerInfo, Outcome, Parameter,
    Proposal, Trial, TrialId,
};
use trialmill::{
    RandomSearch, Report, ReportOutcome, RunningTrial, SamplingRequest, SearchSpace, State,
    StopReason, Study, StudyBuilder, Summary,
};
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, Disk, FileLock, RealDisk};

/// An optimizer for which a function speaks.
struct Asks<F>(bool, F);

impl<F: FnMut(&SamplingRequest<'_>) -> Result<Proposal, BoxError> + Send> Optimizer for Asks<F> {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("asks", Vec::<(String, i32)>::new())
    }
    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        self.1(request)
    }
    fn is_slow(&self) -> bool {
        self.0
    }
}

fn sample(request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
    RandomSearch::new().ask(request)
}

/// Proposes two trials, one at a time, and waits until both have ended.
fn two(request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
    match request.trials().iter().filter(|trial| !trial.state.is_finished()).count() {
        _ if request.trials().len() < 2 => match sample(request)? {
            Proposal::Evaluate(list) => Ok(Proposal::Evaluate(list.into_iter().take(1).collect())),
            other => Ok(other),
        },
        0 => Ok(Proposal::Finished),
        _ => Ok(Proposal::Wait),
    }
}

fn builder(dir: &Path) -> StudyBuilder {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    Study::builder(dir).space(space).seed(1).ctrl_c(false).optimizer(RandomSearch::new())
}

fn temp() -> (tempfile::TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    (temp, dir)
}

fn lines(dir: &Path) -> usize {
    std::fs::read_to_string(dir.join("journal.jsonl")).unwrap().lines().count()
}

type Run = JoinHandle<Result<Outcome, Error>>;

fn start<F>(builder: StudyBuilder, evaluate: F) -> Run
where
    F: Fn(&RunningTrial) -> Result<Report, BoxError> + Send + Sync + 'static,
{
    std::thread::spawn(move || builder.run(evaluate))
}

/// A model that did not converge in one process held the journal's lock until that process had
/// ended its longest evaluation; all other processes gave up after a minute, and the evaluation's
/// result was refused.
#[test]
fn an_optimizer_that_breaks_neither_holds_the_lock_nor_loses_a_report() {
    let (_temp, dir) = temp();
    let (started, end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (first, last) = (started.clone(), end.clone());
    let mut calls = 0;
    let breaks = Asks(true, move |request: &SamplingRequest<'_>| {
        calls += 1;
        if calls < 3 { sample(request) } else { Err("it does not converge".into()) }
    });
    let run = start(builder(&dir).optimizer(breaks).workers(2).max_evaluations(50), move |trial| {
        if trial.id().to_string() == "1" {
            first.wait();
            last.wait();
        }
        Ok(Report::objective(1.0))
    });
    started.wait();
    // The other worker goes on until the optimizer breaks; the lock must be free then.
    let mut lock = FileLock::open(&dir.join("journal.lock")).unwrap();
    let (mut unchanged, mut known) = (0, 0);
    while unchanged < 20 {
        lock.lock(Duration::from_secs(5)).expect("the lock is free");
        lock.unlock().unwrap();
        let now = lines(&dir);
        unchanged = if now == known { unchanged + 1 } else { 0 };
        known = now;
        std::thread::sleep(Duration::from_millis(5));
    }
    end.wait();
    let error = run.join().unwrap().expect_err("the run ends with the optimizer's words");
    assert!(error.to_string().contains("does not converge"), "{error}");
    let journal = std::fs::read_to_string(dir.join("journal.jsonl")).unwrap();
    let reported = |line: &&str| line.contains("\"reported\"") && line.contains("\"trial\":\"1\"");
    assert_eq!(journal.lines().filter(reported).count(), 1, "{journal}");
}

/// At the end of the budget, a worker that waited for another process's last trial asked its slow
/// optimizer for more: 7,000 trials that nobody would evaluate in three seconds.
#[test]
fn who_waits_for_others_at_the_end_samples_nothing() {
    let (_temp, dir) = temp();
    let barrier = Arc::new(Barrier::new(2));
    let build = || builder(&dir).optimizer(Asks(true, sample)).workers(1).max_evaluations(2);
    let begun = barrier.clone();
    let first = start(build(), move |_| {
        begun.wait();
        std::thread::sleep(Duration::from_millis(500));
        Ok(Report::objective(1.0))
    });
    barrier.wait();
    let second = start(build(), |_| Ok(Report::objective(1.0)));
    for run in [first, second] {
        assert_eq!(run.join().unwrap().unwrap().study().trials().len(), 2);
    }
    assert!(lines(&dir) < 20, "{} records for two trials", lines(&dir));
}

/// Two processes whose slow optimizers waited woke each other: each question was an event, and each
/// event a reason to ask again.
#[test]
fn two_slow_optimizers_that_wait_do_not_wake_each_other() {
    let (_temp, dir) = temp();
    let build = || builder(&dir).optimizer(Asks(true, two)).workers(3);
    let evaluate = |_: &RunningTrial| {
        std::thread::sleep(Duration::from_secs(1));
        Ok(Report::objective(1.0))
    };
    let runs = [start(build(), evaluate), start(build(), evaluate)];
    for run in runs {
        run.join().unwrap().unwrap();
    }
    assert!(lines(&dir) < 25, "{} records for two trials", lines(&dir));
}

#[test]
fn a_report_is_acknowledged_when_it_is_durable_and_not_with_the_next_trial() {
    let (_temp, dir) = temp();
    let (told, acked) = crossbeam_channel::unbounded();
    let acked = Mutex::new(acked);
    let session = builder(&dir)
        .optimizer(Asks(false, two))
        .workers(2)
        .after_evaluation(move |trial, _| told.send(trial.id.to_string()).unwrap())
        .open()
        .unwrap();
    let evaluate = |trial: &RunningTrial| -> Result<f64, BoxError> {
        if trial.id().to_string() == "2" {
            // Trial 1 is acknowledged while trial 2 is evaluated.
            assert_eq!(acked.lock().unwrap().recv_timeout(Duration::from_secs(5))?, "1");
        }
        Ok(1.0)
    };
    session.run(evaluate).unwrap();
    let outcome = session.close().unwrap();
    assert_eq!(outcome.study().errors(), 0, "{:?}", outcome.study().last_error());
}

/// Each of two processes waited for the other's trial, and each had a report that was too large:
/// neither heard of it, and both waited for ever.
#[test]
fn two_processes_with_too_large_reports_at_the_end_do_not_wait_for_each_other() {
    let (_temp, dir) = temp();
    let barrier = Arc::new(Barrier::new(2));
    let run = || {
        let barrier = barrier.clone();
        start(builder(&dir).workers(1).max_evaluations(2), move |_| {
            let report = Report::objective(1.0).extra("x", "x".repeat(17 << 20));
            barrier.wait();
            Ok(report)
        })
    };
    for run in [run(), run()].map(ended) {
        // The trials crash, and not the run.
        assert!(run.is_ok() || run.as_ref().is_err_and(|error| error.exit_code() == 8), "{run:?}");
    }
    let summary = Summary::read(&dir).unwrap();
    assert_eq!((summary.study().count(State::Crashed), summary.study().trials().len()), (2, 2));
    for trial in summary.study().trials() {
        let failure = trial.report.as_ref().and_then(|report| report.failure.as_deref()).unwrap();
        assert!(failure.err_type == "result" && failure.err.contains("bytes"), "{failure:?}");
    }
}

/// Waits for a run, which must not wait for ever.
fn ended(run: Run) -> Result<Outcome, Error> {
    let begin = Instant::now();
    while !run.is_finished() {
        assert!(begin.elapsed() < Duration::from_mins(1), "it waits for ever");
        std::thread::sleep(Duration::from_millis(10));
    }
    run.join().unwrap()
}

/// An optimizer that waited for results while nothing was evaluated: no result could come, and the
/// run hung.
#[test]
fn a_run_whose_optimizer_waits_for_nothing_ends_with_an_error() {
    for is_slow in [false, true] {
        for before in [0, 3] {
            let (_temp, dir) = temp();
            let waits = Asks(is_slow, move |request: &SamplingRequest<'_>| {
                if request.trials().len() < before { sample(request) } else { Ok(Proposal::Wait) }
            });
            let run =
                start(builder(&dir).optimizer(waits).workers(2), |_| Ok(Report::objective(1.0)));
            let error = ended(run).expect_err("it ends with an error");
            let text = error.to_string();
            assert!(text.contains("asks") && text.contains("waits for results"), "{text}");
            assert_eq!(error.exit_code(), 7, "{text}");
        }
    }
}

/// A caller outside has other things to do than to wait for results of others: it is told.
#[test]
fn a_caller_outside_is_told_to_wait_and_not_made_to() {
    let (_temp, dir) = temp();
    let session = builder(&dir).optimizer(Asks(false, two)).workers(1).open().unwrap();
    let (handle, (told, answer)) = (session.handle(), crossbeam_channel::bounded(3));
    // On a thread of its own: whoever is made to wait would wait for ever.
    let asks = std::thread::spawn(move || {
        for _ in 0..3 {
            told.send(handle.ask("me", 1, Duration::from_hours(1)).unwrap()).unwrap();
        }
    });
    let next = || answer.recv_timeout(Duration::from_mins(1)).unwrap();
    assert_eq!([next(), next()].map(|answer| answer.into_trials().len()), [1, 1]);
    assert!(matches!(next(), AskOutcome::Wait));
    asks.join().unwrap();
    drop(session.close().unwrap());
}

/// A run that waits at the end for another process's trial, and is interrupted.
#[test]
fn who_waits_for_others_hears_that_it_is_to_stop() {
    let (_temp, dir) = temp();
    let (begun, end) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (first, last) = (begun.clone(), end.clone());
    let holds = start(builder(&dir).workers(1).max_evaluations(1), move |_| {
        first.wait();
        last.wait();
        Ok(Report::objective(1.0))
    });
    begun.wait();
    let session = builder(&dir).workers(1).max_evaluations(1).open().unwrap();
    let (handle, stop) = (session.handle(), session.stop_signal());
    let waits = std::thread::spawn(move || {
        session.run(|_: &RunningTrial| Ok(1.0)).and_then(|_| session.close())
    });
    let begin = Instant::now();
    while handle.snapshot().waiting == 0 {
        assert!(begin.elapsed() < Duration::from_mins(1), "it never waits");
        std::thread::sleep(Duration::from_millis(5));
    }
    stop.stop();
    let outcome = ended(waits).unwrap();
    assert_eq!(outcome.stopped(), StopReason::Interrupted);
    assert_eq!(outcome.study().count(State::Evaluating), 1, "the other goes on");
    end.wait();
    ended(holds).unwrap();
}

/// A report of an attempt that was given to somebody else meanwhile is not stored, so the hook must
/// not hear of it: people count and plot in there.
/// It would have heard a second time of what somebody else reported meanwhile, as if it were this worker's.
#[test]
fn the_hook_does_not_hear_of_a_superseded_report() {
    for is_done_by_another in [false, true] {
        let heard = heard_of(is_done_by_another);
        assert_eq!(heard, if is_done_by_another { &[][..] } else { &[2] });
    }
}

/// Of which attempts the hook hears, when the first is handed back in its middle, and perhaps evaluated by a caller.
fn heard_of(is_done_by_another: bool) -> Vec<u32> {
    let (_temp, dir) = temp();
    let (told, heard) = crossbeam_channel::unbounded();
    let session = builder(&dir)
        .workers(1)
        .max_evaluations(1)
        .after_evaluation(move |trial, _| told.send(trial.attempts).unwrap())
        .open()
        .unwrap();
    let handle = session.handle();
    let evaluate = |trial: &RunningTrial| -> Result<f64, BoxError> {
        if trial.attempt() == 1 {
            assert_eq!(handle.release(trial.id(), None)?, ReportOutcome::Accepted);
            if is_done_by_another {
                let again = handle.ask("me", 1, Duration::from_mins(1))?.into_trials();
                let outcome = handle.report(&again[0].id, Some(2), 7.0.into())?;
                assert_eq!(outcome, ReportOutcome::Accepted);
            }
        }
        Ok(1.0)
    };
    session.run(evaluate).unwrap();
    drop(session.close().unwrap());
    heard.iter().collect()
}

/// A disk that notes how many bytes are read while somebody holds the journal's lock.
struct Noting {
    disk: RealDisk,
    lock: FileLock,
    under_lock: Arc<AtomicU64>,
}

impl Disk for Noting {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let got = self.disk.read_at(buffer, offset)?;
        match self.lock.try_lock().unwrap() {
            true => self.lock.unlock().unwrap(),
            false => drop(self.under_lock.fetch_add(got as u64, Ordering::Relaxed)),
        }
        Ok(got)
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.disk.append(bytes)
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.disk.truncate(len)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.disk.sync()
    }
}

/// Each `ask`, `tell` and joining worker read the whole journal with its lock held: 0.9 s for 200,000
/// trials, for which all workers of the study stood still; of sixty processes that joined a study of a
/// million trials at once, the last would have given up waiting.
#[test]
fn nobody_waits_while_a_process_that_joins_reads_a_long_journal() {
    let (_temp, dir) = temp();
    let long = "x".repeat(1 << 20);
    let run = builder(&dir).workers(2).max_evaluations(12);
    run.run(|_| Ok(Report::objective(1.0).extra("long", &*long))).unwrap();
    // Also where the end is torn: that is seen and cut under the lock.
    for end in [&b""[..], b"{\"crc\":\"0123"] {
        let directory = Directory::open(&dir).unwrap();
        let path = directory.journal_path();
        let sound = std::fs::read(&path).unwrap();
        std::fs::write(&path, [&sound[..], end].concat()).unwrap();
        let under_lock = Arc::new(AtomicU64::new(0));
        let lock = FileLock::open(&dir.join("journal.lock")).unwrap();
        let disk = RealDisk::open(&path).unwrap();
        let disk = Box::new(Noting { disk, lock, under_lock: under_lock.clone() });
        let optimizer = Box::new(RandomSearch::new());
        let core = StateCore::open_on(disk, directory, Durability::Synced, optimizer).unwrap();
        assert_eq!(core.study().trials().len(), 12);
        let (read, all) = (under_lock.load(Ordering::Relaxed), sound.len() as u64);
        assert!(all > 12 << 20 && read < 1 << 10, "{read} of {all} bytes under the lock");
        assert!(std::fs::read(&path).unwrap() == sound);
    }
}

/// Where a model proposes, callers of a session were told to wait, for ever: only its own workers got
/// trials. With `auto` as the default that would have been every study that names no optimizer.
#[test]
fn callers_of_a_session_are_given_what_a_model_proposes() {
    let (_home, dir) = temp();
    let session = builder(&dir).optimizer(Asks(true, sample)).max_evaluations(12).open().unwrap();
    let handle = session.handle();
    for done in 0..12 {
        let asked = handle.ask("me", 1, Duration::from_mins(1)).unwrap();
        let AskOutcome::Trials(trials) = asked else { panic!("after {done}: {asked:?}") };
        let reported = handle.report(&trials[0].id, None, 0.5.into()).unwrap();
        assert_eq!(reported, ReportOutcome::Accepted);
    }
    let ended = handle.ask("me", 1, Duration::from_mins(1)).unwrap();
    assert!(matches!(ended, AskOutcome::Stop(_)), "{ended:?}");
}

/// A slow optimizer proposed only when a worker waited: `ask` answered "wait" for ever, and `sample`
/// refused. What they wish for starts a proposal now, and a report does not wait for it.
#[test]
fn a_caller_and_a_sampler_get_what_a_slow_optimizer_proposes() {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let slow = Asks(true, |request: &SamplingRequest<'_>| sample(request));
    let builder = Study::in_memory().space(space).optimizer(slow).max_evaluations(6);
    let session = builder.ctrl_c(false).open().unwrap();
    let handle = session.handle();
    let asked = handle.ask("me", 2, Duration::from_mins(10)).unwrap().into_trials();
    assert_eq!(asked.len(), 2);
    let sampled = handle.sample(3).unwrap().into_trials();
    assert_eq!(sampled.iter().map(|trial| trial.state).collect::<Vec<_>>(), [State::Pending; 3]);
    let reported = handle.report(&asked[0].id, Some(1), Report::objective(0.5)).unwrap();
    assert_eq!(reported, ReportOutcome::Accepted);
    // What waits is handed out before anything new is proposed.
    let next = handle.ask("me", 3, Duration::from_mins(10)).unwrap().into_trials();
    let ids = |trials: &[Trial]| trials.iter().map(|trial| trial.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&next), ids(&sampled));
    let last = handle.ask("me", 3, Duration::from_mins(10)).unwrap().into_trials();
    assert_eq!(last.len(), 1, "the budget has room for one more");
    let over = handle.ask("me", 1, Duration::from_mins(10)).unwrap();
    assert!(matches!(over, AskOutcome::Stop(StopReason::Budget(_))), "{over:?}");
}

/// An optimizer that waits for results tells a caller so; it neither blocks him nor fails.
#[test]
fn a_caller_is_told_that_a_slow_optimizer_waits_for_results() {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let slow = Asks(true, |request: &SamplingRequest<'_>| match request.trials().len() {
        0 => sample(request),
        _ => Ok(Proposal::Wait),
    });
    let session = Study::in_memory().space(space).optimizer(slow).ctrl_c(false).open().unwrap();
    let handle = session.handle();
    let first = handle.ask("me", 1, Duration::from_mins(10)).unwrap().into_trials();
    assert_eq!(handle.ask("me", 1, Duration::from_mins(10)).unwrap(), AskOutcome::Wait);
    assert_eq!(handle.sample(1).unwrap(), AskOutcome::Wait);
    let _ = handle.report(&first[0].id, None, Report::objective(0.5)).unwrap();
}

/// Each of a batch was begun when the batch came: the eighth had the time of all before it for its own, in
/// its record and in its budget of seconds, and was past a time limit before it was called.
#[test]
fn the_time_of_an_evaluation_is_its_own_and_not_that_of_the_batch_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let outcome = Study::builder(dir.path().join("study"))
        .space(space)
        .ctrl_c(false)
        .optimizer(RandomSearch::new())
        .workers(1)
        .batch(8)
        .max_evaluations(16)
        .run(|_: &RunningTrial| {
            std::thread::sleep(Duration::from_millis(5));
            Ok(0.5)
        })
        .unwrap();
    let passed_s = begin.elapsed().as_secs_f64();
    let trials = outcome.study().trials();
    let recorded_s: f64 = trials.iter().filter_map(|t| t.metadata.evaluation_duration).sum();
    assert_eq!(trials.len(), 16);
    assert!(recorded_s <= passed_s, "one after the other took {recorded_s} s of {passed_s} s");
}

/// Workers that could get nothing were answered at once, asked again at once, and took a core each.
#[test]
fn workers_that_wait_ask_no_more_often_than_something_happens() {
    for is_slow in [false, true] {
        let (_temp, dir) = temp();
        let asked = Arc::new(AtomicU64::new(0));
        let optimizer = Asks(is_slow, {
            let asked = asked.clone();
            move |request: &SamplingRequest<'_>| {
                asked.fetch_add(1, Ordering::Relaxed);
                two(request)
            }
        });
        let asks = asked.clone();
        let run = start(builder(&dir).optimizer(optimizer).workers(4), move |trial| {
            if trial.id().to_string() == "1" {
                // The work of this one trial, while the other three workers wait.
                let (begin, before) = (Instant::now(), asks.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_millis(400));
                let polls = 4 * (begin.elapsed().as_millis() / 50 + 4);
                let more = u128::from(asks.load(Ordering::Relaxed) - before);
                assert!(more <= polls, "asked {more} times");
            }
            Ok(Report::objective(1.0))
        });
        let outcome = ended(run).unwrap();
        let (study, last) = (outcome.study(), outcome.study().last_error());
        assert_eq!(study.count(State::Success), 2, "{last:?}");
        println!("asked {} times", asked.load(Ordering::Relaxed));
    }
}

/// With two workers the second began a trial while the first still evaluated what it continues, and found no
/// checkpoint. And who finds nothing else to sample, or an optimizer that fails, leaves what is held back to no one.
#[test]
fn what_continues_a_trial_is_evaluated_after_it_and_before_the_run_ends() {
    for (is_slow, fails) in [(false, false), (false, true), (true, false)] {
        let chain = move |request: &SamplingRequest<'_>| {
            let at = request.trials().len() as u32;
            if at == 5 {
                return if fails { Err("no more".into()) } else { Ok(Proposal::Finished) };
            }
            let Proposal::Evaluate(mut list) = sample(request)? else { unreachable!() };
            list.truncate(1);
            list[0].id = Some(TrialId::Rung(1, at));
            list[0].previous = at.checked_sub(1).map(|before| TrialId::Rung(1, before));
            Ok(Proposal::Evaluate(list))
        };
        let ended = Arc::new(Mutex::new(Vec::new()));
        let seen = ended.clone();
        let (_temp, dir) = temp();
        let outcome = builder(&dir).optimizer(Asks(is_slow, chain)).workers(3).run(move |trial| {
            if let TrialId::Rung(1, at @ 1..) = trial.id() {
                assert!(seen.lock().unwrap().contains(&TrialId::Rung(1, at - 1)));
            }
            std::thread::sleep(Duration::from_millis(5));
            seen.lock().unwrap().push(trial.id().clone());
            Ok(Report::objective(0.5))
        });
        assert_eq!(outcome.is_err(), fails, "{outcome:?}");
        let all: Vec<TrialId> = (0..5).map(|at| TrialId::Rung(1, at)).collect();
        assert_eq!(*ended.lock().unwrap(), all, "{is_slow} {fails}");
    }
}
