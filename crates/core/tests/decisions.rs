//! What a study decides when an optimizer or a caller misbehaves, command by command.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

mod support;

use support::{
    Says, ask, handed, id, obedient, process, refuses, report, run, study, suggestion, suggestions,
};
use trialmill_core::budget::{Budget, Limit};
use trialmill_core::config::Value;
use trialmill_core::definition::Definition;
use trialmill_core::error::BoxError;
use trialmill_core::evaluation::Evaluation;
use trialmill_core::event::{Event, EventKind, Lease, Policy, Reason};
use trialmill_core::optimizer::{Optimizer, OptimizerInfo, Proposal, SamplingRequest, Suggestion};
use trialmill_core::space::{Domain, Parameter, SearchSpace};
use trialmill_core::stopping::{EarlyEnd, RegretBound, StopEarly};
use trialmill_core::study::{Answer, Ask, Command, StopReason, StudyState};
use trialmill_core::trial::{Report, State, Step, Trial};

/// Otherwise a budget of 200 is what the optimizer makes of it.
#[test]
fn an_optimizer_that_proposes_more_than_asked_for_does_not_spend_more() {
    let mut study = study(3);
    let greedy =
        |request: &SamplingRequest<'_>| Proposal::Evaluate(suggestions(request, request.n() + 1));
    refuses(ask(&mut study, 3, greedy), "proposed 4 configurations when asked for 3");
    assert_eq!((study.trials().len(), study.spent().evaluations), (0, 0));
    // Fewer are welcome.
    let modest = |request: &SamplingRequest<'_>| Proposal::Evaluate(suggestions(request, 1));
    assert_eq!(handed(ask(&mut study, 3, modest).unwrap()), [id("1")]);
}

#[test]
fn an_optimizer_that_waits_for_nothing_is_an_error_and_no_wait() {
    let mut study = study(9);
    refuses(ask(&mut study, 1, |_| Proposal::Wait), "it would wait for ever");
    // While a trial is evaluated, or waits to be, a result can come.
    let first = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
    assert_eq!(ask(&mut study, 1, |_| Proposal::Wait), Ok(Answer::Wait));
    report(&mut study, &first, Report::objective(1.0));
    let sample = || Command::Sample { n: 1, worker: "p1-w1".into() };
    run(&mut study, sample()).unwrap();
    let waits =
        study.execute(2.5, sample(), &mut Says(|_: &SamplingRequest<'_>| Proposal::Wait)).unwrap();
    assert_eq!(waits.0, Answer::Wait);
    // What is pending is handed out; the next request has the optimizer alone.
    handed(ask(&mut study, 1, |_| Proposal::Wait).unwrap());
    refuses(ask(&mut study, 1, |_| Proposal::Evaluate(Vec::new())), "neither waits nor ends");
}

/// After a release everybody waited: the optimizer for the released trial, and the trial for
/// somebody to whom it was handed.
#[test]
fn what_is_pending_is_handed_out_while_the_optimizer_waits_or_has_ended() {
    for says in [Proposal::Wait, Proposal::Finished] {
        let mut study = study(9);
        let both = handed(ask(&mut study, 2, obedient).unwrap());
        let (trial, reason) = (both[1].clone(), Reason::Released);
        run(&mut study, Command::Release { trial, attempt: None, reason }).unwrap();
        let answer = says.clone();
        let again = ask(&mut study, 2, move |_| answer.clone()).unwrap();
        assert_eq!(handed(again), both[1..], "{says:?}");
        let next = ask(&mut study, 2, move |_| says.clone()).unwrap();
        assert!(matches!(next, Answer::Wait | Answer::Stop(StopReason::Finished)), "{next:?}");
    }
}

/// An optimizer may take long to say what nobody wants.
#[test]
fn nobody_asks_an_optimizer_for_more_than_is_missing() {
    let mut study = study(9);
    run(&mut study, Command::Sample { n: 3, worker: "p1-w1".into() }).unwrap();
    let never = |_: &SamplingRequest<'_>| panic!("two of three that wait are wanted");
    assert_eq!(handed(ask(&mut study, 2, never).unwrap()).len(), 2);
    let one = |request: &SamplingRequest<'_>| {
        assert_eq!(request.n(), 1);
        obedient(request)
    };
    assert_eq!(handed(ask(&mut study, 2, one).unwrap()), [id("3"), id("4")]);
    // The budget has room for five more.
    let five = |request: &SamplingRequest<'_>| {
        assert_eq!(request.n(), 5);
        obedient(request)
    };
    assert_eq!(handed(ask(&mut study, 99, five).unwrap()).len(), 5);
}

/// Workers wait for what another program samples; whoever asks once is told that nobody here can.
#[test]
fn workers_wait_for_an_optimizer_that_is_elsewhere_and_callers_hear_of_it() {
    struct Elsewhere;
    impl Optimizer for Elsewhere {
        fn info(&self) -> OptimizerInfo {
            OptimizerInfo::new("elsewhere", Vec::<(String, i32)>::new())
        }
        fn ask(&mut self, _: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
            Err("another program has it".into())
        }
        fn is_elsewhere(&self) -> bool {
            true
        }
    }
    let mut study = study(9);
    let lease = Lease { seconds: 60.0, until_uptime_s: 99.0, host: "h".into(), boot: "b".into() };
    let mut ask = |lease| {
        let ask = Ask { worker: "p1-w1".into(), n: 1, lease, evaluation: None };
        study.execute(2.5, Command::Ask(ask), &mut Elsewhere).map(|(answer, _)| answer)
    };
    assert_eq!(ask(None), Ok(Answer::Wait));
    refuses(ask(Some(lease)), "another program has it");
}

/// A trial under a name that is taken contradicts the journal: the state of the whole run was lost
/// for an optimizer's mistake.
#[test]
fn a_name_is_proposed_once() {
    let named = |names: &'static [&'static str]| {
        move |request: &SamplingRequest<'_>| {
            let name = |(at, name): (usize, &&str)| Suggestion {
                id: (!name.is_empty()).then(|| id(name)),
                ..suggestion(request, at)
            };
            Proposal::Evaluate(names.iter().enumerate().map(name).collect())
        }
    };
    let mut study = study(20);
    let fresh = ask(&mut study, 4, named(&["3_rung_0", "", "7", ""])).unwrap();
    assert_eq!(handed(fresh), ["3_rung_0", "4", "7", "8"].map(id));
    for taken in [&["3_rung_0"][..], &["7"], &["", "8"], &["5_rung_1", "5_rung_1"], &["", "9"]] {
        refuses(ask(&mut study, 4, named(taken)), "a second time");
    }
    // Behind the last number there is no other.
    let last: &[&str] = &["18446744073709551615", ""];
    refuses(ask(&mut study, 4, named(last)), "a second time");
    assert_eq!(study.trials().len(), 4);
    assert_eq!(handed(ask(&mut study, 1, named(&["3_rung_1"])).unwrap()), [id("3_rung_1")]);
}

/// ASHA of NePS 0.17 promotes trials that have no result yet. A second worker then began `1_rung_1` while the first
/// still evaluated `1_rung_0`, and began from nothing: it found no checkpoint.
#[test]
fn a_trial_waits_until_the_one_that_it_continues_has_ended() {
    let named = |name: &str, previous: Option<&str>| {
        let (name, previous) = (id(name), previous.map(id));
        move |request: &SamplingRequest<'_>| {
            let (id, previous) = (Some(name.clone()), previous.clone());
            Proposal::Evaluate(vec![Suggestion { id, previous, ..suggestion(request, 0) }])
        }
    };
    // Each trial is sampled later than the one before.
    fn tell(
        study: &mut StudyState,
        command: Command,
        says: impl FnMut(&SamplingRequest<'_>) -> Proposal + Send + 'static,
    ) -> Answer {
        let now = study.trials().len() as f64;
        study.execute(now, command, &mut Says(says)).unwrap().0
    }
    let promoted = || named("1_rung_1", Some("1_rung_0"));
    type End = (&'static str, fn(&mut StudyState));
    let ends: [End; 3] = [
        ("success", |study| report(study, &id("1_rung_0"), Report::objective(0.5))),
        ("crashed", |study| report(study, &id("1_rung_0"), Report::crashed("signal", "it broke"))),
        ("corrupted", |study| {
            let mut trial = study.trial(&id("1_rung_0")).unwrap().clone();
            trial.state = State::Corrupted;
            run(study, Command::Put(Box::new(trial))).unwrap();
        }),
    ];
    // Sampled for later, with and without the one that it continues being evaluated, and for whoever asks.
    for how in ["both wait", "one waits", "at once"] {
        for (end, ends) in &ends {
            let mut study = study(9);
            let sample = || Command::Sample { n: 1, worker: "p1-w1".into() };
            let ask =
                |n| Command::Ask(Ask { worker: "p1-w1".into(), n, lease: None, evaluation: None });
            let finished = |_: &SamplingRequest<'_>| Proposal::Finished;
            let first = named("1_rung_0", None);
            match how {
                "both wait" => {
                    tell(&mut study, sample(), first);
                    tell(&mut study, sample(), promoted());
                    let both = tell(&mut study, ask(2), finished);
                    assert_eq!(handed(both), [id("1_rung_0")]);
                }
                "one waits" => {
                    tell(&mut study, ask(1), first);
                    tell(&mut study, sample(), promoted());
                }
                _ => {
                    tell(&mut study, ask(1), first);
                    assert_eq!(tell(&mut study, ask(1), promoted()), Answer::Wait);
                }
            }
            assert_eq!(study.trial(&id("1_rung_1")).unwrap().state, State::Pending);
            // It is no reason to stop, nor to keep others waiting.
            assert_eq!(tell(&mut study, ask(1), finished), Answer::Wait, "{how}");
            let fails = |_: &SamplingRequest<'_>| Proposal::Evaluate(Vec::new());
            assert_eq!(tell(&mut study, ask(1), fails), Answer::Wait, "{how}");
            assert_eq!(handed(tell(&mut study, ask(2), named("2_rung_0", None))), [id("2_rung_0")]);
            ends(&mut study);
            let next = tell(&mut study, ask(2), finished);
            assert_eq!(handed(next), [id("1_rung_1")], "{how}, {end}");
        }
    }
    // Nobody knows whether a worker of NePS's is still alive.
    let mut study = study(9);
    let sample = || Command::Sample { n: 1, worker: "p1-w1".into() };
    tell(&mut study, sample(), named("1_rung_0", None));
    tell(&mut study, sample(), promoted());
    let mut trial = study.trial(&id("1_rung_0")).unwrap().clone();
    trial.state = State::Evaluating;
    trial.metadata.evaluating_worker_id = Some("worker_0".into());
    tell(&mut study, Command::Put(Box::new(trial)), obedient);
    let one = Command::Ask(Ask { worker: "p1-w1".into(), n: 1, lease: None, evaluation: None });
    let answer = tell(&mut study, one, |_| Proposal::Finished);
    assert_eq!(answer, Answer::Stop(StopReason::Finished));
}

/// The trial that is continued is where a trial of higher fidelity finds its checkpoint.
#[test]
fn a_sampled_trial_says_what_it_continues_and_who_sampled_it_when() {
    let mut study = study(9);
    let first = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
    report(&mut study, &first, Report::objective(0.5));
    let continues = |previous: &'static str| {
        move |request: &SamplingRequest<'_>| {
            let previous = Some(id(previous));
            Proposal::Evaluate(vec![Suggestion { previous, ..suggestion(request, 0) }])
        }
    };
    refuses(ask(&mut study, 1, continues("99")), "trial '99', which does not exist");
    let second = handed(ask(&mut study, 1, continues("1")).unwrap()).remove(0);
    let metadata = study.trial(&second).unwrap().metadata.clone();
    assert_eq!(metadata.previous_trial_id, Some(first));
    assert_eq!(metadata.sampling_worker_id.as_deref(), Some("p1-w1"));
    assert_eq!(metadata.evaluating_worker_id.as_deref(), Some("p1-w1"));
    assert_eq!((metadata.time_sampled, metadata.time_started), (2.5, Some(2.5)));
}

/// A model that was fitted while somebody else sampled draws from a stream that is used: the same
/// configurations are evaluated twice.
#[test]
fn an_offer_that_somebody_forestalled_is_made_again() {
    let mut study = study(9);
    let offered = suggestions(&study.request(1, &study.spent()), 1);
    let offer = |first_sample| Command::Offer {
        first_sample,
        worker: "p1-w0".into(),
        suggestions: offered.clone(),
    };
    let decision = study.decide(offer(0), None).unwrap();
    assert!(matches!(&decision.events[..], [EventKind::Sampled { claimed: false, .. }]));
    handed(ask(&mut study, 1, obedient).unwrap());
    for late in [0, 2] {
        let decision = study.decide(offer(late), None).unwrap();
        assert_eq!((decision.answer, decision.events.len()), (Answer::Propose, 0));
    }
    assert!(matches!(run(&mut study, offer(1)), Ok(Answer::Evaluate(_))));
    assert_eq!((study.trials().len(), study.count(State::Pending)), (2, 1));
}

/// With an attempt taken back, the late report of the old attempt counts as that of a new one.
#[test]
fn a_correction_takes_no_attempt_back() {
    let mut study = study(9);
    let first = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
    report(&mut study, &first, Report::crashed("error", "x"));
    run(&mut study, Command::RetryOne(first.clone())).unwrap();
    handed(ask(&mut study, 1, obedient).unwrap());
    let trial = study.trial(&first).unwrap().clone();
    assert_eq!(trial.attempts, 2);
    let put = |attempts| Command::Put(Box::new(Trial { attempts, ..trial.clone() }));
    refuses(run(&mut study, put(1)), "cannot go back to 1");
    for attempts in [2, 3] {
        assert_eq!(run(&mut study, put(attempts)), Ok(Answer::Done));
    }
    let other = Trial { config: trial.config.with("x", 0.123), ..trial.clone() };
    refuses(run(&mut study, Command::Put(Box::new(other))), "another configuration");
}

/// A budget of evaluation time, which no test knew: with a wrong sign it is never used up.
#[test]
fn a_budget_of_each_kind_ends_with_the_report_that_uses_it_up() {
    let spend = || Report::objective(1.0).cost(2.5).evaluation_duration(0.5);
    for (budget, limit) in [
        (Budget { cost: Some(5.0), ..Budget::default() }, Limit::Cost),
        (Budget { evaluation_seconds: Some(1.0), ..Budget::default() }, Limit::EvaluationSeconds),
    ] {
        let mut study = study(9);
        run(&mut study, Command::SetPolicy(Box::new(Policy { budget, ..Policy::default() })))
            .unwrap();
        for _ in 0..2 {
            let trial = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
            report(&mut study, &trial, spend());
        }
        assert_eq!((study.spent().cost, study.spent().evaluation_seconds), (5.0, 1.0));
        assert_eq!(ask(&mut study, 1, obedient), Ok(Answer::Stop(StopReason::Budget(limit))));
    }
}

/// Where NePS shares the directory, whoever may sample waits for a model that NePS fits; a report must
/// not.
#[test]
fn only_what_may_sample_waits_for_samplers() {
    let trial = || id("1");
    let report = || Box::new(Report::objective(1.0));
    let study = study(9);
    let put = Trial::sampled(
        trial(),
        suggestion(&study.request(1, &study.spent()), 0).config,
        None,
        "me".into(),
        false,
        None,
        1.0,
    );
    let process = process();
    for (command, may_sample) in [
        (Command::Ask(Ask { worker: "me".into(), n: 1, lease: None, evaluation: None }), true),
        (Command::Sample { n: 1, worker: "me".into() }, true),
        (Command::Offer { first_sample: 0, worker: "me".into(), suggestions: vec![] }, true),
        (Command::Join(process), true),
        (Command::SetPolicy(Box::default()), true),
        (Command::Report { trial: trial(), attempt: None, report: report() }, false),
        (Command::Release { trial: trial(), attempt: None, reason: Reason::Released }, false),
        (Command::Retry { states: vec![State::Crashed] }, false),
        (Command::RetryOne(trial()), false),
        (Command::Leave(1), false),
        (Command::Bury(1), false),
        (Command::Put(Box::new(put)), false),
    ] {
        assert_eq!(command.may_sample(), may_sample, "{command:?}");
    }
}

#[test]
fn rules_that_make_no_sense_are_refused_and_those_that_change_nothing_are_not_stored() {
    let mut study = study(9);
    let budget = |budget| Policy { budget, ..Policy::default() };
    let nothing = Some(0.0);
    for policy in [
        budget(Budget { evaluations: Some(0), ..Budget::default() }),
        budget(Budget { cost: nothing, ..Budget::default() }),
        budget(Budget { fidelity: nothing, ..Budget::default() }),
        budget(Budget { evaluation_seconds: nothing, ..Budget::default() }),
    ] {
        assert!(!policy.budget.is_unlimited());
        let command = || Command::SetPolicy(Box::new(policy.clone()));
        assert_eq!(study.decide(command(), None).unwrap().events.len(), 1);
        run(&mut study, command()).unwrap();
        assert_eq!(study.policy(), &policy);
        assert_eq!(study.decide(command(), None).unwrap().events.len(), 0);
        let stops = ask(&mut study, 1, obedient).unwrap();
        assert!(matches!(stops, Answer::Stop(StopReason::Budget(_))), "{stops:?}");
    }
    assert!(Budget::default().is_unlimited());
    for bad in [-1e-300, f64::NAN, f64::INFINITY] {
        let policy = budget(Budget { evaluation_seconds: Some(bad), ..Budget::default() });
        refuses(
            run(&mut study, Command::SetPolicy(Box::new(policy))),
            "evaluation_seconds must be a number",
        );
    }
    let policy = Policy { max_attempts: 0, ..Policy::default() };
    refuses(
        run(&mut study, Command::SetPolicy(Box::new(policy))),
        "max_attempts must be 1 or more",
    );
}

/// Everything that an attempt reports has a bound, and a value.
#[test]
fn too_many_steps_and_steps_without_a_value_are_refused_and_nothing_is_lost() {
    let mut study = study(9);
    let id = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
    let step = |steps| Command::Step { trial: id.clone(), attempt: None, steps };
    let many = |from: u64, n: usize| -> Vec<Step> {
        (from..).take(n).map(|step| Step::new(step, 0.5)).collect()
    };
    let most = trialmill_core::limits::MAX_STEPS;
    run(&mut study, step(many(0, most - 1))).unwrap();
    let error = run(&mut study, step(many(most as u64, 2))).unwrap_err();
    assert!(error.to_string().contains("report every tenth"), "{error}");
    run(&mut study, step(many(most as u64, 1))).unwrap();
    let error = run(&mut study, step(vec![Step::new(7, Vec::new())]));
    assert_eq!(error, Ok(Answer::Stepped { prune: false }), "known already");
    let error = run(&mut study, step(vec![Step::new(u64::MAX, Vec::new())])).unwrap_err();
    assert!(error.to_string().contains("without a value"), "{error}");
    assert_eq!(study.spent().steps, most as u64);
}

/// A bound on the regret is computed from results alone: what failed, was pruned, is no number or violates a
/// constraint says nothing of the best there is, and no study has so many that looking at them takes long.
#[test]
fn a_bound_on_the_regret_is_due_at_checkpoints_and_sees_the_best_results_alone() {
    use trialmill_core::stopping::{RegretBound, StopEarly};
    let mut study = study(5_000);
    let wanted = Some(RegretBound::AtMost(0.5));
    let with = |regret_bound| StopEarly { regret_bound, ..StopEarly::default() };
    let policy = |study: &StudyState, regret_bound| Policy {
        stop_early: with(regret_bound),
        ..study.policy().clone()
    };
    let asks = policy(&study, wanted);
    run(&mut study, Command::SetPolicy(Box::new(asks.clone()))).unwrap();
    let one = |study: &mut StudyState, result: Report| {
        let trial = handed(ask(study, 1, obedient).unwrap()).remove(0);
        report(study, &trial, result);
    };
    let mut counts = Vec::new();
    for at in 0..1_000 {
        for none in [
            Report::failed("no"),
            Report::pruned(),
            Report::objective(f64::NAN),
            Report::objective(f64::NEG_INFINITY),
        ] {
            if at % 50 == 0 {
                one(&mut study, none);
            }
        }
        one(&mut study, Report::objective(f64::from(1_000 - at)));
        if let Some(checkpoint) = study.checkpoint()
            && counts.last() != Some(&checkpoint.count)
        {
            counts.push(checkpoint.count);
            assert_eq!(checkpoint.count, at as u64 + 1);
            assert_eq!(checkpoint.best[0].0, f64::from(1_000 - at));
            let half = (checkpoint.count / 2).clamp(20, 300) as usize;
            assert_eq!(checkpoint.best.len(), half);
            assert!(checkpoint.best.is_sorted_by(|a, b| a.0 < b.0));
        }
    }
    assert_eq!(counts[..6], [20, 22, 24, 26, 28, 30]);
    assert!(counts.len() < 50, "{}", counts.len());
    // A result that is corrected, and what the policy asks for later.
    let mut other =
        study.trials().iter().find(|trial| trial.objective() == Some(1.0)).unwrap().clone();
    other.report = Some(Box::new(Report::objective(700.5)));
    run(&mut study, Command::Put(Box::new(other))).unwrap();
    let corrected = study.checkpoint().unwrap().clone();
    assert_eq!((corrected.count, corrected.best[0].0), (1_000, 2.0));
    let asks_nothing = policy(&study, None);
    run(&mut study, Command::SetPolicy(Box::new(asks_nothing))).unwrap();
    assert!(study.checkpoint().is_none());
    run(&mut study, Command::SetPolicy(Box::new(asks))).unwrap();
    assert_eq!(*study.checkpoint().unwrap(), corrected);
}

/// A policy grew inside of its event until each of the millions of events that are no policy was moved
/// about in 248 bytes, and batches of trials took half as much time again.
#[test]
fn what_is_rare_and_large_does_not_make_every_event_and_command_large() {
    let sizes = [size_of::<Event>(), size_of::<Command>()];
    assert!(sizes.iter().all(|size| *size <= 96), "{sizes:?}");
}

/// A list without values was a success, and the best of all.
#[test]
fn a_result_without_an_objective_is_no_success_before_and_after_the_first_one() {
    let mut study = study(10);
    let trials = handed(ask(&mut study, 3, obedient).unwrap());
    for (trial, objective) in trials.iter().zip([None, Some(1.0), None]) {
        let said = objective.into_iter().collect::<Vec<f64>>();
        report(&mut study, trial, Report::objective(said));
        let stored = study.trial(trial).unwrap().report.clone().unwrap();
        match objective {
            Some(_) => assert_eq!(stored.reported_as, State::Success),
            None => {
                assert_eq!(stored.reported_as, State::Crashed);
                let problem = &stored.failure.unwrap().err;
                assert!(problem.contains("no objective"), "{problem}");
            }
        }
    }
    assert_eq!(study.front().len(), 1);
}

/// An evaluation of one epoch says little about the best there is: the bound on the regret would be computed from
/// noise, and end the study.
#[test]
fn only_results_at_full_fidelity_count_for_the_bound_on_the_regret() {
    for fidelity in [Parameter::int(1, 9).fidelity(), Parameter::float(1.0, 9.0).fidelity()] {
        let space = [("x", Parameter::float(0.0, 1.0)), ("epochs", fidelity.clone())];
        let info = OptimizerInfo::new("says", Vec::<(String, i32)>::new());
        let space = SearchSpace::new(space).unwrap();
        let mut study = StudyState::new(Definition::new(space, info).seeded(7));
        let regret_bound = Some(RegretBound::AtMost(1e-3));
        let stop_early = StopEarly { regret_bound, ..StopEarly::default() };
        let policy = Policy { stop_early, ..Policy::default() };
        run(&mut study, Command::SetPolicy(Box::new(policy))).unwrap();
        run(&mut study, Command::Join(process())).unwrap();
        let mut whole = 0;
        for round in 0..200_u64 {
            let is_whole = round % 2 == 0;
            let epochs = if is_whole { 9.0 } else { 8.0 };
            let is_float = matches!(fidelity.domain(), Domain::Float { .. });
            let answer = ask(&mut study, 1, move |request| {
                let mut suggestion = suggestion(request, 0);
                let value = if is_float { Value::Float(epochs) } else { Value::Int(epochs as i64) };
                suggestion.config = suggestion.config.with("epochs", value);
                Proposal::Evaluate(vec![suggestion])
            });
            whole += u64::from(is_whole);
            report(&mut study, &handed(answer.unwrap())[0], Report::objective(round as f64));
        }
        let checkpoint = study.checkpoint().expect("enough results");
        assert!(checkpoint.count <= whole && checkpoint.count > whole / 2, "{}", checkpoint.count);
        assert!(checkpoint.best.iter().all(|(objective, _)| objective % 2.0 == 0.0));
    }
}

/// What an attempt ran could not be told any more: its number named another command, or none.
#[test]
fn an_evaluation_has_one_number_for_ever_and_no_attempt_one_that_there_is_not() {
    let mut study = study(9);
    let evaluation =
        |word: &str| Evaluation { command: vec![word.into()], ..Evaluation::default() };
    let event = |number, word| {
        let kind =
            EventKind::Evaluation { number, own: false, evaluation: evaluation(word).into() };
        Event { time: 2.5, kind }
    };
    study.apply(event(1, "a")).unwrap();
    study.apply(event(1, "a")).unwrap();
    let refused = [event(1, "b"), event(0, "b"), event(3, "c")];
    for (event, words) in refused.into_iter().zip(["comes twice", "comes twice", "too early"]) {
        let error = study.apply(event).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    study.apply(event(2, "b")).unwrap();
    let set = |word, own| Command::SetEvaluation { evaluation: Box::new(evaluation(word)), own };
    // It has a number already; what the study knows, and has, is no news.
    let again = [("a", false, 1, true), ("a", false, 1, false), ("a", true, 1, false)];
    let other = [("b", true, 2, false), ("b", false, 2, true), ("a", true, 1, false)];
    for (word, own, number, is_news) in again.into_iter().chain(other) {
        let set = study.execute(2.5, set(word, own), &mut Says(obedient)).unwrap();
        let seen = (set.0, set.1.len() == 1);
        assert_eq!(seen, (Answer::Evaluation(number), is_news), "{word}, {own}");
    }
    // The second is of another journal, or of a line that was lost.
    for (number, is_known) in [(Some(2), true), (None, true), (Some(3), false)] {
        let sampled = Command::Sample { n: 1, worker: "p1-w1".into() };
        let (_, mut events) = study.execute(2.5, sampled, &mut Says(obedient)).unwrap();
        let Some(Event { kind: EventKind::Sampled { trial, .. }, .. }) = events.pop() else {
            panic!("{events:?}")
        };
        let (worker, lease) = ("p1-w1".into(), None);
        let kind = EventKind::Claimed { trial, attempt: 1, worker, lease, evaluation: number };
        let applied = study.apply(Event { time: 2.5, kind });
        assert_eq!(applied.is_ok(), is_known, "{number:?}: {applied:?}");
    }
}

/// The clock of "nothing became better" starts anew with each improvement: a study ended although it had just
/// found something better.
#[test]
fn each_better_result_is_an_improvement_and_no_other() {
    let mut study = study(9);
    for (objective, improvements) in [(3.0, 1), (2.0, 2), (2.0, 2), (2.5, 2), (1.0, 3)] {
        let trial = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
        report(&mut study, &trial, Report::objective(objective));
        assert_eq!(study.improvements(), improvements, "after {objective}");
    }
}

#[test]
fn a_study_that_has_ended_early_does_not_end_again() {
    let mut study = study(9);
    let stop = || Command::Stop(EarlyEnd::NoImprovement);
    let mut events = |command| study.execute(2.5, command, &mut Says(obedient)).unwrap().1.len();
    assert_eq!((events(stop()), events(stop())), (1, 0));
}

#[test]
fn a_correction_that_takes_a_result_back_is_refused_with_what_to_do() {
    let mut study = study(9);
    let trials = handed(ask(&mut study, 2, obedient).unwrap());
    report(&mut study, &trials[0], Report::objective(1.0));
    report(&mut study, &trials[1], Report::crashed("error", "it broke"));
    let (back, again) = ("a correction takes no result back", "it can be tried again");
    let table = [
        (0, State::Evaluating, back),
        (0, State::Submitted, back),
        (1, State::Submitted, back),
        (1, State::Evaluating, again),
    ];
    for (at, state, words) in table {
        let mut trial = study.trial(&trials[at]).unwrap().clone();
        (trial.state, trial.report) = (state, None);
        refuses(run(&mut study, Command::Put(Box::new(trial))), words);
    }
}
