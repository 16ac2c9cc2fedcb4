//! What a study makes of results that do not fit it, and which policies make no sense for it.

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

mod support;

use support::{ask, handed, obedient, process, refuses, report, run, study_of};
use trialmill_core::budget::Budget;
use trialmill_core::definition::{Definition, OptimizerInfo};
use trialmill_core::error::StudyError;
use trialmill_core::event::{Event, EventKind, Policy, Stop};
use trialmill_core::objectives::{Direction, Objectives};
use trialmill_core::pruner::PrunerInfo;
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::stopping::{RegretBound, StopEarly};
use trialmill_core::study::{Command, StudyState};
use trialmill_core::trial::{Report, State};

fn named() -> Objectives {
    Objectives::default().and("error", Direction::Minimize).and("time", Direction::Minimize)
}

/// Trials with other numbers of objectives cannot be compared: all were the best, and a front had points of one,
/// two and three coordinates.
#[test]
fn a_result_has_as_many_values_as_the_study_wants_or_says_what_is_wrong() {
    let constrained = Objectives::default().and_constraint("memory");
    let first = "the study's first success had 1";
    // What the study has; each result, with its constraints, and what is wrong with it.
    type Given = (&'static [f64], &'static [f64], &'static str);
    let table: [(Objectives, &[Given]); 4] = [
        (
            Objectives::default(),
            &[
                (&[1.0], &[], ""),
                (&[1.0, 2.0], &[], first),
                (&[], &[], "no objective"),
                (&[2.0], &[], ""),
            ],
        ),
        (
            named(),
            &[(&[1.0], &[], "has 1 objectives, and the study has 2"), (&[1.0, 2.0], &[], "")],
        ),
        (Objectives::default(), &[(&[1.0], &[0.5], "has constraints, and the study names none")]),
        (
            constrained,
            &[
                (&[1.0], &[], "has 0 values of constraints, and the study has 1: memory"),
                (&[1.0], &[0.5, 0.5], "has 2 values of constraints"),
                (&[1.0], &[0.5], ""),
            ],
        ),
    ];
    for (objectives, results) in table {
        let mut study = study_of(objectives);
        for (values, constraints, problem) in results {
            let trial = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
            let said = Report::objective(values.to_vec());
            let is_said = !constraints.is_empty();
            let said = if is_said { said.constraints(constraints.to_vec()) } else { said };
            report(&mut study, &trial, said);
            let stored = study.trial(&trial).unwrap().report.clone().unwrap();
            match problem.is_empty() {
                true => {
                    assert_eq!(stored.reported_as, State::Success, "{values:?} {constraints:?}");
                }
                false => {
                    let failure = stored.failure.expect("it is refused");
                    assert_eq!(stored.reported_as, State::Crashed);
                    assert!(failure.err.contains(problem), "{}", failure.err);
                }
            }
        }
    }
}

/// What a failure says in place of an objective, or a result that a NePS worker left without one, is no measure of
/// what the study wants: all later results were refused.
#[test]
fn the_first_success_with_an_objective_says_how_many_all_have() {
    let mut study = study_of(Objectives::default());
    let trials = handed(ask(&mut study, 4, obedient).unwrap());
    let failed = Report { objective_to_minimize: Some(9.0.into()), ..Report::failed("no") };
    report(&mut study, &trials[0], failed);
    let mut without = study.trial(&trials[1]).unwrap().clone();
    without.state = State::Success;
    let none = Report { objective_to_minimize: None, ..Report::objective(0.5) };
    without.report = Some(Box::new(none));
    run(&mut study, Command::Put(Box::new(without))).unwrap();
    for (trial, state) in [(&trials[2], State::Success), (&trials[3], State::Success)] {
        report(&mut study, trial, Report::objective(vec![1.0, 2.0]));
        assert_eq!(study.trial(trial).unwrap().state, state);
    }
    let late = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
    report(&mut study, &late, Report::objective(0.5));
    assert_eq!(study.trial(&late).unwrap().state, State::Crashed, "the others have two");
}

/// What crashed may be chance and is tried again as often as the policy says; what failed is the configuration's
/// fault and is not.
#[test]
fn only_what_crashed_is_tried_again_and_only_so_often() {
    for max_failures in [0, 1, 2] {
        let mut study = study_of(Objectives::default());
        let policy = Policy { max_failures, ..Policy::default() };
        run(&mut study, Command::SetPolicy(Box::new(policy))).unwrap();
        let trial = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
        for attempt in 0..=max_failures {
            report(&mut study, &trial, Report::crashed("error", "chance"));
            let tried_again = attempt < max_failures;
            let state = if tried_again { State::Pending } else { State::Crashed };
            assert_eq!(study.trial(&trial).unwrap().state, state, "{attempt} of {max_failures}");
            if tried_again {
                assert_eq!(
                    handed(ask(&mut study, 1, obedient).unwrap()),
                    std::slice::from_ref(&trial)
                );
            }
        }
        let other = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
        report(&mut study, &other, Report::failed("too large"));
        assert_eq!(study.trial(&other).unwrap().state, State::Failed);
    }
}

/// What is left out of the line of a policy at its default must be in it at any other: a study that was opened again
/// had lost it.
#[test]
fn each_setting_of_a_policy_is_in_its_line() {
    let (none, pruner) = (Policy::default(), PrunerInfo::new("median", [("startup_trials", 3)]));
    let stop_early = StopEarly { target: Some(0.5), ..StopEarly::default() };
    let budget = Budget { steps: Some(9), ..Budget::default() };
    let stop = Stop { up_to: 4, now: true };
    let settings = [
        Policy { budget, ..none.clone() },
        Policy { count_in_progress: !none.count_in_progress, ..none.clone() },
        Policy { max_attempts: 7, ..none.clone() },
        Policy { max_failures: 7, ..none.clone() },
        Policy { pruner: Some(pruner), ..none.clone() },
        Policy { pruned_are_free: true, ..none.clone() },
        Policy { stop_early, ..none.clone() },
        Policy { paused: true, ..none.clone() },
        Policy { stop: Some(stop), ..none.clone() },
        Policy { stop: Some(Stop { now: false, ..stop }), ..none.clone() },
        none,
    ];
    for policy in settings {
        let line = serde_json::to_string(&policy).unwrap();
        assert_eq!(serde_json::from_str::<Policy>(&line).unwrap(), policy, "{line}");
    }
}

/// Such a study ran for ever, or never ended early, without a word.
#[test]
fn a_policy_that_can_never_come_true_is_refused_but_not_for_what_it_had() {
    let set = |study: &mut StudyState, policy| run(study, Command::SetPolicy(Box::new(policy)));
    let fidelity = |most| Policy {
        budget: Budget { fidelity: Some(most), ..Budget::default() },
        ..Policy::default()
    };
    let mut study = study_of(Objectives::default());
    refuses(set(&mut study, fidelity(9.0)), "no parameter is the fidelity");
    refuses(set(&mut study, Policy { max_attempts: 0, ..Policy::default() }), "1 or more");
    let regret_bound = Some(RegretBound::AtMost(0.1));
    let stop_early = StopEarly { regret_bound, ..StopEarly::default() };
    let bound = || Policy { stop_early, ..Policy::default() };
    set(&mut study, bound()).unwrap();
    // Of a directory of NePS's the space may not be known: then it may have a fidelity, and no model can be made.
    let info = OptimizerInfo::new("says", Vec::<(String, i32)>::new());
    let unknown =
        || StudyState::new(Definition::new(SearchSpace::unknown(), info.clone()).seeded(7));
    let mut study = unknown();
    run(&mut study, Command::Join(process())).unwrap();
    refuses(set(&mut study, bound()), "needs a space that is known");
    set(&mut study, fidelity(9.0)).unwrap();
    // A budget that was there before is no reason to refuse another change.
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let mut study = StudyState::new(Definition::new(space, info.clone()).seeded(7));
    let kind = EventKind::Policy(Box::new(fidelity(9.0)));
    study.apply(Event { time: 1.0, kind }).unwrap();
    set(&mut study, Policy { max_attempts: 7, ..fidelity(9.0) }).unwrap();
    refuses(set(&mut study, fidelity(8.0)), "no parameter is the fidelity");
}

/// Two rows of one import each said for themselves how many objectives all have, and from then on the study
/// took neither.
#[test]
fn of_what_is_brought_too_the_first_says_how_many_objectives_all_have() {
    let config = |study: &StudyState, x: f64| study.definition().space.config(|_| x.into());
    let import = |study: &mut StudyState, reports: &[Report]| {
        let trials = reports.iter().zip(1..);
        let trials =
            trials.map(|(report, at)| (config(study, f64::from(at) / 8.0), report.clone()));
        let trials = trials.collect();
        run(study, Command::Import { worker: "import".into(), trials, time: 1.0 })
    };
    let (one, two) = (Report::objective(1.0), Report::objective([1.0, 2.0]));
    let mut study = study_of(Objectives::default());
    let refused = import(&mut study, &[one.clone(), one.clone(), two.clone()]).unwrap_err();
    assert!(matches!(refused, StudyError::Imported { at: 2, .. }), "{refused}");
    assert!(refused.to_string().contains("trial 3 of those that are brought"), "{refused}");
    assert_eq!(study.trials().len(), 0);
    import(&mut study, std::slice::from_ref(&two)).unwrap();
    refuses(import(&mut study, std::slice::from_ref(&one)), "had 2");
    let late = handed(ask(&mut study, 1, obedient).unwrap()).remove(0);
    report(&mut study, &late, one);
    assert_eq!(study.trial(&late).unwrap().state, State::Crashed);
}
