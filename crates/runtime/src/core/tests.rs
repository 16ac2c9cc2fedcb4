//! What a study's optimizer is shown, and who may work beside whom.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use trialmill_core::space::Parameter;
use trialmill_core::study::Ask;
use trialmill_core::trial::State;
use trialmill_layouts::Studies;
use trialmill_optimizers::RandomSearch;
use trialmill_store::{AttemptFiles, SimServer, plain};

/// An optimizer that counts what it is shown.
#[derive(Default)]
struct Probe {
    is_slow: bool,
    observes: bool,
    refuses: bool,
    shown: Arc<AtomicUsize>,
}

impl Optimizer for Probe {
    fn info(&self) -> OptimizerInfo {
        RandomSearch::new().info()
    }
    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        RandomSearch::new().ask(request)
    }
    fn check(&self, _: &SearchSpace) -> Result<(), BoxError> {
        if self.refuses { Err("not such a space".into()) } else { Ok(()) }
    }
    fn is_slow(&self) -> bool {
        self.is_slow
    }
    fn observe(&mut self, _: &Definition, trial: &Trial) {
        if trial.state == State::Success {
            self.shown.fetch_add(1, Ordering::Relaxed);
        }
    }
    fn observes(&self) -> bool {
        self.observes
    }
}

fn study(path: &Path) -> Directory {
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let definition = Definition::new(space, RandomSearch::new().info());
    Directory::create_or_open(path, definition, Some(1), &Policy::default(), None).unwrap().0
}

/// Evaluates a trial, with what short-lived processes have for it.
fn evaluate(core: &mut StateCore) {
    let lease = Some(Machine::here().lease(Duration::from_hours(1)));
    let ask = Ask { worker: "caller".into(), n: 1, lease, evaluation: None };
    let answer = core.execute_all(vec![Command::Ask(ask)]).unwrap().remove(0).unwrap();
    let Answer::Evaluate(trials) = answer else { panic!("{answer:?}") };
    let (trial, attempt) = (trials[0].id.clone(), Some(trials[0].attempts));
    let report = Box::new(Report::objective(1.0));
    let report = Command::Report { trial, attempt, report };
    assert_eq!(core.execute_all(vec![report]).unwrap(), [Ok(Answer::Done)]);
}

/// A model that sees a result twice believes it twice; one that sees none of those before it proposes as if there
/// were none. An optimizer with an actor of its own is shown them there.
#[test]
fn an_optimizer_is_shown_each_result_once_here_or_on_its_actor() {
    type Open = fn(Directory, Durability, Box<dyn Optimizer>) -> Result<StateCore, Error>;
    let ways: [(&str, Open); 2] =
        [("open", StateCore::open), ("open_directly", StateCore::open_directly)];
    for (name, open) in ways {
        for (is_slow, observes) in [(false, false), (false, true), (true, false), (true, true)] {
            let temp = tempfile::tempdir().unwrap();
            let directory = study(temp.path());
            evaluate(
                &mut StateCore::open_directly(
                    directory.clone(),
                    Durability::Buffered,
                    Box::new(RandomSearch::new()),
                )
                .unwrap(),
            );
            let shown = Arc::new(AtomicUsize::new(0));
            let probe = Probe { is_slow, observes, shown: shown.clone(), ..Probe::default() };
            let mut core = open(directory, Durability::Buffered, Box::new(probe)).unwrap();
            let has_actor = is_slow && name == "open";
            let one = usize::from(observes && !has_actor);
            let what = format!("{name}, slow {is_slow}, observes {observes}");
            assert_eq!(shown.load(Ordering::Relaxed), one, "{what}: what there was");
            if !has_actor {
                evaluate(&mut core);
                assert_eq!(shown.load(Ordering::Relaxed), 2 * one, "{what}: what is new");
            }
            let fed = core.take_feed();
            let reports = fed.iter().filter(|it| matches!(it.kind, EventKind::Reported { .. }));
            assert_eq!(reports.count(), usize::from(has_actor), "{what}: what its actor gets");
        }
    }
}

#[test]
fn an_optimizer_that_refuses_the_space_opens_no_study() {
    let temp = tempfile::tempdir().unwrap();
    for open in [StateCore::open, StateCore::open_directly] {
        let refuses = Probe { refuses: true, ..Probe::default() };
        let error = open(study(temp.path()), Durability::Buffered, Box::new(refuses)).err();
        assert!(error.is_some_and(|error| error.to_string().contains("not such a space")));
    }
}

/// One study, and the machines that have it.
struct Machines {
    directory: Directory,
    server: SimServer,
    _temp: tempfile::TempDir,
}

impl Machines {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let directory = study(temp.path());
        let journal = std::fs::read(directory.journal_path()).unwrap();
        let server = SimServer::new(journal, 1, Duration::from_millis(20));
        Machines { directory, server, _temp: temp }
    }

    /// A process of one, which has the study on this kind of mount.
    fn open(&self, host: &str, boot: &str, (kind, options): (&str, &str)) -> StateCore {
        let directory = self.directory.clone().seen_from(host, boot).mounted_as(kind, options);
        let (disk, search) = (Box::new(self.server.client()), Box::new(RandomSearch::new()));
        StateCore::open_on(disk, directory, Durability::Synced, search).unwrap()
    }
}

/// While it runs, `presence` gives signs of life.
fn beside_signs_of_life<T>(presence: &Presence, run: impl FnOnce() -> T) -> T {
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                presence.heartbeat().unwrap();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let result = run();
        is_over.store(true, Ordering::Relaxed);
        result
    })
}

const NOBODY: [ProcessId; 0] = [];
const APART: (&str, &str) = ("nfs", "local_lock=all");
const TOGETHER: (&str, &str) = ("nfs4", "local_lock=none");

/// With `nolock` two machines ran every trial twice.
#[test]
fn a_machine_that_no_lock_reaches_does_not_join_beside_one_that_gives_signs_of_life() {
    let machines = Machines::new();
    let mut first = machines.open("a", "boot-1", APART);
    first.join().unwrap();
    let presence = first.presence().unwrap();
    let mut second = machines.open("b", "boot-2", APART);
    for refused in beside_signs_of_life(&presence, || [second.join().map(drop), second.recover()]) {
        let error = refused.expect_err("it works beside the first").to_string();
        assert!(error.contains("local_lock=all") && error.contains("p1 of a"), "{error}");
    }
    assert_eq!(second.process(), 0);
    // Containers of one machine share its kernel, which has their locks.
    machines.open("container", "boot-1", APART).join().unwrap();
}

/// A study would be lost with the machine that began it.
#[test]
fn a_machine_that_is_silent_for_a_minute_keeps_nobody_out() {
    let machines = Machines::new();
    let mut first = machines.open("a", "boot-1", APART);
    first.join().unwrap();
    let second = machines.open("b", "boot-2", APART);
    // When it is met the minute is over, or nearly.
    for seconds in [61, 59] {
        let mut watcher = second.watcher().unwrap();
        for process in second.study().processes() {
            assert_eq!(watcher.liveness(process), Liveness::Alive, "it has just been seen");
        }
        watcher.let_pass(Duration::from_secs(seconds));
        second.meet_other_machines(&mut watcher).unwrap();
    }
}

#[test]
fn machines_whose_locks_reach_each_other_or_may_work_together() {
    for mount in [TOGETHER, ("9p", "")] {
        let machines = Machines::new();
        let mut first = machines.open("a", "boot-1", mount);
        let mut second = machines.open("b", "boot-2", mount);
        assert_eq!(first.join().unwrap(), 1);
        assert_eq!(second.join().unwrap(), 2);
        second.recover().unwrap();
        evaluate(&mut first);
        evaluate(&mut second);
        assert_eq!(second.study().trials().len(), 2, "{mount:?}");
    }
}

/// A trial must not run twice at once: it stays with its dead process as long as a command of its attempt runs. The
/// commands of a machine that is silent are dead or cut off with it, and whether they run cannot be seen from here.
#[test]
fn a_dead_process_keeps_its_trials_until_their_commands_are_gone_and_a_silent_one_does_not() {
    let machines = Machines::new();
    let mut first = machines.open("a", "boot-1", TOGETHER);
    let number = first.join().unwrap();
    let presence = first.presence.take().unwrap();
    let held_by = |process| {
        assert_eq!(process, number);
        Ok(Some(vec![(TrialId::Number(1), 1)]))
    };
    let trial = machines.directory.trial_path(&TrialId::Number(1));
    let files = AttemptFiles::of(&trial, 1);
    std::fs::create_dir_all(files.lock().parent().unwrap()).unwrap();
    let command = plain::create(&files.lock()).unwrap();
    fs2::FileExt::try_lock_exclusive(&command).unwrap();
    let reclaimed = |observer: &StateCore, watcher: &mut Watcher| {
        let others: Vec<_> = observer.study().processes().cloned().collect();
        let directory = Some(&machines.directory);
        buried(&reclaim(watcher, directory, &others, &[], held_by).unwrap())
    };
    let elsewhere = machines.open("b", "boot-2", TOGETHER);
    let mut watcher = elsewhere.watcher().unwrap();
    assert_eq!(reclaimed(&elsewhere, &mut watcher), NOBODY, "alive");
    watcher.let_pass(Duration::from_secs(61));
    assert_eq!(reclaimed(&elsewhere, &mut watcher), [number], "silent");
    drop(presence);
    let beside = machines.open("a", "boot-1", TOGETHER);
    let mut watcher = beside.watcher().unwrap();
    for _ in 0..3 {
        assert_eq!(reclaimed(&beside, &mut watcher), NOBODY, "dead, and its command runs");
    }
    drop(command);
    // A process that another test has just started has our descriptors until it is another program.
    let begin = std::time::Instant::now();
    let mut both_gone = reclaimed(&beside, &mut watcher);
    while both_gone.is_empty() && begin.elapsed() < Duration::from_mins(1) {
        both_gone = reclaimed(&beside, &mut watcher);
    }
    assert_eq!(both_gone, [number], "both are gone");
}

/// Whoever began alone went on beside a machine that joined later, and that none of its locks reached.
#[test]
fn a_machine_that_joins_is_noticed_by_one_whose_locks_do_not_reach_it() {
    for (boot, is_apart) in [("boot-2", true), ("boot-1", false)] {
        let machines = Machines::new();
        let mut first = machines.open("a", "boot-1", APART);
        first.join().unwrap();
        machines.open("b", boot, TOGETHER).join().unwrap();
        let next = first.execute_all(vec![]);
        match next {
            Err(StoreError::LocalLocks { who, .. }) if is_apart => assert!(who.contains("p2 of b")),
            Ok(_) if !is_apart => {}
            other => panic!("{boot}: {other:?}"),
        }
    }
}
