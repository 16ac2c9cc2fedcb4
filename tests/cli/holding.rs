//! `pause`, `resume` and `stop` from another terminal.

use crate::support::{Trialmill, eventually};

const SCRIPT: &str = "echo x >> $HERE/began; while [ ! -e $HERE/go ]; do sleep 0.02; done; echo 1";

#[test]
fn a_paused_study_hands_out_nothing_and_goes_on_where_it_was() {
    let study = Trialmill::new(6);
    let running = study.start_study(&["--workers", "2"], SCRIPT);
    eventually("two evaluations began", || study.lines("began").len() == 2);
    study.run(&["pause", "s"]).exits(0).says(&["paused; 2 trials in progress"]);
    study.run(&["pause", "s"]).exits(0).says(&["already"]);
    // What was in progress ends, and nothing follows it.
    study.write("go", "");
    eventually("both ended", || study.count("success") == 2);
    study.run(&["ask", "s"]).exits(9).says(&["paused"]);
    study.run(&["status", "s"]).exits(0).says(&["PAUSED"]);
    // A process that comes now waits too.
    let late = study.start(&["worker", "s", "-q", "--", "sh", "-c", "echo 1"]);
    eventually("it joined", || study.status()["processes"].as_array().unwrap().len() == 2);
    assert_eq!(study.lines("began").len(), 2);
    study.run(&["resume", "s"]).exits(0).says(&["handed out again"]);
    running.end().exits(0);
    late.end().exits(0);
    assert_eq!(study.count("success"), 6);
    study.run(&["resume", "s"]).exits(0).says(&["not paused"]);
    study.run(&["status", "s"]).exits(0).says_nothing_of("PAUSED");
}

#[test]
fn whoever_works_now_is_stopped_and_whoever_comes_later_is_not() {
    let study = Trialmill::new(9);
    let first = study.start_study(&["--workers", "2"], SCRIPT);
    eventually("two evaluations began", || study.lines("began").len() == 2);
    study.run(&["stop", "s"]).exits(0).says(&["asked to end: p1 on", "2 trials in progress first"]);
    study.write("go", "");
    first.end().exits(130).says(&["asked to stop"]);
    assert_eq!((study.count("success"), study.trials().len()), (2, 2));
    // The same command goes on, and `--now` ends evaluations as well: they wait for the next.
    std::fs::remove_file(study.path("go")).unwrap();
    let second = study.start_study(&["--workers", "2"], SCRIPT);
    eventually("two more began", || study.lines("began").len() == 4);
    study.run(&["stop", "s", "--now"]).exits(0).says(&["asked to end now: p"]);
    second.end().exits(130);
    assert_eq!((study.count("success"), study.count("pending")), (2, 2));
    study.run(&["stop", "s"]).exits(0).says(&["no process works on this study"]);
    study.write("go", "");
    study.run_study(&[], SCRIPT).exits(0);
    assert_eq!(study.count("success"), 9);
    study.run(&["check", "s"]).exits(0);
}
