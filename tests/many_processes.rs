//! Many processes on one directory, and some of them are killed: nothing acknowledged is lost, no
//! trial runs twice at a time, and N evaluations are N.
//!
//! The test binary runs itself again as a worker process (`worker_process` below). Every process
//! writes a ledger of its own, beside the study and without any code of the program: when an
//! evaluation began and ended, and what was acknowledged. Afterwards `support/check.py`, which
//! shares no code with us, reads the directory and the ledgers.
//!
//! `TRIALMILL_SEED` repeats a run's choices. `TRIALMILL_KILLS=10000` is the large run of T1, and
//! `TRIALMILL_PROCESSES=64 TRIALMILL_TRIALS=100000 TRIALMILL_KILLS_PER_SECOND=10` that of T8.
//! `TRIALMILL_KEEP=1` leaves the directories where they are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};
use trialmill_layouts::Studies;

use nix::time::{ClockId, clock_gettime};
use trialmill::{BoxError, Parameter, RandomSearch, Report, RunningTrial, SearchSpace, State};
use trialmill::{Session, Study, StudyBuilder, StudyState, Trial};
use trialmill_core::event::EventKind;
use trialmill_store::{Directory, read_study};

const OPENED: &str = "trialmill-worker-open-us ";
/// Nothing short here takes half as long; whatever does hangs.
const HANGS: Duration = Duration::from_mins(2);
/// Nobody who shares a study goes longer without a trial.
const STARVES: Duration = Duration::from_secs(5);

/// A setting of the large runs.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().expect("a number"))
}

/// What one scenario is about.
struct Scenario {
    /// Here are the ledgers; the study is in a directory below that does not exist yet.
    root: PathBuf,
    evaluations: u64,
    seed: u64,
    /// An evaluation sleeps from the first to the second, in microseconds.
    sleep_us: (u64, u64),
    /// Bytes that each report carries along: a record of many pages can be torn by a kill.
    payload: u64,
}

impl Scenario {
    fn dir(&self) -> PathBuf {
        self.root.join("not/yet/there")
    }

    fn builder(&self, workers: usize, ledger: &Path) -> StudyBuilder {
        let ledger = Ledger::open(ledger);
        let space = SearchSpace::new([
            ("x", Parameter::float(0.0, 1.0)),
            ("layers", Parameter::int(1, 8)),
            ("optimizer", Parameter::categorical(["sgd", "adam"])),
        ]);
        Study::builder(self.dir())
            .space(space.unwrap())
            .optimizer(RandomSearch::new())
            .seed(self.seed)
            .workers(workers)
            .max_evaluations(self.evaluations)
            .ctrl_c(false)
            .after_evaluation(move |trial, report| ledger.acked(trial, report))
    }

    fn evaluate(&self, ledger: &Path) -> impl Fn(&RunningTrial) -> Result<Report, BoxError> + Sync {
        let (ledger, (least, most)) = (Ledger::open(ledger), self.sleep_us);
        let payload = "x".repeat(self.payload as usize);
        move |trial| {
            let x = trial.config().float("x")?;
            ledger.now("start", trial);
            let sleep = least + ((most - least) as f64 * x) as u64;
            if sleep > 0 {
                std::thread::sleep(Duration::from_micros(sleep));
            }
            ledger.now("end", trial);
            let report = Report::objective(x + f64::from(trial.attempt()));
            Ok(if payload.is_empty() { report } else { report.extra("payload", &*payload) })
        }
    }

    fn ledger(&self, name: &str) -> PathBuf {
        self.root.join(format!("ledger-{name}"))
    }

    fn ledgers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.root).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let mut ledgers: Vec<_> = paths.filter(|path| path.is_file()).collect();
        ledgers.sort();
        ledgers
    }

    /// Starts a worker process. With `gate`, it waits until its stdin is closed.
    fn spawn(&self, name: &str, workers: usize, gate: bool) -> WorkerProcess {
        let (least, most) = self.sleep_us;
        let numbers = [self.evaluations, self.seed, least, most, self.payload, workers as u64];
        let numbers = numbers.map(|n| n.to_string()).join(" ");
        let ledger = self.ledger(name);
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "worker_process", "--ignored", "--nocapture"])
            .env("TRIALMILL_TEST_ROOT", &self.root)
            .env("TRIALMILL_TEST_LEDGER", &ledger)
            .env("TRIALMILL_TEST_NUMBERS", numbers)
            .stdin(if gate { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test binary runs again");
        WorkerProcess { child, ledger }
    }
}

/// Not a test: what this binary does when it is a worker process.
#[test]
#[ignore = "no test: a process that others start"]
fn worker_process() {
    let begin = Instant::now();
    let Some(root) = std::env::var_os("TRIALMILL_TEST_ROOT") else { return };
    let ledger = PathBuf::from(std::env::var_os("TRIALMILL_TEST_LEDGER").unwrap());
    let numbers = std::env::var("TRIALMILL_TEST_NUMBERS").unwrap();
    let numbers: Vec<u64> = numbers.split(' ').map(|n| n.parse().unwrap()).collect();
    let scenario = Scenario {
        root: root.into(),
        evaluations: numbers[0],
        seed: numbers[1],
        sleep_us: (numbers[2], numbers[3]),
        payload: numbers[4],
    };
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    let session = scenario.builder(numbers[5] as usize, &ledger).open().unwrap();
    println!("\n{OPENED}{}", begin.elapsed().as_micros());
    Ledger::open(&ledger).line(format!("opened {} 0 {}", std::process::id(), now_ns()));
    session.run(scenario.evaluate(&ledger)).unwrap();
    session.close().unwrap();
}

/// A process's own record, appended to with one write per line: it survives SIGKILL.
struct Ledger(File);

impl Ledger {
    fn open(path: &Path) -> Self {
        Ledger(OpenOptions::new().create(true).append(true).open(path).unwrap())
    }

    fn line(&self, line: String) {
        (&self.0).write_all((line + "\n").as_bytes()).unwrap();
    }

    fn now(&self, what: &str, trial: &RunningTrial) {
        self.line(format!("{what} {} {} {}", trial.id(), trial.attempt(), now_ns()));
    }

    fn acked(&self, trial: &Trial, report: &Report) {
        let value = report.objective_to_minimize.as_ref().unwrap();
        self.line(format!("acked {} {} {value}", trial.id, trial.attempts));
    }
}

/// Nanoseconds since boot: the same clock in every process of this machine.
fn now_ns() -> u128 {
    Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap()).as_nanos()
}

/// A worker process; it does not outlive the test.
struct WorkerProcess {
    child: Child,
    ledger: PathBuf,
}

impl WorkerProcess {
    /// Waits until it says that the study is open; gives how long that took. None if it ended.
    fn opened(&mut self) -> Option<Duration> {
        let mut out = BufReader::new(self.child.stdout.as_mut().unwrap());
        let mut line = String::new();
        while out.read_line(&mut line).unwrap() > 0 {
            if let Some(us) = line.trim().strip_prefix(OPENED) {
                return Some(Duration::from_micros(us.parse().unwrap()));
            }
            line.clear();
        }
        None
    }

    /// SIGKILL, unless it has ended by itself, which must have been in good order. Tells the
    /// killers' ledger until when it certainly lived. Gives whether it was killed.
    fn kill(mut self, killers: &Ledger) -> bool {
        if let Some(status) = self.child.try_wait().unwrap() {
            assert!(status.success(), "a worker process failed: {status}");
            return false;
        }
        let alive = now_ns();
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success() || status.code().is_none(), "it failed by itself: {status}");
        let name = self.ledger.file_name().unwrap().to_string_lossy().into_owned();
        if !status.success() {
            killers.line(format!("killed {name} {alive}"));
        }
        !status.success()
    }

    fn goes_on(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, which must be in good order.
    fn wait(mut self) {
        let begin = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None if begin.elapsed() > HANGS => panic!("a worker process does not end"),
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        assert!(status.success(), "a worker process failed: {status}");
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The choices of a run, all from one printed seed (`SplitMix64`).
struct Choices(u64);

impl Choices {
    fn new(scenario: &str) -> Self {
        let clock = now_ns() as u64 ^ u64::from(std::process::id()) << 32;
        let seed = setting("TRIALMILL_SEED", clock);
        println!("{scenario}: TRIALMILL_SEED={seed}");
        Choices(seed)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// The scenarios measure, so one runs at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn tempdir() -> tempfile::TempDir {
    let mut temp = tempfile::tempdir().unwrap();
    temp.disable_cleanup(std::env::var_os("TRIALMILL_KEEP").is_some());
    temp
}

/// What a scenario has measured.
#[derive(Default)]
struct Measured {
    opens: Vec<Duration>,
    kills: u64,
    /// The longest that a process was without a new trial, from its start to its last.
    starved: Duration,
}

/// Checks the directory against the ledgers: here, and by the independent checker.
fn verify(title: &str, scenario: &Scenario, took: Duration, measured: &mut Measured) -> StudyState {
    let directory = Directory::open(&scenario.dir()).unwrap();
    let mut study = StudyState::new(directory.definition().clone());
    let mut stored = HashMap::new();
    let problem = read_study(&directory, &mut |event| {
        if let EventKind::Reported { trial, attempt, report } = &event.kind {
            let value = report.objective_to_minimize.as_ref().map(ToString::to_string);
            stored.insert((trial.to_string(), *attempt), value);
        }
        study.apply(event)
    });
    assert!(problem.unwrap().is_none(), "the journal is damaged");
    assert_eq!(study.count(State::Evaluating), 0, "trials are left evaluating");
    let ended = study.count(State::Success) + study.errors();
    assert_eq!(ended, scenario.evaluations, "N evaluations are N");
    assert_eq!(study.spent().evaluations, scenario.evaluations);
    assert_eq!(study.claims() - study.requeues(), ended, "every restart is a recorded decision");
    let configs: HashSet<_> = study.trials().iter().map(|t| t.config.to_string()).collect();
    assert_eq!(configs.len(), study.trials().len(), "two trials have the same configuration");

    let (mut acked, mut started, mut starved) = (0, HashSet::new(), 0);
    for ledger in scenario.ledgers() {
        let text = std::fs::read_to_string(ledger).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut last: Option<u128> = None;
        for words in whole.lines().map(|line| line.split(' ').collect::<Vec<_>>()) {
            let key = || (words[1].to_string(), words[2].parse::<u32>().unwrap());
            match words[0] {
                "start" => {
                    assert!(started.insert(key()), "an attempt ran twice: {words:?}");
                    let now = words[3].parse().unwrap();
                    starved = starved.max(last.replace(now).map_or(0, |last| now.max(last) - last));
                }
                "opened" => last = Some(words[3].parse().unwrap()),
                "acked" => {
                    let value = stored.get(&key()).cloned().flatten();
                    assert_eq!(
                        value.as_deref(),
                        Some(words[3]),
                        "acknowledged and lost: {words:?}"
                    );
                    acked += 1;
                }
                _ => {}
            }
        }
    }
    measured.starved = Duration::from_nanos(starved as u64);
    let opens = &mut measured.opens;
    opens.sort();
    let open = |at: usize| opens.get(at).copied().unwrap_or_default();
    let rate = scenario.evaluations as f64 / took.as_secs_f64();
    println!(
        "{title}: {} trials in {took:.2?}, {rate:.0} trials/s; open: median {:.1?}, worst {:.1?}; \
         {} kills, {} requeues, {acked} acknowledged, {} crashed by three deaths; the longest that \
         a process went without a trial: {:.1?}",
        scenario.evaluations,
        open(opens.len() / 2),
        open(opens.len().saturating_sub(1)),
        measured.kills,
        study.requeues(),
        study.count(State::Crashed),
        measured.starved,
    );
    let counts = check(scenario, &["--finished"]);
    if let Some(counts) = counts {
        // The fold of the independent checker, and ours.
        let ours = [
            ("trials", study.trials().len() as u64),
            ("success", study.count(State::Success)),
            ("claims", study.claims()),
            ("requeued", study.requeues()),
            ("acked", acked),
        ];
        for (name, n) in ours {
            assert_eq!(counts[name], n, "check.py counts {name} otherwise");
        }
    }
    study
}

/// Runs the independent checker; gives its counts, or none where there is no Python.
fn check(scenario: &Scenario, more: &[&str]) -> Option<HashMap<String, u64>> {
    let (ok, text) = run_checker(&scenario.dir(), |command| {
        command.args(more).arg("--expect-evaluations").arg(scenario.evaluations.to_string());
        command.arg("--ledger").args(scenario.ledgers());
    })?;
    assert!(ok, "check.py: {text}");
    print!("  check.py: {text}");
    let pairs = text.split_whitespace().filter_map(|word| word.split_once('='));
    Some(pairs.map(|(key, n)| (key.into(), n.parse().unwrap())).collect())
}

fn run_checker(dir: &Path, arguments: impl FnOnce(&mut Command)) -> Option<(bool, String)> {
    let mut command = Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/check.py")).arg(dir);
    arguments(&mut command);
    match command.output() {
        Ok(output) => {
            let text = [output.stdout, output.stderr].concat();
            Some((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
        }
        Err(error) => {
            println!("  SKIPPED: the independent check needs python3 ({error})");
            None
        }
    }
}

/// Stops the workers of this process when a scenario panics or hangs, so that the panic is seen.
struct StopOnDrop<'a>(&'a Session);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.stop_signal().stop();
    }
}

/// NePS leaves the trial of a killed worker `evaluating` for ever, and overshoots its budget with
/// several workers. Here: 8 workers in this process and 3 processes with 2 workers each; a process
/// is killed after every 150 trials, at least once a second, and another one takes its place.
#[test]
fn the_budget_is_used_exactly_while_processes_are_killed_and_replaced() {
    let _alone = alone();
    let mut choices = Choices::new("killed and replaced");
    let temp = tempdir();
    let scenario = Scenario {
        root: temp.path().into(),
        evaluations: 2_000,
        seed: choices.below(u64::MAX),
        sleep_us: (2_000, 5_000),
        payload: 0,
    };
    let killers = Ledger::open(&scenario.ledger("killers"));
    let own = scenario.ledger("own");
    let mut measured = Measured::default();
    let begin = Instant::now();
    let session = scenario.builder(8, &own).open().unwrap();
    measured.opens.push(begin.elapsed());
    std::thread::scope(|scope| {
        let run = scope.spawn(|| session.run(scenario.evaluate(&own)));
        let _stop = StopOnDrop(&session);
        let mut names = 0..;
        let mut next = || scenario.spawn(&format!("p{}", names.next().unwrap()), 2, false);
        let mut processes: Vec<_> = (0..3).map(|_| next()).collect();
        let (mut finished, mut last) = (0, Instant::now());
        while !run.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
            assert!(begin.elapsed() < HANGS, "the run does not end");
            let now = session.handle().snapshot().finished();
            let due = now >= finished + 150 || last.elapsed() >= Duration::from_secs(1);
            if due && now < scenario.evaluations {
                let mut process = processes.swap_remove(choices.below(3) as usize);
                measured.opens.extend(process.opened());
                measured.kills += u64::from(process.kill(&killers));
                processes.push(next());
                (finished, last) = (now, Instant::now());
            }
        }
        processes.into_iter().for_each(WorkerProcess::wait);
        run.join().unwrap().unwrap();
    });
    let outcome = session.close().unwrap();
    let took = begin.elapsed();
    assert_eq!(outcome.study().trials().len(), 2_000);
    assert!(measured.kills > 0, "nobody was killed");
    verify("killed and replaced", &scenario, took, &mut measured);
}

/// Many processes started by one job script at once, on a directory that does not exist yet: one
/// creates the study, all others join it, and nobody starves or overshoots. In the long form some
/// are killed all the time, and others come in their place.
#[test]
fn processes_that_start_at_once_create_one_study_and_share_it() {
    let _alone = alone();
    let mut choices = Choices::new("started at once");
    let temp = tempdir();
    let count = setting("TRIALMILL_PROCESSES", 16);
    let kills_per_second = setting("TRIALMILL_KILLS_PER_SECOND", 0);
    let scenario = Scenario {
        root: temp.path().into(),
        evaluations: setting("TRIALMILL_TRIALS", 125 * count),
        seed: choices.below(u64::MAX),
        sleep_us: (0, 0),
        payload: 0,
    };
    let killers = Ledger::open(&scenario.ledger("killers"));
    let mut processes: Vec<_> =
        (0..count).map(|n| scenario.spawn(&format!("p{n}"), 2, true)).collect();
    let gates: Vec<_> = processes.iter_mut().map(|process| process.child.stdin.take()).collect();
    let mut measured = Measured::default();
    let begin = Instant::now();
    drop(gates);
    for process in &mut processes {
        measured.opens.push(process.opened().expect("a worker process ended before it opened"));
    }
    let mut names = count..;
    while kills_per_second > 0 && processes.iter_mut().all(WorkerProcess::goes_on) {
        std::thread::sleep(Duration::from_micros(1_000_000 / kills_per_second));
        let process = processes.swap_remove(choices.below(count) as usize);
        measured.kills += u64::from(process.kill(&killers));
        let name = format!("p{}", names.next().unwrap());
        processes.push(scenario.spawn(&name, 2, false));
    }
    processes.into_iter().for_each(WorkerProcess::wait);
    let took = begin.elapsed();
    let study = verify("started at once", &scenario, took, &mut measured);
    assert_eq!(study.processes().count(), 0, "all left in good order, and said so");
    assert!(kills_per_second > 0 || study.requeues() == 0);
    // More than 16 share these cores, and each waits for all others.
    let starves = STARVES * u32::try_from(count / 16).unwrap().max(1);
    assert!(measured.starved < starves, "a process starved for {:?}", measured.starved);
}

/// The out-of-memory killer has no manners: a process is killed at any instant, also while it
/// creates the study or recovers it, and the next one goes on; until the budget is used. Then
/// another study, until there were enough kills.
#[test]
fn a_process_killed_at_any_instant_loses_nothing_that_was_acknowledged() {
    let _alone = alone();
    let mut choices = Choices::new("killed at any instant");
    let wanted = setting("TRIALMILL_KILLS", 40);
    let mut kills = 0;
    for round in 1.. {
        let temp = tempdir();
        // Every other study has few and large reports, which take long to append.
        let (evaluations, payload) = if round % 2 == 1 { (400, 0) } else { (60, 400_000) };
        let scenario = Scenario {
            root: temp.path().into(),
            evaluations,
            seed: choices.below(u64::MAX),
            sleep_us: (0, 1_000 * (1 + choices.below(5))),
            payload,
        };
        let killers = Ledger::open(&scenario.ledger("killers"));
        let mut measured = Measured::default();
        let begin = Instant::now();
        let mut life = 0;
        while kills + measured.kills < wanted {
            life += 1;
            let workers = 1 + choices.below(8) as usize;
            let mut process = scenario.spawn(&format!("p{life}"), workers, false);
            // One in four dies before it has opened the study, the others later.
            if choices.below(4) > 0 {
                measured.opens.extend(process.opened());
            }
            std::thread::sleep(Duration::from_micros(choices.below(60_000)));
            if !process.kill(&killers) {
                break;
            }
            measured.kills += 1;
        }
        scenario.spawn("last", 2, false).wait();
        kills += measured.kills;
        let title = format!("killed at any instant, study {round}, {life} lives");
        verify(&title, &scenario, begin.elapsed(), &mut measured);
        if kills >= wanted {
            break;
        }
    }
}

/// A checker that says yes to everything would make all of the above worthless.
#[test]
fn the_checker_sees_a_lost_report_an_overlap_and_a_damaged_journal() {
    let temp = tempdir();
    let root = temp.path().to_path_buf();
    let scenario = Scenario { root, evaluations: 3, seed: 1, sleep_us: (0, 0), payload: 0 };
    let ledger = scenario.ledger("own");
    let session = scenario.builder(1, &ledger).open().unwrap();
    session.run(scenario.evaluate(&ledger)).unwrap();
    session.close().unwrap();
    if check(&scenario, &["--finished"]).is_none() {
        return;
    }
    let journal = scenario.dir().join("journal.jsonl");
    let [ledger_text, journal_text] =
        [&ledger, &journal].map(|path| std::fs::read_to_string(path).unwrap());
    let more = |line: &str| format!("{ledger_text}{line}\n");
    let end_of_reports = journal_text.rfind("{\"crc\"").unwrap();
    let end_of_reports = journal_text[..end_of_reports].rfind("{\"crc\"").unwrap();
    let without = |starts: &[&str]| -> String {
        let lines = ledger_text.split_inclusive('\n');
        lines.filter(|line| !starts.iter().any(|start| line.starts_with(start))).collect()
    };
    for (says, path, text) in [
        ("I1", &ledger, more("acked 2 2 0.5")),
        ("I1", &ledger, ledger_text.replace("acked 2 1 1.", "acked 2 1 2.")),
        ("I3", &ledger, ledger_text.replace("end 2 1", "end 9 9")),
        ("I4", &ledger, more("start 2 2 1\nend 2 2 2")),
        ("I7", &ledger, without(&["start 3", "end 3"])),
        ("checksum", &journal, journal_text.replace("success", "Success")),
        ("expected 0", &journal, journal_text[journal_text.find('\n').unwrap() + 1..].into()),
        ("middle of a record", &journal, journal_text[..journal_text.len() - 1].into()),
        ("I1", &journal, journal_text[..end_of_reports].into()),
    ] {
        std::fs::write(path, text).unwrap();
        let arguments = |command: &mut Command| {
            command.args(["--finished", "--ledger"]).arg(&ledger);
        };
        let (ok, text) = run_checker(&scenario.dir(), arguments).unwrap();
        assert!(!ok && text.contains(says), "check.py does not see '{says}': {text}");
        std::fs::write(&ledger, &ledger_text).unwrap();
        std::fs::write(&journal, &journal_text).unwrap();
    }
}
