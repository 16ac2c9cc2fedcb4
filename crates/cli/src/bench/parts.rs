//! Where a trial's time goes, and how much of the workers' time the evaluations get.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use trialmill_layouts::Studies;

use trialmill::{BoxError, Durability, Error, RandomSearch, Report, RunningTrial, TrialId};
use trialmill_core::study::{Answer, Ask, Command};
use trialmill_runtime::StateCore;
use trialmill_store::{Directory, Disk, FileLock};

use super::plan::{Bench, Part, builder, definition, median};

/// A disk that takes everything and keeps nothing: what is left is the serialisation.
struct Nowhere {
    first: Vec<u8>,
    len: u64,
}

impl Disk for Nowhere {
    fn len(&self) -> io::Result<u64> {
        Ok(self.len)
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = self.first.get(offset as usize..).unwrap_or_default();
        let n = from.len().min(buffer.len());
        buffer[..n].copy_from_slice(&from[..n]);
        Ok(n)
    }
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.len += black_box(bytes).len() as u64;
        Ok(())
    }
    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.len = len;
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Bench {
    /// Where a trial's time goes: what the same batch costs each time something is added to it. The
    /// message to the state actor and the wait for its answer come last, because they are the
    /// runtime's and not the store's.
    pub(super) fn parts(&self, base: &Path) -> Result<Vec<Part>, Error> {
        let memory = StateCore::in_memory(definition()?, Box::new(RandomSearch::new()))?;
        let deciding = self.batch_us(memory)?;
        let core = open_core(&base.join("parts-nowhere"), Durability::Buffered, true)?;
        let serialising = self.batch_us(core)?;
        let core = open_core(&base.join("parts-buffered"), Durability::Buffered, false)?;
        let writing = self.batch_us(core)?;
        let core = open_core(&base.join("parts-synced"), Durability::Synced, false)?;
        let syncing = self.batch_us(core)?;
        let lock = lock_us(&base.join("parts-lock"))? / self.batch as f64;
        Ok(vec![
            ("sampling, deciding, applying", deciding),
            ("lock", lock),
            ("serialisation", (serialising - deciding - lock).max(0.0)),
            ("write", (writing - serialising).max(0.0)),
            ("sync", (syncing - writing).max(0.0)),
            ("actor: a message there and back", self.message_us()? / self.batch as f64),
        ])
    }

    /// The time per trial, in µs, of reporting a batch and asking for the next one, on this thread.
    fn batch_us(&self, mut core: StateCore) -> Result<f64, Error> {
        let worker = trialmill_core::event::worker_id(core.join()?, 1);
        let mut held: Vec<TrialId> = Vec::new();
        let (begin, mut rounds) = (Instant::now(), 0u32);
        while rounds == 0 || begin.elapsed() < PART_TIME {
            let mut commands: Vec<Command> = held
                .drain(..)
                .map(|trial| {
                    let report = Report::objective(0.5).evaluation_duration(1e-6);
                    Command::Report { trial, attempt: Some(1), report: Box::new(report) }
                })
                .collect();
            let worker = worker.clone();
            commands.push(Command::Ask(Ask {
                worker,
                n: self.batch,
                lease: None,
                evaluation: None,
            }));
            if let Some(Ok(Answer::Evaluate(handed))) = core.execute_all(commands)?.pop() {
                held.extend(handed.into_iter().map(|trial| trial.id));
            }
            rounds += 1;
        }
        Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(rounds) / self.batch as f64)
    }

    /// An empty message from a thread to the state actor, and its answer.
    fn message_us(&self) -> Result<f64, Error> {
        let session = self.session(trialmill::Study::in_memory(), 1)?;
        let handle = session.handle();
        let (begin, mut rounds) = (Instant::now(), 0u32);
        while begin.elapsed() < PART_TIME {
            handle.exchange(Vec::new())?;
            rounds += 1;
        }
        session.close()?;
        Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(rounds))
    }

    /// How much of the cores' time evaluations of 1 ms get, kept in the first way, on as many workers
    /// as there are cores, and on twice as many: 1 is what the same work does on bare threads,
    /// measured in turn with it.
    pub(super) fn evaluation_shares(&self, base: &Path) -> Result<[f64; 2], Error> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let rounds = rounds_of_a_millisecond();
        let mut shares = [Vec::new(), Vec::new()];
        for number in 0..6 {
            let twice = number % 2;
            let begin = Instant::now();
            std::thread::scope(|scope| {
                for _ in 0..cores {
                    scope.spawn(|| (0..EVALUATIONS).map(|_| work(rounds)).sum::<f64>());
                }
            });
            let ideal = begin.elapsed().as_secs_f64();
            let dir = base.join(format!("evaluations-{number}"));
            let builder = builder(self.layout[0], &self.durability[0], &dir);
            let trials = (EVALUATIONS * cores) as u64;
            let session = self.session_of(builder, cores * (1 + twice), trials)?;
            let begin = Instant::now();
            session.run(|_: &RunningTrial| Ok::<f64, BoxError>(work(rounds)))?;
            shares[twice].push(ideal / begin.elapsed().as_secs_f64());
            session.close()?;
        }
        Ok(shares.map(median))
    }
}

const PART_TIME: Duration = Duration::from_millis(300);
/// On each core, in each round.
const EVALUATIONS: usize = 500;

fn open_core(dir: &Path, durability: Durability, nowhere: bool) -> Result<StateCore, Error> {
    let policy = trialmill_core::event::Policy::default();
    let (directory, _) = Directory::create_or_open(dir, definition()?, None, &policy, None)?;
    if !nowhere {
        return StateCore::open(directory, durability, Box::new(RandomSearch::new()));
    }
    let first = std::fs::read(directory.journal_path())
        .map_err(super::plan::io("read", &directory.journal_path()))?;
    let disk = Box::new(Nowhere { len: first.len() as u64, first });
    StateCore::open_on(disk, directory, durability, Box::new(RandomSearch::new()))
}

/// What each commit does with the lock file.
fn lock_us(path: &Path) -> Result<f64, Error> {
    let mut lock = FileLock::open(path)?;
    let (begin, mut times) = (Instant::now(), 0u32);
    while begin.elapsed() < PART_TIME / 10 {
        lock.lock(Duration::from_secs(1))?;
        lock.unlock()?;
        times += 1;
    }
    Ok(begin.elapsed().as_secs_f64() * 1e6 / f64::from(times))
}

fn work(rounds: u64) -> f64 {
    (0..rounds).fold(0.5, |x: f64, _| black_box(x * 3.9 * (1.0 - x)))
}

fn rounds_of_a_millisecond() -> u64 {
    let rounds = 1_000_000;
    let begin = Instant::now();
    black_box(work(rounds));
    (rounds as f64 * 1e-3 / begin.elapsed().as_secs_f64()) as u64
}
