//! A long run: memory, descriptors and the time of an answer stay flat, while another process is
//! killed every minute.
//!
//! `TRIALMILL_SOAK_MINUTES=60 cargo test --release --test soak -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::panic)] // This is a test.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use trialmill::RandomSearch;
use trialmill::{
    AskOutcome, BoxError, Parameter, Report, ReportOutcome, RunningTrial, SearchSpace, State,
    Study, StudyBuilder,
};

const KILL_EVERY: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_millis(10);
/// All trials are kept in memory; three parameters take some 430 bytes, and a vector that grows
/// takes up to twice that.
const BYTES_PER_TRIAL: u64 = 1_000;
/// What else may come and go: buffers, arenas.
const SLACK_BYTES: u64 = 32 << 20;
/// How much longer than twice as long the slowest answers may take at the end, on a busy machine.
const SLACK: Duration = Duration::from_millis(20);

fn builder(dir: &Path, workers: usize) -> StudyBuilder {
    let space = SearchSpace::new([
        ("x", Parameter::float(0.0, 1.0)),
        ("n", Parameter::int(1, 9)),
        ("kind", Parameter::categorical(["one", "another"])),
    ]);
    Study::builder(dir)
        .space(space.unwrap())
        .workers(workers)
        .seed(1)
        .ctrl_c(false)
        .optimizer(RandomSearch::new())
}

fn evaluate(trial: &RunningTrial) -> Result<Report, BoxError> {
    std::thread::sleep(Duration::from_millis(20));
    Ok(Report::objective(trial.config().float("x")?).cost(1.0))
}

/// Not a test: this binary as another process of the study.
#[test]
#[ignore = "no test: a process that others start"]
fn other_process() {
    let Some(dir) = std::env::var_os("TRIALMILL_TEST_DIR") else { return };
    builder(Path::new(&dir), 2).run(evaluate).unwrap();
}

struct Other(Child);

impl Other {
    fn start(dir: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "other_process", "--ignored"]).env("TRIALMILL_TEST_DIR", dir);
        Other(command.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is seen at one time.
#[derive(Debug, Clone, Copy)]
struct Seen {
    memory_bytes: u64,
    descriptors: usize,
    trials: u64,
    slowest: Duration,
}

fn memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
}

/// The 99th of a hundred.
fn p99(mut answers: Vec<Duration>) -> Duration {
    answers.sort();
    answers[answers.len() * 99 / 100]
}

#[test]
#[ignore = "takes an hour, or TRIALMILL_SOAK_MINUTES"]
fn memory_descriptors_and_answers_stay_flat_for_an_hour() {
    let minutes = std::env::var("TRIALMILL_SOAK_MINUTES").ok().map(|text| text.parse().unwrap());
    let length = Duration::from_secs_f64(60.0 * minutes.unwrap_or(60.0));
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("study");
    let session = builder(&dir, 8).open().unwrap();
    let mut seen: Vec<Seen> = Vec::new();
    let mut kills = 0;
    std::thread::scope(|scope| {
        let run = scope.spawn(|| session.run(evaluate));
        let handle = session.handle();
        let (begin, mut other) = (Instant::now(), Other::start(&dir));
        let (mut killed, mut answers) = (Instant::now(), Vec::new());
        while begin.elapsed() < length && !run.is_finished() {
            let asked = Instant::now();
            let AskOutcome::Trials(list) = handle.ask("caller", 1, KILL_EVERY).unwrap() else {
                panic!("nothing is handed out")
            };
            answers.push(asked.elapsed());
            // It may be one that a killed process had begun.
            let (trial, attempt) = (&list[0].id, Some(list[0].attempts));
            let reported = handle.report(trial, attempt, Report::objective(0.5)).unwrap();
            assert_eq!(reported, ReportOutcome::Accepted);
            if killed.elapsed() >= KILL_EVERY {
                other = Other::start(&dir);
                (killed, kills) = (Instant::now(), kills + 1);
            }
            // Twenty times, the first of which is for warming up.
            if begin.elapsed() >= length * (seen.len() as u32 + 1) / 20 {
                seen.push(Seen {
                    memory_bytes: memory_bytes(),
                    descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
                    trials: handle.snapshot().finished(),
                    slowest: p99(std::mem::take(&mut answers)),
                });
                println!("{:.0?}: {:?}", begin.elapsed(), seen.last().unwrap());
            }
            std::thread::sleep(ASK_EVERY);
        }
        drop(other);
        session.stop_signal().stop();
        run.join().unwrap().unwrap();
    });
    let outcome = session.close().unwrap();
    let begin = Instant::now();
    drop(builder(&dir, 1).open().unwrap().close().unwrap());
    println!(
        "{kills} kills; opening {} trials: {:.2?}",
        outcome.study().trials().len(),
        begin.elapsed()
    );
    let crashed = outcome.study().trials().iter().filter(|t| t.state == State::Crashed);
    let crashed: Vec<_> = crashed.map(|trial| (&trial.id, trial.losses, &trial.report)).collect();
    assert!(crashed.is_empty(), "{crashed:?}");

    let (early, late) = (seen[1], *seen.last().unwrap());
    let grown = late.memory_bytes.saturating_sub(early.memory_bytes);
    let more = late.trials - early.trials;
    println!("{more} more trials took {} bytes each", grown / more);
    assert!(grown <= BYTES_PER_TRIAL * more + SLACK_BYTES, "{grown} bytes for {more} trials");
    // One more or less is the look itself.
    assert!(late.descriptors <= early.descriptors + 1, "{early:?}, {late:?}");
    // What else the machine does makes some of the times long, and not most.
    let [early, late] = [&seen[1..6], &seen[seen.len() - 5..]].map(|seen| {
        let mut slowest: Vec<_> = seen.iter().map(|seen| seen.slowest).collect();
        slowest.sort();
        slowest[2]
    });
    println!("the 99th of a hundred answers took {early:.1?}, in the end {late:.1?}");
    assert!(late <= early * 2 + SLACK, "{early:?}, {late:?}");
}
