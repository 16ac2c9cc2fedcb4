//! Who is taken for dead, by whom: each case with what would be lost. No test waits for a minute; they
//! set the watcher's own clock back instead.

use trialmill_core::definition::Definition;
use trialmill_core::event::{Event, EventKind, Policy};
use trialmill_core::optimizer::OptimizerInfo;
use trialmill_core::space::{Parameter, SearchSpace};

use super::*;
use crate::{Directory, Durability, JournalLayout, JournalStore, Layout};

fn machine(host: &str, boot: &str) -> Machine {
    Machine { host: host.into(), boot: boot.into() }
}

/// A process that holds its lock file, and a watcher that goes by another name or boot.
struct Seen {
    _temp: tempfile::TempDir,
    presence: Option<Presence>,
    path: PathBuf,
    process: Process,
    watcher: Watcher,
}

impl Seen {
    fn from(machine: Machine) -> Self {
        let temp = tempfile::tempdir().unwrap();
        let workers: PathBuf = temp.path().into();
        let path = lock_path(&workers, 1);
        let presence = Some(Presence::take(path.clone(), false).unwrap());
        let process = Process { process: 1, ..self::machine("a", "boot-1").process() };
        let watcher = Watcher { workers: Some(workers), ..Watcher::alone(machine) };
        Seen { _temp: temp, presence, path, process, watcher }
    }

    /// What the watcher says after a minute in which it saw nothing new.
    fn after_a_minute(&mut self) -> Liveness {
        if let Some(seen) = self.watcher.heartbeats.0.get_mut(&self.path) {
            seen.since =
                seen.since.checked_sub(HEARTBEAT_TIMEOUT + Duration::from_secs(1)).unwrap();
        }
        self.now()
    }

    /// A study whose journal this process has open.
    fn opens_the_journal(&mut self) -> std::fs::File {
        let journal = self.path.with_file_name("journal.jsonl");
        let open = std::fs::File::create(&journal).unwrap();
        self.watcher.journal = Some(Watched::new(journal, Arc::default(), false));
        open
    }

    fn now(&mut self) -> Liveness {
        self.watcher.known.clear();
        self.watcher.liveness(&self.process)
    }
}

/// Without its signs of life a living process of another machine is buried after a minute, and its
/// trials run twice at once.
#[test]
fn a_process_of_another_machine_lives_as_long_as_it_gives_signs_of_life() {
    let mut seen = Seen::from(machine("b", "boot-2"));
    assert_eq!(seen.now(), Liveness::Alive);
    assert!(!seen.watcher.has_heartbeat(&seen.process), "nothing new was seen yet");
    for _ in 0..3 {
        seen.presence.as_ref().unwrap().heartbeat().unwrap();
        assert_eq!(seen.after_a_minute(), Liveness::Alive, "its count has grown");
        assert!(seen.watcher.has_heartbeat(&seen.process));
    }
    assert_eq!(seen.now(), Liveness::Alive);
    assert_eq!(seen.after_a_minute(), Liveness::Dead, "its count stands still");
    seen.watcher.tidy(1);
    assert!(!seen.path.exists());
    assert!(seen.watcher.heartbeats.0.is_empty(), "what is gone is forgotten");
}

/// Where no lock reaches another machine, a lock that is free here says nothing of a process there: it was buried at
/// once, and its trials ran twice.
#[test]
fn where_locks_do_not_reach_a_free_lock_is_no_proof_of_death() {
    for (locks_reach, at_once) in [(false, Liveness::Alive), (true, Liveness::Dead)] {
        let mut seen = Seen::from(machine("b", "boot-2"));
        seen.watcher.locks_reach = locks_reach;
        drop(seen.presence.take());
        std::fs::write(&seen.path, "4").unwrap();
        assert_eq!(seen.now(), at_once, "{locks_reach}");
        assert_eq!(seen.after_a_minute(), Liveness::Dead, "{locks_reach}");
    }
}

/// Whose machine died keeps its lock at a server of NFS 3, and all others waited for it; and whoever took a living
/// process for such a one would write beside it.
#[test]
fn who_holds_a_lock_without_a_sign_of_life_is_silent_unless_it_is_this_process() {
    let temp = tempfile::tempdir().unwrap();
    let layouts: &'static [&'static dyn Layout] = &[&JournalLayout];
    let space = SearchSpace::new([("x", Parameter::float(0.0, 1.0))]).unwrap();
    let definition = Definition::new(space, OptimizerInfo::new("o", Vec::<(String, i32)>::new()));
    let (policy, asked) = (Policy::default(), (None, layouts));
    let directory =
        Directory::create_or_open_as(temp.path(), definition, Some(7), &policy, asked).unwrap().0;
    let mut store = JournalStore::open(&directory, Durability::Buffered).unwrap();
    let workers = directory.workers_path();
    std::fs::create_dir_all(&workers).unwrap();
    let mut held: Vec<Presence> =
        [1, 2].map(|n| Presence::take(lock_path(&workers, n), false).unwrap()).into();
    std::fs::write(lock_path(&workers, 3), "").unwrap();
    let mut heartbeats = Heartbeats::default();
    let a_minute_later = |heartbeats: &mut Heartbeats| {
        for seen in heartbeats.0.values_mut() {
            let minute = HEARTBEAT_TIMEOUT + Duration::from_secs(1);
            seen.since = seen.since.checked_sub(minute).unwrap();
        }
    };
    assert!(!store.somebody_is_silent(&mut heartbeats), "nobody was watched yet");
    assert_eq!(heartbeats.0.len(), 3, "all are watched from the start");
    a_minute_later(&mut heartbeats);
    assert!(store.somebody_is_silent(&mut heartbeats), "both");
    held[0].heartbeat().unwrap();
    assert!(store.somebody_is_silent(&mut heartbeats), "the second");
    drop(held.pop());
    a_minute_later(&mut heartbeats);
    held[0].heartbeat().unwrap();
    assert!(!store.somebody_is_silent(&mut heartbeats), "the first gives signs of life");
    a_minute_later(&mut heartbeats);
    assert!(store.somebody_is_silent(&mut heartbeats), "the first gives none any more");
    // We are the first.
    let kind = EventKind::Joined(Process { process: 1, ..Machine::here().process() });
    store.begin_with(&mut |_| Ok(())).unwrap();
    store.stage_events(&[Event { time: 1.0, kind }]).unwrap();
    assert!(!store.somebody_is_silent(&mut heartbeats));
}

/// On a network file system its lock says nothing: a server may keep it for a machine that died.
#[test]
fn on_a_network_file_system_a_process_is_silent_before_it_is_dead() {
    let mut seen = Seen::from(machine("b", "boot-2"));
    let journal = seen.path.with_file_name("journal.jsonl");
    seen.watcher.journal = Some(Watched::new(journal, Arc::default(), true));
    assert_eq!(seen.now(), Liveness::Alive);
    assert_eq!(seen.after_a_minute(), Liveness::Silent);
    // What was found out a moment ago is not asked for again.
    drop(seen.presence.take());
    assert_eq!(seen.watcher.liveness(&seen.process), Liveness::Silent);
    assert_eq!(seen.now(), Liveness::Dead);
}

/// A process that was stopped with Ctrl-Z for longer than a minute was buried by its own machine,
/// where the kernel knows better.
#[test]
fn a_process_of_the_same_machine_lives_as_long_as_it_holds_its_lock() {
    let mut seen = Seen::from(machine("a", "boot-1"));
    assert_eq!(seen.now(), Liveness::Alive);
    assert_eq!(seen.after_a_minute(), Liveness::Alive);
    drop(seen.presence.take());
    // It costs nothing to ask here, so this is not what was found out a moment ago.
    assert_eq!(seen.watcher.liveness(&seen.process), Liveness::Dead);
    // Somebody removed the lock file: whether the process runs is what the kernel says.
    std::fs::remove_file(&seen.path).unwrap();
    let open = seen.opens_the_journal();
    assert_eq!(seen.now(), Liveness::Alive, "this very process");
    // A copy of the study names us too.
    drop(open);
    assert_eq!(seen.now(), Liveness::Dead, "it runs, and does something else");
}

/// After a reboot another program has the number of a dead process; its trials waited for that one.
#[test]
fn a_process_number_means_nothing_in_another_boot_or_on_another_machine() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for other in [machine("a", "boot-2"), machine("b", "boot-1"), machine("b", "boot-2")] {
        let process = machine("a", "boot-1").process();
        assert!(machine("a", "boot-1").has_open(&process, file.path()));
        assert!(!other.has_open(&process, file.path()), "{other:?}");
        let mut seen = Seen::from(other.clone());
        drop(seen.presence.take());
        let _open = seen.opens_the_journal();
        std::fs::remove_file(&seen.path).unwrap();
        assert_eq!(seen.now(), Liveness::Dead, "{other:?}");
    }
    let gone = Process { pid: i32::MAX as u32, ..machine("a", "boot-1").process() };
    assert!(!machine("a", "boot-1").has_open(&gone, file.path()));
}

/// A result that NePS wrote did not wake the workers that waited for it.
#[test]
fn what_others_write_is_seen_until_it_was_read() {
    let temp = tempfile::tempdir().unwrap();
    let (journal, cache) = (temp.path().join("journal.jsonl"), temp.path().join("cache.pkl"));
    std::fs::write(&journal, "12345").unwrap();
    std::fs::write(&cache, "123").unwrap();
    let known_len = Arc::new(AtomicU64::new(5));
    let known_stamp = Arc::new(AtomicU64::new(stamp(&cache)));
    let watched = Watched::new(journal.clone(), known_len.clone(), false);
    let watcher = Watcher::of_journal(watched, temp.path().into(), machine("a", "boot-1"), true);
    let mut watcher = watcher.watching(cache.clone(), known_stamp.clone());
    assert!(!watcher.has_grown());
    std::fs::write(&cache, "1234").unwrap();
    assert!(watcher.has_grown(), "the cache");
    known_stamp.store(stamp(&cache), Ordering::Release);
    assert!(!watcher.has_grown());
    std::fs::write(&journal, "123456").unwrap();
    assert!(watcher.has_grown(), "the journal");
    known_len.store(6, Ordering::Release);
    assert!(!watcher.has_grown());
}

/// The time since boot of one boot says nothing in the next: a deadline might never have ended.
#[test]
fn a_claim_ends_by_the_clock_of_its_boot_and_elsewhere_by_the_watcher_s_own() {
    let here = machine("a", "boot-1");
    let long_ago = Lease { until_uptime_s: 0.0, ..here.lease(Duration::from_secs(10)) };
    let far_off = Lease { until_uptime_s: 1e12, ..here.lease(Duration::ZERO) };
    let next_minute = here.lease(Duration::from_mins(1));
    assert!(here.has_ended(&long_ago));
    assert!(!here.has_ended(&far_off) && !here.has_ended(&next_minute));
    let mut watcher = Watcher::alone(here);
    assert!(watcher.is_expired("1", 1, &long_ago));
    assert!(!watcher.is_expired("1", 1, &far_off) && !watcher.is_expired("1", 1, &next_minute));
    for other in [machine("a", "boot-2"), machine("b", "boot-1"), machine("b", "boot-2")] {
        // Whoever has not watched it does not know.
        assert!(!other.has_ended(&long_ago) && !other.has_ended(&far_off));
        let mut watcher = Watcher::alone(other);
        assert!(!watcher.is_expired("1", 1, &long_ago), "it has just been seen");
        assert!(watcher.is_expired("1", 2, &far_off), "it lasts no time at all");
        let watched = Duration::from_secs(11);
        for since in watcher.leases.values_mut() {
            *since = since.checked_sub(watched).unwrap();
        }
        assert!(watcher.is_expired("1", 1, &long_ago));
    }
}

/// Containers of one machine see each other's locks, whatever they are called; where no boot is known, the name
/// alone can say so.
#[test]
fn a_kernel_is_shared_by_its_boot_and_without_one_by_its_name() {
    let table = [
        (("a", "boot-1"), ("a", "boot-1"), true),
        (("a", "boot-1"), ("b", "boot-1"), true),
        (("a", "boot-1"), ("a", "boot-2"), false),
        (("a", ""), ("a", ""), true),
        (("a", ""), ("b", ""), false),
        (("a", ""), ("a", "boot-1"), false),
    ];
    for ((host, boot), (other, its), expected) in table {
        let shares = machine(host, boot).shares_kernel(&machine(other, its).process());
        assert_eq!(shares, expected, "{host} {boot:?}, {other} {its:?}");
    }
}
