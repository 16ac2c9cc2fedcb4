//! Processes that are stopped or killed at the worst moment: in the middle of an append with the
//! journal's lock in their hands, or for so long that another machine takes them for dead.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use trialmill_core::limits::{HEARTBEAT_TIMEOUT, LOCK_TIMEOUT};
use trialmill_store::FileLock;

use crate::other_world::{Clocks, World};
use crate::support::{Running, Trialmill, eventually};

/// Says which attempt began, and when it ended.
const BEGINS: &str =
    r#"echo "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" >> "$HERE/begun"; echo "$TRIALMILL_TRIAL_ID""#;

impl Trialmill {
    /// The journal's events about a trial, as `kind.attempt`.
    fn events_of(&self, trial: &str) -> Vec<String> {
        let lines = self.lines("s/journal.jsonl").into_iter();
        let events = lines.filter_map(|line| serde_json::from_str::<serde_json::Value>(&line).ok());
        let of_trial = events.filter(|event| event["trial"] == trial);
        of_trial.map(|e| format!("{}.{}", e["event"].as_str().unwrap(), e["attempt"])).collect()
    }

    /// Exactly `n` trials succeeded, each with its own result, and no attempt began twice.
    #[track_caller]
    fn assert_exactly(&self, n: usize) {
        let trials = self.trials();
        assert_eq!(trials.len(), n);
        for trial in &trials {
            let objective = trial["report"]["objective_to_minimize"].as_f64();
            assert_eq!(
                objective.map(|o| o.to_string()).as_deref(),
                trial["id"].as_str(),
                "{trial}"
            );
        }
        let begun = self.lines("begun");
        let once: BTreeSet<_> = begun.iter().collect();
        assert_eq!(once.len(), begun.len(), "an attempt began twice: {begun:?}");
        self.run(&["check", "s"]).exits(0);
    }
}

/// Processes stop themselves with half a record written, and are killed there.
#[test]
fn a_lock_holder_that_is_killed_in_its_append_keeps_nobody_waiting_and_loses_nothing() {
    let study = Trialmill::new(60);
    let mut waits = Vec::new();
    for life in 0..20 {
        let Some(world) = World::new(&study, "holder") else { return };
        // Before the study is open, and in every kind of commit behind that.
        let mut holder = world.stopping_at(1 + life % 7).start(&study, &study.study(&[], BEGINS));
        eventually("it stops or ends", || holder.is_stopped() || holder.has_ended());
        if holder.has_ended() {
            break;
        }
        let mut lock = FileLock::open(&study.path("s/journal.lock")).unwrap();
        assert!(!lock.try_lock().unwrap(), "it does not hold the lock");
        waits.push(std::thread::scope(|scope| {
            let next = scope.spawn(|| {
                lock.lock(LOCK_TIMEOUT).unwrap();
                Instant::now()
            });
            let killed = Instant::now();
            holder.kill();
            next.join().unwrap() - killed
        }));
    }
    study.run_study(&[], BEGINS).exits(0).says(&["60 trials succeeded"]);
    study.assert_exactly(60);
    let torn = std::fs::read_dir(study.path("s")).unwrap().flatten();
    let torn = torn.filter(|entry| entry.file_name().to_string_lossy().starts_with("torn-"));
    assert!(torn.count() >= waits.len() / 2, "hardly any record was torn");
    waits.sort();
    println!("{} killed; the next had the lock after {waits:.1?}", waits.len());
    assert!(waits.len() >= 10, "{waits:?}");
    // The worst of twenty is the machine's, the median ours.
    assert!(waits[waits.len() / 2] < Duration::from_millis(100), "{waits:?}");
}

#[test]
fn a_lock_holder_that_is_stopped_in_its_append_and_continued_neither_loses_nor_doubles() {
    let study = Trialmill::new(60);
    let Some(world) = World::new(&study, "holder") else { return };
    let mut holder = world.stopping_at(9).start(&study, &study.study(&["-w", "2"], BEGINS));
    eventually("it stops", || holder.is_stopped());
    // Others wait for it, up to the end of their patience, and then say for whom they waited.
    let waits = study.start(&["worker", "s", "-q", "-w", "2"]);
    let Some(later) = World::new(&study, "later") else { return };
    let gives_up = later.start(&study, &["worker", "s", "-q", "-w", "1"]);
    // A minute more each time, because nobody can see when it has begun to wait.
    for minutes in 1..=10 {
        let monotonic_s = minutes * (LOCK_TIMEOUT.as_secs() as i64 + 1);
        later.set(Clocks { monotonic_s, ..Clocks::default() });
        std::thread::sleep(Duration::from_millis(100));
    }
    let who = format!("by process {}", holder.id());
    gives_up.end().exits(6).says(&["journal.lock", &who]);
    holder.signal(Signal::SIGCONT);
    holder.end().exits(0).says(&["60 trials succeeded"]).says_nothing_of("torn");
    waits.end().exits(0).says_nothing_of("torn");
    assert_eq!(study.lines("begun").len(), 60, "no trial began a second time");
    study.assert_exactly(60);
}

/// Begins, and ends with its trial's number once it may.
const HOLDS: &str = r#"echo "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" >> "$HERE/begun"
[ "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" = 1.1 ] && until [ -e "$HERE/go" ]; do sleep 0.01; done
echo "$TRIALMILL_TRIAL_ID.$TRIALMILL_ATTEMPT" >> "$HERE/ended"; echo "$TRIALMILL_TRIAL_ID""#;

/// A study of three trials whose first is being evaluated by a process that is stopped.
fn stopped_worker(study: &Trialmill) -> Running {
    let mut stopped = study.start_study(&[], HOLDS);
    eventually("it has begun", || study.lines("begun") == ["1.1"]);
    // Its own copy of the lock that its command inherits is closed; else nobody could ever tell
    // whether the command has ended.
    eventually("the lock is its command's", || !stopped.has_open("attempt-1.lock"));
    stopped.signal(Signal::SIGSTOP);
    eventually("it is stopped", || stopped.is_stopped());
    stopped
}

/// Lets more than a lease pass on a machine's clock, once its process has seen the stopped one.
fn let_the_lease_pass(study: &Trialmill, world: &World) {
    eventually("the other machine works", || study.lines("ended").contains(&"3.1".into()));
    world.set(Clocks { monotonic_s: HEARTBEAT_TIMEOUT.as_secs() as i64 + 1, ..Clocks::default() });
}

/// On its own machine a stopped process is alive. Another machine cannot know, and takes its trial
/// after a minute without a sign of life; then it wakes up and reports.
#[test]
fn the_late_report_of_a_process_that_was_buried_while_it_was_stopped_changes_nothing() {
    let study = Trialmill::new(3);
    let Some(world) = World::new(&study, "there") else { return };
    let world = world.on_host("another-machine");
    let stopped = stopped_worker(&study);
    let go_on = |mut stopped: Running| {
        stopped.signal(Signal::SIGCONT);
        stopped.end()
    };
    // Its command ends while it is stopped; what it said is in a file, and nobody has read it.
    let write_go = || {
        study.write("go", "");
        eventually("its command has ended", || study.lines("ended").contains(&"1.1".into()));
    };
    let other = world.start(&study, &study.study(&[], HOLDS));
    write_go();
    let_the_lease_pass(&study, &world);
    other.end().exits(0).says(&["is dead: its trials are free"]);
    let mut ended = study.lines("ended");
    assert_eq!(ended.pop().as_deref(), Some("1.2"));
    ended.sort();
    assert_eq!(ended, ["1.1", "2.1", "3.1"]);
    let before = study.read("s/journal.jsonl");
    let ran =
        go_on(stopped).exits(0).says(&["trial 1 was given to somebody else meanwhile (attempt 2)"]);
    assert!(study.read("s/journal.jsonl").starts_with(&before));
    let events = ["sampled.1", "requeued.1", "claimed.2", "reported.2"];
    assert_eq!(study.events_of("1"), events, "{ran:?}");
    study.assert_exactly(3);
}

/// As above, but the stopped process's command goes on: another machine sees nothing of it but the
/// lock that it holds.
#[test]
fn a_buried_process_s_command_is_waited_for_and_its_trial_does_not_run_twice_at_once() {
    let study = Trialmill::new(3);
    let Some(world) = World::new(&study, "there") else { return };
    let world = world.on_host("another-machine");
    let mut stopped = stopped_worker(&study);
    // A machine has its own processes in its /proc.
    let own_proc = ["--pid", "--fork", "--kill-child", "--mount-proc"];
    let mut command = study.through("unshare", &own_proc, &study.study(&[], HOLDS));
    world.enter(&mut command);
    if !study.may("unshare", &own_proc) {
        println!("skipped: processes cannot be hidden here");
        return;
    }
    let other = Running::with_pipes(command);
    let_the_lease_pass(&study, &world);
    // It looks every 50 ms; meanwhile nothing begins.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(500) {
        assert!(!study.lines("begun").contains(&"1.2".into()), "attempt 2 runs beside attempt 1");
        std::thread::sleep(Duration::from_millis(10));
    }
    study.write("go", "");
    other.end().exits(0).says(&["is dead: its trials are free"]);
    stopped.signal(Signal::SIGCONT);
    stopped.end().says(&["trial 1 was given to somebody else meanwhile (attempt 2)"]);
    assert_eq!(study.lines("ended"), ["2.1", "3.1", "1.1", "1.2"].map(String::from));
    let events = ["sampled.1", "requeued.1", "claimed.2", "reported.2"];
    assert_eq!(study.events_of("1"), events);
    study.assert_exactly(3);
}
