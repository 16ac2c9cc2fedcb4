//! Workers of one's own: actors and threads that ask and report by message, and that may die while
//! their process lives.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix::prelude::*;
use trialmill::actor::{Ask, OwnWorker, Query, Release, Stored, Subscribe, Tell, TellSteps};
use trialmill::*;

fn study() -> StudyBuilder {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    Study::in_memory().space(space).optimizer(RandomSearch::new()).seed(1).ctrl_c(false)
}

fn trials(outcome: AskOutcome) -> Vec<Trial> {
    match outcome {
        AskOutcome::Trials(trials) => trials,
        other => panic!("nothing was handed out: {other:?}"),
    }
}

/// Both globs bring their names, and none of ours hides one that both need: `Request` was ambiguous.
struct Proposer;

impl Optimizer for Proposer {
    fn info(&self) -> OptimizerInfo {
        RandomSearch::new().info()
    }
    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        RandomSearch::new().ask(request)
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Evaluate;

/// Takes a trial and dies with it.
struct Mortal {
    worker: OwnWorker,
    took: std::sync::mpsc::Sender<Trial>,
    dies: std::sync::mpsc::Receiver<()>,
}

impl Actor for Mortal {
    type Context = SyncContext<Self>;
}

impl Handler<Evaluate> for Mortal {
    type Result = ();
    fn handle(&mut self, _: Evaluate, _: &mut SyncContext<Self>) {
        let trial = trials(self.worker.ask(1).unwrap()).remove(0);
        self.took.send(trial).unwrap();
        self.dies.recv().unwrap();
        panic!("an accident");
    }
}

/// An async actor that takes a trial and keeps it.
struct Keeper {
    worker: OwnWorker,
    took: std::sync::mpsc::Sender<Trial>,
}

impl Actor for Keeper {
    type Context = Context<Self>;
    fn started(&mut self, ctx: &mut Context<Self>) {
        let ask = self.worker.state().send(Ask::of(&self.worker, 1));
        ctx.spawn(ask.into_actor(self).map(|outcome, actor, _| {
            actor.took.send(trials(outcome.unwrap().unwrap()).remove(0)).unwrap();
        }));
    }
}

impl Handler<Evaluate> for Keeper {
    type Result = ();
    fn handle(&mut self, _: Evaluate, _: &mut Context<Self>) {
        panic!("an accident");
    }
}

/// A worker that died kept its trial for as long as its process lived: a study of one evaluation
/// never ended. Now whoever waits for a trial gets it, as its next attempt, whatever the worker died
/// of.
#[test]
fn the_trial_of_a_worker_that_dies_goes_to_one_that_waits() {
    for death in ["drop", "thread panics", "sync actor panics", "actor panics", "arbiter ends"] {
        let session = study().max_evaluations(1).open().unwrap();
        let (took, taken) = std::sync::mpsc::channel();
        let worker = session.enlist();
        let system = System::new();
        let arbiter = system.block_on(async { Arbiter::new() });
        // What is to be done for it to die, once it has a trial.
        let kill: Box<dyn FnOnce() + Send> = match death {
            "drop" => {
                took.send(trials(worker.ask(1).unwrap()).remove(0)).unwrap();
                Box::new(move || drop(worker))
            }
            "thread panics" => {
                took.send(trials(worker.ask(1).unwrap()).remove(0)).unwrap();
                Box::new(move || {
                    let thread = std::thread::spawn(move || {
                        let _dies_here = worker;
                        panic!("an accident");
                    });
                    thread.join().unwrap_err();
                })
            }
            "sync actor panics" => {
                let (die, dies) = std::sync::mpsc::channel();
                let parts = Mutex::new(Some((worker, took, dies)));
                let until_it_dies = async move {
                    let pool = SyncArbiter::start(1, move || {
                        let (worker, took, dies) = parts.lock().unwrap().take().unwrap();
                        Mortal { worker, took, dies }
                    });
                    pool.send(Evaluate).await.unwrap_err();
                };
                let pool = std::thread::spawn(|| System::new().block_on(until_it_dies));
                Box::new(move || {
                    die.send(()).unwrap();
                    pool.join().unwrap();
                })
            }
            how => {
                let (started, start) = std::sync::mpsc::channel();
                arbiter.spawn_fn(move || started.send(Keeper { worker, took }.start()).unwrap());
                let (actor, how) = (start.recv().unwrap(), how.to_owned());
                Box::new(move || match &*how {
                    "actor panics" => actor.do_send(Evaluate),
                    _ => drop(arbiter.stop()),
                })
            }
        };
        let first: Trial = taken.recv().unwrap();
        let waits = session.enlist();
        let waiting = std::thread::spawn(move || {
            let trial = trials(waits.ask(1).unwrap()).remove(0);
            let back = Instant::now();
            assert_eq!(waits.tell(&trial, 0.5).unwrap(), ReportOutcome::Accepted);
            (trial, back)
        });
        let killed = Instant::now();
        kill();
        let (second, back) = waiting.join().unwrap();
        println!("{death}: its trial was back after {:?}", back.saturating_duration_since(killed));
        assert_eq!((first.id.clone(), first.attempts), (second.id.clone(), 1), "{death}");
        assert_eq!((second.attempts, second.losses), (2, 1), "{death}");
        let late = session.handle().report(&first.id, Some(1), Report::objective(0.1)).unwrap();
        assert!(matches!(late, ReportOutcome::Superseded { .. }), "{death}: {late:?}");
        assert_eq!(session.close().unwrap().study().count(State::Success), 1, "{death}");
    }
}

/// A trial that kills every worker that touches it is given up, like one that kills processes.
#[test]
fn a_trial_that_kills_its_workers_is_not_tried_for_ever() {
    let session = study().max_evaluations(1).max_attempts(3).open().unwrap();
    for attempt in 1..=3 {
        let worker = session.enlist();
        assert_eq!(trials(worker.ask(1).unwrap())[0].attempts, attempt);
    }
    let last = session.enlist();
    assert!(matches!(last.ask(1).unwrap(), AskOutcome::Stop(_)));
    let trial = session.handle().trial(&TrialId::Number(1)).unwrap();
    assert_eq!(trial.state, State::Crashed);
    let failure = trial.report.unwrap().failure.unwrap();
    assert!(failure.err.contains("3 attempts died with their workers"), "{failure:?}");
}

/// A trial that was handed to a worker that had died while it waited would be lost with it.
#[test]
fn a_worker_that_dies_while_it_waits_gets_nothing_any_more() {
    let session = study().max_evaluations(1).open().unwrap();
    let holds = session.enlist();
    let trial = trials(holds.ask(1).unwrap()).remove(0);
    let dead = session.enlist();
    let state = dead.state();
    let ask = Ask::of(&dead, 1);
    System::new().block_on(async {
        let parked = state.send(ask.clone());
        // It was taken, and waits: this message came later.
        state.send(Query::new(|_| ())).await.unwrap().unwrap();
        drop(dead);
        parked.await.unwrap().unwrap_err();
        let refused = state.send(ask).await.unwrap().unwrap_err();
        assert!(refused.to_string().contains("was dropped"), "{refused}");
        let attempt = Some(trial.attempts);
        let released = Release { trial: trial.id.clone(), attempt };
        assert_eq!(state.send(released).await.unwrap().unwrap(), ReportOutcome::Accepted);
        let again = state.send(Ask::of(&holds, 1)).await.unwrap().unwrap();
        assert_eq!(trials(again)[0].id, trial.id);
    });
}

/// What a subscriber hears is what is stored, from others of this process too.
#[test]
fn an_actor_that_subscribes_hears_of_every_event_once_it_is_stored() {
    struct Hears {
        reports: Arc<AtomicU64>,
        missed: Arc<AtomicU64>,
    }
    impl Actor for Hears {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Context<Self>) {
            ctx.set_mailbox_capacity(1000);
        }
    }
    impl Handler<Stored> for Hears {
        type Result = ();
        fn handle(&mut self, stored: Stored, _: &mut Context<Self>) {
            let reports = stored.events.iter().map(|event| &event.kind);
            let reports = reports.filter(|kind| matches!(kind, EventKind::Reported { .. })).count();
            self.reports.fetch_add(reports as u64, Ordering::SeqCst);
            self.missed.fetch_add(stored.missed, Ordering::SeqCst);
        }
    }
    #[derive(Message)]
    #[rtype(result = "()")]
    struct Sync;
    impl Handler<Sync> for Hears {
        type Result = ();
        fn handle(&mut self, _: Sync, _: &mut Context<Self>) {}
    }
    let session = study().max_evaluations(200).workers(4).optimizer(Proposer).open().unwrap();
    let (reports, missed) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let hears = Hears { reports: reports.clone(), missed: missed.clone() };
    let state = session.handle().address();
    System::new().block_on(async {
        let arbiter = Arbiter::new();
        let hears = Hears::start_in_arbiter(&arbiter.handle(), |_| hears);
        // From then on its mailbox has room for every batch there can be.
        hears.send(Sync).await.unwrap();
        state.send(Subscribe(hears.clone().recipient())).await.unwrap();
        session.run(|trial: &RunningTrial| Ok(trial.config().float("x")?)).unwrap();
        hears.send(Sync).await.unwrap();
        arbiter.stop();
    });
    assert_eq!((reports.load(Ordering::SeqCst), missed.load(Ordering::SeqCst)), (200, 0));
}

/// A slow subscriber costs the state actor nothing, and learns how much it has missed.
#[test]
fn a_subscriber_that_is_too_slow_is_told_what_it_missed() {
    struct Slow(Vec<(usize, u64)>);
    impl Actor for Slow {
        type Context = Context<Self>;
        fn started(&mut self, ctx: &mut Context<Self>) {
            ctx.set_mailbox_capacity(2);
        }
    }
    impl Handler<Stored> for Slow {
        type Result = ();
        fn handle(&mut self, stored: Stored, _: &mut Context<Self>) {
            self.0.push((stored.events.len(), stored.missed));
        }
    }
    #[derive(Message)]
    #[rtype(result = "Vec<(usize, u64)>")]
    struct Heard;
    impl Handler<Heard> for Slow {
        type Result = MessageResult<Heard>;
        fn handle(&mut self, _: Heard, _: &mut Context<Self>) -> Self::Result {
            MessageResult(self.0.clone())
        }
    }
    let session = study().max_evaluations(1000).open().unwrap();
    let (handle, state) = (session.handle(), session.handle().address());
    let worker = session.enlist();
    System::new().block_on(async {
        let slow = Slow(Vec::new()).start();
        state.send(Subscribe(slow.clone().recipient())).await.unwrap();
        slow.send(Heard).await.unwrap();
        // This thread does not come to the subscriber's messages meanwhile.
        for _ in 0..50 {
            for trial in trials(worker.ask(1).unwrap()) {
                let _ = worker.tell(&trial, 0.5).unwrap();
            }
        }
        let heard = slow.send(Heard).await.unwrap();
        assert!(heard.len() < 10, "its mailbox is no longer than it wants: {heard:?}");
        let _ = worker.tell(&trials(worker.ask(1).unwrap())[0], 0.5).unwrap();
        let heard = slow.send(Heard).await.unwrap();
        let (events, missed) =
            heard.iter().fold((0, 0), |(e, m), (events, missed)| (e + *events as u64, m + missed));
        // A sample and a report for each of the 51.
        assert_eq!(events + missed, 102, "{heard:?}");
        assert!(missed > 0);
    });
    drop(handle);
}

/// A thousand async evaluations at once on one thread; each is where it says it is.
#[test]
fn a_thousand_async_evaluations_wait_at_once() {
    let session = study().max_evaluations(2000).workers(1000).open().unwrap();
    let (now, most) = (Arc::<AtomicU64>::default(), Arc::<AtomicU64>::default());
    let (counts, peak) = (now.clone(), most.clone());
    let reached = Arc::new(tokio_notify());
    let gate = reached.clone();
    session
        .run_async(move |trial: RunningTrial| {
            let (now, most, gate) = (counts.clone(), peak.clone(), gate.clone());
            async move {
                assert_eq!(current_trial().unwrap().id(), trial.id());
                let here = now.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(here, Ordering::SeqCst);
                // Nobody goes on before all thousand are here once.
                gate.wait(most.load(Ordering::SeqCst) >= 1000).await;
                assert_eq!(current_trial().unwrap().id(), trial.id());
                now.fetch_sub(1, Ordering::SeqCst);
                Ok(trial.config().float("x")?)
            }
        })
        .unwrap();
    assert_eq!(most.load(Ordering::SeqCst), 1000);
    assert!(current_trial().is_none());
    let outcome = session.close().unwrap();
    assert_eq!(outcome.study().count(State::Success), 2000, "{outcome}");
}

/// What waits for a gate to open.
struct Gate(Mutex<(bool, Vec<std::task::Waker>)>);

fn tokio_notify() -> Gate {
    Gate(Mutex::new((false, Vec::new())))
}

impl Gate {
    async fn wait(&self, opens: bool) {
        if opens {
            let mut gate = self.0.lock().unwrap();
            gate.0 = true;
            gate.1.drain(..).for_each(std::task::Waker::wake);
        }
        std::future::poll_fn(|task| {
            let mut gate = self.0.lock().unwrap();
            if gate.0 {
                return std::task::Poll::Ready(());
            }
            gate.1.push(task.waker().clone());
            std::task::Poll::Pending
        })
        .await;
    }
}

/// Errors, panics and the time limit of an async closure are crashed trials; a stop releases what
/// still waits.
#[test]
fn an_async_evaluation_that_fails_is_a_crashed_trial_and_a_stop_releases_it() {
    let session =
        study().max_evaluations(4).workers(4).timeout(Duration::from_millis(20)).open().unwrap();
    let run = session.run_async(|trial: RunningTrial| async move {
        match trial.id().number() {
            Some(1) => Err("a reason".into()),
            Some(2) => panic!("an accident"),
            Some(3) => std::future::pending().await,
            _ => Ok(0.5),
        }
    });
    run.unwrap();
    let outcome = session.close().unwrap();
    let kind = |number| {
        let trial = outcome.study().trial(&TrialId::Number(number)).unwrap();
        trial.report.as_ref().unwrap().failure.clone().map(|failure| failure.err_type)
    };
    let kinds = [1, 2, 3, 4].map(kind);
    assert_eq!(kinds, [Some("error".into()), Some("panic".into()), Some("timeout".into()), None]);

    let session = study().max_evaluations(100).workers(8).open().unwrap();
    let stop = session.stop_signal();
    let begun = AtomicU64::new(0);
    let run = session.run_async(move |_: RunningTrial| {
        if begun.fetch_add(1, Ordering::SeqCst) == 7 {
            stop.stop();
        }
        std::future::pending::<Result<f64, BoxError>>()
    });
    assert_eq!(run.unwrap(), StopReason::Interrupted);
    let outcome = session.close().unwrap();
    assert_eq!(outcome.study().count(State::Pending), 8, "{outcome}");
}

/// Reports of an actor's own, late ones among them, and what it reads.
#[test]
fn the_messages_answer_what_the_handle_answers() {
    let session = study().max_evaluations(3).open().unwrap();
    let worker = session.enlist();
    let state = worker.state();
    System::new().block_on(async {
        let trial = trials(state.send(Ask::of(&worker, 2)).await.unwrap().unwrap()).remove(0);
        let tell = Tell::of(&trial, 0.25);
        let first = state.send(tell.clone()).await.unwrap().unwrap();
        assert_eq!(first, ReportOutcome::Accepted);
        let late = state.send(tell).await.unwrap().unwrap();
        assert!(matches!(late, ReportOutcome::Superseded { state: State::Success, .. }));
        let unknown = Tell { trial: TrialId::Number(99), attempt: None, report: 0.5.into() };
        let error = state.send(unknown).await.unwrap().unwrap_err();
        assert!(error.to_string().contains("99"), "{error}");
        let best = Query::new(|study| study.best().and_then(Trial::objective));
        assert_eq!(state.send(best).await.unwrap().unwrap(), Some(0.25));
        // The panic of a reader is its own.
        let panics = state.send(Query::new(|_| -> u32 { panic!("an accident") })).await.unwrap();
        assert!(panics.is_err());
        assert!(state.send(Query::new(|_| ())).await.unwrap().is_ok());
    });
    drop(worker);
    session.close().unwrap();
    let closed = System::new().block_on(state.send(Query::new(|_| ())));
    assert!(!matches!(closed, Ok(Ok(()))), "the study is closed");
}

/// The steps that `TellSteps` holds had no public name, so nobody outside could send one.
#[test]
fn an_actor_tells_steps_and_hears_the_pruners_verdict() {
    let threshold = PrunerInfo::new("threshold", [("upper", 0.5)]);
    let session = study().max_evaluations(1).pruner(threshold).open().unwrap();
    let worker = session.enlist();
    let trial = trials(worker.ask(1).unwrap()).remove(0);
    let (state, told) = (worker.state(), trial.clone());
    let said = System::new().block_on(async move {
        let tell = |steps: Vec<(u64, f64)>| state.send(TellSteps::of(&told, steps));
        let several = [tell(vec![(1, 0.4), (2, 0.3)]), tell(vec![(3, 0.6)]), tell(vec![(4, 0.1)])];
        let mut said = Vec::new();
        for answer in several {
            said.push(answer.await.unwrap().unwrap());
        }
        let pruned = Tell::of(&told, Report::pruned());
        assert_eq!(state.send(pruned).await.unwrap().unwrap(), ReportOutcome::Accepted);
        said.push(state.send(TellSteps::of(&told, [(5, 0.1)])).await.unwrap().unwrap());
        said
    });
    let [
        StepOutcome::Continue,
        StepOutcome::Prune,
        StepOutcome::Prune,
        StepOutcome::Superseded { state, .. },
    ] = &said[..]
    else {
        panic!("{said:?}")
    };
    assert_eq!(*state, State::Pruned);
    drop(worker);
    let outcome = session.close().unwrap();
    let steps = outcome.study().trial(&trial.id).unwrap().steps.as_ref().unwrap().len();
    assert_eq!(steps, 4);
}
