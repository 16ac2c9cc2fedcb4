//! Workers of a study whose optimizer only another program has, and `sample`.

use trialmill::{
    BoxError, Optimizer, OptimizerInfo, Parameter, Proposal, RandomSearch, SamplingRequest,
    SearchSpace, Session, Study,
};

use nix::sys::signal::Signal;

use crate::support::{Trialmill, eventually};

/// An optimizer that no study file can name.
struct Own;

impl Optimizer for Own {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("own", [("depth", 3)])
    }
    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        RandomSearch::new().ask(request)
    }
}

/// The program that defines the optimizer. It has no workers.
fn program(study: &Trialmill) -> Session {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let builder = Study::builder(study.path("s")).space(space).optimizer(Own).max_evaluations(6);
    builder.ctrl_c(false).open().unwrap()
}

/// `worker` refused such a study, though `ask` handed out its trials; and where it began, it left as
/// soon as nothing waited.
#[test]
fn a_worker_evaluates_what_the_program_with_the_optimizer_samples_and_waits_for_more() {
    let study = Trialmill::new(0);
    let session = program(&study);
    let handle = session.handle();
    assert_eq!(handle.sample(2).unwrap().into_trials().len(), 2);
    let worker = study.start(&["worker", "s", "-q", "-w", "2", "--", "sh", "-c", "echo 0.5"]);
    eventually("what waits is evaluated", || study.count("success") == 2);
    // Nothing waits now, and it is still there.
    assert_eq!(handle.sample(3).unwrap().into_trials().len(), 3);
    eventually("what was sampled later, too", || study.count("success") == 5);
    assert_eq!(handle.sample(1).unwrap().into_trials().len(), 1);
    worker.end().exits(0).says(&["optimizer 'own' is not built in", "6 trials succeeded"]);
    assert_eq!(study.trials().len(), 6);
    drop(session);
}

/// With `--drain` it evaluated nothing: it exited with 2 before it looked.
#[test]
fn a_worker_that_drains_leaves_when_nothing_waits_and_one_with_a_time_limit_when_it_is_over() {
    let study = Trialmill::new(0);
    let session = program(&study);
    session.handle().sample(2).unwrap();
    let worker = ["worker", "s", "-q", "-w", "2", "--drain", "--", "sh", "-c", "echo 0.5"];
    study.run(&worker).exits(7).says(&["optimizer 'own'"]);
    assert_eq!(study.count("success"), 2);
    for workers in ["1", "2"] {
        let limited = ["worker", "s", "-q", "-w", workers, "--seconds", "1", "--", "false"];
        study.run(&limited).exits(0).says(&["2 trials succeeded", "the workers' time is up"]);
    }
}

/// The first of two workers that found nothing more ended the other's evaluation, or gave back what the
/// other had just been handed: the trial still waited when the process had left.
#[test]
fn a_worker_that_finds_nothing_more_leaves_the_others_what_they_have() {
    let study = Trialmill::new(0);
    let session = program(&study);
    session.handle().sample(2).unwrap();
    let script = "mkdir $HERE/taken 2>/dev/null && sleep 1; echo 0.5";
    let worker = ["worker", "s", "-q", "-w", "2", "--drain", "--", "sh", "-c", script];
    study.run(&worker).exits(7).says(&["optimizer 'own'"]);
    assert_eq!(study.count("success"), 2);
    let attempts = study
        .trials()
        .iter()
        .map(|trial| trial["metadata"]["attempts"].as_u64())
        .collect::<Vec<_>>();
    assert_eq!(attempts, [Some(1), Some(1)]);
}

/// A sampler keeps trials waiting, and ends with the budget; whoever evaluates finds them.
#[test]
fn a_sampler_keeps_trials_waiting_until_the_budget_is_used() {
    let study = Trialmill::new(6);
    study.create();
    let sampler = study.start(&["sample", "s", "--ahead", "2"]);
    eventually("two wait", || study.count("pending") == 2);
    let evaluates = ["worker", "s", "-q", "-w", "1", "--", "sh", "-c", "echo 0.5"];
    study.run(&evaluates).exits(0).says(&["6 trials succeeded"]);
    sampler.end().exits(0).says(&["the budget is used: evaluations"]);
    assert_eq!(study.trials().len(), 6);
}

/// `stop` said that no process works on the study while a sampler did, and that went on; a SIGTERM ended it
/// like a crash. One that had enough trials waiting did not notice that the study had ended.
#[test]
fn a_sampler_is_seen_and_ends_when_it_is_asked_to() {
    let study = Trialmill::new(9);
    study.create();
    let sampler = study.start(&["sample", "s", "--ahead", "2"]);
    eventually("two wait", || study.count("pending") == 2);
    assert_eq!(study.status()["processes"].as_array().unwrap().len(), 1);
    study.run(&["stop", "s"]).exits(0).says(&["asked to end: p1 on"]);
    sampler.end().exits(130).says(&["sampled 2 trials; the study's processes were asked to stop"]);
    let mut sampler = study.start(&["sample", "s", "--ahead", "3"]);
    eventually("three wait", || study.count("pending") == 3);
    sampler.signal(Signal::SIGTERM);
    sampler.end().exits(130).says(&["sampled 1 trial; interrupted"]);
    let sampler = study.start(&["sample", "s", "--ahead", "3"]);
    study.run(&["set", "s", "--target", "0.6"]).exits(0);
    let evaluates = ["worker", "s", "-q", "-w", "1", "--", "sh", "-c", "echo 0.5"];
    study.run(&evaluates).exits(0).says(&["the target is reached"]);
    sampler.end().exits(0).says(&["the target is reached"]);
    study.run(&["check", "s"]).exits(0);
}

#[test]
fn a_sampler_says_who_else_can_sample() {
    let study = Trialmill::new(6);
    drop(program(&study));
    study.run(&["sample", "s"]).exits(2).says(&["'own'", "StudyHandle::sample"]);
    let other = Trialmill::new(6);
    other.create();
    other.run(&["sample", "s", "--", "python3"]).exits(2).says(&["is built in"]);
}

/// Nothing told what went well: `-v` shows each trial, `-vv` each batch and sample, and a closure's
/// own lines belong to its trial.
#[test]
fn the_log_shows_what_is_sampled_evaluated_and_stored() {
    let study = Trialmill::new(2);
    let ran = study.run(&study.study(&[], "echo 0.5"));
    ran.exits(0).says_nothing_of("begins");
    let study = Trialmill::new(2);
    let loud = [&["-v"][..], &study.study(&[], "echo 0.5")].concat();
    let begins = "INFO trial{id=2 attempt=1 worker=\"p1-w1\"}: begins config=x=0.";
    study.run(&loud).exits(0).says(&[begins, "success: [0.5]"]).says_nothing_of("sampled trial");
    let study = Trialmill::new(2);
    let louder = [&["-vv"][..], &study.study(&[], "exit 3")].concat();
    let what = ["sampled trial 1", "batch messages=1", "commit_us=", "crashed: "];
    study.run(&louder).exits(8).says(&what);
    let over = [&["-v"][..], &study.study(&["--overwrite"], "echo 0.5")].concat();
    study.run(&over).exits(0).says(&["INFO the study that is in s, if any, is removed"]);
}

/// A study whose optimizer is this shell script.
fn with_sampler(evaluations: u64, script: &str) -> Trialmill {
    let study = Trialmill::new(evaluations);
    study.write("sampler.sh", script);
    let file = study.read("study.yaml");
    let process = "{command: [sh, sampler.sh]}";
    study.write("study.yaml", &file.replace("random_search", process));
    study
}

/// An optimizer in any language: it hears of every trial that is new or has changed, and what it says is
/// evaluated; `ask` and a second run ask it too.
#[test]
fn a_process_proposes_in_lines_of_json() {
    let script = r#"while read -r line; do
        echo "$line" >> "$HERE/heard"
        echo '{"suggestions": [{"config": {"x": 0.25}}]}'
    done"#;
    let study = with_sampler(3, script);
    study.run_study(&[], "echo 0.5").exits(0).says(&["3 trials succeeded"]);
    let configs: Vec<_> = study.trials().iter().map(|trial| trial["config"]["x"].clone()).collect();
    assert_eq!(configs, [0.25; 3]);
    let heard = study.lines("heard");
    assert!(heard[0].contains(r#""trials":[]"#) && heard[0].contains(r#""seed":7"#), "{heard:?}");
    assert!(heard[0].contains(r#""space":{"x":{"#), "{heard:?}");
    let last = heard.last().unwrap();
    assert!(last.contains(r#""state":"success""#) && last.contains("0.5"), "{heard:?}");
    study.run(&["set", "s", "--evaluations", "4"]).exits(0);
    study.run(&["ask", "s"]).exits(0).says(&["4 x=0.25"]);
    // Started again, it hears of all.
    assert!(study.lines("heard").last().unwrap().matches(r#""state":"success""#).count() == 3);
}

/// What is wrong with such a process is said in its words, and the study is as it was.
#[test]
fn a_process_that_proposes_nonsense_is_named_with_what_it_said() {
    for (script, says) in [
        ("read -r line; echo oops", "no JSON"),
        ("read -r line; exit 3", "exit status: 3"),
        (r#"read -r line; echo '{"error": "no GPU"}'"#, "no GPU"),
        (r#"read -r line; echo '{"suggestions": [{"config": {"y": 1}}]}'"#, "'y'"),
        (r#"read -r line; echo '{"suggestions": [{"config": {"x": 7}}]}'"#, "x"),
        (r#"read -r line; echo '{"suggestions": [{}]}'"#, "config"),
        (r#"read -r line; echo '{"finish": true}'"#, "suggestions"),
    ] {
        let study = with_sampler(3, script);
        study.run_study(&[], "echo 0.5").exits(7).says(&[says]);
        assert_eq!(study.trials().len(), 0, "{script}");
    }
    let study = with_sampler(3, r#"read -r line; echo '{"finished": true}'"#);
    study.run_study(&[], "echo 0.5").exits(0).says(&["the optimizer has finished"]);
}
