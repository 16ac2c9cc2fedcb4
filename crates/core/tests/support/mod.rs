//! A study, and an optimizer for which a function speaks.

#![allow(dead_code)] // Each test uses a part of it.

use trialmill_core::budget::Budget;
use trialmill_core::definition::Definition;
use trialmill_core::error::{BoxError, StudyError};
use trialmill_core::event::{Policy, Process};
use trialmill_core::objectives::Objectives;
use trialmill_core::optimizer::{Optimizer, OptimizerInfo, Proposal, SamplingRequest, Suggestion};
use trialmill_core::space::{Parameter, SearchSpace};
use trialmill_core::study::{Answer, Ask, Command, StudyState};
use trialmill_core::trial::{Report, TrialId};

/// An optimizer for which a function speaks.
pub(crate) struct Says<F>(pub(crate) F);

impl<F: FnMut(&SamplingRequest<'_>) -> Proposal + Send> Optimizer for Says<F> {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("says", Vec::<(String, i32)>::new())
    }
    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        Ok(self.0(request))
    }
}

pub(crate) fn suggestion(request: &SamplingRequest<'_>, at: usize) -> Suggestion {
    let mut rng = request.rng(at);
    request.space().config(|(_, parameter)| parameter.sample(&mut rng)).into()
}

pub(crate) fn suggestions(request: &SamplingRequest<'_>, n: usize) -> Vec<Suggestion> {
    (0..n).map(|at| suggestion(request, at)).collect()
}

pub(crate) fn obedient(request: &SamplingRequest<'_>) -> Proposal {
    Proposal::Evaluate(suggestions(request, request.n()))
}

pub(crate) fn id(text: &str) -> TrialId {
    text.parse().unwrap()
}

pub(crate) fn process() -> Process {
    Process { process: 0, host: "h".into(), boot: "b".into(), pid: 1, job: None, worker_id: None }
}

/// A study in which process 1 takes part, with a budget of this many evaluations.
pub(crate) fn study(evaluations: u64) -> StudyState {
    let mut study = study_of(Objectives::default());
    let budget = Budget { evaluations: Some(evaluations), ..Budget::default() };
    let policy = Policy { budget, ..Policy::default() };
    run(&mut study, Command::SetPolicy(Box::new(policy))).unwrap();
    study
}

/// A study with these objectives, without a budget.
pub(crate) fn study_of(objectives: Objectives) -> StudyState {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let info = OptimizerInfo::new("says", Vec::<(String, i32)>::new());
    let definition = Definition { objectives, ..Definition::new(space, info).seeded(7) };
    let mut study = StudyState::new(definition);
    run(&mut study, Command::Join(process())).unwrap();
    study
}

pub(crate) fn run(study: &mut StudyState, command: Command) -> Result<Answer, StudyError> {
    study.execute(2.5, command, &mut Says(obedient)).map(|(answer, _)| answer)
}

pub(crate) fn ask(
    study: &mut StudyState,
    n: usize,
    says: impl FnMut(&SamplingRequest<'_>) -> Proposal + Send + 'static,
) -> Result<Answer, StudyError> {
    let ask = Command::Ask(Ask { worker: "p1-w1".into(), n, lease: None, evaluation: None });
    study.execute(2.5, ask, &mut Says(says)).map(|(answer, _)| answer)
}

pub(crate) fn handed(answer: Answer) -> Vec<TrialId> {
    match answer {
        Answer::Evaluate(list) => list.into_iter().map(|trial| trial.id).collect(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn report(study: &mut StudyState, trial: &TrialId, report: Report) {
    let (trial, report) = (trial.clone(), Box::new(report));
    run(study, Command::Report { trial, attempt: None, report }).unwrap();
}

#[track_caller]
pub(crate) fn refuses(answer: Result<Answer, StudyError>, words: &str) {
    match answer {
        Err(error) => assert!(error.to_string().contains(words), "{error}"),
        Ok(answer) => panic!("{answer:?}"),
    }
}
