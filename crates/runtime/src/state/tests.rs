//! What those are told who ask while there is nothing for them.

use std::time::Duration;

use super::*;
use crate::evaluate::RunningTrial;
use crate::session::Session;
use crate::{AskOutcome, RunOptions, StudyBuilder, StudyHandle};
use trialmill_core::definition::Definition;
use trialmill_core::error::{BoxError, StoreError};
use trialmill_core::event::{Event, EventKind};
use trialmill_core::optimizer::{Optimizer, OptimizerInfo, SamplingRequest};
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::trial::Trials;
use trialmill_core::trial::{Report, State, TrialId};
use trialmill_optimizers::RandomSearch;
use trialmill_store::{Replica, Store};

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// An optimizer for which a function speaks.
struct Asks<F>(bool, F);

impl<F: FnMut(&SamplingRequest<'_>) -> Proposal + Send> Optimizer for Asks<F> {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("asks", Vec::<(String, i32)>::new())
    }
    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        Ok(self.1(request))
    }
    fn is_slow(&self) -> bool {
        self.0
    }
}

/// One configuration; nothing if it cannot be drawn.
fn one(request: &SamplingRequest<'_>, previous: Option<u64>) -> Proposal {
    let request = SamplingRequest { n: 1, ..*request };
    match RandomSearch::new().ask(&request).unwrap() {
        Proposal::Evaluate(mut list) => {
            list[0].previous = previous.map(TrialId::Number);
            Proposal::Evaluate(list)
        }
        other => other,
    }
}

fn study(optimizer: impl Optimizer + 'static) -> StudyBuilder {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    StudyBuilder::in_memory().space(space).optimizer(optimizer).ctrl_c(false).workers(1)
}

/// What an outside caller is told, who waits for no more than a proposal.
fn ask(handle: &StudyHandle) -> AskOutcome {
    let (said, heard) = crossbeam_channel::bounded(1);
    let handle = handle.clone();
    std::thread::spawn(move || said.send(handle.ask("caller", 1, PATIENCE).unwrap()));
    heard.recv_timeout(PATIENCE).expect("the caller is answered")
}

/// Runs `outside` while a worker evaluates trial 1; then lets that go on.
fn beside_a_worker<T>(session: &Session, outside: impl FnOnce() -> T) -> T {
    let (begun, begins) = crossbeam_channel::bounded(1);
    let (go_on, goes_on) = crossbeam_channel::bounded::<()>(0);
    std::thread::scope(|scope| {
        let run = scope.spawn(move || {
            session.run(|trial: &RunningTrial| {
                if trial.id() == &TrialId::Number(1) {
                    begun.send(())?;
                    // It ends when the other end is dropped.
                    let _ = goes_on.recv_timeout(PATIENCE);
                }
                Ok(Report::objective(1.0))
            })
        });
        begins.recv_timeout(PATIENCE).unwrap();
        let result = outside();
        drop(go_on);
        run.join().unwrap().unwrap();
        result
    })
}

/// An optimizer had nothing more to propose, and a caller left, though one trial still waited for what it continues.
#[test]
fn who_asks_while_a_trial_is_held_back_is_told_to_wait_and_not_that_all_is_done() {
    for is_slow in [false, true] {
        let optimizer =
            Asks(is_slow, |request: &SamplingRequest<'_>| match request.trials().len() {
                0 => one(request, None),
                1 => one(request, Some(1)),
                _ => Proposal::Finished,
            });
        let session = study(optimizer).open().unwrap();
        let handle = session.handle();
        beside_a_worker(&session, || {
            assert_eq!(ask(&handle), AskOutcome::Wait, "the second waits for the first: {is_slow}");
            assert_eq!(ask(&handle), AskOutcome::Wait, "and nothing more is proposed: {is_slow}");
        });
        assert_eq!(ask(&handle), AskOutcome::Stop(StopReason::Finished));
        assert_eq!(handle.trials().unwrap().len(), 2);
    }
}

/// A caller that asks again by itself hung until some trial came.
#[test]
fn a_caller_is_told_to_wait_where_a_worker_would_wait() {
    for is_slow in [false, true] {
        let optimizer =
            Asks(is_slow, |request: &SamplingRequest<'_>| match request.trials().len() {
                0 => one(request, None),
                _ if request.trials().iter().all(|trial| trial.state.is_finished()) => {
                    Proposal::Finished
                }
                _ => Proposal::Wait,
            });
        let session = study(optimizer).open().unwrap();
        let handle = session.handle();
        beside_a_worker(&session, || assert_eq!(ask(&handle), AskOutcome::Wait, "{is_slow}"));
    }
}

/// A trial was handed out at the close of a study, to somebody who could not report it any more.
#[test]
fn nothing_is_handed_out_after_either_sign_that_all_is_to_stop() {
    let stops: [fn(&Session); 2] =
        [|session| session.handle().interrupt(), |session| session.stop_signal().stop()];
    for stop in stops {
        let session = study(RandomSearch::new()).open().unwrap();
        assert!(matches!(ask(&session.handle()), AskOutcome::Trials(_)));
        stop(&session);
        assert_eq!(ask(&session.handle()), AskOutcome::Stop(StopReason::Interrupted));
    }
}

/// Whose time was up waited on for a trial, as long as somebody evaluated one; and nobody else has a time.
#[test]
fn a_worker_whose_time_is_up_waits_no_longer() {
    for seconds in [Some(1.0), None] {
        let optimizer = Asks(false, |request: &SamplingRequest<'_>| match request.trials().len() {
            0 => one(request, None),
            _ if request.trials().iter().all(|trial| trial.state.is_finished()) => {
                Proposal::Finished
            }
            _ => Proposal::Wait,
        });
        let mut study = study(optimizer).workers(2);
        if let Some(seconds) = seconds {
            study = study.max_seconds_per_worker(seconds);
        }
        let session = study.open().unwrap();
        let handle = session.handle();
        beside_a_worker(&session, || {
            let begin = Instant::now();
            let has_waited = || begin.elapsed() > Duration::from_secs(1);
            let wanted = usize::from(seconds.is_none());
            // It waits, unless a busy machine let its second go by before it asked.
            while handle.snapshot().waiting != wanted || !has_waited() {
                assert!(begin.elapsed() < PATIENCE, "{seconds:?}");
                std::thread::sleep(Duration::from_millis(10));
            }
        });
    }
}

/// A proposal for several is shared out, each gets as many as it wished for, and none is shown twice.
#[test]
fn who_samples_is_shown_what_was_sampled_for_it() {
    let optimizer =
        Asks(true, |request: &SamplingRequest<'_>| RandomSearch::new().ask(request).unwrap());
    let session = study(optimizer).open().unwrap();
    let handle = session.handle();
    let samplers: Vec<_> = [1, 2, 3]
        .map(|n| {
            let handle = handle.clone();
            std::thread::spawn(move || (n, handle.sample(n).unwrap().into_trials()))
        })
        .into();
    let mut shown: Vec<TrialId> = Vec::new();
    for sampler in samplers {
        let (n, trials) = sampler.join().unwrap();
        assert!((1..=n).contains(&trials.len()), "{n}: {}", trials.len());
        shown.extend(trials.into_iter().map(|trial| trial.id));
    }
    let count = shown.len();
    shown.sort();
    shown.dedup();
    assert_eq!(shown.len(), count, "shown twice");
    assert!(handle.trials().unwrap().len() >= count);
}

/// A store that keeps nothing, and in which nobody samples or changes the policy who has not said so: NePS's has
/// another lock for it. Whoever `hands_out` only must not say so for nothing.
struct Minded {
    purpose: Purpose,
    hands_out: bool,
}

impl Store for Minded {
    fn begin(&mut self, purpose: Purpose, _: &mut dyn Replica) -> Result<(), StoreError> {
        self.purpose = purpose;
        Ok(())
    }
    fn stage(&mut self, events: &[Event], _: &Trials) -> Result<(), StudyError> {
        let needs_it = |event: &Event| {
            matches!(
                event.kind,
                EventKind::Sampled { .. } | EventKind::Policy(_) | EventKind::Joined(_)
            )
        };
        let is_sampling = self.purpose == Purpose::Sampling;
        assert!(is_sampling || !events.iter().any(needs_it), "without the lock for it");
        let hands_out = |event: &Event| matches!(event.kind, EventKind::Claimed { .. });
        assert!(!(self.hands_out && is_sampling && events.iter().any(hands_out)), "for nothing");
        Ok(())
    }
    fn commit(&mut self, _: &Trials) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Without NePS's optimizer lock, both would sample the same configuration.
#[test]
fn whatever_makes_a_batch_sample_it_has_said_so_before() {
    for is_slow in [false, true] {
        let optimizer =
            Asks(is_slow, |request: &SamplingRequest<'_>| match request.trials().len() {
                0 | 2.. => one(request, None),
                _ if request.trials().iter().any(|trial| trial.state.is_finished()) => {
                    one(request, None)
                }
                _ => Proposal::Wait,
            });
        let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
        let definition = Definition::new(space, optimizer.info());
        let store = Box::new(Minded { purpose: Purpose::Reporting, hands_out: false });
        let core = StateCore::with_store(None, definition, store, Box::new(optimizer)).unwrap();
        let options = RunOptions { workers: 2, ctrl_c: false, ..RunOptions::default() };
        let session = Session::start(core, options, None).unwrap();
        let handle = session.handle();
        let AskOutcome::Trials(held) = ask(&handle) else { panic!("nothing was handed out") };
        std::thread::scope(|scope| {
            let run = scope.spawn(|| {
                let stop = session.stop_signal();
                session.run(move |trial: &RunningTrial| {
                    if trial.id().number() > Some(8) {
                        stop.stop();
                    }
                    Ok(Report::objective(1.0))
                })
            });
            let begin = Instant::now();
            while handle.snapshot().waiting < 2 {
                assert!(begin.elapsed() < PATIENCE, "no worker waits");
                std::thread::sleep(Duration::from_millis(2));
            }
            // Only now there is something to propose, and nobody asks in this batch.
            let _ = handle.report(&held[0].id, Some(1), Report::objective(1.0)).unwrap();
            run.join().unwrap().unwrap();
        });
        assert!(matches!(handle.sample(1), Ok(AskOutcome::Stop(_))), "all is to stop");
        assert!(handle.trials().unwrap().len() > 8);
    }
}

/// An optimizer of another program, whose trials are handed out here.
struct Elsewhere;

impl Optimizer for Elsewhere {
    fn info(&self) -> OptimizerInfo {
        RandomSearch::new().info()
    }
    fn ask(&mut self, _: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        Ok(Proposal::Wait)
    }
    fn is_elsewhere(&self) -> bool {
        true
    }
}

/// While NePS sampled, a session here changed the budget and added trials without NePS's lock: it wrote NePS's
/// optimizer state over what NePS had just written.
#[test]
fn where_another_program_samples_only_what_hands_out_goes_without_its_lock() {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let definition = Definition::new(space.clone(), Elsewhere.info());
    let store = Box::new(Minded { purpose: Purpose::Reporting, hands_out: true });
    let core = StateCore::with_store(None, definition, store, Box::new(Elsewhere)).unwrap();
    let options = RunOptions { workers: 1, ctrl_c: false, ..RunOptions::default() };
    let session = Session::start(core, options, None).unwrap();
    let handle = session.handle();
    let x = |x: f64| space.config(|_| x.into());
    handle.enqueue(vec![x(0.25), x(0.5), x(0.75)]).unwrap();
    let mut policy = handle.with_study(|study| study.policy().clone()).unwrap();
    policy.budget.evaluations = Some(3);
    handle.set_policy(policy).unwrap();
    handle.import(vec![(x(0.1), Report::objective(1.0))]).unwrap();
    let AskOutcome::Trials(held) = ask(&handle) else { panic!("nothing was handed out") };
    let _ = handle.report(&held[0].id, Some(1), Report::objective(1.0)).unwrap();
    session.run(|_: &RunningTrial| Ok(1.0)).unwrap();
    let outcome = session.close().unwrap();
    let count = |state| outcome.study().count(state);
    assert_eq!((count(State::Success), count(State::External)), (3, 1));
}
